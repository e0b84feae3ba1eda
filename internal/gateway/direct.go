package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"
)

// direct is the short way to the application, for what most requests are: a question
// without a body over plain HTTP. http.Transport has two goroutines a connection and
// hands each request to one and each answer back from the other; here the caller writes
// and reads by itself. Everything else goes to next.
//
// What belongs to one answer must never be read as part of another's (RFC 9112 section
// 11.1). So a connection is used again only when its answer was read to the end, nobody
// said close, and nothing came after it: looked at when it is laid aside, and again when
// it is taken.
type direct struct {
	next *http.Transport // its limits hold here too
	addr string

	mu       sync.Mutex // guards the two below
	idle     []*line    // by the time they were laid aside
	sweeping bool
}

const (
	maxHead    = 10 << 20 // bytes of an answer's header, interim ones in; what http.Transport takes
	maxInterim = 16       // answers before the answer (RFC 9110 section 15.2)
)

var (
	errHead    = errors.New("gateway: the application's header is too long")
	errInterim = errors.New("gateway: the application sent too many interim answers")
	errStatus  = errors.New("gateway: the application answered with a status nobody asked for")
)

// newWay is how the application is reached: directly where that can be.
func newWay(upstream *url.URL, t *http.Transport) http.RoundTripper {
	foreign := func(r rune) bool { return r > unicode.MaxASCII } // a name that http.Transport translates
	if upstream.Scheme != "http" || strings.ContainsFunc(upstream.Host, foreign) {
		return t
	}
	port := upstream.Port()
	if port == "" {
		port = "80"
	}
	return &direct{next: t, addr: net.JoinHostPort(upstream.Hostname(), port)}
}

// RoundTrip implements http.RoundTripper. The answer's body must be read and closed by
// the goroutine that called it.
func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if !simple(r) {
		return d.next.RoundTrip(r) //nolint:wrapcheck // the proxy's error handler looks at the error itself
	}
	if l := d.take(); l != nil {
		res, err := d.exchange(l, r)
		if err == nil || !l.unheard(err) || r.Context().Err() != nil {
			return res, err
		}
		// Closed by the application as we wrote. The methods are safe (RFC 9110 section
		// 9.2.1): we ask again, once, on a connection that did not rest.
	}
	c, err := d.next.DialContext(r.Context(), "tcp", d.addr)
	if err != nil {
		return nil, err //nolint:wrapcheck // the proxy's error handler looks at the error itself
	}
	return d.exchange(newLine(c), r)
}

// simple reports whether a request is a question without a body. What http.Transport
// would refuse to send is left to it.
func simple(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
	default:
		return false
	}
	if r.Body != nil && r.Body != http.NoBody || r.ContentLength != 0 || len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 || r.Close {
		return false
	}
	for name, values := range r.Header {
		if name == "Upgrade" || strings.ContainsFunc(name, odd) || slices.ContainsFunc(values, control) {
			return false
		}
	}
	return true
}

func odd(r rune) bool { return r > unicode.MaxASCII || !unreserved(byte(r)) }

// control reports whether a header's value could end its line.
func control(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return true
		}
	}
	return false
}

// exchange asks and reads the answer's head. The connection is closed when the asker
// goes away, at whatever point.
func (d *direct) exchange(l *line, r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	stop := context.AfterFunc(ctx, l.hangUp)
	res, err := l.ask(r, d.next.ResponseHeaderTimeout)
	if err != nil {
		stop()
		l.hangUp()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	b := &answerBody{from: res.Body, line: l, way: d, stop: stop, last: res.Close}
	if res.Body == http.NoBody {
		b.finish(io.EOF)
	} else {
		res.Body = b
	}
	return res, nil
}

// take returns a connection that nothing was heard on since it was laid aside; nil when there is none.
func (d *direct) take() *line {
	for {
		d.mu.Lock()
		n := len(d.idle) - 1
		if n < 0 {
			d.mu.Unlock()
			return nil
		}
		l := d.idle[n] // the one used last: the others may grow old and go
		d.idle[n], d.idle = nil, d.idle[:n]
		d.mu.Unlock()
		if l.silent() {
			return l
		}
		l.hangUp()
	}
}

// lay puts a connection aside for the next request.
func (d *direct) lay(l *line) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.idle) >= d.next.MaxIdleConnsPerHost {
		l.hangUp()
		return
	}
	l.since = time.Now()
	d.idle = append(d.idle, l)
	if !d.sweeping {
		d.sweeping = true
		time.AfterFunc(d.next.IdleConnTimeout, d.sweep)
	}
}

// sweep closes what has rested too long, and comes again as long as anything rests.
func (d *direct) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	end := time.Now().Add(-d.next.IdleConnTimeout)
	d.idle = slices.DeleteFunc(d.idle, func(l *line) bool {
		old := !l.since.After(end)
		if old {
			l.hangUp()
		}
		return old
	})
	if d.sweeping = len(d.idle) > 0; d.sweeping {
		time.AfterFunc(d.idle[0].since.Sub(end), d.sweep)
	}
}

// line is one connection to the application. One request has it at a time.
type line struct {
	net.Conn
	in  *bufio.Reader
	out *bufio.Writer

	left  int64     // bytes that may yet be read
	heard bool      // something was read since the request was written
	end   error     // why no more can be read
	since time.Time // when it was laid aside

	raw    syscall.RawConn // nil: it cannot be listened at, and is not used again
	listen func(fd uintptr) bool
	spare  [1]byte
}

func newLine(c net.Conn) *line {
	l := &line{Conn: c}
	l.in, l.out = bufio.NewReader(l), bufio.NewWriter(c)
	if sc, ok := c.(syscall.Conn); ok {
		l.raw, _ = sc.SyscallConn() // nil with an error
	}
	l.listen = func(fd uintptr) bool {
		n, err := syscall.Read(int(fd), l.spare[:]) // the socket does not block
		l.heard = n >= 0 || err != syscall.EAGAIN   //nolint:errorlint // a bare number
		return true
	}
	return l
}

// silent reports whether the connection is open and nothing waits on it to be read.
func (l *line) silent() bool {
	return l.raw != nil && l.raw.Read(l.listen) == nil && !l.heard
}

// hangUp closes the connection. What it says of that changes nothing.
func (l *line) hangUp() { _ = l.Close() }

// unheard reports whether an exchange ended without a word from the application, and
// not because it is slow.
func (l *line) unheard(err error) bool {
	return !l.heard && !errors.Is(err, os.ErrDeadlineExceeded)
}

// Read implements io.Reader within the limit on a header.
func (l *line) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errHead
	}
	n, err := l.Conn.Read(p)
	l.left -= int64(n)
	l.heard = l.heard || n > 0
	l.end = err
	return n, err //nolint:wrapcheck // net/http looks at the error itself
}

// ask writes the request and reads answers until the one that counts.
func (l *line) ask(r *http.Request, wait time.Duration) (*http.Response, error) {
	l.heard, l.left = false, maxHead
	if err := l.SetDeadline(time.Now().Add(wait)); err != nil {
		return nil, fmt.Errorf("limit the wait for the application: %w", err)
	}
	err := r.Write(l.out)
	if err == nil {
		err = l.out.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("ask the application: %w", err)
	}
	for range maxInterim + 1 {
		res, err := http.ReadResponse(l.in, r)
		if err != nil {
			if l.end != nil {
				err = l.end // bufio takes the half of a line for a line, and says what is wrong with that
			}
			return nil, fmt.Errorf("read the application's answer: %w", err)
		}
		switch {
		case res.StatusCode < 100, res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errStatus
		case res.StatusCode >= 200:
			l.left = math.MaxInt64
			return res, l.SetDeadline(time.Time{}) //nolint:wrapcheck // only a closed connection fails
		}
		if t := httptrace.ContextClientTrace(r.Context()); t != nil && t.Got1xxResponse != nil {
			if err := t.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err //nolint:wrapcheck // the caller's own
			}
		}
	}
	return nil, errInterim
}

// answerBody gives the connection back once it was read to its end.
type answerBody struct {
	from io.Reader
	line *line
	way  *direct
	stop func() bool // ends the watch for an asker who goes away
	last bool        // somebody said close
	err  error       // how it ended; nil while it goes on
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	if err != nil {
		b.finish(err)
	}
	return n, err //nolint:wrapcheck // the proxy compares it with io.EOF
}

// Close implements io.Closer. What is left unread is not waited for.
func (b *answerBody) Close() error {
	b.finish(http.ErrBodyReadAfterClose)
	return nil
}

// finish lays the connection aside after a whole answer, and closes it after any other.
func (b *answerBody) finish(err error) {
	if b.err != nil {
		return
	}
	b.err = err
	if stayed := b.stop(); stayed && err == io.EOF && !b.last && b.line.in.Buffered() == 0 { //nolint:errorlint // a wrapped end is not the end
		b.way.lay(b.line)
		return
	}
	b.line.hangUp()
}
