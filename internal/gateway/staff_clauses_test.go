package gateway_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger"
)

// The replay of what staff were shown fails for each way in which they should not have been.
func TestStaffReadsControl(t *testing.T) { // breaks: use.need-to-see
	now := time.Now()
	n := &notes{}
	away := errors.New("the table is away")
	k := open(t, options{routes: recorded, trail: n, look: func(_ context.Context, id string) (from, until time.Time, err error) {
		switch id {
		case "look-1":
			return now.Add(-10 * time.Minute), now.Add(-5 * time.Minute), nil
		case "look-away":
			return from, until, away
		}
		return from, until, fault.NotFound
	}})
	adopted(k, time.Unix(0, 0))
	staff := actor.Actor{Kind: actor.Person, ID: "eve", Team: "staff", TeamKind: "staff", Session: "s-eve"}
	look := actor.Actor{Kind: actor.Support, ID: "eve", For: "ana", Team: "team-1", TeamKind: "customer", Session: "look-1"}
	of := func(who actor.Actor, session string) actor.Actor { who.Session = session; return who }
	at := func(who actor.Actor, ago time.Duration, route string, status int, code string, teams ...string) trail.Record {
		return trail.Record{At: now.Add(-ago), Who: who, Addr: netip.MustParseAddr("198.51.100.7"), Route: route, Method: "GET", Status: status, Code: code, Teams: teams}
	}
	good := []trail.Record{
		at(look, 7*time.Minute, "/staff/", 200, "", "team-1", trail.Unread), at(look, 6*time.Minute, "*", 304, ""), at(staff, time.Minute, "*", 200, ""), at(staff, time.Minute, "GET /-/console", 200, ""),
		at(staff, time.Minute, "/staff/", 403, "reason_required"), at(staff, time.Minute, "/staff/", 404, ""), at(staff, 3*time.Hour, "/staff/", 200, ""),
		at(actor.Actor{Kind: actor.Person, ID: "ana", Team: "team-1", TeamKind: "customer"}, time.Minute, "/staff/", 200, ""),
	}
	bycanary := at(staff, time.Minute, "/staff/", 200, "")
	bycanary.Addr = netip.MustParseAddr("127.77.3.4")
	n.all = append(good, bycanary)
	r := control(t, k, nil, "gateway.staff-reads")
	if mustPass(t, r); r.Population != 3 {
		t.Errorf("%d answers", r.Population)
	}
	for want, bad := range map[string]trail.Record{
		"without a look":                        at(staff, time.Minute, "/staff/", 200, ""),
		"outside the time of the look":          at(look, 4*time.Minute, "/staff/", 200, ""),
		"in a look that nobody knows of":        at(of(look, "look-2"), 7*time.Minute, "/contacts/", 200, ""),
		"of another team than that of the look": at(look, 7*time.Minute, "/contacts/", 200, "", "team-1", "team-2"),
	} {
		n.all = append(good[:len(good):len(good)], bad)
		mustFail(t, control(t, k, nil, "gateway.staff-reads"), want)
	}
	n.all = []trail.Record{at(of(look, "look-away"), 7*time.Minute, "/staff/", 200, "")}
	for _, c := range k.g.Controls(nil) {
		if c.ID == "gateway.staff-reads" {
			if _, err := c.Run(t.Context()); !errors.Is(err, away) {
				t.Errorf("looks that cannot be read: %v", err)
			}
		}
	}
	n.all = []trail.Record{at(staff, 30*time.Minute, "/staff/", 200, "")}
	adopted(k, now.Add(-20*time.Minute))
	r = control(t, k, nil, "gateway.staff-reads")
	if mustPass(t, r); r.Population != 0 {
		t.Errorf("what came before the routes were as they are: %d", r.Population)
	}
	mustFail(t, control(t, open(t, options{}), nil, "gateway.staff-reads"), "no access records")
}

// adopted changes when the routes were adopted.
func adopted(k *gate, at time.Time) {
	k.t.Helper()
	if _, err := k.kit.DB.Change(k.t.Context(), actor.System("test"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(k.t.Context(), `UPDATE gateway_routes SET adopted = $1 WHERE one = 1`, at.UnixMicro())
		return gateway.RoutesAdopted{}, err
	}); err != nil {
		k.t.Fatal(err)
	}
}
