package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"writ/internal/cli"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/seal"
)

// A backup of the keys comes back with the root key of the folder; where the vault waits for
// holders, at the start that they open.
//
// breaks: data.crypto-erase
func TestKeysComeBack(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(configName, "company: x\napp: https://app.example.test\nhttps: 127.0.0.1:0\nupstream: [http://127.0.0.1:1]\nmail: {url: file:///mail, from: a@example.test}\nkeys: {backups: elsewhere}\n")
	c, err := ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	o := c.keysIn(dir, time.Now)
	if o.Backups != filepath.Join(dir, "elsewhere") {
		t.Errorf("backups lie in %s", o.Backups)
	}
	if err := keyring.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ring.Ensure(t.Context(), keyring.Person("ana"))
	if err != nil {
		t.Fatal(err)
	}
	shelf, err := ring.Shelf()
	if err != nil {
		t.Fatal(err)
	}
	e, err := shelf.Make(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Close(); err != nil {
		t.Fatal(err)
	}
	in := cli.RestoreKeysOptions{Dir: dir, File: e.File}
	lose := func() {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, "keys.db")); err != nil {
			t.Fatal(err)
		}
	}
	has := func(given *App) {
		t.Helper()
		defer given.Close()
		if _, err := given.ring.ByID(t.Context(), k.ID()); err != nil {
			t.Errorf("the key is not there: %v", err)
		}
	}
	start := func() *App {
		t.Helper()
		root, err := keyring.ReadRoot(filepath.Join(dir, "root.key"))
		if err != nil {
			t.Fatal(err)
		}
		a := &App{dir: dir, config: c, now: time.Now, log: slog.New(slog.DiscardHandler), boot: seal.In(dir)}
		if err := a.openKeys(t.Context(), root); err != nil {
			t.Fatal(err)
		}
		return a
	}
	if _, err := RestoreKeys(t.Context(), in); fault.KindOf(err) != fault.Conflict {
		t.Errorf("over keys that are there: %v", err)
	}
	lose()
	if r, err := RestoreKeys(t.Context(), in); err != nil || r.Wait || !r.Made.Equal(e.Made) {
		t.Fatalf("%+v, %v", r, err)
	}
	has(start())

	if err := seal.In(dir).Change(func(b *seal.Boot) error { b.Sealed = true; return nil }); err != nil { // holders open it
		t.Fatal(err)
	}
	if _, err := RestoreKeys(t.Context(), in); fault.KindOf(err) != fault.Conflict {
		t.Errorf("over keys that are there, sealed: %v", err)
	}
	lose()
	if r, err := RestoreKeys(t.Context(), in); err != nil || !r.Wait {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "keys.db")); err == nil {
		t.Error("the keys are back before anybody opened the vault")
	}
	has(start())
	has(start()) // the note is gone, or kept keys would be refused
	if _, err := os.Stat(filepath.Join(dir, waitingName)); err == nil {
		t.Error("the note is still there")
	}
	held, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := RestoreKeys(t.Context(), in); fault.KindOf(err) != fault.Conflict {
		t.Errorf("beside a server that runs: %v", err)
	}
}
