package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/fault"
)

// The bounds of a request's body.
const (
	defaultBody = 10 << 20         // bytes, where no route says else
	mostBody    = 10 << 30         // bytes that a route may allow
	bodyPause   = 30 * time.Second // a client may rest within a body
	bodyGrace   = 10 * time.Second // of reading, after which a body must have come at
	bodyRate    = 1 << 10          // bytes a second
	heldAtOnce  = 256 << 20        // bytes of all bodies that steps look at as a whole
	heldChunk   = 32 << 10
)

var (
	refuseBody = deny(noAutomation, fault.Malformed, "body", fault.Public{
		Problem: "The body could not be read to its end.", Expected: "As many bytes as announced, in well-formed chunks."})
	refuseLarge = deny(noAutomation, fault.TooLarge, "body_too_large", fault.Public{
		Problem: "The body is larger than this address takes.", Expected: "10 MiB at most, where the address does not say else.", Next: "Send less, or in parts."})
	refuseSlowBody = refuse(noAutomation, http.StatusRequestTimeout, fault.Unavailable, "body_too_slow", fault.Public{
		Problem: "The body came too slowly.", Expected: "1 KiB a second after the first ten.", Next: "Send it again over a better connection."})
	refuseFull = func() *refusal {
		r := deny(noAutomation, fault.Unavailable, "bodies_many", fault.Public{
			Problem: "Too many large requests are being looked at.", Next: "Try again in a moment."})
		r.err.RetryAfter = 5 * time.Second
		return r
	}()

	errSlowBody = errors.New("gateway: the client stopped sending its body")
	errBody     = errors.New("gateway: the client's body cannot be read")
	errLarge    = errors.New("gateway: the client's body is longer than it may be")
)

var goodSize = regexp.MustCompile(`^([1-9][0-9]{0,6})(KiB|MiB|GiB)$`)

// parseSize reads a number of bytes, such as 50MiB; 0 = none is said.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	m := goodSize.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("body is %q; expected a size such as 64KiB or 50MiB", s)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64) // seven digits
	n <<= map[string]int{"KiB": 10, "MiB": 20, "GiB": 30}[m[2]]
	if n > mostBody {
		return 0, fmt.Errorf("body is %q; expected 10GiB at most", s)
	}
	return n, nil
}

// most is how long a body may be: the least that the rules say.
func (d *decision) most() int64 {
	n := int64(0)
	for _, r := range d.rules {
		if r != nil && r.body > 0 && (n == 0 || r.body < n) {
			n = r.body
		}
	}
	if n == 0 {
		return defaultBody
	}
	return n
}

// bound gives the body its bounds. Nothing of it is read yet.
func (v *visit) bound() *refusal { // clause: use.no-automation
	if v.r.ContentLength == 0 || v.asked || twoWay(v.r) {
		return nil
	}
	most := v.need.most()
	if v.r.ContentLength > most {
		return refuseLarge
	}
	v.r.Body = &steadyBody{ReadCloser: v.r.Body, c: http.NewResponseController(v.w), pause: v.g.pause, now: v.g.now, left: most}
	return nil
}

// twoWay reports whether a request's body may rest for as long as it likes: a gRPC
// stream (HTTP/2, no length), on which both sides speak when they have something to say.
func twoWay(r *http.Request) bool {
	return r.ProtoMajor == 2 && r.ContentLength < 0 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// steadyBody lets a body take as long as it needs, as long as it goes on: each read
// has 30 s, and all reads together end when it comes too slowly. Time in which nobody
// reads is not the client's. At the end the limit is lifted, so that it does not end
// the waiting for the answer.
type steadyBody struct {
	io.ReadCloser
	c     *http.ResponseController
	pause time.Duration
	now   func() time.Time
	left  int64 // bytes that may yet come

	spent time.Duration // in reads
	read  int64
}

// Read implements io.Reader.
func (b *steadyBody) Read(p []byte) (int, error) {
	_ = b.c.SetReadDeadline(time.Now().Add(b.pause)) // a writer without deadlines has none to set
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	began := b.now()
	n, err := b.ReadCloser.Read(p)
	b.spent += b.now().Sub(began)
	b.read += int64(n)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, errLarge
	}
	if err == nil {
		if b.spent > bodyGrace && b.read < int64(b.spent/time.Second)*bodyRate {
			return n, errSlowBody
		}
		return n, nil
	}
	_ = b.c.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, io.EOF):
		return n, io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, errSlowBody
	}
	return n, fmt.Errorf("%w: %w", errBody, err)
}

// bodyFault is the refusal for a body that could not be read; nil when that was not it.
func bodyFault(err error) *refusal {
	switch {
	case errors.Is(err, errLarge):
		return refuseLarge
	case errors.Is(err, errSlowBody):
		return refuseSlowBody
	case errors.Is(err, errBody):
		return refuseBody
	}
	return nil
}

// hold reads the body whole, up to most bytes, for steps that must see all of it. What
// is forwarded is the same bytes. All bodies held at a time have one budget: beyond it
// requests are refused, the memory of the server is not.
func (v *visit) hold(most int64) ([]byte, *refusal) { // clause: use.no-automation
	if v.held != nil {
		if int64(len(v.held.all)) > most {
			return nil, refuseLarge
		}
		return v.held.all, nil
	}
	if v.r.ContentLength == 0 || v.r.Body == nil {
		return nil, nil
	}
	if v.r.ContentLength > most {
		return nil, refuseLarge
	}
	h := &heldBody{room: &v.g.room, from: v.r.Body}
	if err := h.fill(v.r.ContentLength, most); err != nil {
		h.free()
		switch {
		case errors.Is(err, errFull):
			return nil, refuseFull
		case v.r.Context().Err() != nil:
			return nil, refuseBody
		}
		if e, ok := errors.AsType[*sensitiveBody](err); ok {
			return nil, e.ref
		}
		if ref := bodyFault(err); ref != nil {
			return nil, ref
		}
		return nil, refuseBody
	}
	v.held, v.r.Body = h, h
	return h.all, nil
}

var errFull = errors.New("gateway: no room for another body")

// room is what may yet be held, in bytes.
type room struct{ used atomic.Int64 }

func (r *room) take(n int64) bool {
	if r.used.Add(n) > heldAtOnce {
		r.used.Add(-n)
		return false
	}
	return true
}

// heldBody is a body in memory. Its room is free again when it was closed: a transport
// may read it for longer than the request is served.
type heldBody struct {
	room *room
	from io.ReadCloser
	all  []byte

	mu    sync.Mutex // guards the rest
	at    int
	taken int64
	over  bool
}

// fill reads from the client into memory, which grows with what has come.
func (h *heldBody) fill(length, most int64) error {
	for {
		if len(h.all) == cap(h.all) {
			more := int64(max(heldChunk, cap(h.all)))
			if rest := length - int64(len(h.all)); length > 0 {
				more = min(more, max(rest, 1)+1) // one for the read that meets the end
			}
			if !h.room.take(more) {
				return errFull
			}
			h.taken += more
			h.all = append(make([]byte, 0, int64(len(h.all))+more), h.all...)
		}
		n, err := h.from.Read(h.all[len(h.all):cap(h.all)])
		if h.all = h.all[:len(h.all)+n]; int64(len(h.all)) > most {
			return errLarge
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err //nolint:wrapcheck // steadyBody's own
		}
	}
}

// Read implements io.Reader.
func (h *heldBody) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return 0, http.ErrBodyReadAfterClose
	}
	n := copy(p, h.all[h.at:])
	if h.at += n; h.at == len(h.all) {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (h *heldBody) Close() error {
	h.free()
	return h.from.Close() //nolint:wrapcheck // net/http's own
}

func (h *heldBody) free() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over {
		h.over = true
		h.room.used.Add(-h.taken)
	}
}
