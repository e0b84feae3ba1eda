package gateway

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/gateway/egress"
	"writ/internal/secret"
)

func (g *Gateway) egressControls() []clause.Control {
	const hour, day = time.Hour, 24 * time.Hour
	all := []clause.Control{
		{ID: "gateway.egress-refuses", Clause: gatewayOnly, Kind: clause.Canary, Every: hour, FreshFor: day, Run: g.tryEgress,
			Says: "Asks the way out for a name that is not listed, for a private address, for a listed name that leads to one, and in clear, as nobody and as a private service, and must be refused each time; a listed name must be reached"},
		{ID: "gateway.egress-listed", Clause: noPrivateUse, Kind: clause.Replay, Every: hour, FreshFor: day, Run: g.replayEgress,
			Says: "Compares all connections that were let out in the last 90 days with the list of destinations as it was: each must have been listed, by somebody, with a reason and an end"},
	}
	if slices.ContainsFunc(g.out.Callers, func(c EgressCaller) bool { return c.Tries }) { // where nobody is to tell, nobody is waited for
		all = append(all, clause.Control{ID: "gateway.egress-past", Clause: gatewayOnly, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probePast,
			Says: "Reads what private services found when they tried to reach the outside past the gate: each must have tried within a day, in vain"})
	}
	return all
}

const (
	trialMark   = "writ-canary"
	canaryNames = "." + canary.Domain // made up by controls
)

// tryEgress is the canary at the way out.
func (g *Gateway) tryEgress(ctx context.Context) (clause.Result, error) { // clause: net.gateway-only
	if g.out.Listener == nil {
		return clause.Failed(errNoWayOut.Error()), nil
	}
	if err := CheckEgress(g.out.Listener.Addr()); err != nil {
		return clause.Failed("the way out at " + g.out.Listener.Addr().String() + " must be at a private address"), nil
	}
	site, err := newTrialSite()
	if err != nil {
		return clause.Result{}, err
	}
	defer site.close()
	odd := func() string {
		return "c" + strings.ToLower(strings.NewReplacer("_", "u", "-", "m").Replace(secret.RandomText(9).Reveal())) + canaryNames
	}
	token, listed, inside, meta := secret.RandomText(24), odd(), odd(), odd()
	here := netip.MustParsePrefix("127.0.0.1/32")
	g.out.trial.set(token, map[string]trialName{
		listed: {[]netip.Addr{here.Addr()}, site.port, []netip.Prefix{here}},
		inside: {[]netip.Addr{here.Addr()}, site.port, nil},
		meta:   {[]netip.Addr{netip.MustParseAddr("169.254.169.254")}, 443, []netip.Prefix{netip.MustParsePrefix("169.254.0.0/16")}},
	})
	defer g.out.trial.set(secret.Text{}, nil)
	at := func(name string, port uint16) string { return fmt.Sprintf("%s:%d", name, port) }
	var steps []clause.Step
	for _, t := range []struct {
		act, to string
		token   secret.Text
		say     func(net.Conn) string
		want    string
	}{
		{"ask as nobody known", at(listed, site.port), secret.RandomText(24), nil, "407 caller"},
		{"ask for a name that is not listed", at(odd(), 443), token, nil, "403 unlisted"},
		{"ask for a listed name at another port", at(listed, 25), token, nil, "403 unlisted"},
		{"ask for a private address", at("10.0.0.1", 443), token, nil, "400 request"},
		{"ask for a listed name that leads to this machine", at(inside, site.port), token, nil, "403 address"},
		{"ask for a listed name that leads to a machine's metadata", at(meta, 443), token, nil, "403 address"},
		{"speak in clear with a listed name", at(listed, site.port), token, inTheClear, "closed"},
		{"ask behind a listed name for another", at(listed, site.port), token, asTLS(odd()), "closed"},
	} {
		got, err := g.askOut(ctx, t.to, t.token, t.say)
		if err != nil {
			return clause.Result{}, err
		}
		if site.reached.Load() > 0 {
			got += ", and it was heard"
		}
		steps = append(steps, clause.Step{Act: t.act, Expected: t.want, Got: got, OK: got == t.want})
	}
	got, err := g.askOut(ctx, at(listed, site.port), token, asTLS(listed))
	if err != nil {
		return clause.Result{}, err
	}
	steps = append(steps, clause.Step{Act: "ask for a listed name", Expected: trialMark, Got: got, OK: got == trialMark, Control: true})
	return clause.Judge(fmt.Sprintf("%d attempts to leave by the way out were refused, each for its own reason", len(steps)-1), steps...), nil
}

// askOut connects to the way out as a private service does, and says what came of it.
func (g *Gateway) askOut(ctx context.Context, to string, token secret.Text, say func(net.Conn) string) (string, error) {
	ports := g.tlsPorts()
	if len(ports) == 0 {
		return "", errors.New("no listener is open")
	}
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{ServerName: g.origin.Hostname(), RootCAs: ports[0].Source.Roots(), MinVersion: tls.VersionTLS12}}
	c, err := d.DialContext(ctx, "tcp", g.out.Listener.Addr().String())
	if err != nil {
		return "", fmt.Errorf("reach the way out: %w", err)
	}
	defer c.Close()
	end, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	defer context.AfterFunc(end, func() { _ = c.Close() })()
	if _, err := fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\nProxy-Authorization: Bearer %s\r\n\r\n", to, to, token.Reveal()); err != nil {
		return "", fmt.Errorf("ask the way out: %w", err)
	}
	in := bufio.NewReader(c)
	res, err := http.ReadResponse(in, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return "", fmt.Errorf("read what the way out says: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		_, cause, _ := strings.Cut(res.Header.Get("Proxy-Status"), "details=")
		return strings.TrimSpace(fmt.Sprint(res.StatusCode, " ", strings.Trim(cause, `"`))), nil
	}
	if say == nil {
		return "200", nil
	}
	return say(&heardFirst{c, in}), nil
}

// heardFirst is a connection of which something may have been read.
type heardFirst struct {
	net.Conn
	in io.Reader
}

// Read implements io.Reader.
func (h *heardFirst) Read(p []byte) (int, error) { return h.in.Read(p) } //nolint:wrapcheck // crypto/tls looks at it

// inTheClear speaks as if there were no TLS.
func inTheClear(c net.Conn) string {
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"+strings.Repeat("x", 64)) // a refusal shows at the read
	return answered(c)
}

// asTLS speaks TLS with somebody of that name.
func asTLS(name string) func(net.Conn) string {
	return func(c net.Conn) string {
		s := tls.Client(c, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // it is our own other end, with a certificate of the moment
		return answered(s)
	}
}

func answered(c net.Conn) string {
	b, _ := io.ReadAll(io.LimitReader(c, 64)) // what came before a broken end counts
	if len(b) == 0 {
		return "closed"
	}
	return string(b)
}

// trialSite stands for a place outside, as long as a control runs.
type trialSite struct {
	l       net.Listener
	port    uint16
	reached atomic.Int64 // connections in which a byte arrived
}

func newTrialSite() (*trialSite, error) {
	cert, err := momentary()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("stand for a place outside: %w", err)
	}
	ap, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the place's address: %w", err), l.Close())
	}
	s := &trialSite{l: l, port: ap.Port()}
	go s.serve(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
	return s, nil
}

func (s *trialSite) close() { _ = s.l.Close() }

func (s *trialSite) serve(c *tls.Config) {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			t := tls.Server(&counting{Conn: conn, n: &s.reached}, c)
			_, _ = io.WriteString(t, trialMark) // who does not read it says so
		}()
	}
}

// counting counts a connection when its first byte arrives.
type counting struct {
	net.Conn
	n    *atomic.Int64
	once bool
}

// Read implements io.Reader.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.once {
		c.once = true
		c.n.Add(1)
	}
	return n, err //nolint:wrapcheck // crypto/tls looks at it
}

// momentary is a certificate that nobody checks.
func momentary() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a key: %w", err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// replayEgress compares who went out with the list.
func (g *Gateway) replayEgress(ctx context.Context) (clause.Result, error) { // clause: use.no-private-use
	if g.out.Listener == nil {
		return clause.Failed(errNoWayOut.Error()), nil
	}
	all, err := g.Destinations(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	by := map[egress.Target][]Destination{}
	live := 0
	for _, d := range all {
		to := egress.Target{Name: d.Name, Port: uint16(d.Port)} //nolint:gosec // it was checked
		by[to] = append(by[to], d)
		if d.Ended.IsZero() && g.now().Before(d.Until) {
			live++
		}
		if d.Reason == "" || d.Owner == "" || d.Until.Sub(d.Made) > longestDestination+time.Minute {
			return clause.Failed(d.Name + " is listed without a reason, without anybody who answers for it, or for more than a year"), nil
		}
	}
	moves, err := g.movesOf(ctx, mostMoves)
	if err != nil {
		return clause.Result{}, err
	}
	var n, refused int64
	for _, m := range moves {
		if m.Cause != "" {
			refused += m.Count
			continue
		}
		if !coveredBy(m, by[egress.Target{Name: m.Name, Port: uint16(m.Port)}]) { //nolint:gosec // it was a port
			return clause.Failed(fmt.Sprintf("%s went out to %s:%d, which was not on the list", m.Caller, m.Name, m.Port)), nil
		}
		n += m.Count
	}
	r := clause.Passed(fmt.Sprintf("%d connections of private services went to listed destinations alone; %d are listed now; %d attempts were refused", n, live, refused))
	r.Population = n
	return r, nil
}

// coveredBy reports whether connections began when their destination was listed, and ended
// when it was or within the time that an open one may last.
func coveredBy(m Move, ds []Destination) bool {
	began, ended := false, false
	for _, d := range ds {
		end := d.Until
		if !d.Ended.IsZero() {
			end = d.Ended
		}
		began = began || !m.First.Before(d.Made)
		ended = ended || m.Last.Before(end.Add(egress.Longest+2*time.Minute)) // counts wait for a minute
	}
	return began && ended
}
