package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
)

func TestReloadUnderLoadDropsNothing(t *testing.T) {
	k := open(t, options{routes: routes})
	ctx, cancel := context.WithCancel(t.Context())
	var done, wrong atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		c := k.client()
		if i%2 == 0 {
			c = http1(k)
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				if got := k.do(c, "GET", "/things", asAna); got.StatusCode != 200 {
					wrong.Add(1)
				}
				done.Add(1)
			}
		})
	}
	sock, _, err := websocketAt(k, "/things/ws")
	if err == nil {
		t.Error("the echo application spoke WebSocket")
		sock.CloseNow()
	}
	for i := range 100 {
		k.write(fmt.Sprintf("%s- {path: /r%d, who: role, roles: [admin]}\n", routes, i))
		if err := k.g.Reload(t.Context(), actor.System("test")); err != nil {
			t.Error(err)
		}
		v := values(clause.Values{"crypto.tls-in-transit/hsts": time.Duration(i+200) * time.Hour * 24})
		if err := k.rules.Set([]clause.Period{{Values: v}}); err != nil {
			t.Error(err)
		}
		if i%10 == 0 { // a file that is refused does nothing
			k.write("- {path: /r, who: anyone}\n")
			if err := k.g.Reload(t.Context(), actor.System("test")); !errors.Is(err, fault.Invalid) {
				t.Errorf("a loosening file: %v", err)
			}
		}
	}
	cancel()
	wg.Wait()
	if wrong.Load() > 0 || done.Load() < 200 {
		t.Errorf("%d of %d requests failed", wrong.Load(), done.Load())
	}
	if n := len(k.kit.Recorded("gateway.routes-adopted")); n != 101 {
		t.Errorf("%d adoptions recorded, want 101", n)
	}
	if got := k.do(k.client(), "GET", "/r99", asAna); got.StatusCode != 403 {
		t.Errorf("the last routes are not in force: %d", got.StatusCode)
	}
}

func TestWebSocket(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if err := c.Write(r.Context(), kind, []byte(r.Header.Get("Writ-Assertion")[:3]+string(b))); err != nil {
				return
			}
		}
	})
	k := open(t, options{upstream: app})
	if _, res, err := websocketAt(k, "/ws"); err == nil || res == nil || res.StatusCode != 401 {
		t.Errorf("a stranger's WebSocket: %v", err)
	}
	c, _, err := websocketAt(k, "/ws", asAna)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for i := range 3 {
		if i == 2 { // the stream outlives new routes
			k.write("- {path: /ws, who: role, roles: [admin]}\n")
			if err := k.g.Reload(t.Context(), actor.System("test")); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, b, err := c.Read(t.Context()); err != nil || string(b) != "eyJhello" {
			t.Fatalf("%q %v", b, err)
		}
	}
	if _, res, err := websocketAt(k, "/ws", asAna); err == nil || res.StatusCode != 403 {
		t.Errorf("after the new routes: %v", err)
	}
}

func websocketAt(k *gate, path string, head ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{}
	for _, x := range head {
		n, v, _ := strings.Cut(x, ": ")
		h.Set(n, v)
	}
	return websocket.Dial(k.t.Context(), k.base+path, &websocket.DialOptions{HTTPClient: http1(k), HTTPHeader: h})
}

func TestServerSentEvents(t *testing.T) {
	next := make(chan bool)
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})})
	for name, c := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
		res, err := c.Get(k.base + "/open/events")
		if err != nil {
			t.Fatal(err)
		}
		if res.Proto[:6] != name[:6] {
			t.Errorf("%s: spoke %s", name, res.Proto)
		}
		lines := bufio.NewReader(res.Body)
		for i := range 3 { // each arrives before the next is sent
			if l, err := lines.ReadString('\n'); err != nil || l != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("%s: %q %v", name, l, err)
			}
			if _, err := lines.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			next <- true
		}
		res.Body.Close()
	}
}

func TestUploadAndDownloadPass(t *testing.T) {
	k := open(t, options{})
	body := strings.Repeat("0123456789", 100_000)
	for name, c := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
		for kind, r := range map[string]io.Reader{"length": strings.NewReader(body), "chunked": io.MultiReader(strings.NewReader(body))} {
			res, err := c.Post(k.base+"/open/up", "text/plain", r)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || string(b) != "app:"+body {
				t.Errorf("%s, %s: %d bytes, %v", name, kind, len(b), err)
			}
		}
	}
}
