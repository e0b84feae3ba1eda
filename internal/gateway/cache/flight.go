package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// flight is one fetch. Its fields up to body are set before head is closed, and then
// stay. What is shared is read into buf at the application's pace, and each reader
// follows at their own.
type flight struct {
	key    Key
	since  int64         // what was purged before it began
	head   chan struct{} // closed when it is known what the application says
	cancel context.CancelFunc

	err   error // nothing came
	given *item // a stored answer is to be given, because the application said code
	code  int
	res   *http.Response // for who asked alone, unread
	own   bool           // what came is for who asked alone
	meta  *item          // shared: without its bytes

	mu      sync.Mutex // guards the rest
	moved   sync.Cond  // buf has grown, or ended; a reader has left
	buf     []byte
	base    int64 // where in the answer buf begins
	slid    bool  // the beginning may be gone, and no more is kept than the slowest reader needs
	at      map[*int64]struct{}
	readers int
	done    bool
	end     error
}

const (
	stall     = time.Minute // without a byte
	apart     = 10 * time.Second
	window    = 1 << 20 // of an answer too large to keep, for its slowest reader
	maxAparts = 10_000
)

func newFlight(a *Ask) *flight {
	f := &flight{key: a.Key, head: make(chan struct{}), at: map[*int64]struct{}{}}
	f.moved.L = &f.mu
	return f
}

// join returns the flight for a key: the one under way, or a new one that the caller
// must lead. ready is there when a usable answer has come since the caller looked.
func (c *Cache) join(a *Ask, old *item, want Control) (f *flight, leads bool, ready *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.items[a.Key] {
		if i := e.Value.(*item); i != old && i.fits(a.Sent) && i.class == a.Class && i.route == a.Route && i.usable(c.now(), want) {
			return nil, false, i
		}
	}
	if f := c.flights[a.Key]; f != nil {
		return f, false, nil
	}
	f = newFlight(a)
	if until, ok := c.alone[a.Key]; !ok || !c.now().Before(until) {
		delete(c.alone, a.Key)
		c.flights[a.Key] = f
	}
	return f, true, nil
}

// refresh fetches beside, one at a time a key.
func (c *Cache) refresh(ctx context.Context, a *Ask, old *item, want Control) {
	f, leads, _ := c.join(a, old, want)
	if !leads {
		return
	}
	c.work.Go(func() {
		c.lead(ctx, f, a, old, want)
		if f.res != nil {
			_ = f.res.Body.Close()
			f.cancel()
		}
	})
}

// lead asks the application and decides what its answer is for. Who asked may go away:
// others may be waiting.
func (c *Cache) lead(ctx context.Context, f *flight, a *Ask, old *item, want Control) {
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.mu.Lock()
	f.since = c.seq
	c.under++
	c.mu.Unlock()
	head := a.Sent
	if old != nil {
		head = withConditions(head, old)
	}
	began := c.now()
	res, keep, err := a.Fetch(ctx, head)
	now := c.now()
	streams := false
	switch {
	case err != nil:
		f.err = err
	case res.StatusCode == http.StatusNotModified && old != nil:
		_ = res.Body.Close()
		var stays bool
		f.code = res.StatusCode
		if f.given, stays = old.freshened(a, res, a.Sent, began, now); !stays || !c.put(f.given, a.Sent, f.since) {
			c.Invalidate(a.Key)
			f.own = true // it may hold what is for one
		}
	case res.StatusCode >= 500 && old != nil && old.despite(now, want, false):
		_ = res.Body.Close()
		f.given, f.code = old, res.StatusCode
	default:
		streams = c.share(f, a, res, began, now)
	}
	if !streams {
		c.land(f)
		c.over()
	}
	close(f.head)
	if streams {
		c.work.Go(func() { c.pump(f, a, res, keep) })
	} else if f.res == nil {
		f.cancel()
	}
}

// withConditions asks whether what is stored still holds.
func withConditions(head http.Header, old *item) http.Header {
	h := head.Clone()
	if t := old.header["Etag"]; len(t) > 0 {
		h["If-None-Match"] = t[:1:1]
	}
	if t := old.header["Last-Modified"]; len(t) > 0 {
		h["If-Modified-Since"] = t[:1:1]
	}
	return h
}

// share makes an answer one for all who ask, when it may be kept. Otherwise it is for
// who leads alone, and for a while nobody waits for this key.
func (c *Cache) share(f *flight, a *Ask, res *http.Response, began, now time.Time) bool {
	length := res.ContentLength
	meta := newItem(a, res, a.Sent, began, now)
	if meta != nil && length <= c.largest() && c.reserve(max(0, length)) {
		f.meta = meta
		if length >= 0 {
			f.buf = make([]byte, 0, length)
		}
		return true
	}
	f.res, f.own = res, true
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.alone) >= maxAparts {
		clear(c.alone)
	}
	c.alone[a.Key] = now.Add(apart)
	if res.StatusCode < 500 { // what was stored is not what the application says today
		for len(c.items[a.Key]) > 0 {
			c.drop(c.items[a.Key][0])
		}
	}
	return false
}

// land ends a flight that others could join.
func (c *Cache) land(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

// over ends a fetch, from when on nothing of it is stored.
func (c *Cache) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.under--; c.under == 0 {
		clear(c.spoilt)
	}
}

// pump reads the answer to its end and stores it.
func (c *Cache) pump(f *flight, a *Ask, res *http.Response, keep func() bool) {
	defer f.cancel()
	defer res.Body.Close()
	held := max(0, res.ContentLength)
	late := time.AfterFunc(stall, f.cancel)
	defer late.Stop()
	chunk := make([]byte, 32<<10)
	var err error
	for err == nil {
		var n int
		n, err = res.Body.Read(chunk)
		late.Reset(stall)
		if n > 0 && !c.add(f, chunk[:n], &held) {
			err = ErrCut // for nobody
		}
	}
	if errors.Is(err, io.EOF) && !f.slid && keep() {
		i := *f.meta
		i.body = f.buf[:len(f.buf):len(f.buf)]
		c.put(&i, a.Sent, f.since)
	}
	c.land(f)
	c.over()
	c.reserve(-held)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	f.finish(err)
}

// add takes what was read, within the room for it; what has none is not kept, and only
// passes by those who read along. It is false when nobody does.
func (c *Cache) add(f *flight, p []byte, held *int64) bool {
	size := int64(len(f.buf) + len(p)) // only this goroutine writes buf
	if !f.slid && (size <= *held || size <= c.largest() && c.reserve(size-*held)) {
		*held = max(*held, size)
		f.grow(p)
		return true
	}
	c.land(f) // nobody joins any more
	return f.slide(p)
}

func (f *flight) grow(p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.buf = append(f.buf, p...)
	f.moved.Broadcast()
}

// slide adds to an answer that is not kept, and forgets what all have read. It waits for
// the slowest reader; false when there is none.
func (f *flight) slide(p []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slid = true
	for f.readers > 0 {
		low := f.base + int64(len(f.buf))
		for at := range f.at {
			low = min(low, *at)
		}
		if len(f.at) < f.readers { // somebody has not begun
			low = f.base
		}
		if left := f.buf[low-f.base:]; len(left) <= window {
			f.base, f.buf = low, append(append(make([]byte, 0, len(left)+len(p)), left...), p...)
			f.moved.Broadcast()
			return true
		}
		f.moved.Wait()
	}
	return false
}

func (f *flight) finish(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done, f.end = true, err
	f.moved.Broadcast()
}

// enter lets a reader in who was not there from the start; false when the start is gone.
func (f *flight) enter(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.slid || ctx.Err() != nil || f.done && f.end != nil {
		return false
	}
	f.readers++
	return true
}

func (f *flight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
	f.moved.Broadcast()
}

// follow writes the answer as it grows.
func (f *flight) follow(ctx context.Context, w http.ResponseWriter) error {
	stop := context.AfterFunc(ctx, func() { f.mu.Lock(); defer f.mu.Unlock(); f.moved.Broadcast() })
	defer stop()
	var at int64
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[&at] = struct{}{}
	defer delete(f.at, &at)
	flush := http.NewResponseController(w)
	for {
		switch p := f.buf[at-f.base:]; {
		case ctx.Err() != nil:
			return ErrCut
		case len(p) > 0:
			f.mu.Unlock()
			n, err := w.Write(p)
			if _, long := w.Header()["Content-Length"]; !long && err == nil {
				_ = flush.Flush() // a writer that cannot has nothing to hold back
			}
			f.mu.Lock()
			at += int64(n)
			f.moved.Broadcast()
			if err != nil {
				return ErrCut
			}
		case f.done && f.end != nil:
			return ErrCut
		case f.done:
			return nil
		default:
			f.moved.Wait()
		}
	}
}

// pipe passes an answer to the one who asked.
func (f *flight) pipe(w http.ResponseWriter, r *http.Request, a *Ask, why string) error {
	stop := context.AfterFunc(r.Context(), f.cancel)
	defer func() { stop(); _ = f.res.Body.Close(); f.cancel() }()
	dropHop(f.res.Header)
	h := w.Header()
	for name, vs := range f.res.Header {
		h[name] = append(h[name], vs...)
	}
	note(h, why)
	bare(h)
	a.Dress(h)
	if notModified(r, &item{status: f.res.StatusCode, header: f.res.Header}) {
		delete(h, "Content-Length")
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	if f.res.ContentLength >= 0 && f.res.StatusCode != http.StatusNoContent && f.res.StatusCode != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.FormatInt(f.res.ContentLength, 10)}
	}
	w.WriteHeader(f.res.StatusCode)
	flush := http.NewResponseController(w)
	chunk := make([]byte, 32<<10)
	for {
		n, err := f.res.Body.Read(chunk)
		if n > 0 {
			if _, err := w.Write(chunk[:n]); err != nil {
				return ErrCut
			}
			if f.res.ContentLength < 0 {
				_ = flush.Flush() // a writer that cannot has nothing to hold back
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return ErrCut
		}
	}
}
