package keyring_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
)

// Yesterday's keys.db, put back, does not bring anybody back.
func TestReplayOverAnOldCopy(t *testing.T) { // breaks: data.crypto-erase
	c := newClock()
	o := keyring.Options{Dir: t.TempDir(), Now: c.now}
	file := filepath.Join(o.Dir, "keys.db")
	r := keyringtest.Open(t, o)
	ana, zoe := keyring.Person("ana"), keyring.Person("zoe")
	k := must[envelope.Key](t)(r.Ensure(t.Context(), ana))
	r.Close()
	yesterday := must[[]byte](t)(os.ReadFile(file))

	r = keyringtest.Reopen(t, o)
	late := must[envelope.Key](t)(r.Ensure(t.Context(), zoe)) // made after the copy
	must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
	must[keyring.Destroyed](t)(r.Erase(t.Context(), zoe))
	remembered := must[[]keyring.Tombstone](t)(r.Tombstones(t.Context(), time.Time{}))
	if len(remembered) != 2 || !slices.Equal(remembered[0].KeyIDs, []string{k.ID()}) && !slices.Equal(remembered[1].KeyIDs, []string{k.ID()}) {
		t.Fatalf("remembered %+v", remembered)
	}
	if none := must[[]keyring.Tombstone](t)(r.Tombstones(t.Context(), c.now())); len(none) != 0 {
		t.Errorf("after the last: %+v", none)
	}
	r.Close()

	if err := os.WriteFile(file, yesterday, 0o600); err != nil {
		t.Fatal(err)
	}
	r = keyringtest.Reopen(t, o)
	if back := must[envelope.Key](t)(r.Key(t.Context(), ana)); back.ID() != k.ID() {
		t.Fatal("the old copy does not hold the key, so nothing is tested")
	}
	sealed := boxes(t, o)[0]
	for i := range 2 {
		again := must[[]keyring.Tombstone](t)(r.Replay(t.Context(), remembered))
		if len(again) != 2*(1-i) {
			t.Errorf("run %d destroyed %d again", i, len(again))
		}
	}
	for _, s := range []keyring.Subject{ana, zoe} {
		_, err := r.Ensure(t.Context(), s)
		want(t, err, fault.Gone, "key of "+s.ID)
	}
	for _, id := range []string{k.ID(), late.ID()} {
		_, err := r.ByID(t.Context(), id)
		want(t, err, fault.Gone, "key by id")
		if gone, err := r.Gone(t.Context(), id); err != nil || !gone {
			t.Errorf("gone: %v %v", gone, err)
		}
	}
	if f := leftover(t, o.Dir, sealed); f != "" {
		t.Errorf("the sealed key is still in %s", f)
	}
}

// A copy in memory is what a backup is: it opens what was, until the erasures are
// replayed over it.
func TestCopyInMemory(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		r := keyringtest.Open(t, o)
		ana := keyring.Person("ana")
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("zoe")))
		k := must[envelope.Key](t)(r.Ensure(t.Context(), ana))
		box := k.Seal([]byte("hello"), place)
		old := must[*keyring.Ring](t)(r.Copy(t.Context(), ana))
		defer old.Close()
		must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
		if b, err := must[envelope.Key](t)(old.ByID(t.Context(), k.ID())).Open(box, place); err != nil || string(b.Reveal()) != "hello" {
			t.Errorf("the copy opens nothing: %v", err)
		}
		_, err := old.Key(t.Context(), keyring.Person("zoe"))
		want(t, err, fault.NotFound, "another subject in the copy")
		must[[]keyring.Tombstone](t)(old.Replay(t.Context(), must[[]keyring.Tombstone](t)(r.Tombstones(t.Context(), time.Time{}))))
		_, err = old.ByID(t.Context(), k.ID())
		want(t, err, fault.Gone, "the key in the copy")
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("eve"))) // the real ring goes on
	})
}
