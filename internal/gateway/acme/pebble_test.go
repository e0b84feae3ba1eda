package acme_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"writ/internal/gateway"
	"writ/internal/gateway/acme"
	"writ/internal/ledger/ledgertest"
	"writ/internal/listen"
)

const (
	pebbleVersion = "v2.10.1"
	host          = "app.example.test"
	patience      = 90 * time.Second
)

// pebble is where the authority for tests is, or the test is skipped.
func pebble(t *testing.T) string {
	t.Helper()
	at, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", "tools", "pebble-"+pebbleVersion))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(at); err == nil {
		return at
	}
	if at, err = exec.LookPath("pebble"); err == nil {
		return at
	}
	t.Skip("no Pebble to issue certificates with: scripts/tool.sh pebble github.com/letsencrypt/pebble/v2/cmd/pebble " + pebbleVersion)
	return ""
}

// resolver answers each question for an address with this machine's. It is asked over TCP.
func resolver(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go resolve(c)
		}
	}()
	return l.Addr().String()
}

// resolve answers the questions of one connection, each with its length before it.
func resolve(c net.Conn) {
	defer c.Close()
	for {
		head := make([]byte, 2)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		b := make([]byte, binary.BigEndian.Uint16(head))
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		var q dnsmessage.Message
		if q.Unpack(b) != nil || len(q.Questions) != 1 {
			return
		}
		a := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true, Authoritative: true}, Questions: q.Questions}
		if q.Questions[0].Type == dnsmessage.TypeA {
			a.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
		out, err := a.Pack()
		if err != nil {
			return
		}
		if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...)); err != nil {
			return
		}
	}
}

// world is an authority and a server of ours with two doors.
type world struct {
	t         *testing.T
	kit       *ledgertest.Kit
	bin, dir  string
	ca        *listen.Authority // of the authority's own door
	at, admin string
	life      time.Duration
	tlsL      net.Listener
	plainL    net.Listener

	mu      sync.Mutex // guards the rest
	serials []string
	refused int
	now     func() time.Time
}

func (w *world) CertificateRenewed(_ context.Context, host, serial string, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.serials = append(w.serials, serial)
}

func (w *world) CertificateRefused(_ context.Context, _ string, err error) {
	w.t.Log("refused: ", err)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refused++
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now()
}

func (w *world) renewals() (n, refused int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.serials), w.refused
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func port(addr string) int { return int(netip.MustParseAddrPort(addr).Port()) }

func open(t *testing.T, life time.Duration) *world {
	w := &world{t: t, bin: pebble(t), dir: t.TempDir(), at: free(t), admin: free(t), life: life, now: time.Now, kit: ledgertest.Open(t, gateway.Schema())}
	var err error
	if w.ca, err = listen.OpenAuthority(listen.AuthorityOptions{Dir: w.dir, Hosts: []string{"127.0.0.1"}, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	if w.tlsL, err = listen.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if w.plainL, err = listen.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	return w
}

// authority starts Pebble, which rejects half of all nonces.
func (w *world) authority() {
	w.t.Helper()
	b, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": w.at, "managementListenAddress": w.admin, "certificate": filepath.Join(w.dir, "leaf.pem"), "privateKey": filepath.Join(w.dir, "leaf.key"),
		"httpPort": port(w.plainL.Addr().String()), "tlsPort": port(w.tlsL.Addr().String()), "ocspResponderURL": "", "externalAccountBindingRequired": false,
		"profiles": map[string]any{"default": map[string]any{"description": "for tests", "validityPeriod": int(w.life / time.Second)}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	config := filepath.Join(w.dir, "pebble.json")
	if err := os.WriteFile(config, b, 0o600); err != nil {
		w.t.Fatal(err)
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	cmd := exec.CommandContext(ctx, w.bin, "-config", config, "-dnsserver", resolver(w.t))
	cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=50", "PEBBLE_AUTHZREUSE=0")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if w.t.Failed() {
			w.t.Logf("the authority says:\n%s", log.String())
		}
	})
	w.within("the authority listens", func() bool {
		c, err := net.Dial("tcp", w.at)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (w *world) within(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("not so in time: " + what)
		}
	}
}

// serve opens our doors with a certificate by ACME; change may set options.
func (w *world) serve(change func(*acme.Options)) *acme.Source {
	w.t.Helper()
	o := acme.Options{Host: host, Directory: "https://" + w.at + "/dir", Email: "ops@example.com", Roots: w.ca.Roots(), HTTPPort: port(w.plainL.Addr().String()), TLSPort: port(w.tlsL.Addr().String()),
		Bind: "127.0.0.1", Storage: storage(w.t, w.kit), RenewBefore: func() time.Duration { return 30 * 24 * time.Hour }, Now: w.clock, Log: slog.New(slog.DiscardHandler), Told: w, Every: time.Second}
	if change != nil {
		change(&o)
	}
	s, err := acme.New(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	origin, _ := url.Parse("https://" + host)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	var wg sync.WaitGroup
	wg.Go(func() {
		err := listen.Serve(ctx, o.Log, listen.Door{Name: "https", Listener: w.tlsL, TLS: listen.TLSConfig(s, nil, false, time.Now), Handler: http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "served") })},
			listen.Door{Name: "http", Listener: w.plainL, Handler: listen.Challenged(origin, s.Answer)})
		if err != nil {
			w.t.Error(err)
		}
	})
	wg.Go(func() { _ = s.Run(ctx) })
	w.t.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

// shown is the serial of the certificate that our door shows.
func (w *world) shown(name string) (string, error) {
	pool := x509.NewCertPool()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.ca.Roots()}}, Timeout: 10 * time.Second}
	if res, err := c.Get("https://" + w.admin + "/roots/0"); err == nil {
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		pool.AppendCertsFromPEM(b)
	}
	conn, err := tls.Dial("tcp", w.tlsL.Addr().String(), &tls.Config{ServerName: name, RootCAs: pool})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return fmt.Sprintf("%x", conn.ConnectionState().PeerCertificates[0].SerialNumber), nil
}

// An authority that rejects half of all nonces issues by either challenge, and the next
// start serves what is stored.
func TestIssue(t *testing.T) { // breaks: crypto.certificates
	for name, change := range map[string]func(*acme.Options){
		"HTTP-01":     nil,
		"TLS-ALPN-01": func(o *acme.Options) { o.HTTPPort = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w := open(t, 90*24*time.Hour)
			w.authority()
			s := w.serve(change)
			var serial string
			w.within("a certificate is served", func() bool {
				var err error
				serial, err = w.shown(host)
				return err == nil
			})
			if n, _ := w.renewals(); n != 1 || w.serials[0] != serial {
				t.Errorf("told of %v, shown %s", w.serials, serial)
			}
			if _, err := w.shown("other.example.test"); err == nil {
				t.Error("another name was served")
			}
			if n, _ := w.renewals(); n != 1 {
				t.Error("a client's name was asked for")
			}
			again, err := acme.New(t.Context(), acme.Options{Host: host, Directory: "https://" + w.at + "/dir", TLSPort: 1, Storage: storage(t, w.kit), RenewBefore: func() time.Duration { return 0 }, Now: w.clock, Log: slog.New(slog.DiscardHandler), Told: w})
			if err != nil {
				t.Fatal(err)
			}
			if c, err := again.Current(); err != nil || fmt.Sprintf("%x", c.Leaf.SerialNumber) != serial {
				t.Errorf("after a start: %v", err)
			}
			// The clock goes past the end: nothing is served any more.
			w.mu.Lock()
			w.now = func() time.Time { return time.Now().Add(91 * 24 * time.Hour) }
			w.mu.Unlock()
			if _, err := s.Current(); !errors.Is(err, acme.ErrExpired) {
				t.Errorf("expired: %v", err)
			}
			if _, err := w.shown(host); err == nil {
				t.Error("an expired certificate was served")
			}
		})
	}
}

// A certificate is renewed when a third of its life is left, and the old one serves until then.
func TestRenew(t *testing.T) { // breaks: crypto.certificates
	w := open(t, 20*time.Second)
	w.authority()
	w.serve(nil)
	var first string
	w.within("a certificate is served", func() bool {
		var err error
		first, err = w.shown(host)
		return err == nil
	})
	w.within("another one is served", func() bool {
		next, err := w.shown(host)
		if err != nil {
			t.Fatalf("between the two nothing was served: %v", err)
		}
		return next != first
	})
}

// An authority that is away for an hour is asked again until it is there.
func TestAuthorityIsAway(t *testing.T) {
	w := open(t, 90*24*time.Hour)
	var waited time.Duration
	w.serve(func(o *acme.Options) {
		o.Wait = func(ctx context.Context, d time.Duration) bool {
			if ctx.Err() != nil {
				return false
			}
			before := waited
			if waited += d; before < time.Hour && waited >= time.Hour {
				w.authority()
			}
			return true
		}
	})
	if _, err := w.shown(host); err == nil {
		t.Error("something was served before there was a certificate")
	}
	w.within("a certificate is served", func() bool {
		_, err := w.shown(host)
		return err == nil
	})
	if n, refused := w.renewals(); n != 1 || refused < 3 {
		t.Errorf("%d came, %d were refused", n, refused)
	}
}

// An authority that wants a certificate replaced at once (RFC 9773) has it replaced, though
// most of its life is left, and is told which one the new one stands for.
func TestRenewWhenTold(t *testing.T) { // breaks: crypto.certificates
	w := open(t, 90*24*time.Hour)
	w.authority()
	var hurry, replaced atomic.Bool
	front := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "https", Host: w.at})
	front.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.ca.Roots()}}
	authority := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "renewalInfo") {
			start := time.Now().Add(60 * 24 * time.Hour)
			if hurry.Load() {
				start = time.Now().Add(-2 * time.Hour)
			}
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Retry-After", "1")
			_ = json.NewEncoder(rw).Encode(map[string]any{"suggestedWindow": map[string]time.Time{"start": start, "end": start.Add(time.Hour)}})
			return
		}
		b, _ := io.ReadAll(r.Body)
		var signed struct{ Payload string }
		if json.Unmarshal(b, &signed) == nil {
			payload, _ := base64.RawURLEncoding.DecodeString(signed.Payload)
			replaced.CompareAndSwap(false, bytes.Contains(payload, []byte(`"replaces"`)))
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		front.ServeHTTP(rw, r)
	}))
	cert, err := tls.LoadX509KeyPair(filepath.Join(w.dir, "leaf.pem"), filepath.Join(w.dir, "leaf.key"))
	if err != nil {
		t.Fatal(err)
	}
	authority.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	authority.StartTLS()
	t.Cleanup(authority.Close)
	w.serve(func(o *acme.Options) { o.Directory = authority.URL + "/dir" })
	var first string
	w.within("a certificate is served", func() bool {
		var err error
		first, err = w.shown(host)
		return err == nil
	})
	if replaced.Load() {
		t.Error("the first certificate was asked for in place of another")
	}
	hurry.Store(true)
	w.within("another one is served", func() bool {
		next, err := w.shown(host)
		return err == nil && next != first
	})
	if !replaced.Load() {
		t.Error("the authority was not told which certificate the new one replaces")
	}
}
