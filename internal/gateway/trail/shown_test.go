package trail_test

import (
	"bytes"
	"strings"
	"testing"

	"writ/internal/actor"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger/ledgertest"
)

// What the application said it showed is kept with the record, is exported, and is found by
// whose data it was as well as by who asked.
func TestWhatWasShown(t *testing.T) { // breaks: inc.breach-scope
	both(t, func(t *testing.T, w *world) {
		bot := actor.Actor{Kind: actor.Machine, ID: "bot", Team: "team-x", Token: "t-1"}
		w.Add(trail.Record{At: w.kit.Clock.Now(), Who: bot, Route: "/a", Method: "GET", Status: 200, Resource: []string{"contact=17"}, Teams: []string{"acme", "other"}, Rows: 12})
		w.ask(person("ana"), "GET", "/a", 200)
		for _, team := range []string{"team-x", "other"} {
			if got := w.find(trail.Query{Team: team}); len(got) != 1 || got[0].Rows != 12 || strings.Join(got[0].Teams, " ") != "acme other" || got[0].Resource[0] != "contact=17" {
				t.Errorf("%s: %+v", team, got)
			}
		}
		for _, form := range []string{trail.JSONLines, trail.OCSF} {
			var b bytes.Buffer
			if w.must(w.Export(t.Context(), auditor, trail.Query{Team: "acme"}, form, &b)); strings.Count(b.String(), "\n") != 1 || !strings.Contains(b.String(), `"teams":["acme","other"],"rows":12`) {
				t.Errorf("%s: %s", form, b.String())
			}
		}
	})
}

// However much waits, and however long the records are, all of it can be read again.
func TestLongRecordsAreRead(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	long := []string{strings.Repeat("x", 2500)}
	const n = 28_000 // more than can be read at once
	for range n {
		w.Add(trail.Record{At: w.kit.Clock.Now(), Who: person("ana"), Route: "/a", Method: "GET", Status: 200, Resource: long})
	}
	w.must(w.Close(t.Context()))
	parts, _, err := w.Scan(t.Context(), auditor, w.kit.Clock.Now().Add(-1), w.kit.Clock.Now(), func(*trail.Found) error { return nil })
	if w.must(err); len(parts) != 1 || parts[0].Read != n || parts[0].Broken != "" {
		t.Errorf("%+v", parts)
	}
}
