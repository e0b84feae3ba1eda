package incident_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/engine"
)

// The law gives the report to the authority its own time, whatever the policy gives customers:
// a policy that is slower does not loosen it, one that is faster does not call it late.
func TestTwoTimes(t *testing.T) { // breaks: inc.breach-notify
	for policy, leave := range map[time.Duration]time.Duration{240 * time.Hour: 72 * time.Hour, 24 * time.Hour: 24 * time.Hour} {
		w := open(t)
		w.breach.burst(w.kit.Clock.Now())
		w.setRules(map[string]any{"inc.breach-notify/within": policy})
		w.breached()
		suspected := w.kit.Clock.Now()
		w.kit.Clock.Advance(time.Hour)
		known := w.kit.Clock.Now()
		w.scoped("I-1")
		for _, k := range w.exposure("I-1").Clocks {
			want := policy
			if k.Name == "authority" {
				want = 72 * time.Hour
			}
			if k.Name == "assessment" {
				if !k.Due.Equal(suspected.Add(72*time.Hour)) || !k.Ended.Equal(known) {
					t.Errorf("policy %s: %+v", policy, k)
				}
				continue
			}
			if !k.Due.Equal(known.Add(want)) {
				t.Errorf("policy %s: %s is due after %s", policy, k.Name, k.Due.Sub(known))
			}
		}
		due := func(where string, want time.Duration) {
			t.Helper()
			for _, st := range w.show("I-1").Stands {
				if st.Machine.Region == engine.B && !st.Due.Equal(known.Add(want)) {
					t.Errorf("policy %s: %s is due after %s, want %s", policy, where, st.Due.Sub(known), want)
				}
			}
		}
		due("what comes before the report", leave)
		w.ok(w.svc.DecideRisk(t.Context(), w.as("eve"), "I-1", incident.Risk{Level: "high", Reason: "Contacts of customers can be used to deceive them."}))
		w.signs("I-1", "risk", "dev")
		w.step("eve", "I-1", "decide-risk", "")
		w.kit.Clock.Set(known.Add(73 * time.Hour))
		report := incident.Receipt{Phase: "first", Pack: strings.Repeat("a", 64), Number: "A-17"}
		w.ok(w.svc.FileReceipt(t.Context(), w.as("eve"), "I-1", report))
		if w.free("I-1", "report") {
			t.Errorf("policy %s: after 73 hours the report needs no reason", policy)
		}
		report.Reason = "We learned of it from the vendor, and had to look first."
		w.ok(w.svc.FileReceipt(t.Context(), w.as("eve"), "I-1", report))
		w.step("eve", "I-1", "report", "")
		due("word to customers", policy)
	}
}

// From the first suspicion there are 72 hours to decide whether it is a breach. It is told of
// like the times of the law, and ends with the decision, whichever it is.
func TestAssessment(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	ctx := t.Context()
	w.breached()
	suspected := w.kit.Clock.Now()
	told := 0
	for _, h := range []int{23, 24, 48, 60, 68, 72} {
		w.kit.Clock.Set(suspected.Add(time.Duration(h) * time.Hour))
		w.tend()
		w.tend()
		if h > 23 {
			told++
		}
		if got := w.kit.Recorded("incident.clock-told"); len(got) != told || told > 0 && (got[told-1].Fields["clock"] != "assessment" || got[told-1].Fields["missed"] != (h == 72)) {
			t.Fatalf("after %d hours: %+v", h, got)
		}
	}
	if got := w.post.to("incident.clock"); !slices.Equal(got, []string{"dev", "dev", "dev", "dev", "dev", "eve", "eve", "eve", "eve", "eve"}) {
		t.Errorf("letters about the time to %v", got)
	}
	if k := w.exposure("I-1").Clocks; len(k) != 1 || !k[0].Missed {
		t.Errorf("%+v", k)
	}
	run := func(end func(ref string)) {
		t.Helper()
		c, _, err := w.svc.Declare(ctx, w.as("dev"), incident.Signal{Title: "A laptop is gone"})
		w.ok(c, err)
		ref := c.Ref()
		w.step("dev", ref, "acknowledge", "")
		w.ok(w.svc.TakeRole(ctx, w.as("eve"), ref, engine.Privacy, ""))
		w.ok(w.svc.Categorise(ctx, w.as("dev"), ref, incident.Sorting{Kinds: []string{"breach"}, Severity: 3}))
		end(ref)
		k := w.exposure(ref).Clocks[0]
		for _, x := range w.exposure(ref).Clocks {
			if x.Name == "assessment" {
				k = x
			}
		}
		if k.Name != "assessment" || k.Ended.IsZero() || k.Missed || k.Void {
			t.Errorf("%s: %+v", ref, k)
		}
	}
	run(func(ref string) { w.step("eve", ref, "confirm", "") })
	run(func(ref string) {
		w.ok(w.svc.Dismiss(ctx, w.as("eve"), ref, incident.Dismissal{Reason: "The disk was encrypted, and it was switched off."}))
		w.signs(ref, "dismissal")
		w.step("eve", ref, "dismiss", "The disk was encrypted.")
	})
	run(func(ref string) { w.step("dev", ref, "cancel", "It was under the desk.") })
}

// The policy's own times begin with every breach: from when the incident was declared, or from when the
// breach was known; those alone move with that.
func TestTimesOfThePolicy(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	ctx := t.Context()
	w.setRules(map[string]any{"inc.breach-notify/clocks": [][]string{{"contract with Grove", "declared", "86400s", "Grove Ltd"}, {"law of the state", "aware", "172800s", "the attorney general"}}})
	w.breached()
	declared := w.show("I-1").Declared
	w.kit.Clock.Advance(5 * time.Hour)
	due := func(name string) (out []incident.Wall) {
		for _, k := range w.exposure("I-1").Clocks {
			if k.Name == name && !k.Void {
				out = append(out, k)
			}
		}
		return out
	}
	if k := due("contract with Grove"); len(k) != 1 || !k[0].Due.Equal(declared.Add(24*time.Hour)) || len(due("law of the state")) != 0 {
		t.Fatalf("%+v", k)
	}
	w.step("eve", "I-1", "confirm", "")
	known := w.kit.Clock.Now()
	if k := due("law of the state"); len(k) != 1 || !k[0].Due.Equal(known.Add(48*time.Hour)) {
		t.Errorf("%+v", k)
	}
	to := known.Add(-2 * time.Hour)
	w.ok(w.svc.MoveAware(ctx, w.as("eve"), "I-1", to, "The letter of the vendor came in the morning"))
	w.ok(w.svc.MoveAware(ctx, w.as("dev"), "I-1", to, "I have seen that letter"))
	if k := due("law of the state"); len(k) != 1 || !k[0].Due.Equal(to.Add(48*time.Hour)) {
		t.Errorf("it does not move: %+v", k)
	}
	if k := due("contract with Grove"); len(k) != 1 || !k[0].Due.Equal(declared.Add(24*time.Hour)) {
		t.Errorf("it moves: %+v", k)
	}
	w.kit.Clock.Set(declared.Add(24 * time.Hour))
	w.tend()
	told := false
	for _, e := range w.kit.Recorded("incident.clock-told") {
		told = told || e.Fields["clock"] == "contract with Grove" && e.Fields["missed"] == true
	}
	w.post.mu.Lock()
	owed := false
	for _, m := range w.post.sent {
		owed = owed || m.Kind == "incident.clock" && strings.Contains(m.Text, "It is owed to: Grove Ltd.")
	}
	w.post.mu.Unlock()
	if !told || !owed {
		t.Errorf("it is not told of: %v, %v", told, owed)
	}
	for name, bad := range map[string][][]string{
		"reserved": {{"authority", "aware", "86400s", ""}}, "from": {{"law", "suspected", "86400s", ""}}, "short": {{"law", "aware", "60s", ""}}, "long": {{"law", "aware", "99999999s", ""}}, "columns": {{"law", "aware", "86400s"}}, "nameless": {{"", "aware", "86400s", ""}},
	} {
		if err := (&incident.Rules{Clocks: bad}).Validate(); err == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
}
