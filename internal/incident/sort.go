package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Sorting is the decision what an incident is.
type Sorting struct {
	Kinds    []string
	Severity int  // 1 to 4; 0 = as it is
	Public   bool // a public notice is owed, whatever the kind
	Version  int64
}

// Severities say when which one holds, from 1.
var Severities = []string{
	"Down, or data exposed or lost for more than one team in twenty",
	"A core function cannot be used, or any exposure is confirmed",
	"Degraded",
	"Cosmetic",
}

// Categorise decides kind and severity. From triage it makes the incident active and opens
// what the kind asks for; later it changes the decision, and opens more.
func (s *Service) Categorise(ctx context.Context, who actor.Actor, ref string, in Sorting) (Case, error) { // clause: inc.categorise
	kinds := strings.Fields(kindsText(in.Kinds))
	for _, k := range kinds {
		if !slices.Contains(s.kinds(), k) {
			return Case{}, fault.New(fault.Invalid, "kind_unknown", fault.Public{Problem: fmt.Sprintf("There is no kind %q.", k), Expected: "One or more of: " + strings.Join(s.kinds(), ", ") + ".",
				Fields: []fault.Field{{Name: "kinds", Code: "kind_unknown", Problem: "One or more of: " + strings.Join(s.kinds(), ", ") + "."}}})
		}
	}
	if in.Severity < 0 || in.Severity > 4 {
		return Case{}, badSeverity()
	}
	return s.act(ctx, who, ref, in.Version, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !c.Open() || c.States[engine.L] == "L0" {
			return nil, kept(*c, engine.L, "categorise", nil)
		}
		if len(kinds) > 0 {
			c.Categories = kinds
		}
		if in.Severity > 0 {
			c.Severity = in.Severity
		}
		if _, err := tx.Exec(ctx, setSorting, c.ID, kindsText(c.Categories), c.Severity); err != nil {
			return nil, err
		}
		ev := Categorised{Incident: c.ID, Round: c.Round, Categories: c.Categories, Severity: c.Severity}
		if c.States[engine.L] == "L1" {
			t, err := s.take(ctx, tx, who, c, engine.L, "categorise", nil)
			if err != nil {
				return nil, err
			}
			tx.Also(t.event)
		}
		return ev, s.openRegions(ctx, tx, c, in.Public)
	})
}

// openRegions begins what the kind of an incident asks for, where it is not open yet.
func (s *Service) openRegions(ctx context.Context, tx *ledger.Tx, c *Case, public bool) error {
	has := func(k string) bool { return slices.Contains(c.Categories, k) }
	if has("data-loss") {
		if err := s.begin(ctx, tx, c, engine.R); err != nil {
			return err
		}
	}
	if has("breach") {
		if err := s.begin(ctx, tx, c, engine.B); err != nil {
			return err
		}
	}
	// Who uses the service sees it: that is a public notice. A drill has no public.
	seen, err := s.impacted(ctx, tx, c.ID)
	if err != nil {
		return err
	}
	if !c.Drill && (public || seen || has("data-loss") || has("usability") && c.Severity > 0 && c.Severity <= 2) { // clause: inc.public-notice
		return s.begin(ctx, tx, c, engine.C)
	}
	return nil
}

// begin opens a region at its start.
func (s *Service) begin(ctx context.Context, tx *ledger.Tx, c *Case, r engine.Region) error {
	if c.States[r] != "" {
		return nil
	}
	ev, err := s.opened(ctx, tx, c, r)
	if err == nil {
		tx.Also(ev)
	}
	return err
}

// opened is the same for whoever orders the events of a change.
func (s *Service) opened(ctx context.Context, tx *ledger.Tx, c *Case, r engine.Region) (Moved, error) {
	m, _ := engine.Of(r)
	if err := move(ctx, tx, c, r, m.Start); err != nil {
		return Moved{}, err
	}
	if r == engine.B {
		if err := s.breachBegun(ctx, tx, *c); err != nil {
			return Moved{}, err
		}
	}
	ev := Moved{Incident: c.ID, Round: c.Round, Region: string(r), To: m.Start, Event: "begin", clause: "inc.process"}
	st, ok := m.Late(m.Start)
	if !ok {
		return ev, nil
	}
	return ev, s.start(ctx, tx, *c, r, s.within(st.Due), st.Due)
}

// Grade changes the severity. Deadlines that run stay as they are: lowering extends nothing.
func (s *Service) Grade(ctx context.Context, who actor.Actor, ref string, severity int, reason string) (Case, error) {
	reason, err := reasonOf(reason)
	if err != nil {
		return Case{}, err
	}
	if severity < 1 || severity > 4 {
		return Case{}, badSeverity()
	}
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !c.Open() {
			return nil, kept(*c, engine.L, "severity", nil)
		}
		from := c.Severity
		c.Severity = severity
		if _, err := tx.Exec(ctx, setSorting, c.ID, kindsText(c.Categories), severity); err != nil {
			return nil, err
		}
		ev := Graded{Incident: c.ID, Round: c.Round, From: from, To: severity, reason: reason}
		if at := c.States[engine.L]; at == "L2" || at == "L3" {
			return ev, s.openRegions(ctx, tx, c, false)
		}
		return ev, nil
	})
}

func badSeverity() error {
	return fault.New(fault.Invalid, "severity", fault.Public{Problem: "A severity is a number from 1 to 4.", Expected: "1: " + Severities[0] + ". 4: " + Severities[3] + ".",
		Fields: []fault.Field{{Name: "severity", Code: "severity", Problem: "A number from 1 to 4."}}})
}

const setSorting = `UPDATE incident_case SET categories = $2, severity = $3 WHERE id = $1`
