package gateway_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway"
)

// speaking is an application that says what its answers show: the query holds its headers.
func speaking(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(q)) { // what is a header comes before what is a body
		for _, v := range q[name] {
			switch name {
			case "long":
				var n int
				fmt.Sscan(v, &n)
				io.CopyN(w, zeros{}, int64(n))
			case "packed":
				w.Header().Set("Content-Encoding", "gzip")
				var b strings.Builder
				for i := range 600_000 {
					fmt.Fprintf(&b, "%010d", i*7919)
				}
				io.WriteString(w, packed(b.String()))
			default:
				w.Header().Add(name, v)
			}
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// What the application says of its answer stands in the access record, bounded, and does not
// reach the client.
func TestAccessRecordsOfWhatIsShown(t *testing.T) { // breaks: inc.breach-scope
	n := &notes{}
	k := open(t, options{routes: recorded, trail: n, upstream: http.HandlerFunc(speaking)})
	many := strings.Repeat("contact=12345678,", 200)
	for _, q := range []string{
		"Writ-Team=acme&Writ-Record=contact=17,+note=3&Writ-Rows=2", "Writ-Rows=500&Writ-Record=contact=1", "Writ-Record=" + many,
		"Writ-Team=a+b&Writ-Record=Contact=1,contact=2&Writ-Rows=-1", "Writ-Rows=1&Writ-Rows=2", "",
	} {
		if got := k.do(k.client(), "GET", "/contacts/17?"+q, asAna); got.StatusCode != 200 || slices.ContainsFunc([]string{"Writ-Team", "Writ-Record", "Writ-Rows"}, func(h string) bool { return got.Header.Get(h) != "" }) {
			t.Errorf("%s: %d %v", q, got.StatusCode, got.Header)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var got []string
	for _, r := range n.all {
		if len(r.Resource) > 9 {
			r.Resource = append(r.Resource[:1:1], fmt.Sprint(len(r.Resource)), r.Resource[len(r.Resource)-1])
		}
		got = append(got, fmt.Sprint(r.Teams, r.Resource, r.Rows))
	}
	want := []string{
		"[acme] [contact=17 contact=17 note=3] 2", "[] [contact=17 contact=1] 500", "[] [contact=17 130 ?] 200",
		"[?] [contact=17 contact=2 ?] 2", "[] [contact=17] 1", "[] [contact=17] 0",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// One person alone looks at one team's data, at 500 rows and 5 MiB in an answer, and at 50 teams
// on a day; with a second person's yes at more. Whoever looks without a reason at no team's.
func TestBulkReads(t *testing.T) { // breaks: use.need-to-see
	now := time.Now()
	n := &notes{}
	k := open(t, options{routes: recorded, trail: n, upstream: http.HandlerFunc(speaking), now: func() time.Time { return now }})
	look := actor.Actor{Kind: actor.Support, ID: "eve", For: "ana", Team: "team-1", TeamKind: "customer", Roles: []string{"member"}, Session: "look-1", Via: "https"}
	k.sessions.set("look", look)
	agreed := look
	agreed.Writes = true
	k.sessions.set("agreed", agreed)
	staff := person("eve", "engineer")
	staff.Team, staff.TeamKind = "staff", "staff"
	k.sessions.set("staff", staff)
	for _, x := range []struct {
		who, query, code string // code "" = shown
	}{
		{"look", "Writ-Rows=500&Writ-Team=team-1", ""}, {"look", "Writ-Rows=501", "bulk_read"}, {"agreed", "Writ-Rows=501", ""}, {"ana", "Writ-Rows=501", ""},
		{"look", "Writ-Team=team-1,team-2", "other_team"}, {"agreed", "Writ-Team=team-2", "other_team"}, {"staff", "Writ-Team=team-1", "reason_required"}, {"staff", "Writ-Team=staff&Writ-Rows=999", ""},
		{"look", "Writ-Rows=many", "answer_unclear"}, {"staff", "Writ-Team=a+b", "answer_unclear"}, {"ana", "Writ-Rows=many", ""},
		{"look", "Content-Length=5242881&long=5242881", "bulk_read"}, {"look", "Content-Length=5242880&long=5242880", ""}, {"agreed", "long=5242881", ""}, {"look", "long=5242880", ""},
	} {
		got := k.do(k.client(), "GET", "/things?"+x.query, "Cookie: __Host-writ="+x.who, "Accept: application/json")
		if x.code == "" && got.StatusCode != 200 || x.code != "" && (got.StatusCode < 400 || !strings.Contains(got.body, `"code":"`+x.code+`"`)) {
			t.Errorf("%s %s: %d %.200s", x.who, x.query, got.StatusCode, got.body)
		}
	}
	for _, q := range []string{"long=6000000", "packed=1"} { // its length shows as it comes: the rest is cut
		req, err := http.NewRequestWithContext(t.Context(), "GET", k.base+"/things?"+q, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", "__Host-writ=look")
		res, err := k.client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil || len(b) > 5<<20 {
			t.Errorf("%s: %d bytes, %v", q, len(b), err)
		}
	}
	get := func(who actor.Actor, team int) int {
		who.Team = fmt.Sprint("t-", team)
		k.sessions.set("x", who)
		return k.do(k.client(), "GET", "/things", "Cookie: __Host-writ=x").StatusCode
	}
	for i := range 49 {
		if got := get(look, i); got != 200 {
			t.Fatalf("team %d: %d", i+2, got)
		}
	}
	if got := []int{get(look, 49), get(look, 7), get(agreed, 49)}; !slices.Equal(got, []int{403, 200, 200}) {
		t.Errorf("the 51st team, a former one, with a second person: %v", got)
	}
	now = now.Add(24 * time.Hour)
	if got := get(look, 49); got != 200 {
		t.Errorf("the next day: %d", got)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	codes := map[any]bool{}
	for _, e := range k.kit.Recorded("gateway.request-refused") {
		if e.Clause == "use.need-to-see" {
			codes[e.Fields["code"]] = true
		}
	}
	if !codes["bulk_read"] || !codes["other_team"] || !codes["answer_unclear"] || !codes["reason_required"] {
		t.Errorf("recorded: %v", codes)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	cut := 0
	for _, r := range n.all {
		if r.Code == "bulk_read" && r.Status == 200 {
			cut++
		}
	}
	if cut != 2 {
		t.Errorf("%d records of answers that were cut", cut)
	}
}

// A cookie under a name of this server does not reach the client, and that the application tried
// is recorded.
func TestOwnCookiesAreDropped(t *testing.T) { // breaks: auth.best-practice
	k := open(t, options{routes: recorded, upstream: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Link", "</a>")
		w.Header().Add("Set-Cookie", "__Host-writ=early")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header()["Set-Cookie"] = []string{"__Host-writ=stolen; Path=/; Secure", " __host-writ-device=x", "mine=1"}
	})})
	if got := k.do(k.client(), "GET", "/contacts/1", asAna); fmt.Sprint(got.Header["Set-Cookie"]) != "[mine=1]" {
		t.Errorf("%v", got.Header["Set-Cookie"])
	}
	for range 2 {
		if err := k.g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	es := k.kit.Recorded("gateway.cookies-dropped")
	if len(es) != 1 || es[0].Fields["route"] != "/contacts/" || fmt.Sprint(es[0].Fields["count"]) != "3" || es[0].Clause != "auth.best-practice" {
		t.Errorf("%+v", es)
	}
}

// Whatever an application says, what is kept of it is bounded and plain.
func FuzzShown(f *testing.F) {
	f.Add("acme, b", "contact=17,note=3", "5")
	f.Add("?", ",,=,a=", "-1")
	f.Fuzz(func(t *testing.T, team, record, rows string) {
		teams, records, n, unclear := gateway.ReadShown(http.Header{"Writ-Team": {team}, "Writ-Record": {record, record}, "Writ-Rows": {rows}})
		size := 0
		for _, s := range append(slices.Clone(teams), records...) {
			if size += len(s); s != "?" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~:/@+-=") != "" {
				t.Errorf("%q is kept", s)
			}
		}
		if size > 2<<10+2 || n < 0 || !unclear && n == 0 && len(records) > 0 {
			t.Errorf("%d bytes, %d rows, %v", size, n, unclear)
		}
	})
}
