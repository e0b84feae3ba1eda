package keys_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // the tests look behind the ring's back

	"writ/internal/clause"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/vault/keys"
)

// folder is a world whose database of keys the test can get at.
type folder struct {
	*world
	dir, url string
}

func inFolder(t *testing.T) *folder {
	dir := t.TempDir()
	f := &folder{dir: dir, url: "sqlite:" + filepath.Join(dir, "writ.db")}
	if err := keyring.Create(t.Context(), keyring.Options{Dir: dir, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	f.world = at(t, dir, f.url)
	t.Cleanup(func() { f.close() })
	return f
}

// again stops the server, does something to its folder, and starts it.
func (f *folder) again(meanwhile func()) {
	f.t.Helper()
	now := f.clock.Now()
	f.close()
	meanwhile()
	f.world = at(f.t.(*testing.T), f.dir, f.url)
	f.clock.Set(now)
}

// keysExec changes the database of keys behind the ring's back.
func (f *folder) keysExec(query string, args ...any) {
	f.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: filepath.Join(f.dir, "keys.db")}).EscapedPath()+"?_pragma=busy_timeout(10000)")
	f.must(err)
	defer db.Close()
	_, err = db.ExecContext(context.Background(), query, args...)
	f.must(err)
}

func TestKeyAgeIsSeen(t *testing.T) { // breaks: crypto.key-rotation
	f := inFolder(t)
	f.put("shop", 1)
	f.expect("vault.key-age", clause.Pass, "0 days old")
	f.clock.Advance(365 * day)
	f.expect("vault.key-age", clause.Fail, "365 days old, and due after 365")
	_, err := f.svc.Rotate(t.Context(), f.ana(), keys.Exposure{})
	f.must(err)
	f.expect("vault.key-age", clause.Pass, "0 lie under a former one")
	f.clock.Advance(-day)
	f.expect("vault.key-age", clause.Fail, "clock was set back")
	f.clock.Advance(day)
	// A key that was never moved, because the work is stuck.
	_, err = f.ring.Rotate(t.Context())
	f.must(err)
	f.expect("vault.key-age", clause.Pass, "lie under a former one")
	f.clock.Advance(25 * time.Hour)
	f.expect("vault.key-age", clause.Fail, "for more than a day")
}

func TestLiveDataUnderARetiredKeyIsSeen(t *testing.T) { // breaks: crypto.key-rotation
	f := inFolder(t)
	f.put("shop", 1)
	f.expect("vault.retired-keys-unused", clause.Pass, "of 0 retired")
	_, err := f.svc.Rotate(t.Context(), f.ana(), keys.Exposure{})
	f.must(err)
	f.expect("vault.retired-keys-unused", clause.Pass, "0 live keys are sealed under one")
	f.keysExec(`UPDATE keyring_key SET kek = (SELECT id FROM keyring_kek WHERE version = 1) WHERE id = (SELECT min(id) FROM keyring_key)`)
	f.expect("vault.retired-keys-unused", clause.Fail, "1 live keys are sealed under one")
	f.keysExec(`UPDATE keyring_key SET kek = (SELECT id FROM keyring_kek WHERE version = 2)`)
	f.clock.Advance(33 * day)
	f.expect("vault.retired-keys-unused", clause.Fail, "1 were kept beyond their end")
	f.must(f.svc.Tend(t.Context()))
	f.expect("vault.retired-keys-unused", clause.Pass, "0 were kept")
}

func TestRotationCanary(t *testing.T) { // breaks: crypto.key-rotation
	both(t, func(w *world) {
		w.expect("vault.key-canary", clause.Pass, "seals nothing any more")
		_, err := w.svc.Rotate(t.Context(), w.ana(), keys.Exposure{})
		w.must(err)
		w.expect("vault.key-canary", clause.Pass, "seals nothing any more")
	})
	// A store that gives back the former key, whatever was replaced.
	f := inFolder(t)
	f.keysExec(`CREATE TRIGGER lost AFTER INSERT ON keyring_key WHEN new.kind = 'canary' AND new.version > 1 BEGIN
		UPDATE keyring_key SET kek = 'elsewhere' WHERE id = new.id; UPDATE keyring_kek SET created = created; END`)
	f.keysExec(`CREATE TRIGGER older AFTER INSERT ON keyring_key WHEN new.kind = 'canary' AND new.version > 1 BEGIN
		DELETE FROM keyring_key WHERE mark = new.mark AND version = 1; END`)
	f.expect("vault.key-canary", clause.Fail, "refused what it must allow")
}

func TestShredCanary(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		w.expect("vault.shred-canary", clause.Pass, "opened nothing")
		w.must(w.svc.Remember(t.Context()))
		if n := len(w.kit.Recorded("vault.erasures-remembered")); n != 0 {
			t.Error("what controls destroy is remembered for ever")
		}
	})
	// A store in which nothing can be deleted: the row of a destroyed key comes back.
	f := inFolder(t)
	f.keysExec(`CREATE TABLE kept AS SELECT * FROM keyring_key WHERE 0`)
	f.keysExec(`CREATE TRIGGER keep BEFORE DELETE ON keyring_key WHEN old.kind = 'canary' BEGIN SELECT RAISE(IGNORE); END`)
	r, err := f.control("vault.shred-canary").Run(t.Context())
	if err == nil && r.Outcome == clause.Pass {
		t.Errorf("a key that cannot be destroyed passes: %+v", r)
	}
}

func TestCertificatesAreLookedAt(t *testing.T) { // breaks: data.crypto-erase
	f := inFolder(t)
	const id = "vault.certificates-hold"
	f.put("shop", 1)
	f.expect(id, clause.Pass, "of 0 certificates")
	x, err := f.svc.Agree(t.Context(), f.ben(), f.ask("team/shop").ID)
	f.must(err)
	f.numbered()
	f.expect(id, clause.Pass, "of 1 certificates 0 differ")
	f.exec(`UPDATE vault_shred SET certificate = REPLACE(certificate, 'person/ben', 'person/eve') WHERE id = $1`, x.ID)
	f.expect(id, clause.Fail, "1 differ from their entries")
	f.exec(`UPDATE vault_shred SET certificate = REPLACE(certificate, 'person/eve', 'person/ben') WHERE id = $1`, x.ID)
	f.expect(id, clause.Pass, "0 differ")
	f.exec(`UPDATE vault_shred SET certificate = '{' WHERE id = $1`, x.ID)
	f.expect(id, clause.Fail, "1 differ")
}

// Yesterday's keys.db, put back under the ledger of today: what was destroyed since is
// destroyed again before anything opens.
func TestOldKeysAreReplayed(t *testing.T) { // breaks: data.crypto-erase
	f := inFolder(t)
	v := f.put("shop", 1)
	_, err := f.ring.Ensure(t.Context(), keyring.Person("zoe"))
	f.must(err)
	f.numbered() // the journal has its key
	file := filepath.Join(f.dir, "keys.db")
	var yesterday []byte
	f.again(func() { yesterday, err = os.ReadFile(file); f.must(err) })
	_, err = f.svc.Agree(t.Context(), f.ben(), f.ask("team/shop").ID)
	f.must(err)
	_, err = f.ring.Erase(t.Context(), keyring.Person("zoe")) // as identity does, without this package
	f.must(err)
	f.must(f.svc.Remember(t.Context()))
	f.must(f.svc.Remember(t.Context())) // nothing new
	f.numbered()

	f.again(func() { f.must(os.WriteFile(file, yesterday, 0o600)) })
	f.must(f.opens(v)) // the old copy holds the key: without a replay it would be back
	f.expect("vault.certificates-hold", clause.Fail, "2 have one again")
	f.must(f.svc.Start(t.Context()))
	f.refused("key_erased", f.opens(v))
	_, err = f.ring.Ensure(t.Context(), keyring.Person("zoe"))
	f.refused("key_erased", err)
	f.expect("vault.certificates-hold", clause.Pass, "of 2 subjects whose keys are destroyed 0 have one again")
	var n int64
	f.must(ledgerCount(f, &n, "vault.erasures-replayed"))
	if n != 1 {
		t.Errorf("%d entries say that it was destroyed again, want 1", n)
	}
	f.must(f.svc.Start(t.Context()))
	f.must(ledgerCount(f, &n, "vault.erasures-replayed"))
	if n != 1 {
		t.Error("a second start destroyed something again")
	}
}

// ledgerCount counts the entries of an act that wait.
func ledgerCount(f *folder, n *int64, act string) error {
	return ledger.One(f.t.Context(), f.db, `SELECT COUNT(*) FROM ledger_pending WHERE name = $1`, []any{n}, act)
}
