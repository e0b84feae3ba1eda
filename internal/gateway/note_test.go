package gateway_test

import (
	"context"
	"fmt"
	"net/netip"
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

func (n *notes) ByStaff(_ context.Context, _ actor.Actor, _ string, from time.Time, fn func([]trail.Found) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var fs []trail.Found
	for _, r := range n.all {
		if staff := r.Who.TeamKind == "staff"; (staff || r.Who.Kind == actor.Support) && !r.At.Before(from) {
			fs = append(fs, trail.Found{At: r.At, Kind: string(r.Who.Kind), Team: r.Who.Team, Staff: staff, Session: r.Who.Session, Network: r.Network(), Route: r.Route, Method: r.Method, Status: r.Status, Code: r.Code, Teams: r.Teams})
		}
	}
	return fn(fs)
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
		got = append(got, fmt.Sprintf("%s %s %s %s %d %s %s %d %d %v %v", r.Who.Kind, r.Who.ID, r.Method, r.Route, r.Status, r.Code, r.Clause, r.In, r.Out, r.Resource, r.Addr.IsLoopback() && !r.At.IsZero()))
	}
	want := []string{
		"person ana GET /contacts/ 200   0 4 [contact=17 note=3] true",
		"person ana GET /contacts/ 200   0 4 [contact=18] true",
		"stranger 127.0.0.0/24 GET * 401 sign_in_needed use.no-automation 0 0 [] true",
		"stranger 127.0.0.0/24 GET * 302 sign_in_needed use.no-automation 0 0 [] true",
		"stranger 127.0.0.0/24 GET * 400 path_segment use.no-automation 0 0 [] true",
		"stranger 127.0.0.0/24 POST * 200   4 8 [] true",
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

// Pages of this server have records too. Their route is the pattern: what stands in a path
// of ours may open an account.
func TestAccessRecordsOfOwnPages(t *testing.T) { // breaks: inc.breach-scope
	n := &notes{}
	k := open(t, options{trail: n})
	c := http1(k)
	const secret = "onetimelink"
	shown := k.do(c, "GET", "/-/api/v1/gateway/waf", "Authorization: operator")
	k.do(c, "DELETE", "/-/api/v1/gateway/waf/exceptions/"+secret, "Authorization: operator")
	k.do(c, "GET", "/-/api/v1/gateway/waf?x="+secret)
	none := k.do(c, "GET", "/-/nothing/"+secret, "Accept: application/json")
	k.do(c, "GET", "/-/a/../"+secret)
	k.do(c, "GET", "/-/forward-auth", "X-Forwarded-Uri: /"+secret)
	n.mu.Lock()
	defer n.mu.Unlock()
	var got []string
	for _, r := range n.all {
		got = append(got, fmt.Sprintf("%s %s %s %d %s %v %v", r.Who.Kind, r.Method, r.Route, r.Status, r.Code, r.Out > 0, r.Addr.IsLoopback() && !r.At.IsZero()))
		if strings.Contains(fmt.Sprintf("%+v", r), secret) {
			t.Errorf("the record holds what stood in the path: %+v", r)
		}
	}
	want := []string{
		"operator GET /-/api/v1/gateway/waf 200  true true",
		"operator DELETE /-/api/v1/gateway/waf/exceptions/{id} 404 no_row true true",
		"stranger GET /-/api/v1/gateway/waf 401 sign_in_needed true true",
		"stranger GET /-/ 404 not_found true true",
		"stranger GET /-/ 400 path_segment true true",
		"stranger GET /-/ 403 proxy_not_trusted false true",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if len(n.all) > 3 && (n.all[0].Out != int64(len(shown.body)) || n.all[3].Out != int64(len(none.body))) {
		t.Errorf("%d and %d bytes, want %d and %d", n.all[0].Out, n.all[3].Out, len(shown.body), len(none.body))
	}
}

// A question of a trusted proxy is a record of the request that it asks about.
func TestAccessRecordsOfQuestions(t *testing.T) { // breaks: inc.breach-scope
	n := &notes{}
	k := open(t, options{routes: recorded, trail: n, proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for _, who := range []string{asAna, "Accept: application/json"} {
		k.do(http1(k), "GET", "/-/forward-auth", "X-Forwarded-Method: DELETE", "X-Forwarded-Proto: https", "X-Forwarded-Host: localhost", "X-Forwarded-Uri: /contacts/17?x=1", "X-Forwarded-For: 192.0.2.7", who)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var got []string
	for _, r := range n.all {
		got = append(got, fmt.Sprintf("%s %s %s %s %d %s %v", r.Who.Kind, r.Addr, r.Method, r.Route, r.Status, r.Code, r.Resource))
	}
	if strings.Join(got, "\n") != "person 192.0.2.7 DELETE /contacts/ 200  [contact=17]\nstranger 192.0.2.7 DELETE /contacts/ 401 sign_in_needed [contact=17]" {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
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
