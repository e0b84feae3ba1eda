package gateway_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
)

const sized = "- {path: /open/small, who: anyone, body: 1KiB}\n- {path: /open/large, who: anyone, body: 12MiB}\n"

// send posts a body, announced or in chunks.
func (k *gate) send(c *http.Client, path string, body io.Reader) answer {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), "POST", k.base+path, body)
	if err != nil {
		k.t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		k.t.Fatalf("POST %s: %v", path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return answer{res, string(b)}
}

// chunks hides the length of a body.
type chunks struct{ io.Reader }

// A body has an upper size, by the route or by default, whether it is announced or not;
// what is too long reaches nobody whole.
func TestBodiesAreBound(t *testing.T) { // breaks: use.no-automation
	var mu sync.Mutex
	whole := map[string]int{} // bodies that the application read to their end
	k := open(t, options{routes: sized, upstream: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if mu.Lock(); err == nil {
			whole[r.URL.Path] = int(n)
		}
		mu.Unlock()
	})})
	for _, c := range []struct {
		path         string
		size, status int
	}{{"/open/x", 10 << 20, 200}, {"/open/y", 10<<20 + 1, 413}, {"/open/small", 1 << 10, 200}, {"/open/small", 1<<10 + 1, 413}, {"/open/large", 12 << 20, 200}, {"/open/large", 12<<20 + 1, 413}} {
		text := strings.Repeat("x", c.size)
		for how, body := range map[string]io.Reader{"announced": strings.NewReader(text), "in chunks": chunks{strings.NewReader(text)}} {
			mu.Lock()
			delete(whole, c.path)
			mu.Unlock()
			got := k.send(k.client(), c.path, body)
			if got.StatusCode != c.status || c.status == 413 && !strings.Contains(got.body, `"code":"body_too_large"`) {
				t.Errorf("%s, %d bytes %s: %d %s", c.path, c.size, how, got.StatusCode, got.body)
			}
			mu.Lock()
			if n, ok := whole[c.path]; ok != (c.status == 200) || ok && n != c.size {
				t.Errorf("%s, %d bytes %s: the application took %d for all of it", c.path, c.size, how, n)
			}
			mu.Unlock()
		}
	}
	for _, bad := range []string{"10", "0KiB", "11GiB", "-1MiB", "1mib", "99999999KiB"} {
		k.write("- {path: /open/x, who: anyone, body: " + bad + "}\n")
		if err := k.g.Reload(t.Context(), actor.System("test")); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "body is") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

// A body that drips is refused after ten seconds of reading, however short its rests are.
func TestDrippingBodyIsRefused(t *testing.T) { // breaks: use.no-automation
	var mu sync.Mutex
	now := time.Now()
	k := open(t, options{now: func() time.Time { mu.Lock(); defer mu.Unlock(); now = now.Add(100 * time.Millisecond); return now }})
	body := &drip{left: 2000, step: func() { mu.Lock(); now = now.Add(time.Second); mu.Unlock() }}
	got := k.send(k.client(), "/open/x", body)
	if got.StatusCode != 408 || !strings.Contains(got.body, `"code":"body_too_slow"`) {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if body.left < 1000 {
		t.Errorf("only after %d bytes", 2000-body.left)
	}
}

// drip gives one byte a time.
type drip struct {
	left int
	step func()
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(2 * time.Millisecond) // so that each is a frame
	d.step()
	d.left--
	p[0] = 'x'
	return 1, nil
}

// What a step looks at as a whole is what the application gets; all bodies together have
// a budget, which is free again at the end.
func TestHeldBodies(t *testing.T) {
	k := open(t, options{})
	var seen []byte
	k.g.Hold(100_000, func(b []byte) { seen = bytes.Clone(b) })
	for _, size := range []int{0, 1, 1023, 32 << 10, 32<<10 + 1, 100_000} {
		text := strings.Repeat("0123456789", size/10+1)[:size]
		for how, body := range map[string]io.Reader{"announced": strings.NewReader(text), "in chunks": chunks{strings.NewReader(text)}} {
			got := k.send(k.client(), "/open/x", body)
			if got.StatusCode != 200 || got.body != "app:"+text || string(seen) != text {
				t.Errorf("%d bytes %s: %d, %d arrived, %d seen", size, how, got.StatusCode, len(got.body)-4, len(seen))
			}
		}
	}
	for how, body := range map[string]io.Reader{"announced": strings.NewReader(strings.Repeat("x", 100_001)), "in chunks": chunks{strings.NewReader(strings.Repeat("x", 100_001))}} {
		if got := k.send(k.client(), "/open/x", body); got.StatusCode != 413 {
			t.Errorf("%s: %d", how, got.StatusCode)
		}
	}
	c, err := tls.Dial("tcp", k.addr, &tls.Config{RootCAs: k.ca.Roots(), ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /open/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000\r\n\r\nand then nothing")
	c.Close()
	waitFor(t, func() bool { return k.g.Held() == 0 })
	k.g.Fill(1000)
	if got := k.send(k.client(), "/open/x", strings.NewReader(strings.Repeat("x", 999))); got.StatusCode != 200 {
		t.Errorf("within the room: %d", got.StatusCode)
	}
	got := k.send(k.client(), "/open/x", strings.NewReader(strings.Repeat("x", 1001)))
	if got.StatusCode != 503 || got.Header.Get("Retry-After") != "5" || !strings.Contains(got.body, `"code":"bodies_many"`) {
		t.Errorf("beyond the room: %d %s", got.StatusCode, got.body)
	}
}

// waitFor waits until something that another goroutine does is done.
func waitFor(t testing.TB, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
	}
}
