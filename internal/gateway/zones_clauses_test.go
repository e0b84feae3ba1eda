package gateway_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/gateway"
)

// placeAt serves the application at an address of this machine.
func placeAt(t *testing.T, host string, h http.Handler) *httptest.Server {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skip(err) // only Linux has all of 127.0.0.0/8
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// sick answers a health check badly while it is told to.
type sick struct{ now atomic.Bool }

func (s *sick) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.now.Load() && r.URL.Path == "/healthz" {
		w.WriteHeader(http.StatusInternalServerError)
	}
	io.WriteString(w, "app")
}

func TestZonesControlSeesOneZone(t *testing.T) { // breaks: host.two-zones
	now := time.Now()
	clock := func() time.Time { return now }
	ill := &sick{}
	a, b, beside := placeAt(t, "127.0.0.1", &sick{}).URL, placeAt(t, "127.0.0.2", ill).URL, placeAt(t, "127.0.0.1", &sick{}).URL
	two := open(t, options{now: clock, places: []gateway.Upstream{at(t, "a", a), at(t, "b", b)}, zones: gateway.Zones{Health: "/healthz"}})
	if r, err := run(t, two, "gateway.zones"); err == nil {
		t.Errorf("before any look: %s", r.Summary)
	}
	two.g.LookAtPlaces(t.Context())
	if r := control(t, two, two.door(), "gateway.zones"); r.Outcome != clause.Pass || r.Population != 2 {
		t.Errorf("%s %s", r.Outcome, r.Summary)
	}
	ill.now.Store(true)
	two.g.LookAtPlaces(t.Context())
	mustFail(t, control(t, two, two.door(), "gateway.zones"), "well in 1 zones: a; not in b")
	ill.now.Store(false)
	two.g.LookAtPlaces(t.Context())
	now = now.Add(time.Minute) // nobody looked since
	mustFail(t, control(t, two, two.door(), "gateway.zones"), "well in 0 zones")
	two.g.LookAtPlaces(t.Context())
	if err := two.rules.Set([]clause.Period{{Values: values(clause.Values{"host.two-zones/zones": int64(3)})}}); err != nil {
		t.Fatal(err)
	}
	mustFail(t, control(t, two, two.door(), "gateway.zones"), "the policy asks for 3")
	for says, places := range map[string][]gateway.Upstream{
		"well in 1 zones":  {at(t, "a", a)},
		"well in 0 zones":  {at(t, "", a), at(t, "", b)},
		"well in 1 zones:": {at(t, "a", a), at(t, "a", b)},
		"fail together":    {at(t, "a", a), at(t, "b", beside)},
	} {
		k := open(t, options{now: clock, places: places})
		k.g.LookAtPlaces(t.Context())
		mustFail(t, control(t, k, k.door(), "gateway.zones"), says)
	}
}

// run runs a control that may not come to a result.
func run(t *testing.T, k *gate, id string) (clause.Result, error) {
	t.Helper()
	for _, c := range k.g.Controls(k.door()) {
		if c.ID == id {
			return c.Run(t.Context())
		}
	}
	t.Fatalf("no control %s", id)
	return clause.Result{}, nil
}

func TestFailoverControlSeesThatNothingTakesOver(t *testing.T) { // breaks: host.auto-recovery
	app := &sick{}
	one, two := placeAt(t, "127.0.0.1", app), placeAt(t, "127.0.0.2", app)
	k := open(t, options{places: []gateway.Upstream{at(t, "a", one.URL), at(t, "b", two.URL)}, routes: "- {path: /open/, who: anyone}\n"})
	k.g.LookAtPlaces(t.Context())
	stop, done := make(chan struct{}), make(chan int)
	go func() { // visitors meanwhile
		c, bad := k.client(), 0
		for {
			select {
			case <-stop:
				done <- bad
				return
			default:
				if k.do(c, "GET", "/open/x").StatusCode != 200 {
					bad++
				}
			}
		}
	}()
	r := control(t, k, k.door(), "gateway.failover")
	close(stop)
	if bad := <-done; bad > 0 || r.Outcome != clause.Pass || len(r.Steps) != 6 {
		t.Errorf("%d visitors were refused; %s %s", bad, r.Outcome, r.Summary)
	}
	for _, s := range k.g.State().Upstreams {
		if s.State != "in" {
			t.Errorf("the rehearsal left %s %s", s.URL, s.State)
		}
	}
	if len(k.kit.Recorded("gateway.upstream-failed")) > 0 {
		t.Error("the rehearsal is in the record as a failure")
	}
	if err := k.rules.Set([]clause.Period{{Values: values(clause.Values{"host.auto-recovery/failover": 4 * time.Second})}}); err != nil {
		t.Fatal(err)
	}
	mustFail(t, control(t, k, k.door(), "gateway.failover"), "and the policy gives 4s")
	if err := k.rules.Set([]clause.Period{{Values: values(nil)}}); err != nil {
		t.Fatal(err)
	}
	two.Close() // a zone is away already: nothing would take over from the other
	mustFail(t, control(t, k, k.door(), "gateway.failover"), "let through: ask the application as if "+one.URL+" were away gave nobody answered")
	alone := open(t, options{places: []gateway.Upstream{at(t, "a", one.URL)}})
	mustFail(t, control(t, alone, alone.door(), "gateway.failover"), "one place")
}
