package app

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"writ/internal/fault"
	"writ/internal/secret"
)

func sshKey(t *testing.T) (ssh.Signer, secret.Text) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s, secret.NewText(string(pem.EncodeToMemory(block)))
}

// farMachine speaks SSH and SFTP over its real files; it may end all connections.
type farMachine struct {
	addr string
	mu   sync.Mutex
	open []net.Conn
	n    int
}

func newFarMachine(t *testing.T, host ssh.Signer, user ssh.PublicKey) *farMachine {
	t.Helper()
	conf := &ssh.ServerConfig{PublicKeyCallback: func(c ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if c.User() != "status" || string(key.Marshal()) != string(user.Marshal()) {
			return nil, errors.New("nobody")
		}
		return &ssh.Permissions{}, nil
	}}
	conf.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &farMachine{addr: l.Addr().String()}
	t.Cleanup(func() { l.Close(); m.end() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.open, m.n = append(m.open, c), m.n+1
			m.mu.Unlock()
			go serveFiles(c, conf)
		}
	}()
	return m
}

func serveFiles(c net.Conn, conf *ssh.ServerConfig) {
	_, chans, reqs, err := ssh.NewServerConn(c, conf)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for n := range chans {
		ch, in, err := n.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range in {
				_ = r.Reply(r.Type == "subsystem", nil)
				if s, err := sftp.NewServer(ch); err == nil && r.Type == "subsystem" {
					go func() { _ = s.Serve(); _ = ch.Close() }()
				}
			}
		}()
	}
}

func (m *farMachine) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.open {
		_ = c.Close()
	}
}

func knownFile(t *testing.T, addr string, key ssh.PublicKey) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(name, []byte(knownhosts.Line([]string{addr}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func farURL(t *testing.T, user, addr, dir string) *url.URL {
	t.Helper()
	u := PlaceConf{URL: "sftp://" + user + "@" + addr + dir}.far()
	if u == nil {
		t.Fatalf("%s is no address", dir)
	}
	return u
}

var dialer = (&net.Dialer{}).DialContext

// The page is published to a folder of another machine by SFTP: a file is there whole or as it was
// before, one connection serves them all, and a new one when that has ended. A machine whose key is
// not known gets nothing, and neither does one that does not know us.
func TestFarFolder(t *testing.T) { // breaks: inc.public-notice
	host, _ := sshKey(t)
	me, key := sshKey(t)
	m := newFarMachine(t, host, me.PublicKey())
	dir := filepath.Join(t.TempDir(), "page")
	put, err := sftpPlace(farURL(t, "status", m.addr, dir), key, knownFile(t, m.addr, host.PublicKey()), dialer)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := put(t.Context(), name, "text/html", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != text {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	write("index.html", "one")
	write("incidents/abc.html", strings.Repeat("long ", 50_000))
	write("index.html", "two")
	if m.n != 1 {
		t.Errorf("%d connections", m.n)
	}
	m.end()
	write("index.html", "three")
	if left, err := filepath.Glob(filepath.Join(dir, "*.new")); m.n != 2 || err != nil || len(left) != 0 {
		t.Errorf("%d connections, left: %v %v", m.n, left, err)
	}
	other, otherKey := sshKey(t)
	known := knownFile(t, m.addr, other.PublicKey())
	if put, err = sftpPlace(farURL(t, "status", m.addr, dir), key, known, dialer); err != nil {
		t.Fatal(err)
	}
	before := m.n
	if err := put(t.Context(), "index.html", "", []byte("stolen")); err == nil || !strings.Contains(err.Error(), "key mismatch") {
		t.Errorf("a machine with another key: %v", err)
	}
	if m.n != before+1 {
		t.Errorf("it was asked %d times", m.n-before)
	}
	for what, with := range map[string]struct {
		user string
		key  secret.Text
	}{"a key that it does not know": {"status", otherKey}, "a user that it does not know": {"root", key}} {
		put, err := sftpPlace(farURL(t, with.user, m.addr, dir), with.key, knownFile(t, m.addr, host.PublicKey()), dialer)
		if err != nil {
			t.Fatal(err)
		}
		if err := put(t.Context(), "index.html", "", []byte("stolen")); err == nil {
			t.Errorf("%s is let in", what)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "index.html")); err != nil || string(b) != "three" {
		t.Errorf("%q %v", b, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := put(ctx, "index.html", "", []byte("late")); err == nil {
		t.Error("after the end of its time it is written")
	}
	for what, bad := range map[string][2]string{"no key": {"none", known}, "no known hosts": {key.Reveal(), filepath.Join(dir, "none")}, "a machine that is not among them": {key.Reveal(), knownFile(t, "elsewhere.example.test", host.PublicKey())}} {
		if _, err := sftpPlace(farURL(t, "status", m.addr, dir), secret.NewText(bad[0]), bad[1], dialer); err == nil {
			t.Errorf("%s: it would start", what)
		}
	}
}

func TestFarFoldersAreChecked(t *testing.T) {
	good := PlaceConf{Name: "far", URL: "sftp://status@mirror.example.com:2222/srv/www/status", Secret: "far.key", Known: "known_hosts"}
	for name, change := range map[string]func(*PlaceConf){"no user": func(p *PlaceConf) { p.URL = "sftp://mirror.example.com/srv" }, "a password": func(p *PlaceConf) { p.URL = "sftp://status:pw@mirror.example.com/srv" },
		"no folder": func(p *PlaceConf) { p.URL = "sftp://status@mirror.example.com" }, "a question": func(p *PlaceConf) { p.URL += "?x=1" }, "no key": func(p *PlaceConf) { p.Secret = "" }, "no known hosts": func(p *PlaceConf) { p.Known = "" },
		"a region": func(p *PlaceConf) { p.Region = "eu-central-1" }, "no name": func(p *PlaceConf) { p.Name = "" }} {
		s, p := settings("Example"), good
		change(&p)
		if s.Status.Places = []PlaceConf{p}; !errors.Is(s.check("test"), fault.Invalid) {
			t.Errorf("%s was taken", name)
		}
	}
	s := settings("Example")
	if s.Status.Places = []PlaceConf{good}; s.check("test") != nil {
		t.Error(s.check("test"))
	}
	if out := s.outbound(); !out[len(out)-1].Encrypted && !out[len(out)-2].Encrypted && !out[len(out)-3].Encrypted {
		t.Errorf("%+v", out)
	}
}

// The sshd of OpenSSH takes the page, and is known by its keys.
func TestJudgeOpenSSH(t *testing.T) {
	sshd, err := exec.LookPath("/usr/sbin/sshd")
	if err != nil || os.Getuid() != 0 {
		t.Skip("the judge is not there, or cannot be started: openssh-server of Debian, by root")
	}
	dir := t.TempDir()
	me, key := sshKey(t)
	host, hostKey := sshKey(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	_ = l.Close()
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil { // where it shuts itself in
		t.Fatal(err)
	}
	for name, text := range map[string]string{"host.key": hostKey.Reveal(), "authorized": string(ssh.MarshalAuthorizedKey(me.PublicKey())),
		"conf": fmt.Sprintf("ListenAddress 127.0.0.1\nPort %s\nHostKey %s/host.key\nAuthorizedKeysFile %s/authorized\nStrictModes no\nUsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n", port, dir, dir)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, sshd, "-D", "-e", "-f", filepath.Join(dir, "conf"))
	said := &strings.Builder{}
	cmd.Stderr, cmd.WaitDelay = said, time.Second // who serves our connection ends with it
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said)
		}
	})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not listen")
		}
	}
	put, err := sftpPlace(farURL(t, "root", addr, filepath.Join(dir, "page")), key, knownFile(t, addr, host.PublicKey()), dialer)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"one", "two"} {
		if err := put(t.Context(), "incidents/abc.html", "text/html", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(dir, "page", "incidents", "abc.html"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	i, err := f.Stat()
	b, err2 := io.ReadAll(f)
	if err := errors.Join(err, err2); err != nil || string(b) != "two" || i.Mode().Perm() != 0o644 {
		t.Errorf("%q %v %v", b, i.Mode(), err)
	}
}
