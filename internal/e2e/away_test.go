package e2e

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/sys/unix"
)

// While the application is away its visitors get words, as a page or as a problem; it is
// reached again as soon as it is back, and Writ's own pages work all the time.
func TestApplicationAway(t *testing.T) {
	t.Parallel()
	addr := "127.0.0.1:" + freePort(t)
	s := start(t, setup{upstream: "http://" + addr})
	v := s.customer("maria@orchard.example")
	a := v.page("/orders")
	if a.status != 502 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || !strings.Contains(a.body, "not answering") {
		t.Errorf("the page: %v", a)
	}
	a = v.send("GET", "/orders", nil, http.Header{"Accept": {"application/json"}})
	if a.status != 502 || a.header.Get("Content-Type") != "application/problem+json" || a.code() != "upstream_down" || a.field("status") != "502" || a.field("next") == "" {
		t.Errorf("the problem: %v", a)
	}
	v.want(200, "GET", "session", nil)
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	app := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "back") })}
	go func() { _ = app.Serve(l) }() // ends with Close
	t.Cleanup(func() { app.Close() })
	if a := v.send("GET", "/orders", nil, nil); a.status != 200 || a.body != "back" {
		t.Errorf("the application is back: %v", a)
	}
	must(t, 0, s.writ("gateway", "maintenance", "on", "--reason", "move"))
	if a := v.page("/orders"); a.status != 503 {
		t.Errorf("maintenance: %v", a)
	}
	must(t, 0, s.writ("gateway", "maintenance", "off"))
	if a := v.send("GET", "/orders", nil, nil); a.status != 200 {
		t.Errorf("after maintenance: %v", a)
	}
}

// postOffice is a mail server of the test.
type postOffice struct {
	mu  sync.Mutex
	got []string
}

// NewSession takes a client in.
func (p *postOffice) NewSession(*smtp.Conn) (smtp.Session, error) { return &counter{p}, nil }

type counter struct{ p *postOffice }

func (*counter) Mail(string, *smtp.MailOptions) error { return nil }
func (*counter) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (*counter) Reset()                               {}
func (*counter) Logout() error                        { return nil }
func (c *counter) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	c.p.mu.Lock()
	c.p.got = append(c.p.got, string(b))
	c.p.mu.Unlock()
	return err
}

// A mail server that is away delays letters and refuses nobody; what waits is seen.
func TestMailAway(t *testing.T) {
	t.Parallel()
	addr := "127.0.0.1:" + freePort(t)
	s := start(t, setup{more: []string{"--mail", "smtp://" + addr}})
	ana := s.owner("ana@example.test")
	v := s.visitor()
	const maria = "maria@orchard.example"
	v.want(202, "POST", "sign-up", obj{"email": maria, "password": aPassword, "name": "Maria"})
	eventually(t, "the queue shows a letter that waits", func() bool {
		a := ana.page("/-/console/mail")
		return a.status == 200 && strings.Contains(a.body, "connection refused")
	})
	office := &postOffice{}
	server := smtp.NewServer(office)
	server.Addr, server.Domain = addr, "localhost"
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }() // ends with Close
	t.Cleanup(func() { server.Close() })
	var got letter
	within(t, 4*patience, "the letter arrives", func() bool {
		office.mu.Lock()
		defer office.mu.Unlock()
		for _, raw := range office.got {
			if l, err := readLetter(raw); err == nil && strings.Contains(l.To, maria) {
				got = l
				return true
			}
		}
		return false
	})
	v.want(200, "POST", "confirm", obj{"token": got.token()})
	v.want(200, "POST", "sign-in", obj{"email": maria, "password": aPassword})
}

// On a full disk changes are refused with words and what was there can be read; with
// room again the server goes on by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("writ-e2e", dir, "tmpfs", 0, "size=20m,mode=0700"); err != nil {
		t.Skipf("not tested on a full disk: a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	f := newFolder(t, setup{dir: filepath.Join(dir, "w")})
	s := f.serve()
	v := s.customer("maria@orchard.example")
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	w := s.visitor()
	var a answer
	eventually(t, "a change is refused", func() bool {
		fill(t, ballast)
		a = s.visitor().api("POST", "sign-up", obj{"email": "late@orchard.example", "password": aPassword, "name": ""})
		return a.status != 202
	})
	if a.status != 503 || a.field("detail") == "" || a.field("next") == "" {
		t.Errorf("a change on a full disk: %v", a)
	}
	if a := w.api("POST", "sign-in", obj{"email": "maria@orchard.example", "password": aPassword}); a.status != 503 {
		t.Errorf("a sign-in that cannot be recorded: %v", a)
	}
	v.want(200, "GET", "session", nil) // reading goes on
	remove(t, ballast)
	eventually(t, "changes are taken again", func() bool {
		return s.visitor().api("POST", "sign-up", obj{"email": "later@orchard.example", "password": aPassword, "name": ""}).status == 202
	})
	s.letter("later@orchard.example", 1)
	w.want(200, "POST", "sign-in", obj{"email": "maria@orchard.example", "password": aPassword})
	must(t, 0, f.writ("journal", "verify"), "The tree is the one that was signed")
	s.stop()
	f.serve().stop()
}

// fill writes until nothing more goes in.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return // not even a name
	}
	defer f.Close()
	for n := 64 << 10; n > 0; {
		if _, err := f.Write(make([]byte, n)); err != nil {
			n /= 2
		}
	}
}

// Another web server as the application: its pages pass, in both directions whole.
func TestBehindWrit(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	chmod(t, root, 0o755)
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	write(t, filepath.Join(root, "index.html"), "<!doctype html><title>Orders</title><p>Hello from behind", 0o644)
	write(t, filepath.Join(root, "big.txt"), big, 0o644)
	for name, run := range map[string]func(t *testing.T, root, port string){"nginx": runNginx, "caddy": runCaddy} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("not tested with %s: %v", name, err)
			}
			port := freePort(t)
			run(t, root, port)
			eventually(t, name+" listens", func() bool {
				c, err := net.Dial("tcp", "127.0.0.1:"+port)
				if err == nil {
					c.Close()
				}
				return err == nil
			})
			s := start(t, setup{upstream: "http://127.0.0.1:" + port})
			v := s.customer("maria@orchard.example")
			if a := v.page("/"); a.status != 200 || !strings.Contains(a.body, "Hello from behind") || a.header.Get("Server") != "" {
				t.Errorf("the page: %v", a)
			}
			a := v.send("GET", "/big.txt", nil, nil)
			if a.status != 200 || a.body != big {
				t.Errorf("the large file: %d, %d bytes", a.status, len(a.body))
			}
			same := v.send("GET", "/big.txt", nil, http.Header{"If-None-Match": {a.header.Get("Etag")}})
			part := v.send("GET", "/big.txt", nil, http.Header{"Range": {"bytes=16-31"}}) // of a text the whole comes: a card's number could be fetched in parts
			none := v.page("/nothing")
			if same.status != 304 || part.status != 200 || part.body != big || none.status != 404 {
				t.Errorf("unchanged %d, part %d with %d bytes, missing %d", same.status, part.status, len(part.body), none.status)
			}
			if a := s.visitor().page("/big.txt"); a.status != 302 && a.status != 303 || !strings.HasPrefix(a.header.Get("Location"), "/-/sign-in") {
				t.Errorf("a stranger's browser: %v", a)
			}
		})
	}
}

func runNginx(t *testing.T, root, port string) {
	t.Helper()
	tmp := t.TempDir()
	chmod(t, tmp, 0o777)
	conf := filepath.Join(tmp, "nginx.conf")
	write(t, conf, "daemon off; master_process off; pid "+tmp+"/pid; error_log "+tmp+"/error.log;\nevents {}\nhttp { access_log off; client_body_temp_path "+tmp+"/b; proxy_temp_path "+tmp+"/p; fastcgi_temp_path "+tmp+"/f; uwsgi_temp_path "+tmp+"/u; scgi_temp_path "+tmp+"/s;\n"+
		"server { listen 127.0.0.1:"+port+"; root "+root+"; } }\n", 0o644)
	background(t, exec.Command("nginx", "-c", conf, "-e", tmp+"/error.log"))
}

func runCaddy(t *testing.T, root, port string) {
	t.Helper()
	cmd := exec.Command("caddy", "file-server", "--root", root, "--listen", "127.0.0.1:"+port)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())
	background(t, cmd)
}

// background runs a program until the test ends.
func background(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	said := &lines{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // killed
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, said)
		}
	})
}
