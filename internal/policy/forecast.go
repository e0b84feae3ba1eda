package policy

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy/document"
	"writ/internal/web"
)

// forecastTime is how long one module may count.
const forecastTime = 20 * time.Second

// Forecast is what a policy would do to the people and things that are there, if it took
// hold at once and with the exceptions that hold now. It is counted anew at each reading:
// owners sign what is true then.
type Forecast struct {
	At      time.Time `json:"at"`
	Effects []Effect  `json:"effects"`
	Unseen  []string  `json:"not_counted"` // parameters that change and are obeyed, and that no module has counted
	Failed  []string  `json:"failed"`      // what could not be counted, and why: never to be read as "nothing happens"
}

// Effect is a line of a Forecast.
type Effect struct {
	Params []string      `json:"params"`
	Count  int64         `json:"count"`
	Says   string        `json:"says"`
	Within time.Duration `json:"-"`
	Words  string        `json:"within,omitempty"` // Within in words; the time begins when the policy takes hold, and is given once
}

// Touching are the lines in which somebody or something is touched.
func (f *Forecast) Touching() []Effect {
	return slices.DeleteFunc(slices.Clone(f.Effects), func(e Effect) bool { return e.Count == 0 })
}

// Calm are the parameters that were looked at and touch nobody.
func (f *Forecast) Calm() []string {
	var out []string
	for _, e := range f.Effects {
		for _, k := range e.Params {
			touches := slices.ContainsFunc(f.Effects, func(o Effect) bool { return o.Count > 0 && slices.Contains(o.Params, k) })
			if !touches && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	return out
}

// Trial is a draft that was tried and not stored.
type Trial struct {
	Changes  string             `json:"changes"`
	Needs    int                `json:"needs"` // owners
	Diff     document.Diff      `json:"diff"`
	Warnings []document.Problem `json:"warnings"`
	Forecast Forecast           `json:"forecast"`
}

// Try says what a draft would change and do, without effect: a dry run of Propose. A draft
// that the modules could not obey is refused as there.
func (s *Service) Try(ctx context.Context, who actor.Actor, d Draft) (Trial, error) {
	if err := s.access.Allow(ctx, who, access.PolicyPropose, ""); err != nil {
		return Trial{}, err
	}
	b := s.state()
	base, err := s.document(b.head())
	if err != nil {
		return Trial{}, err
	}
	p, err := s.drafted(base, d)
	if err != nil {
		return Trial{}, err
	}
	if err := s.obeyed(p); err != nil {
		return Trial{}, unbindable(err)
	}
	diff := document.Compare(base, p)
	return Trial{Changes: diff.Summary(), Needs: needs(base, diff), Diff: diff, Warnings: append([]document.Problem{}, document.Lint(p, s.vocab)...),
		Forecast: s.forecast(ctx, b, p)}, nil
}

// foresee completes a proposal that is not in force yet. It may take a while: never call it
// with mu held.
func (s *Service) foresee(ctx context.Context, p Proposal) (Proposal, error) {
	if p.State != Proposed && p.State != Approved {
		return p, nil
	}
	doc, err := s.Document(p.ID)
	if err != nil {
		return p, err
	}
	f := s.forecast(ctx, s.state(), doc)
	p.Forecast = &f
	return p, nil
}

// forecast asks every module that can say. What one cannot count takes nothing away from
// what the others can.
func (s *Service) forecast(ctx context.Context, b *book, p *document.Policy) Forecast {
	now := s.now()
	out := Forecast{At: now.UTC().Truncate(time.Second), Effects: []Effect{}, Unseen: []string{}, Failed: []string{}}
	next, changed, err := s.otherwise(b, p, now)
	if err != nil {
		out.Failed = append(out.Failed, "what would hold: "+said(err))
		return out
	}
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(s.forecasters)) {
		effects, err := s.ask(ctx, name, next)
		if err != nil {
			s.log.Error("a forecast could not be made", "module", name, "error", err)
			out.Failed = append(out.Failed, name+": "+said(err))
			continue
		}
		for _, e := range effects {
			for _, k := range e.Params {
				seen[k] = true
			}
			line := Effect{Params: e.Params, Count: e.Count, Says: e.Says, Within: e.Within}
			if e.Within > 0 {
				line.Words = web.Duration(e.Within)
			}
			out.Effects = append(out.Effects, line)
		}
	}
	for _, k := range changed {
		if !seen[k] {
			out.Unseen = append(out.Unseen, k)
		}
	}
	return out
}

func (s *Service) ask(ctx context.Context, name string, next clause.Values) ([]clause.Effect, error) {
	ctx, cancel := context.WithTimeout(ctx, forecastTime)
	defer cancel()
	return s.forecasters[name].Forecast(ctx, next)
}

// otherwise are the values that would hold under p now, and the parameters among them that
// a module obeys and that differ.
func (s *Service) otherwise(b *book, p *document.Policy, now time.Time) (next clause.Values, changed []string, err error) {
	p, _ = s.deviating(b, p, now)
	next, missing, err := s.bind(p, running)
	if err != nil {
		return nil, nil, err
	}
	s.mend(next, missing)
	m, err := s.Current()
	if err != nil {
		return nil, nil, err
	}
	for _, slot := range s.slots {
		for _, x := range slot.Bindings() {
			if !reflect.DeepEqual(next[x.Key], m.Values[x.Key]) {
				changed = append(changed, x.Key)
			}
		}
	}
	slices.Sort(changed)
	return next, slices.Compact(changed), nil
}

// said is an error as a reader may see it.
func said(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Public.Problem != "" {
		return strings.TrimSuffix(f.Public.Problem, ".")
	}
	return "it could not be counted, and the server's log says why"
}
