package keyring_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/secret"
)

// A root key that is handed over needs no file, and nothing writes one.
func TestRootGiven(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		o.Given = secret.Random(32)
		r := keyringtest.Open(t, o)
		k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
		if _, err := os.Stat(filepath.Join(o.Dir, "root.key")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("root.key: %v", err)
		}
		st := must[keyring.Status](t)(r.Status(t.Context()))
		if st.RootFrom != "given" || st.Root != "" || st.RootBesideData || st.RootID != keyring.Fingerprint(o.Given) {
			t.Errorf("status %+v", st)
		}
		r.Close()
		if o.Given.Equal(secret.NewBytes(make([]byte, 32))) {
			t.Fatal("the caller's root key was wiped")
		}
		again := must[envelope.Key](t)(keyringtest.Reopen(t, o).Key(t.Context(), keyring.Person("ana")))
		if again.ID() != k.ID() {
			t.Error("another key after the restart")
		}
		opens(t, o, secret.Random(32), "root_wrong")
	})
}

// opens tries to open the keys with a root; code "" means that it must succeed.
func opens(t *testing.T, o keyring.Options, root secret.Bytes, code string) {
	t.Helper()
	o.Given = root
	r, err := keyring.Open(t.Context(), o)
	if err == nil {
		_, err = r.Key(t.Context(), keyring.Person("ana"))
		r.Close()
	}
	got := ""
	if err != nil {
		got, _ = fault.PublicOf(err)
	}
	if got != code {
		t.Errorf("open with %s: %q (%v), want %q", keyring.Fingerprint(root), got, err, code)
	}
}

func TestReplaceTheRoot(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		old, next := secret.Random(32), secret.Random(32)
		o.Given = old
		r := keyringtest.Open(t, o)
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
		want(t, r.KeepRoot(t.Context(), next), fault.Sealed, "keep a root that opens nothing")
		opens(t, o, old, "")
		for range 2 { // adding again changes nothing
			if err := r.AddRoot(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
		opens(t, o, old, "")
		opens(t, o, next, "")
		if st := must[keyring.Status](t)(r.Status(t.Context())); st.Roots != 2 {
			t.Errorf("status %+v", st)
		}
		sealed := rootBoxes(t, o, keyring.Fingerprint(old))
		for range 2 {
			if err := r.KeepRoot(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
		opens(t, o, old, "root_wrong")
		opens(t, o, next, "")
		st := must[keyring.Status](t)(r.Status(t.Context()))
		if st.Roots != 1 || st.RootID != keyring.Fingerprint(next) {
			t.Errorf("status %+v", st)
		}
		if o.URL == "" {
			for _, b := range sealed {
				if f := leftover(t, o.Dir, b); f != "" {
					t.Errorf("a key sealed under the forgotten root is still in %s", f)
				}
			}
		}
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("zoe"))) // the ring goes on
	})
}

func rootBoxes(t *testing.T, o keyring.Options, root string) (all [][]byte) {
	t.Helper()
	rows, err := raw(t, o).Query("SELECT box FROM keyring_root WHERE root = $1", root)
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
	if len(all) == 0 {
		t.Fatal("no boxes")
	}
	return all
}

func TestFingerprint(t *testing.T) {
	a := secret.Random(32)
	if f := keyring.Fingerprint(a); !strings.HasPrefix(f, "root-") || f != keyring.Fingerprint(a) || f == keyring.Fingerprint(secret.Random(32)) {
		t.Errorf("fingerprint %q", f)
	}
	if f := keyring.Fingerprint(secret.Random(31)); f != "" {
		t.Errorf("31 bytes have the fingerprint %q", f)
	}
}

// A process that dies while the root key is replaced leaves keys that open with the
// root that was in use before, and with the next one from the moment it is added.
func TestReplacingTheRootSurvivesAKill(t *testing.T) {
	old, next := secret.NewBytes([]byte(strings.Repeat("o", 32))), secret.NewBytes([]byte(strings.Repeat("n", 32)))
	if step := os.Getenv("KEYRING_KILL_AT"); step != "" {
		r := keyringtest.Reopen(t, keyring.Options{Dir: os.Getenv("KEYRING_DIR"), URL: os.Getenv("KEYRING_URL"), Given: old, Now: time.Now})
		r.StopAt(func(s string) error {
			if s == step {
				os.Exit(7)
			}
			return nil
		})
		t.Fatalf("step %s never came: %v", step, errors.Join(r.AddRoot(t.Context(), next), r.KeepRoot(t.Context(), next)))
	}
	for step, opened := range map[string]struct{ old, next string }{
		"added":              {"", "root_wrong"},
		"added and kept":     {"", ""},
		"forgotten":          {"", ""},
		"forgotten and kept": {"root_wrong", ""},
	} {
		t.Run(step, func(t *testing.T) {
			both(t, func(t *testing.T, o keyring.Options, _ *clock) {
				o.Given = old
				r := keyringtest.Open(t, o)
				must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
				r.Close()
				dieAt(t, "TestReplacingTheRootSurvivesAKill", step, o)
				opens(t, o, old, opened.old)
				opens(t, o, next, opened.next)
				if opened.old != "" {
					return
				}
				r = keyringtest.Reopen(t, o) // the replacement is done again from its start
				if err := errors.Join(r.AddRoot(t.Context(), next), r.KeepRoot(t.Context(), next)); err != nil {
					t.Fatal(err)
				}
				opens(t, o, old, "root_wrong")
				opens(t, o, next, "")
			})
		})
	}
}

// dieAt runs a test in a process of its own, which ends at a step.
func dieAt(t *testing.T, test, step string, o keyring.Options) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), "KEYRING_KILL_AT="+step, "KEYRING_DIR="+o.Dir, "KEYRING_URL="+o.URL)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
		t.Fatalf("the child was not killed at %q: %v\n%s", step, err, out)
	}
}

// What a former build wrote opens, and has the tables of today afterwards.
func TestKeysOfAFormerBuildOpen(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		r := keyringtest.Open(t, o)
		k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("ana")))
		page := r.Page()
		r.Close()
		db := raw(t, o)
		box := rootBoxes(t, o, must[keyring.Status](t)(keyringtest.Reopen(t, o).Status(t.Context())).RootID)[0]
		zero := "x''"
		if o.URL != "" {
			zero = `'\x'`
		}
		for _, s := range []string{"ALTER TABLE keyring_kek ADD COLUMN box BYTEA NOT NULL DEFAULT " + zero, "DROP TABLE keyring_root",
			"ALTER TABLE keyring_kek DROP COLUMN retired", "ALTER TABLE keyring_kek DROP COLUMN destroyed", "DROP INDEX keyring_key_kek",
			"ALTER TABLE keyring_key DROP COLUMN kek", "ALTER TABLE keyring_key DROP COLUMN seals", "ALTER TABLE keyring_named DROP COLUMN kek"} {
			if _, err := db.Exec(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
		if _, err := db.Exec("UPDATE keyring_kek SET box = $1", box); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			r = keyringtest.Reopen(t, o)
			if got := must[envelope.Key](t)(r.Key(t.Context(), keyring.Person("ana"))); got.ID() != k.ID() || !r.Page().Equal(page) {
				t.Error("other keys than before")
			}
			must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("zoe")))
		}
		var wild int
		if err := db.QueryRow("SELECT count(*) FROM keyring_key WHERE kek NOT IN (SELECT id FROM keyring_kek)").Scan(&wild); err != nil || wild != 0 {
			t.Errorf("%d keys name no KEK (%v)", wild, err)
		}
	})
}
