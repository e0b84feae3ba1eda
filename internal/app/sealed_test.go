package app

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/seal"
	"writ/internal/secret"
	"writ/internal/vault/unseal"
)

// A vault that was sealed by command is open, and said to be, when the root has opened the
// keys, and not before; then a source of the environment knows the root again.
//
// breaks: people.no-sole-holder
func TestOpenedByShares(t *testing.T) {
	dir, set := t.TempDir(), "0123456789abcdef0123456789abcdef"
	if err := keyring.Create(t.Context(), keyring.Options{Dir: dir, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	right, err := keyring.ReadRoot(dir + "/root.key")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(unseal.Variable, "")
	_ = os.Unsetenv(unseal.Variable)
	file := seal.In(dir)
	if err := file.Change(func(b *seal.Boot) error { b.Sealed = true; return nil }); err != nil {
		t.Fatal(err)
	}
	opens := func(root secret.Bytes, kind fault.Kind, lines int) *App {
		t.Helper()
		a := &App{dir: dir, now: time.Now, log: slog.New(slog.DiscardHandler), boot: file, opened: root, openedSet: set, source: unseal.New(unseal.Config{Kind: unseal.Environment}, dir, unseal.Signer{})}
		err := a.openKeys(t.Context(), root)
		if (err == nil) != (kind == "") || err != nil && fault.KindOf(err) != kind {
			t.Errorf("%v, want %q", err, kind)
		}
		b, err := file.Read()
		if err != nil || b.Sealed != (lines == 0) || len(b.Log) != lines {
			t.Errorf("%+v, %v, want %d lines", b, err, lines)
		}
		return a
	}
	opens(secret.Random(keyring.RootSize), fault.Sealed, 0)
	a := opens(right, "", 1)
	if root, err := a.source.Root(t.Context()); err != nil || !root.Equal(right) {
		t.Errorf("the root is gone with the environment: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
