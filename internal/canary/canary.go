// Package canary gives controls the door that everybody else uses. A canary is a
// deliberate violation that must be refused; it is worth something only if the
// code that refuses it cannot tell it from a stranger. So a Visitor opens real
// TLS connections to the public listener, from a source address of its own in
// 127.77.0.0/16 (its own throttle bucket), with its own cookies, and follows no
// redirect. Letters to addresses under canary.invalid come to the Door's mailbox
// and never leave the machine.
//
// What marks canary rows is the kind of their team; only lists, journal and watch
// may read it. No enforcing code does: a test of the house holds that.
//
// Clauses: all whose controls are canaries. For: owner, auditor.
package canary

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"sync"
	"time"

	"writ/internal/fault"
	"writ/internal/mail"
	"writ/internal/secret"
)

// Domain is where canaries have their addresses.
const Domain = "writ.canary.invalid"

// Door leads to the public listener.
type Door struct {
	base  string
	addr  string
	roots *x509.CertPool

	mu      sync.Mutex
	letters map[string][]mail.Message
	came    chan struct{}
}

// Deps say where the public listener is.
type Deps struct {
	Base  string         // https://localhost:8443, the public origin
	Addr  string         // the listener's address to dial, such as 127.0.0.1:8443
	Roots *x509.CertPool // nil for the system's
}

// New makes a Door. Call Take with the letters of *.canary.invalid.
func New(d Deps) *Door {
	return &Door{base: d.Base, addr: d.Addr, roots: d.Roots, letters: map[string][]mail.Message{}, came: make(chan struct{})}
}

// Take receives a letter to a canary.
func (d *Door) Take(m mail.Message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.letters) > 1000 {
		clear(d.letters)
	}
	d.letters[m.To] = append(d.letters[m.To], m)
	close(d.came)
	d.came = make(chan struct{})
}

// Address makes up an address nobody else has.
func (d *Door) Address() string {
	return "c" + strings.ToLower(strings.NewReplacer("-", "x", "_", "y").Replace(secret.RandomText(9).Reveal())) + "@" + Domain
}

// Letter waits for the next letter to an address and takes it out of the mailbox.
func (d *Door) Letter(ctx context.Context, to string) (mail.Message, error) {
	for {
		d.mu.Lock()
		if ls := d.letters[to]; len(ls) > 0 {
			d.letters[to] = ls[1:]
			if len(ls) == 1 {
				delete(d.letters, to)
			}
			d.mu.Unlock()
			return ls[0], nil
		}
		came := d.came
		d.mu.Unlock()
		select {
		case <-came:
		case <-ctx.Done():
			return mail.Message{}, fmt.Errorf("wait for letter: %w", context.Cause(ctx))
		}
	}
}

// Forget throws away the letters to addresses that nobody will ask for.
func (d *Door) Forget(to ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range to {
		delete(d.letters, a)
	}
}

// Visitor is one stranger at the door.
type Visitor struct {
	HTTP *http.Client
	Base string // https origin, no slash at the end
	From string // source address
}

// Base is the public origin without a slash at its end.
func (d *Door) Base() string { return d.base }

// Visitor returns a new stranger with an address and cookies of its own.
func (d *Door) Visitor() *Visitor {
	from := fmt.Sprintf("127.77.%d.%d", rand.IntN(256), 1+rand.IntN(254))
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	if strings.HasPrefix(d.addr, "127.") || strings.HasPrefix(d.addr, "localhost:") || strings.HasPrefix(d.addr, "0.0.0.0:") || strings.HasPrefix(d.addr, ":") {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // cookiejar.New never fails without options
	}
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp4", d.dialAddr())
		},
		TLSClientConfig:   &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true, DisableCompression: true, IdleConnTimeout: 20 * time.Second,
	}
	return &Visitor{
		HTTP: &http.Client{Transport: tr, Jar: jar, Timeout: 20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Base: d.base, From: from,
	}
}

func (d *Door) dialAddr() string {
	host, port, err := net.SplitHostPort(d.addr)
	if err != nil {
		return d.addr
	}
	if host == "" || host == "0.0.0.0" || host == "::" || host == "localhost" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   string // at most 256 KiB
}

// Do sends a request with an optional JSON body and returns the answer. It fails
// only when no answer came.
func (v *Visitor) Do(ctx context.Context, method, path, json string) (Answer, error) {
	var body io.Reader
	if json != "" {
		body = strings.NewReader(json)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.Base+path, body)
	if err != nil {
		return Answer{}, fmt.Errorf("canary request: %w", err)
	}
	if json != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Mozilla/5.0")
	return v.Send(req)
}

// Send sends a request of the caller's making.
func (v *Visitor) Send(req *http.Request) (Answer, error) {
	res, err := v.HTTP.Do(req)
	if err != nil {
		return Answer{}, fault.Wrap(fault.Unavailable, "door", fmt.Errorf("canary at the door: %w", err))
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 256<<10))
	if err != nil {
		return Answer{}, fmt.Errorf("read the door's answer: %w", err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: string(b)}, nil
}

// Close drops the visitor's connections.
func (v *Visitor) Close() { v.HTTP.CloseIdleConnections() }
