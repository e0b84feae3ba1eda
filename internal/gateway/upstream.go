package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"writ/internal/gateway/guard"
	"writ/internal/gateway/pool"
)

// newTransport is the way to the application.
func newTransport(u Upstream) *http.Transport {
	rule := private
	if u.URL.Scheme == "https" {
		rule = routable
	}
	dialer := &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("read address of the application: %w", err)
		}
		return rule(ap.Addr()) // at every dial: a name may point elsewhere tomorrow
	}}
	secure := &tls.Config{RootCAs: u.Roots, MinVersion: tls.VersionTLS12}
	if u.Certificate != nil {
		secure.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return u.Certificate() }
	}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: secure,
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: 30 * time.Second, IdleConnTimeout: 90 * time.Second,
		MaxIdleConnsPerHost: 512, DisableCompression: true, ForceAttemptHTTP2: u.URL.Scheme == "https",
	}
}

// errAddress refuses to dial.
var errAddress = errors.New("gateway: address is not allowed for the application")

// private allows loopback and private networks: where plain HTTP may be spoken.
func private(a netip.Addr) error { // clause: net.private
	if a = a.Unmap(); a.IsLoopback() || a.IsPrivate() {
		return nil
	}
	return fmt.Errorf("%w: %s is public and the connection would be plain", errAddress, a)
}

// routable leaves out link-local addresses, where clouds keep their metadata, and what is no host.
func routable(a netip.Addr) error {
	if a = a.Unmap(); a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return fmt.Errorf("%w: %s is no host's", errAddress, a)
	}
	return nil
}

// forward sends the request on and the answer back. WebSockets and streams pass.
func (v *visit) forward() *refusal {
	defer v.watched()()
	if ref := v.stillOpen(); ref != nil {
		return ref
	}
	v.g.served.count(v)
	v.out = early{v.w, v, 0}
	v.proxy.ServeHTTP(&v.out, v.r)
	return nil
}

// early puts the headers of interim answers (103 and its kin) in order: the proxy sends
// them past modify.
type early struct {
	http.ResponseWriter
	v *visit
	n int64 // bytes of the body
}

// Write implements http.ResponseWriter.
func (e *early) Write(p []byte) (int, error) {
	n, err := e.ResponseWriter.Write(p)
	e.n += int64(n)
	return n, err //nolint:wrapcheck // the proxy looks at it
}

// WriteHeader implements http.ResponseWriter.
func (e *early) WriteHeader(status int) {
	if status < http.StatusOK && status != http.StatusSwitchingProtocols {
		e.v.stripped(e.Header())
	}
	e.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (e *early) Unwrap() http.ResponseWriter { return e.ResponseWriter }

// rewrite makes the application's request: the target byte for byte as it was
// authorised, nothing a client could have forged, then what we know.
func (v *visit) rewrite(p *httputil.ProxyRequest) {
	out := p.Out
	out.URL = v.g.toApplication(v.target)
	out.Host = v.host
	out.Trailer = nil // a trailer may be read as a header
	clean(out.Header)
	tunnels(out.Header)
	v.guardHeaders(out.Header)
	if v.alone() {
		out.Header["Accept-Encoding"] = takesPlain
	}
	if v.faceless != nil && !v.changes() {
		v.hideFace(out.Header)
		out.Header["X-Forwarded-Proto"], out.Header["X-Forwarded-Host"] = []string{"https"}, []string{v.host}
		return
	}
	vals := make([]string, 4) // one allocation for the four
	vals[0], vals[1], vals[2] = client(v.r.RemoteAddr), "https", v.host
	out.Header["X-Forwarded-For"] = vals[0:1:1]
	out.Header["X-Forwarded-Proto"] = vals[1:2:2]
	out.Header["X-Forwarded-Host"] = vals[2:3:3]
	if v.who.IsZero() {
		return
	}
	vals[3] = v.g.signer.assertion(v.who, v.facts, v.asks(v.g.signer.aud, v.r.Method))
	out.Header["Writ-Assertion"] = vals[3:4:4]
}

// Answers reports whether any place of the application is in its turn.
func (g *Gateway) Answers() bool {
	return slices.ContainsFunc(g.pool.States(), func(s pool.State) bool { return s.State == "in" })
}

// toApplication is the target at the application; the pool says at which place.
func (g *Gateway) toApplication(t target) *url.URL {
	return &url.URL{Scheme: g.upstreams[0].URL.Scheme, Host: g.upstreams[0].URL.Host, Opaque: t.raw, RawQuery: t.query, ForceQuery: t.marked}
}

// client is the address without its port.
func client(addr string) string {
	if i := strings.LastIndexByte(addr, ':'); i > 0 {
		return strings.Trim(addr[:i], "[]")
	}
	return addr
}

// modify puts the application's answer in order.
func (v *visit) modify(res *http.Response) error {
	v.status = res.StatusCode
	if err := v.hear(res); err != nil {
		return err
	}
	if err := v.pageFound(res); err != nil {
		return err
	}
	if v.spoils {
		v.spoil(res)
	}
	v.answerHeaders(res.Header)
	v.tellLimits(res.Header)
	v.compare(res)
	if v.renewed { // a cookie is nothing for a cache that many share
		res.Header["Cache-Control"] = []string{"no-store"}
	}
	if err := v.guardOut(res); err != nil {
		return err
	}
	v.measure(res)
	return nil
}

// broken answers when the application did not.
func (v *visit) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil || errors.Is(err, context.Canceled) {
		v.status = 499 // the client went away: nobody is there to answer
		panic(http.ErrAbortHandler)
	}
	if ref := bodyFault(err); ref != nil { // the client's fault, not the application's
		v.failed = ref
		v.refuse(&v.g.steps[len(v.g.steps)-1], ref)
		return
	}
	if e, ok := errors.AsType[*sensitiveBody](err); ok {
		v.failed = e.ref
		v.refuse(v.g.step("guard-in"), e.ref)
		return
	}
	if e, ok := errors.AsType[*withheld](err); ok {
		v.failed = e.ref
		v.refuse(&v.g.steps[len(v.g.steps)-1], e.ref)
		return
	}
	if errors.Is(err, errLeak) {
		v.failed = refuseLeak
		v.refuse(&v.g.steps[len(v.g.steps)-1], refuseLeak)
		return
	}
	ref := refuseDown
	if errors.Is(err, guard.ErrPacked) || errors.Is(err, errPartial) || errors.Is(err, errUnseen) {
		ref = refuseUnreadable
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		ref = refuseSlow
	}
	if ne, ok := errors.AsType[*net.OpError](err); ok && ne.Op == "dial" {
		ref = refuseDown
	}
	if errors.Is(err, pool.ErrAllOut) {
		ref = refuseAllOut
	}
	v.status, v.failed = ref.status, ref
	v.g.tally.logDown(v.g.now(), v.g.log, err)
	v.answer(ref)
}

// buffers are the proxy's copying space.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return p[:]
	}
	return new([32 << 10]byte)[:]
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put((*[32 << 10]byte)(p)) }
