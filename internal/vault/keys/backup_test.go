package keys_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/keyring"
	"writ/internal/vault/keys"
)

func (w *world) shelf() *keyring.Shelf {
	w.t.Helper()
	s, err := w.ring.Shelf()
	w.must(err)
	return s
}

// A backup an hour, where something changed; a day has one, and ends with its key.
func TestKeysAreBackedUp(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		w.put("shop", 1)
		w.must(w.svc.BackUp(t.Context()))
		w.must(w.svc.BackUp(t.Context())) // nothing changed
		if n := len(w.kit.Recorded("vault.keys-backed-up")); n != 1 {
			t.Errorf("%d backups, want 1", n)
		}
		w.put("else", 1)
		w.clock.Advance(time.Hour)
		w.must(w.svc.BackUp(t.Context()))
		w.clock.Advance(day)
		w.must(w.svc.BackUp(t.Context())) // a new day, though nothing changed
		got := w.kit.Recorded("vault.keys-backed-up")
		if len(got) != 3 || got[0].Fields["epoch"] != got[1].Fields["epoch"] || got[1].Fields["epoch"] == got[2].Fields["epoch"] {
			t.Errorf("recorded %+v", got)
		}
		all, err := w.svc.Backups(t.Context(), w.as("aud", "auditor"))
		w.must(err)
		if len(all) != 2 || !all[0].Made.After(all[1].Made) {
			t.Errorf("backups %+v", all)
		}
		_, err = w.svc.Backups(t.Context(), w.as("sup", "support"))
		w.refused("denied", err)
		_, err = w.svc.MakeBackup(t.Context(), w.as("aud", "auditor"))
		w.refused("denied", err)
		e, err := w.svc.MakeBackup(t.Context(), w.as("dev", "engineer"))
		w.must(err)
		w.expect("vault.key-backups", clause.Pass, "2 days of backups of the keys have a key, 0 of them beyond its end; the newest backup is of")
		w.clock.Advance(keyring.BackupLife)
		w.must(w.svc.BackUp(t.Context()))
		if n := len(w.kit.Recorded("vault.key-backups-ended")); n != 2 {
			t.Errorf("%d days ended, want 2", n)
		}
		_, err = w.shelf().Recall(t.Context(), e.File)
		w.refused("no_backup", err)
		w.expect("vault.key-backups", clause.Pass, "1 days of backups")
	})
}

// A certificate names the days whose backups hold the key and the day on which the last
// of them is over. Until then a restored backup is put right; afterwards none opens.
func TestCertificatesSayWhenTheLastCopyDies(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(w *world) {
		v := w.put("shop", 1)
		w.must(w.svc.BackUp(t.Context()))
		w.clock.Advance(2 * day)
		w.must(w.svc.BackUp(t.Context()))
		all, err := w.svc.Backups(t.Context(), w.ana())
		w.must(err)
		x, err := w.svc.Agree(t.Context(), w.ben(), w.ask("team/shop").ID)
		w.must(err)
		w.numbered()
		c, err := w.svc.Certificate(t.Context(), w.ana(), x.ID)
		w.must(err)
		read, err := keys.ReadCertificate(c.Certificate)
		w.must(err)
		if len(read.Epochs) != 2 || read.Epochs[0] != all[1].ID || read.Epochs[1] != all[0].ID || !read.Dead.Equal(all[0].Ends.Add(day).Truncate(time.Second)) {
			t.Errorf("the certificate says %+v, backups are %+v", read, all)
		}
		if read.Dead.After(w.clock.Now().Add(30 * day)) {
			t.Errorf("the last copy dies %v, more than 30 days later", read.Dead)
		}
		old, err := w.shelf().Recall(t.Context(), all[0].File)
		w.must(err)
		defer old.Close()
		was := *w
		was.ring = old
		w.must(was.opens(v)) // else the backup does not hold it, and nothing is tested
		tombs, err := w.ring.Tombstones(t.Context(), time.Time{})
		w.must(err)
		_, err = old.Replay(t.Context(), tombs)
		w.must(err)
		w.refused("key_erased", was.opens(v))

		w.expect("vault.key-backups", clause.Pass, "of 1 certificates 0 have a copy alive")
		kept := map[string][]byte{}
		for _, name := range []string{all[0].ID + ".epoch", filepath.Base(all[0].File)} {
			kept[name], err = os.ReadFile(filepath.Join(w.shelf().Dir(), name))
			w.must(err)
		}
		w.clock.Set(read.Dead.Add(time.Second))
		w.expect("vault.key-backups", clause.Fail, "of 1 certificates 1 have a copy alive beyond the day they say") // the clock's work did not run
		w.must(w.svc.BackUp(t.Context()))
		w.expect("vault.key-backups", clause.Pass, "of 1 certificates 0 have a copy alive")
		for name, b := range kept { // somebody puts both files back
			w.must(os.WriteFile(filepath.Join(w.shelf().Dir(), name), b, 0o600))
		}
		w.expect("vault.key-backups", clause.Fail, "1 of them beyond its end")
		_, err = w.shelf().Recall(t.Context(), all[0].File)
		w.refused("backup_over", err)
	})
}

// The probe sees a backup that does not open, and a day that begins in the future.
func TestBackupsAreLookedAt(t *testing.T) { // breaks: data.crypto-erase
	w := open(t)
	w.expect("vault.key-backups", clause.Pass, "the newest backup is none")
	w.put("shop", 1)
	e, err := w.svc.MakeBackup(t.Context(), w.ana())
	w.must(err)
	w.expect("vault.key-backups", clause.Pass, "and 0 do not open")
	b, err := os.ReadFile(e.File)
	w.must(err)
	w.must(os.WriteFile(e.File, b[:len(b)-1], 0o600))
	w.expect("vault.key-backups", clause.Fail, "and 1 do not open")
	w.must(os.WriteFile(e.File, b, 0o600))
	w.clock.Advance(-time.Hour)
	w.expect("vault.key-backups", clause.Fail, "1 of them beyond its end")
}

// A server that was off while a day ended destroys its key before it serves.
func TestBackupsEndAtTheStart(t *testing.T) { // breaks: data.crypto-erase
	f := inFolder(t)
	f.put("shop", 1)
	_, err := f.svc.MakeBackup(t.Context(), f.ana())
	f.must(err)
	f.again(func() {})
	f.clock.Advance(keyring.BackupLife)
	f.must(f.svc.Start(t.Context()))
	if files, err := os.ReadDir(filepath.Join(f.dir, "backups", "keys")); err != nil || len(files) != 0 {
		t.Errorf("left %v (%v)", files, err)
	}
}

// Keys that are lost come back from a backup, and what was destroyed since stays destroyed.
func TestLostKeysComeBack(t *testing.T) { // breaks: data.crypto-erase
	f := inFolder(t)
	v, other := f.put("shop", 1), f.put("else", 1)
	f.numbered() // the journal has its key
	e, err := f.svc.MakeBackup(t.Context(), f.ana())
	f.must(err)
	_, err = f.svc.Agree(t.Context(), f.ben(), f.ask("team/shop").ID)
	f.must(err)
	now := f.clock.Now()
	f.again(func() {
		f.must(os.Remove(filepath.Join(f.dir, "keys.db")))
		_, err := keyring.Restore(t.Context(), keyring.Options{Dir: f.dir, Now: func() time.Time { return now }}, e.File)
		f.must(err)
	})
	f.must(f.opens(v)) // the backup holds the key: without a replay it would be back
	f.must(f.svc.Start(t.Context()))
	f.refused("key_erased", f.opens(v))
	f.must(f.opens(other))
	f.expect("vault.certificates-hold", clause.Pass, "0 have one again")
}

// The canary of destructions fails where a backup opens after its day.
func TestShredCanarySeesABackupThatLives(t *testing.T) { // breaks: data.crypto-erase
	w := open(t)
	r, err := w.control("vault.shred-canary").Run(t.Context())
	w.must(err)
	acts := []string{}
	for _, s := range r.Steps {
		acts = append(acts, s.Act+"="+s.Got)
	}
	for _, want := range []string{"open it with a backup of the keys from before=opened", "after what was destroyed is replayed=key_erased", "put the backup back after its day is over=backup_over"} {
		if !strings.Contains(strings.Join(acts, "\n"), want) {
			t.Errorf("%q is not among %q", want, acts)
		}
	}
	w.svc.Unsound(false, true)
	w.expect("vault.shred-canary", clause.Fail, "let through: open it with that backup after what was destroyed is replayed gave opened")
	w.svc.Unsound(true, false)
	w.expect("vault.shred-canary", clause.Fail, "let through: put the backup back after its day is over gave opened")
	w.svc.Unsound(true, true)
	w.expect("vault.shred-canary", clause.Pass, "from a backup that was put back")
}
