package e2e

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"writ/internal/pgtest"
)

// way is the socket through which the server reaches a database: the test can close it.
type way struct {
	t        testing.TB
	dir      string
	database string // address of the database itself
	mu       sync.Mutex
	l        net.Listener
	open     map[net.Conn]bool
}

func newWay(t testing.TB) *way {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "e2e") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	w := &way{t: t, dir: dir, database: pgtest.URL(t), open: map[net.Conn]bool{}}
	w.resume()
	t.Cleanup(func() {
		w.cut()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return w
}

const pgSocket = ".s.PGSQL.5432"

// url is the database's address by this way.
func (w *way) url() string {
	u, err := url.Parse(w.database)
	if err != nil {
		w.t.Fatal(err)
	}
	u.RawQuery = url.Values{"host": {w.dir}}.Encode()
	return u.String()
}

// resume lets connections through.
func (w *way) resume() {
	w.t.Helper()
	u, err := url.Parse(w.database)
	if err != nil {
		w.t.Fatal(err)
	}
	real := filepath.Join(u.Query().Get("host"), pgSocket)
	l, err := net.Listen("unix", filepath.Join(w.dir, pgSocket))
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.l = l
	w.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go w.pass(c, real)
		}
	}()
}

func (w *way) pass(c net.Conn, real string) {
	d, err := net.Dial("unix", real)
	if err != nil {
		c.Close()
		return
	}
	w.mu.Lock()
	w.open[c], w.open[d] = true, true
	w.mu.Unlock()
	done := make(chan struct{}, 2)
	for _, p := range [][2]net.Conn{{c, d}, {d, c}} {
		go func() {
			_, _ = io.Copy(p[0], p[1]) // ends when either side does
			done <- struct{}{}
		}()
	}
	<-done
	c.Close()
	d.Close()
}

// cut ends all connections and takes no further one.
func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.l.Close()
	for c := range w.open {
		c.Close()
	}
	clear(w.open)
}

// onPostgres sets up a folder whose settings were prepared with two databases.
func onPostgres(t testing.TB, ledger, keys *way) *folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "w")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("company: Orchard\ndatabase: %q\nkeys:\n  url: %q\n", ledger.url(), keys.url())
	if err := os.WriteFile(filepath.Join(dir, "writ.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return newFolder(t, setup{dir: dir})
}

// The life of TestLife in short, with everything in PostgreSQL; and what happens when the
// database goes away in the middle.
func TestPostgres(t *testing.T) {
	t.Parallel()
	ledger, keys := newWay(t), newWay(t)
	f := onPostgres(t, ledger, keys)
	for _, name := range []string{"writ.db", "keys.db"} {
		if _, err := os.Stat(filepath.Join(f.dir, name)); err == nil {
			t.Errorf("%s is there beside PostgreSQL", name)
		}
	}
	s := f.serve()
	ana := s.owner("ana@example.test")
	ana.want(200, "GET", "policy", nil)
	const maria = "maria@orchard.example"
	v := s.customer(maria)
	v.want(200, "POST", "password", obj{"current": aPassword, "new": anotherPassword})
	v.want(202, "POST", "recovery", obj{"email": maria})
	var reset letter
	eventually(t, "the letter with the link", func() bool {
		for _, l := range s.letters(maria) {
			if strings.Contains(l.Text, "/-/recover/") {
				reset = l
			}
		}
		return reset.Text != ""
	})
	w := s.visitor()
	w.want(200, "POST", "recovery/"+reset.token(), obj{"new": thirdPassword})
	v.want(401, "GET", "session", nil)
	w.want(200, "POST", "sign-in", obj{"email": maria, "password": thirdPassword})
	must(t, 0, s.writ("journal", "verify"), "The tree is the one that was signed")

	ledger.cut()
	var a answer
	eventually(t, "a change is refused with words", func() bool {
		a = s.visitor().api("POST", "sign-up", obj{"email": "late@orchard.example", "password": aPassword, "name": ""})
		return a.status != 202
	})
	if a.status != 503 || a.field("detail") == "" || a.field("next") == "" {
		t.Errorf("without its database: %v", a)
	}
	if a := s.visitor().api("POST", "sign-in", obj{"email": maria, "password": thirdPassword}); a.status != 503 {
		t.Errorf("a sign-in without the database: %v", a)
	}
	ledger.resume()
	eventually(t, "the server goes on", func() bool {
		return s.visitor().api("POST", "sign-up", obj{"email": "later@orchard.example", "password": aPassword, "name": ""}).status == 202
	})
	s.letter("later@orchard.example", 1)
	w.want(200, "GET", "session", nil)
	must(t, 0, s.writ("journal", "verify"), "The tree is the one that was signed")
	s.stop()

	ledger.cut()
	must(t, 3, f.writ("serve"), "database")
	ledger.resume()
	s = f.serve()
	w.want(200, "GET", "session", nil)
	s.stop()
}

// A prepared writ.yaml is completed by the command line, and not contradicted; a refused
// run leaves it as it was.
func TestPreparedFolder(t *testing.T) {
	t.Parallel()
	args := func(dir string) command {
		return command{args: []string{"init", "--dir", dir, "--app", "https://app.example.com", "--upstream", "http://127.0.0.1:9", "--owner", "ana@example.test"}}
	}
	tests := []struct {
		name, file string
		code       int
		says       []string
	}{
		{"in clear over the world", "database: postgres://u:hunter22@203.0.113.7/writ\n", 1, []string{"database at 203.0.113.7", "in clear"}},
		{"keys in clear over the world", "keys: {url: \"postgres://u:hunter22@203.0.113.7/writ?sslmode=prefer\"}\n", 1, []string{"keys at 203.0.113.7", "in clear"}},
		{"unknown engine", "database: mysql://u:hunter22@127.0.0.1/writ\n", 1, []string{"postgres:"}},
		{"unknown key", "databse: x\n", 1, []string{"writ.yaml:1:1", "databse"}},
		{"another app", "app: https://other.example.com\n", 1, []string{"app", "different things"}},
		{"nobody there", "database: postgres://u:hunter22@127.0.0.1:9/writ\n", 3, []string{"database"}},
		{"good", "company: Fernhill\noperators: [\"0\"]\n", 0, []string{"is set up"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "writ.yaml")
			write(t, name, tt.file, 0o600)
			r := must(t, tt.code, args(dir), tt.says...)
			if strings.Contains(r.out+r.err, "hunter22") {
				t.Errorf("a password is shown: %v", r)
			}
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			es, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			if tt.code != 0 && (string(b) != tt.file || len(es) != 1) {
				t.Errorf("the refused run left %v and %q", es, b)
			}
			if tt.code == 0 && (!strings.Contains(string(b), "company: Fernhill") || !strings.Contains(string(b), "https://app.example.com")) {
				t.Errorf("the settings are %s", b)
			}
		})
	}
}
