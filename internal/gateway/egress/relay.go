package egress

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	drainTime = 5 * time.Second        // for what still moves when the server stops
	silence   = 500 * time.Millisecond // after which nothing moves
)

// relay is one connection that was let through.
type relay struct {
	c, out     net.Conn
	in         io.Reader // of c
	sent, back atomic.Int64
	moved      atomic.Int64 // when, Unix nanoseconds
	cut        atomic.Pointer[string]
}

func (r *relay) close() { _ = errors.Join(r.c.Close(), r.out.Close()) }

// end closes both sides for a cause.
func (r *relay) end(cause string) {
	r.cut.CompareAndSwap(nil, &cause)
	r.close()
}

// run passes bytes on in both directions until each has ended, nothing was said for long, or
// a limit is reached; it returns which.
func (r *relay) run(hello []byte, d Deps) string {
	r.stir(d.Rest)
	defer time.AfterFunc(d.Whole, func() { r.end(CauseLong) }).Stop()
	if _, err := r.out.Write(hello); err != nil {
		return CauseAway
	}
	r.sent.Add(int64(len(hello)))
	var wg sync.WaitGroup
	wg.Go(func() { r.way(r.out, r.in, &r.sent, d) })
	r.way(r.c, r.out, &r.back, d)
	wg.Wait()
	if cause := r.cut.Load(); cause != nil {
		return *cause
	}
	return ""
}

// stir gives both sides time again.
func (r *relay) stir(rest time.Duration) {
	now := time.Now()
	r.moved.Store(now.UnixNano())
	_ = errors.Join(r.c.SetDeadline(now.Add(rest)), r.out.SetDeadline(now.Add(rest))) // only closed ones fail
}

// copying is space for one direction.
var copying = sync.Pool{New: func() any { return new([32 << 10]byte) }}

func (r *relay) way(to net.Conn, from io.Reader, n *atomic.Int64, d Deps) {
	b := copying.Get().(*[32 << 10]byte)
	defer copying.Put(b)
	for {
		k, err := from.Read(b[:])
		if k > 0 {
			r.stir(d.Rest)
			n.Add(int64(k))
			if r.sent.Load()+r.back.Load() > d.Most {
				r.end(CauseLarge)
				return
			}
			if _, werr := to.Write(b[:k]); werr != nil {
				r.close()
				return
			}
		}
		if err == nil {
			continue
		}
		if half, ok := to.(interface{ CloseWrite() error }); ok && errors.Is(err, io.EOF) && half.CloseWrite() == nil {
			return // the other direction may have more to say
		}
		r.close()
		return
	}
}

// drain waits for what moves to end, and ends what does not.
func (p *Proxy) drain() {
	tick := time.NewTicker(silence / 5)
	defer tick.Stop()
	for end := time.Now().Add(drainTime); p.closeSilent() > 0 && time.Now().Before(end); {
		<-tick.C
	}
}

// closeSilent closes what has not moved for a while, and counts what has.
func (p *Proxy) closeSilent() (moving int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r := range p.open {
		if time.Since(time.Unix(0, r.moved.Load())) > silence {
			r.close()
		} else {
			moving++
		}
	}
	return moving
}
