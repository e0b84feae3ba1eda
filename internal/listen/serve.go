package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"writ/internal/fault"
)

// The limits of every public listener.
const (
	headerTime   = 10 * time.Second
	idleTime     = 120 * time.Second
	writeTime    = 30 * time.Second // for each write, not for an answer: streams may last
	drainTime    = 10 * time.Second
	maxHeader    = 64 << 10
	maxFields    = 100 // of a header
	maxPerClient = 200
	maxTotal     = 20000
	maxStreams   = 250
	maxFrame     = 16 << 10  // of HTTP/2: what every client may send; net/http would take 1 MiB
	maxUnsent    = 128 << 10 // bytes of answers that wait in the kernel for one client
)

// Listen opens a TCP port. A fault names the port that is taken and what to do.
func Listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err == nil {
		return l, nil
	}
	_, port, _ := net.SplitHostPort(addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.New(fault.Conflict, "port_taken", fault.Public{
			Problem: "Port " + port + " (" + addr + ") is taken by another program.", Expected: "A free port.",
			Next: "Find the program with: ss -ltnp 'sport = :" + port + "'; stop it, or choose another port in writ.yaml."})
	case errors.Is(err, syscall.EACCES):
		return nil, fault.New(fault.Denied, "port_denied", fault.Public{
			Problem: "This account may not open port " + port + " (" + addr + ").", Expected: "A port from 1024 up, or the right to open lower ones.",
			Next: "Choose another port in writ.yaml, or run: setcap cap_net_bind_service=+ep on the writ binary."})
	}
	return nil, fault.New(fault.Invalid, "address", fault.Public{
		Problem: "The address " + addr + " cannot be listened on: " + err.Error() + ".", Expected: "An address of this machine such as :443 or 127.0.0.1:8443.", Next: "Correct it in writ.yaml."})
}

// Door is one listener and what stands behind it.
type Door struct {
	Name     string       // https, http: for the log
	Listener net.Listener // from Listen
	TLS      *tls.Config  // from TLSConfig; nil only for a Redirector
	Handler  http.Handler
	// Malformed is told of each connection whose bytes net/http refused by itself, with
	// the client's address. It may be nil; it must be quick.
	Malformed func(from netip.Addr)
	Open      *Count // counts its connections; may be nil
}

// Serve answers on all doors until ctx ends, then lets running requests finish for at
// most 10 seconds. It returns nil after an orderly end, else why a door failed.
// It refuses a door without TLS that would do more than redirect.
func Serve(ctx context.Context, log *slog.Logger, doors ...Door) error {
	for _, d := range doors {
		if _, ok := d.Handler.(redirector); d.TLS == nil && !ok { // clause: net.edge-tls
			return fmt.Errorf("serve %s: a door without TLS may only redirect", d.Name)
		}
	}
	servers := make([]*http.Server, len(doors))
	failed := make(chan error, len(doors))
	for i, d := range doors {
		s, l := d.server(log)
		servers[i] = s
		go func() {
			if err := s.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", d.Name, err)
			}
		}()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(func() {
			if s.Shutdown(end) != nil {
				log.Warn("requests were cut at shutdown", "err", s.Close())
			}
		})
	}
	wg.Wait()
	return err
}

func (d Door) server(log *slog.Logger) (*http.Server, net.Listener) {
	var l net.Listener = &limited{Listener: d.Listener, count: d.Open, clients: map[netip.Addr]int{}}
	watch := &watch{told: d.Malformed}
	s := &http.Server{
		Handler: watch.count(d.Handler), ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is refused like any other malformed target
		ErrorLog:                     slog.NewLogLogger(log.With("door", d.Name).Handler(), slog.LevelDebug),
		ConnContext:                  watch.remember, ConnState: watch.state,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame, CountError: watch.http2},
	}
	if d.TLS != nil {
		s.TLSConfig = d.TLS
		l = tls.NewListener(l, d.TLS)
	}
	return s, l
}

// Redirector answers every plain request with a redirect to the origin. It reads no
// body and sends none.
func Redirector(origin *url.URL) http.Handler { return redirector{base: "https://" + origin.Host} }

// Watched is a Redirector or a Challenged that tells of each request; any other handler stays what
// it is, and Serve refuses it.
func Watched(h http.Handler, seen func(*http.Request)) http.Handler {
	if to, ok := h.(redirector); ok {
		to.seen = seen
		return to
	}
	return h
}

// Challenged is a Redirector that lets an authority's challenge be answered (RFC 8555
// section 8.3): answer is asked for GET below /.well-known/acme-challenge/ alone.
func Challenged(origin *url.URL, answer func(http.ResponseWriter, *http.Request) bool) http.Handler {
	return redirector{base: "https://" + origin.Host, answer: answer}
}

// Beside is a Redirector or a Challenged that leads who asks for a further public name to that
// name, and not to the origin.
func Beside(h http.Handler, name string) http.Handler {
	if to, ok := h.(redirector); ok && name != "" {
		to.beside = name
		return to
	}
	return h
}

// redirector is the only handler that may stand at a plain port.
type redirector struct {
	base   string
	beside string // a further name
	answer func(http.ResponseWriter, *http.Request) bool
	seen   func(*http.Request) // nil = nobody asks
}

// ServeHTTP implements http.Handler.
func (to redirector) ServeHTTP(w http.ResponseWriter, r *http.Request) { // clause: crypto.tls-in-transit
	if to.seen != nil {
		to.seen(r)
	}
	if to.answer != nil && r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/.well-known/acme-challenge/") {
		w.Header().Set("Connection", "close")
		if to.answer(w, r) {
			return
		}
	}
	target := r.URL.RequestURI()
	if !strings.HasPrefix(target, "/") {
		target = "/"
	}
	base, name := to.base, r.Host
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	if to.beside != "" && strings.EqualFold(name, to.beside) {
		base = "https://" + to.beside
		if u, err := url.Parse(to.base); err == nil && u.Port() != "" {
			base += ":" + u.Port()
		}
	}
	h := w.Header()
	h["Location"] = []string{base + target}
	h["Connection"] = []string{"close"} // nothing more is read, a body neither
	h["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusPermanentRedirect)
}

// watch notices what net/http refuses without asking a handler: a connection that
// became active and closed before as many handler calls were made.
type watch struct{ told func(netip.Addr) }

type connKey struct{}

// remember puts the connection where count finds it.
func (w *watch) remember(ctx context.Context, c net.Conn) context.Context {
	if lc := inner(c); lc != nil {
		return context.WithValue(ctx, connKey{}, lc)
	}
	return ctx
}

func (w *watch) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 1 {
			if c, ok := r.Context().Value(connKey{}).(*conn); ok {
				c.handled.Add(1)
			}
		}
		if fields(r.Header) > maxFields { // clause: use.no-automation
			w.tooMany(rw, r)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// fields counts the lines of a header.
func fields(h http.Header) (n int) {
	for _, v := range h {
		n += len(v)
	}
	return n
}

// tooMany refuses a request as net/http does, and says so where malformed ones are counted.
func (w *watch) tooMany(rw http.ResponseWriter, r *http.Request) {
	if w.told != nil {
		var from netip.Addr
		if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			from = ap.Addr().Unmap().WithZone("")
		}
		w.told(from)
	}
	h := rw.Header()
	h["Connection"] = []string{"close"}
	h["Content-Length"] = []string{"0"}
	rw.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
}

func (w *watch) state(c net.Conn, s http.ConnState) {
	lc := inner(c)
	if lc == nil {
		return
	}
	switch s {
	case http.StateActive:
		lc.active.Add(1)
	case http.StateClosed:
		if t, ok := c.(*tls.Conn); ok && t.ConnectionState().NegotiatedProtocol == "h2" {
			return // HTTP/2 counts streams by itself: see http2
		}
		if w.told != nil && lc.active.Load() > lc.handled.Load() {
			w.told(lc.from)
		}
	}
}

// http2 is told of protocol errors by kind; those of a client that went away are left out.
func (w *watch) http2(kind string) {
	if w.told != nil && !strings.Contains(kind, "conn_closed") && !strings.HasPrefix(kind, "read_frame") {
		w.told(netip.Addr{})
	}
}

func inner(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	lc, _ := c.(*conn)
	return lc
}

// limited accepts so many connections and no more: from one client (an IPv4 address,
// an IPv6 /64; loopback excepted, where a front proxy may stand) and in all.
type limited struct {
	net.Listener
	count   *Count     // nil = nobody asks
	mu      sync.Mutex // guards the two below
	clients map[netip.Addr]int
	total   int
}

// Accept implements net.Listener. A connection over the limit is closed at once.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // net/http looks at the error itself
		}
		lc := &conn{Conn: c, of: l}
		if ap, err := netip.ParseAddrPort(c.RemoteAddr().String()); err == nil {
			lc.from = ap.Addr().Unmap().WithZone("")
			lc.client = lc.from
			if p, err := lc.from.Prefix(64); err == nil && lc.from.Is6() {
				lc.client = p.Addr()
			}
		}
		if l.enter(lc.client) {
			bindUnsent(c)
			return lc, nil
		}
		_ = c.Close() // refused: there is nobody to tell
	}
}

// bindUnsent bounds what the kernel holds of an answer for a client that does not read. By itself
// it takes up to 4 MiB a connection: a thousand such clients use up what the whole machine has for
// connections, and nobody is answered any more. What is on its way is not bounded, so a good line
// loses nothing.
func bindUnsent(c net.Conn) {
	t, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := t.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { // without it all is as it was
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent) //nolint:gosec // descriptors are small
		})
	}
}

func (l *limited) enter(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= maxTotal || l.clients[client] >= maxPerClient && !client.IsLoopback() {
		return false
	}
	l.total++
	l.count.add(1)
	l.clients[client]++
	return true
}

func (l *limited) leave(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	l.count.add(-1)
	if l.clients[client]--; l.clients[client] <= 0 {
		delete(l.clients, client)
	}
}

// Count is how many connections are open. The zero Count is none, and a nil one counts nothing.
type Count struct{ n atomic.Int64 }

func (c *Count) add(n int64) {
	if c != nil {
		c.n.Add(n)
	}
}

// Share is how many connections there are, in percent of those that a door takes.
func (c *Count) Share() float64 { return 100 * float64(c.n.Load()) / maxTotal }

// conn is one counted connection. Every write must make progress within 30 s: a client
// that stops reading cannot hold an answer for ever, yet a stream may last for days.
type conn struct {
	net.Conn
	of              *limited
	from, client    netip.Addr
	active, handled atomic.Int64
	moved           atomic.Int64 // until when the write deadline need not be moved, Unix nanoseconds
	once            sync.Once
}

// Write implements net.Conn. The deadline moves at most every 5 s: moving it costs more
// than the rest of this method.
func (c *conn) Write(b []byte) (int, error) {
	if now := time.Now(); now.UnixNano() > c.moved.Load() {
		if err := c.Conn.SetWriteDeadline(now.Add(writeTime)); err != nil {
			return 0, err //nolint:wrapcheck // a closed connection; net/http looks at the error itself
		}
		c.moved.Store(now.Add(writeTime / 6).UnixNano())
	}
	return c.Conn.Write(b)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.moved.Store(0)
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.moved.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { c.of.leave(c.client) })
	return c.Conn.Close()
}
