package keyring_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/pgtest"
	"writ/internal/secret"
)

const day = 24 * time.Hour

// shelf is where a ring's backups lie; beside PostgreSQL in a folder that is named.
func shelf(t *testing.T, r *keyring.Ring) *keyring.Shelf {
	t.Helper()
	return must[*keyring.Shelf](t)(r.Shelf())
}

func withBackups(t *testing.T, test func(t *testing.T, o keyring.Options, c *clock)) {
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		o.Backups = filepath.Join(t.TempDir(), "keys")
		test(t, o, c)
	})
}

// elsewhere is a place for keys with the same root key and none yet, on either engine.
func elsewhere(t *testing.T, o keyring.Options, url string) keyring.Options {
	t.Helper()
	n := keyring.Options{Dir: t.TempDir(), URL: url, Now: o.Now, Backups: o.Backups}
	b := must[[]byte](t)(os.ReadFile(filepath.Join(o.Dir, "root.key")))
	if err := os.WriteFile(filepath.Join(n.Dir, "root.key"), b, 0o400); err != nil {
		t.Fatal(err)
	}
	return n
}

// What a backup holds is there again after a restore, on either engine from either.
func TestBackupRestores(t *testing.T) {
	withBackups(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		if err := keyring.Multiply(t.Context(), r, 3000); err != nil { // more than one part
			t.Fatal(err)
		}
		k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
		box, named := k.Seal([]byte("hello"), place), must2(t, r, "journal/sign", 32)
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("zoe")))
		must[keyring.Destroyed](t)(r.Erase(t.Context(), keyring.Person("zoe")))
		e := must[keyring.Epoch](t)(shelf(t, r).Make(t.Context()))
		if !e.Made.Equal(c.now()) || !e.Begun.Equal(c.now()) || !e.Ends.Equal(c.now().Add(keyring.BackupLife)) || e.Size == 0 {
			t.Errorf("made %+v", e)
		}
		if n, err := shelf(t, r).Check(e.File); err != nil || n != 3001 {
			t.Errorf("%d keys are in it (%v)", n, err)
		}
		b := must[[]byte](t)(os.ReadFile(e.File))
		for _, sealed := range boxes(t, o)[:3] {
			if bytes.Contains(b, sealed[len(sealed)-48:]) {
				t.Error("a sealed key lies in the backup as it is in the database")
			}
		}
		for name, url := range map[string]string{"sqlite": "", "postgres": pgtest.URL(t)} {
			n := elsewhere(t, o, url)
			if made := must[time.Time](t)(keyring.Restore(t.Context(), n, e.File)); !made.Equal(e.Made) {
				t.Errorf("made %v", made)
			}
			back := keyringtest.Reopen(t, n)
			if b, err := must[envelope.Key](t)(back.ByID(t.Context(), k.ID())).Open(box, place); err != nil || string(b.Reveal()) != "hello" {
				t.Errorf("%s: a box of before: %v", name, err)
			}
			if !must2(t, back, "journal/sign", 32).Equal(named) {
				t.Errorf("%s: a named secret is another one", name)
			}
			_, err := back.Ensure(t.Context(), keyring.Person("zoe"))
			want(t, err, fault.Gone, name+": who was erased before")
			_, err = keyring.Restore(t.Context(), n, e.File)
			want(t, err, fault.Conflict, name+": over keys that are there")
			if left, _ := filepath.Glob(filepath.Join(n.Dir, "keys.restoring*")); len(left) > 0 {
				t.Errorf("%s: left %v", name, left)
			}
		}
	})
}

// One file a day; the key of a day is destroyed when its time is over, and then nothing
// opens any copy of its backup.
func TestEpochsEnd(t *testing.T) { // breaks: data.crypto-erase
	withBackups(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		s, ana := shelf(t, r), keyring.Person("ana")
		k := must[envelope.Key](t)(r.Ensure(t.Context(), ana))
		box := k.Seal([]byte("hello"), place)
		first := must[keyring.Epoch](t)(s.Make(t.Context()))
		c.add(time.Hour)
		second := must[keyring.Epoch](t)(s.Make(t.Context()))
		if second.ID != first.ID || second.File == first.File {
			t.Errorf("an hour later %+v after %+v", second, first)
		}
		if _, err := os.Stat(first.File); err == nil {
			t.Error("the former backup of the day is still there")
		}
		must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
		c.add(day)
		later := must[keyring.Epoch](t)(s.Make(t.Context()))
		if later.ID == first.ID {
			t.Error("a day later the same key seals")
		}
		kept := filepath.Join(t.TempDir(), filepath.Base(second.File)) // somebody's archive
		copyFile(t, second.File, kept)
		mirror := t.TempDir() // and somebody's mirror, which is not overwritten
		copyFile(t, second.File, filepath.Join(mirror, filepath.Base(second.File)))
		copyFile(t, filepath.Join(o.Backups, first.ID+".epoch"), filepath.Join(mirror, first.ID+".epoch"))

		same := filepath.Join(t.TempDir(), "same") // another name for the very file
		if err := os.Link(filepath.Join(o.Backups, first.ID+".epoch"), same); err != nil {
			t.Fatal(err)
		}
		old := must[*keyring.Ring](t)(s.Recall(t.Context(), second.File))
		if b, err := must[envelope.Key](t)(old.ByID(t.Context(), k.ID())).Open(box, place); err != nil || string(b.Reveal()) != "hello" {
			t.Fatalf("the backup does not hold the key, so nothing is tested: %v", err)
		}
		old.Close()
		c.add(keyring.BackupLife - day - time.Hour - time.Minute)
		if ended := must[[]keyring.Epoch](t)(s.End(t.Context())); len(ended) != 0 {
			t.Errorf("ended before its time: %+v", ended)
		}
		c.add(time.Minute)
		_, err := s.Recall(t.Context(), second.File)
		want(t, err, fault.Gone, "recall of a backup that is over, before its key is destroyed")
		if ended := must[[]keyring.Epoch](t)(s.End(t.Context())); len(ended) != 1 || ended[0].ID != first.ID {
			t.Errorf("ended %+v", ended)
		}
		if b := must[[]byte](t)(os.ReadFile(same)); len(b) == 0 || len(bytes.Trim(b, "\x00")) > 0 {
			t.Errorf("the bytes of the destroyed key are still there: %d of %d", len(bytes.Trim(b, "\x00")), len(b))
		}
		left, err := filepath.Glob(filepath.Join(o.Backups, "*"))
		if err != nil || len(left) != 2 || !strings.Contains(left[0], later.ID) || !strings.Contains(left[1], later.ID) {
			t.Errorf("left %v (%v)", left, err)
		}
		if again := must[[]keyring.Epoch](t)(s.End(t.Context())); len(again) != 0 {
			t.Errorf("ended twice: %+v", again)
		}
		for name, file := range map[string]string{"archive": kept, "mirror": filepath.Join(mirror, filepath.Base(second.File))} {
			_, err := keyring.Restore(t.Context(), elsewhere(t, o, ""), file)
			want(t, err, fault.Gone, "restore from the "+name)
		}
		must[int](t)(s.Check(later.File))
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	if err := os.WriteFile(to, must[[]byte](t)(os.ReadFile(from)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What was destroyed since a backup is destroyed again by whoever remembers it.
func TestRestoreIsReplayed(t *testing.T) { // breaks: data.crypto-erase
	withBackups(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
		e := must[keyring.Epoch](t)(shelf(t, r).Make(t.Context()))
		must[keyring.Destroyed](t)(r.Erase(t.Context(), keyring.Person("ana")))
		remembered := must[[]keyring.Tombstone](t)(r.Tombstones(t.Context(), time.Time{}))
		n := elsewhere(t, o, "")
		must[time.Time](t)(keyring.Restore(t.Context(), n, e.File))
		back := keyringtest.Reopen(t, n)
		must[envelope.Key](t)(back.ByID(t.Context(), k.ID())) // else nothing is tested
		must[[]keyring.Tombstone](t)(back.Replay(t.Context(), remembered))
		_, err := back.ByID(t.Context(), k.ID())
		want(t, err, fault.Gone, "the key after the replay")
	})
}

// After the root key was replaced its backups are over at once.
func TestEpochsEndWithTheirRoot(t *testing.T) { // breaks: data.crypto-erase
	withBackups(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		s := shelf(t, r)
		e := must[keyring.Epoch](t)(s.Make(t.Context()))
		next := secret.Random(keyring.RootSize)
		if err := r.AddRoot(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		if ended := must[[]keyring.Epoch](t)(s.End(t.Context())); len(ended) != 0 {
			t.Errorf("ended while both work: %+v", ended)
		}
		if err := r.KeepRoot(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		_, err := s.Recall(t.Context(), e.File)
		want(t, err, fault.Sealed, "recall with another root key")
		if ended := must[[]keyring.Epoch](t)(s.End(t.Context())); len(ended) != 1 || ended[0].ID != e.ID {
			t.Errorf("ended %+v", ended)
		}
		fresh := must[keyring.Epoch](t)(s.Make(t.Context()))
		if fresh.ID == e.ID || fresh.Root != keyring.Fingerprint(next) {
			t.Errorf("the backup after it: %+v", fresh)
		}
		_, err = keyring.Restore(t.Context(), elsewhere(t, o, ""), fresh.File)
		want(t, err, fault.Sealed, "restore with the former root key")
		n := keyring.Options{Dir: t.TempDir(), Now: o.Now, Given: next}
		must[time.Time](t)(keyring.Restore(t.Context(), n, fresh.File))
		keyringtest.Reopen(t, n)
	})
}

// A byte that is changed anywhere, a file that is cut anywhere, and parts that are moved are seen.
func TestDamagedBackups(t *testing.T) {
	c := newClock()
	o := keyring.Options{Dir: t.TempDir(), Now: c.now}
	r := keyringtest.Open(t, o)
	if err := keyring.Multiply(t.Context(), r, 1500); err != nil {
		t.Fatal(err)
	}
	s := shelf(t, r)
	e := must[keyring.Epoch](t)(s.Make(t.Context()))
	if e.File != filepath.Join(o.Dir, "backups", "keys", filepath.Base(e.File)) {
		t.Errorf("it lies at %s", e.File)
	}
	good := must[[]byte](t)(os.ReadFile(e.File))
	try := func(what string, b []byte) {
		t.Helper()
		if err := os.WriteFile(e.File, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Check(e.File); err == nil {
			t.Errorf("%s is taken", what)
		}
		n := elsewhere(t, o, "")
		if _, err := keyring.Restore(t.Context(), n, e.File); err == nil {
			t.Errorf("%s is restored", what)
		}
		if left, _ := filepath.Glob(filepath.Join(n.Dir, "keys*")); len(left) > 0 {
			t.Errorf("%s leaves %v", what, left)
		}
	}
	for i := 0; i < len(good); i += 1 + len(good)/60 {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		try("a changed byte", bad)
		try("a cut file", good[:i])
	}
	try("a byte more", append(bytes.Clone(good), 0))
	head := bytes.IndexByte(good, '\n') + 1
	size := 5 + int(good[head+1])<<24 + int(good[head+2])<<16 + int(good[head+3])<<8 + int(good[head+4])
	if good[head] != 'p' || good[head+size] != 'p' {
		t.Fatal("there are not two parts")
	}
	try("a part twice", append(bytes.Clone(good[:head+size]), good[head:]...))
	try("without its first part", append(bytes.Clone(good[:head]), good[head+size:]...))
	early := bytes.Clone(good[:head+size])
	early[head] = 'e'
	try("a part that says it is the end", early)
	_, err := s.Check(filepath.Join(o.Dir, "none"))
	if err == nil {
		t.Error("a file that is not there is taken")
	}
	_, err = keyring.Restore(t.Context(), elsewhere(t, o, ""), filepath.Join(o.Dir, "none"))
	want(t, err, fault.NotFound, "restore of nothing")
}

// A process that dies at any step leaves a shelf that the next one goes on with.
func TestShelfSurvivesStops(t *testing.T) { // breaks: data.crypto-erase
	withBackups(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		s, stop := shelf(t, r), errors.New("stop")
		at := func(step string) {
			r.StopAt(func(got string) error {
				if got == step {
					return stop
				}
				return nil
			})
		}
		for _, step := range []string{"epoch begun", "backup written"} {
			at(step)
			if _, err := s.Make(t.Context()); !errors.Is(err, stop) {
				t.Fatalf("%s: %v", step, err)
			}
			es := must[[]keyring.Epoch](t)(s.Epochs())
			if len(es) != 1 || es[0].File != "" {
				t.Errorf("after %s: %+v", step, es)
			}
		}
		at("")
		e := must[keyring.Epoch](t)(s.Make(t.Context()))
		left := e.File + ".part" // a process that was killed while it wrote
		copyFile(t, e.File, left)
		c.add(keyring.BackupLife)
		at("epoch destroyed")
		if _, err := s.End(t.Context()); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		at("")
		_, err := s.Recall(t.Context(), e.File)
		want(t, err, fault.Gone, "a backup whose key is destroyed and whose file is there")
		must[[]keyring.Epoch](t)(s.End(t.Context()))
		if files, err := os.ReadDir(o.Backups); err != nil || len(files) != 0 {
			t.Errorf("left %v (%v)", files, err)
		}
		// Killed while the key was overwritten: zeros are no key, and it is destroyed again.
		e = must[keyring.Epoch](t)(s.Make(t.Context()))
		file := filepath.Join(o.Backups, e.ID+".epoch")
		if err := os.WriteFile(file, make([]byte, len(must[[]byte](t)(os.ReadFile(file)))), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = s.Recall(t.Context(), e.File)
		want(t, err, fault.Gone, "a backup whose key is zeros")
		if ended := must[[]keyring.Epoch](t)(s.End(t.Context())); len(ended) != 1 {
			t.Errorf("ended %+v", ended)
		}
		must[keyring.Epoch](t)(s.Make(t.Context()))
	})
}

// Beside a database that other nodes use backups need a folder that all of them see.
func TestSharedKeysNeedASharedShelf(t *testing.T) {
	c := newClock()
	r := keyringtest.Open(t, keyring.Options{Dir: t.TempDir(), URL: pgtest.URL(t), Now: c.now})
	_, err := r.Shelf()
	want(t, err, fault.Conflict, "a shelf beside keys.url")
}

// An epoch key is bound to its own name: under another one, which would let it live
// longer, it does not open.
func TestEpochCannotBeRenewed(t *testing.T) { // breaks: data.crypto-erase
	c := newClock()
	o := keyring.Options{Dir: t.TempDir(), Now: c.now}
	r := keyringtest.Open(t, o)
	s := shelf(t, r)
	old := must[keyring.Epoch](t)(s.Make(t.Context()))
	c.add(keyring.BackupLife - time.Hour)
	fresh := must[keyring.Epoch](t)(s.Make(t.Context()))
	copyFile(t, filepath.Join(s.Dir(), old.ID+".epoch"), filepath.Join(s.Dir(), fresh.ID+".epoch"))
	_, err := s.Check(fresh.File)
	want(t, err, fault.Sealed, "a key in the place of another")
}

// A backup whose keys do not open with the root key that opens the backup is refused.
func TestRestoreOfForeignKeys(t *testing.T) {
	withBackups(t, func(t *testing.T, o keyring.Options, c *clock) {
		here := keyringtest.Open(t, o)
		there := keyringtest.Reopen(t, o) // another node, which replaces the root key
		next := secret.Random(keyring.RootSize)
		for _, err := range []error{there.AddRoot(t.Context(), next), there.KeepRoot(t.Context(), next)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		e := must[keyring.Epoch](t)(shelf(t, here).Make(t.Context()))
		n := elsewhere(t, o, "")
		_, err := keyring.Restore(t.Context(), n, e.File)
		want(t, err, fault.Sealed, "restore of keys under another root key")
		if _, err := os.Stat(filepath.Join(n.Dir, "keys.db")); err == nil {
			t.Error("it left a database of keys")
		}
	})
}

// With a clock that was set back nothing is sealed under the key of a day that has not begun.
func TestEpochOfAClockSetBack(t *testing.T) { // breaks: data.crypto-erase
	c := newClock()
	r := keyringtest.Open(t, keyring.Options{Dir: t.TempDir(), Now: c.now})
	s := shelf(t, r)
	ahead := must[keyring.Epoch](t)(s.Make(t.Context()))
	c.add(-2 * time.Hour)
	if e := must[keyring.Epoch](t)(s.Make(t.Context())); e.ID == ahead.ID || !e.Begun.Equal(c.now()) {
		t.Errorf("made %+v after %+v", e, ahead)
	}
}

func FuzzBackup(f *testing.F) {
	f.Add([]byte("writ-keys 1 00000000000000000000000000000000 1\n"))
	f.Add([]byte("writ-keys 1 00000000000000000000000000000000 1\np\x00\x00\x00\x01x"))
	f.Add([]byte(`{"t":"keyring_named","r":["a",1,"k","AA==",5]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if keyring.ReadsBackup(b) {
			t.Fatalf("a backup that nothing sealed is taken: %q", b)
		}
		keyring.ReadsLine(b)
	})
}

// A backup of a hundred thousand keys, written and read again.
func BenchmarkBackup(b *testing.B) {
	c := newClock()
	r := keyringtest.Open(b, keyring.Options{Dir: b.TempDir(), Now: c.now})
	if err := keyring.Multiply(b.Context(), r, 100_000); err != nil {
		b.Fatal(err)
	}
	s, err := r.Shelf()
	if err != nil {
		b.Fatal(err)
	}
	var size int64
	for b.Loop() {
		c.add(time.Second)
		e, err := s.Make(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		size = e.Size
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}
