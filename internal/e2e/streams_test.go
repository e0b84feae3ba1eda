package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"
)

// http1 is the same visitor over HTTP/1.1, as WebSockets need it.
func (v *visitor) http1() *visitor {
	v.t.Helper()
	tr, ok := v.http.Transport.(*http.Transport)
	if !ok {
		v.t.Fatalf("the transport is a %T", v.http.Transport)
	}
	tr = tr.Clone()
	tr.ForceAttemptHTTP2 = false
	tr.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	tr.TLSClientConfig.NextProtos = []string{"http/1.1"}
	v.t.Cleanup(tr.CloseIdleConnections)
	old := *v
	c := *v.http
	c.Transport = tr
	old.http = &c
	return &old
}

// socket opens a WebSocket through the gate.
func (v *visitor) socket(path string) (*websocket.Conn, *http.Response, error) {
	c := *v.http1().http
	c.Timeout = 0 // it would end the stream
	return websocket.Dial(v.t.Context(), v.base+path, &websocket.DialOptions{HTTPClient: &c})
}

// routes replaces the folder's route file in one step.
func (f *folder) routes(text string) {
	f.t.Helper()
	name := filepath.Join(f.dir, "routes.yaml")
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		f.t.Fatal(err)
	}
}

// streaming answers WebSockets at /ws with what they say and how many parts the gate's
// assertion has; under /events/ it sends each word that the test hands it.
type streaming map[string]chan string

func (s streaming) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch next := s[r.URL.Path]; {
	case r.URL.Path == "/ws":
		echo(w, r)
	case next != nil:
		w.Header().Set("Content-Type", "text/event-stream")
		rc := http.NewResponseController(w)
		for rc.Flush() == nil {
			select {
			case word := <-next:
				fmt.Fprintf(w, "data: %s\n\n", word)
			case <-r.Context().Done():
				return
			}
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}) // the gate has looked at the origin
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, b, err := c.Read(r.Context())
		if err != nil || c.Write(r.Context(), kind, fmt.Appendf(nil, "%d parts: %s", strings.Count(r.Header.Get("Writ-Assertion"), ".")+1, b)) != nil {
			return
		}
	}
}

// WebSockets and server-sent events pass the gate, each word before the next is sent, and
// outlive new routes, which hold for whoever comes after.
func TestStreams(t *testing.T) { // breaks: use.no-automation
	t.Parallel()
	app := newApplication(t)
	next := streaming{"/events/2": make(chan string), "/events/1": make(chan string)}
	on := http.HandlerFunc(next.ServeHTTP)
	app.on.Store(&on)
	s := start(t, setup{upstream: app.url})
	v := s.customer("maria@orchard.example")
	stranger := s.visitor()
	if _, res, err := stranger.socket("/ws"); err == nil || res == nil || res.StatusCode != 401 {
		t.Errorf("a stranger's WebSocket: %v %v", res, err)
	}
	if a := stranger.send("GET", "/events/2", nil, nil); a.status != 401 {
		t.Errorf("a stranger's events: %v", a)
	}
	ctx, done := context.WithTimeout(t.Context(), 2*patience)
	defer done()
	ws, _, err := v.socket("/ws")
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	events := map[string]<-chan string{"/events/2": v.events(ctx, "/events/2", "HTTP/2.0"), "/events/1": v.http1().events(ctx, "/events/1", "HTTP/1.1")}
	pass := func(word string) {
		t.Helper()
		if err := ws.Write(ctx, websocket.MessageText, []byte(word)); err != nil {
			t.Fatalf("WebSocket: %v", err)
		}
		if _, b, err := ws.Read(ctx); err != nil || string(b) != "3 parts: "+word {
			t.Fatalf("WebSocket: %q %v", b, err)
		}
		for path, in := range next {
			select {
			case in <- word:
			case <-ctx.Done():
				t.Fatalf("%s: the stream has ended before %q", path, word)
			}
			if got := <-events[path]; got != word {
				t.Fatalf("%s: got %q, want %q", path, got, word)
			}
		}
	}
	for i := range 20 {
		pass(fmt.Sprint("before ", i))
	}
	s.routes("- {path: /ws, who: role, roles: [owner]}\n- {path: /events/, who: role, roles: [owner]}\n")
	eventually(t, "the new routes hold", func() bool { return v.send("GET", "/events/none", nil, nil).status == 403 })
	if _, res, err := v.socket("/ws"); err == nil || res == nil || res.StatusCode != 403 {
		t.Errorf("a WebSocket under the new routes: %v %v", res, err)
	}
	for i := range 20 {
		pass(fmt.Sprint("after ", i))
	}
}

// events opens a stream of server-sent events and gives what it says, until ctx ends.
func (v *visitor) events(ctx context.Context, path, proto string) <-chan string {
	v.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+path, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	c := *v.http
	c.Timeout = 0 // it would end the stream
	res, err := c.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Proto != proto || res.Header.Get("Content-Type") != "text/event-stream" {
		v.t.Errorf("%s: %s %s %v", path, res.Proto, res.Status, res.Header)
	}
	out := make(chan string)
	go func() {
		defer close(out)
		defer res.Body.Close()
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			if word, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				select {
				case out <- word:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// While routes and policy change under load, no request is dropped and none is answered
// but as before or as after.
func TestReloadDropsNothing(t *testing.T) {
	t.Parallel()
	app := newApplication(t)
	s := start(t, setup{upstream: app.url, owners: threeOwners})
	c := newCouncil(t, s)
	for _, o := range threeOwners {
		c.sign(t, o)
	}
	v := s.customer("maria@orchard.example")
	var done, wrong atomic.Int64
	var first sync.Once
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 4 {
		w := v
		if i%2 == 0 {
			w = v.http1()
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				a, err := w.try("GET", "/orders", nil, nil)
				if done.Add(1); err != nil || a.status != 200 {
					wrong.Add(1)
					first.Do(func() { t.Errorf("a request during a change: %v %v", a, err) })
				}
			}
		})
	}
	reload(t, c, v)
	cancel()
	wg.Wait()
	if n := wrong.Load(); n > 0 || done.Load() < 100 {
		t.Errorf("%d of %d requests failed", n, done.Load())
	}
}

// reload adopts three route files and three revisions, one after the other, each seen to hold.
func reload(t *testing.T, c *council, v *visitor) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	must(t, 0, c.writ("policy", "export", file))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := ttlLine(t, string(text))
	for i, hours := range []string{"23 hours", "22 hours", "21 hours"} {
		path := fmt.Sprintf("/closed-%d", i)
		c.routes(fmt.Sprintf("- path: %s\n  who: role\n  roles: [owner]\n", path))
		eventually(t, "the routes hold", func() bool {
			a, err := v.try("GET", path, nil, nil)
			return err == nil && a.status == 403
		})
		version := fmt.Sprintf("1.%d", i+1)
		write(t, file, strings.Replace(string(text), line, strings.Replace(line, "24h", strings.TrimSuffix(hours, " hours")+"h", 1), 1), 0o600)
		must(t, 0, c.as("ana@example.test", "policy", "propose", file, "--summary", "Shorter still"), version)
		c.sign(t, "ben@example.test", version)
		eventually(t, "the revision is obeyed", func() bool { return c.obeyed(t, ttl) == hours })
	}
}
