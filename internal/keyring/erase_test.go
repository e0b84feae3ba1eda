package keyring_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/secret"
)

func must2(t *testing.T, r *keyring.Ring, name string, n int) secret.Bytes {
	t.Helper()
	return must[secret.Bytes](t)(r.Named(t.Context(), name, n))
}

// boxes reads all sealed keys behind the ring's back.
func boxes(t *testing.T, o keyring.Options) (all [][]byte) {
	t.Helper()
	rows, err := raw(t, o).Query("SELECT box FROM keyring_key")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// leftover reports which file in the folder holds a part of the sealed bytes.
func leftover(t *testing.T, dir string, box []byte) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "keys.db*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, f := range files {
		content := must[[]byte](t)(os.ReadFile(f))
		part := box[len(box)-60:]
		for i := 0; i+20 <= len(part); i++ {
			if bytes.Contains(content, part[i:i+20]) {
				return filepath.Base(f)
			}
		}
	}
	return ""
}

func TestErase(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		ana, zoe := keyring.Person("ana"), keyring.Person("zoe")
		_, err := r.Erase(t.Context(), ana)
		want(t, err, fault.NotFound, "erase without a key")
		k1 := must[envelope.Key](t)(r.Ensure(t.Context(), ana))
		k2 := must[envelope.Key](t)(r.Renew(t.Context(), ana))
		box := k1.Seal([]byte("hello"), place)
		must[envelope.Key](t)(r.ByID(t.Context(), k1.ID())) // in memory now
		kept := must[envelope.Key](t)(r.Ensure(t.Context(), zoe))
		before := boxes(t, o)
		if o.URL == "" && leftover(t, o.Dir, before[0]) == "" {
			t.Fatal("the search does not find what is there")
		}

		c.add(time.Minute)
		d := must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
		ids := []string{k1.ID(), k2.ID()}
		slices.Sort(ids)
		if d.Subject != ana || !slices.Equal(d.KeyIDs, ids) || !d.At.Equal(c.now()) || d.Method != keyring.Method || d.Pseudonym == "" {
			t.Errorf("destroyed %+v", d)
		}
		if strings.Contains(d.Pseudonym, "ana") {
			t.Error("the pseudonym names the subject")
		}
		c.add(time.Minute)
		for range 2 { // before and after a restart
			for what, ask := range map[string]func() error{
				"Key":    func() error { _, err := r.Key(t.Context(), ana); return err },
				"Ensure": func() error { _, err := r.Ensure(t.Context(), ana); return err },
				"Renew":  func() error { _, err := r.Renew(t.Context(), ana); return err },
				"ByID 1": func() error { _, err := r.ByID(t.Context(), k1.ID()); return err },
				"ByID 2": func() error { _, err := r.ByID(t.Context(), k2.ID()); return err },
			} {
				want(t, ask(), fault.Gone, what+" after the erasure")
			}
			again := must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
			if !again.At.Equal(d.At) || !slices.Equal(again.KeyIDs, d.KeyIDs) {
				t.Errorf("asked again: %+v, want %+v", again, d)
			}
			if k := must[envelope.Key](t)(r.Key(t.Context(), zoe)); k.ID() != kept.ID() {
				t.Error("another subject's key changed")
			}
			r = keyringtest.Reopen(t, o)
		}
		if _, err := kept.Open(box, place); err == nil {
			t.Error("the data opens with another key")
		}
		if o.URL == "" {
			live := boxes(t, o)
			for _, b := range before {
				file := leftover(t, o.Dir, b)
				if alive := slices.ContainsFunc(live, func(l []byte) bool { return bytes.Equal(l, b) }); alive != (file != "") {
					t.Errorf("a sealed key: alive %v, found in %q", alive, file)
				}
			}
			if content := must[[]byte](t)(os.ReadFile(filepath.Join(o.Dir, "keys.db"))); bytes.Contains(content, []byte("ana")) {
				t.Error("keys.db names the subject")
			}
		}
	})
}

// Rows move between pages as tables grow and shrink; no copy stays behind.
func TestEraseLeavesNoCopyInAnyPage(t *testing.T) { // breaks: data.crypto-erase
	o := keyring.Options{Dir: t.TempDir(), Now: time.Now}
	r := keyringtest.Open(t, o)
	const n = 120
	for i := range n {
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person(fmt.Sprint(i))))
	}
	all := boxes(t, o)
	for i := 0; i < n; i += 2 {
		must[keyring.Destroyed](t)(r.Erase(t.Context(), keyring.Person(fmt.Sprint(i))))
	}
	live := boxes(t, o)
	if len(all) != n || len(live) != n/2 {
		t.Fatalf("%d keys, then %d", len(all), len(live))
	}
	for _, b := range all {
		alive := slices.ContainsFunc(live, func(l []byte) bool { return bytes.Equal(l, b) })
		if file := leftover(t, o.Dir, b); !alive && file != "" {
			t.Fatalf("a destroyed key is still in %s", file)
		}
	}
}

// What some other connection left in the free space of a page is removed.
func TestEraseCleansFreeSpace(t *testing.T) { // breaks: data.crypto-erase
	o := keyring.Options{Dir: t.TempDir(), Now: time.Now}
	r := keyringtest.Open(t, o)
	ana := keyring.Person("ana")
	must[envelope.Key](t)(r.Ensure(t.Context(), ana))
	sealed := boxes(t, o)[0]
	db := raw(t, o) // has no secure_delete
	for _, s := range []string{"CREATE TABLE x (b BLOB)", "INSERT INTO x SELECT box FROM keyring_key", "DROP TABLE x"} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	r.StopAt(func(step string) error {
		if step == "destroyed" && leftover(t, o.Dir, sealed) == "" {
			t.Error("nothing was left behind, so nothing is tested")
		}
		return nil
	})
	must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
	if f := leftover(t, o.Dir, sealed); f != "" {
		t.Errorf("the sealed key is still in %s", f)
	}
}

// A copy that SQLite cannot remove is no erasure; nobody gets the key all the same,
// and the proof is completed when the copy is gone.
func TestEraseRefusesToCertifyACopy(t *testing.T) { // breaks: data.crypto-erase
	o := keyring.Options{Dir: t.TempDir(), Now: time.Now}
	r := keyringtest.Open(t, o)
	ana := keyring.Person("ana")
	must[envelope.Key](t)(r.Ensure(t.Context(), ana))
	part := boxes(t, o)[0]
	part = part[len(part)-36 : len(part)-24]
	wal := filepath.Join(o.Dir, "keys.db-wal")
	// Across the boundary of the blocks in which files are read.
	content := append(bytes.Repeat([]byte{part[0]}, 1<<20-6), part...)
	r.StopAt(func(step string) error {
		if step == "destroyed" {
			return os.WriteFile(wal, content, 0o600)
		}
		return nil
	})
	for range 2 { // asking again must not prove it either
		if _, err := r.Erase(t.Context(), ana); err == nil {
			t.Fatal("the erasure is certified although a file holds the key")
		}
	}
	_, err := r.Ensure(t.Context(), ana)
	want(t, err, fault.Gone, "key after a failed proof")
	if st := must[keyring.Status](t)(r.Status(t.Context())); st.Pending != 1 || st.Erased != 0 {
		t.Errorf("status %+v", st)
	}
	r.StopAt(nil)
	if err := os.Remove(wal); err != nil {
		t.Fatal(err)
	}
	must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
}

// A process that is killed after any step leaves an erasure that Open completes.
func TestEraseSurvivesAKill(t *testing.T) { // breaks: data.crypto-erase
	if step := os.Getenv("KEYRING_KILL_AT"); step != "" {
		r := keyringtest.Reopen(t, keyring.Options{Dir: os.Getenv("KEYRING_DIR"), URL: os.Getenv("KEYRING_URL"), Now: time.Now})
		r.StopAt(func(s string) error {
			if s == step {
				os.Exit(7)
			}
			return nil
		})
		r.Erase(t.Context(), keyring.Person("ana"))
		t.Fatalf("step %s never came", step)
	}
	for _, step := range []string{"intended", "destroyed", "verified"} {
		t.Run(step, func(t *testing.T) {
			both(t, func(t *testing.T, o keyring.Options, _ *clock) {
				r := keyringtest.Open(t, o)
				k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
				sealed := boxes(t, o)[0]
				r.Close()
				cmd := exec.Command(os.Args[0], "-test.run=^TestEraseSurvivesAKill$")
				cmd.Env = append(os.Environ(), "KEYRING_KILL_AT="+step, "KEYRING_DIR="+o.Dir, "KEYRING_URL="+o.URL)
				out, err := cmd.CombinedOutput()
				if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
					t.Fatalf("the child was not killed at the step: %v\n%s", err, out)
				}
				if left := len(boxes(t, o)); (left == 1) != (step == "intended") {
					t.Fatalf("%d keys stored after a kill when %s", left, step)
				}

				r = keyringtest.Reopen(t, o)
				if st := must[keyring.Status](t)(r.Status(t.Context())); st.Pending != 0 || st.Erased != 1 || st.Keys != 0 {
					t.Errorf("status after the restart %+v", st)
				}
				_, err = r.ByID(t.Context(), k.ID())
				want(t, err, fault.Gone, "the key")
				_, err = r.Ensure(t.Context(), keyring.Person("ana"))
				want(t, err, fault.Gone, "Ensure")
				d := must[keyring.Destroyed](t)(r.Erase(t.Context(), keyring.Person("ana")))
				if !slices.Equal(d.KeyIDs, []string{k.ID()}) || d.At.IsZero() {
					t.Errorf("destroyed %+v", d)
				}
				if o.URL == "" {
					if f := leftover(t, o.Dir, sealed); f != "" {
						t.Errorf("the sealed key is still in %s", f)
					}
				}
			})
		})
	}
}

// An erasure that fails or whose caller goes away half-way gives no key to anybody.
func TestEraseInterrupted(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		r := keyringtest.Open(t, o)
		ana := keyring.Person("ana")
		must[envelope.Key](t)(r.Ensure(t.Context(), ana))
		broken := errors.New("broken")
		r.StopAt(func(step string) error {
			if step == "intended" {
				return broken
			}
			return nil
		})
		if _, err := r.Erase(t.Context(), ana); !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
		_, err := r.Key(t.Context(), ana)
		want(t, err, fault.Gone, "key after the intent")
		r.StopAt(nil)
		must[keyring.Destroyed](t)(r.Erase(t.Context(), ana))
	})
}

// Readers that race with an erasure never put the key back into memory.
func TestEraseAgainstReaders(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		r := keyringtest.Open(t, o)
		for i := range 10 {
			s := keyring.Person(fmt.Sprint(i))
			k := must[envelope.Key](t)(r.Ensure(t.Context(), s))
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range 4 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						r.Key(t.Context(), s)
						r.ByID(t.Context(), k.ID())
						if _, err := r.Ensure(t.Context(), s); err != nil && !errors.Is(err, fault.Gone) {
							t.Errorf("ensure: %v", err)
						}
					}
				})
			}
			_, err := r.Erase(t.Context(), s)
			close(stop)
			wg.Wait()
			if err != nil {
				t.Fatal(err)
			}
			_, err = r.Key(t.Context(), s)
			want(t, err, fault.Gone, "key after the erasure")
			_, err = r.ByID(t.Context(), k.ID())
			want(t, err, fault.Gone, "id after the erasure")
		}
	})
}

// Another node learns of an erasure within a second.
func TestErasureReachesOtherNodes(t *testing.T) { // breaks: data.crypto-erase
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		if o.URL == "" {
			t.Skip("keys.db belongs to one process")
		}
		here := keyringtest.Open(t, o)
		there := keyringtest.Reopen(t, o)
		ana := keyring.Person("ana")
		k := must[envelope.Key](t)(there.Ensure(t.Context(), ana))
		must[envelope.Key](t)(there.ByID(t.Context(), k.ID()))
		must[keyring.Destroyed](t)(here.Erase(t.Context(), ana))
		c.add(time.Second)
		_, err := there.Key(t.Context(), ana)
		want(t, err, fault.Gone, "key on the other node")
		_, err = there.ByID(t.Context(), k.ID())
		want(t, err, fault.Gone, "id on the other node")
	})
}
