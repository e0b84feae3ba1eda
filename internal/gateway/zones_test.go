package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/gateway"
	"writ/internal/ledger/ledgertest"
)

func at(t testing.TB, zone, raw string) gateway.Upstream {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Upstream{URL: u, Zone: zone}
}

// A zone that dies under load costs at most what was on its way there: nothing that can
// be asked again, and of what cannot no more than was under way at that moment.
func TestLossOfAZone(t *testing.T) { // breaks: host.auto-recovery
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		io.WriteString(w, "app:"+string(b))
	})
	one, two := httptest.NewServer(app), httptest.NewServer(app)
	defer two.Close()
	k := open(t, options{places: []gateway.Upstream{at(t, "a", one.URL), at(t, "b", two.URL)}, routes: "- {path: /open/, who: anyone}\n"})
	const readers, writers = 8, 8
	var done, lostReads, lostWrites atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	work := func(method string, lost *atomic.Int64) {
		c := k.client()
		for {
			select {
			case <-stop:
				return
			default:
			}
			var body io.Reader
			if method == "POST" {
				body = strings.NewReader("x")
			}
			req, _ := http.NewRequest(method, k.base+"/open/x", body)
			res, err := c.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != 200 {
				lost.Add(1)
			}
			done.Add(1)
		}
	}
	for range readers {
		wg.Go(func() { work("GET", &lostReads) })
	}
	for range writers {
		wg.Go(func() { work("POST", &lostWrites) })
	}
	reach := func(n int64) {
		for done.Load() < n {
			time.Sleep(time.Millisecond)
		}
	}
	reach(1000)
	one.Listener.Close()
	one.CloseClientConnections()
	reach(done.Load() + 1000)
	close(stop)
	wg.Wait()
	if lostReads.Load() != 0 || lostWrites.Load() > writers {
		t.Errorf("%d reads and %d writes were lost of %d", lostReads.Load(), lostWrites.Load(), done.Load())
	}
	s := k.g.State().Upstreams
	if s[0].State != "resting" || s[1].State != "in" {
		t.Errorf("afterwards: %+v", s)
	}
	one.Close()
}

// When no place is well, what is cached is given stale, and all else is told to come back.
func TestAllPlacesOut(t *testing.T) { // breaks: host.auto-recovery
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var away atomic.Bool
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if away.Load() {
				panic(http.ErrAbortHandler)
			}
			w.Header().Set("Content-Type", "image/png")
			w.Header().Set("Cache-Control", "max-age=0")
			w.Header().Set("Etag", `"1"`)
			fmt.Fprint(w, "picture")
		})
		one, two := httptest.NewServer(app), httptest.NewServer(app)
		defer one.Close()
		defer two.Close()
		k := open(t, options{kit: kit, places: []gateway.Upstream{at(t, "a", one.URL), at(t, "b", two.URL)}, routes: cachedRoutes + "- {path: /open/x, who: anyone}\n"})
		c := k.client()
		k.do(c, "GET", "/open/images/a.png")
		away.Store(true)
		k.g.CheckPlaces(t.Context(), 2)
		if a := k.do(c, "GET", "/open/images/a.png"); a.StatusCode != 200 || a.body != "picture" || !strings.Contains(a.Header.Get("Cache-Status"), "application-away") {
			t.Errorf("from the cache: %d %q %v", a.StatusCode, a.body, a.Header)
		}
		if a := k.do(c, "GET", "/open/x"); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "upstream_out") {
			t.Errorf("not from the cache: %d %v %s", a.StatusCode, a.Header, a.body)
		}
		away.Store(false)
		k.g.CheckPlaces(t.Context(), 2)
		if a := k.do(c, "GET", "/open/x"); a.StatusCode != 200 {
			t.Errorf("afterwards: %d", a.StatusCode)
		}
		k.g.RecordPlaces(t.Context())
		down, up := kit.Recorded("gateway.upstream-failed"), kit.Recorded("gateway.upstream-recovered")
		if len(down) != 2 || len(up) != 2 {
			t.Errorf("%d entries of places going, %d of places coming", len(down), len(up))
		}
	}, gateway.Schema())
}

// A place that asks for a certificate is shown one, read anew at each handshake; the
// place's own is checked against its authority.
func TestMutualTLS(t *testing.T) {
	ca := newTestAuthority(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	own := ca.issue(t, "127.0.0.1")
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{own}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool}
	srv.StartTLS()
	defer srv.Close()
	u := at(t, "", srv.URL)
	u.Roots = ca.pool
	shown := ca.issue(t, "writ")
	u.Certificate = func() (*tls.Certificate, error) { return &shown, nil }
	k := open(t, options{places: []gateway.Upstream{u}, routes: "- {path: /open/, who: anyone}\n"})
	if a := k.do(k.client(), "GET", "/open/x"); a.StatusCode != 200 || a.body != "writ" {
		t.Errorf("%d %q", a.StatusCode, a.body)
	}
	u.Certificate = nil
	k = open(t, options{places: []gateway.Upstream{u}, routes: "- {path: /open/, who: anyone}\n"})
	if a := k.do(k.client(), "GET", "/open/x"); a.StatusCode != 502 {
		t.Errorf("without a certificate: %d", a.StatusCode)
	}
	u.Roots = x509.NewCertPool()
	k = open(t, options{places: []gateway.Upstream{u}, routes: "- {path: /open/, who: anyone}\n"})
	if a := k.do(k.client(), "GET", "/open/x"); a.StatusCode != 502 {
		t.Errorf("with an unknown authority: %d", a.StatusCode)
	}
}

// A sticky gate sends a session to the same place.
func TestStickySessions(t *testing.T) {
	places := []gateway.Upstream{}
	for _, name := range []string{"one", "two", "three"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name) }))
		defer s.Close()
		places = append(places, at(t, name, s.URL))
	}
	k := open(t, options{places: places, zones: gateway.Zones{Sticky: true}})
	c := k.client()
	used := map[string]bool{}
	for i := range 20 {
		token := fmt.Sprint("t", i)
		k.sessions.set(token, person(token, "member"))
		first := k.do(c, "GET", "/x", "Cookie: __Host-writ="+token).body
		used[first] = true
		for range 3 {
			if again := k.do(c, "GET", "/x", "Cookie: __Host-writ="+token).body; again != first {
				t.Fatalf("%s was at %s and is at %s", token, first, again)
			}
		}
	}
	if len(used) < 2 {
		t.Errorf("all sessions are at one place: %v", used)
	}
}
