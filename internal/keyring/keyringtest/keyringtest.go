// Package keyringtest gives a test a ring of its own, with root.key and keys.db in
// a temporary folder. For: tests of every module that seals.
package keyringtest

import (
	"testing"
	"time"

	"writ/internal/keyring"
)

// New makes a ring that lives as long as t, under the real clock.
func New(t testing.TB) *keyring.Ring {
	t.Helper()
	return At(t, time.Now)
}

// At is New with the test's own clock.
func At(t testing.TB, now func() time.Time) *keyring.Ring {
	t.Helper()
	return Open(t, keyring.Options{Dir: t.TempDir(), Now: now})
}

// Open makes and opens keys as o says.
func Open(t testing.TB, o keyring.Options) *keyring.Ring {
	t.Helper()
	if err := keyring.Create(t.Context(), o); err != nil {
		t.Fatalf("make the keys: %v", err)
	}
	return Reopen(t, o)
}

// Reopen opens keys that are there, as a server does that starts again.
func Reopen(t testing.TB, o keyring.Options) *keyring.Ring {
	t.Helper()
	r, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open the keys: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("close the keys: %v", err)
		}
	})
	return r
}
