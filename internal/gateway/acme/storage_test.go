package acme_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"writ/internal/gateway"
	"writ/internal/gateway/acme"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

func storage(t *testing.T, kit *ledgertest.Kit) *acme.Storage {
	t.Helper()
	s, err := acme.NewStorage(t.Context(), kit.DB, kit.Ring, kit.Clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What certmagic keeps comes back, and lies sealed in the database.
func TestStorage(t *testing.T) { // breaks: crypto.certificates
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		s, ctx := storage(t, kit), t.Context()
		if _, err := s.Load(ctx, "a/b.key"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing: %v", err)
		}
		for name, value := range map[string]string{"a/b.key": "mark one", "a/c/d": "mark two", "ab": "mark three"} {
			if err := s.Store(ctx, name, []byte("old")); err != nil {
				t.Fatal(err)
			}
			if err := s.Store(ctx, name, []byte(value)); err != nil {
				t.Fatal(err)
			}
			if b, err := s.Load(ctx, name); err != nil || string(b) != value {
				t.Errorf("%s: %q %v", name, b, err)
			}
		}
		err := kit.DB.Each(ctx, `SELECT box FROM gateway_acme`, func(scan ledger.Scan) error {
			var box []byte
			if err := scan(&box); err != nil {
				return err
			}
			if bytes.Contains(box, []byte("mark")) {
				t.Error("a value lies in clear")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if i, err := s.Stat(ctx, "a/b.key"); err != nil || i.Size != 8 || !i.IsTerminal || i.Modified.IsZero() {
			t.Errorf("stat of a file: %+v %v", i, err)
		}
		if i, err := s.Stat(ctx, "a"); err != nil || i.IsTerminal {
			t.Errorf("stat of a folder: %+v %v", i, err)
		}
		if !s.Exists(ctx, "a") || !s.Exists(ctx, "ab") || s.Exists(ctx, "b") {
			t.Error("what exists is told wrongly")
		}
		near, err := s.List(ctx, "a", false)
		if all, err2 := s.List(ctx, "a", true); err != nil || err2 != nil || !slices.Equal(near, []string{"a/b.key", "a/c"}) || !slices.Equal(all, []string{"a/b.key", "a/c/d"}) {
			t.Errorf("list: %v %v %v %v", near, all, err, err2)
		}
		if err := s.Delete(ctx, "a"); err != nil || s.Exists(ctx, "a/b.key") || !s.Exists(ctx, "ab") {
			t.Errorf("delete of a folder: %v", err)
		}
		if err := s.Delete(ctx, "a"); err != nil {
			t.Errorf("delete of nothing: %v", err)
		}
	}, gateway.Schema())
}

// One at a time has a lock, and one whose owner died is free after its time.
func TestLock(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		one, two := storage(t, kit), storage(t, kit)
		if err := one.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := one.Lock(t.Context(), "y"); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := two.Lock(short, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("two have it: %v", err)
		}
		if err := one.Unlock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := two.Lock(t.Context(), "x"); err != nil {
			t.Fatal(err)
		}
		if err := one.Unlock(t.Context(), "x"); err == nil {
			t.Error("it was given back by one who does not hold it")
		}
		kit.Clock.Advance(3 * time.Minute) // the owner of y renews nothing any more
		if err := two.Lock(t.Context(), "y"); err != nil {
			t.Fatal(err)
		}
	}, gateway.Schema())
}
