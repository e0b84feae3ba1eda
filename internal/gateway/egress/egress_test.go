package egress_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/gateway/egress"
	"writ/internal/secret"
)

// outside is the world: names, a server, and what the proxy said of refusals.
type outside struct {
	t     testing.TB
	proxy string
	srv   *httptest.Server

	mu      sync.Mutex
	names   map[string][]string // addresses of a name
	asked   map[string]int      // how often it was resolved
	dialled []string
	heard   int // connections of the server
	refused []string
	caller  string
	lost    bool // it cannot be told who asks
	inside  []netip.Prefix
	passed  []egress.Try
	stop    func() // the proxy, and waits for its end
}

func open(t testing.TB, change ...func(*egress.Deps)) *outside {
	t.Helper()
	o := &outside{t: t, caller: "service/app", names: map[string][]string{"api.example.com": {"93.184.216.34"}}, asked: map[string]int{}}
	o.srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello "+r.Host) }))
	o.srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateActive {
			o.mu.Lock()
			o.heard++
			o.mu.Unlock()
		}
	}
	o.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	o.srv.StartTLS()
	t.Cleanup(o.srv.Close)
	d := egress.Deps{Log: slog.New(slog.DiscardHandler), TLS: &tls.Config{Certificates: o.srv.TLS.Certificates},
		Caller: func(_ context.Context, from netip.Addr, token secret.Text) (egress.Who, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			if o.lost {
				return egress.Who{}, errors.New("the table is away")
			}
			if token.Reveal() == "good" {
				return egress.Who{Name: "machine/reports"}, nil
			}
			return egress.Who{Name: o.caller}, nil
		},
		Listed: func(to egress.Target) ([]netip.Prefix, bool) {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.inside, o.names[to.Name] != nil && (to.Port == 443 || to.Port == 8443)
		},
		Resolve: func(_ context.Context, _, name string) (ips []netip.Addr, err error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.asked[name]++
			for _, s := range o.names[name] {
				ips = append(ips, netip.MustParseAddr(s))
			}
			return ips, nil
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			o.mu.Lock()
			o.dialled = append(o.dialled, address)
			o.mu.Unlock()
			return (&net.Dialer{}).DialContext(ctx, network, o.srv.Listener.Addr().String())
		},
		Began: func(egress.Try) {},
		Told: func(t egress.Try) {
			o.mu.Lock()
			defer o.mu.Unlock()
			if t.Passed {
				o.passed = append(o.passed, t)
			} else {
				o.refused = append(o.refused, t.Who.Name+" "+t.Target.Name+" "+t.Cause)
			}
		}}
	for _, c := range change {
		c(&d)
	}
	p, err := egress.New(d)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.proxy = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	o.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(o.stop)
	return o
}

// connect sends a head and returns the status and the connection.
func (o *outside) connect(head string) (int, net.Conn, *bufio.Reader) {
	o.t.Helper()
	c, err := net.Dial("tcp", o.proxy)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { c.Close() })
	io.WriteString(c, head)
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return 0, c, in
	}
	return res.StatusCode, c, in
}

func (o *outside) said() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := o.refused
	o.refused = nil
	return r
}

// fetch asks for a page as name through a tunnel to it.
func fetch(c net.Conn, name string, roots *x509.CertPool) (string, error) {
	t := tls.Client(c, &tls.Config{ServerName: name, RootCAs: roots, InsecureSkipVerify: true})
	if _, err := fmt.Fprintf(t, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", name); err != nil {
		return "", err
	}
	res, err := http.ReadResponse(bufio.NewReader(t), nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

func TestListedNames(t *testing.T) { // breaks: net.gateway-only
	o := open(t)
	status, c, _ := o.connect("CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
	if status != 200 {
		t.Fatalf("status %d, %v", status, o.said())
	}
	if got, err := fetch(c, "api.example.com", nil); got != "hello api.example.com" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if fmt.Sprint(o.dialled) != "[93.184.216.34:443]" || o.asked["api.example.com"] != 1 {
		t.Errorf("dialled %v, resolved %v", o.dialled, o.asked)
	}
}

func TestRefusals(t *testing.T) { // breaks: net.gateway-only, use.no-private-use
	o := open(t)
	for name, a := range map[string][]string{"inside.example.com": {"10.0.0.7"}, "loop.example.com": {"127.0.0.1"}, "meta.example.com": {"169.254.169.254"}, "both.example.com": {"93.184.216.34", "192.168.1.1"},
		"six.example.com": {"fd00::1"}, "mapped.example.com": {"::ffff:10.0.0.1"}, "none.example.com": {}} {
		o.names[name] = a
	}
	connect := func(host string) string { return "CONNECT " + host + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }
	for head, want := range map[string]string{
		connect("other.example.com:443"):                                        "403 service/app other.example.com unlisted",
		connect("api.example.com:80"):                                           "403 service/app api.example.com unlisted",
		connect("api.example.com:22"):                                           "403 service/app api.example.com unlisted",
		connect("api.example.com:0"):                                            "400 service/app api.example.com request",
		connect("api.example.com:0443"):                                         "400 service/app api.example.com request",
		connect("169.254.169.254:443"):                                          "400 service/app  request",
		connect("[fd00:ec2::254]:443"):                                          "400 service/app  request",
		connect("localhost:443"):                                                "400 service/app  request",
		connect("api.example.com.:443"):                                         "400 service/app  request",
		connect("inside.example.com:443"):                                       "403 service/app inside.example.com address",
		connect("loop.example.com:443"):                                         "403 service/app loop.example.com address",
		connect("meta.example.com:443"):                                         "403 service/app meta.example.com address",
		connect("both.example.com:443"):                                         "403 service/app both.example.com address",
		connect("six.example.com:443"):                                          "403 service/app six.example.com address",
		connect("mapped.example.com:443"):                                       "403 service/app mapped.example.com address",
		connect("none.example.com:443"):                                         "502 service/app none.example.com away",
		"GET http://api.example.com/ HTTP/1.1\r\nHost: api.example.com\r\n\r\n": "400 service/app  request",
		"\x16\x03\x01nonsense\r\n\r\n":                                          "0   request",
		"CONNECT api.example.com:443 HTTP/1.1\r\nX: " + strings.Repeat("x", 9000) + "\r\n\r\n": "400 service/app  request",
	} {
		status, _, _ := o.connect(head)
		if got := fmt.Sprint(status, " ", strings.Join(o.said(), ",")); got != want {
			t.Errorf("%.60q: %s, want %s", head, got, want)
		}
	}
	if len(o.dialled) > 0 || o.heard > 0 {
		t.Errorf("dialled %v", o.dialled)
	}
	o.mu.Lock()
	o.caller = ""
	o.mu.Unlock()
	if status, _, _ := o.connect(connect("api.example.com:443")); status != 407 || fmt.Sprint(o.said()) != "[ api.example.com caller]" {
		t.Errorf("nobody known: %d", status)
	}
	if status, _, _ := o.connect("CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\nProxy-Authorization: Bearer other\r\n\r\n"); status != 407 {
		t.Errorf("an unknown token: %d", status)
	}
	o.mu.Lock()
	o.lost = true
	o.mu.Unlock()
	o.said()
	if status, _, _ := o.connect(connect("api.example.com:443")); status != 503 || fmt.Sprint(o.said()) != "[ api.example.com unknown]" {
		t.Errorf("the table away: %d", status)
	}
}

// Behind a listed address nobody else is asked for, and nothing but TLS is spoken.
func TestGreeting(t *testing.T) { // breaks: net.gateway-only
	o := open(t)
	for name, say := range map[string]func(net.Conn) error{
		"another name": func(c net.Conn) error { _, err := fetch(c, "evil.example.com", nil); return err },
		"no name":      func(c net.Conn) error { return tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake() },
		"not TLS": func(c net.Conn) error {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"+strings.Repeat("x", 100))
			_, err := io.ReadAll(c)
			if err == nil {
				err = io.EOF
			}
			return err
		},
	} {
		status, c, _ := o.connect("CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n")
		if status != 200 {
			t.Fatalf("%s: status %d", name, status)
		}
		if err := say(c); err == nil {
			t.Errorf("%s: it was spoken", name)
		}
		if got := fmt.Sprint(o.said()); got != "[service/app api.example.com name]" {
			t.Errorf("%s: %s", name, got)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.heard > 0 {
		t.Errorf("the server heard %d times of it", o.heard)
	}
}

func TestName(t *testing.T) {
	for in, want := range map[string]string{"API.example.com": "api.example.com", "xn--bcher-kva.example": "xn--bcher-kva.example", "localhost": "", "10.0.0.1": "", "a..b": "", "a.b.": "", "-a.example": "", "a_b.example": "", "0x7f.1": ""} {
		if got := egress.Name(in); got != want {
			t.Errorf("%s: %q", in, got)
		}
	}
}

func TestNewRefusesHalf(t *testing.T) {
	if _, err := egress.New(egress.Deps{}); err == nil {
		t.Error("a proxy without anything")
	}
}

// Whatever a caller sends, nothing is dialled but what is listed.
func FuzzConnect(f *testing.F) {
	f.Add([]byte("CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n\x16\x03\x01\x00\x05"))
	f.Add([]byte("CONNECT a:443@b:443 HTTP/1.0\n\n"))
	f.Add([]byte("CONNECT api.example.com:443 HTTP/1.1\r\nProxy-Authorization: Basic OmFiYw==\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := egress.New(egress.Deps{Log: slog.New(slog.DiscardHandler), Began: func(egress.Try) {},
			Caller: func(context.Context, netip.Addr, secret.Text) (egress.Who, error) { return egress.Who{Name: "x"}, nil },
			Listed: func(to egress.Target) ([]netip.Prefix, bool) {
				return nil, to == egress.Target{Name: "api.example.com", Port: 443}
			},
			Resolve: func(context.Context, string, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
			},
			Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				if address != "93.184.216.34:443" {
					t.Errorf("dialled %s", address)
				}
				return nil, errors.New("away")
			},
			Told: func(try egress.Try) {
				if name := try.Target.Name; name != egress.Name(name) {
					t.Errorf("%q is told", name)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		ours, theirs := net.Pipe()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- p.Serve(ctx, &one{c: theirs, ctx: ctx}) }()
		go func() { ours.Write(in); ours.Close() }()
		io.Copy(io.Discard, ours)
		ours.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// one is a listener with one connection.
type one struct {
	c   net.Conn
	ctx context.Context
}

func (o *one) Accept() (net.Conn, error) {
	if c := o.c; c != nil {
		o.c = nil
		return c, nil
	}
	<-o.ctx.Done()
	return nil, net.ErrClosed
}
func (o *one) Close() error   { return nil }
func (o *one) Addr() net.Addr { return nil }

const head = "CONNECT api.example.com:443 HTTP/1.1\r\nHost: api.example.com:443\r\n\r\n"

// until waits for what must come.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

func (o *outside) ended() []egress.Try {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.passed
}

// A network that the list names beside a destination is open for it, and none in which a
// cloud keeps a machine's secrets is.
func TestInside(t *testing.T) { // breaks: net.gateway-only
	o := open(t)
	o.names["inside.example.com"], o.names["meta.example.com"], o.names["azure.example.com"] = []string{"10.0.0.7"}, []string{"169.254.169.254"}, []string{"168.63.129.16"}
	o.inside = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("0.0.0.0/0")}
	for name, want := range map[string]int{"inside.example.com": 200, "meta.example.com": 403, "azure.example.com": 403} {
		if status, _, _ := o.connect("CONNECT " + name + ":443 HTTP/1.1\r\n\r\n"); status != want {
			t.Errorf("%s: %d", name, status)
		}
	}
	for s, want := range map[string]bool{"10.0.0.0/24": true, "127.0.0.1/32": true, "fd00::/16": true, "100.64.0.0/10": true, "169.254.0.0/16": false, "169.254.169.254/32": false, "fe80::/64": false, "8.8.8.0/24": false,
		"0.0.0.0/0": false, "10.0.0.1/24": false, "224.0.0.0/8": false, "fd00:ec2::254/128": false, "168.63.129.16/32": false} {
		if got := egress.Inside(netip.MustParsePrefix(s)); got != want {
			t.Errorf("%s: %v", s, got)
		}
	}
}

// Go's own client, and curl where there is one, go out through it: plain and over TLS, known
// by their address or by a token.
func TestClients(t *testing.T) { // breaks: net.gateway-only
	o := open(t)
	for _, way := range []string{"http://" + o.proxy, "https://" + o.proxy, "http://x:good@" + o.proxy, "https://good@" + o.proxy} {
		via, err := url.Parse(way)
		if err != nil {
			t.Fatal(err)
		}
		tr := &http.Transport{Proxy: http.ProxyURL(via), TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		res, err := (&http.Client{Transport: tr}).Get("https://api.example.com/")
		if err != nil {
			t.Fatalf("%s: %v", way, err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(b) != "hello api.example.com" {
			t.Errorf("%s: %q", way, b)
		}
		if _, err := (&http.Client{Transport: tr}).Get("https://other.example.com/"); err == nil {
			t.Errorf("%s: an unlisted name was reached", way)
		}
		if res, err := (&http.Client{Transport: tr}).Get("http://api.example.com/"); err == nil && res.StatusCode == 200 {
			t.Errorf("%s: it was spoken in clear", way)
		}
		tr.CloseIdleConnections()
	}
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl")
	}
	for _, way := range []string{"http://" + o.proxy, "https://x:good@" + o.proxy} {
		out, err := exec.Command(curl, "-sk", "--proxy-insecure", "--noproxy", "", "-x", way, "https://api.example.com/").Output()
		if string(out) != "hello api.example.com" || err != nil {
			t.Errorf("curl by %s: %q %v", way, out, err)
		}
		out, err = exec.Command(curl, "-sk", "--proxy-insecure", "--noproxy", "", "-x", way, "-w", "%{http_connect}", "https://other.example.com/").Output()
		if string(out) != "403" || err == nil {
			t.Errorf("curl to another name by %s: %q %v", way, out, err)
		}
	}
	until(t, "the ends are told", func() bool { return len(o.ended()) == 6 })
	for _, p := range o.ended() {
		if p.Sent < 100 || p.Back < 100 || p.Cause != "" || p.Port != 443 {
			t.Errorf("%+v", p)
		}
	}
}

// Nothing lasts or moves without an end.
func TestLimits(t *testing.T) { // breaks: net.gateway-only
	for cause, change := range map[string]func(*egress.Deps){
		egress.CauseLong:  func(d *egress.Deps) { d.Whole = 50 * time.Millisecond },
		egress.CauseLarge: func(d *egress.Deps) { d.Most = 2000 },
		"":                func(d *egress.Deps) { d.Rest = 50 * time.Millisecond },
	} {
		o := open(t, change)
		_, c, _ := o.connect(head)
		s := tls.Client(c, &tls.Config{ServerName: "api.example.com", InsecureSkipVerify: true})
		if err := s.Handshake(); err == nil && cause == egress.CauseLarge {
			io.WriteString(s, "GET / HTTP/1.1\r\nHost: api.example.com\r\nX: "+strings.Repeat("x", 3000)+"\r\n\r\n")
		}
		if _, err := io.ReadAll(s); err == nil {
			t.Logf("%q: it ended", cause)
		}
		until(t, "its end is told", func() bool { return len(o.ended()) == 1 })
		if got := o.ended()[0]; got.Cause != cause {
			t.Errorf("%+v, want %q", got, cause)
		}
	}
}

// One address cannot have all the connections.
func TestFull(t *testing.T) {
	o := open(t)
	var held []net.Conn
	for range 250 {
		c, err := net.Dial("tcp", o.proxy)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	until(t, "the next is one too many", func() bool {
		status, c, _ := o.connect(head)
		c.Close()
		return status == 503
	})
	other := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	c, err := other.Dial("tcp", o.proxy)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, head)
	if res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect}); err != nil || res.StatusCode != 200 {
		t.Errorf("another address is let out no more: %v", err)
	}
}

// When the server stops, what moves may end, and what is silent is closed.
func TestStops(t *testing.T) {
	o := open(t)
	_, c, _ := o.connect(head)
	s := tls.Client(c, &tls.Config{ServerName: "api.example.com", InsecureSkipVerify: true})
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	o.stop()
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is open")
	}
	if len(o.ended()) != 1 || time.Since(began) > 20*time.Second {
		t.Errorf("%+v after %v", o.ended(), time.Since(began))
	}
	if _, err := net.Dial("tcp", o.proxy); err == nil {
		t.Error("the listener is open")
	}
}

// A token that could be read on its way is refused, however good it is.
func TestTokenInClear(t *testing.T) { // breaks: net.gateway-only
	var said []egress.Try
	p, err := egress.New(egress.Deps{Log: slog.New(slog.DiscardHandler), Began: func(egress.Try) {}, Told: func(t egress.Try) { said = append(said, t) },
		Caller:  func(context.Context, netip.Addr, secret.Text) (egress.Who, error) { return egress.Who{Name: "x"}, nil },
		Listed:  func(egress.Target) ([]netip.Prefix, bool) { return nil, true },
		Resolve: func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("not asked") },
		Dial:    (&net.Dialer{}).DialContext})
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, &one{c: afar{theirs}, ctx: ctx}) }()
	io.WriteString(ours, "CONNECT api.example.com:443 HTTP/1.1\r\nProxy-Authorization: Bearer good\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(ours), &http.Request{Method: http.MethodConnect})
	if err != nil || res.StatusCode != 403 {
		t.Errorf("%v %v", res, err)
	}
	ours.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if len(said) != 1 || said[0].Cause != egress.CauseClear {
		t.Errorf("%+v", said)
	}
}

// afar comes from another machine.
type afar struct{ net.Conn }

func (afar) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 1000} }

// BenchmarkThrough is a whole connection: asked for, checked, dialled, greeted and used once.
// BenchmarkDirect is the same without the proxy.
func BenchmarkThrough(b *testing.B) { benchmark(b, true) }
func BenchmarkDirect(b *testing.B)  { benchmark(b, false) }

func benchmark(b *testing.B, through bool) {
	o := open(b)
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	if through {
		tr.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: o.proxy})
	} else {
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, o.srv.Listener.Addr().String())
		}
	}
	c := &http.Client{Transport: tr}
	b.ReportAllocs()
	for b.Loop() {
		res, err := c.Get("https://api.example.com/")
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}
