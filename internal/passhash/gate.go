package passhash

import (
	"context"
	"slices"
	"sync"
	"time"

	"writ/internal/fault"
)

// retryAfter is what a refused caller is told to wait.
const retryAfter = 2 * time.Second

// Gate lets a bounded number of hashes run, a bounded number wait, and refuses
// the rest at once. Every hash, every dummy hash and every strength score passes it.
//
//	            ┌ known device: the whole queue ─┐
//	Do ──> free slot?  no ──> room?              ├─> slots, taken from both lines in turn
//	            └ unknown: at most half of it ───┘
//
// A network holds at most a quarter of the queue, known or not. So one network
// cannot fill the queue, and strangers from many cannot push out the people
// who signed in here before.
type Gate struct {
	slots, queue, perNetwork, strangers int
	wait                                time.Duration

	mu        sync.Mutex // guards what follows
	running   int
	lines     [2][]*waiter   // by index: 0 unknown, 1 known
	networks  map[string]int // waiting, by network
	knownNext bool           // whose turn it is when both lines wait
}

// waiter is one caller in line. The gate closes turn once it owns a slot.
type waiter struct {
	network string
	line    int
	turn    chan struct{}
}

// NewGate makes a gate of at least one slot, with room for queuePerSlot waiting
// callers per slot, each of whom waits at most wait.
func NewGate(slots int, queuePerSlot int, wait time.Duration) *Gate {
	slots = max(slots, 1)
	q := slots * max(queuePerSlot, 0)
	return &Gate{
		slots: slots, queue: q, wait: wait,
		perNetwork: max(q/4, 1), strangers: (q + 1) / 2,
		networks: map[string]int{},
	}
}

// Slots returns how many hashes of the parameters may run at once: as many as
// there are processors, as long as their memory fits the budget in bytes; at least one.
func Slots(procs int, budget int64, p Params) int {
	n := max(procs, 1)
	if p.Memory > 0 {
		n = min(n, int(budget/(int64(p.Memory)*1024)))
	}
	return max(n, 1)
}

// Do runs fn in the caller's goroutine when a slot is free. network is the
// caller's bucket (/24, /48); known says that the device has signed in before.
// Beyond capacity, after the wait, or when ctx ends first, fn is not run and the
// error is fault.Unavailable with code busy and RetryAfter.
func (g *Gate) Do(ctx context.Context, network string, known bool, fn func()) error {
	if ctx.Err() != nil {
		return busy(context.Cause(ctx))
	}
	w, err := g.enter(network, known)
	if err != nil {
		return err
	}
	if w != nil {
		if err := g.await(ctx, w); err != nil {
			return err
		}
	}
	defer g.leave()
	fn()
	return nil
}

// Half is how many slots work that can wait may hold at once: half of them, at least one.
func (g *Gate) Half() int { return max(g.slots/2, 1) }

// Load returns how many hashes run and how many callers wait.
func (g *Gate) Load() (running, waiting int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running, len(g.lines[0]) + len(g.lines[1])
}

// enter takes a slot (nil waiter), a place in line, or neither.
func (g *Gate) enter(network string, known bool) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	waiting := len(g.lines[0]) + len(g.lines[1])
	if g.running < g.slots && waiting == 0 {
		g.running++
		return nil, nil
	}
	line := 0
	if known {
		line = 1
	}
	switch {
	case waiting >= g.queue,
		line == 0 && len(g.lines[0]) >= g.strangers,
		g.networks[network] >= g.perNetwork:
		return nil, busy(nil)
	}
	w := &waiter{network: network, line: line, turn: make(chan struct{})}
	g.lines[line] = append(g.lines[line], w)
	g.networks[network]++
	return w, nil
}

// await returns nil when w owns a slot.
func (g *Gate) await(ctx context.Context, w *waiter) error {
	t := time.NewTimer(g.wait)
	defer t.Stop()
	var cause error
	select {
	case <-w.turn:
		return nil
	case <-t.C:
	case <-ctx.Done():
		cause = context.Cause(ctx)
	}
	if g.abandon(w) {
		return busy(cause)
	}
	if cause != nil { // the slot came together with the end of ctx: pass it on
		g.leave()
		return busy(cause)
	}
	return nil
}

// abandon takes w out of its line. False means that it owns a slot already.
func (g *Gate) abandon(w *waiter) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, o := range g.lines[w.line] {
		if o == w {
			g.remove(w.line, i)
			return true
		}
	}
	return false
}

// leave gives the slot to the next in line, or frees it.
func (g *Gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	line := 0
	if g.knownNext && len(g.lines[1]) > 0 || len(g.lines[0]) == 0 {
		line = 1
	}
	if len(g.lines[line]) == 0 {
		g.running--
		return
	}
	g.knownNext = line == 0
	w := g.lines[line][0]
	g.remove(line, 0)
	close(w.turn)
}

// remove takes the i-th waiter out of the line. The caller holds mu.
func (g *Gate) remove(line, i int) {
	w := g.lines[line][i]
	g.lines[line] = slices.Delete(g.lines[line], i, i+1)
	if g.networks[w.network]--; g.networks[w.network] == 0 {
		delete(g.networks, w.network)
	}
}

func busy(cause error) error {
	e := fault.New(fault.Unavailable, "busy", fault.Public{
		Problem: "The server is busy checking passwords. Nothing was changed.",
		Next:    "Try again in a few seconds.",
	})
	e.RetryAfter, e.Err = retryAfter, cause
	return e
}
