package keyring_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/secret"
)

// month is how long a retired KEK is kept in these tests.
const month = 30 * 24 * time.Hour

func keks(t *testing.T, r *keyring.Ring) []keyring.KEK {
	t.Helper()
	return must[[]keyring.KEK](t)(r.KEKs(t.Context()))
}

// rewrapAll moves everything and returns what was retired on the way.
func rewrapAll(t *testing.T, r *keyring.Ring) []keyring.KEK {
	t.Helper()
	_, retired, err := r.Rewrap(t.Context(), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return retired
}

func TestRotateTheKEK(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		boxes := map[string][]byte{}
		if err := keyring.Multiply(t.Context(), r, 1200); err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 1200; i += 300 {
			k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person(fmt.Sprint(i))))
			boxes[k.ID()] = k.Seal([]byte("hello"), place)
		}
		page := r.Page()
		first := keks(t, r)[0]
		c.add(time.Hour)
		made := must[keyring.KEK](t)(r.Rotate(t.Context()))
		if made.Version != 2 || made.ID == first.ID || !made.Made.Equal(c.now()) {
			t.Errorf("made %+v after %+v", made, first)
		}
		fresh := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("new")))
		if by := must[string](t)(r.WrappedBy(t.Context(), fresh.ID())); by != made.ID {
			t.Errorf("a new key is sealed under %s, want %s", by, made.ID)
		}
		moved, retired, err := r.Rewrap(t.Context(), 700)
		if err != nil || moved != 700 || len(retired) != 0 {
			t.Fatalf("moved %d, retired %v: %v", moved, retired, err)
		}
		if all := keks(t, r); all[0].Users != 502 || all[1].Users != 701 || !all[0].Retired.IsZero() { // two named secrets
			t.Errorf("in the middle: %+v", all)
		}
		if retired := rewrapAll(t, r); len(retired) != 1 || retired[0].ID != first.ID {
			t.Errorf("retired %+v", retired)
		}
		if again := rewrapAll(t, r); len(again) != 0 {
			t.Errorf("retired twice: %+v", again)
		}
		sealed := kekBoxes(t, o, first.ID)
		if gone := must[[]keyring.KEK](t)(r.Destroy(t.Context(), month)); len(gone) != 0 {
			t.Errorf("destroyed before its time: %+v", gone)
		}
		c.add(month)
		if gone := must[[]keyring.KEK](t)(r.Destroy(t.Context(), month)); len(gone) != 1 || gone[0].ID != first.ID {
			t.Errorf("destroyed %+v", gone)
		}
		for range 2 { // before and after a restart
			for id, box := range boxes {
				if b, err := must[envelope.Key](t)(r.ByID(t.Context(), id)).Open(box, place); err != nil || string(b.Reveal()) != "hello" {
					t.Errorf("a box of before: %v", err)
				}
			}
			if !r.Page().Equal(page) {
				t.Error("a named secret changed")
			}
			all := keks(t, r)
			if len(all) != 2 || all[0].Destroyed.IsZero() || all[0].Users != 0 || all[1].Users != 1203 {
				t.Errorf("in the end: %+v", all)
			}
			if st := must[keyring.Status](t)(r.Status(t.Context())); st.Erased != 0 || st.Pending != 0 || st.KEK != 2 {
				t.Errorf("status %+v", st)
			}
			r = keyringtest.Reopen(t, o)
		}
		if o.URL == "" {
			if f := leftover(t, o.Dir, sealed); f != "" {
				t.Errorf("the destroyed KEK is still in %s", f)
			}
		}
	})
}

// kekBoxes is the box of a KEK, read behind the ring's back.
func kekBoxes(t *testing.T, o keyring.Options, id string) (box []byte) {
	t.Helper()
	if err := raw(t, o).QueryRow("SELECT box FROM keyring_root WHERE kek = $1", id).Scan(&box); err != nil {
		t.Fatal(err)
	}
	return box
}

// Another node that knows nothing of a rotation opens what was moved, and seals under
// the new KEK itself.
func TestRotationReachesOtherNodes(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		here, there := keyringtest.Open(t, o), (*keyring.Ring)(nil)
		k := must[envelope.Key](t)(here.Ensure(t.Context(), keyring.Person("ana")))
		there = keyringtest.Reopen(t, o)
		made := must[keyring.KEK](t)(here.Rotate(t.Context()))
		rewrapAll(t, here)
		if got := must[envelope.Key](t)(there.Key(t.Context(), keyring.Person("ana"))); got.ID() != k.ID() {
			t.Error("another key on the other node")
		}
		c.add(2 * month)
		must[[]keyring.KEK](t)(here.Destroy(t.Context(), month))
		// A node that was away for the whole of it must not use the KEK it remembers.
		fresh := must[envelope.Key](t)(there.Ensure(t.Context(), keyring.Person("zoe")))
		if by := must[string](t)(there.WrappedBy(t.Context(), fresh.ID())); by != made.ID {
			t.Errorf("the other node seals under %s, want %s", by, made.ID)
		}
		must2(t, there, "journal/sign", 32)
		if all := keks(t, here); all[0].Users != 0 {
			t.Errorf("a destroyed KEK is in use again: %+v", all)
		}
	})
}

func TestRotateWithTwoRoots(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		old, next := secret.Random(32), secret.Random(32)
		o.Given = old
		r := keyringtest.Open(t, o)
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
		late := keyringtest.Reopen(t, o)
		if err := r.AddRoot(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		_, err := r.Rotate(t.Context())
		want(t, err, fault.Conflict, "rotate while two roots are in use")
		if err := r.KeepRoot(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		must[keyring.KEK](t)(r.Rotate(t.Context()))
		rewrapAll(t, r)
		opens(t, o, next, "")
		_, err = late.Rotate(t.Context()) // a node that still has the former root
		want(t, err, fault.Sealed, "rotate with a root that was forgotten")
	})
}

// A column that says a key lies under the newest KEK, while its box names a former one,
// does not cost that key.
func TestDestroyLooksAtTheBoxes(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
		made := must[keyring.KEK](t)(r.Rotate(t.Context()))
		if _, err := raw(t, o).Exec("UPDATE keyring_key SET kek = $1", made.ID); err != nil {
			t.Fatal(err)
		}
		rewrapAll(t, r)
		c.add(month)
		_, err := r.Destroy(t.Context(), month)
		want(t, err, fault.Sealed, "destroy a KEK with a hidden user")
		if again := must[envelope.Key](t)(keyringtest.Reopen(t, o).ByID(t.Context(), k.ID())); again.ID() != k.ID() {
			t.Error("the key is lost")
		}
	})
}

// Killed at any step, in any order, any number of times, a rotation ends in the same
// state: every key opens, all lie under the newest KEK, the former one is destroyed.
func TestRotationSurvivesKills(t *testing.T) { // breaks: crypto.key-rotation
	const keys = 1100
	work := func(r *keyring.Ring, horizon time.Duration) error {
		all, err := r.KEKs(t.Context())
		if err == nil && len(all) == 1 {
			_, err = r.Rotate(t.Context())
		}
		if err == nil {
			_, _, err = r.Rewrap(t.Context(), 1<<20)
		}
		if err == nil {
			_, err = r.Destroy(t.Context(), horizon)
		}
		return err
	}
	if at := os.Getenv("KEYRING_KILL_AT"); at != "" {
		r := keyringtest.Reopen(t, keyring.Options{Dir: os.Getenv("KEYRING_DIR"), URL: os.Getenv("KEYRING_URL"), Now: time.Now})
		left, err := strconv.Atoi(at)
		if err != nil {
			t.Fatal(err)
		}
		r.StopAt(func(string) error {
			if left--; left < 0 {
				os.Exit(7)
			}
			return nil
		})
		t.Fatalf("it came to an end: %v", work(r, 0))
	}
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		for seed := range uint64(6) {
			dir := keyring.Options{Dir: filepath.Join(t.TempDir(), "d"), URL: o.URL, Now: time.Now}
			if o.URL != "" {
				for _, s := range []string{"turn", "kek", "root", "key", "named", "erasure", "destroyed"} {
					if _, err := raw(t, o).Exec("DROP TABLE IF EXISTS keyring_" + s); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := keyringtest.Open(t, dir)
			if err := keyring.Multiply(t.Context(), r, keys); err != nil {
				t.Fatal(err)
			}
			var ids []string
			for i := range keys {
				ids = append(ids, must[envelope.Key](t)(r.Key(t.Context(), keyring.Person(fmt.Sprint(i)))).ID())
			}
			page := r.Page()
			r.Close()
			rnd := rand.New(rand.NewPCG(seed, 1))
			for range 4 {
				dieAt(t, "TestRotationSurvivesKills", strconv.Itoa(rnd.IntN(3)), dir) // some steps of what is left
			}
			r = keyringtest.Reopen(t, dir)
			if err := work(r, 0); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			r = keyringtest.Reopen(t, dir)
			all := keks(t, r)
			if len(all) != 2 || all[0].Destroyed.IsZero() || all[0].Users != 0 || all[1].Users != keys+2 {
				t.Errorf("seed %d: %+v", seed, all)
			}
			for i, id := range ids {
				if k, err := r.Key(t.Context(), keyring.Person(fmt.Sprint(i))); err != nil || k.ID() != id {
					t.Fatalf("seed %d: key %d: %v", seed, i, err)
				}
			}
			if !r.Page().Equal(page) {
				t.Errorf("seed %d: a named secret changed", seed)
			}
			if st := must[keyring.Status](t)(r.Status(t.Context())); st.Pending != 0 {
				t.Errorf("seed %d: %+v", seed, st)
			}
		}
	})
}

// Seals are counted ahead, also over a restart, and a key that is worn is replaced.
func TestSealsAreCounted(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		r := keyringtest.Open(t, o)
		s := keyring.Class("mail")
		stored := func(id string) (n int64) {
			if err := raw(t, o).QueryRow("SELECT seals FROM keyring_key WHERE id = $1", id).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		var k envelope.Key
		for range 300 {
			k = must[envelope.Key](t)(r.Ensure(t.Context(), s))
			k.Seal([]byte("x"), place)
		}
		if n := stored(k.ID()); n != 1<<16 {
			t.Errorf("%d seals are set aside, want %d", n, 1<<16)
		}
		r = keyringtest.Reopen(t, o)
		for range 300 {
			k = must[envelope.Key](t)(r.Ensure(t.Context(), s))
			k.Seal([]byte("x"), place)
		}
		if n := stored(k.ID()); n != 2<<16 {
			t.Errorf("%d seals are set aside after a restart, want %d", n, 2<<16)
		}
		for range 200_000 { // as within changes, where only Key is asked
			k.Seal(nil, place)
		}
		if err := r.Count(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := stored(k.ID()); n < 1<<16+200_300 || n > 2<<16+400_000 {
			t.Errorf("%d seals are set aside after 200,000 more", n)
		}
		for i, worn := range []int64{1<<30 - 1, 1 << 31} {
			if _, err := raw(t, o).Exec("UPDATE keyring_key SET seals = $1 WHERE id = $2", worn, k.ID()); err != nil {
				t.Fatal(err)
			}
			r = keyringtest.Reopen(t, o)
			former := k.ID()
			for range 300 {
				k = must[envelope.Key](t)(r.Ensure(t.Context(), s))
				k.Seal([]byte("x"), place)
			}
			if k.ID() == former {
				t.Errorf("case %d: a worn key is still in use", i)
			}
		}
	})
}

// BenchmarkRewrap moves keys under a new KEK; the mark is 20,000 a second.
func BenchmarkRewrap(b *testing.B) {
	const keys = 20_000
	o := keyring.Options{Dir: b.TempDir(), Now: time.Now}
	if err := keyring.Create(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	r := keyringtest.Reopen(b, o)
	if err := keyring.Multiply(b.Context(), r, keys); err != nil {
		b.Fatal(err)
	}
	var moved int
	for b.Loop() {
		if _, err := r.Rotate(b.Context()); err != nil {
			b.Fatal(err)
		}
		n, _, err := r.Rewrap(b.Context(), 1<<30)
		if err != nil {
			b.Fatal(err)
		}
		moved += n
	}
	b.ReportMetric(float64(moved)/b.Elapsed().Seconds(), "keys/s")
}

func TestWrappedByOfNoKey(t *testing.T) {
	r := keyringtest.New(t)
	_, err := r.WrappedBy(t.Context(), "none")
	want(t, err, fault.NotFound, "an unknown key")
	if _, _, err := r.Rewrap(t.Context(), 10); err != nil {
		t.Errorf("nothing to move: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = r.Rotate(t.Context())
	want(t, err, fault.Sealed, "rotate after Close")
}
