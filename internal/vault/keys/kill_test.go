package keys_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
	"writ/internal/vault/keys"
)

// childEnv makes the test binary a server that is going to be killed: folder, database,
// at which step, after how many milliseconds.
const childEnv = "WRIT_KEYS_TEST_CHILD"

// at opens what lies in a folder and a database, as a server does that starts.
func at(t *testing.T, dir, url string) *world {
	t.Helper()
	clock := ledgertest.NewClock()
	clock.Set(time.Now())
	ring, err := keyring.Open(t.Context(), keyring.Options{Dir: dir, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ledger.Open(t.Context(), ledger.Config{URL: url, Keys: ring, Now: clock.Now, Log: slog.New(slog.DiscardHandler), Schemas: tables, Seam: &ledger.Seam{Limit: 5 * time.Second, PendingAge: -1}})
	if err != nil {
		t.Fatal(errors.Join(err, ring.Close()))
	}
	return with(t, db, ring, clock)
}

func (w *world) close() {
	w.t.Helper()
	w.must(errors.Join(w.db.Close(), w.ring.Close()))
}

// TestChild is the server that is killed, and does nothing otherwise.
func TestChild(t *testing.T) {
	job := ledgertest.Job(childEnv)
	if len(job) != 4 {
		return
	}
	die := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	left, err := strconv.Atoi(job[2])
	if err != nil {
		t.Fatal(err)
	}
	w := at(t, job[0], job[1])
	w.svc.StopAt(func(string) error {
		if left--; left < 0 {
			die()
		}
		return nil
	})
	if ms, err := strconv.Atoi(job[3]); err == nil && ms > 0 {
		time.AfterFunc(time.Duration(ms)*time.Millisecond, die)
	}
	w.must(w.svc.Start(t.Context()))
	w.must(w.whole())
}

// whole does what is left: agree to what is asked for, and rotate once.
func (w *world) whole() error {
	if err := w.svc.Resume(w.t.Context()); err != nil {
		return err
	}
	xs, err := w.svc.Shreds(w.t.Context(), w.ana())
	if err != nil {
		return err
	}
	for _, x := range xs {
		if x.State != "asked" {
			continue
		}
		if _, err := w.svc.Agree(w.t.Context(), w.ben(), x.ID); err != nil {
			return err
		}
	}
	st, err := w.svc.Stands(w.t.Context(), w.ana())
	if err == nil && len(st.KEKs) == 1 {
		_, err = w.svc.Rotate(w.t.Context(), w.ana(), keys.Exposure{Happened: true, Reason: "a laptop is gone"})
	}
	w.svc.SetBatch(1)
	return errors.Join(err, w.svc.Tend(w.t.Context()), w.svc.Reseal(w.t.Context()))
}

// Killed at any step and at any moment, any number of times, what was agreed to is done in
// the end: the key is gone, one certificate says so, and nothing else is touched.
func TestShredSurvivesKills(t *testing.T) { // breaks: data.crypto-erase, crypto.key-rotation
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			for seed := range uint64(8) {
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
	w := at(t, dir, url)
	v, other := w.put("shop", 3), w.put("else", 4)
	_, err := w.ring.Ensure(t.Context(), keyring.Person("zoe"))
	w.must(err)
	ids := []string{w.ask("team/shop").ID, w.ask("person/zoe").ID}
	w.close()
	rnd := rand.New(rand.NewPCG(seed, 2))
	killedOnce := false
	for range 3 {
		step, after := rnd.IntN(22), 0
		if rnd.IntN(3) == 0 {
			step, after = 1000, 1+rnd.IntN(200) // any moment, also within a commit
		}
		killedOnce = ledgertest.Killed(t, childEnv, dir, url, strconv.Itoa(step), strconv.Itoa(after)) || killedOnce
	}
	if !killedOnce && seed == 0 {
		t.Error("nothing was killed, so nothing is tested")
	}
	w = at(t, dir, url)
	defer w.close()
	w.must(w.svc.Start(t.Context()))
	w.must(w.whole())
	if err := w.opens(v); !errors.Is(err, fault.Gone) {
		t.Errorf("a value after the destruction: %v", err)
	}
	w.must(w.opens(other))
	w.newest("else", 4)
	_, err = w.ring.Ensure(t.Context(), keyring.Person("zoe"))
	w.refused("key_erased", err)
	for _, id := range ids {
		for act, n := range map[string]int64{"vault.erase-certified": 1, "vault.shred-intended": 1, "vault.shred-asked": 1} {
			var got int64
			w.must(w.db.Each(t.Context(), `SELECT body FROM ledger_pending WHERE name = $1`, func(scan ledger.Scan) error {
				var body []byte
				err := scan(&body)
				if strings.Contains(string(body), "shred/"+id) {
					got++
				}
				return err
			}, act))
			if got != n {
				t.Errorf("%d entries %s of one destruction, want %d", got, act, n)
			}
		}
	}
	st, err := w.svc.Stands(t.Context(), w.ana())
	w.must(err)
	if len(st.KEKs) != 2 || st.Left != 0 || st.Pending != 0 || st.Erased != 2 || st.KEKs[0].Retired.IsZero() {
		t.Errorf("stands %+v", st)
	}
	w.expect("vault.certificates-hold", clause.Pass, "of 2 certificates 0 differ from their entries and 0 of their keys answer; 0 destructions are stuck; of 2 subjects")
}
