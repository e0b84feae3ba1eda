package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

// lite opens a SQLite ledger with the production limit, or another.
func lite(t testing.TB, limit time.Duration, change func(*ledger.Seam)) *ledgertest.Kit {
	return ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		c.Seam.Limit = limit
		if change != nil {
			change(c.Seam)
		}
	}, things())
}

// held runs a change that holds the writer until released, so that others queue up.
func held(t *testing.T, kit *ledgertest.Kit) (release func()) {
	t.Helper()
	finish := heldErr(kit)
	return func() {
		if err := finish(); err != nil {
			t.Errorf("the change that holds the writer: %v", err)
		}
	}
}

// heldErr is held that gives back how the holding change ended.
func heldErr(kit *ledgertest.Kit) (finish func() error) {
	in, out := make(chan struct{}), make(chan struct{})
	end := make(chan error, 1)
	go func() {
		end <- kit.DB.Quiet(context.Background(), ledger.Lease, func(*ledger.Tx) error {
			close(in)
			<-out
			return nil
		})
	}()
	<-in
	return func() error { close(out); return <-end }
}

func TestWriter_cutsOffASlowClosure(t *testing.T) {
	log := &cutLog{Handler: slog.DiscardHandler, cut: make(chan struct{}, 100)}
	kit := ledgertest.With(t, "sqlite", func(c *ledger.Config) {
		c.Seam.Limit, c.Log = 300*time.Millisecond, slog.New(log)
	}, things())
	ctx := t.Context()
	slow := map[string]func(*ledger.Tx) error{
		"asleep": func(tx *ledger.Tx) error {
			log.wait()
			_, err := tx.Exec(ctx, insertThing, 100, "too late")
			if !errors.Is(err, ledger.ErrCutOff) {
				t.Errorf("a statement after the cut: %v", err)
			}
			return nil // lies
		},
		"asleep in a row": func(tx *ledger.Tx) error {
			return tx.Each(ctx, `SELECT 1 UNION SELECT 2`, func(ledger.Scan) error { log.wait(); return nil })
		},
		"in a read": func(tx *ledger.Tx) error {
			return tx.Each(ctx, endless, func(ledger.Scan) error { return nil })
		},
		"in a write": func(tx *ledger.Tx) error { // the interrupt ends the whole transaction
			_, err := tx.Exec(ctx, `INSERT INTO thing (id, name) `+endless)
			return err
		},
	}
	want := 0
	for name, fn := range slow {
		for _, company := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, company %t", name, company), func(t *testing.T) {
				var wg sync.WaitGroup
				if company { // others before and after it in the same batch
					release := held(t, kit)
					for range 8 {
						wg.Go(func() {
							if _, err := makeThing(ctx, kit.DB, 1000+int(next.Add(1))); err != nil {
								t.Errorf("company: %v", err)
							}
						})
					}
					want += 8
					time.AfterFunc(40*time.Millisecond, release) // ends well before the limit of who holds it
					time.Sleep(20 * time.Millisecond)
				}
				start := time.Now()
				_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
					if _, err := tx.Exec(ctx, insertThing, 99, "undone"); err != nil {
						return nil, err
					}
					return Made{}, fn(tx)
				})
				if !errors.Is(err, ledger.ErrCutOff) || !errors.Is(err, fault.Unavailable) {
					t.Errorf("got %v", err)
				}
				if time.Since(start) > 15*time.Second {
					t.Errorf("it took %v", time.Since(start))
				}
				wg.Wait()
				state(t, kit, want, want)
			})
		}
	}
}

var next atomic.Int64

// cutLog hears when the writer has cut a change off. A closure that waits for it is
// slow however slow the machine is.
type cutLog struct {
	slog.Handler
	cut chan struct{}
}

func (l *cutLog) Enabled(context.Context, slog.Level) bool { return true }

func (l *cutLog) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "undone") {
		l.cut <- struct{}{}
	}
	return nil
}

func (l *cutLog) wait() {
	for len(l.cut) > 0 { // of an earlier change
		<-l.cut
	}
	select {
	case <-l.cut:
		time.Sleep(20 * time.Millisecond)
	case <-time.After(20 * time.Second):
	}
}

// endless is a statement that runs until it is interrupted.
const endless = `WITH RECURSIVE n(i) AS (SELECT 1000000 UNION ALL SELECT i+1 FROM n) SELECT i, 'n' || i FROM n WHERE i > 900000000000`

// While a closure that was cut off still sleeps, the writer serves others.
func TestWriter_goesOnWhileTheClosureSleeps(t *testing.T) {
	kit := lite(t, 30*time.Millisecond, nil)
	in, out := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	var first sync.Once // what was cut off is tried again
	wg.Go(func() {
		kit.DB.Quiet(context.Background(), ledger.Lease, func(*ledger.Tx) error { first.Do(func() { close(in) }); <-out; return nil })
	})
	<-in
	if _, err := makeThing(t.Context(), kit.DB, 1); err != nil {
		t.Error(err)
	}
	close(out)
	wg.Wait()
	state(t, kit, 1, 1)
}

// Closures that end about when they are cut off: each is acknowledged or undone, never
// both. The control reads the closure's own idea of its end, as a writer without
// the compare-and-set would, and must be wrong at least once.
func TestWriter_limitRace(t *testing.T) {
	const limit = 2 * time.Millisecond
	kit := lite(t, limit, nil)
	ctx := context.Background()
	acked := map[int]bool{}
	lied := 0
	rounds := 0
	for n := 0; n < 5000 && (n < 500 || lied < 10 || len(acked) < 10); n++ {
		rounds++
		ended := false
		_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
			if _, err := tx.Exec(ctx, insertThing, n, fmt.Sprint(n)); err != nil {
				return nil, err
			}
			for wait := time.Now().Add(limit - 400*time.Microsecond + time.Duration(rand.IntN(2000))*time.Microsecond); time.Now().Before(wait); {
			}
			ended = true
			return Made{Number: n}, nil
		})
		if err == nil {
			acked[n] = true
		} else if !errors.Is(err, ledger.ErrCutOff) {
			t.Fatal(err)
		} else if ended {
			lied++
		}
	}
	found := map[int]bool{}
	err := kit.DB.Each(ctx, `SELECT id FROM thing`, func(scan ledger.Scan) error {
		var id int
		err := scan(&id)
		found[id] = true
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range rounds {
		if acked[n] != found[n] {
			t.Errorf("change %d: acknowledged %t, found %t", n, acked[n], found[n])
		}
	}
	if len(kit.Recorded()) != len(acked) {
		t.Errorf("%d entries for %d changes", len(kit.Recorded()), len(acked))
	}
	t.Logf("%d acknowledged, %d cut off after their closure thought it had ended", len(acked), lied)
	if len(acked) == 0 || lied == 0 {
		t.Error("the control did not fail: the race was not met")
	}
}

func TestWriter_cancelCountsOnlyWhileWaiting(t *testing.T) {
	kit := lite(t, 5*time.Second, nil)
	release := held(t, kit)
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	go func() { _, err := makeThing(ctx, kit.DB, 1); errs <- err }()
	time.Sleep(20 * time.Millisecond)
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) || !errors.Is(err, fault.Unavailable) {
		t.Errorf("cancelled while waiting: %v", err)
	}
	release()
	ctx, cancel = context.WithCancel(t.Context())
	_, err := kit.DB.Change(ctx, ana, func(tx *ledger.Tx) (ledger.Event, error) {
		cancel()
		_, err := tx.Exec(ctx, insertThing, 2, "two")
		return Made{}, err
	})
	if err != nil {
		t.Errorf("cancelled while running: %v", err)
	}
	state(t, kit, 1, 1)
}

// Waiting changes share a commit; one sync of the log is one commit.
func TestWriter_groupCommitAndSyncs(t *testing.T) {
	disk := &ledger.Disk{}
	kit := lite(t, 5*time.Second, func(s *ledger.Seam) { s.Disk = disk })
	makeThing(t.Context(), kit.DB, 0)
	before := disk.Syncs.Load()
	const n = 50
	for i := 1; i <= n; i++ {
		if _, err := makeThing(t.Context(), kit.DB, i); err != nil {
			t.Fatal(err)
		}
	}
	// A checkpoint beside it syncs the log too, at most once each 100 ms.
	if got := disk.Syncs.Load() - before; got < n || got > n+20 {
		t.Errorf("%d syncs for %d commits", got, n)
	}
	release := held(t, kit)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := makeThing(t.Context(), kit.DB, 1000+i); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	before = disk.Syncs.Load()
	release()
	wg.Wait()
	if got := disk.Syncs.Load() - before; got < 1 || got > n/2 {
		t.Errorf("%d syncs for %d changes that waited together", got, n)
	}
	state(t, kit, 2*n+1, 2*n+1)
}

func TestWriter_failedCommitRefusesItsWholeBatch(t *testing.T) {
	var failing atomic.Bool
	kit := lite(t, 5*time.Second, func(s *ledger.Seam) {
		s.Commit = func() error {
			if failing.Load() {
				return sqlite3.IOERR_FSYNC
			}
			return nil
		}
	})
	makeThing(t.Context(), kit.DB, 0)
	finish := heldErr(kit)
	failing.Store(true)
	var wg sync.WaitGroup
	errs := make([]error, 11)
	for i := range 10 {
		wg.Go(func() { _, errs[i] = makeThing(context.Background(), kit.DB, 1+i) })
	}
	time.Sleep(50 * time.Millisecond)
	errs[10] = finish()
	wg.Wait()
	for i, err := range errs {
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	failing.Store(false)
	state(t, kit, 1, 1)
	if _, err := makeThing(t.Context(), kit.DB, 1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// On a full disk everything is refused, nothing is half done, and the same process
// goes on once there is room. The same with a disk that fails.
func TestWriter_fullAndBrokenDisk(t *testing.T) {
	for code, set := range map[string]func(*ledger.Disk, bool){
		"disk_full":         func(d *ledger.Disk, on bool) { d.Full.Store(on) },
		"store_unavailable": func(d *ledger.Disk, on bool) { d.Broken.Store(on) },
	} {
		t.Run(code, func(t *testing.T) {
			disk := &ledger.Disk{}
			kit := lite(t, 5*time.Second, func(s *ledger.Seam) { s.Disk = disk })
			makeThing(t.Context(), kit.DB, 0)
			var good, refused atomic.Int64
			for round := range 6 {
				set(disk, round%2 == 1)
				var wg sync.WaitGroup
				for i := range 8 {
					wg.Go(func() {
						for j := range 5 {
							_, err := makeThing(context.Background(), kit.DB, 1+round*1000+i*10+j)
							if err == nil {
								good.Add(1)
								continue
							}
							refused.Add(1)
							if got, p := fault.PublicOf(err); got != code || p.Problem == "" {
								t.Errorf("refused with %v", err)
							}
						}
					})
				}
				wg.Wait()
			}
			set(disk, false)
			state(t, kit, 1+int(good.Load()), 1+int(good.Load()))
			kit.Reopen()
			state(t, kit, 1+int(good.Load()), 1+int(good.Load()))
			if refused.Load() < 60 || good.Load() < 100 {
				t.Errorf("%d good, %d refused", good.Load(), refused.Load())
			}
		})
	}
}

// Nothing readable lies in the file or its log, and another key does not open it.
func TestSQLite_encryptedAtRest(t *testing.T) {
	kit := lite(t, 5*time.Second, nil)
	const needle = "needle-in-the-file"
	_, err := kit.DB.Change(t.Context(), ana, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(t.Context(), insertThing, 1, strings.Repeat(needle, 500))
		return Made{Tags: []string{needle}}, err
	})
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(kit.URL(), "sqlite:")
	files, _ := filepath.Glob(path + "*")
	if len(files) < 2 {
		t.Fatalf("files %v", files)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(needle)) || bytes.Contains(b, []byte("SQLite format")) || bytes.Contains(b, []byte("ledger_pending")) {
			t.Errorf("%s is readable", filepath.Base(f))
		}
	}
	other := ledgertest.Open(t)
	for name, keys := range map[string]ledger.Keys{"another key": other.Ring, "no key": noPage{other.Ring}} {
		db, err := ledger.Open(t.Context(), ledger.Config{URL: kit.URL(), Keys: keys, Now: time.Now, Log: discard()})
		if !errors.Is(err, fault.Sealed) {
			t.Errorf("%s: %v", name, err)
		}
		if db != nil {
			db.Close()
		}
	}
	state(t, kit, 1, 1)
}

// While the file is away nothing is acknowledged, be another one in its place; with the
// file back the same ledger goes on.
func TestSQLite_fileTakenAway(t *testing.T) {
	kit := lite(t, 5*time.Second, nil)
	path := strings.TrimPrefix(kit.URL(), "sqlite:")
	if _, err := makeThing(t.Context(), kit.DB, 1); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	for _, replaced := range []bool{false, true} {
		if replaced {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := makeThing(t.Context(), kit.DB, 2)
		if code, p := fault.PublicOf(err); !errors.Is(err, fault.Unavailable) || code != "database_gone" || p.Next == "" {
			t.Errorf("replaced %t: %v", replaced, err)
		}
		_ = readAtOnce(t.Context(), kit.DB, 4) // more readers than were open: a new one fails, and makes no file
		if _, err := os.Stat(path); !replaced && err == nil {
			t.Error("a reader made an empty database")
		}
		if replaced {
			if err := os.Rename(path+".away", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := makeThing(t.Context(), kit.DB, 3); err != nil {
		t.Error(err)
	}
	if err := readAtOnce(t.Context(), kit.DB, 6); err != nil { // and none was left that reads the other file
		t.Error(err)
	}
	state(t, kit, 2, 2)
	kit.Reopen()
	state(t, kit, 2, 2)
}

// readAtOnce reads the table of things on n connections that are all held.
func readAtOnce(ctx context.Context, db *ledger.DB, n int) error {
	if n == 0 {
		return nil
	}
	return db.Each(ctx, `SELECT COUNT(*) FROM thing`, func(ledger.Scan) error { return readAtOnce(ctx, db, n-1) })
}

// A file that was cut is called damaged, and stays as it is.
func TestSQLite_damagedFile(t *testing.T) {
	kit := lite(t, 5*time.Second, nil)
	for i := range 200 {
		if _, err := makeThing(t.Context(), kit.DB, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := kit.DB.Close(); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(kit.URL(), "sqlite:")
	if err := os.Truncate(path, 8192); err != nil {
		t.Fatal(err)
	}
	_, err := ledger.Open(t.Context(), ledger.Config{URL: kit.URL(), Keys: kit.Ring, Now: time.Now, Log: discard(), Schemas: []ledger.Schema{things()}})
	if code, p := fault.PublicOf(err); code != "database_damaged" || !strings.Contains(p.Problem, path) {
		t.Errorf("opened a cut file: %v", err)
	}
	if i, err := os.Stat(path); err != nil || i.Size() != 8192 {
		t.Errorf("the file was changed: %v %v", i, err)
	}
}

// noPage is a ring whose page key was dropped.
type noPage struct{ ledger.Keys }

func (noPage) Page() secret.Bytes { return secret.Bytes{} }

func TestClose_finishesWhatWaits(t *testing.T) {
	kit := lite(t, 5*time.Second, nil)
	var wg sync.WaitGroup
	var good atomic.Int64
	for i := range 64 {
		wg.Go(func() {
			if _, err := makeThing(context.Background(), kit.DB, i); err == nil {
				good.Add(1)
			} else if !errors.Is(err, fault.Unavailable) {
				t.Error(err)
			}
		})
	}
	time.Sleep(time.Duration(rand.IntN(5)) * time.Millisecond)
	kit.Reopen()
	wg.Wait()
	got := len(kit.Recorded())
	if n := count(t, kit.DB, "thing"); n != got || int64(n) < good.Load() {
		t.Errorf("%d things, %d entries, %d acknowledged", n, got, good.Load())
	}
}
