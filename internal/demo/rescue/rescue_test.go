package rescue_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"writ/internal/demo/rescue"
	"writ/internal/demo/sample"
	"writ/internal/fault"
	"writ/internal/incident"
)

// site is an application with data, a backup, later writes, and then damage.
type site struct {
	t     *testing.T
	now   time.Time
	app   *sample.App
	store *sample.Store
	r     *rescue.Rescue
	good  sample.Backup
	onset time.Time
}

// try is the nth of one ledger.
func try(n int64) incident.Epoch { return incident.Epoch{Ledger: "01JD", N: n} }

var by = sample.By{Team: "t1", Person: "maria", Route: "POST /api/contacts"}

func open(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return s.now }
	var err error
	if s.app, err = sample.New(t.Context(), sample.Options{File: filepath.Join(t.TempDir(), "sample.db"), Verifier: &sample.Verifier{}, Now: clock}); err != nil {
		t.Fatal(err)
	}
	s.store, s.r = s.app.Store(), rescue.New(s.app, clock)
	t.Cleanup(func() {
		if err := s.app.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *site) add(n int) {
	s.t.Helper()
	for range n {
		if _, err := s.store.Add(s.t.Context(), by, sample.Contact{Name: "Ilse", Email: "ilse@brandt.example"}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// damaged has 6 contacts in a backup, 2 that came and 1 that was erased after it, and damage.
func damaged(t *testing.T) *site {
	s := open(t)
	s.add(6)
	s.good = must(s.store.Backup(t.Context()))(t)
	s.now = s.now.Add(5 * time.Minute)
	s.add(2)
	if err := s.store.Remove(t.Context(), by, 4); err != nil {
		t.Fatal(err)
	}
	s.now = s.now.Add(time.Minute)
	s.onset = s.now
	if n := must(s.store.Damage(t.Context()))(t); n == 0 {
		t.Fatal("nothing is damaged")
	}
	s.now = s.now.Add(time.Minute)
	return s
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (s *site) plan(rule string) incident.Plan {
	s.t.Helper()
	p := must(s.r.Plan(s.t.Context(), incident.Wish{Rule: rule, Before: s.onset, Kept: "D-1-1"}))(s.t)
	p.Kept = "D-1-1"
	return p
}

func (s *site) green(checks []incident.Check, err error) {
	s.t.Helper()
	if err != nil || len(checks) == 0 {
		s.t.Fatal(err, checks)
	}
	for _, k := range checks {
		if !k.Good {
			s.t.Errorf("%s: %s", k.Name, k.Says)
		}
	}
}

func (s *site) ids() []int { s.t.Helper(); return must(sample.IDs(s.t.Context(), s.store.File()))(s.t) }

// What was lost is back, what was erased is not, what came after the copy is told of; each call
// may be made again, as after a crash, and ends the same.
func TestRestoresTheSample(t *testing.T) { // breaks: inc.loss-restore, inc.loss-reopen
	s, ctx := damaged(t), t.Context()
	on := must(s.r.Onsets(ctx))(t)
	if len(on) != 1 || !on[0].From.Equal(s.good.At) || !strings.Contains(on[0].Says, "4 rows") {
		t.Errorf("onsets: %+v", on)
	}
	if err := s.r.Shut(ctx, true, try(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.Add(ctx, by, sample.Contact{Name: "x", Email: "x@example.test"}); err == nil {
		t.Error("a shut application writes")
	}
	still := must(s.r.Still(ctx))(t)
	if again := must(s.r.Still(ctx))(t); again != still {
		t.Errorf("it moves by itself: %s, %s", still, again)
	}
	hash := must(s.r.Preserve(ctx, "D-1-1"))(t)
	if again := must(s.r.Preserve(ctx, "D-1-1"))(t); again != hash {
		t.Error("the kept copy is another one")
	}
	p := s.plan(incident.Literal)
	if p.Point != s.good.ID || p.Lost != 2 || p.Rows != 6 || p.Position != "write 6" {
		t.Errorf("plan: %+v", p)
	}
	before := s.ids()
	s.green(s.r.Rehearse(ctx, p))
	if !reflect.DeepEqual(before, s.ids()) {
		t.Error("a rehearsal changes the data")
	}
	for range 2 {
		if got := must(s.r.Restore(ctx, p, try(1)))(t); got != p.Position {
			t.Errorf("reached %s", got)
		}
	}
	s.green(s.r.Verify(ctx, p))
	s.green(s.r.DryRun(ctx, p))
	for range 2 {
		n, checks, err := s.r.Reconcile(ctx, p, []incident.Tombstone{{Act: "identity.person-erased", Object: "person/maria"}}, try(1))
		s.green(checks, err)
		if n > 7 {
			t.Errorf("%d erased again", n)
		}
	}
	if got := s.ids(); !reflect.DeepEqual(got, []int{1, 2, 3, 5, 6}) {
		t.Errorf("after it: %v", got)
	}
	if got := must(s.store.People(ctx))(t); len(got) != 0 {
		t.Errorf("erased people are named: %v", got)
	}
	if err := s.r.Shut(ctx, false, try(1)); err != nil {
		t.Fatal(err)
	}
	s.add(1)
	lost := must(s.r.Lost(ctx, p))(t)
	if len(lost) != 2 || lost[0].Record != "contact 7" || lost[1].Team != "t1" || lost[0].Hash == "" {
		t.Errorf("lost: %+v", lost)
	}
	_, checks, err := s.r.Protect(ctx)
	s.green(checks, err)
}

// A point in time keeps what was written until the damage.
func TestRestoresToATime(t *testing.T) { // breaks: inc.loss-restore
	s, ctx := damaged(t), t.Context()
	must(s.r.Preserve(ctx, "D-1-1"))(t)
	p := s.plan(incident.PITR)
	if p.Lost != 0 || p.Rows != 7 || p.Position != "write 9" || !p.At.Before(s.onset) {
		t.Errorf("plan: %+v", p)
	}
	s.green(s.r.Rehearse(ctx, p))
	if got := must(s.r.Restore(ctx, p, try(1)))(t); got != p.Position {
		t.Errorf("reached %s", got)
	}
	s.green(s.r.Verify(ctx, p))
	if got := s.ids(); !reflect.DeepEqual(got, []int{1, 2, 3, 5, 6, 7, 8}) {
		t.Errorf("after it: %v", got)
	}
}

// After a restore that was no good, the damaged state is put back as it was.
func TestPutsTheDamagedStateBack(t *testing.T) { // breaks: inc.loss-restore
	s, ctx := damaged(t), t.Context()
	before := s.ids()
	must(s.r.Preserve(ctx, "D-1-1"))(t)
	must(s.r.Restore(ctx, s.plan(incident.Literal), try(1)))(t)
	p := s.plan(incident.Preserved)
	s.green(s.r.Rehearse(ctx, p))
	if got := must(s.r.Restore(ctx, p, try(1)))(t); got != p.Position {
		t.Errorf("reached %s", got)
	}
	s.green(s.r.Verify(ctx, p))
	if got := s.ids(); !reflect.DeepEqual(got, before) {
		t.Errorf("%v, was %v", got, before)
	}
}

// A backup that has changed, is gone, or is too young is not restored; and a write past the gate is seen.
func TestRefusesABadBackup(t *testing.T) { // breaks: inc.loss-restore, inc.loss-freeze
	s, ctx := damaged(t), t.Context()
	p := s.plan(incident.Literal)
	name := s.store.BackupFile(s.good.ID)
	b := must(os.ReadFile(name))(t)
	b[len(b)/2] ^= 1
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	checks := must(s.r.Rehearse(ctx, p))(t)
	if len(checks) != 1 || checks[0].Good || !strings.Contains(checks[0].Says, "not what it was") {
		t.Errorf("a changed backup: %+v", checks)
	}
	before := s.ids()
	if got := must(s.r.Restore(ctx, p, try(1)))(t); got == p.Position || !reflect.DeepEqual(before, s.ids()) {
		t.Errorf("it was restored: %s", got)
	}
	if bad := s.plan(incident.Literal).Checks; bad[0].Good {
		t.Errorf("a plan of it: %+v", bad)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := s.r.Plan(ctx, incident.Wish{Rule: incident.Literal, Before: s.onset}); err == nil {
		t.Error("a plan without a backup")
	}
	still := must(s.r.Still(ctx))(t)
	must(s.store.Damage(context.Background()))(t)
	s.add(1)
	if again := must(s.r.Still(ctx))(t); again == still {
		t.Error("a write is not seen")
	}
}

// A line that a crash cut off was acknowledged to nobody; the store goes on after it, and a
// held backup does not expire.
func TestStoreAfterACrash(t *testing.T) { // breaks: inc.loss-restore
	s := damaged(t)
	file := s.store.File()
	if err := s.app.Close(); err != nil {
		t.Fatal(err)
	}
	f := must(os.OpenFile(file+".writes", os.O_APPEND|os.O_WRONLY, 0))(t)
	if _, err := f.WriteString(`{"n":99,"te`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	store := must(sample.OpenStore(t.Context(), file, func() time.Time { return s.now }))(t)
	defer store.Close()
	must(store.Add(t.Context(), by, sample.Contact{Name: "x", Email: "x@example.test"}))(t)
	ws := must(store.Writes(0))(t)
	if got := ws[len(ws)-1]; got.N != 10 || len(ws) != 10 {
		t.Errorf("%d writes, the last %+v", len(ws), got)
	}
	for _, hold := range []bool{true, false} {
		if err := store.Hold(hold); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			s.now = s.now.Add(time.Second)
			must(store.Backup(t.Context()))(t)
		}
		if n := len(must(store.Backups())(t)); hold == (n < 100) {
			t.Errorf("held %v: %d backups", hold, n)
		}
	}
}

// A process that was stopped before it restored does not when a newer one has, and one that is in the
// middle is waited for.
func TestOlderTryRestoresNothing(t *testing.T) { // breaks: inc.loss-restore
	s, ctx := damaged(t), t.Context()
	must(s.r.Preserve(ctx, "D-1-1"))(t)
	p := s.plan(incident.Literal)
	must(s.r.Restore(ctx, p, try(7)))(t)
	s.add(1)
	had := s.ids()
	if _, err := s.r.Restore(ctx, p, try(6)); !errors.Is(err, fault.Conflict) || !slices.Equal(s.ids(), had) {
		t.Errorf("an older restore: %v; %v were there, and %v are", err, had, s.ids())
	}
	if err := s.r.Shut(ctx, true, try(6)); !errors.Is(err, fault.Conflict) {
		t.Errorf("shut by an older try: %v", err)
	}
	if _, _, err := s.r.Reconcile(ctx, p, nil, try(6)); !errors.Is(err, fault.Conflict) {
		t.Errorf("reconciled by an older try: %v", err)
	}
	f := must(os.OpenFile(s.store.File()+".epoch", os.O_RDWR, 0))(t)
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ended, stop := context.WithCancel(ctx)
	stop()
	if _, err := s.r.Restore(ended, p, try(8)); !errors.Is(err, context.Canceled) || !slices.Equal(s.ids(), had) {
		t.Errorf("beside another that is in the middle: %v, %v", err, s.ids())
	}
}

// The number of a try is one of its own ledger: a ledger that is made anew beside what the former one
// left restores from its first try on, and the former one, or a copy of it, no more.
func TestLedgerMadeAnewRestores(t *testing.T) { // breaks: inc.loss-restore
	s, ctx := damaged(t), t.Context()
	must(s.r.Preserve(ctx, "D-1-1"))(t)
	p := s.plan(incident.Literal)
	file := s.store.File() + ".epoch"
	if err := os.WriteFile(file, []byte("00000000000000000099\n"), 0o600); err != nil { // as it was before ledgers had names
		t.Fatal(err)
	}
	one, two := "01JD0000000000000000000001", "01JD0000000000000000000002"
	for _, c := range []struct {
		is      string
		e       incident.Epoch
		refused bool
	}{
		{"the first that has a name", incident.Epoch{Ledger: one, N: 7}, false},
		{"the same try again", incident.Epoch{Ledger: one, N: 7}, false},
		{"an old copy of it", incident.Epoch{Ledger: one, N: 3}, true},
		{"one that is made anew", incident.Epoch{Ledger: two, N: 1}, false},
		{"the former one wakes", incident.Epoch{Ledger: one, N: 8}, true},
		{"an old copy of the former one", incident.Epoch{Ledger: one, N: 1}, true},
		{"the new one goes on", incident.Epoch{Ledger: two, N: 3}, false},
		{"an older try of it", incident.Epoch{Ledger: two, N: 2}, true},
	} {
		if _, err := s.r.Restore(ctx, p, c.e); errors.Is(err, fault.Conflict) != c.refused || err != nil && !c.refused {
			t.Errorf("%s: %v", c.is, err)
		}
	}
	f := must(os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0))(t)
	if _, err := f.WriteString("01JD00000000000000000000"); err != nil { // a crash cut it off
		t.Fatal(err)
	}
	f.Close()
	must(s.r.Restore(ctx, p, incident.Epoch{Ledger: two, N: 4}))(t)
	if _, err := s.r.Restore(ctx, p, incident.Epoch{Ledger: two, N: 3}); !errors.Is(err, fault.Conflict) {
		t.Errorf("after a crash: %v", err)
	}
	for _, e := range []incident.Epoch{{}, {Ledger: two}, {N: 9}, {Ledger: "a b", N: 9}} {
		if _, err := s.r.Restore(ctx, p, e); !errors.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// Backups are held, or not, as the newest says; and whoever says the same as it is refused nothing.
func TestOlderTryLetsNoBackupExpire(t *testing.T) { // breaks: inc.loss-restore
	s, ctx := open(t), t.Context()
	for _, c := range []struct {
		on      bool
		n       int64
		refused bool
		held    bool
	}{{true, 5, false, true}, {false, 4, true, true}, {true, 4, false, true}, {false, 6, false, false}, {true, 5, true, false}, {false, 5, false, false}} {
		if err := s.r.Hold(ctx, c.on, try(c.n)); errors.Is(err, fault.Conflict) != c.refused || err != nil && !c.refused {
			t.Errorf("%+v: %v", c, err)
		}
		if held := must(s.store.Held())(t); held != c.held {
			t.Errorf("%+v: held is %v", c, held)
		}
	}
	if err := s.r.Shut(ctx, false, try(1)); err != nil {
		t.Errorf("a restore waits for nobody who holds backups: %v", err)
	}
	if err := s.r.Shut(ctx, true, try(2)); !errors.Is(err, fault.Conflict) {
		t.Errorf("it is shut, and its backups expire: %v", err)
	}
}
