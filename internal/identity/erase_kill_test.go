package identity_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/pgtest"
	"writ/internal/secret"
)

// childEnv makes the test binary a server that is going to be killed: folder, database,
// at which step, after how many milliseconds.
const childEnv = "WRIT_IDENTITY_TEST_CHILD"

// node opens what lies in a folder and a database, as a server does that starts.
func node(t *testing.T, dir, url string, step func(string)) (*world, *ledgertest.Clock) {
	t.Helper()
	clock := ledgertest.NewClock()
	clock.Set(time.Now().Add(15 * 24 * time.Hour)) // who wanted to leave has had the time to change their mind
	ring, err := keyring.Open(t.Context(), keyring.Options{Dir: dir, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	db, err := ledger.Open(t.Context(), ledger.Config{URL: url, Keys: ring, Now: clock.Now, Log: slog.New(slog.DiscardHandler), Schemas: []ledger.Schema{jobs.Schema(), identity.Schema()},
		Seam: &ledger.Seam{Limit: 5 * time.Second, PendingAge: -1}})
	if err != nil {
		t.Fatal(errors.Join(err, ring.Close()))
	}
	t.Cleanup(func() {
		if err := errors.Join(db.Close(), ring.Close()); err != nil {
			t.Error(err)
		}
	})
	return with(t, &ledgertest.Kit{DB: db, Ring: ring, Clock: clock}, func(d *identity.Deps) { d.Seam.Step = step }), clock
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
	var mu sync.Mutex
	step := func(string) {
		mu.Lock()
		defer mu.Unlock()
		if left--; left < 0 {
			die()
		}
	}
	if ms, err := strconv.Atoi(job[3]); err == nil && ms > 0 {
		time.AfterFunc(time.Duration(ms)*time.Millisecond, die)
	}
	w, _ := node(t, job[0], job[1], step)
	if err := w.endAll(); err != nil {
		t.Fatal(err)
	}
}

// endAll does what is left: an owner erases one, a quorum another, and a third has left.
func (w *world) endAll() error {
	ctx := w.t.Context()
	state := func(name string) (id, is string) {
		w.t.Helper()
		id = w.one(`SELECT value FROM kill_people WHERE name = $1`, name)
		return id, w.one(`SELECT state FROM identity_person WHERE id = $1`, id)
	}
	if id, is := state("abe"); is == "active" {
		h, err := w.svc.Handle(ctx, id)
		if err == nil {
			_, err = w.svc.Erase(ctx, operator, id, h)
		}
		if err != nil {
			return err
		}
	}
	id, _ := state("bea")
	return errors.Join(w.svc.Shred(ctx, operator, id), w.svc.EraseLeavers(ctx))
}

// Killed at any step and at any moment, any number of times, an erasure ends in the same
// state: no row about the person, no key, one entry of its beginning and one of its end, and
// a receipt that nothing is left.
func TestErasureSurvivesKills(t *testing.T) { // breaks: data.crypto-erase
	for _, engine := range []string{"sqlite", "postgres"} {
		t.Run(engine, func(t *testing.T) {
			for seed := range uint64(8) {
				t.Run(fmt.Sprint(seed), func(t *testing.T) { erasureKilled(t, engine, seed) })
			}
		})
	}
}

func erasureKilled(t *testing.T, engine string, seed uint64) {
	dir := t.TempDir()
	url := "sqlite:" + filepath.Join(dir, "writ.db")
	if engine == "postgres" {
		url = pgtest.URL(t)
	}
	if err := keyring.Create(t.Context(), keyring.Options{Dir: dir, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	people := map[string]string{}
	t.Run("begin", func(t *testing.T) {
		w, clock := node(t, dir, url, nil)
		clock.Set(time.Now())
		w.exec(`CREATE TABLE kill_people (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)`)
		for _, name := range []string{"abe", "bea", "cleo"} {
			c, err := w.svc.CreateCustomer(t.Context(), operator, identity.NewCustomer{Email: name + "@orchard.example", Password: secret.NewText(good), TeamName: "Orchard"})
			if err != nil {
				t.Fatal(err)
			}
			people[name] = c.ID
			w.exec(`INSERT INTO kill_people (name, value) VALUES ($1, $2)`, name, c.ID)
		}
		b := w.browser()
		b.signIn("cleo@orchard.example", good)
		b.api(200, "POST", "account/leave", obj{"current": good})
	})
	rnd := rand.New(rand.NewPCG(seed, 3))
	killed := false
	for i := range 3 {
		step, after := (int(seed)+3*i+rnd.IntN(2))%12, 0 //nolint:gosec // a few seeds
		if rnd.IntN(3) == 0 {
			step, after = 1000, 150+rnd.IntN(500) // any moment, also within a commit
		}
		killed = ledgertest.Killed(t, childEnv, dir, url, strconv.Itoa(step), strconv.Itoa(after)) || killed
	}
	if !killed && seed == 0 {
		t.Error("nothing was killed, so nothing is tested")
	}
	w, _ := node(t, dir, url, nil)
	if err := w.endAll(); err != nil {
		t.Fatal(err)
	}
	for name, id := range people {
		if s := w.one(`SELECT state FROM identity_person WHERE id = $1`, id); s != "erased" {
			t.Errorf("%s is %s", name, s)
		}
		if n := w.one(`SELECT (SELECT COUNT(*) FROM identity_address WHERE person = $1) + (SELECT COUNT(*) FROM identity_password WHERE person = $1) + (SELECT COUNT(*) FROM identity_session WHERE person = $1 AND ended IS NULL) + (SELECT COUNT(*) FROM identity_leaving WHERE person = $1)`, id); n != "0" {
			t.Errorf("%s rows of %s are left", n, name)
		}
		if _, err := w.kit.Ring.Ensure(t.Context(), keyring.Person(id)); !errors.Is(err, fault.Gone) {
			t.Errorf("%s has a key: %v", name, err)
		}
		got := map[string]int{}
		if err := w.kit.DB.Each(t.Context(), `SELECT name, body FROM ledger_pending`, func(scan ledger.Scan) error {
			var act string
			var body []byte
			err := scan(&act, &body)
			if strings.Contains(string(body), "person/"+id) {
				got[act]++
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got["identity.erasure-begun"] != 1 || got["identity.person-erased"] != 1 || got["identity.person-offboarded"] < 1 {
			t.Errorf("entries about %s: %v", name, got)
		}
	}
	if errs := w.svc.Housekeeping(t.Context()); slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		t.Errorf("the rounds afterwards: %v", errs)
	}
}

// Two who erase one person at the same time begin and end it once.
func TestErasedOnce(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(t *testing.T, w *world) {
		id, _ := w.customer("yves")
		h, err := w.svc.Handle(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				if _, err := w.svc.Erase(t.Context(), operator, id, h); err != nil && !errors.Is(err, fault.Conflict) && !errors.Is(err, fault.Invalid) {
					t.Error(err)
				}
			})
			wg.Go(func() {
				if err := w.svc.Shred(t.Context(), operator, id); err != nil && !errors.Is(err, fault.Conflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := w.svc.Shred(t.Context(), operator, id); err != nil {
			t.Error(err)
		}
		for _, act := range []string{"identity.erasure-begun", "identity.person-erased"} {
			if n := len(w.kit.Recorded(act)); n != 1 {
				t.Errorf("%d entries %s, want 1", n, act)
			}
		}
	})
}

// An erasure that another node finishes first has one end.
func TestErasureFinishedElsewhere(t *testing.T) { // breaks: data.crypto-erase
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		var w *world
		var id string
		once := false
		w = with(t, kit, func(d *identity.Deps) {
			d.Seam.Step = func(step string) {
				if step == "destroyed" && !once {
					once = true
					if err := w.svc.Shred(t.Context(), operator, id); err != nil {
						t.Error(err)
					}
				}
			}
		})
		id, _ = w.customer("yves")
		h, err := w.svc.Handle(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.svc.Erase(t.Context(), operator, id, h); err != nil || !once {
			t.Errorf("%v, %v", err, once)
		}
		if n := len(kit.Recorded("identity.person-erased")); n != 1 {
			t.Errorf("%d ends, want 1", n)
		}
	}, jobs.Schema(), identity.Schema())
}
