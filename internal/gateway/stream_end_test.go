package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/ledger/ledgertest"
)

// talker is an application that speaks WebSocket at /ws and event streams elsewhere, for
// as long as it may.
func talker(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/ws") {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err == nil {
			_, _, _ = c.Read(r.Context())
			c.CloseNow()
		}
		return
	}
	if r.Method == http.MethodPost {
		_, _ = io.Copy(io.Discard, r.Body)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: one\n\n")
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// follow opens an event stream and tells when it has ended.
func (k *gate) follow(c *http.Client, path string, head ...string) (ended chan struct{}) {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), "GET", k.base+path, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	res, err := c.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	b := make([]byte, 11)
	if _, err := io.ReadFull(res.Body, b); err != nil || string(b) != "data: one\n\n" {
		k.t.Fatalf("%d %q %v", res.StatusCode, b, err)
	}
	ended = make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		close(ended)
	}()
	return ended
}

// look has the gate look after its streams until done says so, or for ever.
func (k *gate) look(done func() bool) {
	k.t.Helper()
	waitFor(k.t, func() bool { k.g.LookAfter(k.t.Context()); return done() })
}

func isOver(ended chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// A stream ends with what it was opened under: the session, the token, a role, the team,
// the factor. It outlives what has nothing to do with it.
func TestStreamsEndWithTheirCause(t *testing.T) { // breaks: auth.best-practice
	k := open(t, options{upstream: http.HandlerFunc(talker), routes: "- {path: /api/, who: signed-in, scopes: ['things:read']}\n"})
	k.sessions.programs = map[string]actor.Actor{"writ_pat_one": {Kind: actor.Machine, ID: "bot", Team: "team-1", Token: "t-1", Roles: []string{"member"}, Scopes: []string{"things:read", "more:read"}, Via: "token"}}
	const program = "Authorization: Bearer writ_pat_one"
	whole := person("ana", "member", "editor")
	whole.ACR = 2
	other := k.follow(k.client(), "/x", asAdmin)
	for cause, change := range map[string]func(){
		"ended": func() { k.sessions.set("ana", actor.Actor{Kind: actor.Person, ID: "ana", Session: "another"}) },
		"role": func() {
			a := whole
			a.Roles = []string{"member", "gained"}
			k.sessions.set("ana", a)
		},
		"team":   func() { a := whole; a.Team = "team-2"; k.sessions.set("ana", a) },
		"factor": func() { a := whole; a.ACR = 1; k.sessions.set("ana", a) },
	} {
		k.sessions.set("ana", whole)
		for name, c := range map[string]*http.Client{"HTTP/1.1": http1(k), "HTTP/2": k.client()} {
			k.sessions.set("ana", whole)
			events := k.follow(c, "/x", asAna)
			sock, _, err := websocketAt(k, "/x/ws", asAna)
			if err != nil {
				t.Fatal(err)
			}
			closed := make(chan struct{})
			go func() { _, _, _ = sock.Read(context.Background()); close(closed) }()
			waitFor(t, func() bool { return k.g.UnderWay() == 3 })
			k.g.LookAfter(t.Context())
			if isOver(events) || isOver(closed) {
				t.Fatalf("%s, %s: ended without a cause", cause, name)
			}
			change()
			k.look(func() bool { return isOver(events) && isOver(closed) })
			sock.CloseNow()
		}
		if isOver(other) {
			t.Fatalf("%s: somebody else's stream ended", cause)
		}
	}
	bot := k.follow(k.client(), "/api/x", program)
	k.sessions.mu.Lock()
	less := k.sessions.programs["writ_pat_one"]
	less.Scopes = []string{"things:read"}
	k.sessions.programs["writ_pat_one"] = less
	k.sessions.mu.Unlock()
	k.look(func() bool { return isOver(bot) })
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int64{}
	for _, e := range k.kit.Recorded("gateway.streams-cut") {
		n, _ := e.Fields["count"].(json.Number).Int64()
		seen[fmt.Sprint(e.Fields["cause"])] += n
	}
	if fmt.Sprint(seen) != "map[ended:4 factor:4 role:5 team:4]" {
		t.Errorf("recorded: %v", seen)
	}
}

// While it cannot be told who somebody is, their stream goes on for half a minute.
func TestStreamsOfAnUnknownEnd(t *testing.T) {
	k := open(t, options{upstream: http.HandlerFunc(talker)})
	events := k.follow(k.client(), "/x", asAna)
	k.sessions.mu.Lock()
	k.sessions.errs["standing"] = fault.Unavailable
	k.sessions.mu.Unlock()
	waitFor(t, func() bool { return k.g.LookAfter(t.Context()) == 1 })
	if isOver(events) {
		t.Fatal("it ended at once")
	}
	k.g.Later(31 * time.Second)
	k.look(func() bool { return isOver(events) })
}

// A closed gate lets end what has an end, for half a minute, and cuts the rest.
func TestClosedGateCutsStreams(t *testing.T) { // breaks: inc.loss-freeze, inc.loss-maintenance
	for _, c := range []struct {
		mode         string
		share        int
		read, socket bool // cut at once
		later        bool // the read is cut after half a minute
	}{{gateway.Frozen, 0, false, true, false}, {gateway.Maintenance, 0, false, true, true}, {gateway.Staged, 0, false, true, true}, {gateway.Staged, 100, false, false, false}} {
		t.Run(fmt.Sprint(c.mode, c.share), func(t *testing.T) {
			kit := ledgertest.Open(t, gateway.Schema())
			k := open(t, options{upstream: http.HandlerFunc(talker), kit: kit, now: kit.Clock.Now})
			events := k.follow(k.client(), "/x", asAna)
			sock, _, err := websocketAt(k, "/x/ws", asAna)
			if err != nil {
				t.Fatal(err)
			}
			defer sock.CloseNow()
			closed := make(chan struct{})
			go func() { _, _, _ = sock.Read(context.Background()); close(closed) }()
			waitFor(t, func() bool { return k.g.UnderWay() == 2 })
			if err := k.g.SetMode(t.Context(), k.engineer(), gateway.Wish{Mode: c.mode, Share: c.share, Reason: "a test"}); err != nil {
				t.Fatal(err)
			}
			if c.socket {
				k.look(func() bool { return isOver(closed) })
			}
			k.g.LookAfter(t.Context())
			if isOver(events) != c.read || isOver(closed) != c.socket {
				t.Errorf("at once: read %v, socket %v", isOver(events), isOver(closed))
			}
			k.g.Later(31 * time.Second)
			if c.later {
				k.look(func() bool { return isOver(events) })
			}
			k.g.LookAfter(t.Context())
			if isOver(events) != c.later {
				t.Errorf("after half a minute: read %v", isOver(events))
			}
		})
	}
}

// The modes: what passes in each, for whom.
func TestModes(t *testing.T) { // breaks: inc.loss-freeze, inc.loss-maintenance
	k := open(t, options{routes: routes})
	staff := person("eve", "engineer")
	staff.Team, staff.TeamKind = "staff", "staff"
	k.sessions.set("eve", staff)
	const asStaff = "Cookie: __Host-writ=eve"
	for _, c := range []struct {
		wish                       gateway.Wish
		read, write, staff, public int
		code                       string
	}{
		{gateway.Wish{Mode: gateway.Normal}, 200, 200, 200, 200, ""},
		{gateway.Wish{Mode: gateway.Frozen}, 200, 503, 503, 200, "frozen"},
		{gateway.Wish{Mode: gateway.Maintenance}, 503, 503, 503, 503, "maintenance"},
		{gateway.Wish{Mode: gateway.Staged}, 503, 503, 200, 503, "staged"},
		{gateway.Wish{Mode: gateway.Staged, Share: 100}, 200, 200, 200, 200, ""},
	} {
		c.wish.Reason = "a test"
		if err := k.g.SetMode(t.Context(), k.engineer(), c.wish); err != nil {
			t.Fatal(err)
		}
		for _, ask := range []struct {
			method, path, who string
			want              int
		}{{"GET", "/things", asAna, c.read}, {"POST", "/things", asAna, c.write}, {"DELETE", "/things", asStaff, c.staff}, {"GET", "/open/x", "Accept: */*", c.public}} {
			got := k.do(k.client(), ask.method, ask.path, ask.who)
			if got.StatusCode != ask.want || got.StatusCode == 503 && (!strings.Contains(got.body, `"code":"`+c.code+`"`) || got.Header.Get("Retry-After") != "120") {
				t.Errorf("%v: %s %s %s: %d %s", c.wish, ask.method, ask.path, ask.who, got.StatusCode, got.body)
			}
		}
		if _, res, err := websocketAt(k, "/things", asAna); c.write == 503 && (err == nil || res == nil || res.StatusCode != 503) {
			t.Errorf("%v: a WebSocket: %v", c.wish, err)
		}
	}
	last := k.kit.Recorded("gateway.mode-changed")
	if e := last[len(last)-1]; fmt.Sprint(e.Fields["share"]) != "100" || e.Fields["from"] != gateway.Staged || e.Clause != "inc.loss-maintenance" {
		t.Errorf("%+v", e)
	}
	for _, bad := range []gateway.Wish{{Mode: "open"}, {Mode: gateway.Staged, Share: 101}, {Mode: gateway.Staged, Share: -1}, {Mode: gateway.Frozen, Share: 1}} {
		if err := k.g.SetMode(t.Context(), k.engineer(), bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// As the share grows, teams come in and none is put out again.
func TestShareOnlyGrows(t *testing.T) {
	in := map[string]int{}
	for i := range 2000 {
		team := fmt.Sprintf("team-%d", i)
		for share := 0; share <= 100; share++ {
			if gateway.InShare(team, share) {
				if _, before := in[team]; !before {
					in[team] = share
				}
			} else if from, before := in[team]; before {
				t.Fatalf("%s came in at %d %% and is out at %d %%", team, from, share)
			}
		}
	}
	n := 0
	for _, share := range in {
		if share <= 25 {
			n++
		}
	}
	for team, from := range map[string]int{"team-3": 21, "team-6": 16, "team-7": 97} { // accounts of years ago rest on it
		if in[team] != from {
			t.Errorf("%s comes in at %d %%, and came in at %d %%", team, in[team], from)
		}
	}
	if len(in) != 2000 || n < 400 || n > 600 {
		t.Errorf("%d of 2000 at 25 %%, %d at 100 %%", n, len(in))
	}
}

// The controls of a closed gate fail when the step is missing, when the door is open all
// the same, and when a change came through.
func TestClosedControls(t *testing.T) { // breaks: inc.loss-freeze, inc.loss-maintenance
	k := open(t, options{routes: routes})
	for _, mode := range []string{gateway.Normal, gateway.Frozen, gateway.Maintenance} {
		if err := k.g.SetMode(t.Context(), k.engineer(), gateway.Wish{Mode: mode, Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
		mustPass(t, control(t, k, k.door(), "gateway.closes"))
		mustPass(t, control(t, k, k.door(), "gateway.freezes"))
	}
	k.g.CountLate()
	mustFail(t, control(t, k, k.door(), "gateway.freezes"), "count changes")
	mustPass(t, control(t, k, k.door(), "gateway.closes"))
	k.g.WithoutSteps("mode", "stage")
	mustFail(t, control(t, k, k.door(), "gateway.closes"), "passed")
	mustFail(t, control(t, k, k.door(), "gateway.freezes"), "passed")
}

// A change that came through while the gate was closed to it is an entry.
func TestLateChangesAreCounted(t *testing.T) { // breaks: inc.loss-freeze
	k := open(t, options{routes: routes})
	k.g.WithoutSteps("mode", "stage")
	if err := k.g.SetMode(t.Context(), k.engineer(), gateway.Wish{Mode: gateway.Frozen, Reason: "a test"}); err != nil {
		t.Fatal(err)
	}
	if got := k.do(k.client(), "POST", "/things", asAna); got.StatusCode != 200 {
		t.Fatalf("%d", got.StatusCode)
	}
	if got := k.do(k.client(), "GET", "/things", asAna); got.StatusCode != 200 {
		t.Fatalf("%d", got.StatusCode)
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := k.kit.Recorded("gateway.wrote-while-closed"); len(e) != 1 || fmt.Sprint(e[0].Fields["count"]) != "1" {
		t.Errorf("%+v", e)
	}
}

func mustPass(t *testing.T, r clause.Result) {
	t.Helper()
	if r.Outcome != clause.Pass {
		t.Errorf("%s: %s", r.Outcome, r.Summary)
	}
}
