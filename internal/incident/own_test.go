package incident_test

import (
	"testing"

	"writ/internal/actor"
	"writ/internal/incident"
	"writ/internal/ledger/ledgertest"
)

// A person's copy holds what they reported while they were signed in, and what they were told about
// exposed data once it was said; nothing of others.
func TestOwn(t *testing.T) { // breaks: inc.breach-notify
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		ctx := t.Context()
		own := func(person string) ([]incident.OwnReport, []incident.OwnWord) {
			t.Helper()
			reports, words, err := w.svc.Own(ctx, person)
			if err != nil {
				t.Fatal(err)
			}
			return reports, words
		}
		w.breach.burst(kit.Clock.Now())
		w.breached()
		w.scoped("I-1")
		w.notifying("I-1")
		if _, words := own("ann"); len(words) != 0 {
			t.Errorf("before it is said: %+v", words)
		}
		w.sendAll()
		if reports, words := own("ann"); len(reports) != 0 || len(words) != 1 || words[0].Incident != "I-1" || words[0].Class != "obtained" || words[0].State != "accepted" || words[0].Hits != 3 || words[0].First.IsZero() {
			t.Errorf("%+v %+v", reports, words)
		}
		if _, words := own("cy"); len(words) != 0 {
			t.Errorf("of somebody else: %+v", words)
		}
		stamp, err := w.svc.Stamp(ctx, "192.0.2.0/24")
		if err != nil {
			t.Fatal(err)
		}
		who := actor.Actor{Kind: actor.Person, ID: "cy", Team: "t1", TeamKind: "customer", Session: "s", Via: "https"}
		id, err := w.svc.Report(ctx, who, incident.NewReport{Kind: "data", Text: "I see somebody else's data.", Email: "cy@example.test", Network: "192.0.2.0/24", Stamp: stamp})
		if err != nil {
			t.Fatal(err)
		}
		reports, _ := own("cy")
		if len(reports) != 1 || reports[0].Reference != id || reports[0].Kind != "data" || reports[0].Text != "I see somebody else's data." || reports[0].Email != "cy@example.test" || !reports[0].Answered.IsZero() {
			t.Errorf("%+v", reports)
		}
		if reports, _ := own("ann"); len(reports) != 0 {
			t.Errorf("of somebody else: %+v", reports)
		}
	}, tables...)
}
