package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An interrupt ends the server with 0 after the request in flight was answered; what was
// there before is there after: sessions, people, the policy, the journal.
func TestRestart(t *testing.T) {
	t.Parallel()
	app := newApplication(t)
	f := newFolder(t, setup{upstream: app.url})
	s := f.serve()
	for _, name := range []string{"https=127.0.0.1:" + f.port, "app=" + f.origin} {
		if !strings.Contains(s.log.String(), name) {
			t.Errorf("the ready line does not say %s: %s", name, s.log)
		}
	}
	ana, v := s.owner("ana@example.test"), s.customer("maria@orchard.example")
	version := ana.want(200, "GET", "policy", nil).field("revision.version")

	closed(t, f.dir)

	arrived, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-release
		fmt.Fprint(w, "the end of a long answer")
	})
	app.on.Store(&slow)
	got := make(chan answer, 1)
	go func() {
		a, err := v.try("GET", "/long", nil, nil)
		if err != nil {
			a.body = err.Error()
		}
		got <- a
	}()
	<-arrived
	s.signal(syscall.SIGINT)
	eventually(t, "no further connection is taken", func() bool {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+f.port, time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if a := <-got; a.status != 200 || a.body != "the end of a long answer" {
		t.Errorf("the request in flight got %v", a)
	}
	if code := s.exit(); code != 0 {
		t.Fatalf("exit %d: %s", code, s.log)
	}
	app.on.Store(nil)
	must(t, 3, f.writ("check"), "No server runs on the folder", "writ serve --dir")

	s = f.serve()
	v.want(200, "GET", "session", nil)
	if a := v.send("GET", "/orders", nil, nil); a.status != 200 {
		t.Errorf("the application is not reached: %v", a)
	}
	if now := ana.want(200, "GET", "policy", nil).field("revision.version"); now != version {
		t.Errorf("the policy in force was %s and is %s", version, now)
	}
	must(t, 0, f.writ("user", "list"), "maria@orchard.example", "ana@example.test")
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != 0 {
		t.Errorf("SIGTERM: exit %d", code)
	}
}

// After kills in the middle of sign-ups, each at another moment, every acknowledged one can
// be confirmed, and the journal is whole and goes on from what it had signed.
func TestKilled(t *testing.T) { // breaks: log.tamper-evident
	t.Parallel()
	f := newFolder(t, setup{})
	seed := uint64(time.Now().UnixNano())
	moment := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	acknowledged := map[string]*visitor{}
	kept := filepath.Join(t.TempDir(), "checkpoint.txt")
	for round := range 6 {
		s := f.serve()
		if round > 0 {
			must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
		}
		untilKilled(t, s, round, time.Duration(moment.IntN(400))*time.Millisecond, acknowledged)
		if round == 0 {
			s = f.serve()
			eventually(t, "a checkpoint is signed", func() bool { return f.writ("journal", "checkpoint").run(t).code == 0 })
			write(t, kept, must(t, 0, f.writ("journal", "checkpoint")).out, 0o600)
			s.kill()
		}
	}

	s := f.serve()
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	for email, v := range acknowledged {
		tried := map[string]bool{} // a letter that was cut short by the kill is sent anew, with a link of its own
		eventually(t, "a letter to "+email+" confirms it", func() bool {
			ls := s.letters(email)
			if len(ls) == 0 || tried[ls[len(ls)-1].token()] {
				return false
			}
			token := ls[len(ls)-1].token()
			tried[token] = true
			return v.api("POST", "confirm", obj{"token": token}).status == 200
		})
	}
	for email, v := range acknowledged {
		v.want(200, "POST", "sign-in", obj{"email": email, "password": aPassword})
		break
	}
	bundle := filepath.Join(t.TempDir(), "e.zip")
	must(t, 0, f.writ("journal", "export", bundle, "--reason", "after the kills"))
	must(t, 0, command{args: []string{"verify", bundle, "--since", kept}}, "True:")
	s.stop()
}

// untilKilled signs people up until the server is killed, a while after the first
// acknowledgements, and keeps which were acknowledged.
func untilKilled(t *testing.T, s *server, round int, after time.Duration, acknowledged map[string]*visitor) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	stop := make(chan struct{})
	mine := map[string]*visitor{}
	for w := range 3 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				v := s.visitor()
				email := fmt.Sprintf("r%d-w%d-%d@kill.example", round, w, i)
				a, err := v.try("POST", "/-/api/v1/sign-up", encode(t, obj{"email": email, "password": aPassword, "name": ""}), jsonHead(obj{}))
				if err != nil {
					return
				}
				if a.status == 202 {
					mu.Lock()
					mine[email] = v
					mu.Unlock()
				}
			}
		})
	}
	eventually(t, "some sign-ups are acknowledged", func() bool { mu.Lock(); defer mu.Unlock(); return len(mine) >= 3 })
	time.Sleep(after)
	s.kill()
	close(stop)
	wg.Wait()
	maps.Copy(acknowledged, mine)
}

// What stands in the way of a start is named, with what to do; the exit status tells a
// wrong setting (1) from keys that are not there (3).
func TestStartRefused(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{})
	settings := filepath.Join(f.dir, "writ.yaml")
	root := filepath.Join(f.dir, "root.key")
	other := newFolder(t, setup{})
	tests := []struct {
		name  string
		spoil func(t *testing.T)
		mend  func(t *testing.T)
		code  int
		says  []string
	}{
		{"port taken", func(t *testing.T) { occupy(t, "127.0.0.1:"+f.port) }, nil, 1, []string{"Port " + f.port, "taken", "ss -ltnp"}},
		{"unknown key", func(t *testing.T) { f.edit(func(s string) string { return s + "colour: red\n" }) }, nil, 1, []string{"writ.yaml:10:1", "colour"}},
		{"key twice", func(t *testing.T) { f.edit(func(s string) string { return s + "company: Again\n" }) }, nil, 1, []string{"writ.yaml:10:1", "company"}},
		{"not YAML", func(t *testing.T) { f.edit(func(string) string { return "app: [\n" }) }, nil, 1, []string{"writ.yaml:1:6"}},
		{"wrong type", func(t *testing.T) {
			f.edit(func(s string) string { return strings.Replace(s, "mail:", "mail: 7\nx:", 1) })
		}, nil, 1, []string{"writ.yaml:7:7"}},
		{"not https", func(t *testing.T) {
			f.edit(func(s string) string { return strings.Replace(s, "https://", "http://", 1) })
		}, nil, 1, []string{"app is", "https://app.example.com"}},
		{"folder of others", func(t *testing.T) { chmod(t, f.dir, 0o755) }, func(t *testing.T) { chmod(t, f.dir, 0o700) }, 1, []string{"0755", "chmod 700"}},
		{"root.key readable", func(t *testing.T) { chmod(t, root, 0o444) }, func(t *testing.T) { chmod(t, root, 0o400) }, 3, []string{"root.key", "only its owner", "chmod 400"}},
		{"root.key missing", func(t *testing.T) { move(t, root, root+".away") }, func(t *testing.T) { move(t, root+".away", root) }, 3, []string{"root.key is missing", "Put the file back"}},
		{"root.key of another", func(t *testing.T) { move(t, root, root+".away"); move(t, filepath.Join(other.dir, "root.key"), root) },
			func(t *testing.T) { move(t, root, filepath.Join(other.dir, "root.key")); move(t, root+".away", root) }, 3, []string{"root.key"}},
		{"root.key garbage", func(t *testing.T) { move(t, root, root+".away"); write(t, root, "nonsense\n", 0o400) },
			func(t *testing.T) { remove(t, root); move(t, root+".away", root) }, 3, []string{"root.key does not hold a root key"}},
	}
	whole, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests { // one after the other: they spoil the same folder
		ok := t.Run(tt.name, func(t *testing.T) {
			tt.spoil(t)
			r := must(t, tt.code, f.writ("serve"), tt.says...)
			if strings.Contains(r.err, "msg=ready") {
				t.Error("it was ready")
			}
			write(t, settings, string(whole), 0o600)
			if tt.mend != nil {
				tt.mend(t)
			}
		})
		if !ok {
			write(t, settings, string(whole), 0o600)
		}
	}
	f.serve().stop() // nothing was broken by the refusals
}

// A second server on the same folder is refused and does not disturb the first.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	f := newFolder(t, setup{})
	s := f.serve()
	f.edit(func(y string) string { return strings.ReplaceAll(y, f.port, freePort(t)) })
	must(t, 1, f.writ("serve"), "Another Writ runs on the folder", "One server a folder")
	must(t, 1, f.writ("check"))
	s.visitor().want(401, "GET", "session", nil)
	s.stop()
}

// The plain port redirects and does nothing else.
func TestPlainPort(t *testing.T) { // breaks: crypto.tls-in-transit
	t.Parallel()
	plain := freePort(t)
	s := start(t, setup{more: []string{"--http", "127.0.0.1:" + plain}})
	v := s.visitor()
	v.base = "http://127.0.0.1:" + plain
	v.http.Transport = &http.Transport{}
	for _, path := range []string{"/", "/-/sign-in", "/orders?x=1"} {
		a := v.send("POST", path, strings.NewReader("password=secret"), nil)
		if a.status != 308 || a.header.Get("Location") != s.origin+path || a.body != "" {
			t.Errorf("%s: %v", path, a)
		}
	}
}

// closed wants nothing in the folder to be open to others, while the server works.
func closed(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if i, err := d.Info(); err == nil && i.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", p, i.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func occupy(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

func chmod(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}
