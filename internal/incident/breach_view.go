package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Exposure is what a breach tells of people, for those who work on it.
type Exposure struct {
	Case      Case
	Aware     time.Time
	Held      time.Time
	Lifted    time.Time
	Pace      string
	Clocks    []Wall
	Scope     Scope // the newest version; Version 0 = there is none
	Papers    []Paper
	Tasks     []Task
	Letters   map[string]int64 // by state
	Contained bool
	Cuts      []string // kinds of what can be ended
}

// Exposure is what a breach tells of people. That somebody looked is recorded.
func (s *Service) Exposure(ctx context.Context, who actor.Actor, ref string) (Exposure, error) {
	c, err := s.known(ctx, who, ref, "breach")
	if err != nil {
		return Exposure{}, err
	}
	v := Exposure{Case: c}
	var held int64
	var lifted, aware *int64
	if err := ledger.One(ctx, s.DB, breachRow, []any{&held, &lifted, &aware, &v.Pace}, c.ID); err != nil && !errors.Is(err, fault.NotFound) {
		return Exposure{}, fmt.Errorf("read a breach: %w", err)
	}
	v.Held, v.Lifted, v.Aware = at(held), when(lifted), when(aware)
	if cuts := s.world(c).Cuts; cuts != nil {
		v.Cuts = cuts.Kinds()
	}
	f := &engine.Facts{Now: s.Now(), Proved: map[string]bool{}}
	for _, read := range []func() error{
		func() (err error) { v.Clocks, err = s.walls(ctx, c.ID); return err },
		func() (err error) { v.Papers, err = s.papers(ctx, c, ""); return err },
		func() (err error) { v.Tasks, err = s.tasks(ctx, c.ID); return err },
		func() (err error) { v.Letters, err = s.letterCounts(ctx, c.ID); return err },
		func() error { return s.breachFacts(ctx, s.DB, c, f) },
		func() (err error) {
			if v.Scope, err = s.scope(ctx, c, 0); errors.Is(err, fault.NotFound) {
				err = nil
			}
			return err
		},
	} {
		if err := read(); err != nil {
			return Exposure{}, err
		}
	}
	v.Contained = f.Proved["contained"]
	return v, nil
}

// Breach is a line of the register of 33(5).
type Breach struct {
	Ref       string    `json:"incident"`
	Title     string    `json:"facts"`
	Declared  time.Time `json:"declared"`
	Aware     time.Time `json:"aware,omitzero"`
	State     string    `json:"state"`
	Effects   string    `json:"effects,omitempty"`
	Risk      string    `json:"risk,omitempty"`
	Set       string    `json:"set,omitempty"`
	Versions  int       `json:"versions"`
	Obtained  int64     `json:"obtained"`
	Accessed  int64     `json:"accessed"`
	Possibly  int64     `json:"possibly"`
	Letters   int64     `json:"letters"`
	Authority string    `json:"authority,omitempty"`
	Remedial  []string  `json:"remedial_action,omitempty"`
	Dismissed string    `json:"dismissed,omitempty"`
}

// Register is every breach that was suspected or known, the oldest first: an entry always,
// also where nobody had to be told.
func (s *Service) Register(ctx context.Context, who actor.Actor) ([]Breach, error) { // clause: inc.breach-notify
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return nil, err
	}
	if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return BreachSeen{What: "register"}, nil }); err != nil {
		return nil, err
	}
	all, err := s.cases(ctx, s.DB, breaches)
	if err != nil {
		return nil, err
	}
	out := []Breach{}
	for _, c := range all {
		b, err := s.registered(ctx, c)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (s *Service) registered(ctx context.Context, c Case) (Breach, error) {
	m, _ := engine.Of(engine.B)
	st, _ := m.State(c.States[engine.B])
	b := Breach{Ref: c.Ref(), Title: c.Title, Declared: c.Declared, State: st.Name}
	var aware *int64
	if err := ledger.One(ctx, s.DB, awareOf, []any{&aware}, c.ID); err != nil && !errors.Is(err, fault.NotFound) {
		return b, err
	}
	b.Aware = when(aware)
	if x, err := newestScope(ctx, s.DB, c.ID); err == nil {
		b.Set, b.Versions, b.Obtained, b.Accessed, b.Possibly = x.Hash, x.Version, x.counts[4], x.counts[3], x.counts[2]
	} else if !errors.Is(err, fault.NotFound) {
		return b, err
	}
	counts, err := s.letterCounts(ctx, c.ID)
	if err != nil {
		return b, err
	}
	for _, n := range counts {
		b.Letters += n
	}
	all, err := s.papers(ctx, c, "")
	if err != nil {
		return b, err
	}
	for _, p := range all {
		b.enter(p)
	}
	return b, nil
}

// enter takes from a paper what belongs into the register; the newest of a kind comes first.
func (b *Breach) enter(p Paper) {
	switch p.Kind {
	case paperRisk:
		if r := (Risk{}); b.Risk == "" && p.Read(&r) {
			b.Risk, b.Effects = r.Level, r.Reason
		}
	case paperReceipt:
		if r := (Receipt{}); b.Authority == "" && p.Read(&r) {
			if b.Authority = r.Number; b.Authority == "" {
				b.Authority = r.Reason
			}
		}
	case paperMeasure:
		if m := (Measure{}); p.Read(&m) {
			b.Remedial = append(b.Remedial, m.What)
		}
	case paperDismissal:
		if d := (Dismissal{}); b.Dismissed == "" && p.Read(&d) {
			b.Dismissed = d.Reason
		}
	}
}

const (
	breachRow = `SELECT held, lifted, aware, pace FROM incident_breach WHERE case_id = $1`
	breaches  = caseColumns + ` WHERE b <> '' AND NOT drill ORDER BY declared, id LIMIT 1000`
)
