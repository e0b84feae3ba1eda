package listen_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/listen"
)

// A thousand clients that do not read took all that the machine has for connections: the kernel
// held up to 4 MiB of an answer for each.
func TestSlowReadersHoldLittleRegression(t *testing.T) {
	a := authority(t, t.TempDir(), time.Now, "localhost")
	addr, _ := serve(t, listen.Door{Name: "https", TLS: listen.TLSConfig(a, nil, false, time.Now), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		if n, err := listen.Unsent(c); err != nil || n != 128<<10 {
			t.Errorf("%d bytes may wait, want 128 KiB: %v", n, err)
		}
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})})
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"}}}
	res, err := c.Get("https://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// What a client keeps for a shorter handshake is good for a day at the most, in both versions.
func TestTicketsAreGoodForADay(t *testing.T) { // breaks: crypto.current-public
	a := authority(t, t.TempDir(), time.Now, "localhost")
	var at atomic.Int64
	begin := time.Now().Truncate(24 * time.Hour)
	at.Store(begin.Add(time.Hour).Unix())
	server := listen.TLSConfig(a, func() uint16 { return tls.VersionTLS12 }, false, func() time.Time { return time.Unix(at.Load(), 0) })
	addr, _ := serve(t, listen.Door{Name: "https", TLS: server, Handler: http.HandlerFunc(hello)})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		at.Store(begin.Add(time.Hour).Unix())
		kept := tls.NewLRUClientSessionCache(1)
		shorter := func(hours int, keep tls.ClientSessionCache) bool {
			at.Store(begin.Add(time.Duration(hours) * time.Hour).Unix())
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost", ClientSessionCache: keep, MaxVersion: version}}}
			res, err := c.Get("https://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			io.Copy(io.Discard, res.Body) // what is kept comes after the handshake
			return res.TLS.DidResume
		}
		if shorter(1, kept) {
			t.Error("the first handshake was a shorter one")
		}
		first, ok := kept.Get("localhost")
		if !ok {
			t.Fatal("nothing to keep was given")
		}
		for _, hours := range []int{2, 13, 23, 25, 60} { // time does not go back
			kept.Put("localhost", first)
			if got, want := shorter(hours, kept), hours < 24; got != want {
				t.Errorf("version %x after %d hours: a shorter handshake is %v, want %v", version, hours-1, got, want)
			}
		}
	}
}

// Keys that were given are used at once, also when a process had made its own before, and one
// that a process made is nobody else's.
func TestTicketsThatAreGiven(t *testing.T) { // breaks: crypto.current-public
	a := authority(t, t.TempDir(), time.Now, "localhost")
	now := time.Now()
	shared := map[int64][32]byte{listen.HalfDay(now): {1, 2, 3}, listen.HalfDay(now) + 1: {4, 5, 6}}
	node := func(given bool) (*listen.Tickets, string) {
		n := new(listen.Tickets)
		if given {
			n.Give(shared)
		}
		addr, _ := serve(t, listen.Door{Name: "https", TLS: n.TLSConfig(a, nil, false, func() time.Time { return now }), Handler: http.HandlerFunc(hello)})
		return n, addr
	}
	resumes := func(addr string, kept tls.ClientSessionCache) bool {
		t.Helper()
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost", ClientSessionCache: kept}}}
		res, err := c.Get("https://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		io.Copy(io.Discard, res.Body) // what is kept comes after the handshake
		return res.TLS.DidResume
	}
	_, one := node(true)
	_, two := node(true)
	late, alone := node(false)
	for _, c := range []struct {
		from, to string
		give     bool
		want     bool
	}{{one, two, false, true}, {one, alone, false, false}, {alone, one, false, false}, {alone, alone, false, true}, {one, alone, true, true}, {alone, two, false, true}} {
		if c.give {
			late.Give(shared)
		}
		kept := tls.NewLRUClientSessionCache(1)
		resumes(c.from, kept)
		if got := resumes(c.to, kept); got != c.want {
			t.Errorf("from %s at %s: resumed %v, want %v", c.from, c.to, got, c.want)
		}
	}
}
