package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/listen"
	"writ/internal/secret"
)

// Controls check the gate's clauses. door leads to the public listener.
func (g *Gateway) Controls(door *canary.Door) []clause.Control {
	const hour, day = time.Hour, 24 * time.Hour
	all := append(slices.Concat(g.guardControls(door), g.cacheControls(door), g.egressControls(), g.zoneControls(), g.botControls(), g.staffControls(), g.streamControls(door)), []clause.Control{
		{ID: "gateway.handshakes", Clause: "crypto.current-public", Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeHandshakes,
			Says: "Offers each of our listeners old versions and weak ciphers, which must be refused, and current ones, which must be taken"},
		{ID: "gateway.plain-http", Clause: tlsInTransit, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryPlain(ctx, door) },
			Says: "Asks in plain HTTP, which must only be redirected, and looks for the instruction to browsers to insist on encryption"},
		{ID: "gateway.certificates", Clause: "crypto.certificates", Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeCertificates,
			Says: "Fetches each listener's certificate and checks chain, name, and the days left against the time of renewal"},
		{ID: "gateway.payment-pages", Clause: "crypto.payment-pages", Kind: clause.Probe, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.probePayment(ctx, door) },
			Says: "Fetches the payment pages and looks for encryption, the upgrade instruction and parts loaded in clear"},
		{ID: "gateway.ports", Clause: "net.edge-tls", Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probePorts,
			Says: "Speaks to every port this server has open: each must speak TLS or SSH, or only redirect"},
		{ID: "gateway.outbound", Clause: "crypto.provider-edge", Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeOutbound,
			Says: "Looks at every place this server sends data to: each must be reached over TLS or lie inside the private network"},
		{ID: "gateway.private-upstream", Clause: netPrivate, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probePrivate,
			Says: "Resolves the application's address, which must be private, and looks for open ports that no public service owns"},
		{ID: "gateway.closes", Clause: lossMaintenance, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryClosed(ctx, door, Maintenance) },
			Says: "Tries reads and changes at every route as if the gate were closed for maintenance, and at the door as it is: none may pass while it is closed"},
		{ID: "gateway.freezes", Clause: lossFreeze, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryClosed(ctx, door, Frozen) },
			Says: "Tries changes at every route as if the gate were frozen, and at the door as it is: none may pass while it is frozen, and none has"},
		{ID: "gateway.records-whole", Clause: "use.need-to-see", Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probeTrail,
			Says: "Compares the access records of the last day with the hashes in the journal, and counts requests without one"},
		{ID: "gateway.undefined-paths", Clause: noAutomation, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryUndefined(ctx, door) },
			Says: "Asks as a stranger for a path that is not public, with forged headers and with a disguised path, and must be refused each time"},
		{ID: "gateway.programs", Clause: publicAPI, Kind: clause.Probe, Every: hour, FreshFor: day, Run: g.probePrograms,
			Says: "Looks whether a good description of the interface is in force and asks for a caller everywhere, whether each route with scopes is described, and counts the requests of programs that were let through without being judged by it"},
		{ID: "gateway.undescribed", Clause: publicAPI, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryUndescribed(ctx, door) },
			Says: "Asks as a program for an address outside the description, with a parameter and a body that it does not name, without a key, and with one of another scope, and must be refused each time; a described request must come through, with the headers that tell its limit"},
	}...)
	if wafModes[g.watch.Mode] > 0 { // where no rules look for attacks none are promised
		all = append(all, clause.Control{ID: "gateway.attacks", Clause: noAutomation, Kind: clause.Canary, Every: hour, FreshFor: day, Run: func(ctx context.Context) (clause.Result, error) { return g.tryAttack(ctx, door) },
			Says: "Sends an SQL injection, which must be refused, or recorded where finds are only recorded, and a plain note, which must pass"})
	}
	return all
}

// probeHandshakes is the handshake matrix.
func (g *Gateway) probeHandshakes(ctx context.Context) (clause.Result, error) {
	min := g.MinTLS()
	var n int64
	for _, l := range g.tlsPorts() {
		for _, o := range offers(min) {
			n++
			err := handshake(ctx, l.Addr, g.origin.Hostname(), o.config)
			switch {
			case err == nil && !o.good:
				return clause.Failed(fmt.Sprintf("%s (%s) took %s", l.Name, l.Addr, o.name)), nil
			case err == nil:
			case o.good && alert(err):
				return clause.Failed(fmt.Sprintf("%s (%s) refused %s: %v", l.Name, l.Addr, o.name, err)), nil
			case !alert(err):
				return clause.Result{}, fmt.Errorf("offer %s to %s: %w", o.name, l.Addr, err)
			}
		}
	}
	if n == 0 {
		return clause.Result{}, errors.New("no listener is open")
	}
	r := clause.Passed(fmt.Sprintf("%d handshakes ended as they must; the oldest version taken is %s", n, tls.VersionName(min)))
	r.Population = n
	return r, nil
}

type offer struct {
	name   string
	config *tls.Config
	good   bool
}

func offers(min uint16) []offer {
	twelve := func(suites ...uint16) *tls.Config {
		return &tls.Config{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12, CipherSuites: suites}
	}
	all := []offer{
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, false}, //nolint:gosec // the point is that it is refused
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}, false}, //nolint:gosec // the point is that it is refused
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"TLS 1.2 with authenticated encryption", twelve(listen.Suites(false)...), min <= tls.VersionTLS12},
	}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Contains(s.SupportedVersions, tls.VersionTLS12) && !slices.Contains(listen.Suites(false), s.ID) {
			all = append(all, offer{s.Name, twelve(s.ID), false})
		}
	}
	return all
}

func handshake(ctx context.Context, addr, host string, c *tls.Config) error {
	c = c.Clone()
	c.ServerName, c.InsecureSkipVerify = host, true // the certificate is another control's business
	conn, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: c}).DialContext(ctx, "tcp", reach(addr))
	if err != nil {
		return err //nolint:wrapcheck // looked at by alert
	}
	return conn.Close() //nolint:wrapcheck // looked at by alert
}

// alert reports whether the other side refused in TLS, rather than the network or this side.
func alert(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "remote error"
}

// reach is the address to dial for one that was bound.
func reach(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

func (g *Gateway) tlsPorts() []Listening {
	return slices.DeleteFunc(slices.Clone(g.listening()), func(l Listening) bool { return l.Source == nil })
}

// tryPlain is the cleartext canary.
func (g *Gateway) tryPlain(ctx context.Context, door *canary.Door) (clause.Result, error) {
	var steps []clause.Step
	for _, l := range g.listening() {
		got, err := plainAnswer(ctx, l, g.origin.Host)
		if err != nil {
			return clause.Result{}, err
		}
		expected := "308 to https without a body"
		if l.Source != nil {
			expected = "no answer but 400"
		}
		steps = append(steps, clause.Step{Act: "ask " + l.Name + " (" + l.Addr + ") in plain HTTP", Expected: expected, Got: got, OK: got == expected})
	}
	v := door.Visitor()
	defer v.Close()
	a, err := v.Do(ctx, http.MethodGet, "/-/jwks", "")
	if err != nil {
		return clause.Result{}, fmt.Errorf("ask over TLS: %w", err)
	}
	steps = append(steps, clause.Step{Act: "ask over TLS", Expected: "200", Got: fmt.Sprint(a.Status), OK: a.Status == http.StatusOK, Control: true})
	want := "none, the name is loopback"
	if h := g.hsts(g.rules.Get()); h != nil {
		want = h[0]
	}
	got := strings.Join(a.Header.Values("Strict-Transport-Security"), ", ")
	if got == "" && listen.Loopback(g.origin.Hostname()) {
		got = want
	}
	steps = append(steps, clause.Step{Act: "read Strict-Transport-Security", Expected: want, Got: got, OK: got == want})
	return clause.Judge(fmt.Sprintf("plain HTTP got nothing at %d ports; browsers are told: %s", len(g.listening()), want), steps...), nil
}

// plainAnswer says what plain HTTP gets at a port, in the words of the canary's steps.
func plainAnswer(ctx context.Context, l Listening, host string) (string, error) {
	res, err := plainGet(ctx, l.Addr, host)
	if err != nil {
		return "", fmt.Errorf("ask %s in plain HTTP: %w", l.Name, err)
	}
	if l.Source != nil && (res.status == 0 || res.status == http.StatusBadRequest) {
		return "no answer but 400", nil
	}
	if res.redirects() {
		return "308 to https without a body", nil
	}
	return fmt.Sprintf("%d with %d bytes", res.status, res.length), nil
}

// probeCertificates looks at what listeners show.
func (g *Gateway) probeCertificates(ctx context.Context) (clause.Result, error) {
	host, now := g.origin.Hostname(), g.now()
	summary := ""
	ports := g.tlsPorts()
	for _, l := range ports {
		chain, err := shown(ctx, l.Addr, host)
		if err != nil {
			return clause.Result{}, fmt.Errorf("fetch certificate of %s: %w", l.Name, err)
		}
		leaf, rest := chain[0], x509.NewCertPool()
		for _, c := range chain[1:] {
			rest.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: bracketed(host), Roots: l.Source.Roots(), Intermediates: rest, CurrentTime: now}); err != nil {
			return clause.Failed(l.Name + ": " + err.Error()), nil
		}
		if l.Source.Roots() != nil && !listen.Loopback(host) {
			return clause.Failed(fmt.Sprintf("%s: the certificate for %s comes from this machine's own authority, which no visitor knows", l.Name, host)), nil
		}
		left, need := leaf.NotAfter.Sub(now), min(g.RenewBefore(), leaf.NotAfter.Sub(leaf.NotBefore)/3)
		if left < need {
			return clause.Failed(fmt.Sprintf("%s: %d days left, the next one was due %d days before the end", l.Name, days(left), days(need))), nil
		}
		summary = fmt.Sprintf("valid for %s until %s, %d days", host, leaf.NotAfter.UTC().Format(time.DateOnly), days(left))
	}
	if len(ports) == 0 {
		return clause.Result{}, errors.New("no listener is open")
	}
	r := clause.Passed(summary)
	r.Population = int64(len(ports))
	return r, nil
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

func bracketed(host string) string {
	if ip := net.ParseIP(host); ip != nil {
		return "[" + host + "]"
	}
	return host
}

func shown(ctx context.Context, addr, host string) ([]*x509.Certificate, error) {
	d := &tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}} // judged by the caller
	conn, err := d.DialContext(ctx, "tcp", reach(addr))
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates, nil
}

// inClear finds parts of a page that a browser would load or send without encryption.
var inClear = regexp.MustCompile(`(?i)(?:\b(?:src|srcset|action|formaction|data|poster|background)|<link[^>]{0,500}\shref)\s*=\s*["']?\s*http://|url\(\s*["']?http://`)

// probePayment looks at payment pages twice: as a stranger through the door, and as
// the application's own answer after the gate's last step.
func (g *Gateway) probePayment(ctx context.Context, door *canary.Door) (clause.Result, error) {
	paths := g.rules.Get().PaymentPaths
	for _, p := range paths {
		v := door.Visitor()
		a, err := v.Do(ctx, http.MethodGet, p, "")
		v.Close()
		if err != nil {
			return clause.Result{}, fmt.Errorf("fetch payment page: %w", err)
		}
		if bad := paymentFault(a.Header, nil); bad != "" {
			return clause.Failed("the answer at " + p + " " + bad), nil
		}
		rec := g.answerTo(ctx, p)
		if rec.status >= http.StatusBadGateway {
			return clause.Result{}, fmt.Errorf("the application answered %d at %s", rec.status, p)
		}
		if bad := paymentFault(rec.header, rec.body.Bytes()); bad != "" {
			return clause.Failed("the application's page at " + p + " " + bad), nil
		}
	}
	r := clause.Passed(fmt.Sprintf("%d payment paths are served over TLS with the upgrade instruction and load nothing in clear", len(paths)))
	r.Population = int64(len(paths))
	return r, nil
}

func paymentFault(h http.Header, body []byte) string {
	if !slices.ContainsFunc(h.Values("Content-Security-Policy"), func(p string) bool { return strings.Contains(p, upgrade) }) {
		return "lacks the policy " + upgrade
	}
	if strings.HasPrefix(strings.ToLower(h.Get("Location")), "http:") {
		return "redirects to plain HTTP"
	}
	if strings.HasPrefix(h.Get("Content-Type"), "text/html") && inClear.Match(body) {
		return "loads or sends a part in clear"
	}
	return ""
}

// answerTo runs the last step alone for a path, as nobody. An answer that breaks off counts
// as a bad gateway.
func (g *Gateway) answerTo(ctx context.Context, path string) (rec *recorder) {
	rec = &recorder{header: http.Header{}}
	r := (&http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}, RequestURI: path, Host: g.origin.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Accept": {"text/html"}}, RemoteAddr: "127.0.0.1:0"}).WithContext(ctx)
	v := g.newVisit()
	v.w, v.r, v.table = rec, r, g.current()
	v.need.node = v.table.rest
	if ref := v.admit(); ref != nil {
		rec.status = ref.status
		return rec
	}
	v.need = v.table.decide(r.Method, v.target.path)
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // the proxy panics with this very value when an answer breaks off
			rec.status = http.StatusBadGateway
		} else if p != nil {
			panic(p)
		}
	}()
	v.forward()
	return rec
}

// recorder keeps the beginning of an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status < http.StatusOK {
		r.status = status
	}
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	if room := 256<<10 - r.body.Len(); room > 0 {
		r.body.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

// probePorts speaks to each port of this process.
func (g *Gateway) probePorts(ctx context.Context) (clause.Result, error) {
	open, local, err := g.openPorts()
	if err != nil {
		return clause.Result{}, err
	}
	if len(open) == 0 {
		return clause.Result{}, errors.New("no port is open")
	}
	for _, p := range open {
		if handshake(ctx, p.String(), g.origin.Hostname(), &tls.Config{MinVersion: tls.VersionTLS12}) == nil {
			continue
		}
		res, err := plainGet(ctx, p.String(), g.origin.Host)
		if err != nil {
			return clause.Result{}, fmt.Errorf("speak to port %d: %w", p.Port(), err)
		}
		if !res.ssh && !res.redirects() {
			return clause.Failed(fmt.Sprintf("port %d does not speak TLS or SSH and does not just redirect", p.Port())), nil
		}
	}
	r := clause.Passed(fmt.Sprintf("%d ports speak TLS or SSH or only redirect; %d more can be reached from this machine alone", len(open), local))
	r.Population = int64(len(open))
	return r, nil
}

// openPorts lists our ports that are declared or not bound to loopback, and counts the others.
func (g *Gateway) openPorts() (open []netip.AddrPort, local int, err error) {
	declared := map[uint16]bool{}
	for _, l := range g.listening() {
		ap, err := netip.ParseAddrPort(l.Addr)
		if err != nil {
			return nil, 0, fmt.Errorf("read address of %s: %w", l.Name, err)
		}
		declared[ap.Port()] = true
		open = append(open, ap)
	}
	bound, err := boundPorts()
	if err != nil {
		return nil, 0, err
	}
	for _, p := range bound {
		switch {
		case declared[p.Port()]:
		case p.Addr().Unmap().IsLoopback():
			local++
		default:
			open = append(open, p)
		}
	}
	return open, local, nil
}

// probePrivate looks where the application is and what else can be reached.
func (g *Gateway) probePrivate(ctx context.Context) (clause.Result, error) {
	var ips []netip.Addr
	for _, u := range g.upstreams {
		at, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.URL.Hostname())
		if err != nil {
			return clause.Result{}, fmt.Errorf("resolve the application: %w", err)
		}
		ips = append(ips, at...)
	}
	for _, ip := range ips {
		if private(ip) != nil {
			return clause.Failed(fmt.Sprintf("the application is at %s, which is no private address", ip.Unmap())), nil
		}
	}
	open, _, err := g.openPorts()
	if err != nil {
		return clause.Result{}, err
	}
	ours := map[uint16]bool{}
	for _, l := range g.listening() {
		if ap, err := netip.ParseAddrPort(l.Addr); err == nil {
			ours[ap.Port()] = true
		}
	}
	allowed := slices.Contains(g.rules.Get().Public, "gateway") // clause: net.private
	for _, p := range open {
		switch inside := private(p.Addr()) == nil; {
		case inside:
		case !ours[p.Port()]:
			return clause.Failed(fmt.Sprintf("port %d can be reached from outside and belongs to no public service", p.Port())), nil
		case !allowed:
			return clause.Failed(fmt.Sprintf("port %d of the gateway can be reached from outside, and the policy does not list the gateway", p.Port())), nil
		}
	}
	r := clause.Passed(fmt.Sprintf("the application is at %d private address(es); %d ports are open, all of the gateway", len(ips), len(open)))
	r.Population = int64(len(ips) + len(open))
	return r, nil
}

// tryUndefined is the canary for what no rule opens.
func (g *Gateway) tryUndefined(ctx context.Context, door *canary.Door) (clause.Result, error) {
	if mode, _ := g.Mode(); mode != Normal {
		return clause.Result{}, errors.New("the gate is closed for maintenance")
	}
	path := "/" + strings.ToLower(secret.RandomText(9).Reveal())
	tries := []struct {
		act, path string
		head      http.Header
		want      string
		control   bool
	}{
		{"ask as a stranger for a path nobody opened", path, nil, "401 sign_in_needed", false},
		{"ask for it with forged identity headers", path, http.Header{"Writ-Assertion": {"e30.e30.e30"}, "X-Forwarded-User": {"owner"}, "X-Original-Url": {"/"}}, "401 sign_in_needed", false},
		{"ask for it with an invented session", path, http.Header{"Cookie": {ownCookie + "=" + secret.RandomText(32).Reveal()}}, "401 sign_in_needed", false},
		{"ask with a disguised path", "/a/..%2f" + path[1:], nil, "400 path_escape", false},
		{"ask with a doubled slash", "/a/" + path, nil, "400 path_segment", false},
		{"ask for a public page", "/-/jwks", nil, "200", true},
	}
	if g.rules.Get().Ceiling == "anyone" {
		tries = tries[3:] // the owners have opened all paths: what is left is the form
	}
	var steps []clause.Step
	for _, t := range tries {
		got, err := stranger(ctx, door, t.path, t.head)
		if err != nil {
			return clause.Result{}, err
		}
		steps = append(steps, clause.Step{Act: t.act, Expected: t.want, Got: got, OK: got == t.want, Control: t.control})
	}
	return clause.Judge(fmt.Sprintf("%d attempts to pass the gate were refused, each for its own reason", len(steps)-1), steps...), nil
}

var problemCode = regexp.MustCompile(`"code":"([a-z_]+)"`)

// stranger asks once and returns status and code. The path is sent byte for byte.
func stranger(ctx context.Context, door *canary.Door, path string, head http.Header) (string, error) {
	v := door.Visitor()
	defer v.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Base, nil)
	if err != nil {
		return "", fmt.Errorf("make request: %w", err)
	}
	req.URL.Opaque = path
	maps.Copy(req.Header, head)
	req.Header.Set("Accept", "application/json")
	a, err := v.Send(req)
	if err != nil {
		return "", fmt.Errorf("ask at the door: %w", err)
	}
	if m := problemCode.FindStringSubmatch(a.Body); m != nil && a.Status >= http.StatusBadRequest {
		return fmt.Sprint(a.Status, " ", m[1]), nil
	}
	return fmt.Sprint(a.Status), nil
}
