package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

func asItIs(*gateway.Egress) {}

// abroad is a site outside that only the way out can find, under any name.
type abroad struct {
	*httptest.Server
	port int
}

func goAbroad(t *testing.T) *abroad {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "abroad") }))
	t.Cleanup(s.Close)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	n, _ := strconv.Atoi(port)
	return &abroad{s, n}
}

func (a *abroad) resolve(e *gateway.Egress) {
	e.Resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
}

func (a *abroad) wish(now time.Time) gateway.Destination {
	return gateway.Destination{Name: "API.partner.example", Port: a.port, Inside: []string{"127.0.0.1/32"}, Reason: "orders go there", Until: now.Add(24 * time.Hour)}
}

// fetch goes out as Go's own client does.
func (k *gate) fetch(proxy, target string) (string, error) {
	via, _ := url.Parse(proxy)
	tr := &http.Transport{Proxy: http.ProxyURL(via), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get(target)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// What a service may reach is what somebody has listed, as long as it stands there; each
// connection and each refusal is an entry.
func TestEgressList(t *testing.T) { // breaks: net.gateway-only, use.no-private-use
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		site := goAbroad(t)
		k := open(t, options{kit: kit, now: kit.Clock.Now, egress: site.resolve})
		there := "https://api.partner.example:" + strconv.Itoa(site.port) + "/"
		if got, err := k.fetch("http://"+k.out, there); err == nil {
			t.Fatalf("%q without a list", got)
		}
		d, err := k.g.ListDestination(t.Context(), k.engineer(), site.wish(k.now()))
		if err != nil {
			t.Fatal(err)
		}
		if d.Name != "api.partner.example" || d.Owner != "person/eng" {
			t.Errorf("%+v", d)
		}
		if got, err := k.fetch("http://"+k.out, there); got != "abroad" {
			t.Fatalf("%q %v", got, err)
		}
		if _, err := k.g.ListDestination(t.Context(), k.engineer(), site.wish(k.now())); fault.KindOf(err) != fault.Conflict {
			t.Errorf("twice: %v", err)
		}
		kit.Clock.Advance(25 * time.Hour) // over, though nobody has looked yet
		if got, err := k.fetch("http://"+k.out, there); err == nil {
			t.Errorf("%q when its time is over", got)
		}
		if err := k.g.EgressTick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := k.g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err = k.g.ListDestination(t.Context(), k.engineer(), site.wish(k.now())); err != nil {
			t.Fatal(err)
		}
		if err := k.g.RemoveDestination(t.Context(), k.engineer(), "api.partner.example:1"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("another port: %v", err)
		}
		if err := k.g.RemoveDestination(t.Context(), k.engineer(), "api.partner.example:"+strconv.Itoa(site.port)); err != nil {
			t.Fatal(err)
		}
		if got, err := k.fetch("http://"+k.out, there); err == nil {
			t.Errorf("%q when it was removed", got)
		}
		all, err := k.g.Destinations(t.Context())
		if err != nil || len(all) != 2 || all[0].EndedBy != "person/eng" || all[1].EndedBy != "writ/gateway" {
			t.Errorf("%+v %v", all, err)
		}
		moves := k.moves(func(ms []gateway.Move) bool { // a connection is counted when it begins, its bytes when it has ended
			return len(ms) == 2 && ms[0].Count+ms[1].Count == 4 && ms[0].Sent+ms[1].Sent > 0 && ms[0].Received+ms[1].Received > 0
		})
		for _, m := range moves {
			if m.Caller != "service/billing" || m.Name != "api.partner.example" || m.Port != site.port || m.Cause == "" && (m.Count != 1 || m.Sent == 0 || m.Received == 0) || m.Cause != "" && (m.Cause != "unlisted" || m.Count != 3) {
				t.Errorf("%+v", m)
			}
		}
		for name, n := range map[string]int{"gateway.destination-listed": 2, "gateway.destination-removed": 2, "gateway.egress-passed": 1, "gateway.egress-refused": 1} {
			if got := kit.Recorded(name); len(got) < n || name == "gateway.destination-listed" && got[0].Reason != "orders go there" {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}, gateway.Schema())
}

// moves waits until what was counted is as it must be.
func (k *gate) moves(done func([]gateway.Move) bool) []gateway.Move {
	k.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := k.g.Flush(k.t.Context()); err != nil {
			k.t.Fatal(err)
		}
		ms, err := k.g.Moves(k.t.Context())
		if err != nil {
			k.t.Fatal(err)
		}
		if done(ms) {
			return ms
		}
		if time.Now().After(end) {
			k.t.Fatalf("counted: %+v", ms)
		}
	}
}

func code(err error) string {
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e.Code
	}
	return ""
}

// raw changes rows behind the gate's back.
func (k *gate) raw(query string) {
	k.t.Helper()
	if err := k.kit.DB.Quiet(k.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error { _, err := tx.Exec(k.t.Context(), query); return err }); err != nil {
		k.t.Fatal(err)
	}
}

func TestDestinationsAreChecked(t *testing.T) { // breaks: use.no-private-use
	k := open(t, options{egress: asItIs})
	good := gateway.Destination{Name: "api.partner.example", Reason: "orders", Until: k.now().Add(time.Hour)}
	for want, change := range map[string]func(*gateway.Destination){
		"name": func(d *gateway.Destination) { d.Name = "10.0.0.1" }, "port": func(d *gateway.Destination) { d.Port = 70000 }, "reason": func(d *gateway.Destination) { d.Reason = " " },
		"until": func(d *gateway.Destination) { d.Until = k.now().Add(400 * 24 * time.Hour) }, "inside": func(d *gateway.Destination) { d.Inside = []string{"169.254.0.0/16"} },
	} {
		d := good
		change(&d)
		if _, err := k.g.ListDestination(t.Context(), k.engineer(), d); code(err) != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	for _, name := range []string{"*.partner.example", "partner", "api.partner.example:443", "https://api.partner.example"} {
		d := good
		d.Name = name
		if _, err := k.g.ListDestination(t.Context(), k.engineer(), d); code(err) != "name" {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := good
	d.Until = k.now()
	if _, err := k.g.ListDestination(t.Context(), k.engineer(), d); code(err) != "until" {
		t.Errorf("no time: %v", err)
	}
	for _, who := range []actor.Actor{person("ana", "member"), person("sup", "support")} {
		if _, err := k.g.ListDestination(t.Context(), who, good); fault.KindOf(err) != fault.Denied {
			t.Errorf("%v lists: %v", who.Roles, err)
		}
		if err := k.g.RemoveDestination(t.Context(), who, "api.partner.example"); fault.KindOf(err) != fault.Denied {
			t.Errorf("%v removes: %v", who.Roles, err)
		}
	}
}

// A policy that names no way out has none, whatever is listed.
func TestNoGatewayNoWayOut(t *testing.T) { // breaks: net.gateway-only
	site := goAbroad(t)
	k := open(t, options{egress: site.resolve, values: clause.Values{"net.gateway-only/gateways": []string{}}})
	if _, err := k.g.ListDestination(t.Context(), k.engineer(), site.wish(k.now())); err != nil {
		t.Fatal(err)
	}
	if got, err := k.fetch("http://"+k.out, "https://api.partner.example:"+strconv.Itoa(site.port)+"/"); err == nil {
		t.Errorf("%q", got)
	}
	if err := k.rules.Check(values(clause.Values{"net.gateway-only/gateways": []string{"gateway", "nat"}})); err == nil {
		t.Error("a way that nobody looks at is taken")
	}
}

// Who is not known by the address shows a token: of our own staff, and made for this.
func TestEgressTokens(t *testing.T) { // breaks: net.gateway-only
	site := goAbroad(t)
	k := open(t, options{egress: func(e *gateway.Egress) { site.resolve(e); e.Callers = nil }})
	if _, err := k.g.ListDestination(t.Context(), k.engineer(), site.wish(k.now())); err != nil {
		t.Fatal(err)
	}
	staff := func(scopes ...string) actor.Actor {
		a := machine("reports", nil, scopes...)
		a.TeamKind = "staff"
		return a
	}
	k.program("writ_svc_good", staff("gateway:egress"))
	k.program("writ_svc_other", staff("orders:read"))
	k.program("writ_svc_customer", machine("shop", nil, "gateway:egress"))
	there := "https://api.partner.example:" + strconv.Itoa(site.port) + "/"
	for token, want := range map[string]string{"writ_svc_good": "abroad", "writ_svc_other": "", "writ_svc_customer": "", "writ_svc_none": "", "": ""} {
		for _, scheme := range []string{"http", "https"} {
			if got, err := k.fetch(scheme+"://x:"+token+"@"+k.out, there); got != want || (err == nil) != (want != "") {
				t.Errorf("%s by %s: %q %v", token, scheme, got, err)
			}
		}
	}
	k.sessions.mu.Lock()
	k.sessions.errs["writ_svc_good"] = errors.New("the table is away")
	k.sessions.mu.Unlock()
	if got, err := k.fetch("http://x:writ_svc_good@"+k.out, there); err == nil {
		t.Errorf("%q while nobody knows whose token it is", got)
	}
	k.moves(func(ms []gateway.Move) bool {
		for _, m := range ms {
			if m.Caller == "machine/reports" && m.Cause == "" && m.Count == 2 {
				return true
			}
		}
		return false
	})
}

func TestEgressIsPrivate(t *testing.T) { // breaks: net.gateway-only
	for at, good := range map[string]bool{"127.0.0.1:1": true, "10.0.1.2:3128": true, "[fd00::1]:3128": true, "0.0.0.0:3128": false, "[::]:3128": false, "203.0.113.1:3128": false, "8.8.8.8:1": false} {
		a, err := net.ResolveTCPAddr("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		if err := gateway.CheckEgress(a); (err == nil) != good {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// Somebody who sprays names fills neither memory nor the list.
func TestEgressIsBounded(t *testing.T) {
	k := open(t, options{egress: asItIs})
	for i := range 600 {
		c, err := net.Dial("tcp", k.out)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "CONNECT n%d.example.com:443 HTTP/1.1\r\n\r\n", i)
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 403 {
			t.Fatal(err)
		}
		c.Close()
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int64
	err := k.kit.DB.Each(t.Context(), `SELECT n FROM gateway_egress_seen`, func(scan ledger.Scan) error {
		var one int64
		err := scan(&one)
		n += one
		return err
	})
	if err != nil || n != 600 {
		t.Errorf("%d of 600 are counted: %v", n, err)
	}
	rows := 0
	if err := k.kit.DB.Each(t.Context(), `SELECT n FROM gateway_egress_seen`, func(scan ledger.Scan) error { rows++; return scan(new(int64)) }); err != nil || rows > 520 {
		t.Errorf("%d rows: %v", rows, err)
	}
}

func TestEgressControlSeesOpenWay(t *testing.T) { // breaks: net.gateway-only
	k := open(t, options{egress: asItIs})
	if r := control(t, k, k.door(), "gateway.egress-refuses"); r.Outcome != clause.Pass || len(r.Steps) != 9 {
		t.Errorf("%s %s %d", r.Outcome, r.Summary, len(r.Steps))
	}
	// A proxy that lets everything through stands in its place.
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: k.ca.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go loose(l)
	k.g.MoveEgress(l)
	mustFail(t, control(t, k, k.door(), "gateway.egress-refuses"), "let through: ask as nobody known gave 200")
	k.g.MoveEgress(nil)
	mustFail(t, control(t, k, k.door(), "gateway.egress-refuses"), "no way out is set up")
	mustFail(t, control(t, k, k.door(), "gateway.egress-listed"), "no way out is set up")
}

// loose says yes to all.
func loose(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			}
		}()
	}
}

func TestEgressReplaySeesUnlisted(t *testing.T) { // breaks: use.no-private-use
	site := goAbroad(t)
	k := open(t, options{egress: site.resolve})
	if _, err := k.g.ListDestination(t.Context(), k.engineer(), site.wish(k.now())); err != nil {
		t.Fatal(err)
	}
	there := "https://api.partner.example:" + strconv.Itoa(site.port) + "/"
	if got, err := k.fetch("http://"+k.out, there); err != nil {
		t.Fatal(got, err)
	}
	k.moves(func(ms []gateway.Move) bool { return len(ms) == 1 && ms[0].Sent > 0 })
	if r := control(t, k, k.door(), "gateway.egress-listed"); r.Outcome != clause.Pass || r.Population != 1 {
		t.Errorf("%s %s", r.Outcome, r.Summary)
	}
	k.raw(`UPDATE gateway_egress SET name = 'other.example'`)
	mustFail(t, control(t, k, k.door(), "gateway.egress-listed"), "service/billing went out to api.partner.example")
	k.raw(`UPDATE gateway_egress SET name = 'api.partner.example', ended = made + 1, made = made - 1, ended_by = 'x'`)
	if r := control(t, k, k.door(), "gateway.egress-listed"); r.Outcome != clause.Pass { // an open connection may outlast the list for hours
		t.Errorf("%s %s", r.Outcome, r.Summary)
	}
	k.raw(`UPDATE gateway_egress_seen SET last_seen = last_seen + 86400000000`)
	mustFail(t, control(t, k, k.door(), "gateway.egress-listed"), "not on the list")
	k.raw(`UPDATE gateway_egress SET reason = ''`)
	mustFail(t, control(t, k, k.door(), "gateway.egress-listed"), "without a reason")
}

// curl goes out by it too.
func TestEgressCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl")
	}
	site := goAbroad(t)
	k := open(t, options{egress: site.resolve})
	if _, err := k.g.ListDestination(t.Context(), k.engineer(), site.wish(k.now())); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"http", "https"} {
		out, err := exec.Command(curl, "-sk", "--proxy-insecure", "--noproxy", "", "-x", scheme+"://"+k.out, "https://api.partner.example:"+strconv.Itoa(site.port)+"/").Output()
		if string(out) != "abroad" || err != nil {
			t.Errorf("%s: %q %v", scheme, out, err)
		}
	}
}

// Only a private service itself can see whether it reaches the outside past the gate.
func TestEgressPastControl(t *testing.T) { // breaks: net.gateway-only
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		k := open(t, options{kit: kit, now: kit.Clock.Now, egress: func(e *gateway.Egress) { e.Callers[0].Tries = true }})
		for _, c := range open(t, options{egress: asItIs}).g.Controls(k.door()) {
			if c.ID == "gateway.egress-past" {
				t.Error("a report is waited for that nobody is to make")
			}
		}
		mustFail(t, control(t, k, k.door(), "gateway.egress-past"), "billing has not told for a day")
		reports := machine("reports", nil, "gateway:egress")
		if err := k.g.TellPast(t.Context(), reports, gateway.Past{Service: "billing", Tried: 3}); fault.KindOf(err) != fault.Denied {
			t.Errorf("a customer's program tells: %v", err)
		}
		reports.TeamKind = "staff"
		for want, p := range map[string]gateway.Past{"service": {Service: "No", Tried: 1}, "tried": {Service: "billing"}, "reached": {Service: "billing", Tried: 1, Reached: []string{"a b"}}} {
			if err := k.g.TellPast(t.Context(), reports, p); code(err) != want {
				t.Errorf("%s: %v", want, err)
			}
		}
		tell := func(reached ...string) {
			t.Helper()
			if err := k.g.TellPast(t.Context(), reports, gateway.Past{Service: "billing", Tried: 3, Reached: reached}); err != nil {
				t.Fatal(err)
			}
		}
		tell("1.1.1.1:443")
		mustFail(t, control(t, k, k.door(), "gateway.egress-past"), "billing reached 1.1.1.1:443 past the gate")
		tell()
		if r := control(t, k, k.door(), "gateway.egress-past"); r.Outcome != clause.Pass || r.Population != 1 {
			t.Errorf("%s %s", r.Outcome, r.Summary)
		}
		kit.Clock.Advance(27 * time.Hour)
		mustFail(t, control(t, k, k.door(), "gateway.egress-past"), "has not told for a day")
		if got := kit.Recorded("gateway.egress-tried"); len(got) != 2 || got[0].Fields["reached"] != "1.1.1.1:443" {
			t.Errorf("%+v", got)
		}
	}, gateway.Schema())
}
