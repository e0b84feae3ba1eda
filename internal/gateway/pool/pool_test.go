package pool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/gateway/pool"
)

// site is a place that does as the test says.
type site struct {
	mu    sync.Mutex
	asked int
	fails error
	code  int
	third bool // each third question fails: too few for the breaker
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.third && s.asked%3 == 0 {
		return nil, errReset
	}
	if s.fails != nil {
		if r.Body != nil && !errors.Is(s.fails, errDial) {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, s.fails
	}
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	code := s.code
	if code == 0 {
		code = 200
	}
	return &http.Response{StatusCode: code, Header: http.Header{"At": {r.URL.Host}}, Body: io.NopCloser(strings.NewReader(""))}, nil
}

func (s *site) set(err error, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails, s.code = err, code
}
func (s *site) count() int { s.mu.Lock(); defer s.mu.Unlock(); return s.asked }

var (
	errDial  = &net.OpError{Op: "dial", Err: errors.New("refused")}
	errReset = errors.New("reset")
	errLate  = context.DeadlineExceeded
)

type world struct {
	t     *testing.T
	p     *pool.Pool
	now   time.Time
	sites map[string]*site
	mu    sync.Mutex // places are looked at side by side
	told  []string
}

// open makes a pool of places written as zone/name.
func open(t *testing.T, o pool.Options, places ...string) *world {
	w := &world{t: t, now: time.Unix(1_700_000_000, 0), sites: map[string]*site{}}
	for _, p := range places {
		zone, name, _ := strings.Cut(p, "/")
		s := &site{}
		w.sites[name] = s
		o.Places = append(o.Places, pool.Place{URL: &url.URL{Scheme: "http", Host: name}, Zone: zone, Way: s})
	}
	o.Now, o.Host = func() time.Time { return w.now }, "app.example.test"
	o.Told = func(c pool.Change) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, fmt.Sprint(c.Zone, " ", c.Up, " ", c.Cause))
	}
	w.p = pool.New(o)
	return w
}

func (w *world) ask(method, body, who string) (string, error) {
	r, _ := http.NewRequest(method, "http://first/", nil)
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	res, err := w.p.RoundTrip(r, who)
	if err != nil {
		return "", err
	}
	return res.Header.Get("At"), nil
}

// spread asks n times and counts the answers by place.
func (w *world) spread(n int) map[string]int {
	w.t.Helper()
	got := map[string]int{}
	for range n {
		at, err := w.ask("GET", "", "")
		if err != nil {
			w.t.Fatal(err)
		}
		got[at]++
	}
	return got
}

func (w *world) checks(n int) {
	for range n {
		w.p.Check(w.t.Context())
	}
}

func TestSpreadsAndPrefersItsOwnZone(t *testing.T) {
	if got := open(t, pool.Options{}, "a/one", "b/two").spread(100); got["one"] != 50 || got["two"] != 50 {
		t.Errorf("without a zone of our own: %v", got)
	}
	w := open(t, pool.Options{Zone: "b"}, "a/one", "b/two", "b/three")
	if got := w.spread(100); got["one"] != 0 || got["two"] != 50 {
		t.Errorf("ours is b: %v", got)
	}
	w.sites["two"].set(errDial, 0)
	w.sites["three"].set(errDial, 0)
	w.checks(2)
	if got := w.spread(10); got["one"] != 10 {
		t.Errorf("ours is away: %v", got)
	}
}

func TestHealth(t *testing.T) {
	w := open(t, pool.Options{Path: "/up"}, "a/one", "b/two")
	w.sites["one"].set(nil, 500)
	w.checks(1)
	if got := w.spread(10); got["one"] != 5 {
		t.Errorf("after one bad check: %v", got)
	}
	w.checks(1)
	if got := w.spread(10); got["one"] != 0 || w.told[0] != "a false health" {
		t.Errorf("after two: %v, told %v", got, w.told)
	}
	if s := w.p.States()[0]; s.State != "out" || s.Problem != "/up answered 500" || s.Zone != "a" {
		t.Errorf("state: %+v", s)
	}
	w.sites["two"].set(errDial, 0)
	w.checks(2)
	if _, err := w.ask("GET", "", ""); !errors.Is(err, pool.ErrAllOut) {
		t.Errorf("with all out: %v", err)
	}
	w.sites["one"].set(nil, 204)
	w.checks(1)
	if _, err := w.ask("GET", "", ""); !errors.Is(err, pool.ErrAllOut) {
		t.Errorf("after one good check: %v", err)
	}
	w.checks(1)
	if at, err := w.ask("GET", "", ""); at != "one" || w.told[2] != "a true health" {
		t.Errorf("after two good ones: %q %v, told %v", at, err, w.told)
	}
	any := open(t, pool.Options{}, "a/one")
	any.sites["one"].set(nil, 404)
	any.checks(3)
	if _, err := any.ask("GET", "", ""); err != nil {
		t.Errorf("without a path any answer is good: %v", err)
	}
}

// A place that comes back takes its share little by little.
func TestSlowStart(t *testing.T) {
	w := open(t, pool.Options{}, "a/one", "b/two")
	w.sites["one"].set(errDial, 0)
	w.checks(2)
	w.sites["one"].set(nil, 0)
	w.checks(2)
	last := 0
	for _, after := range []time.Duration{0, 15 * time.Second, 31 * time.Second} {
		w.now = time.Unix(1_700_000_000, 0).Add(after)
		got := w.spread(1000)["one"]
		if got <= last {
			t.Errorf("%v after it came back: %d of 1000", after, got)
		}
		if after == 0 && got > 100 {
			t.Errorf("at once: %d of 1000", got)
		}
		last = got
	}
	if last != 500 {
		t.Errorf("at the end: %d of 1000", last)
	}
}

func TestRetry(t *testing.T) {
	for name, c := range map[string]struct {
		method, body string
		fails        error
		again        bool
	}{
		"GET, reset":           {"GET", "", errReset, true},
		"GET, took too long":   {"GET", "", errLate, false},
		"POST, reset":          {"POST", "x", errReset, false},
		"POST, nothing read":   {"POST", "x", errDial, true},
		"POST, no body, reset": {"POST", "", errReset, false},
		"POST, no body, dial":  {"POST", "", errDial, true},
		"GET with body, reset": {"GET", "x", errReset, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, pool.Options{Zone: "a"}, "a/one", "a/near", "b/two")
			w.sites["one"].set(c.fails, 0)
			w.sites["near"].set(c.fails, 0)
			at, err := w.ask(c.method, c.body, "")
			if again := w.sites["two"].count() == 1; again != c.again || again != (at == "two" && err == nil) {
				t.Errorf("asked again = %v: %q %v", again, at, err)
			}
			if n := w.sites["one"].count() + w.sites["near"].count(); n != 1 {
				t.Errorf("the zone that failed was asked %d times", n)
			}
		})
	}
}

// A sick application is not asked twice as often: at most a tenth is asked again.
func TestRetryBudget(t *testing.T) {
	w := open(t, pool.Options{}, "a/one", "b/two")
	w.sites["one"].third, w.sites["two"].third = true, true
	const n = 1000
	for range n {
		_, _ = w.ask("GET", "", "")
	}
	if all := w.sites["one"].count() + w.sites["two"].count(); all > n+n/10+10 || all < n+n/20 {
		t.Errorf("%d questions became %d", n, all)
	}
}

func TestBreaker(t *testing.T) {
	w := open(t, pool.Options{Zone: "a"}, "a/one", "b/two")
	w.sites["one"].set(errReset, 0)
	for range 5 {
		_, _ = w.ask("POST", "x", "")
	}
	before := w.sites["one"].count()
	if before != 5 {
		t.Fatalf("asked %d times", before)
	}
	for range 10 {
		if at, err := w.ask("POST", "x", ""); at != "two" {
			t.Fatalf("while it rests: %q %v", at, err)
		}
	}
	if s := w.p.States()[0]; s.State != "resting" || w.told[0] != "a false breaker" {
		t.Errorf("%+v, told %v", s, w.told)
	}
	w.now = w.now.Add(5 * time.Second)
	_, _ = w.ask("POST", "x", "") // the one that tries
	_, _ = w.ask("POST", "x", "")
	if n := w.sites["one"].count(); n != before+1 {
		t.Errorf("%d tried", n-before)
	}
	w.sites["one"].set(nil, 0)
	w.now = w.now.Add(5 * time.Second)
	for range 3 {
		if _, err := w.ask("POST", "x", ""); err != nil {
			t.Error(err)
		}
	}
	if w.p.States()[0].State != "in" || w.told[1] != "a true breaker" {
		t.Errorf("%+v, told %v", w.p.States()[0], w.told)
	}
}

// Half of twenty trips too, slow answers among them; and never at the last place.
func TestBreakerByShareAndTheLastPlace(t *testing.T) {
	w := open(t, pool.Options{Zone: "a"}, "a/one", "b/two")
	for i := range 20 {
		w.sites["one"].set(nil, 0)
		if i%2 == 1 {
			w.sites["one"].set(errLate, 0)
		}
		_, _ = w.ask("POST", "x", "")
	}
	if w.p.States()[0].State != "resting" {
		t.Errorf("%+v", w.p.States()[0])
	}
	w.sites["two"].set(errReset, 0)
	for range 50 {
		_, _ = w.ask("POST", "x", "")
	}
	if s := w.p.States()[1]; s.State != "in" || w.sites["two"].count() < 50 {
		t.Errorf("the last place was given up: %+v", s)
	}
}

// One address that is slow does not close all the others: answers that took too long are no row of
// failures, however many come one after the other.
func TestSlowAnswersAreNoRow(t *testing.T) {
	w := open(t, pool.Options{Zone: "a"}, "a/one", "b/two")
	w.sites["one"].set(errLate, 0)
	for range 15 {
		_, _ = w.ask("POST", "x", "")
	}
	if s := w.p.States()[0]; s.State != "in" || w.sites["one"].count() != 15 {
		t.Errorf("after %d slow answers: %+v", w.sites["one"].count(), s)
	}
}

// A client who goes away, or whose body cannot be read, says nothing of a place.
func TestClientsFaultsCountForNothing(t *testing.T) {
	w := open(t, pool.Options{Zone: "a"}, "a/one", "b/two")
	w.sites["one"].set(context.Canceled, 0)
	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://first/", nil)
		_, _ = w.p.RoundTrip(r, "")
	}
	w.sites["one"].set(errReset, 0)
	for range 10 {
		r, _ := http.NewRequest("POST", "http://first/", nil)
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader("x"), broken{}))
		_, _ = w.p.RoundTrip(r, "")
	}
	if s := w.p.States()[0]; s.State != "in" || s.Failed != 0 {
		t.Errorf("%+v", s)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the client stopped") }

func TestSticky(t *testing.T) {
	w := open(t, pool.Options{Sticky: true}, "a/one", "b/two", "c/three")
	first := map[string]string{}
	used := map[string]bool{}
	for i := range 50 {
		who := fmt.Sprint("s", i)
		at, _ := w.ask("GET", "", who)
		first[who], used[at] = at, true
		if again, _ := w.ask("GET", "", who); again != at {
			t.Fatalf("%s moved from %s to %s", who, at, again)
		}
	}
	if len(used) != 3 {
		t.Errorf("only %v are used", used)
	}
	w.sites["two"].set(errDial, 0)
	w.checks(2)
	for who, at := range first {
		if now, _ := w.ask("GET", "", who); now == "two" || at != "two" && now != at {
			t.Errorf("%s was at %s and is at %s", who, at, now)
		}
	}
}

func BenchmarkOnePlace(b *testing.B) {
	p := pool.New(pool.Options{Now: time.Now, Places: []pool.Place{{URL: &url.URL{Scheme: "http", Host: "one"}, Way: still{}}}})
	r, _ := http.NewRequest("GET", "http://one/", nil)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.RoundTrip(r, "")
	}
}

func BenchmarkTwoPlaces(b *testing.B) {
	p := pool.New(pool.Options{Now: time.Now, Places: []pool.Place{{URL: &url.URL{Scheme: "http", Host: "one"}, Zone: "a", Way: still{}}, {URL: &url.URL{Scheme: "http", Host: "two"}, Zone: "b", Way: still{}}}})
	r, _ := http.NewRequest("GET", "http://one/", nil)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = p.RoundTrip(r, "")
	}
}

type still struct{}

func (still) RoundTrip(*http.Request) (*http.Response, error) { return nil, nil }

// What is rehearsed leaves the pool as it is.
func TestRehearsal(t *testing.T) { // breaks: host.auto-recovery
	w := open(t, pool.Options{}, "a/one", "b/two")
	w.p.Check(t.Context())
	r, away := w.p.Rehearse("http://one")
	away(true)
	for range 4 {
		if by, err := r.Ask(t.Context()); by != "http://two" || err != nil {
			t.Fatalf("%q %v", by, err)
		}
	}
	state := func(p *pool.Pool) string { return p.States()[0].State }
	r.Check(t.Context())
	r.Check(t.Context())
	if state(r) != "out" || state(w.p) != "in" || len(w.told) > 0 {
		t.Errorf("rehearsed %s, real %s, told %v", state(r), state(w.p), w.told)
	}
	away(false)
	r.Check(t.Context())
	r.Check(t.Context())
	if state(r) != "in" {
		t.Errorf("it did not come back: %s", state(r))
	}
	w.sites["two"].set(errReset, 0)
	away(true)
	if by, err := r.Ask(t.Context()); err == nil {
		t.Errorf("%s answered, and none is there", by)
	}
	if !w.p.States()[0].Lately(w.now) || w.p.States()[0].Lately(w.now.Add(time.Minute)) {
		t.Error("a look of a minute ago counts")
	}
}
