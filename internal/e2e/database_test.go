package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// While the database file is away nothing is acknowledged that would be lost, and what
// is in memory goes on; with the file back the server does, too.
func TestDatabaseGone(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{})
	s := f.serve()
	v := s.customer("maria@orchard.example")
	db := filepath.Join(f.dir, "writ.db")
	move(t, db, db+".away")
	in := obj{"email": "late@orchard.example", "password": aPassword, "name": ""}
	if a := s.visitor().api("POST", "sign-up", in); a.status != 503 || a.field("detail") == "" || a.field("next") == "" {
		t.Errorf("without its database: %v", a)
	}
	if a := s.visitor().api("POST", "sign-in", obj{"email": "maria@orchard.example", "password": aPassword}); a.status != 503 {
		t.Errorf("a sign-in without the database: %v", a)
	}
	if a := v.send("GET", "/orders", nil, nil); a.status != 200 {
		t.Errorf("a signed-in customer: %v", a)
	}
	if _, err := os.Stat(db); err == nil {
		t.Error("an empty database was made in place of the one that is away")
	}
	move(t, db+".away", db)
	eventually(t, "the server goes on", func() bool { return s.visitor().api("POST", "sign-up", in).status == 202 })
	s.letter("late@orchard.example", 1)
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	s.stop()
	s = f.serve()
	v.want(200, "GET", "session", nil)
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	s.stop()
}

// A folder without its database, or with a part of it, is not taken for a new one: the
// start is refused with what to do, and makes no other file.
func TestDatabaseMissing(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{})
	s := f.serve()
	v := s.customer("maria@orchard.example")
	s.stop()
	db, keys := filepath.Join(f.dir, "writ.db"), filepath.Join(f.dir, "keys.db")
	whole := map[string]string{}
	for _, name := range []string{db, keys} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		whole[name] = string(b)
	}
	garbage := otherBytes(len(whole[db]))
	for _, tt := range []struct {
		name, file string
		text       *string // nil: it is not there
		says       []string
	}{
		{"no database", db, nil, []string{"writ.db is missing or empty", "backup"}},
		{"empty database", db, new(string), []string{"writ.db is missing or empty", "backup"}},
		{"cut database", db, new(whole[db][:8192]), []string{"writ.db is damaged", "backup"}},
		{"foreign bytes", db, &garbage, []string{"does not open with the key at hand", "backup"}},
		{"no keys", keys, nil, []string{"keys.db", "backup"}},
		{"empty keys", keys, new(string), []string{"keys.db", "backup"}},
		{"cut keys", keys, new(whole[keys][:8192]), []string{"keys.db", "backup"}},
		{"foreign keys", keys, &garbage, []string{"keys.db", "backup"}},
	} {
		t.Run(tt.name, func(t *testing.T) { // one after the other: they spoil the same folder
			remove(t, tt.file)
			if tt.text != nil {
				write(t, tt.file, *tt.text, 0o600)
			}
			must(t, 3, f.writ("serve"), tt.says...)
			if b, err := os.ReadFile(tt.file); tt.text == nil && err == nil || tt.text != nil && (err != nil || string(b) != *tt.text) {
				t.Errorf("the refused start left %d bytes, %v", len(b), err)
			}
			_ = os.Remove(tt.file) // it may not be there
			write(t, tt.file, whole[tt.file], 0o600)
		})
	}
	s = f.serve()
	v.want(200, "GET", "session", nil)
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	s.stop()
}

// otherBytes are bytes that no database begins with.
func otherBytes(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return string(b)
}
