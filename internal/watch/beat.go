package watch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/watch/series"
)

// Every ten seconds a heartbeat takes the way of every alarm: a reading that is too much, its
// rule, the row of an alarm, the look at what is due; the last step goes to nobody. What takes
// long there, or does not arrive, would be a late alarm, or none.
var beatRule = Rule{ID: "heartbeat", Part: Meta, Severity: notify.Notice, Clause: alarms, Title: "A heartbeat of watch", Says: "Each ten seconds", Next: "Nothing.", Reads: "watch.heartbeat", Above: 0.5, Clear: 0.5}

const (
	missing   = "watch.beat" // the reading: for how many seconds a node's heartbeat is missing
	latency   = "watch.latency"
	beatLives = 24 * time.Hour // of the row of a node that is gone
	pingEvery = time.Minute
)

// pulse is this node's heartbeat.
type pulse struct {
	mu      sync.Mutex
	sent    string // the one under way; "" = none
	missed  int64  // in a row
	at      time.Time
	took    time.Duration
	heard   time.Time // when somebody outside was last told
	unheard error     // why not, since
}

func (s *Service) node() string { return cmp.Or(s.Node, "this server") }

// Beat sends a heartbeat on its way, and looks for those that did not arrive: the last ones of
// this node, and those of others.
func (s *Service) Beat(ctx context.Context) error { // clause: mon.alarms
	id := s.DB.ID()
	s.pulse.mu.Lock()
	if s.pulse.sent != "" {
		s.pulse.missed++
	}
	s.pulse.sent = id
	missed := s.pulse.missed
	s.pulse.mu.Unlock()
	h := sighting{rule: &beatRule, who: s.node(), test: true}
	labels := h.labels()
	b, err := json.Marshal(labels)
	if err != nil {
		return fmt.Errorf("encode labels: %w", err)
	}
	if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, insertAlarm, id, beatRule.ID, fingerprint(labels), string(b), beatRule.Severity, beatRule.Clause, beatRule.Part, Firing, true, us(tx.Now()), us(tx.Now()), us(tx.Now()), int64(0), int64(1), "1", "")
		return err
	}); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	rs, err := s.silentNodes(ctx)
	if err != nil {
		return err
	}
	return s.Judge(ctx, append(rs, Reading{Meter: missing, Label: s.node(), Value: float64(missed) * round.Seconds()}))
}

// silentNodes are the others, and for how long nothing came of each.
func (s *Service) silentNodes(ctx context.Context) (rs []Reading, err error) {
	var gone []string
	err = s.DB.Each(ctx, `SELECT node, at FROM watch_beat WHERE node <> $1 ORDER BY node LIMIT 1000`, func(scan ledger.Scan) error {
		var node string
		var last int64
		if err := scan(&node, &last); err != nil {
			return err
		}
		silent := s.Now().Sub(at(last))
		if silent > beatLives {
			gone, silent = append(gone, node), 0
		}
		rs = append(rs, Reading{Meter: missing, Label: node, Value: silent.Seconds()})
		return nil
	}, s.node())
	if err != nil || len(gone) == 0 {
		return rs, err //nolint:wrapcheck // the ledger says what failed
	}
	return rs, s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		for _, node := range gone {
			if _, err := tx.Exec(ctx, `DELETE FROM watch_beat WHERE node = $1`, node); err != nil {
				return err
			}
		}
		return nil
	})
}

// arrive is the end of a heartbeat's way: it is told to nobody, and its row goes.
func (s *Service) arrive(ctx context.Context, a *Alarm) error {
	took := s.Now().Sub(a.Fired)
	s.pulse.mu.Lock()
	ours := s.pulse.sent == a.ID
	s.pulse.mu.Unlock()
	if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM watch_alarm WHERE id = $1`, a.ID); err != nil || !ours {
			return err
		}
		_, err := tx.Exec(ctx, setBeat, s.node(), us(tx.Now()), took.Milliseconds())
		return err
	}); err != nil || !ours { // of a process before, or of another node whose work is done here
		return err //nolint:wrapcheck // the ledger says what failed
	}
	s.pulse.mu.Lock()
	s.pulse.sent, s.pulse.missed, s.pulse.at, s.pulse.took = "", 0, s.Now(), took
	s.pulse.mu.Unlock()
	s.series.Add(series.Event{At: s.Now(), Meter: latency, Value: float64(took.Microseconds()) / 1000})
	return nil
}

// stop takes this node's row away: it stops in order, and nobody need look for it.
func (s *Service) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM watch_beat WHERE node = $1`, s.node())
		return err
	}); err != nil {
		s.Log.Warn("the heartbeat of this node could not be taken away", "err", err)
	}
}

// runOutside tells somebody outside each minute that this server watches. Its absence there is
// an alarm that this server cannot raise: that it has died.
func (s *Service) runOutside(ctx context.Context) {
	if s.Outside == nil {
		return
	}
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		s.Ping(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

var errNoBeat = errors.New("the heartbeat does not arrive, so nobody outside is told that it does")

// Ping tells somebody outside, where the heartbeat arrives.
func (s *Service) Ping(ctx context.Context) { // clause: mon.alarms
	s.pulse.mu.Lock()
	beating, begun := s.Now().Sub(s.pulse.at) <= 3*round, s.pulse.at.IsZero() && s.Now().Sub(s.begun) <= 3*round
	s.pulse.mu.Unlock()
	err := errNoBeat
	if beating || begun {
		err = s.Outside(ctx)
	}
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	if s.pulse.unheard = err; err == nil {
		s.pulse.heard = s.Now()
	}
}

// outsideSource is silent, which is an alarm, while nobody outside hears the heartbeat.
func (s *Service) outsideSource() Source {
	return Source{Name: "outside", Every: pingEvery, Read: func(context.Context) ([]Reading, error) {
		s.pulse.mu.Lock()
		defer s.pulse.mu.Unlock()
		return nil, s.pulse.unheard
	}}
}

// Pulse is how the heartbeat does, and whether anybody outside listens.
type Pulse struct {
	At      time.Time // when the last one arrived; zero = none yet
	Took    time.Duration
	Missed  int64
	Listens bool      // somebody outside is told
	Heard   time.Time // when they last were
	Unheard string    // why not since then
}

// PulseFor reads it.
func (s *Service) PulseFor(ctx context.Context, who actor.Actor) (Pulse, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/heartbeat"); err != nil {
		return Pulse{}, err //nolint:wrapcheck // a fault for the reader
	}
	s.pulse.mu.Lock()
	defer s.pulse.mu.Unlock()
	p := Pulse{At: s.pulse.at, Took: s.pulse.took, Missed: s.pulse.missed, Listens: s.Outside != nil, Heard: s.pulse.heard}
	if s.pulse.unheard != nil {
		p.Unheard = s.pulse.unheard.Error()
	}
	return p, nil
}

const setBeat = `INSERT INTO watch_beat (node, at, took) VALUES ($1, $2, $3) ON CONFLICT (node) DO UPDATE SET at = excluded.at, took = excluded.took`
