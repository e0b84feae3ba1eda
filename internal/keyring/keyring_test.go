package keyring_test

import (
	"bytes"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/keyring/keyringtest"
	"writ/internal/pgtest"
)

var place = envelope.AAD{Table: "test", Column: "value", Row: "1", Version: 1}

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

// both runs a test on each engine.
func both(t *testing.T, test func(t *testing.T, o keyring.Options, c *clock)) {
	t.Run("sqlite", func(t *testing.T) {
		c := newClock()
		test(t, keyring.Options{Dir: t.TempDir(), Now: c.now}, c)
	})
	t.Run("postgres", func(t *testing.T) {
		c := newClock()
		test(t, keyring.Options{Dir: t.TempDir(), URL: pgtest.URL(t), Now: c.now}, c)
	})
}

// raw opens the database of keys behind the ring's back.
func raw(t *testing.T, o keyring.Options) *sql.DB {
	t.Helper()
	driver, name := "pgx", o.URL
	if name == "" {
		driver, name = "sqlite3", "file:"+(&url.URL{Path: filepath.Join(o.Dir, "keys.db")}).EscapedPath()+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func want(t *testing.T, err error, kind fault.Kind, what string) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("%s: got %v, want %s", what, err, kind)
	}
}

func TestKeyOutlivesTheProcess(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		r := keyringtest.Open(t, o)
		ana, zoe := keyring.Person("ana"), keyring.Person("zoe")
		_, err := r.Key(t.Context(), ana)
		want(t, err, fault.NotFound, "key before it is made")
		k := must[envelope.Key](t)(r.Ensure(t.Context(), ana))
		if other := must[envelope.Key](t)(r.Ensure(t.Context(), zoe)); other.ID() == k.ID() {
			t.Fatal("two subjects have one key")
		}
		box := k.Seal([]byte("hello"), place)
		page, sign := r.Page(), must2(t, r, "journal/sign", 32)
		if page.Len() != 64 {
			t.Fatalf("page key has %d bytes, want 64", page.Len())
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = r.Key(t.Context(), ana)
		want(t, err, fault.Sealed, "key after Close")

		r = keyringtest.Reopen(t, o)
		id := must[string](t)(envelope.KeyID(box))
		for name, get := range map[string]func() (envelope.Key, error){
			"Key":    func() (envelope.Key, error) { return r.Key(t.Context(), ana) },
			"ByID":   func() (envelope.Key, error) { return r.ByID(t.Context(), id) },
			"Ensure": func() (envelope.Key, error) { return r.Ensure(t.Context(), ana) },
		} {
			for range 2 { // from the store, then from memory
				plain, err := must[envelope.Key](t)(get()).Open(box, place)
				if err != nil || string(plain.Reveal()) != "hello" {
					t.Errorf("%s: open gives %v", name, err)
				}
			}
		}
		if !r.Page().Equal(page) || !must2(t, r, "journal/sign", 32).Equal(sign) {
			t.Error("a named secret changed")
		}
		_, err = r.ByID(t.Context(), "0123456789abcdef0123456789abcdef")
		want(t, err, fault.NotFound, "unknown id")
	})
}

func TestNamedSecrets(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		r := keyringtest.Open(t, o)
		a := must2(t, r, "gateway/assertion", 32)
		if a.Len() != 32 || a.Equal(must2(t, r, "journal/sign", 32)) {
			t.Fatal("named secrets are not their own")
		}
		before := append([]byte(nil), a.Reveal()...)
		a.Wipe()
		if !bytes.Equal(must2(t, r, "gateway/assertion", 32).Reveal(), before) {
			t.Error("wiping a caller's copy changed the secret")
		}
		_, err := r.Named(t.Context(), "gateway/assertion", 64)
		want(t, err, fault.Invalid, "another size")
		for _, bad := range []string{"", "/a", "a/", "A", "a b", "a//b", strings.Repeat("a", 101)} {
			_, err := r.Named(t.Context(), bad, 32)
			want(t, err, fault.Invalid, fmt.Sprintf("name %q", bad))
		}
		_, err = r.Named(t.Context(), "short", 15)
		want(t, err, fault.Invalid, "15 bytes")
	})
}

func TestConcurrentEnsureGivesOneKey(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		one := keyringtest.Open(t, o)
		rings := []*keyring.Ring{one, keyringtest.Reopen(t, o)} // as two processes
		const callers, subjects = 16, 3
		var wg sync.WaitGroup
		var mu sync.Mutex
		ids := map[keyring.Subject]map[string]bool{}
		for i := range callers * subjects {
			wg.Go(func() {
				s := keyring.Person(fmt.Sprint(i % subjects))
				k, err := rings[i%2].Ensure(t.Context(), s)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if ids[s] == nil {
					ids[s] = map[string]bool{}
				}
				ids[s][k.ID()] = true
			})
		}
		wg.Wait()
		for s, got := range ids {
			if len(got) != 1 {
				t.Errorf("%s has %d keys, want 1", s, len(got))
			}
		}
		var stored int
		if err := raw(t, o).QueryRow("SELECT count(*) FROM keyring_key").Scan(&stored); err != nil || stored != subjects {
			t.Errorf("%d keys stored (%v), want %d", stored, err, subjects)
		}
	})
}

func TestRenew(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		r := keyringtest.Open(t, o)
		s := keyring.Class("identity.password")
		_, err := r.Renew(t.Context(), s)
		want(t, err, fault.NotFound, "renew without a key")
		old := must[envelope.Key](t)(r.Ensure(t.Context(), s))
		box := old.Seal([]byte("x"), place)
		c.add(time.Hour)
		next := must[envelope.Key](t)(r.Renew(t.Context(), s))
		if next.ID() <= old.ID() {
			t.Errorf("ids do not rise with time: %s after %s", next.ID(), old.ID())
		}
		if k := must[envelope.Key](t)(r.Ensure(t.Context(), s)); k.ID() != next.ID() {
			t.Error("Ensure does not give the newest version")
		}
		if _, err := must[envelope.Key](t)(r.ByID(t.Context(), old.ID())).Open(box, place); err != nil {
			t.Errorf("the former version does not open its box: %v", err)
		}
	})
}

func TestStatus(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, c *clock) {
		made := c.now()
		r := keyringtest.Open(t, o)
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("a")))
		c.add(time.Hour)
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("b")))
		must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("c")))
		must[keyring.Destroyed](t)(r.Erase(t.Context(), keyring.Person("c")))
		got := must[keyring.Status](t)(r.Status(t.Context()))
		store := "sqlite"
		if o.URL != "" {
			store = "postgres"
		}
		expected := keyring.Status{Store: store, RootFrom: "file", Root: filepath.Join(o.Dir, "root.key"), RootID: got.RootID, Roots: 1, RootBesideData: true, Keys: 2,
			Oldest: made, Newest: made.Add(time.Hour), KEK: 1, KEKMade: made, Erased: 1}
		if got != expected {
			t.Errorf("status\n got %+v\nwant %+v", got, expected)
		}
	})
	t.Run("root elsewhere", func(t *testing.T) {
		o := keyring.Options{Dir: t.TempDir(), Root: filepath.Join(t.TempDir(), "root.key"), Now: time.Now}
		if st := must[keyring.Status](t)(keyringtest.Open(t, o).Status(t.Context())); st.RootBesideData {
			t.Error("a root key in another folder is said to lie beside the data")
		}
	})
}

func TestCreateChangesNothingThatExists(t *testing.T) {
	both(t, func(t *testing.T, o keyring.Options, _ *clock) {
		keyringtest.Open(t, o)
		root := filepath.Join(o.Dir, "root.key")
		before := must[[]byte](t)(os.ReadFile(root))
		want(t, keyring.Create(t.Context(), o), fault.Conflict, "second Create")
		if !bytes.Equal(before, must[[]byte](t)(os.ReadFile(root))) {
			t.Error("root.key was replaced")
		}
		if err := os.Rename(root, root+".aside"); err != nil {
			t.Fatal(err)
		}
		want(t, keyring.Create(t.Context(), o), fault.Conflict, "Create beside the keys alone")
		if _, err := os.Stat(root); !errors.Is(err, os.ErrNotExist) {
			t.Error("a refused Create left a root.key behind")
		}
		if err := os.Rename(root+".aside", root); err != nil {
			t.Fatal(err)
		}
		keyringtest.Reopen(t, o)
	})
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	o := keyring.Options{Dir: filepath.Join(t.TempDir(), "a b+c?d%20&é#;"), Now: time.Now}
	keyringtest.Open(t, o)
	for name, mode := range map[string]os.FileMode{"root.key": 0o400, "keys.db": 0o600} {
		info, err := os.Stat(filepath.Join(o.Dir, name))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v (%v), want %v", name, info.Mode(), err, mode)
		}
	}
}

// Each way to have the wrong keys is Sealed, names the file and shows no byte of it.
func TestOpenSealed(t *testing.T) { // breaks: crypto.at-rest
	foreign := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	put := func(text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, "root.key")
			if err := errors.Join(os.Remove(path), os.WriteFile(path, []byte(text), 0o400)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		spoil func(t *testing.T, dir string)
		code  string
		file  string
	}{
		"root of another set-up": {put(foreign), "root_wrong", "root.key"},
		"root cut short":         {put(foreign[:20]), "root_malformed", "root.key"},
		"root with more behind":  {put(foreign + "\nAAAA"), "root_malformed", "root.key"},
		"root empty":             {put(""), "root_malformed", "root.key"},
		"root huge":              {put(strings.Repeat(foreign, 100)), "root_malformed", "root.key"},
		"root missing":           {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "root.key")) }, "root_missing", "root.key"},
		"root for the group":     {func(t *testing.T, dir string) { os.Chmod(filepath.Join(dir, "root.key"), 0o440) }, "root_exposed", "root.key"},
		"root for everyone":      {func(t *testing.T, dir string) { os.Chmod(filepath.Join(dir, "root.key"), 0o404) }, "root_exposed", "root.key"},
		"keys missing":           {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "keys.db")) }, "keys_missing", "keys.db"},
		"keys empty":             {func(t *testing.T, dir string) { os.Truncate(filepath.Join(dir, "keys.db"), 0) }, "keys_damaged", "keys.db"},
		"keys not a database": {func(t *testing.T, dir string) {
			os.WriteFile(filepath.Join(dir, "keys.db"), bytes.Repeat([]byte("no"), 5000), 0o600)
		}, "keys_damaged", "keys.db"},
	} {
		t.Run(name, func(t *testing.T) {
			o := keyring.Options{Dir: t.TempDir(), Now: time.Now}
			if err := keyring.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			test.spoil(t, o.Dir)
			r, err := keyring.Open(t.Context(), o)
			if err == nil {
				r.Close()
			}
			code, public := fault.PublicOf(err)
			if fault.KindOf(err) != fault.Sealed || code != test.code || !strings.Contains(public.Problem, test.file) {
				t.Errorf("got %v (%s: %q), want sealed %s naming %s", err, code, public.Problem, test.code, test.file)
			}
			if err != nil && strings.Contains(err.Error(), foreign[:12]) {
				t.Errorf("the error repeats root.key: %v", err)
			}
		})
	}
}

func TestOpenWithoutTables(t *testing.T) {
	o := keyring.Options{Dir: t.TempDir(), Now: time.Now}
	if err := keyring.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	o.URL = pgtest.URL(t)
	_, err := keyring.Open(t.Context(), o)
	want(t, err, fault.Sealed, "an empty database at keys.url")
	o.URL = "mysql://x"
	_, err = keyring.Open(t.Context(), o)
	want(t, err, fault.Invalid, "another engine")
	o.URL = "postgres://writ@/x?host=" + t.TempDir()
	_, err = keyring.Open(t.Context(), o)
	want(t, err, fault.Unavailable, "a database that is away")
}

// A writer to keys.db cannot give one subject another one's key.
func TestMovedRowsDoNotOpen(t *testing.T) { // breaks: crypto.at-rest
	for name, spoil := range map[string]func(one, two *row){
		"boxes swapped":   func(one, two *row) { one.box, two.box = two.box, one.box },
		"marks swapped":   func(one, two *row) { one.mark, two.mark = two.mark, one.mark },
		"version changed": func(one, two *row) { one.version, two.version = 2, 2 },
		"bit flipped":     func(one, two *row) { one.box[50] ^= 1; two.box[50] ^= 1 },
		"cut short":       func(one, two *row) { one.box, two.box = one.box[:10], nil },
		"other KEK named": func(one, two *row) { one.box[2] ^= 1; two.box[2] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, o keyring.Options, _ *clock) {
				r := keyringtest.Open(t, o)
				a, b := keyring.Person("a"), keyring.Person("b")
				one := read(t, o, must[envelope.Key](t)(r.Ensure(t.Context(), a)).ID())
				two := read(t, o, must[envelope.Key](t)(r.Ensure(t.Context(), b)).ID())
				spoil(&one, &two)
				write(t, o, one, two)
				r = keyringtest.Reopen(t, o)
				_, err := r.Key(t.Context(), a)
				want(t, err, fault.Sealed, "key of a")
				_, err = r.Ensure(t.Context(), b)
				want(t, err, fault.Sealed, "key of b")
				_, err = r.ByID(t.Context(), one.id)
				want(t, err, fault.Sealed, "key by id")
			})
		})
	}
}

// row is a stored key as a writer to the database sees it.
type row struct {
	id, mark string
	version  int
	box      []byte
}

func read(t *testing.T, o keyring.Options, id string) row {
	t.Helper()
	k := row{id: id}
	err := raw(t, o).QueryRow("SELECT mark, version, box FROM keyring_key WHERE id = $1", id).Scan(&k.mark, &k.version, &k.box)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t *testing.T, o keyring.Options, rows ...row) {
	t.Helper()
	db := raw(t, o)
	if _, err := db.Exec("DELETE FROM keyring_key"); err != nil {
		t.Fatal(err)
	}
	for _, k := range rows {
		if k.box == nil {
			k.box = []byte{}
		}
		_, err := db.Exec("INSERT INTO keyring_key (id, kind, mark, version, kek, box, created) VALUES ($1, 'person', $2, $3, '', $4, 1)", k.id, k.mark, k.version, k.box)
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestSubjects(t *testing.T) {
	r := keyringtest.New(t)
	month := keyring.Strangers(time.Date(2026, 12, 1, 0, 30, 0, 0, time.FixedZone("", 3600)))
	for s, text := range map[keyring.Subject]string{
		keyring.Person("ana"):         "person/ana",
		keyring.Class("identity.otp"): "class/identity.otp",
		month:                         "stranger/2026-11",
		{Kind: "candidate", ID: "7"}:  "candidate/7",
	} {
		if s.String() != text {
			t.Errorf("got %s, want %s", s, text)
		}
		must[envelope.Key](t)(r.Ensure(t.Context(), s))
	}
	for _, s := range []keyring.Subject{{}, {Kind: "person"}, {ID: "x"}, {Kind: "a/b", ID: "x"}, {Kind: "A", ID: "x"},
		{Kind: "person", ID: "a\nb"}, {Kind: "person", ID: "\xff"}, {Kind: "person", ID: strings.Repeat("a", 201)}} {
		_, err := r.Ensure(t.Context(), s)
		want(t, err, fault.Invalid, fmt.Sprintf("subject %q", s))
	}
}

// Neither a ring nor what it returns shows a key when printed, also not inside
// another struct, where fmt asks no method of unexported fields.
func TestPrintsNoKey(t *testing.T) {
	r := keyringtest.New(t)
	k := must[envelope.Key](t)(r.Ensure(t.Context(), keyring.Person("a")))
	b := must2(t, r, "journal/sign", 32).Reveal()
	around := struct{ r *keyring.Ring }{r}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		out := fmt.Sprintf(verb+verb+verb, r, k, around)
		for _, form := range []string{string(b), fmt.Sprintf("%x", b), strings.Trim(fmt.Sprint(b), "[]")} {
			if strings.Contains(out, form) {
				t.Errorf("%s shows a secret", verb)
			}
		}
	}
}

func FuzzParseRoot(f *testing.F) {
	good := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))
	for _, s := range []string{"", good, good + "\n", " " + good, good[:43], strings.Repeat("A", 44), strings.Repeat("=", 44)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, ok := keyring.ParseRoot(text)
		if ok != (b.Len() == 32) {
			t.Fatalf("ok %v with %d bytes", ok, b.Len())
		}
		if ok && base64.StdEncoding.EncodeToString(b.Reveal()) != string(bytes.TrimSpace(text)) {
			t.Fatal("two texts give one key")
		}
	})
}
