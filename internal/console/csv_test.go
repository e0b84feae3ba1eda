package console_test

import (
	"encoding/csv"
	"net/netip"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway/trail"
)

// A table is CSV for whoever may see it, and asking for it is recorded as ever.
func TestTablesAsCSV(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/gate/requests?as=csv"
	w.trail.Add(trail.Record{At: w.kit.Clock.Now(), Who: actor.Actor{Kind: actor.Stranger}, Route: "/contacts/", Method: "GET", Status: 404, Code: "app", Took: 12 * time.Millisecond, Addr: netip.MustParseAddr("198.51.100.7"), Resource: []string{"=cmd()"}})
	w.kit.Clock.Advance(time.Second)
	p := w.get("emil", at).want(200)
	if ct := p.Header().Get("Content-Type"); ct != "text/csv; charset=utf-8; header=present" {
		t.Error(ct)
	}
	rows, err := csv.NewReader(p.Body).ReadAll()
	if err != nil || len(rows) != 2 || rows[0][0] != "When" || rows[1][3] != "GET /contacts/ (=cmd())" || rows[1][4] != "404 (app)" || rows[1][0] != w.kit.Clock.Now().Add(-time.Second).UTC().Format(time.RFC3339) {
		t.Errorf("%v %q", err, rows)
	}
	w.settle()
	w.get("emil", "/-/console/journal?act=gateway.records-searched").want(200, "gateway.records-searched person")
	w.get("suna", at).want(403)
	w.get("emil", at+"&table=2").want(404, "no such table")
	w.get("emil", at+"&table=x").want(404, "no such table")
	w.get("emil", "/-/console/journal?as=csv").want(200, "Entry,When,Act")
}
