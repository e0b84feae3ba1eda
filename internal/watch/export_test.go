package watch

import (
	"context"
	"errors"
	"time"

	"writ/internal/journal"
	"writ/internal/ledger"
)

// FiredBy is what fires a rule.
func FiredBy(r *Rule) ([]journal.Entry, Reading) { t := r.fire(r); return t.entries, t.reading }

// Deaf is a rule with one entry too few to fire it, or a reading that is just not too much.
func Deaf(r Rule) Rule {
	loud := r.fire
	r.fire = func(r *Rule) trial {
		t := loud(r)
		if len(t.entries) > 0 {
			t.entries = t.entries[1:]
		}
		t.reading.Value = r.Above
		return t
	}
	return r
}

// VersionOf names what a rule of the pack says.
func VersionOf(rule string) string { return index().byID[rule].version() }

// ButtonOf is the value of the button under a message about alarms.
func ButtonOf(s *Service, kind string, ids ...string) string {
	var as []*Alarm
	for _, id := range ids {
		as = append(as, &Alarm{ID: id})
	}
	return s.buttonOf(kind, as)
}

// NotFired is what a trial says of a rule.
var NotFired = errNotFired

// TryOne fires one rule in a trial that is taken back.
func (s *Service) TryOne(ctx context.Context, r *Rule) (err error) {
	undo := errors.New("undo")
	_, failed := s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		err = s.try(ctx, tx, s.load(r))
		return nil, undo
	})
	if !errors.Is(failed, undo) {
		return failed
	}
	return err
}

// Host is the source that reads this machine.
func (s *Service) Host() Source { return s.host() }

// DrainRequests counts the requests that wait.
func (s *Service) DrainRequests(ctx context.Context) error { return s.drain(ctx) }

// Family is what is kept of an agent's header.
var Family = family

// Blind makes the learner look away from spikes and drops.
func (s *Service) Blind() {
	for _, es := range s.learner.expect {
		for _, e := range es {
			e.floor.Least = 1e15
		}
	}
}

// Crowd is how many people's habits are in memory at most.
func (s *Service) Crowd(n int) { s.habits.most = n }

// Held reports whether something new about somebody waits for its entry.
func (s *Service) Held(id string) bool {
	s.habits.mu.Lock()
	defer s.habits.mu.Unlock()
	el := s.habits.people[id]
	return el != nil && el.Value.(*known).held
}

// HiddenThen and Hiders are what hides which rules.
var (
	HiddenThen = hiddenThen
	Hiders     = hiders
	Under      = under
)

// StillAfter asks about the end of a rule, lets something else happen, and asks whether the answer stands.
func (s *Service) StillAfter(ctx context.Context, rule string, between func()) error {
	h, err := s.hold(ctx, rule, nil)
	if err != nil {
		return err
	}
	between()
	return s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error { return s.still(ctx, tx, h) })
}

// Filling is how full a disk was.
type Filling = filling

// Left is for how many hours its room lasts.
func (f *filling) Left(now time.Time, used, room float64) (float64, bool) {
	return f.left(now, used, room)
}

// NoteSilence looks which meters of one's own are silent, and nothing else.
func (s *Service) NoteSilence() { s.silentGauges(s.Now()) }
