package pool

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Place is where the application can be reached.
type Place struct {
	URL  *url.URL
	Zone string            // what fails together has one name
	Way  http.RoundTripper // must not be shared between places
}

// Options of a pool. Places, Host and Now are required.
type Options struct {
	Places []Place
	Zone   string // where we are: its places come first; "" = none does
	Path   string // what is asked of each place for its health, which must answer 2xx; "" = / and any answer is good
	Host   string // the Host header of that question
	Sticky bool   // who asks comes to the same place as long as it is well
	Now    func() time.Time
	Told   func(Change) // what became of a place; must be quick; nil = nobody is told
}

// Change says that a place is in use again, or no longer.
type Change struct {
	Place, Zone string
	Up          bool
	Cause       string // health or breaker
}

// ErrAllOut says that no place is well.
var ErrAllOut = errors.New("pool: no place of the application is well")

const (
	inARow    = 5                // failures, after which a place is left alone
	halfOf    = 20               // requests in a span, from which half failing does it too
	span      = 10 * time.Second // over which failures and retries are counted
	pauseFor  = 5 * time.Second  // before one request may try a place again
	slowStart = 30 * time.Second // until a place that came back has its whole share
	fewRetry  = 10               // retries a span that need no tenth of anything
)

// Pool chooses places. It is safe for use by many.
type Pool struct {
	o      Options
	places []*place
	next   atomic.Uint64
	spare  window // requests and retries
}

type place struct {
	Place
	name  string
	tally window // requests and failures
	fails atomic.Int64

	mu     sync.Mutex // guards the rest
	out    atomic.Bool
	bad    int // checks in a row
	good   int
	opened time.Time // by the breaker; zero = closed
	trying bool
	since  atomic.Int64 // when it came back, Unix nanoseconds; 0 = it was never away
	open   atomic.Bool
	last   string // what the last check found
	looked time.Time
}

// New makes a pool. All places count as well until they are seen not to be.
func New(o Options) *Pool {
	if o.Told == nil {
		o.Told = func(Change) {}
	}
	p := &Pool{o: o}
	for _, at := range o.Places {
		p.places = append(p.places, &place{Place: at, name: at.URL.Scheme + "://" + at.URL.Host})
	}
	return p
}

// RoundTrip sends a request to a place that is well, and once more to another one when
// the first gave no answer and that does nothing twice. who is whom a sticky pool sends
// to the same place. It sets the scheme and the host of r.URL.
func (p *Pool) RoundTrip(r *http.Request, who string) (*http.Response, error) {
	at := p.choose(nil, who)
	if at == nil {
		return nil, ErrAllOut
	}
	if len(p.places) == 1 {
		return p.send(at, r)
	}
	p.spare.add(p.o.Now(), false)
	var body *unread
	if r.Body != nil && r.Body != http.NoBody {
		body = &unread{ReadCloser: r.Body}
		r.Body = body
	}
	res, err := p.send(at, r)
	if err == nil {
		return res, nil
	}
	if again := p.choose(at, who); again != nil && p.twice(r, err, body) && p.maySpare() {
		res, err = p.send(again, r)
	}
	if err != nil && body != nil {
		_ = body.ReadCloser.Close() // it was kept for the second try
	}
	return res, err
}

func (p *Pool) send(at *place, r *http.Request) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host = at.URL.Scheme, at.URL.Host
	res, err := at.Way.RoundTrip(r)
	if err == nil || r.Context().Err() == nil && !clientsFault(r) {
		p.note(at, err)
	} else {
		at.release()
	}
	return res, err //nolint:wrapcheck // the caller looks at the error itself
}

// unread is a body that is not given away as long as nobody has read of it.
type unread struct {
	io.ReadCloser
	read, failed atomic.Bool
}

// Read implements io.Reader.
func (u *unread) Read(b []byte) (int, error) {
	u.read.Store(true)
	n, err := u.ReadCloser.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		u.failed.Store(true)
	}
	return n, err //nolint:wrapcheck // a transport compares it with io.EOF
}

// Close implements io.Closer.
func (u *unread) Close() error {
	if !u.read.Load() {
		return nil
	}
	return u.ReadCloser.Close() //nolint:wrapcheck // net/http's own
}

// clientsFault reports whether a request failed because its body could not be read.
func clientsFault(r *http.Request) bool {
	u, ok := r.Body.(*unread)
	return ok && u.failed.Load()
}

// twice reports whether a request may be sent again: nothing of it has left, or its
// method is safe and the place did not just take too long.
func (p *Pool) twice(r *http.Request, err error, body *unread) bool {
	if r.Context().Err() != nil || body != nil && body.read.Load() {
		return false
	}
	if ne, ok := errors.AsType[*net.OpError](err); ok && ne.Op == "dial" {
		return true
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return body == nil && len(r.Header["Upgrade"]) == 0 && !late(err)
	}
	return false
}

func late(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

func (p *Pool) maySpare() bool {
	all, retries := p.spare.read(p.o.Now())
	if retries >= fewRetry && (retries+1)*10 > all {
		return false
	}
	p.spare.note(p.o.Now())
	return true
}

// choose returns a place that is well: of the local zone if there is one, after a
// failure rather of another than the zone that failed.
func (p *Pool) choose(failed *place, who string) *place {
	now := p.o.Now()
	if len(p.places) == 1 {
		if failed == nil { // also when it seems to be away: there is no other, and it may be back
			return p.places[0]
		}
		return nil
	}
	var best []*place
	rank := -1
	for _, at := range p.places {
		if at == failed || !at.well(now) {
			continue
		}
		r := 0
		if failed != nil && at.Zone != failed.Zone {
			r += 2
		}
		if p.o.Zone != "" && at.Zone == p.o.Zone {
			r++
		}
		if r > rank {
			rank, best = r, best[:0]
		}
		if r == rank {
			best = append(best, at)
		}
	}
	switch {
	case len(best) == 0:
		return nil
	case p.o.Sticky && who != "":
		return steady(best, who).take(now)
	}
	n := p.next.Add(1)
	for i := range uint64(len(best)) {
		at := best[(n+i)%uint64(len(best))]
		if share := at.share(now); share < 100 && (n/uint64(len(best))*61)%100 >= uint64(share) {
			continue // it has just come back
		}
		return at.take(now)
	}
	return best[n%uint64(len(best))].take(now)
}

// steady gives who the place of the highest hash, on every node the same: when one
// goes, only its own move.
func steady(among []*place, who string) *place {
	var at *place
	var most uint64
	for _, c := range among {
		hash := sha256.Sum256([]byte(c.name + "\x00" + who))
		if sum := binary.BigEndian.Uint64(hash[:]); at == nil || sum > most {
			at, most = c, sum
		}
	}
	return at
}

// share is how much of its turns a place takes, in percent: from a tenth to all.
func (at *place) share(now time.Time) int64 {
	since := at.since.Load()
	if since == 0 {
		return 100
	}
	return min(100, 10+int64(now.Sub(time.Unix(0, since))*90/slowStart))
}

// well reports whether a place may be asked: its checks are good, and the breaker is
// closed or lets one through to try.
func (at *place) well(now time.Time) bool {
	if at.out.Load() {
		return false
	}
	if !at.open.Load() {
		return true
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	return !at.trying && now.Sub(at.opened) >= pauseFor
}

// take marks a try where the breaker is open.
func (at *place) take(now time.Time) *place {
	if at.open.Load() {
		at.mu.Lock()
		at.trying, at.opened = true, now
		at.mu.Unlock()
	}
	return at
}

// release ends a try that says nothing of the place.
func (at *place) release() {
	if at.open.Load() {
		at.mu.Lock()
		at.trying = false
		at.mu.Unlock()
	}
}

// note learns from what became of a request.
func (p *Pool) note(at *place, err error) {
	now := p.o.Now()
	at.tally.add(now, err != nil)
	if err == nil {
		if at.fails.Load() != 0 {
			at.fails.Store(0)
		}
		if at.open.Load() {
			p.close(at, now)
		}
		return
	}
	row := int64(0)
	if !late(err) { // one address that is slow must not close all the others
		row = at.fails.Add(1)
	}
	all, failed := at.tally.read(now)
	if at.open.Load() || row >= inARow || all >= halfOf && failed*2 >= all {
		p.trip(at, now)
	}
}

// trip leaves a place alone for a while, unless it is the last that is well.
func (p *Pool) trip(at *place, now time.Time) {
	last := true
	for _, o := range p.places {
		last = last && (o == at || o.out.Load() || o.open.Load())
	}
	at.mu.Lock()
	at.trying = false
	if last && !at.open.Load() {
		at.mu.Unlock()
		return
	}
	first := !at.open.Swap(true)
	at.opened = now
	at.mu.Unlock()
	if first {
		p.o.Told(Change{at.name, at.Zone, false, "breaker"})
	}
}

func (p *Pool) close(at *place, now time.Time) {
	at.mu.Lock()
	was := at.open.Swap(false)
	at.trying = false
	at.fails.Store(0)
	at.tally.clear()
	at.since.Store(now.UnixNano())
	at.mu.Unlock()
	if was {
		p.o.Told(Change{at.name, at.Zone, true, "breaker"})
	}
}

// window counts over the present span and the one before.
type window struct {
	at        atomic.Int64 // number of the span
	all, some atomic.Int64
	was, wane atomic.Int64 // of the span before
}

func (w *window) turn(now time.Time) {
	n := now.UnixNano() / int64(span)
	old := w.at.Load()
	if old == n || !w.at.CompareAndSwap(old, n) {
		return
	}
	all, some := w.all.Swap(0), w.some.Swap(0)
	if old != n-1 {
		all, some = 0, 0
	}
	w.was.Store(all)
	w.wane.Store(some)
}

func (w *window) add(now time.Time, some bool) {
	w.turn(now)
	w.all.Add(1)
	if some {
		w.some.Add(1)
	}
}

func (w *window) note(now time.Time) { w.turn(now); w.some.Add(1) }

// read weighs the span before by how much of it is not yet over.
func (w *window) read(now time.Time) (all, some int64) {
	w.turn(now)
	left := int64(span) - now.UnixNano()%int64(span)
	part := func(n int64) int64 { return n * (left / 1e6) / (int64(span) / 1e6) }
	return w.all.Load() + part(w.was.Load()), w.some.Load() + part(w.wane.Load())
}

func (w *window) clear() {
	for _, n := range []*atomic.Int64{&w.all, &w.some, &w.was, &w.wane} {
		n.Store(0)
	}
}

// Ways are the roads to the places, in their order.
func (p *Pool) Ways() []http.RoundTripper {
	var out []http.RoundTripper
	for _, at := range p.places {
		out = append(out, at.Way)
	}
	return out
}
