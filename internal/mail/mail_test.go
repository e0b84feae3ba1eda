package mail_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"

	"github.com/emersion/go-smtp"
)

type sent struct{}

func (sent) About() ledger.About { return ledger.About{Name: "mail.test-sent"} }

func setUp(t *testing.T, url string, canary func(mail.Message)) (*ledgertest.Kit, *jobs.Jobs, *mail.Mailer) {
	t.Helper()
	k := ledgertest.Open(t, jobs.Schema())
	j := jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	m, err := mail.New(mail.Deps{Queue: j, URL: url, From: "writ@example.test", Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler), Canary: canary})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = j.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return k, j, m
}

func send(t *testing.T, k *ledgertest.Kit, m *mail.Mailer, to string) {
	t.Helper()
	msg, err := mail.Letter{Company: "Example", Title: "Set a new password", Lines: []string{"Somebody asked for it."},
		Link: &mail.Link{Text: "Set a new password", URL: "https://localhost/-/recover/abc?x=1&y=<2>"}, Foot: []string{"It works for 24 hours."}}.Message(to, "test.letter")
	if err != nil {
		t.Fatal(err)
	}
	job, err := m.Prepare(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.DB.Change(t.Context(), actor.System("test"), func(tx *ledger.Tx) (ledger.Event, error) {
		return sent{}, m.Enqueue(t.Context(), tx, job)
	}); err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	k, _, m := setUp(t, "file://"+dir, nil)
	send(t, k, m, "ana@example.test")
	var names []string
	eventually(t, "the letter lies in the folder", func() bool {
		names, _ = filepath.Glob(filepath.Join(dir, "*.eml"))
		return len(names) == 1
	})
	f, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	msg, err := netmail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	if msg.Header.Get("Subject") != "Set a new password" || !strings.HasPrefix(msg.Header.Get("Content-Type"), "multipart/alternative") || msg.Header.Get("Auto-Submitted") == "" {
		t.Errorf("headers: %v", msg.Header)
	}
	b, err := io.ReadAll(msg.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"text/plain", "text/html", "https://localhost/-/recover/abc?x=3D1&y=3D<2>", "&lt;2&gt;"} {
		if !strings.Contains(strings.ReplaceAll(string(b), "=\r\n", ""), want) {
			t.Errorf("the letter lacks %q:\n%s", want, b)
		}
	}
}

// A real SMTP server, first away, then there: the letter waits, is seen waiting, and arrives.
func TestServerAwayThenBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	k, j, m := setUp(t, "smtp://"+addr, nil)
	send(t, k, m, "ben@example.test")
	eventually(t, "the try is shown", func() bool {
		ws, err := j.Queue(t.Context())
		return err == nil && len(ws) == 1 && ws[0].Problem != "" && ws[0].State == "waiting"
	})
	back := &backend{}
	srv := smtp.NewServer(back)
	srv.Domain = "localhost"
	if l, err = net.Listen("tcp", addr); err != nil {
		t.Skip("the port was taken in between: ", err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	eventually(t, "the letter arrived", func() bool {
		k.Clock.Advance(time.Minute)
		j.Nudge()
		return back.got() == "ben@example.test"
	})
	eventually(t, "the queue is empty", func() bool { ws, err := j.Queue(t.Context()); return err == nil && len(ws) == 0 })
}

func TestCanariesStayInside(t *testing.T) {
	dir := t.TempDir()
	got := make(chan mail.Message, 1)
	k, _, m := setUp(t, "file://"+dir, func(m mail.Message) { got <- m })
	send(t, k, m, "x@writ.canary.invalid")
	select {
	case msg := <-got:
		if msg.To != "x@writ.canary.invalid" {
			t.Errorf("to %s", msg.To)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the canary's letter did not come")
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*.eml")); len(names) != 0 {
		t.Error("a canary's letter left the machine")
	}
}

func TestBadInput(t *testing.T) {
	_, _, m := setUp(t, "file://"+t.TempDir(), nil)
	for _, msg := range []mail.Message{{To: "a@example.test\r\nBcc: all@example.test", Subject: "x"}, {To: "a@example.test", Subject: "x\nY: z"}} {
		if _, err := m.Prepare(t.Context(), msg); !errors.Is(err, fault.Invalid) {
			t.Errorf("a line break was taken: %v", err)
		}
	}
	j := jobs.New(jobs.Deps{DB: ledgertest.Open(t, jobs.Schema()).DB, Keys: nope{}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	for _, url := range []string{"", "ftp://x", "smtp://", "://", "mailto:a@b"} {
		_, err := mail.New(mail.Deps{Queue: j, URL: url, From: "a@example.test", Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, fault.Invalid) {
			t.Errorf("mail.url %q: %v", url, err)
		}
	}
	if _, err := mail.New(mail.Deps{Queue: j, URL: "smtp://user:hunter2@", From: "a@example.test"}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the refusal shows the password: %v", err)
	}
}

type nope struct{ jobs.Keys }

// backend is a mail server that remembers the last receiver.
type backend struct {
	mu sync.Mutex
	to string
}

func (b *backend) got() string { b.mu.Lock(); defer b.mu.Unlock(); return b.to }

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{b: b}, nil }

type session struct {
	b  *backend
	to string
}

func (s *session) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *session) Reset()                                    {}
func (s *session) Logout() error                             { return nil }
func (s *session) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.b.to = s.to
	return nil
}

// The answer of a server says over which version of TLS it came, and none where there was none.
func TestVersionOfTLS(t *testing.T) { // breaks: mon.notify
	host := httptest.NewTLSServer(nil) // its certificate is for 127.0.0.1
	t.Cleanup(host.Close)
	roots := x509.NewCertPool()
	roots.AddCert(host.Certificate())
	for want, conf := range map[string]*tls.Config{"TLS 1.3": {Certificates: host.TLS.Certificates}, "TLS 1.2": {Certificates: host.TLS.Certificates, MaxVersion: tls.VersionTLS12}, "": nil} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := smtp.NewServer(&backend{})
		srv.Domain, srv.TLSConfig = "localhost", conf
		go func() { _ = srv.Serve(l) }()
		t.Cleanup(func() { srv.Close() })
		k := ledgertest.Open(t, jobs.Schema())
		log := slog.New(slog.DiscardHandler)
		m, err := mail.New(mail.Deps{Queue: jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: k.Clock.Now, Log: log}), URL: "smtp://" + l.Addr().String(), From: "writ@example.test", Now: k.Clock.Now, Log: log, Roots: roots})
		if err != nil {
			t.Fatal(err)
		}
		msg, err := mail.Letter{Company: "Example", Title: "Set a new password", Lines: []string{"Somebody asked for it."}}.Message("ben@example.test", "test.letter")
		if err != nil {
			t.Fatal(err)
		}
		if a, err := m.Deliver(t.Context(), msg); err != nil || a.TLS != want {
			t.Errorf("%+v, %v; want %q", a, err, want)
		}
	}
}
