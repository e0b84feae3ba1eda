package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// Methods are part of what assertions are kept under: each was kept, however long.
func TestLongMethodsAreNotKeptRegression(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	k.do(k.client(), "GET", "/things", asAna)
	before := k.g.Kept()
	for i := range 20 {
		if got := k.do(http1(k), strings.Repeat("A", 20_000)+fmt.Sprint(i), "/things", asAna); got.StatusCode != 405 {
			t.Errorf("a method of 20,000 letters: %d", got.StatusCode)
		}
	}
	for m, want := range map[string]int{"post": 405, "P0ST": 405, "GET_": 405, strings.Repeat("A", 21): 405, "PROPFIND": 200, "VERSION-CONTROL": 200} {
		if got := k.do(http1(k), m, "/things", asAna); got.StatusCode != want {
			t.Errorf("%s: %d, want %d", m, got.StatusCode, want)
		}
	}
	if got := k.g.Kept(); got > before+2 {
		t.Errorf("%d assertions are kept, want at most %d", got, before+2)
	}
}

// A page of another site, a sibling domain too, made the browser write to the
// application with the session's cookie and assertion.
func TestOtherSitesDoNotWriteThroughSessionsRegression(t *testing.T) { // breaks: auth.best-practice
	k := open(t, options{})
	evil := []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}
	upgrade := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-Websocket-Version: 13", "Sec-Websocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="}
	for name, c := range map[string]struct {
		method string
		head   []string
		want   int
	}{
		"cross-site post":      {"POST", append(evil, asAna), 403},
		"sibling's post":       {"POST", []string{asAna, "Sec-Fetch-Site: same-site"}, 403},
		"old browser's post":   {"POST", []string{asAna, "Origin: https://evil.example"}, 403},
		"sandboxed post":       {"DELETE", []string{asAna, "Origin: null"}, 403},
		"sibling's WebSocket":  {"GET", append(upgrade, asAna, "Origin: https://evil.example", "Sec-Fetch-Site: same-site"), 403},
		"own post":             {"POST", []string{asAna, "Origin: " + k.base, "Sec-Fetch-Site: same-origin"}, 200},
		"own WebSocket":        {"GET", append(upgrade, asAna, "Origin: "+k.base), 200}, // echo answers it as a page
		"typed address":        {"GET", append(evil, asAna), 200},
		"a program's post":     {"POST", []string{asAna}, 200},
		"a stranger's webhook": {"POST", evil, 200},
	} {
		if got := k.do(http1(k), c.method, "/open/x", c.head...); got.StatusCode != c.want {
			t.Errorf("%s: %d, want %d: %s", name, got.StatusCode, c.want, got.body)
		}
	}
}

// Interim answers went past the rules for the application's headers.
func TestEarlyHintsAreCleanedRegression(t *testing.T) {
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Link", "</a.css>; rel=preload")
		h.Set("Set-Cookie", "__Host-writ=stolen; Path=/; Secure")
		h.Set("Writ-Rows", "5")
		h.Set("Server", "App/1")
		w.WriteHeader(http.StatusEarlyHints)
	})})
	for name, c := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
		var early http.Header
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			early = http.Header(h)
			return nil
		}})
		r, err := http.NewRequestWithContext(ctx, "GET", k.base+"/open/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if early.Get("Link") == "" || early.Get("Set-Cookie") != "" || early.Get("Writ-Rows") != "" || early.Get("Server") != "" {
			t.Errorf("%s: 103 with %v", name, early)
		}
	}
}

// Other identity proxies' names reached an application that once stood behind them.
func TestOtherProxiesIdentityHeadersAreRemovedRegression(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	for _, n := range []string{"Remote-User", "Remote-Groups", "Remote-Email", "X-Remote-User", "X-Authentik-Username", "X-Webauth-User", "X-Goog-Authenticated-User-Email",
		"X-Amzn-Oidc-Identity", "X-Ms-Client-Principal-Name", "Cf-Access-Jwt-Assertion", "Tailscale-User-Login", "Ssl-Client-Verify", "X-Ssl-Client-Verify", "X-Pomerium-Jwt-Assertion", "Writ-"} {
		if got := k.do(http1(k), "GET", "/open/x", n+": root"); got.Header.Get("Seen-"+n) != "" {
			t.Errorf("%s reached the application", n)
		}
	}
}

// A body over HTTP/2 that never came held a stream and a connection to the application for ever.
func TestRestingBodyOverHTTP2IsCutRegression(t *testing.T) {
	k := open(t, options{})
	k.g.SetPause(200 * time.Millisecond)
	for kind, want := range map[string]bool{"text/plain": true, "application/grpc+proto": false} {
		hold, stop := io.Pipe()
		r, err := http.NewRequestWithContext(t.Context(), "POST", k.base+"/open/x", hold)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		end := make(chan int, 1)
		go func() {
			res, err := k.client().Do(r)
			if err != nil {
				end <- 0
				return
			}
			res.Body.Close()
			end <- res.StatusCode
		}()
		cut, patience := false, 3*time.Second
		if want {
			patience = 30 * time.Second
		}
		select {
		case status := <-end:
			cut = status == 408
		case <-time.After(patience):
		}
		if cut != want {
			t.Errorf("%s: cut is %v, want %v", kind, cut, want)
		}
		stop.Close()
	}
}

// A client's broken body was told, logged and counted as the application's failure.
func TestBrokenBodyIsTheClientsFaultRegression(t *testing.T) {
	k := open(t, options{})
	c, err := tls.Dial("tcp", k.addr, &tls.Config{RootCAs: k.ca.Roots(), ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /open/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != 400 || !strings.Contains(string(b), `"code":"body"`) {
		t.Errorf("%d %s", res.StatusCode, b)
	}
}

// A panic at the gate cut the connection and stood in no log.
func TestPanicIsLoggedRegression(t *testing.T) {
	log := &record{}
	k := open(t, options{log: slog.New(slog.NewTextHandler(log, nil))})
	for name, c := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", k.base+"/things", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", "__Host-writ=boom")
		if res, err := c.Do(r); err == nil {
			res.Body.Close()
			t.Errorf("%s: answered %d", name, res.StatusCode)
		}
		if got := k.do(c, "GET", "/things", asAna); got.StatusCode != 200 {
			t.Errorf("%s: afterwards %d", name, got.StatusCode)
		}
	}
	if n := strings.Count(log.String(), "a bug in the table"); n != 2 {
		t.Errorf("logged %d times, want 2: %s", n, log)
	}
}

// record is a log to read while it is written.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) { r.mu.Lock(); defer r.mu.Unlock(); return r.b.Write(p) }
func (r *record) String() string              { r.mu.Lock(); defer r.mu.Unlock(); return r.b.String() }
