package egress

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
)

const (
	headTime = 10 * time.Second // for a request, and for the greeting after it
	dialTime = 10 * time.Second
	mostHead = 8 << 10
	mostAll  = 1000 // connections
	mostOne  = 250  // of one address
)

// Longest is how long a connection may last.
const Longest = 12 * time.Hour

// The causes of a refusal, and of an end that neither side wanted.
const (
	CauseCaller   = "caller"   // nobody known
	CauseClear    = "clear"    // a token in clear, on a network where it could be read
	CauseRequest  = "request"  // not CONNECT name:port
	CauseUnlisted = "unlisted" // no such name and port, or its time is over
	CauseAddress  = "address"  // the name leads inside
	CauseName     = "name"     // the greeting is not TLS, or names another
	CauseAway     = "away"     // the name does not resolve, or does not answer
	CauseFull     = "full"
	CauseUnknown  = "unknown" // it could not be told who asks
	CauseLong     = "long"    // ended: it lasted too long
	CauseLarge    = "large"   // ended: it moved too much
)

// Who is at the other end.
type Who struct {
	Name string // kind/id; "" = nobody known
	As   actor.Actor
}

// Target is what somebody wants to reach.
type Target struct {
	Name string // "" unless it is a plain one
	Port uint16
}

// Try is one connection that was refused or has ended.
type Try struct {
	Who
	Target
	Cause      string // "" = it passed, and ended by itself
	Passed     bool   // bytes of the caller's reached the other side
	Sent, Back int64  // bytes
}

// Deps is what a Proxy needs. All but TLS, Rest, Whole and Most are required.
type Deps struct {
	// Caller says who comes from an address, and with which token: the zero Text for none.
	// An error means that it could not be told.
	Caller func(ctx context.Context, from netip.Addr, token secret.Text) (Who, error)
	// Listed reports whether a target may be reached now, and in which networks beside the
	// public ones it may lie.
	Listed func(Target) (inside []netip.Prefix, ok bool)
	// Resolve finds all addresses of a name; net.Resolver.LookupNetIP.
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// Dial opens a connection; net.Dialer.DialContext.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Began is told of each connection that is let through, Told of each refusal and each
	// end. They must be quick.
	Began func(Try)
	Told  func(Try)
	Log   *slog.Logger

	TLS   *tls.Config   // for callers that speak TLS with the proxy; nil = none does
	Rest  time.Duration // nothing is said in either direction; 0 = ten minutes
	Whole time.Duration // 0 = twelve hours
	Most  int64         // bytes of one connection; 0 = 16 GiB
}

// Proxy is the way out.
type Proxy struct {
	d Deps

	mu   sync.Mutex // guards the rest
	all  int
	from map[netip.Addr]int
	open map[*relay]struct{}
}

// New makes a Proxy.
func New(d Deps) (*Proxy, error) {
	if d.Caller == nil || d.Listed == nil || d.Resolve == nil || d.Dial == nil || d.Began == nil || d.Told == nil || d.Log == nil {
		return nil, errors.New("egress: a dependency is missing")
	}
	if d.Rest == 0 {
		d.Rest = 10 * time.Minute
	}
	if d.Whole == 0 {
		d.Whole = Longest
	}
	if d.Most == 0 {
		d.Most = 16 << 30
	}
	return &Proxy{d: d, from: map[netip.Addr]int{}, open: map[*relay]struct{}{}}, nil
}

// Serve answers at a listener until ctx ends. Then nobody new is let through; what still
// moves has five seconds to end.
func (p *Proxy) Serve(ctx context.Context, l net.Listener) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer end()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	for wait := time.Millisecond; ; {
		c, err := l.Accept()
		switch {
		case err != nil && ctx.Err() != nil:
			p.drain()
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept at the way out: %w", err)
		case err != nil: // such as too many open files: it passes
			p.d.Log.Error("nobody can be let out for a moment", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, time.Second)
			continue
		}
		wait = time.Millisecond
		wg.Go(func() {
			defer c.Close()
			p.serve(ctx, life, c)
		})
	}
}

var goodName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Name gives a host's name in the form in which names are listed: lower case, ASCII, with a
// dot in it; no address. "" = it is none.
func Name(host string) string {
	host = strings.ToLower(host)
	if len(host) > 253 || !goodName.MatchString(host) {
		return ""
	}
	return host
}

// enter counts a connection, unless there are too many.
func (p *Proxy) enter(from netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= mostAll || p.from[from] >= mostOne {
		return false
	}
	p.all++
	p.from[from]++
	return true
}

func (p *Proxy) leave(from netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.from[from]--; p.from[from] == 0 {
		delete(p.from, from)
	}
}

// serve takes one connection through the checks. Until it is through, ctx ends it; then life does.
func (p *Proxy) serve(ctx, life context.Context, raw net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	defer stop()
	from := remote(raw)
	if raw.SetDeadline(time.Now().Add(headTime)) != nil {
		return
	}
	if !p.enter(from) {
		p.refuse(raw, Try{}, CauseFull)
		return
	}
	defer p.leave(from)
	c, in, err := p.greet(ctx, raw)
	if err != nil { // crypto/tls has told the other side
		p.d.Told(Try{Cause: CauseRequest})
		return
	}
	if _, err := in.Peek(1); err != nil {
		return // nothing was asked
	}
	to, token, ok := asked(in)
	t := Try{Target: to}
	if !token.IsZero() && !from.IsLoopback() && !secure(c) { // clause: net.gateway-only
		p.refuse(c, t, CauseClear)
		return
	}
	if t.Who, err = p.d.Caller(ctx, from, token); err != nil {
		p.d.Log.Error("it could not be told who wants to go out", "err", err)
		p.refuse(c, t, CauseUnknown)
		return
	}
	if t.Who.Name == "" { // clause: net.gateway-only
		p.refuse(c, t, CauseCaller)
		return
	}
	if !ok {
		p.refuse(c, t, CauseRequest)
		return
	}
	inside, ok := p.d.Listed(to)
	if !ok { // clause: net.gateway-only, use.no-private-use
		p.refuse(c, t, CauseUnlisted)
		return
	}
	out, cause := p.dial(ctx, to, inside)
	if cause != "" {
		p.refuse(c, t, cause)
		return
	}
	defer out.Close()
	hello, alert := p.connect(c, in, to.Name)
	if hello == nil { // clause: net.gateway-only
		t.Cause = CauseName
		p.d.Told(t)
		_, _ = c.Write(alert)
		return
	}
	if !stop() {
		return // the server stops
	}
	p.pass(life, t, &relay{c: c, out: out, in: in}, hello)
}

// pass lets bytes through, the greeting first.
func (p *Proxy) pass(life context.Context, t Try, r *relay, hello []byte) {
	p.d.Began(t)
	defer context.AfterFunc(life, r.close)()
	p.mu.Lock()
	p.open[r] = struct{}{}
	p.mu.Unlock()
	t.Passed = true
	t.Cause = r.run(hello, p.d)
	t.Sent, t.Back = r.sent.Load(), r.back.Load()
	p.mu.Lock()
	delete(p.open, r)
	p.mu.Unlock()
	p.d.Told(t)
}

func remote(c net.Conn) netip.Addr {
	ap, _ := netip.ParseAddrPort(c.RemoteAddr().String()) // no address is nobody's
	return ap.Addr().Unmap()
}

func secure(c net.Conn) bool { _, ok := c.(*tls.Conn); return ok }

// greet looks whether the caller speaks TLS with the proxy itself.
func (p *Proxy) greet(ctx context.Context, c net.Conn) (net.Conn, *bufio.Reader, error) {
	in := bufio.NewReaderSize(c, mostHead)
	if b, err := in.Peek(1); err != nil || b[0] != recordHandshake || p.d.TLS == nil {
		return c, in, nil //nolint:nilerr // whoever reads next meets it
	}
	s := tls.Server(&begun{c, in}, p.d.TLS)
	if err := s.HandshakeContext(ctx); err != nil {
		return nil, nil, err //nolint:wrapcheck // only whether there is one counts
	}
	return s, bufio.NewReaderSize(s, mostHead), nil
}

// begun is a connection of which a part was read.
type begun struct {
	net.Conn
	in io.Reader
}

// Read implements io.Reader.
func (b *begun) Read(p []byte) (int, error) { return b.in.Read(p) } //nolint:wrapcheck // crypto/tls looks at it

// asked reads CONNECT name:port, and the token beside it.
func asked(in *bufio.Reader) (to Target, token secret.Text, ok bool) {
	r, err := http.ReadRequest(bufio.NewReaderSize(&headReader{in: in}, mostHead))
	if err != nil {
		return Target{}, secret.Text{}, false
	}
	token = credential(r.Header.Get("Proxy-Authorization"))
	host, at, err := net.SplitHostPort(r.RequestURI)
	if err != nil {
		return Target{}, token, false
	}
	port, err := strconv.ParseUint(at, 10, 16)
	if err != nil || strconv.FormatUint(port, 10) != at {
		return Target{Name: Name(host)}, token, false
	}
	to = Target{Name: Name(host), Port: uint16(port)}
	return to, token, to.Name != "" && port > 0 && r.Method == http.MethodConnect && r.ContentLength <= 0 && len(r.TransferEncoding) == 0
}

// credential is the token of a Proxy-Authorization: Bearer, or Basic where it is the
// password, or the name where there is no password.
func credential(line string) secret.Text {
	scheme, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return secret.NewText(rest)
	case strings.EqualFold(scheme, "Basic"):
		b, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return secret.Text{}
		}
		name, password, _ := strings.Cut(string(b), ":")
		if password == "" {
			password = name
		}
		return secret.NewText(password)
	}
	return secret.Text{}
}

// headReader gives the bytes of one head, to its empty line, and no more: what follows is the
// greeting. A head that is too long ends.
type headReader struct {
	in   *bufio.Reader
	got  int
	last [4]byte
	over bool
}

// Read implements io.Reader.
func (h *headReader) Read(p []byte) (int, error) {
	if h.over || len(p) == 0 {
		return 0, io.EOF
	}
	c, err := h.in.ReadByte()
	if err != nil {
		return 0, err //nolint:wrapcheck // net/http looks at it
	}
	if h.got++; h.got > mostHead {
		return 0, io.ErrUnexpectedEOF
	}
	copy(h.last[:], h.last[1:])
	h.last[3] = c
	h.over = string(h.last[:]) == "\r\n\r\n" || string(h.last[2:]) == "\n\n"
	p[0] = c
	return 1, nil
}

// dial resolves a name once and dials one of the addresses that were looked at.
func (p *Proxy) dial(ctx context.Context, to Target, inside []netip.Prefix) (out net.Conn, cause string) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	ips, err := p.d.Resolve(ctx, "ip", to.Name)
	if err != nil || len(ips) == 0 {
		p.d.Log.Warn("a listed name does not resolve", "name", to.Name, "err", err)
		return nil, CauseAway
	}
	if slices.ContainsFunc(ips, func(a netip.Addr) bool { return !allowed(a, inside) }) { // clause: net.gateway-only
		return nil, CauseAddress
	}
	for _, a := range ips {
		if out, err = p.d.Dial(ctx, "tcp", netip.AddrPortFrom(a.Unmap(), to.Port).String()); err == nil {
			return out, ""
		}
	}
	p.d.Log.Warn("a listed name does not answer", "name", to.Name, "err", err)
	return nil, CauseAway
}

// connect tells the caller to go on, and reads the greeting that follows. A nil greeting is
// not good; the caller may be told so with the alert, where it speaks TLS.
func (p *Proxy) connect(c net.Conn, in io.Reader, name string) (hello, alert []byte) { // clause: net.gateway-only
	if c.SetDeadline(time.Now().Add(headTime)) != nil {
		return nil, nil
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return nil, nil
	}
	said, hello, err := serverName(in)
	if err != nil {
		return nil, nil
	}
	if !strings.EqualFold(said, name) {
		return nil, unrecognized
	}
	return hello, nil
}
