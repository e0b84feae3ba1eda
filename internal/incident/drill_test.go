package incident_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/demo/rescue"
	"writ/internal/demo/sample"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
)

// stage damages a copy of an application beside the real one.
type stage struct {
	t      testing.TB
	l      *lossy
	struck int
}

func (s *stage) Set(ctx context.Context) (time.Time, error) {
	dir := s.t.TempDir()
	clock := s.l.kit.Clock.Now
	app, err := sample.New(ctx, sample.Options{File: filepath.Join(dir, "sample.db"), Verifier: &sample.Verifier{}, Now: clock})
	if err != nil {
		return time.Time{}, err
	}
	s.t.Cleanup(func() { _ = app.Close() })
	copied := lossy{world: s.l.world, store: app.Store()}
	copied.harm()
	gate := &fileGate{file: filepath.Join(dir, "gate"), now: clock}
	s.l.svc.SetWorlds(same, func(w incident.World) incident.World {
		w.Gate, w.Recovery = gate, rescue.New(app, clock)
		return w
	}, s)
	return clock(), nil
}

func (s *stage) Strike(context.Context) error { s.struck++; return nil }

func same(w incident.World) incident.World { return w }

// drilled plays a drill to its end, and returns what was said.
func (w *world) drilled(who actor.Actor, ref string) []string {
	w.t.Helper()
	var said []string
	for range 200 {
		p, err := w.svc.Play(w.t.Context(), who, ref)
		if err != nil {
			w.ok(incident.Case{}, err)
		}
		if p.Done {
			return said
		}
		if p.Waits {
			return append(said, p.Says)
		}
		if p.Says == "" {
			w.worked()
			w.tend()
			continue
		}
		said = append(said, p.Says)
	}
	w.t.Fatalf("it does not come to an end: %q", said)
	return nil
}

// Each kind of drill goes its whole way by a script, is scored, and touches nothing real.
func TestDrills(t *testing.T) { // breaks: inc.prepared, host.bcp
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := lostWorld(t, kit, t.TempDir(), nil, nil)
		st := &stage{t: t, l: l}
		l.svc.SetWorlds(same, same, st)
		before := l.store.Last()
		if r := l.run("incident.drills"); r.Outcome == "pass" {
			t.Errorf("prepared without a drill: %s", r.Summary)
		}
		for i, who := range []actor.Actor{l.as("dev"), operator, operator} {
			kind := []string{"data-loss", "outage", "third-party"}[i]
			c, err := l.svc.Drill(t.Context(), who, incident.NewDrill{Kind: kind, Play: true})
			ref := l.ok(c, err).Ref()
			if _, err := l.svc.Drill(t.Context(), who, incident.NewDrill{Kind: kind}); !errors.Is(err, fault.Conflict) {
				t.Errorf("two drills at once: %v", err)
			}
			if i > 0 { // who was given a role has done nothing yet
				l.ok(l.svc.TakeRole(t.Context(), who, ref, engine.Commander, "ana"))
			}
			said := l.drilled(who, ref)
			v := l.show(ref)
			if v.State() != "closed" || len(said) < 10 {
				t.Fatalf("%s: %s after %q", kind, v.State(), said)
			}
			scores, err := l.svc.Scores(t.Context(), l.as("ana"))
			if err != nil || len(scores) != i+1 || !scores[0].Passed || scores[0].Kind != kind || !scores[0].Played {
				t.Errorf("%s: %+v %v", kind, scores, err)
			}
			if kind == "data-loss" {
				if x := scores[0]; x.RTO < 10 || x.RPO != 600 || x.People != 1 {
					t.Errorf("measured: %+v", x)
				}
				if !slices.Contains(v.Loss.Signers, "the sandbox (played)") && !strings.Contains(strings.Join(said, "\n"), "signs the plan (played)") {
					t.Error("it does not show who was played")
				}
			}
			kit.Clock.Advance(time.Minute)
		}
		if got := l.post.to("incident.drill"); !slices.Equal(got, []string{"dev"}) {
			t.Errorf("letters to %v", got)
		}
		if got := l.post.to("incident.drill-scored"); !slices.Equal(got, []string{"dev"}) {
			t.Errorf("letters to %v", got)
		}
		if len(l.gate.read().Calls) != 0 || l.store.Last() != before || st.struck != 1 || len(l.post.to("incident.lost-writes")) != 0 {
			t.Error("a drill has touched what is real, or its stage still stands")
		}
		if r := l.run("incident.continuity"); r.Outcome != "pass" {
			t.Errorf("continuity: %s", r.Summary)
		}
		l.setRules(map[string]any{"inc.prepared/kinds": []string{"data-loss", "outage", "third-party"}})
		l.follow()
		if r := l.run("incident.drills"); r.Outcome != "pass" {
			t.Errorf("prepared: %s", r.Summary)
		}
		l.setRules(map[string]any{"host.bcp/rpo": time.Minute})
		if r := l.run("incident.continuity"); r.Outcome != "fail" {
			t.Errorf("more was lost than the plan allows: %s", r.Summary)
		}
		l.setRules(map[string]any{"inc.prepared/kinds": []string{"data-loss", "outage", "third-party"}})
		kit.Clock.Advance(181 * 24 * time.Hour)
		for _, id := range []string{"incident.drills", "incident.continuity"} {
			if r := l.run(id); r.Outcome == "pass" {
				t.Errorf("%s: an old drill counts: %s", id, r.Summary)
			}
		}
	}, tables...)
}

// follow has people say that they followed what the operator has played, which until then counts
// for nothing.
func (l *lossy) follow() {
	l.t.Helper()
	ctx := l.t.Context()
	token := l.as("ben")
	token.Token, token.Scopes = "t-1", []string{string(access.IncidentAct)}
	for _, ref := range []string{"D-2", "D-3"} {
		if r := l.run("incident.drills"); r.Outcome != "fail" || !strings.Contains(r.Summary, "nobody took part") || !strings.Contains(r.Summary, ref) {
			l.t.Errorf("%s before anybody followed it: %s, %s", ref, r.Outcome, r.Summary)
		}
		for _, who := range []actor.Actor{operator, token, l.as("fay")} {
			if _, err := l.svc.Followed(ctx, who, ref); !errors.Is(err, fault.Denied) {
				l.t.Errorf("%s followed it: %v", who.String(), err)
			}
		}
		if v := l.show(ref); v.Practice == nil || v.Practice.People != 0 || !v.Practice.Asks {
			l.t.Errorf("%s: %+v", ref, v.Practice)
		}
		l.ok(l.svc.Followed(ctx, l.as("ana"), ref))
		if _, err := l.svc.Followed(ctx, l.as("ana"), ref); !errors.Is(err, fault.Conflict) {
			l.t.Errorf("followed twice: %v", err)
		}
		if v := l.show(ref); v.Practice.People != 1 || v.Practice.Asks || !slices.Equal(v.Practice.Names, []string{"Name of ana"}) {
			l.t.Errorf("%s: %+v", ref, v.Practice)
		}
	}
	if l.entries("drill-followed") != 2 {
		l.t.Error("who followed it is not recorded")
	}
	if _, err := l.svc.Followed(ctx, l.as("dev"), "D-1"); !errors.Is(err, fault.Conflict) {
		l.t.Errorf("dev began it: %v", err)
	}
	c, err := l.svc.Drill(ctx, operator, incident.NewDrill{Kind: "outage", Play: true})
	ref := l.ok(c, err).Ref()
	if _, err := l.svc.Followed(ctx, l.as("ana"), ref); !errors.Is(err, fault.Conflict) {
		l.t.Errorf("followed before it is over: %v", err)
	}
	l.drilled(operator, ref)
	l.kit.Clock.Advance(8 * 24 * time.Hour)
	if _, err := l.svc.Followed(ctx, l.as("ana"), ref); !errors.Is(err, fault.Conflict) {
		l.t.Errorf("followed a week ago: %v", err)
	}
}

// A named second person signs for themselves; a real incident comes first; nobody else plays
// it; a drill that was given up has not passed.
func TestDrillWithPeople(t *testing.T) { // breaks: inc.prepared
	l := lostWorld(t, ledgertest.Open(t, tables...), t.TempDir(), nil, nil)
	l.svc.SetWorlds(same, same, &stage{t: t, l: l})
	ctx := t.Context()
	if _, err := l.svc.Drill(ctx, l.as("dev"), incident.NewDrill{Kind: "flood"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("an unknown kind: %v", err)
	}
	if _, err := l.svc.Drill(ctx, l.as("dev"), incident.NewDrill{Kind: "outage", With: "dev"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("beside oneself: %v", err)
	}
	c, err := l.svc.Drill(ctx, l.as("dev"), incident.NewDrill{Kind: "data-loss", With: "ben", Play: true})
	ref := l.ok(c, err).Ref()
	said := l.drilled(l.as("dev"), ref)
	if last := said[len(said)-1]; !strings.Contains(last, "Waits for Name of ben to sign the plan") {
		t.Fatalf("it says %q", last)
	}
	if _, err := l.svc.Play(ctx, l.as("eve"), ref); !errors.Is(err, fault.Denied) {
		t.Errorf("played by somebody else: %v", err)
	}
	l.declared()
	if _, err := l.svc.Play(ctx, l.as("dev"), ref); !errors.Is(err, fault.Conflict) {
		t.Errorf("beside a real incident: %v", err)
	}
	l.step("ana", "I-1", "cancel", "it was nothing")
	if _, err := l.svc.Drill(ctx, l.as("dev"), incident.NewDrill{Kind: "outage"}); !errors.Is(err, fault.Conflict) {
		t.Errorf("two at once: %v", err)
	}
	l.ok(l.svc.Approve(ctx, l.as("ben"), ref, "plan", ""))
	said = l.drilled(l.as("dev"), ref)
	if last := said[len(said)-1]; !strings.Contains(last, "approve the review") {
		t.Fatalf("it says %q", last)
	}
	if got := l.show(ref).States[engine.R]; got != "R12" {
		t.Errorf("the data stands at %s", got)
	}
	l.ok(l.svc.Approve(ctx, l.as("ben"), ref, "review", ""))
	l.drilled(l.as("dev"), ref)
	scores, err := l.svc.Scores(ctx, l.as("ana"))
	if err != nil || !scores[0].Passed || scores[0].People != 2 {
		t.Errorf("%+v %v", scores, err)
	}
	if got := l.post.to("incident.drill"); !slices.Equal(got, []string{"ben", "dev"}) {
		t.Errorf("letters to %v", got)
	}
	c, err = l.svc.Drill(ctx, l.as("dev"), incident.NewDrill{Kind: "outage"})
	ref = l.ok(c, err).Ref()
	if _, err := l.svc.Play(ctx, l.as("dev"), ref); !errors.Is(err, fault.Conflict) {
		t.Errorf("a script plays what people lead: %v", err)
	}
	l.step("dev", ref, "cancel", "no time for it")
	l.tend()
	if scores, err = l.svc.Scores(ctx, l.as("ana")); err != nil || scores[0].Passed || !strings.Contains(scores[0].Problems[0], "not led to its end") {
		t.Errorf("given up: %+v %v", scores, err)
	}
}
