package incident_test

import (
	"testing"

	"writ/internal/clause"
	"writ/internal/ledger/ledgertest"
)

// What must be refused is tried, and leaves nothing behind: no incident, no entry, no letter.
func TestLifeCanaries(t *testing.T) { // breaks: inc.categorise, inc.process, inc.eta, inc.tell-affected, inc.learn, inc.patch
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		for id, tried := range map[string]int{"sort-first": 4, "no-skip": 8, "update-whole": 3, "told-first": 3, "learn-first": 4, "fix-ends": 6} {
			r := w.run("incident." + id)
			if r.Outcome != clause.Pass || len(r.Steps) != tried {
				t.Errorf("%s: %s %s", id, r.Outcome, r.Summary)
			}
		}
		if n := w.count(`SELECT COUNT(*) FROM incident_case`); n != 0 || len(kit.Recorded()) != 0 || w.count(`SELECT COUNT(*) FROM incident_clock`) != 0 {
			t.Errorf("%d incidents and %d entries are left", n, len(kit.Recorded()))
		}
		w.setRules(map[string]any{"inc.eta/eta": "optional"})
		if r := w.run("incident.update-whole"); r.Outcome != clause.Pass {
			t.Errorf("where the policy asks for no estimate: %s", r.Summary)
		}
	}, tables...)
}
