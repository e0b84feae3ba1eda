package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
)

// One former version is destroyed, the others stay; its bytes are in no file, and an old copy
// of the keys is put right.
func TestEraseVersion(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		ana := keyring.Person("ana")
		first := must[envelope.Key](t)(r.Ensure(t.Context(), ana))
		o.Backups = filepath.Join(t.TempDir(), "keys")
		saved := must[keyring.Epoch](t)(r.ShelfAt(o.Backups).Make(t.Context()))
		second := must[envelope.Key](t)(r.Renew(t.Context(), ana))
		want(t, r.EraseVersion(t.Context(), second.ID()), fault.Conflict, "the newest")
		sealed := boxes(t, o)
		stop := errors.New("stop")
		r.StopAt(func(step string) error {
			if step == "version intended" {
				return stop
			}
			return nil
		})
		if err := r.EraseVersion(t.Context(), first.ID()); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		r.StopAt(nil)
		_, err := r.ByID(t.Context(), first.ID())
		want(t, err, fault.Gone, "after the intent")
		r = keyringtest.Reopen(t, o) // which finishes it
		for range 2 {
			if err := r.EraseVersion(t.Context(), first.ID()); err != nil {
				t.Error(err)
			}
		}
		if gone := must[bool](t)(r.Gone(t.Context(), first.ID())); !gone {
			t.Error("the version is not gone")
		}
		if k := must[envelope.Key](t)(r.Ensure(t.Context(), ana)); k.ID() != second.ID() {
			t.Error("the subject has another key")
		}
		if left := boxes(t, o); len(left) != 1 {
			t.Errorf("%d keys are stored", len(left))
		}
		if o.URL == "" {
			for _, b := range sealed {
				id, err := envelope.KeyID(b)
				if err != nil || id == "" {
					t.Fatal(err)
				}
			}
			if a, b := leftover(t, o.Dir, sealed[0]), leftover(t, o.Dir, sealed[1]); a != "" && b != "" {
				t.Error("the destroyed version is still in the file")
			}
		}
		if st := must[keyring.Status](t)(r.Status(t.Context())); st.Erased != 0 || st.Pending != 0 {
			t.Errorf("a version counts as a subject: %+v", st)
		}
		remembered := must[[]keyring.Tombstone](t)(r.Tombstones(t.Context(), time.Time{}))
		n := keyring.Options{Dir: t.TempDir(), Now: o.Now, Backups: o.Backups}
		if err := os.WriteFile(filepath.Join(n.Dir, "root.key"), must[[]byte](t)(os.ReadFile(filepath.Join(o.Dir, "root.key"))), 0o400); err != nil {
			t.Fatal(err)
		}
		must[time.Time](t)(keyring.Restore(t.Context(), n, saved.File))
		back := keyringtest.Reopen(t, n)
		must[envelope.Key](t)(back.ByID(t.Context(), first.ID())) // else nothing is tested
		old := boxes(t, n)[0]
		if again := must[[]keyring.Tombstone](t)(back.Replay(t.Context(), remembered)); len(again) != 1 {
			t.Errorf("destroyed %+v again", again)
		}
		_, err = back.ByID(t.Context(), first.ID())
		want(t, err, fault.Gone, "in the old copy")
		if f := leftover(t, n.Dir, old); f != "" {
			t.Errorf("the old copy still has it in %s", f)
		}
	})
}
