package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/gateway"
	"writ/internal/listen"
)

func (k *gate) door() *canary.Door {
	return canary.New(canary.Deps{Base: k.base, Addr: k.addr, Roots: k.ca.Roots()})
}

func control(t *testing.T, k *gate, door *canary.Door, id string) clause.Result {
	t.Helper()
	for _, c := range k.g.Controls(door) {
		if c.ID == id {
			r, err := c.Run(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			return r
		}
	}
	t.Fatalf("no control %s", id)
	return clause.Result{}
}

func mustFail(t *testing.T, r clause.Result, says string) {
	t.Helper()
	if r.Outcome != clause.Fail || !strings.Contains(r.Summary, says) {
		t.Errorf("%s: %s; want fail with %q", r.Outcome, r.Summary, says)
	}
}

func TestControlsPass(t *testing.T) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<a href="http://elsewhere.example">a link is no part</a><img src="/logo.png">`)
	})
	for _, change := range []clause.Values{nil, {"crypto.current-public/tls_min": "1.3"}, {"use.no-automation/default": "anyone"}} {
		k := open(t, options{places: []gateway.Upstream{at(t, "a", placeAt(t, "127.0.0.1", app).URL), at(t, "b", placeAt(t, "127.0.0.2", app).URL)}, values: change, routes: "- {path: /open/form, who: anyone, notice: true}" + cachedRoutes, stores: store("clean"), trail: &notes{}, egress: asItIs})
		k.g.LookAtPlaces(t.Context())
		for _, c := range k.g.Controls(k.door()) {
			if c.ID == "gateway.streams-end" { // it signs somebody in: TestStreamsEndControl
				continue
			}
			r, err := c.Run(t.Context())
			if err != nil || r.Outcome != clause.Pass {
				t.Errorf("%v: %s: %s %s %v", change, c.ID, r.Outcome, r.Summary, err)
			}
		}
	}
}

// tlsServer is a listener that somebody configured badly.
func tlsServer(t *testing.T, c *tls.Config, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = c
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func TestHandshakesControlSeesWeakness(t *testing.T) { // breaks: crypto.current-public
	k := open(t, options{})
	weak := map[string]*tls.Config{
		"TLS 1.1":                 {MinVersion: tls.VersionTLS11, GetCertificate: k.ca.Certificate},
		"_CBC_":                   {MinVersion: tls.VersionTLS12, GetCertificate: k.ca.Certificate, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
		"refused TLS 1.3":         {MaxVersion: tls.VersionTLS12, GetCertificate: k.ca.Certificate},
		"with authenticated encr": {MinVersion: tls.VersionTLS13, GetCertificate: k.ca.Certificate},
	}
	for says, c := range weak {
		k.ports = []gateway.Listening{{Name: "https", Addr: tlsServer(t, c, http.NotFoundHandler()), Source: k.ca}}
		mustFail(t, control(t, k, k.door(), "gateway.handshakes"), says)
	}
}

func TestPlainControlSeesContent(t *testing.T) { // breaks: crypto.tls-in-transit
	k := open(t, options{host: "app.example.test"})
	open := k.ports
	for name, h := range map[string]http.HandlerFunc{
		"content":            func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") },
		"redirect to plain":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://app.example.test/", 308) },
		"redirect with body": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "https://app.example.test/", 308) },
	} {
		s := httptest.NewServer(h)
		defer s.Close()
		k.ports = append(open[:1:1], gateway.Listening{Name: "http", Addr: s.Listener.Addr().String()})
		t.Log(name)
		mustFail(t, control(t, k, k.door(), "gateway.plain-http"), "plain HTTP gave")
	}
	k.ports = open
	bare := tlsServer(t, &tls.Config{GetCertificate: k.ca.Certificate}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	mustFail(t, control(t, k, canary.New(canary.Deps{Base: k.base, Addr: bare, Roots: k.ca.Roots()}), "gateway.plain-http"), "Strict-Transport-Security")
}

func TestCertificatesControlSeesBadOnes(t *testing.T) { // breaks: crypto.certificates
	now := time.Now()
	k := open(t, options{now: func() time.Time { return now }})
	served := func(src listen.Source, c *tls.Config) {
		k.ports = []gateway.Listening{{Name: "https", Addr: tlsServer(t, c, http.NotFoundHandler()), Source: src}}
	}
	good, err := k.ca.Current()
	if err != nil {
		t.Fatal(err)
	}
	served(k.ca, &tls.Config{Certificates: []tls.Certificate{*good}}) // a listener that does not renew
	now = good.Leaf.NotAfter.Add(-29 * 24 * time.Hour)
	mustFail(t, control(t, k, k.door(), "gateway.certificates"), "days left")
	now = good.Leaf.NotAfter.Add(time.Hour)
	mustFail(t, control(t, k, k.door(), "gateway.certificates"), "expired")
	now = time.Now()
	alien := selfSigned(t, "localhost")
	served(k.ca, &tls.Config{Certificates: []tls.Certificate{alien}})
	mustFail(t, control(t, k, k.door(), "gateway.certificates"), "unknown authority")
	other, err := listen.OpenAuthority(listen.AuthorityOptions{Dir: t.TempDir(), Hosts: []string{"app.example.test"}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, options{host: "www.example.test"})
	w.ports = []gateway.Listening{{Name: "https", Addr: tlsServer(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return other.Current() }}, http.NotFoundHandler()), Source: other}}
	mustFail(t, control(t, w, w.door(), "gateway.certificates"), "not www.example.test")
	w.ports = []gateway.Listening{{Name: "https", Addr: w.addr, Source: w.ca}}
	mustFail(t, control(t, w, w.door(), "gateway.certificates"), "no visitor knows")
}

func TestPaymentControlSeesClearParts(t *testing.T) { // breaks: crypto.payment-pages
	page := `<form action="http://pay.example/x">`
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})})
	for _, page = range []string{`<form action="http://pay.example/x">`, `<script src=http://cdn.example/a.js>`, `<link rel=stylesheet href='http://cdn.example/a.css'>`, `<style>a{background:url(http://x/y)}</style>`} {
		mustFail(t, control(t, k, k.door(), "gateway.payment-pages"), "in clear")
	}
	page = ""
	if r := control(t, k, k.door(), "gateway.payment-pages"); r.Outcome != clause.Pass {
		t.Errorf("good page: %s", r.Summary)
	}
	bare := tlsServer(t, &tls.Config{GetCertificate: k.ca.Certificate}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	mustFail(t, control(t, k, canary.New(canary.Deps{Base: k.base, Addr: bare, Roots: k.ca.Roots()}), "gateway.payment-pages"), "lacks the policy")
}

// A check that is cut off while the application thinks (the server stops) has no result; it
// once panicked.
func TestPaymentControlIsCutOffRegression(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	k := open(t, options{upstream: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stop()
		<-r.Context().Done()
	})})
	for _, c := range k.g.Controls(k.door()) {
		if c.ID == "gateway.payment-pages" {
			if r, err := c.Run(ctx); err == nil {
				t.Errorf("%s %s; want no result", r.Outcome, r.Summary)
			}
		}
	}
}

func TestPortsControlSeesClearPort(t *testing.T) { // breaks: net.edge-tls
	k := open(t, options{})
	l, err := net.Listen("tcp", "0.0.0.0:0") // undeclared, and not on loopback
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.NotFoundHandler()}} //nolint:gosec // a bad server is the point
	s.Start()
	defer s.Close()
	mustFail(t, control(t, k, k.door(), "gateway.ports"), "does not speak TLS")
	mustFail(t, control(t, k, k.door(), "gateway.private-upstream"), "no public service") // breaks: net.private
}

func TestPrivateControlSeesPublicUpstream(t *testing.T) { // breaks: net.private
	k := open(t, options{url: "http://192.0.2.1:80"})
	mustFail(t, control(t, k, k.door(), "gateway.private-upstream"), "192.0.2.1")
}

func TestUndefinedControlSeesOpenGate(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	through := tlsServer(t, &tls.Config{GetCertificate: k.ca.Certificate}, http.HandlerFunc(echo)) // as if the gate passed all
	mustFail(t, control(t, k, canary.New(canary.Deps{Base: k.base, Addr: through, Roots: k.ca.Roots()}), "gateway.undefined-paths"), "let through")
	shut := tlsServer(t, &tls.Config{GetCertificate: k.ca.Certificate}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "", 401) }))
	mustFail(t, control(t, k, canary.New(canary.Deps{Base: k.base, Addr: shut, Roots: k.ca.Roots()}), "gateway.undefined-paths"), "gave 401") // a refusal for another reason is not good enough
	if err := k.g.SetMode(t.Context(), k.engineer(), gateway.Wish{Mode: gateway.Maintenance, Reason: ""}); err != nil {
		t.Fatal(err)
	}
	for _, c := range k.g.Controls(k.door()) {
		if c.ID == "gateway.undefined-paths" {
			if _, err := c.Run(t.Context()); err == nil {
				t.Error("judged while the gate was closed")
			}
		}
	}
}

func TestRulesRefuseWhatCannotBeUpheld(t *testing.T) { // breaks: crypto.current-public
	for key, bad := range map[string]any{
		"use.no-automation/default": "nobody", "use.no-automation/public_paths": []string{"/a/../b"}, "crypto.current-public/tls_min": "1.1",
		"crypto.current-public/ciphers": "any", "crypto.current-public/deny": []string{"AES"}, "crypto.payment-pages/paths": []string{"pay"},
	} {
		l := clause.NewLive[gateway.Rules](time.Now)
		if err := l.Check(values(clause.Values{key: bad})); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s = %v: %v", key, bad, err)
		}
	}
}

func selfSigned(t *testing.T, host string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(1000 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
