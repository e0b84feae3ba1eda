package passhash_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"writ/internal/fault"
	"writ/internal/passhash"
)

// crowd starts callers whose work ends when release is closed, and counts refusals.
type crowd struct {
	t       *testing.T
	g       *passhash.Gate
	release chan struct{}
	refused atomic.Int32
	served  atomic.Int32
	wg      sync.WaitGroup
}

func (c *crowd) come(network string, known bool) {
	c.wg.Go(func() {
		err := c.g.Do(c.t.Context(), network, known, func() { <-c.release; c.served.Add(1) })
		if err != nil {
			isBusy(c.t, err)
			c.refused.Add(1)
		}
	})
	synctest.Wait()
}

func (c *crowd) expect(what string, running, waiting int, refused int32) {
	c.t.Helper()
	r, w := c.g.Load()
	if r != running || w != waiting || c.refused.Load() != refused {
		c.t.Errorf("%s: %d running, %d waiting, %d refused; want %d, %d, %d", what, r, w, c.refused.Load(), running, waiting, refused)
	}
}

func isBusy(t *testing.T, err error) {
	t.Helper()
	var f *fault.Error
	if !errors.Is(err, fault.Unavailable) || !errors.As(err, &f) || f.Code != "busy" || f.RetryAfter != 2*time.Second {
		t.Errorf("refused with %v, want busy and 2 s", err)
	}
}

func gather(t *testing.T, slots, per int, wait time.Duration) *crowd {
	return &crowd{t: t, g: passhash.NewGate(slots, per, wait), release: make(chan struct{})}
}

func TestGateCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gather(t, 2, 8, time.Hour) // queue 16: 4 a network, 8 strangers
		c.come("n0", false)
		c.come("n0", false)
		c.expect("slots", 2, 0, 0)
		for range 6 {
			c.come("n0", true)
		}
		c.expect("one network, a quarter", 2, 4, 2)
		for i := range 10 {
			c.come(fmt.Sprint("u", i), false)
		}
		c.expect("strangers, half", 2, 12, 4)
		for i := range 10 {
			c.come(fmt.Sprint("k", i), true)
		}
		c.expect("known, the rest", 2, 16, 10)
		close(c.release)
		c.wg.Wait()
		c.expect("afterwards", 0, 0, 10)
		if c.served.Load() != 18 {
			t.Errorf("served %d, want 18", c.served.Load())
		}
		if err := c.g.Do(t.Context(), "n0", false, func() {}); err != nil {
			t.Errorf("an idle gate refused: %v", err)
		}
	})
}

func TestGateWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gather(t, 1, 16, 2*time.Second)
		c.come("a", false)
		start := time.Now()
		err := c.g.Do(t.Context(), "b", true, func() { t.Error("ran without a slot") })
		isBusy(t, err)
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("waited %v, want 2s", d)
		}
		c.expect("the place is free again", 1, 0, 0)
		close(c.release)
		c.wg.Wait()
	})
}

func TestGateContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gather(t, 1, 16, time.Hour)
		c.come("a", false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.g.Do(ctx, "b", false, func() { t.Error("ran without a slot") })
		isBusy(t, err)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the cause is lost: %v", err)
		}
		close(c.release)
		c.wg.Wait()
		isBusy(t, c.g.Do(ctx, "b", false, func() { t.Error("ran for a caller who left") }))
		c.expect("nothing is held", 0, 0, 0)
	})
}

// When both lines wait they are served in turn, each in order of arrival.
func TestGateTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := gather(t, 1, 16, time.Hour)
		c.come("first", false)
		var mu sync.Mutex
		var order []string
		queue := func(name string, known bool) {
			c.wg.Go(func() {
				if err := c.g.Do(t.Context(), name, known, func() { mu.Lock(); order = append(order, name); mu.Unlock() }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		for i := range 4 {
			queue(fmt.Sprint("u", i), false)
		}
		for i := range 2 {
			queue(fmt.Sprint("k", i), true)
		}
		close(c.release)
		c.wg.Wait()
		if got, want := fmt.Sprint(order), "[u0 k0 u1 k1 u2 u3]"; got != want {
			t.Errorf("served %s, want %s", got, want)
		}
	})
}

func TestGatePanicFreesSlot(t *testing.T) {
	g := passhash.NewGate(1, 1, time.Second)
	func() {
		defer func() { recover() }()
		g.Do(t.Context(), "a", false, func() { panic("inside") })
	}()
	if err := g.Do(t.Context(), "a", false, func() {}); err != nil {
		t.Errorf("the slot is lost: %v", err)
	}
}

// Under any mixture of arrivals, time-outs and departures no more than the slots
// run at once and nothing is left behind.
func TestGateNeverOverruns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := passhash.NewGate(3, 4, 50*time.Millisecond)
		var now, most, done atomic.Int32
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				time.Sleep(time.Duration(i*7%200) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%13*10+1)*time.Millisecond)
				defer cancel()
				_ = g.Do(ctx, fmt.Sprint(i%9), i%2 == 0, func() {
					n := now.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					time.Sleep(time.Duration(i%5+1) * 10 * time.Millisecond)
					now.Add(-1)
					done.Add(1)
				})
			})
		}
		wg.Wait()
		if r, w := g.Load(); r != 0 || w != 0 || most.Load() != 3 || done.Load() == 0 {
			t.Errorf("%d running, %d waiting, at most %d at once, %d done", r, w, most.Load(), done.Load())
		}
	})
}

func TestSlots(t *testing.T) {
	a, b := passhash.Default(passhash.Argon2id, 16), passhash.Default(passhash.PBKDF2, 16)
	for _, c := range []struct {
		procs  int
		budget int64
		p      passhash.Params
		want   int
	}{
		{8, 4 * 46 << 20, a, 4}, {2, 1 << 30, a, 2}, {8, 1 << 20, a, 1}, {0, 0, a, 1}, {8, 0, b, 8},
	} {
		if got := passhash.Slots(c.procs, c.budget, c.p); got != c.want {
			t.Errorf("Slots(%d, %d, %s) = %d, want %d", c.procs, c.budget, c.p.Scheme, got, c.want)
		}
	}
}
