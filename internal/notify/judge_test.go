package notify_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
)

// said collects what a program prints.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(b []byte) (int, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.text.Write(b) }
func (s *said) String() string              { s.mu.Lock(); defer s.mu.Unlock(); return s.text.String() }

// judge starts a program that ends with the test.
func judge(t *testing.T, name string, args ...string) *said {
	t.Helper()
	out := &said{}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		done := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		done.Stop()
		if t.Failed() {
			t.Log(out)
		}
	})
	return out
}

// answers waits until somebody listens at an address.
func answers(t *testing.T, addr string) {
	t.Helper()
	eventually(t, "it listens at "+addr, func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l := listenAt(t, "127.0.0.1:0")
	defer l.Close()
	return l.Addr().String()
}

// A real mail server takes our letters, is refused by the host of one of them, and brings its
// own notice to our intake: that letter is bounced, its address counts as unreachable, and the
// others stay as they were.
func TestJudgeOpenSMTPD(t *testing.T) {
	smtpd, err := exec.LookPath("/usr/sbin/smtpd")
	if err != nil || os.Getuid() != 0 {
		t.Skip("the judge is not there, or cannot be started: opensmtpd of Debian, by root")
	}
	if _, err := os.Stat("/run/smtpd.sock"); err == nil {
		t.Skip("a mail server runs on this machine already")
	}
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	far := &host{got: map[string]int{}}
	l := listenAt(t, "127.0.0.1:0")
	far.serve(t, l)
	back := listenAt(t, "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.s.Intake(ctx, back) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	addr := freePort(t)
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(t.TempDir(), "smtpd.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, `table back { "writ@example.test" = "nobody" }
listen on 127.0.0.1 port %s hostname mx.example.test
action "back" lmtp "%s" rcpt-to virtual <back>
action "out" relay host "smtp://%s"
match from any for rcpt-to "writ@example.test" action "back"
match from any for any action "out"
`, port, back.Addr(), l.Addr()), 0o600))
	judge(t, smtpd, "-d", "-f", conf)
	answers(t, addr)
	w.s.Mail = mailer(t, w.Kit, addr, 0)
	w.queue(letterTo("refused"), letterTo("fine"))
	refused := w.until("letter/refused", notify.Accepted, 0) // by the server before the host
	fine := w.until("letter/fine", notify.Accepted, 0)
	eventually(t, "the letter is bounced", func() bool {
		d, err := w.s.Delivery(t.Context(), refused.ID)
		must(t, err)
		return d.State == notify.Bounced
	})
	d, err := w.s.Delivery(t.Context(), refused.ID)
	must(t, err)
	if a := d.Attempts[len(d.Attempts)-1]; a.Enhanced == "" || a.Outcome != notify.Bounced || w.reaches("refused@example.test") {
		t.Errorf("%+v", a)
	}
	if d, err := w.s.Delivery(t.Context(), fine.ID); err != nil || d.State != notify.Accepted || !w.reaches("fine@example.test") {
		t.Errorf("%+v: %v", d, err)
	}
}

// Python's mail server takes our letters whole, with the id that we gave them.
func TestJudgeAiosmtpd(t *testing.T) {
	if exec.Command("/usr/bin/python3", "-c", "import aiosmtpd").Run() != nil {
		t.Skip("the judge is not there: python3-aiosmtpd of Debian")
	}
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	addr := freePort(t)
	out := judge(t, "/usr/bin/python3", "-u", "-m", "aiosmtpd", "-n", "-l", addr)
	answers(t, addr)
	w.s.Mail = mailer(t, w.Kit, addr, 0)
	w.queue(letterTo("ana"))
	d := w.until("letter/ana", notify.Accepted, 0)
	eventually(t, "it has printed the letter", func() bool { return strings.Contains(out.String(), "END MESSAGE") })
	for _, want := range []string{"Subject: The disk is nearly full", "Message-ID: <" + d.ID + "@writ>", "To: <ana@example.test>", "Auto-Submitted: auto-generated", "Make room."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
}
