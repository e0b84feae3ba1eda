package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/baseline"
	"writ/internal/watch/series"
)

// Usual is a series and what is usual of it, at the newest minute that was looked at.
type Usual struct {
	Series              string // its name
	Unit                string
	Hourly              bool // hours are compared, not minutes
	Days                int  // learned
	Known               bool // so that it is judged
	At                  time.Time
	Value               float64
	Low, Expected, High float64 // of a minute
	Above, Below        float64 // 1 = the edge of what is usual
	Drift               float64 // against four weeks ago
}

// Learning is how far everything has come.
type Learning struct {
	Days, Need int   // of the requests
	Full       int64 // series for which there was no room
	People     int64 // whose habits are in memory
	Unbound    []string
}

// Usuals lists what is learned, what is unusual first. Hours of single people are shown only
// where they are.
func (s *Service) Usuals(ctx context.Context, who actor.Actor) ([]Usual, Learning, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/usual"); err != nil {
		return nil, Learning{}, err //nolint:wrapcheck // a fault for the reader
	}
	s.habits.mu.Lock()
	people := len(s.habits.people)
	s.habits.mu.Unlock()
	l := s.learner
	l.mu.Lock()
	defer l.mu.Unlock()
	days, _ := l.days()
	g := Learning{Days: days, Need: baseline.LearnDays, Full: int64(len(l.full)), People: int64(people), Unbound: []string{"impossible-travel: there is no table of where networks are"}}
	var out []Usual
	for _, x := range l.known {
		if x.key.dimension == byPerson && x.above <= 1 {
			continue
		}
		out = append(out, s.stands(x))
	}
	slices.SortFunc(out, func(a, b Usual) int {
		return cmp.Or(cmp.Compare(max(b.Above, b.Below, 1), max(a.Above, a.Below, 1)), cmp.Compare(a.Series, b.Series))
	})
	return out[:min(len(out), 500)], g, nil
}

// days is how much was learned of the requests. The caller holds mu.
func (l *learner) days() (int, bool) {
	if x := l.known[ofSeries{"requests", series.Whole, ""}]; x != nil {
		return x.model.Learned()
	}
	return 0, false
}

func (s *Service) stands(x *learned) Usual {
	u := Usual{Series: x.key.String(), Unit: s.series.Meter(x.key.meter).Unit, Hourly: x.usual != nil, At: x.at, Value: x.value, Above: x.above, Below: x.below, Drift: 1}
	if x.model != nil {
		u.Days, _ = x.model.Learned()
		u.Low, u.Expected, u.High, u.Known, u.Drift = x.band.Low, x.band.Expected, x.band.High, x.band.Known, x.model.Drift()
		if x.exp.wide == 0 {
			u.Low, u.High = 0, math.Inf(1)
		}
		return u
	}
	u.Value = x.sum
	return u
}

// AcceptUsual says that what a series does now is the new normal.
func (s *Service) AcceptUsual(ctx context.Context, who actor.Actor, name, reason string) error { // clause: mon.abnormal
	if err := s.Access.Allow(ctx, who, access.WatchAct, "watch/usual"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	if len(strings.TrimSpace(reason)) < leastReason || len(reason) > mostNote {
		return bad("reason", "A new normal has a reason.", "10 to 500 bytes: what has changed, so that more is usual.")
	}
	l := s.learner
	l.run.Lock()
	defer l.run.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	var x *learned
	for k, y := range l.known {
		if k.String() == name {
			x = y
		}
	}
	if x == nil {
		return fault.New(fault.NotFound, "series_unknown", fault.Public{Problem: "Nothing is learned of such a series.", Next: "Look at: writ watch baselines"})
	}
	y := *x
	if x.model != nil {
		m := *x.model
		m.Accept()
		y.model = &m
	} else {
		u := *x.usual
		u.Accept(x.sum)
		y.usual = &u
	}
	box, err := y.box()
	if err != nil {
		return err
	}
	if _, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return BaselineAccepted{Series: name, reason: reason}, keepOne(ctx, tx, x.key, box)
	}); err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	x.model, x.usual = y.model, y.usual
	return nil
}

// probeUsual wants that two weeks were learned, and that comparing goes on.
func (s *Service) probeUsual(context.Context) (clause.Result, error) { // clause: mon.abnormal
	l := s.learner
	l.mu.Lock()
	defer l.mu.Unlock()
	days, enough := l.days()
	var ready, all int64
	for _, x := range l.known {
		if x.model == nil {
			continue
		}
		if all++; x.band.Known {
			ready++
		}
	}
	switch {
	case l.judged.IsZero() && s.Now().Sub(s.begun) < 5*time.Minute:
		return clause.Result{Outcome: clause.Unknown, Summary: "nothing was compared yet; the first time comes within two minutes of the start"}, nil
	case s.Now().Sub(l.judged) > 5*time.Minute:
		return clause.Failed("nothing was compared with what is usual for more than five minutes; the log says why"), nil
	case !enough:
		return clause.Result{Outcome: clause.Unknown, Summary: fmt.Sprintf("learning %d/%d days; bounds that need no learning, and what is new about people, are watched already", days, baseline.LearnDays)}, nil
	}
	r := clause.Passed(fmt.Sprintf("each minute is compared with the %d days before; %d of %d series are known well enough, %d have no room", int(s.Rules.Get().Baseline.Hours()/24), ready, all, len(l.full)))
	r.Population = all
	return r, nil
}

// The shadow is a series that is nobody's: four weeks of it are made up, and learned by the
// same way as any other.
const (
	shadowDays = 28
	shadowRate = 300.0
)

// shadowUsual is what the shadow comes to in a minute.
func shadowUsual(t time.Time) float64 {
	wave := math.Sin(2 * math.Pi * float64(t.Hour()*60+t.Minute()) / (24 * 60))
	return math.Round(shadowRate * (1.2 + wave) * (1 + 0.03*math.Sin(float64(t.Unix()/60%97))))
}

// shadow makes the series, with so many days learned up to now.
func (s *Service) shadow(now time.Time, days int) *learned {
	x := &learned{key: ofSeries{"requests", series.Whole, trialWho}, exp: s.learner.expect["requests/"][0], model: &baseline.Model{}}
	c := s.usualConfig()
	for m := now.Add(-time.Duration(days) * 24 * time.Hour); m.Before(now); m = m.Add(time.Minute) {
		x.model.Learn(m, shadowUsual(m), c)
	}
	return x
}

// plantAnomaly wants an alarm of a planted spike and of a planted silence, and none of what is
// usual, nor of what was learned for too short a time.
func (s *Service) plantAnomaly(ctx context.Context) (clause.Result, error) { // clause: mon.abnormal
	now := s.Now().UTC().Truncate(time.Minute)
	known, young := s.shadow(now, shadowDays), s.shadow(now, baseline.LearnDays-1)
	var steps []clause.Step
	for _, p := range []struct {
		act     string
		of      *learned
		times   float64
		alarm   string
		control bool
	}{
		{"let a shadow series go on as it did for four weeks", known, 1, "", true},
		{"plant five times as many requests as usual", known, 5, "traffic-spike", false},
		{"plant a twentieth of the requests", known, 0.05, "traffic-drop", false},
		{"plant the same in a series of thirteen days", young, 5, "", true},
	} {
		got, err := s.raisedBy(ctx, p.of, now, math.Round(p.times*shadowUsual(now)))
		if err != nil {
			return clause.Result{}, err
		}
		steps = append(steps, clause.Step{Act: p.act, Expected: cmp.Or(p.alarm, "no alarm"), Got: cmp.Or(got, "no alarm"), OK: got == p.alarm, Control: p.control})
	}
	return clause.Judge("a planted spike and a planted drop raised their alarms", steps...), nil
}

// raisedBy compares a minute of a shadow, and raises what the rules then raise; it is taken back.
func (s *Service) raisedBy(ctx context.Context, x *learned, m time.Time, v float64) (rule string, err error) {
	l := &learner{told: map[ofSeries]map[string]bool{}, judged: m}
	x.compare(m, &series.Point{Value: v, Count: int64(v)}, 0, s.usualConfig())
	for _, rd := range l.readings(x) {
		for _, r := range index().reads[rd.Meter] {
			if rd.Value <= r.Above {
				continue
			}
			_, err := s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
				if err := s.try(ctx, tx, shot{rule: r, reading: &rd}); err != nil {
					return nil, err
				}
				return nil, errTakenBack
			})
			if err != nil && !errors.Is(err, errTakenBack) {
				return "", err //nolint:wrapcheck // the ledger says what failed
			}
			rule = r.ID
		}
	}
	return rule, nil
}
