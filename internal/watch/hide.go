package watch

import (
	"context"
	"slices"
	"time"

	"writ/internal/ledger"
	"writ/internal/notify"
)

// inMaintenance is what hides alarms of an application that is closed on purpose.
const inMaintenance = "maintenance"

// hiddenThen are the rules that say no news while the application is in maintenance. Never one
// about abuse, data or trust.
var hiddenThen = []string{"upstream-down", "traffic-drop"}

// hiders are rules that say the same and more, of the same instance, by the rule that they hide.
var hiders = map[string]string{"disk-full-soon": "disk-full", "cert-expiry": "cert-ending", "errors-slow-burn": "errors-burn", "latency-slow-burn": "latency-burn"}

// under are rules about what all requests go through: while the application does not answer, that
// they fail or stay away is no news.
var under = map[string]string{"errors-burn": "upstream-down", "errors-slow-burn": "upstream-down", "traffic-drop": "upstream-down"}

const looksAgain = time.Minute // at what hides an alarm

// inhibitor says what makes an alarm no news, or "".
func (s *Service) inhibitor(a *Alarm, open []Alarm) string { // clause: mon.notify
	if a.Test {
		return ""
	}
	if slices.Contains(hiddenThen, a.Rule) && s.Maintenance != nil && s.Maintenance() {
		return inMaintenance
	}
	r := index().byID[a.Rule]
	if r == nil || r.Part != Load && r.Part != Traffic {
		return ""
	}
	if s.Worked != nil && a.Rule != pushedRule { // another system names its parts as it likes
		if by := s.Worked(a.Labels["instance"]); by != "" {
			return by
		}
	}
	for i := range open {
		b := &open[i]
		switch {
		case b.Test:
		case b.Rule == "source-silent" && b.Labels["instance"] == "host" && ofNode(r.Reads): // nobody knows how the machine is
			return b.Rule
		case b.Rule == "heartbeat-missing" && b.Labels["instance"] == a.Labels["node"] && ofNode(r.Reads): // nor how that one is
			return b.Rule
		case b.Rule == under[a.Rule]:
			return b.Rule
		case b.Rule == hiders[a.Rule] && b.Labels["instance"] == a.Labels["instance"]:
			return b.Rule
		}
	}
	return ""
}

// openHiders are the alarms that may hide others.
func (s *Service) openHiders(ctx context.Context) ([]Alarm, error) {
	return s.read(ctx, s.DB, `SELECT `+alarmColumns+` FROM watch_alarm WHERE state IN ('firing', 'acknowledged') AND rule IN ('source-silent', 'heartbeat-missing', 'upstream-down', 'disk-full', 'cert-ending', 'errors-burn', 'latency-burn') ORDER BY id LIMIT 500`)
}

// heard leaves out alarms that are not told for now: they are silenced, no news, or tickets in
// a time in which none are told. Each is looked at again.
func (s *Service) heard(ctx context.Context, as []*Alarm) ([]*Alarm, error) {
	as, err := s.unsilenced(ctx, as)
	if err != nil || len(as) == 0 {
		return nil, err
	}
	open, err := s.openHiders(ctx)
	if err != nil {
		return nil, err
	}
	var out []*Alarm
	for _, a := range as {
		by := s.inhibitor(a, open)
		if by == "" {
			out = append(out, a)
			continue
		}
		if err := s.inhibit(ctx, a, by); err != nil {
			return nil, err
		}
	}
	return s.unmuted(ctx, out)
}

// inhibit notes what hides an alarm, once, and looks again soon.
func (s *Service) inhibit(ctx context.Context, a *Alarm, by string) error {
	return s.quietly(ctx, system, func(tx *ledger.Tx) ([]ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_alarm SET inhibited = $2, due = $3 WHERE id = $1 AND state = 'firing'`, a.ID, by, us(tx.Now().Add(looksAgain)))
		if err != nil || n == 0 || a.Inhibited == by {
			return nil, err
		}
		return []ledger.Event{AlarmInhibited{Alarm: a.ID, Rule: a.Rule, By: by}}, s.happened(ctx, tx, a.ID, "hidden by "+by, "writ/watch")
	})
}

// unmuted leaves out tickets in a time in which none are told; they are due when it ends.
func (s *Service) unmuted(ctx context.Context, as []*Alarm) ([]*Alarm, error) {
	if len(as) == 0 || as[0].Severity != notify.Ticket { // of one kind
		return as, nil
	}
	mutes, err := s.mutes(ctx)
	if err != nil || len(mutes) == 0 {
		return as, err
	}
	var out []*Alarm
	for _, a := range as {
		_, ends := mutedBy(mutes, a, s.Now())
		if ends.IsZero() {
			out = append(out, a)
			continue
		}
		if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE watch_alarm SET due = $2 WHERE id = $1 AND state = 'firing'`, a.ID, us(ends))
			return err
		}); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
	}
	return out, nil
}

// mutedBy names what mutes a ticket at a time, and when that ends.
func mutedBy(mutes []Mute, a *Alarm, t time.Time) (names []string, ends time.Time) {
	r := index().byID[a.Rule]
	if a.Severity != notify.Ticket || a.Test || r != nil && r.keeps() {
		return nil, ends
	}
	for i := range mutes {
		if end, ok := mutes[i].until(t); ok {
			if names = append(names, mutes[i].Name); end.After(ends) {
				ends = end
			}
		}
	}
	return names, ends
}
