package incident_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/incident/engine"
	"writ/internal/ledger/ledgertest"
)

var nobodyAnswers = "nobody answers, and customers wait"

// alone asks to pass a guard, and says which guards keep it and the code.
func (l *lossy) alone(name, guard string) (guards []string, code string) {
	l.t.Helper()
	_, err := l.svc.PassAlone(l.t.Context(), l.as(name), l.ref, guard, nobodyAnswers)
	if k, ok := errors.AsType[*incident.Kept](err); ok {
		for _, x := range k.Unmet {
			guards = append(guards, x.Guard)
		}
		return guards, k.Fault.Code
	}
	code, _ = fault.PublicOf(err)
	return nil, code
}

// planned is lost data with a plan that dev alone has signed.
func planned(t *testing.T, kit *ledgertest.Kit, after string) *lossy {
	t.Helper()
	l := lostWorld(t, kit, t.TempDir(), nil, nil)
	l.setRules(map[string]any{"inc.process/solo_after": after})
	l.harm()
	l.sorted()
	l.to("R3")
	l.ok(l.svc.MakePlan(t.Context(), l.as("dev"), l.ref, incident.NewPlan{}))
	return l
}

// keeps says which guards keep the step that begins the rehearsal.
func (l *lossy) keeps(event string) []string {
	l.t.Helper()
	_, err := l.svc.Take(l.t.Context(), l.as("dev"), l.ref, incident.Step{Event: event})
	if err == nil {
		return nil
	}
	guards, _ := l.kept(err)
	return guards
}

// Where the policy allows it, one person stands for two under the plan, once all others were asked
// and none has acted in the incident for as long as it says. It shows as done alone, and for this
// plan only.
func TestOnePersonAloneAtNight(t *testing.T) { // breaks: inc.process, inc.loss-restore
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		l := planned(t, kit, "30m")
		if guards, _ := l.alone("eve", "plan-signed"); !slices.Equal(guards, []string{"plan-signed"}) {
			t.Errorf("somebody who has not signed it: %v", guards)
		}
		if _, code := l.alone("dev", "plan-signed"); code != "" {
			t.Fatalf("the others are not asked: %s", code)
		}
		if got := l.post.to("incident.second-wanted"); !slices.Equal(got, []string{"ana", "ben", "eve"}) {
			t.Errorf("asked: %v", got)
		}
		kit.Clock.Advance(29 * time.Minute)
		if guards, _ := l.alone("dev", "plan-signed"); !slices.Equal(guards, []string{"second-person"}) || l.entries("passed-alone") != 0 {
			t.Errorf("before its time: %v", guards)
		}
		if v := l.show(l.ref); v.Solos[0].From.Sub(v.Solos[0].Asked) != 30*time.Minute {
			t.Errorf("shown: %+v", v.Solos)
		}
		kit.Clock.Advance(2 * time.Minute)
		if guards := l.keeps("choose"); !slices.Contains(guards, "plan-signed") {
			t.Errorf("nobody passed it, and it passes: %v", guards)
		}
		l.signs("dev") // the signature from before counts no more
		if _, code := l.alone("dev", "plan-signed"); code != "" {
			t.Fatalf("after its time: %s", code)
		}
		if _, code := l.alone("dev", "plan-signed"); code != "passed" {
			t.Errorf("twice: %s", code)
		}
		e := kit.Recorded("incident.passed-alone")
		if len(e) != 1 || e[0].Fields["guard"] != "plan-signed" || e[0].Fields["object"] != l.show(l.ref).Loss.Hash || e[0].Reason != nobodyAnswers {
			t.Fatalf("recorded: %+v", e)
		}
		if guards := l.keeps("choose"); guards != nil {
			t.Fatalf("it does not pass: %v", guards)
		}
		if v := l.show(l.ref); !v.Loss.Enough || v.Solos[0].Passed.IsZero() || v.Solos[0].Name != "Name of dev" || v.Solos[0].Reason != nobodyAnswers {
			t.Errorf("shown: %+v", v.Solos)
		}
		kit.Clock.Advance(time.Second)
		l.ok(l.svc.MakePlan(t.Context(), l.as("dev"), l.ref, incident.NewPlan{Onset: l.show(l.ref).OnsetFrom.Add(time.Second)}))
		if v := l.show(l.ref); v.Loss.Enough {
			t.Error("another plan passes by what was said of the first")
		}
	}, tables...)
}

func (l *lossy) signs(name string) {
	l.t.Helper()
	l.ok(l.svc.Approve(l.t.Context(), l.as(name), l.ref, "plan", ""))
}

// Whoever acts in the incident has answered: nobody goes on alone past them, until they were asked again.
func TestWhoeverActsHasAnswered(t *testing.T) { // breaks: inc.process
	l := planned(t, ledgertest.Open(t, tables...), "15m")
	l.alone("dev", "plan-signed")
	l.kit.Clock.Advance(14 * time.Minute)
	l.ok(l.svc.Write(t.Context(), l.as("eve"), l.ref, "I am here, and read the plan.", ""))
	l.kit.Clock.Advance(2 * time.Minute)
	if v := l.show(l.ref); v.Solos[0].Answerer != "Name of eve" || !v.Solos[0].From.IsZero() {
		t.Errorf("shown: %+v", v.Solos)
	}
	if _, code := l.alone("dev", "plan-signed"); code != "" || l.entries("passed-alone") != 0 || l.entries("second-asked") != 2 {
		t.Fatalf("past somebody who answered: %q, passed %d, asked %d", code, l.entries("passed-alone"), l.entries("second-asked"))
	}
	l.ok(l.svc.Write(t.Context(), l.as("dev"), l.ref, "I wait.", "")) // is no answer of another
	l.kit.Clock.Advance(14 * time.Minute)
	l.signs("dev") // what was signed half an hour ago counts no more
	if guards, _ := l.alone("dev", "plan-signed"); !slices.Equal(guards, []string{"second-person"}) {
		t.Errorf("asked again, before its time: %v", guards)
	}
	l.kit.Clock.Advance(time.Minute)
	if _, code := l.alone("dev", "plan-signed"); code != "" || l.entries("passed-alone") != 1 {
		t.Errorf("after its time: %q", code)
	}
}

// Alone one passes what two may let pass, and what was done by hand; never what nobody may, nothing of a
// breach or of what the public is told, nothing before the application is down or once it is up,
// and nothing where the policy does not allow it.
func TestNeverAlone(t *testing.T) { // breaks: inc.process, inc.breach-notify, inc.loss-restore
	l := lostWorld(t, ledgertest.Open(t, tables...), t.TempDir(), nil, func(_ *lossy, w *incident.World) { w.Recovery = nil })
	l.sorted()
	refused := func(what, guard, want string) {
		t.Helper()
		before := l.entries("step-refused")
		if _, code := l.alone("dev", guard); code != want || l.entries("step-refused") != before+1 {
			t.Errorf("%s, %s: %q, want %q, recorded", what, guard, code, want)
		}
	}
	refused("the policy allows nobody", "copy-kept", "solo_off")
	l.setRules(map[string]any{"inc.process/solo_after": "15m"})
	refused("before it is taken down", "copy-kept", "step_unmet")
	l.step("dev", l.ref, "take-down", "")
	l.worked()
	for _, guard := range []string{"scope-signed", "letter-signed", "dismissal-signed", "risk-signed", "no-leak", "soaked", "point-before-onset", "has-operator", "review-approved", "nothing"} {
		refused("down", guard, "solo_never")
	}
	for _, m := range engine.Machines() {
		for _, st := range m.Steps {
			for _, guard := range st.Guards {
				if m.Region != engine.B {
					continue
				}
				if _, code := l.alone("dev", guard); code != "solo_never" {
					t.Errorf("of a breach, %s: %q", guard, code)
				}
			}
		}
	}
	refused("nothing recorded", "frozen-proved", "step_unmet")
	pass := func(guard string) {
		t.Helper()
		for range 2 {
			if guards, code := l.alone("dev", guard); code != "" {
				t.Fatalf("%s: %v %s", guard, guards, code)
			}
			l.kit.Clock.Advance(15 * time.Minute)
		}
	}
	l.step("dev", l.ref, "certify", "")
	l.worked()
	l.ok(l.svc.RecordHand(t.Context(), l.as("dev"), l.ref, "frozen-proved", "Looked twice at the position, ten seconds apart."))
	if _, code := l.alone("eve", "frozen-proved"); code != "step_unmet" {
		t.Errorf("what another recorded: %q", code)
	}
	pass("frozen-proved")
	v := l.show(l.ref)
	if i := slices.IndexFunc(v.Proofs, func(p incident.Proof) bool { return p.Guard == "frozen-proved" }); i < 0 || !v.Proofs[i].Good || !strings.Contains(v.Proofs[i].Says, "alone") || v.Loss.Hands[0].Other != "Name of dev, alone" {
		t.Errorf("it does not show as done alone: %+v %+v", v.Proofs, v.Loss.Hands)
	}
	l.step("dev", l.ref, "preserve", "")
	l.worked()
	l.ok(l.svc.MakePlan(t.Context(), l.as("dev"), l.ref, incident.NewPlan{At: l.kit.Clock.Now().Add(-3 * time.Hour), Point: "nightly 3", Target: "postgres://db.internal/app", Says: "pg_restore of the nightly copy"}))
	pass("copy-kept")
	if guards := l.keeps("choose"); slices.Contains(guards, "copy-kept") || !slices.Contains(guards, "plan-signed") {
		t.Errorf("after it was passed alone: %v", guards)
	}
	l.kit.Clock.Advance(90 * 24 * time.Hour)
	if guards := l.keeps("choose"); !slices.Contains(guards, "copy-kept") {
		t.Errorf("an exception that does not end: %v", guards)
	}
	token := l.as("dev")
	token.Token = "t-1"
	if _, err := l.svc.PassAlone(t.Context(), token, l.ref, "copy-kept", nobodyAnswers); !errors.Is(err, fault.Denied) {
		t.Errorf("by a token: %v", err)
	}
}
