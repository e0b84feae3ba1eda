package engine_test

import (
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/incident/engine"
	"writ/internal/policy/policytest"
)

// The tables are walked: each state is reached and can be left for one where a region may
// rest, each guard and role is known, each deadline is a parameter of the policy, and no
// state has two ways for one event.
func TestTablesAreWhole(t *testing.T) { // breaks: inc.process
	values := policytest.Values()
	used := map[string]bool{}
	for _, m := range engine.Machines() {
		reached, rests := map[string]bool{m.Start: true}, map[string]bool{}
		for _, s := range m.States {
			if s.Name == "" || s.Says == "" || !strings.HasSuffix(s.Says, ".") {
				t.Errorf("%s says nothing to a person", s.ID)
			}
			rests[s.ID] = s.Rest
		}
		for range m.States {
			for _, s := range m.Steps {
				reached[s.To] = reached[s.To] || reached[s.From]
				rests[s.From] = rests[s.From] || rests[s.To]
			}
		}
		for _, s := range m.States {
			if !reached[s.ID] {
				t.Errorf("%s is never reached", s.ID)
			}
			if !rests[s.ID] {
				t.Errorf("%s is a dead state: no way leads to a rest", s.ID)
			}
			if !s.Rest && len(m.From(s.ID)) == 0 {
				t.Errorf("%s has no way out", s.ID)
			}
		}
		seen := map[string]bool{}
		for _, s := range m.Steps {
			if _, ok := m.State(s.From); !ok {
				t.Errorf("%s: no state %s", m.Region, s.From)
			}
			if _, ok := m.State(s.To); !ok {
				t.Errorf("%s: no state %s", m.Region, s.To)
			}
			if seen[s.From+s.Event] {
				t.Errorf("%s has two ways for %s", s.From, s.Event)
			}
			seen[s.From+s.Event] = true
			for _, g := range s.Guards {
				used[g] = true
				if known, _ := engine.Known(g); !known {
					t.Errorf("%s %s: guard %q has no meaning", s.From, s.Event, g)
				}
			}
			if s.Role != engine.Anybody && s.Role != engine.Writ && !slices.Contains(engine.Roles(), s.Role) {
				t.Errorf("%s %s: there is no role %q", s.From, s.Event, s.Role)
			}
			if _, ok := values[s.Due].(time.Duration); s.Due != "" && !ok {
				t.Errorf("%s %s: the deadline %q is no parameter of the policy", s.From, s.Event, s.Due)
			}
			if s.Says == "" || s.Proof == "" || s.Duty < engine.Sort || s.Duty > engine.Repair || s.Clause == "" {
				t.Errorf("%s %s lacks a button, a proof, a step of the process or a clause", s.From, s.Event)
			}
		}
	}
	if got := len(used); got < 40 {
		t.Errorf("only %d guards are used", got)
	}
}

// The lifecycle has one way from first signal to closed, in the order of the process.
func TestLifeIsInOrder(t *testing.T) { // breaks: inc.process
	m, _ := engine.Of(engine.L)
	at, last := m.Start, engine.Duty(0)
	for _, event := range []string{"acknowledge", "categorise", "mitigate", "resolve", "review", "close"} {
		for _, other := range []string{"acknowledge", "categorise", "mitigate", "resolve", "review", "close"} {
			if _, ok := m.Find(at, other); ok != (other == event) {
				t.Errorf("in %s %s is possible: %v", at, other, ok)
			}
		}
		s, _ := m.Find(at, event)
		at, last = s.To, s.Duty
	}
	if at != "L6" || last != engine.Repair {
		t.Errorf("ends in %s", at)
	}
}

// Random events under random facts: a step is taken only where each of its guards holds
// when asked alone, or was waived and may be.
func TestNoStepPastItsGuard(t *testing.T) { // breaks: inc.process, inc.categorise
	taken, kept := 0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 7))
		states := map[engine.Region]string{}
		for _, m := range engine.Machines() {
			states[m.Region] = m.Start
		}
		for range 60 {
			all := engine.Machines()
			m := all[r.IntN(len(all))]
			events := m.Events()
			s, ok := m.Find(states[m.Region], events[r.IntN(len(events))])
			if !ok {
				continue
			}
			f := someFacts(r, states)
			lacks := engine.Unmet(m.Region, s, f)
			for _, g := range s.Guards {
				_, waivable := engine.Known(g)
				alone := engine.Unmet(m.Region, engine.Step{Guards: []string{g}}, bare(f))
				passes := len(alone) == 0 || waivable && f.Waived[engine.WaiverOf(m.Region, g)]
				if listed := slices.ContainsFunc(lacks, func(l engine.Lack) bool { return l.Guard == g }); listed == passes {
					t.Fatalf("seed %d: %s %s: guard %s passes %v and is listed as unmet %v", seed, s.From, s.Event, g, passes, listed)
				}
			}
			if len(lacks) > 0 {
				kept++
				continue
			}
			taken++
			states[m.Region] = s.To
			if s.To == "L2" && s.From == "L1" && (len(f.Categories) == 0 || f.Severity == 0 || !f.Roles[engine.Commander]) {
				t.Fatalf("seed %d: active without kind, severity or commander", seed)
			}
		}
	}
	if taken < 1000 || kept < 1000 {
		t.Errorf("%d steps were taken and %d kept: the facts are one-sided", taken, kept)
	}
}

// bare is the same without waivers.
func bare(f *engine.Facts) *engine.Facts {
	g := *f
	g.Waived = nil
	return &g
}

func someFacts(r *rand.Rand, states map[engine.Region]string) *engine.Facts {
	yes := func() bool { return r.IntN(4) > 0 }
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	f := &engine.Facts{Now: now, Reason: yes(), Severity: r.IntN(5), Roles: map[engine.Role]bool{}, States: states, Waived: map[string]bool{}, Green: yes(), GreenSince: now.Add(-time.Duration(r.IntN(40)) * time.Minute),
		Soak: 15 * time.Minute, Public: !yes(), Monitoring: yes(), Estimate: yes(), Leak: !yes(), NextDue: now.Add(time.Duration(r.IntN(40)-30) * time.Minute), AudienceOwe: r.IntN(2), Audience: yes(), Subscribers: max(0, r.IntN(6)-4),
		Author: "a", Actor: []string{"a", "b"}[r.IntN(2)], ReviewSigned: yes(), Measures: yes(), Expiry: now.Add(time.Duration(r.IntN(60)-10) * 24 * time.Hour), LongestFix: 30 * 24 * time.Hour,
		LastingOwned: yes(), Test: yes(), Proved: map[string]bool{}}
	if yes() {
		f.Categories = []string{"usability"}
	}
	for _, role := range engine.Roles() {
		f.Roles[role] = yes()
	}
	for _, m := range engine.Machines() {
		for _, s := range m.Steps {
			for _, g := range s.Guards {
				f.Proved[g] = yes()
				f.Waived[engine.WaiverOf(m.Region, g)] = r.IntN(8) == 0
			}
		}
	}
	return f
}

// What must be so can be passed by nobody, however many agree.
func TestFirmGuardsAreNotWaived(t *testing.T) { // breaks: inc.categorise, inc.eta, inc.learn
	f := &engine.Facts{Waived: map[string]bool{}}
	for _, c := range []struct {
		r    engine.Region
		name string
		firm bool
	}{{engine.L, "has-category", true}, {engine.L, "measures", true}, {engine.C, "estimate-given", true}, {engine.F, "expiry-set", true}, {engine.B, "scope-signed", true}, {engine.L, "soaked", false}, {engine.L, "affected-told", false}} {
		f.Waived[engine.WaiverOf(c.r, c.name)] = true
		if left := engine.Unmet(c.r, engine.Step{Guards: []string{c.name}}, f); (len(left) == 1) != c.firm {
			t.Errorf("%s waived: %v", c.name, left)
		}
	}
	f.Waived = map[string]bool{engine.WaiverOf(engine.C, "soaked"): true}
	if left := engine.Unmet(engine.L, engine.Step{Guards: []string{"soaked"}}, f); len(left) != 1 {
		t.Error("a waiver of one region counts in another")
	}
	if left := engine.Unmet(engine.L, engine.Step{Guards: []string{"unheard-of"}}, f); len(left) != 1 {
		t.Error("a guard that nobody knows passes")
	}
}

// The drawing is well-formed, and has each state and each event of its table.
func TestDrawing(t *testing.T) {
	for _, m := range engine.Machines() {
		svg := m.Draw(m.Start)
		d := xml.NewDecoder(strings.NewReader(svg))
		text := ""
		for {
			tok, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", m.Region, err)
			}
			if c, ok := tok.(xml.CharData); ok {
				text += string(c) + "\n"
			}
		}
		for _, s := range m.States {
			if !strings.Contains(text, s.ID+" "+s.Name+"\n") {
				t.Errorf("%s is not drawn", s.ID)
			}
		}
		for _, s := range m.Steps {
			if strings.Count(text, s.Event+"\n") == 0 {
				t.Errorf("%s is not drawn", s.Event)
			}
		}
		if strings.Count(svg, `font-weight="bold"`) != 1 || strings.Contains(svg, "style=") {
			t.Errorf("%s: the state it stands at is not marked once", m.Region)
		}
	}
}
