package listen_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/listen"
)

var quiet = slog.New(slog.DiscardHandler)

func authority(t *testing.T, dir string, now func() time.Time, hosts ...string) *listen.Authority {
	t.Helper()
	a, err := listen.OpenAuthority(listen.AuthorityOptions{Dir: dir, Hosts: hosts, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// serve runs one door and returns its address.
func serve(t *testing.T, d listen.Door) (addr string, stop func() error) {
	t.Helper()
	if d.Listener == nil {
		l, err := listen.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d.Listener = l
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- listen.Serve(ctx, quiet, d) }()
	stop = func() error { cancel(); return <-done }
	t.Cleanup(cancel)
	return d.Listener.Addr().String(), stop
}

func hello(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }

func TestAuthorityIsMadeOnceAndKeptPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	a := authority(t, dir, time.Now, "app.example.test")
	first, err := os.ReadFile(a.CertPath())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.key", "leaf.key"} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", name, fi.Mode(), err)
		}
	}
	c1, _ := a.Current()
	b := authority(t, dir, time.Now, "app.example.test")
	second, _ := os.ReadFile(b.CertPath())
	c2, _ := b.Current()
	if string(first) != string(second) || !c1.Leaf.Equal(c2.Leaf) {
		t.Error("opening again made a new authority or leaf")
	}
	if err := os.Chmod(filepath.Join(dir, "ca.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = listen.OpenAuthority(listen.AuthorityOptions{Dir: dir, Hosts: []string{"app.example.test"}, Now: time.Now})
	if !errors.Is(err, fault.Invalid) {
		t.Errorf("a key that others can read was accepted: %v", err)
	}
}

// A stolen key of the authority must be worthless for other sites.
func TestAuthorityIsNameConstrained(t *testing.T) {
	dir := t.TempDir()
	a := authority(t, dir, time.Now, "app.example.test")
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"app.example.test": true, "localhost": true, "127.0.0.1": true, "127.77.3.4": true, "bank.example": false, "10.0.0.1": false, "example.test": false} {
		leaf := issue(t, pair.Leaf, pair.PrivateKey.(*ecdsa.PrivateKey), host, time.Now().Add(time.Hour))
		_, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: a.Roots(), DNSName: host})
		if (err == nil) != want {
			t.Errorf("%s: verified = %v, want %v (%v)", host, err == nil, want, err)
		}
	}
	if _, err := listen.OpenAuthority(listen.AuthorityOptions{Dir: dir, Hosts: []string{"other.example.test"}, Now: time.Now}); !errors.Is(err, fault.Invalid) {
		t.Errorf("an authority bound to another host was accepted: %v", err)
	}
}

func TestLeafRenewsItself(t *testing.T) {
	now := time.Now()
	a := authority(t, t.TempDir(), func() time.Time { return now }, "localhost")
	first, _ := a.Current()
	now = first.Leaf.NotAfter.Add(-31 * 24 * time.Hour)
	if same, _ := a.Current(); !same.Leaf.Equal(first.Leaf) {
		t.Error("renewed 31 days before the end")
	}
	now = first.Leaf.NotAfter.Add(-29 * 24 * time.Hour)
	next, err := a.Current()
	if err != nil || next.Leaf.Equal(first.Leaf) || !next.Leaf.NotAfter.After(now.Add(80*24*time.Hour)) {
		t.Errorf("not renewed 29 days before the end: %v", err)
	}
}

func TestCertificateFiles(t *testing.T) {
	ca := authority(t, t.TempDir(), time.Now, "app.example.test")
	_ = ca
	day := 24 * time.Hour
	good := issue(t, nil, nil, "app.example.test", time.Now().Add(60*day))
	other := issue(t, nil, nil, "app.example.test", time.Now().Add(60*day))
	cases := map[string]struct {
		cert, key *tls.Certificate
		want      string // part of the problem; "" = accepted
	}{
		"good":        {good, good, ""},
		"expired":     {issue(t, nil, nil, "app.example.test", time.Now().Add(-day)), nil, "expired"},
		"wrong name":  {issue(t, nil, nil, "www.example.test", time.Now().Add(day)), nil, "does not cover"},
		"another key": {good, other, "do not fit"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { // breaks: crypto.certificates
			if c.key == nil {
				c.key = c.cert
			}
			f := files(t, t.TempDir(), c.cert, c.key)
			_, err := listen.FromFiles(f)
			_, pub := fault.PublicOf(err)
			if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, fault.Invalid) || !strings.Contains(pub.Problem, c.want) || pub.Next == "") {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCertificateFilesReload(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	old := issue(t, nil, nil, "localhost", now.Add(24*time.Hour))
	f := files(t, dir, old, old)
	f.Hosts, f.Now = []string{"localhost"}, func() time.Time { return now }
	src, err := listen.FromFiles(f)
	if err != nil {
		t.Fatal(err)
	}
	next := issue(t, nil, nil, "localhost", now.Add(90*24*time.Hour))
	files(t, dir, next, next)
	now = now.Add(2 * time.Second)
	if c, _ := src.Current(); !c.Leaf.Equal(next.Leaf) {
		t.Error("the new certificate was not taken up")
	}
	bad := issue(t, nil, nil, "elsewhere.example", now.Add(91*24*time.Hour))
	files(t, dir, bad, bad)
	now = now.Add(2 * time.Second)
	if c, _ := src.Current(); !c.Leaf.Equal(next.Leaf) {
		t.Error("a bad certificate replaced a good one")
	}
}

func TestHandshakes(t *testing.T) {
	a := authority(t, t.TempDir(), time.Now, "localhost")
	var min atomic.Uint32
	min.Store(tls.VersionTLS12)
	addr, _ := serve(t, listen.Door{Name: "https", Handler: http.HandlerFunc(hello),
		TLS: listen.TLSConfig(a, func() uint16 { return uint16(min.Load()) }, false, time.Now)})
	try := func(c *tls.Config) error {
		c.RootCAs = a.Roots()
		if c.ServerName == "" {
			c.ServerName = "localhost"
		}
		conn, err := tls.Dial("tcp", addr, c)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	suite := func(s uint16) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{s}}
	}
	cases := map[string]struct {
		c  *tls.Config
		ok bool
	}{
		"TLS 1.1":      {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		"CBC":          {suite(tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA), false},
		"GCM":          {suite(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256), true},
		"TLS 1.3":      {&tls.Config{MinVersion: tls.VersionTLS13}, true},
		"unknown name": {&tls.Config{MinVersion: tls.VersionTLS13, ServerName: "other.example"}, false},
	}
	for name, c := range cases { // breaks: crypto.current-public
		if err := try(c.c); (err == nil) != c.ok {
			t.Errorf("%s: %v, want accepted = %v", name, err, c.ok)
		}
	}
	min.Store(tls.VersionTLS13)
	if try(suite(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)) == nil {
		t.Error("TLS 1.2 accepted after the minimum was raised")
	}
}

func TestHTTP2AndDrain(t *testing.T) {
	a := authority(t, t.TempDir(), time.Now, "localhost")
	began := make(chan struct{})
	addr, stop := serve(t, listen.Door{Name: "https", TLS: listen.TLSConfig(a, nil, false, time.Now), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		time.Sleep(200 * time.Millisecond)
		hello(w, r)
	})})
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"}}}
	answer := make(chan string, 1)
	go func() {
		res, err := client.Get("https://" + addr)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		answer <- string(b)
	}()
	<-began
	if err := stop(); err != nil {
		t.Error(err)
	}
	if got := <-answer; got != "HTTP/2.0" {
		t.Errorf("a request under way at shutdown got %q", got)
	}
}

func TestPortTaken(t *testing.T) {
	l, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = listen.Listen(l.Addr().String())
	_, pub := fault.PublicOf(err)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if !errors.Is(err, fault.Conflict) || !strings.Contains(pub.Problem, port) || !strings.Contains(pub.Next, port) {
		t.Errorf("got %v", err)
	}
}

func TestRedirector(t *testing.T) {
	origin, _ := url.Parse("https://app.example.test")
	addr, _ := serve(t, listen.Door{Name: "http", Handler: listen.Redirector(origin)})
	for in, want := range map[string]string{
		"GET /a%2fb?c=d HTTP/1.1\r\nHost: evil.example\r\n\r\n":                                    "https://app.example.test/a%2fb?c=d",
		"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n":                        "https://app.example.test/x",
		"GET http://evil.example/y HTTP/1.1\r\nHost: app.example.test\r\n\r\n":                     "https://app.example.test/y",
		"OPTIONS * HTTP/1.1\r\nHost: app.example.test\r\n\r\n":                                     "https://app.example.test/",
		"GET //evil.example/z HTTP/1.1\r\nHost: app.example.test\r\n\r\n":                          "https://app.example.test//evil.example/z",
		"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n": "https://app.example.test/c",
	} {
		res := raw(t, addr, in)
		if res.StatusCode != 308 || res.Header.Get("Location") != want || res.ContentLength != 0 || !res.Close {
			t.Errorf("%q: %d %q length %d close %v, want 308 %q", in, res.StatusCode, res.Header.Get("Location"), res.ContentLength, res.Close, want)
		}
	}
}

func TestPlainDoorMayOnlyRedirect(t *testing.T) { // breaks: net.edge-tls
	l, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := listen.Serve(t.Context(), quiet, listen.Door{Name: "http", Listener: l, Handler: http.HandlerFunc(hello)}); err == nil {
		t.Error("served in clear")
	}
}

func TestMalformedIsCounted(t *testing.T) {
	told := make(chan netip.Addr, 10)
	origin, _ := url.Parse("https://app.example.test")
	addr, _ := serve(t, listen.Door{Name: "http", Handler: listen.Redirector(origin), Malformed: func(a netip.Addr) { told <- a }})
	for range 3 { // good ones, one connection each
		raw(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}
	raw(t, addr, "GET / HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n")
	select {
	case from := <-told:
		if !from.IsLoopback() {
			t.Errorf("told of %v", from)
		}
	case <-time.After(30 * time.Second):
		t.Error("a malformed request was not counted")
	}
	time.Sleep(50 * time.Millisecond)
	if len(told) != 0 {
		t.Error("a good request was counted as malformed")
	}
}

func raw(t *testing.T, addr, text string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, text)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	io.Copy(io.Discard, res.Body)
	res.Body.Close()
	return res
}

// issue makes a certificate; without parent it signs itself.
func issue(t *testing.T, parent *x509.Certificate, by *ecdsa.PrivateKey, host string, end time.Time) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature}
	if ip := net.ParseIP(host); ip != nil {
		c.IPAddresses = []net.IP{ip}
	} else {
		c.DNSNames = []string{host}
	}
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func files(t *testing.T, dir string, cert, key *tls.Certificate) listen.Files {
	t.Helper()
	f := listen.Files{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Hosts: []string{"app.example.test"}, Log: quiet, Now: time.Now}
	der, err := x509.MarshalPKCS8PrivateKey(key.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) {
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(f.Key, "PRIVATE KEY", der)
	write(f.Cert, "CERTIFICATE", cert.Certificate[0])
	return f
}

// Who asks in clear for a further name is led to that name, and for any other one to the origin.
func TestRedirectorBeside(t *testing.T) {
	origin, _ := url.Parse("https://app.example.test:8443")
	addr, _ := serve(t, listen.Door{Name: "http", Handler: listen.Beside(listen.Redirector(origin), "status.example.test")})
	for host, want := range map[string]string{"status.example.test": "status.example.test", "Status.example.test:80": "status.example.test", "app.example.test": "app.example.test", "status.example.test.evil.example": "app.example.test", "[::1]": "app.example.test"} {
		res := raw(t, addr, "GET /a?b HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		if got := res.Header.Get("Location"); res.StatusCode != 308 || got != "https://"+want+":8443/a?b" {
			t.Errorf("%s: %d %s", host, res.StatusCode, got)
		}
	}
}
