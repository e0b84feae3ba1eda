package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"writ/internal/outside"
)

// Limits of what is read from a provider.
const (
	fetchTime = 5 * time.Second
	fetchSize = 1 << 20
)

var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", fetchSize)

// client speaks to one provider: https alone, no redirects, 5 s, 1 MiB, and no address
// of a private network unless it is listed. The address is looked at when the connection
// is made, so a name that leads inside is refused whatever it said before.
func client(base *http.Transport, private []netip.Prefix) *http.Client {
	t := base.Clone()
	d := &net.Dialer{Timeout: fetchTime, Control: func(_, address string, _ syscall.RawConn) error { return reachable(address, private) }}
	t.Proxy, t.DialContext, t.DialTLSContext = nil, d.DialContext, nil
	t.TLSHandshakeTimeout, t.ResponseHeaderTimeout, t.MaxResponseHeaderBytes = fetchTime, fetchTime, 64<<10
	return &http.Client{Transport: capped{t}, Timeout: fetchTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the provider redirects; its own address is needed")
		}}
}

// reachable refuses addresses that only we can reach.
func reachable(address string, private []netip.Prefix) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	ip := ap.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(private, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return nil
	}
	if !outside.Is(ip) { // clause: auth.best-practice
		return fmt.Errorf("the provider lies at the private address %s; list its network under private if that is right", ip)
	}
	return nil
}

// capped cuts off an answer that is too large, as an error and not as its end.
type capped struct{ next http.RoundTripper }

func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" { // clause: auth.best-practice
		return nil, fmt.Errorf("%s is not https", r.URL.Redacted())
	}
	res, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.ContentLength > fetchSize {
		return nil, errors.Join(errTooLarge, res.Body.Close())
	}
	res.Body = &limited{ReadCloser: res.Body, left: fetchSize}
	return res, nil
}

type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if len(p) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.ReadCloser.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// within bounds a whole exchange with a provider.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*fetchTime)
}
