package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/trail"
)

// notes are access records in memory.
type notes struct {
	mu     sync.Mutex
	all    []trail.Record
	lost   int64
	broken []string
}

func (n *notes) Add(r trail.Record) { n.mu.Lock(); defer n.mu.Unlock(); n.all = append(n.all, r) }
func (n *notes) Counts() (int64, int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return int64(len(n.all)), n.lost
}
func (n *notes) Whole(context.Context, time.Time) (int64, int64, []string, error) {
	return 1, int64(len(n.all)), n.broken, nil
}

const recorded = `- {path: /contacts/, who: signed-in, records: '/contacts/{contact}/notes/{note}'}
- {path: /staff/, who: signed-in, customer_data: true}
`

// Each request that the gate answers has one access record: who, where, what came of it,
// and which records its path names; what is refused as well.
func TestAccessRecords(t *testing.T) { // breaks: inc.breach-scope
	n := &notes{}
	k := open(t, options{routes: recorded, trail: n})
	c := k.client()
	k.do(c, "GET", "/contacts/17/notes/3?x=1", asAna)
	k.do(c, "GET", "/contacts/18", asAna)
	k.do(c, "GET", "/things", "Accept: application/json")
	k.do(c, "GET", "/things", "Accept: text/html")
	k.do(c, "GET", "/a/../b", asAna)
	k.send(c, "/open/x", strings.NewReader("four"))
	n.mu.Lock()
	defer n.mu.Unlock()
	var got []string
	for _, r := range n.all {
		got = append(got, fmt.Sprintf("%s %s %s %s %d %s %d %d %v %v", r.Who.Kind, r.Who.ID, r.Method, r.Route, r.Status, r.Code, r.In, r.Out, r.Resource, r.Addr.IsLoopback() && !r.At.IsZero()))
	}
	want := []string{
		"person ana GET /contacts/ 200  0 4 [contact=17 note=3] true",
		"person ana GET /contacts/ 200  0 4 [contact=18] true",
		"stranger 127.0.0.0/24 GET * 401 sign_in_needed 0 0 [] true",
		"stranger 127.0.0.0/24 GET * 302 sign_in_needed 0 0 [] true",
		"stranger 127.0.0.0/24 GET * 400 path_segment 0 0 [] true",
		"stranger 127.0.0.0/24 POST * 200  4 8 [] true",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	for _, bad := range []string{"contacts/{contact}", "/contacts/", "/contacts/{Contact}", "/{a}/{b}/{c}/{d}/{e}", "/x{y}"} {
		k.write("- {path: /x, who: signed-in, records: '" + bad + "'}\n")
		if err := k.g.Reload(t.Context(), actor.System("test")); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "records is") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// The control of access records fails when one is missing, and when a segment was altered.
func TestRecordsControl(t *testing.T) { // breaks: use.need-to-see
	n := &notes{}
	k := open(t, options{routes: recorded, trail: n})
	k.do(k.client(), "GET", "/things", asAna)
	mustPass(t, control(t, k, nil, "gateway.records-whole"))
	n.lost = 1
	mustFail(t, control(t, k, nil, "gateway.records-whole"), "1 of 2 requests")
	n.lost, n.broken = 0, []string{"one was altered"}
	mustFail(t, control(t, k, nil, "gateway.records-whole"), "one was altered")
	mustFail(t, control(t, open(t, options{}), nil, "gateway.records-whole"), "no access records")
}

// Staff come to customers' data by a look, which has a reason, and in no other way.
func TestCustomerDataTakesAReason(t *testing.T) { // breaks: use.need-to-see
	k := open(t, options{routes: recorded})
	staff := person("eve", "engineer")
	staff.Team, staff.TeamKind = "staff", "staff"
	k.sessions.set("eve", staff)
	k.sessions.set("look", actor.Actor{Kind: actor.Support, ID: "eve", For: "ana", Team: "team-1", TeamKind: "customer", Roles: []string{"member"}, Session: "look-1", Via: "https"})
	k.sessions.programs = map[string]actor.Actor{"writ_pat_eve": {Kind: actor.Person, ID: "eve", Team: "staff", TeamKind: "staff", Token: "t-1", Roles: []string{"engineer"}, Scopes: []string{"things:read"}, Via: "token"}}
	k.write("- {path: /staff/, who: signed-in, customer_data: true, scopes: ['things:read']}\n")
	if err := k.g.Reload(t.Context(), actor.System("test")); err != nil {
		t.Fatal(err)
	}
	if got := k.do(k.client(), "GET", "/staff/x", "Authorization: Bearer writ_pat_eve"); got.StatusCode != 403 || !strings.Contains(got.body, "reason_required") {
		t.Errorf("a token of staff: %d %s", got.StatusCode, got.body)
	}
	for who, want := range map[string]int{"eve": 403, "look": 200, "ana": 200} {
		got := k.do(k.client(), "GET", "/staff/x", "Cookie: __Host-writ="+who)
		if got.StatusCode != want || want == 403 && !strings.Contains(got.body, `"code":"reason_required"`) {
			t.Errorf("%s: %d %s", who, got.StatusCode, got.body)
		}
	}
	if got := k.do(k.client(), "GET", "/things", "Cookie: __Host-writ=eve"); got.StatusCode != 200 {
		t.Errorf("what is not the customers': %d", got.StatusCode)
	}
	k.write("- {path: /x, who: anyone, customer_data: true}\n")
	if err := k.g.Reload(t.Context(), actor.System("test")); fault.KindOf(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}
