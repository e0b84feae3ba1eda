package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/gateway"
)

// app is an application that answers with whatever bytes a test likes. Whoever gets
// "page n" knows by n which request over all connections it answered.
type app struct {
	t     testing.TB
	l     net.Listener
	conns atomic.Int64
	asked atomic.Int64
	gone  chan bool // one for each connection that the gate closed
}

// ask is one request as the application sees it.
type ask struct {
	*http.Request
	c  net.Conn
	n  int64           // of all requests, from 1
	to context.Context // ends when the gate closed the connection
}

// say sends bytes; false ends the connection.
func (a ask) say(text string) bool { _, err := io.WriteString(a.c, text); return err == nil }

// page is a whole answer.
func (a ask) page() bool { return a.say(whole(fmt.Sprintf("page %d", a.n))) }

func whole(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func raw(t testing.TB, serve func(ask) bool) *app {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &app{t: t, l: l, gone: make(chan bool, 1000)}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.conns.Add(1)
			go a.talk(c, serve)
		}
	}()
	return a
}

func (a *app) talk(c net.Conn, serve func(ask) bool) {
	defer c.Close()
	requests := make(chan *http.Request)
	to, gone := context.WithCancel(context.Background())
	go func() {
		defer close(requests)
		defer gone()
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				a.gone <- true
				return
			}
			requests <- r
		}
	}()
	for r := range requests {
		if !serve(ask{r, c, a.asked.Add(1), to}) {
			c.Close()
		}
	}
}

func (a *app) gate() *gate { return open(a.t, options{url: "http://" + a.l.Addr().String()}) }

// leaves waits until the gate has closed a connection.
func (a *app) leaves() {
	a.t.Helper()
	select {
	case <-a.gone:
	case <-time.After(30 * time.Second):
		a.t.Error("the gate keeps the connection")
	}
}

func TestOneConnectionServesManyQuestions(t *testing.T) {
	a := raw(t, ask.page)
	k := a.gate()
	for name, c := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
		for _, m := range []string{"GET", "OPTIONS"} {
			if got := k.do(c, m, "/open/x"); got.body != fmt.Sprintf("page %d", a.asked.Load()) {
				t.Errorf("%s %s: %d %q", name, m, got.StatusCode, got.body)
			}
		}
	}
	if n := a.conns.Load(); n != 1 {
		t.Errorf("%d connections for four requests, want 1", n)
	}
}

// What comes beside an answer would be the answer to somebody else's question.
func TestNothingIsReadAsTheNextAnswer(t *testing.T) {
	stolen := whole("stolen")
	for name, x := range map[string]struct {
		method, answer, later string
		body                  string // what the client may see
	}{
		"more than its length":       {"GET", whole("fine") + stolen, "", "fine"},
		"more than its length later": {"GET", whole("fine"), stolen, "fine"},
		"one byte later":             {"GET", whole("fine"), "\n", "fine"},
		"more than its last chunk":   {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n" + stolen, "", "fine"},
		"a body on HEAD":             {"HEAD", whole(stolen), "", ""},
		"a body on HEAD later":       {"HEAD", whole("")[:len(whole(""))-1] + "\n", stolen, ""},
		"a body on 204":              {"GET", "HTTP/1.1 204 No Content\r\n\r\n" + stolen, "", ""},
		"a body on 304":              {"GET", "HTTP/1.1 304 Not Modified\r\n\r\n" + stolen, "", ""},
		"chunks on 304":              {"GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + stolen, "", ""},
		"close":                      {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine", "", "fine"},
		"close among others":         {"GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 4\r\n\r\nfine", "", "fine"},
		"HTTP/1.0":                   {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine", "", "fine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, sent := make(chan bool), make(chan bool)
			a := raw(t, func(q ask) bool {
				if q.n > 1 {
					return q.page()
				}
				defer close(sent)
				if q.say(x.answer); x.later != "" {
					<-first
					q.say(x.later)
				}
				return true // and goes on listening
			})
			k := a.gate()
			if got := k.do(k.client(), x.method, "/open/x"); got.StatusCode >= 400 || got.body != x.body {
				t.Errorf("%d %q, want %q", got.StatusCode, got.body, x.body)
			}
			close(first)
			<-sent
			for n := range 2 {
				if got := k.do(k.client(), "GET", "/open/y"); got.StatusCode != 200 || got.body != fmt.Sprintf("page %d", n+2) {
					t.Errorf("the next request: %d %q", got.StatusCode, got.body)
				}
			}
			if n := a.conns.Load(); n != 2 {
				t.Errorf("%d connections, want 2: the first must not be used again, the second must", n)
			}
			a.leaves()
		})
	}
}

// Half an answer is an error for the client, and the end of the connection.
func TestCutAnswersAreSeen(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for name, x := range map[string]struct {
		answer string
		close  bool
	}{
		"short of its length": {head + "Content-Length: 100\r\n\r\nhalf", true},
		"without last chunk":  {head + "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", true},
		"a bad chunk":         {head + "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n", false},
	} {
		for proto := range 2 {
			t.Run(fmt.Sprintf("%s, HTTP/%d", name, proto+1), func(t *testing.T) {
				t.Parallel()
				a := raw(t, func(q ask) bool {
					if q.n > 1 {
						return q.page()
					}
					return q.say(x.answer) && !x.close
				})
				k := a.gate()
				c := []*http.Client{http1(k), k.client()}[proto]
				res, err := c.Get(k.base + "/open/x")
				if err == nil {
					var b []byte
					b, err = io.ReadAll(res.Body)
					res.Body.Close()
					if err == nil {
						t.Errorf("taken for whole: %q", b)
					}
				}
				if got := k.do(c, "GET", "/open/y"); got.body != "page 2" || a.conns.Load() != 2 {
					t.Errorf("the next request: %q over %d connections", got.body, a.conns.Load())
				}
				a.leaves()
			})
		}
	}
}

// What cannot be an answer ends the request with 502, and the connection with it.
func TestBadHeadsAreRefused(t *testing.T) {
	early := "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
	for name, x := range map[string]struct {
		answer func(ask)
		status int
	}{
		"another protocol":   {func(q ask) { q.say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n") }, 502},
		"status 099":         {func(q ask) { q.say("HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n") }, 502},
		"no HTTP":            {func(q ask) { q.say("hello\r\n\r\n") }, 502},
		"two lengths":        {func(q ask) { q.say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab") }, 502},
		"half a head":        {func(q ask) { q.say("HTTP/1.1 200 OK\r\nContent-Le"); q.c.Close() }, 502},
		"sixteen hints":      {func(q ask) { q.say(strings.Repeat(early, 16) + whole("fine")) }, 200},
		"hints without end":  {func(q ask) { q.say(strings.Repeat(early, 17) + whole("fine")) }, 502},
		"a head without end": {func(q ask) { endless(q, "HTTP/1.1 200 OK\r\n", "A: "+strings.Repeat("x", 1000)+"\r\n") }, 502},
		"a line without end": {func(q ask) { endless(q, "HTTP/1.1 200 OK\r\nA: ", "x") }, 502},
		"long hints":         {func(q ask) { endless(q, "HTTP/1.1 103 Early Hints\r\n", "A: "+strings.Repeat("x", 1000)+"\r\n") }, 502},
		"slow": {func(q ask) {
			for q.say("H") && q.to.Err() == nil {
				time.Sleep(20 * time.Millisecond)
			}
		}, 504},
		"silent": {func(q ask) { <-q.to.Done() }, 504},
	} {
		t.Run(name, func(t *testing.T) {
			a := raw(t, func(q ask) bool { x.answer(q); return true })
			k := a.gate()
			if x.status == 504 {
				k.g.Direct(func(t *http.Transport) { t.ResponseHeaderTimeout = 200 * time.Millisecond })
			}
			if got := k.do(http1(k), "GET", "/open/x"); got.StatusCode != x.status {
				t.Errorf("%d %q, want %d", got.StatusCode, got.body, x.status)
			}
			if a.asked.Load() != 1 {
				t.Errorf("asked %d times", a.asked.Load())
			}
			if x.status != 200 {
				a.leaves()
			}
		})
	}
}

// endless sends 30 MB, or less when the gate has enough.
func endless(q ask, head, line string) {
	block := strings.Repeat(line, 30<<20/30/len(line))
	for ok := q.say(head); ok && q.to.Err() == nil; ok = q.say(block) {
	}
}

// The limit on a head is none on a body, and a body may rest.
func TestBodiesMayBeLongAndRest(t *testing.T) {
	const long = 30 << 20
	longPage := whole(strings.Repeat("x", long))
	a := raw(t, func(q ask) bool {
		if q.URL.Path == "/open/long" {
			return q.say(longPage)
		}
		q.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nfine\r\n")
		time.Sleep(2500 * time.Millisecond)
		return q.say("0\r\nX-Sum: 7\r\n\r\n")
	})
	k := a.gate()
	k.g.Direct(func(t *http.Transport) { t.ResponseHeaderTimeout = 2 * time.Second })
	for name, c := range map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)} {
		if got := k.do(c, "GET", "/open/long"); len(got.body) != long {
			t.Errorf("%s: %d bytes", name, len(got.body))
		}
		if got := k.do(c, "GET", "/open/rest"); got.body != "fine" || got.Trailer.Get("X-Sum") != "7" {
			t.Errorf("%s: %q, trailer %v", name, got.body, got.Trailer)
		}
	}
	if n := a.conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A connection that the application closed while it rested, or as we wrote, costs the
// client nothing; one that it closes on the question itself is not tried for ever.
func TestClosedConnectionsAreReplacedOnce(t *testing.T) {
	for name, x := range map[string]struct {
		second func(ask) bool
		status int
		asked  int64
	}{
		"as we wrote":         {func(q ask) bool { return q.n > 2 && q.page() }, 200, 3},
		"at every question":   {func(ask) bool { return false }, 502, 3},
		"within the answer":   {func(q ask) bool { q.say("HTTP/1.1 200"); return false }, 502, 2},
		"slow":                {func(q ask) bool { <-q.to.Done(); return false }, 504, 2},
		"wrong, not finished": {func(q ask) bool { return q.say("\x00\r\n") }, 502, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := raw(t, func(q ask) bool {
				if q.n == 1 {
					return q.page()
				}
				return x.second(q)
			})
			k := a.gate()
			k.g.Direct(func(t *http.Transport) { t.ResponseHeaderTimeout = 300 * time.Millisecond })
			k.do(k.client(), "GET", "/open/x")
			if got := k.do(k.client(), "GET", "/open/x"); got.StatusCode != x.status || a.asked.Load() != x.asked {
				t.Errorf("%d after %d questions, want %d after %d: %s", got.StatusCode, a.asked.Load(), x.status, x.asked, got.body)
			}
		})
	}
	t.Run("while it rested", func(t *testing.T) {
		a := raw(t, func(q ask) bool { return q.page() && q.n%2 == 0 })
		k := a.gate()
		for range 3 {
			for range 2 {
				if got := k.do(k.client(), "GET", "/open/x"); got.StatusCode != 200 {
					t.Errorf("%d %s", got.StatusCode, got.body)
				}
			}
			a.leaves()
		}
	})
}

// When the client goes away, the application learns of it, whatever it is doing.
func TestApplicationLearnsOfAClientsLeaving(t *testing.T) {
	for name, begin := range map[string]string{"before the answer": "", "within the answer": "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhalf"} {
		for proto := range 2 {
			t.Run(fmt.Sprintf("%s, HTTP/%d", name, proto+1), func(t *testing.T) {
				t.Parallel()
				there := make(chan bool)
				a := raw(t, func(q ask) bool {
					q.say(begin)
					close(there)
					<-q.to.Done()
					return false
				})
				k := a.gate()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				r, err := http.NewRequestWithContext(ctx, "GET", k.base+"/open/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					if res, err := []*http.Client{http1(k), k.client()}[proto].Do(r); err == nil {
						io.Copy(io.Discard, res.Body)
						res.Body.Close()
					}
				}()
				<-there
				time.Sleep(50 * time.Millisecond)
				leave()
				a.leaves()
				if a.asked.Load() != 1 {
					t.Errorf("asked %d times", a.asked.Load())
				}
			})
		}
	}
}

// A connection whose asker left may be closed at any moment: it is not for the next one,
// even when the whole answer lay ready.
func TestConnectionOfOneWhoLeftIsNotKept(t *testing.T) {
	a := raw(t, ask.page)
	way := a.gate().g
	for n, leaves := range []bool{true, false} {
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		r, err := http.NewRequestWithContext(ctx, "GET", "http://app/", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := way.Way().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if leaves {
			leave()
		}
		if b, err := io.ReadAll(res.Body); err != nil || string(b) != fmt.Sprintf("page %d", n+1) {
			t.Errorf("%q %v", b, err)
		}
		if got := way.Resting(); got != n {
			t.Errorf("%d connections rest, want %d", got, n)
		}
	}
}

// Connections that rest are few, and not for ever.
func TestRestingConnectionsAreBounded(t *testing.T) {
	const many = 4
	var in atomic.Int64
	all := make(chan bool)
	a := raw(t, func(q ask) bool {
		if in.Add(1) == many {
			close(all)
		}
		<-all
		return q.page()
	})
	k := a.gate()
	k.g.Direct(func(t *http.Transport) { t.MaxIdleConnsPerHost, t.IdleConnTimeout = 2, 300*time.Millisecond })
	done := make(chan bool)
	for range many {
		go func() { k.do(http1(k), "GET", "/open/x"); done <- true }()
	}
	for range many {
		<-done
	}
	for range many - 2 { // at once
		a.leaves()
	}
	select {
	case <-a.gone:
		t.Error("closed too early")
	case <-time.After(100 * time.Millisecond):
	}
	for range 2 { // in time
		a.leaves()
	}
	k.do(http1(k), "GET", "/open/x")
	if n := a.conns.Load(); n != many+1 {
		t.Errorf("%d connections, want %d", n, many+1)
	}
	a.leaves() // it is looked after again
}

// Only questions without a body go the short way; what cannot be sent does not either.
func TestWhatGoesTheShortWay(t *testing.T) {
	for name, x := range map[string]struct {
		want bool
		make func(*http.Request)
	}{
		"question":      {true, func(*http.Request) {}},
		"HEAD":          {true, func(r *http.Request) { r.Method = "HEAD" }},
		"no body":       {true, func(r *http.Request) { r.Body = http.NoBody }},
		"tab":           {true, func(r *http.Request) { r.Header.Set("A", "b\tc") }},
		"POST":          {false, func(r *http.Request) { r.Method = "POST" }},
		"DELETE":        {false, func(r *http.Request) { r.Method = "DELETE" }},
		"body":          {false, func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) }},
		"length":        {false, func(r *http.Request) { r.ContentLength = 1 }},
		"chunks":        {false, func(r *http.Request) { r.TransferEncoding = []string{"chunked"} }},
		"trailer":       {false, func(r *http.Request) { r.Trailer = http.Header{"A": nil} }},
		"close":         {false, func(r *http.Request) { r.Close = true }},
		"upgrade":       {false, func(r *http.Request) { r.Header.Set("Upgrade", "websocket") }},
		"line feed":     {false, func(r *http.Request) { r.Header["A"] = []string{"b", "c\nd: e"} }},
		"delete":        {false, func(r *http.Request) { r.Header["A"] = []string{"\x7f"} }},
		"name, space":   {false, func(r *http.Request) { r.Header["A b"] = []string{"c"} }},
		"name, colon":   {false, func(r *http.Request) { r.Header["A: b\r\nC"] = []string{"d"} }},
		"name, foreign": {false, func(r *http.Request) { r.Header["\u0141"] = []string{"d"} }},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://app/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		x.make(r)
		if got := gateway.Simple(r); got != x.want {
			t.Errorf("%s: %v, want %v", name, got, x.want)
		}
	}
}
