package incident_test

import (
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
		known := w.kit.Clock.Now()
		w.scoped("I-1")
		for _, k := range w.exposure("I-1").Clocks {
			want := policy
			if k.Name == "authority" {
				want = 72 * time.Hour
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
