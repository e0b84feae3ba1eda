package notify

import (
	"context"
	"fmt"

	"writ/internal/fault"
	"writ/internal/ledger"
)

// follows are the kinds of ways that keep alarms of their own.
var follows = []string{PagerDuty, Opsgenie}

// Follow tells ways that keep alarms of their own what became of one: that somebody
// acknowledged it, or that it is over. n is the number of the entry that says so; the same one
// is told once. Ways that were told nothing of the alarm are told nothing now.
func (s *Service) Follow(ctx context.Context, about, act string, n int64) error { // clause: mon.notify
	if act != Acknowledge && act != Resolve {
		return fault.Newf(fault.Invalid, "act_unknown", "What became of %s is %q; expected acknowledge or resolve.", about, act)
	}
	var names []string
	if err := s.DB.Each(ctx, toldOf, func(scan ledger.Scan) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	}, about, follows[0], follows[1]); err != nil || len(names) == 0 {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	var ms []Message
	for _, name := range names {
		ms = append(ms, Message{Key: fmt.Sprintf("%s/%s/%d", about, act, n), Channel: name, Subject: act, Severity: Notice, About: about, Repeat: true, act: act})
	}
	ps, err := s.Prepare(ctx, ms...)
	if err != nil {
		return err
	}
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error { return s.Queue(ctx, tx, ps...) }) //nolint:wrapcheck // the ledger says what failed
}

// early reports whether a message says what became of an alarm whose own message still waits.
func (s *Service) early(ctx context.Context, d *Delivery) (bool, error) {
	var n int64
	err := ledger.One(ctx, s.DB, beforeIt, []any{&n}, d.About, d.Channel, d.ID)
	return n > 0, err //nolint:wrapcheck // the ledger says what failed
}

const (
	toldOf   = `SELECT DISTINCT d.channel FROM notify_delivery d JOIN notify_channel c ON c.name = d.channel WHERE d.about = $1 AND c.kind IN ($2, $3) AND d.state <> 'rejected' ORDER BY d.channel`
	beforeIt = `SELECT count(*) FROM notify_delivery WHERE about = $1 AND channel = $2 AND id < $3 AND state IN ('queued', 'claimed', 'sent', 'deferred')`
)
