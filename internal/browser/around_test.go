package browser

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/cli"
	"writ/internal/demo"
)

// What visitors see when the application is closed, and when it does not answer.
func TestClosedAndAway(t *testing.T) {
	h := theHouse(t)
	source := theAxe(t)
	h.filled(t)
	b := h.tab(t)
	ana := h.client(t)
	h.enter(ana, owners[0].address)
	ana.call("PUT", "gateway/mode", obj{"mode": "maintenance", "reason": "a test"}, nil)
	b.look(source, sheet{name: "maintenance", path: "/", words: "closed for maintenance", refused: true, picture: true})
	b.look(source, sheet{name: "maintenance-page", path: "/-/maintenance", words: "closed for maintenance", refused: true})
	ana.call("PUT", "gateway/mode", obj{"mode": "normal"}, nil)
	h.away.Store(true)
	defer h.away.Store(false)
	b.look(source, sheet{name: "away", path: "/", words: "Request", refused: true, picture: true})
}

// The demonstration's mailbox, where the guide says that it is.
func TestMailbox(t *testing.T) {
	h := theHouse(t)
	source := theAxe(t)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	said, log := &lines{}, &lines{}
	ended := make(chan error, 1)
	go func() {
		ended <- demo.Run(ctx, cli.DemoOptions{Dir: filepath.Join(t.TempDir(), "demo"), HTTPS: "127.0.0.1:" + port, Out: said, Log: log})
	}()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demonstration ended with %v", err)
		}
	}()
	for end := time.Now().Add(patience); !strings.Contains(said.String(), "A link works once"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the demonstration does not begin: %s %s", said, log)
		}
	}
	m := mailboxAt.FindStringSubmatch(said.String())
	if m == nil {
		t.Fatalf("no mailbox is named in %s", said)
	}
	mailbox := m[1]
	b := h.tab(t)
	b.look(source, sheet{name: "mailbox-begun", path: mailbox, words: "Every letter that Writ has sent"})
	api := &client{t, "https://localhost:" + port + "/-/api/v1/", trusting(t, said.String())}
	api.call("POST", "sign-up", obj{"email": "pia@example.test", "password": aPassword, "name": "Pia"}, nil)
	for end := time.Now().Add(patience); time.Now().Before(end) && !strings.Contains(b.text(), "pia@example.test"); time.Sleep(100 * time.Millisecond) {
		b.open(mailbox)
	}
	b.look(source, sheet{name: "mailbox", path: mailbox, words: "pia@example.test", picture: true})
	b.look(source, sheet{name: "letter", show: func(b *tab) { b.open(mailbox); b.leave(`//li/a`) }, words: "/-/confirm/", picture: true})
}

var (
	authorityFile = regexp.MustCompile(`certificate authority: (\S+)`)
	mailboxAt     = regexp.MustCompile(`mailbox +(http://\S+)`)
)

// trusting is a client that knows the authority which the demonstration names.
func trusting(t *testing.T, said string) *http.Client {
	t.Helper()
	m := authorityFile.FindStringSubmatch(said)
	if m == nil {
		t.Fatalf("no authority is named in %s", said)
	}
	b, err := os.ReadFile(m[1])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		t.Fatalf("%s holds no certificate", m[1])
	}
	c := &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// lines keeps what a server says.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
