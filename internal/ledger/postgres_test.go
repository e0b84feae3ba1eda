package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

func postgres(t *testing.T, change func(*ledger.Seam)) *ledgertest.Kit {
	return ledgertest.With(t, "postgres", func(c *ledger.Config) {
		if change != nil {
			change(c.Seam)
		}
	}, things())
}

// Deadlocks are undone by the server and tried again: all changes come through.
func TestPostgres_retriesDeadlocks(t *testing.T) {
	kit := postgres(t, nil)
	ctx := context.Background()
	makeThing(ctx, kit.DB, 1)
	makeThing(ctx, kit.DB, 2)
	var runs atomic.Int64
	var wg sync.WaitGroup
	meet := make(chan struct{}, 2)
	for w := range 2 {
		wg.Go(func() {
			_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
				first := runs.Add(1) <= 2
				if _, err := tx.Exec(ctx, `UPDATE thing SET at = at + 1 WHERE id = $1`, 1+w); err != nil {
					return nil, err
				}
				if first { // both hold one row before either asks for the other
					meet <- struct{}{}
					for len(meet) < 2 {
						time.Sleep(time.Millisecond)
					}
				}
				_, err := tx.Exec(ctx, `UPDATE thing SET at = at + 1 WHERE id = $1`, 2-w)
				return Made{}, err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var sum int
	if err := ledger.One(ctx, kit.DB, `SELECT SUM(at)::bigint FROM thing`, []any{&sum}); err != nil || sum != 4 {
		t.Errorf("sum %d, %v", sum, err)
	}
	if runs.Load() < 3 {
		t.Errorf("%d runs: there was no deadlock", runs.Load())
	}
	state(t, kit, 2, 4)
}

// The answer to COMMIT is lost: the change says what really happened.
func TestPostgres_settlesALostAnswer(t *testing.T) {
	var lose atomic.Bool
	kit := postgres(t, func(s *ledger.Seam) {
		s.Committed = func() error {
			if lose.Load() {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
	})
	lose.Store(true)
	if _, err := makeThing(t.Context(), kit.DB, 1); err != nil {
		t.Errorf("a change that was committed: %v", err)
	}
	err := kit.DB.Quiet(t.Context(), ledger.Lease, func(*ledger.Tx) error { return nil })
	if code, p := fault.PublicOf(err); code != "outcome_unknown" || p.Problem == "" {
		t.Errorf("housekeeping whose outcome cannot be known: %v", err)
	}
	state(t, kit, 1, 1)
}

// Sessions are killed under the writers: what was acknowledged is there, what was
// refused is not, and the pool goes on.
func TestPostgres_sessionsKilled(t *testing.T) {
	kit := postgres(t, nil)
	ctx := context.Background()
	stop := make(chan struct{})
	var killer, writers sync.WaitGroup
	killer.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(15 * time.Millisecond):
			}
			kit.DB.Each(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`, func(ledger.Scan) error { return nil })
		}
	})
	var mu sync.Mutex
	acked, refused := map[int]bool{}, map[int]bool{}
	for w := range 8 {
		writers.Go(func() {
			for i := range 100 {
				n := w*1000 + i
				_, err := makeThing(ctx, kit.DB, n)
				mu.Lock()
				code, _ := fault.PublicOf(err)
				switch {
				case err == nil:
					acked[n] = true
				case !errors.Is(err, fault.Unavailable):
					t.Errorf("refused with %v", err)
				case code != "outcome_unknown":
					refused[n] = true
				}
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	close(stop)
	killer.Wait()
	time.Sleep(50 * time.Millisecond)
	found := map[int]bool{}
	for range 20 { // the pools still hold sessions that were killed
		clear(found)
		if err := kit.DB.Each(ctx, `SELECT id FROM thing`, func(scan ledger.Scan) error {
			var n int
			err := scan(&n)
			found[n] = true
			return err
		}); err == nil {
			break
		}
	}
	for n := range acked {
		if !found[n] {
			t.Errorf("change %d was acknowledged and is not there", n)
		}
	}
	for n := range refused {
		if found[n] {
			t.Errorf("change %d was refused and is there", n)
		}
	}
	if got := len(kit.Recorded()); got != len(found) {
		t.Errorf("%d things, %d entries", len(found), got)
	}
	t.Logf("%d acknowledged, %d refused", len(acked), len(refused))
	if len(refused) == 0 || len(acked) == 0 {
		t.Error("nothing was killed")
	}
}

func TestPostgres_awayAndWrongAddress(t *testing.T) {
	kit := postgres(t, nil)
	u, err := url.Parse(kit.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.RawQuery = url.Values{"host": {t.TempDir()}}.Encode()
	for address, kind := range map[string]fault.Kind{u.String(): fault.Unavailable, "postgres://:::": fault.Invalid, "mysql:x": fault.Invalid, "sqlite:relative.db": fault.Invalid} {
		_, err := ledger.Open(t.Context(), ledger.Config{URL: address, Keys: kit.Ring, Now: time.Now, Log: discard()})
		if !errors.Is(err, kind) {
			t.Errorf("%s: %v", fmt.Sprintf("%.12s", address), err)
		}
	}
}
