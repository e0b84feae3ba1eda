package notify_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
)

// A mail server of this machine brings notices by LMTP: what is taken is written down before it
// is answered, what is none is refused for good, and the door is for this machine alone.
func TestIntake(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	at := filepath.Join(t.TempDir(), "bounces.sock")
	for range 2 { // the second time the socket of the process before lies there
		l, err := notify.ListenIntake(at)
		must(t, err)
		if u, ok := l.(*net.UnixListener); ok {
			u.SetUnlinkOnClose(false)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.s.Intake(ctx, l) }()
		defer func() { stop(); must(t, <-done) }()
	}
	bring := func(notice string) error {
		t.Helper()
		c, err := net.Dial("unix", at)
		must(t, err)
		m := smtp.NewClientLMTP(c)
		defer m.Close()
		must(t, m.Hello("localhost"))
		must(t, m.Mail("", nil))
		must(t, m.Rcpt("writ@example.test", nil))
		d, err := m.Data()
		must(t, err)
		_, err = io.WriteString(d, notice)
		must(t, err)
		return d.Close()
	}
	w.queue(letterTo("ana"))
	d := w.until("letter/ana", notify.Accepted, 0)
	must(t, bring(returned(d.ID, "", "ana@example.test", "failed", "5.1.1")))
	if d, err := w.s.Delivery(t.Context(), d.ID); err != nil || d.State != notify.Bounced {
		t.Errorf("%+v: %v", d, err)
	}
	if es := w.Recorded("notify.bounced"); len(es) != 1 || es[0].Actor != "machine/mail" {
		t.Errorf("%+v", es)
	}
	var refused *smtp.SMTPError
	if err := bring("Subject: you have won\r\n\r\nMuch.\r\n"); !errors.As(err, &refused) || refused.Code != 550 {
		t.Errorf("what is no notice: %v", err)
	}
	for range 70 {
		_ = w.bounced("")
	}
	if err := bring("Subject: you have won\r\n\r\nMuch.\r\n"); !errors.As(err, &refused) || refused.Code != 451 {
		t.Errorf("in a flood: %v", err)
	}
	for _, bad := range []string{"0.0.0.0:2424", ":2424", "10.0.0.7:2424", "bounces.sock", "/" + strings.Repeat("x", 104), "[::ffff:127.0.0.1]:1", "localhost:24"} {
		if notify.GoodIntake(bad) == "" {
			t.Errorf("%s is taken as a door of this machine alone", bad)
		}
		if _, err := notify.ListenIntake(bad); err == nil {
			t.Errorf("%s was opened", bad)
		}
	}
	for _, good := range []string{"127.0.0.1:2424", "[::1]:2424", "/run/writ/bounces.sock"} {
		if want := notify.GoodIntake(good); want != "" {
			t.Errorf("%s: %s", good, want)
		}
	}
}
