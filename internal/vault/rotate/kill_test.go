package rotate_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
	"writ/internal/vault"
)

// childEnv makes the test binary a server that is going to be killed: folder, database, at
// which step, after how many milliseconds, how far the clock is ahead.
const childEnv = "WRIT_ROTATE_TEST_CHILD"

// at opens what lies in a folder and a database, as a server does that starts.
func at(t *testing.T, dir, url string, ahead time.Duration) *world {
	t.Helper()
	clock := ledgertest.NewClock()
	clock.Advance(ahead)
	ring, err := keyring.Open(t.Context(), keyring.Options{Dir: dir, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ledger.Open(t.Context(), ledger.Config{URL: url, Keys: ring, Now: clock.Now, Log: slog.New(slog.DiscardHandler), Schemas: []ledger.Schema{vault.Schema()}, Seam: &ledger.Seam{Limit: 5 * time.Second, PendingAge: -1}})
	if err != nil {
		t.Fatal(errors.Join(err, ring.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), ring.Close()); err != nil {
			t.Error(err)
		}
	})
	return with(t, db, ring, clock)
}

// TestChild is the server that is killed, and does nothing otherwise.
func TestChild(t *testing.T) {
	job := ledgertest.Job(childEnv)
	if len(job) != 5 {
		return
	}
	die := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	left, err1 := strconv.Atoi(job[2])
	ms, err2 := strconv.Atoi(job[3])
	ahead, err3 := time.ParseDuration(job[4])
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	w := at(t, job[0], job[1], ahead)
	w.svc.StopAt(func(string) error {
		if left--; left < 0 {
			die()
		}
		return nil
	})
	if ms > 0 {
		time.AfterFunc(time.Duration(ms)*time.Millisecond, die)
	}
	w.must(w.svc.Tend(t.Context()))
}

// Killed at any step and at any moment, a rotation comes to the same end: one new version,
// which lets in; the former one does not.
func TestRotationSurvivesKills(t *testing.T) { // breaks: crypto.key-rotation
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			for seed := range uint64(4) {
				t.Run(fmt.Sprint(seed), func(t *testing.T) { killed(t, engine, seed) })
			}
		})
	}
}

func killed(t *testing.T, engine string, seed uint64) {
	dir := t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "writ.db")
	if engine == "postgres" {
		url = pgtest.URL(t)
	}
	if err := keyring.Create(t.Context(), keyring.Options{Dir: dir, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	const name = "/shop/db/url"
	ahead := time.Duration(0)
	var former, base string
	target := pgtest.URL(t)
	t.Run("begun", func(t *testing.T) {
		w := at(t, dir, url, ahead)
		w.serverAt(target)
		_, err := w.svc.Add(t.Context(), operator, w.role(name))
		w.must(err)
		_, err = w.svc.Replace(t.Context(), operator, name, true)
		w.must(err)
		former, base = w.value(name), w.base
	})
	ahead = 366 * day
	rnd, kills := rand.New(rand.NewPCG(seed, 3)), 0
	for range 4 {
		step, after := rnd.IntN(12), 0
		if rnd.IntN(4) == 0 {
			step, after = 1000, 1+rnd.IntN(300) // any moment, also within a commit
		}
		if ledgertest.Killed(t, childEnv, dir, url, strconv.Itoa(step), strconv.Itoa(after), ahead.String()) {
			kills++
		}
		ahead += 13 * time.Hour
	}
	if kills == 0 {
		t.Error("nothing was killed, so nothing is tested")
	}
	for range 3 {
		t.Run("gone on with", func(t *testing.T) {
			w := at(t, dir, url, ahead)
			w.must(w.svc.Tend(t.Context()))
			w.must(logsIn(w.value(name)))
		})
		ahead += 25 * time.Hour
	}
	t.Run("done", func(t *testing.T) {
		w := at(t, dir, url, ahead)
		w.base, w.target = base, target
		if r := w.of(name); r.State != "idle" || r.Problem != "" || w.versions(name) != 2 || logsIn(former) == nil || r.Fresh != base+"_b" {
			t.Errorf("%+v", r)
		}
		var n int
		w.must(w.db.Each(t.Context(), `SELECT body FROM ledger_pending WHERE name = 'vault.secret-rotated'`, func(scan ledger.Scan) error {
			var body []byte
			n++
			return scan(&body)
		}))
		if n != 2*len(whole) {
			t.Errorf("%d steps are in the record, want %d", n, 2*len(whole))
		}
	})
}
