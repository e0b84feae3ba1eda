package notify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	netsmtp "net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"

	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
)

const handed = "Received: from mail.customer.example (mail.customer.example [192.0.2.7])\r\n\tby mx.example.test with ESMTPS\r\nReceived: from forged ([127.0.0.1]) by anybody\r\n"

// The plain part of a letter is read, whatever it is packed in, and nothing that is attached; what
// a program sent by itself is not, nor what has no plain part or is too long.
func TestReadLetter(t *testing.T) {
	head := handed + "From: Uma Ray <uma@customer.example>\r\nSubject: =?UTF-8?Q?Anmelden_geht_nicht_=E2=80=93?=\r\nMIME-Version: 1.0\r\n"
	const text = "I cannot sign in.\n\nGröße <b>bold</b>"
	parts := "--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>no\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nI cannot sign in.\r\n\r\nGr=C3=B6=C3=9Fe <b>bold=\r\n</b>\r\n--b--\r\n--a--\r\n"
	for name, body := range map[string]string{
		"plain":                  "Content-Type: text/plain; charset=utf-8\r\n\r\nI cannot sign in.\r\n\r\nGröße <b>bold</b>\r\n",
		"no type":                "\r\nI cannot sign in.\r\n\r\nGröße <b>bold</b>\x07\r\n",
		"an old set":             "Content-Type: text/plain; charset=ISO-8859-1\r\n\r\nI cannot sign in.\r\n\r\nGr\xf6\xdfe <b>bold</b>\r\n",
		"base64":                 "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nSSBjYW5ub3Qgc2lnbiBpbi4NCg0KR3LDtsOf\r\nZSA8Yj5ib2xkPC9iPg0K\r\n",
		"parts within parts":     "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + parts,
		"after what is attached": "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=x.txt\r\n\r\nattached\r\n" + parts,
	} {
		l, err := notify.ReadLetter(strings.NewReader(head + body))
		if err != nil || l.Text != text || l.From != "uma@customer.example" || l.Subject != "Anmelden geht nicht –" || l.Addr.String() != "192.0.2.7" {
			t.Errorf("%s: %q %+v %v", name, l.Text, l, err)
		}
	}
	for name, raw := range map[string]string{
		"none": "no letter", "an answer of a program": head + "Auto-Submitted: auto-replied\r\n\r\nI am away.", "a list": head + "Precedence: list\r\n\r\nNews for all.", "a bounce": "Return-Path: <>\r\n\r\nIt did not arrive.",
		"HTML alone": head + "Content-Type: text/html\r\n\r\n<p>x", "a picture": head + "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: image/png\r\n\r\nx\r\n--a--\r\n",
		"too long": head + "\r\n" + strings.Repeat("long ", 60_000), "too deep": head + nested(6),
	} {
		if l, err := notify.ReadLetter(strings.NewReader(raw)); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s was taken: %+v %v", name, l, err)
		}
	}
	if l, err := notify.ReadLetter(strings.NewReader("From: nobody in particular\r\nReceived: by mx.example.test\r\n\r\nI cannot sign in.")); err != nil || l.From != "" || l.Addr.IsValid() {
		t.Errorf("%+v %v", l, err)
	}
}

// Whoever hands a letter over chooses what they call themselves, and not where they are.
func TestLetterIsFromWhereItWasSeen(t *testing.T) {
	for line, want := range map[string]string{
		"from [203.0.113.9] (unknown [192.0.2.7])\r\n\tby mx with ESMTP": "192.0.2.7", "from ([203.0.113.9] (unknown [192.0.2.7]) by mx": "192.0.2.7", // Postfix, OpenSMTPD
		"from [IPv6:2001:db8::9] (h.example [IPv6:2001:db8::7]) by mx": "2001:db8::7", "from h ([192.0.2.7]) by mx": "192.0.2.7", "from [192.0.2.7] (helo=[203.0.113.9]) by mx": "192.0.2.7", // Exim
		"from h ([192.0.2.7] helo=[203.0.113.9]) by mx": "192.0.2.7", "from localhost by mx": "invalid IP",
	} {
		if l, err := notify.ReadLetter(strings.NewReader("Received: " + line + "\r\nSubject: x\r\n\r\nText")); err != nil || l.Addr.String() != want {
			t.Errorf("%q: %s %v, want %s", line, l.Addr, err, want)
		}
	}
}

func nested(deep int) string {
	if deep == 0 {
		return "Content-Type: text/plain\r\n\r\nhidden\r\n"
	}
	return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%s--b%d--\r\n", deep, deep, nested(deep-1), deep)
}

// The door that takes notices takes letters to the address for reports as well, and answers whoever
// wrote one what became of it; to any other address it is no notice.
func TestInbox(t *testing.T) {
	var got []notify.Letter
	var answer error
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) {
		d.Inbox = "report@example.test"
		d.Read = func(_ context.Context, l notify.Letter) error { got = append(got, l); return answer }
	})
	at := filepath.Join(t.TempDir(), "in.sock")
	l, err := notify.ListenIntake(at)
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.s.Intake(ctx, l) }()
	defer func() { stop(); must(t, <-done) }()
	bring := func(to, letter string) (code int) {
		t.Helper()
		c, err := net.Dial("unix", at)
		must(t, err)
		m := smtp.NewClientLMTP(c)
		defer m.Close()
		must(t, m.Hello("localhost"))
		must(t, m.Mail("uma@customer.example", nil))
		must(t, m.Rcpt(to, nil))
		d, err := m.Data()
		must(t, err)
		_, err = io.WriteString(d, letter)
		must(t, err)
		var refused *smtp.SMTPError
		if err := d.Close(); errors.As(err, &refused) {
			return refused.Code
		}
		return 250
	}
	const letter = handed + "From: uma@customer.example\r\nSubject: It fails\r\n\r\nI cannot sign in.\r\n"
	if code := bring("Report@example.test", letter); code != 250 || len(got) != 1 || got[0].Text != "I cannot sign in." {
		t.Errorf("%d %+v", code, got)
	}
	if code := bring("writ@example.test", letter); code != 550 || len(got) != 1 {
		t.Errorf("to another address: %d %+v", code, got)
	}
	if code := bring("report@example.test", "Auto-Submitted: auto-replied\r\n"+letter); code != 550 || len(got) != 1 {
		t.Errorf("by a program: %d %+v", code, got)
	}
	for want, err := range map[int]error{550: fault.Newf(fault.Limited, "too_many", "Too much."), 451: errors.New("the database is away")} {
		answer = err
		if code := bring("report@example.test", letter); code != want {
			t.Errorf("%v: %d", err, code)
		}
	}
}

// A real mail server brings a letter that somebody sent to the address for reports, and says from
// where it came.
func TestJudgeOpenSMTPDReports(t *testing.T) {
	smtpd, err := exec.LookPath("/usr/sbin/smtpd")
	if err != nil || os.Getuid() != 0 {
		t.Skip("the judge is not there, or cannot be started: opensmtpd of Debian, by root")
	}
	if _, err := os.Stat("/run/smtpd.sock"); err == nil {
		t.Skip("a mail server runs on this machine already")
	}
	got := make(chan notify.Letter, 1)
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), func(d *notify.Deps) {
		d.Inbox = "report@example.test"
		d.Read = func(_ context.Context, l notify.Letter) error { got <- l; return nil }
	})
	back := listenAt(t, "127.0.0.1:0")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.s.Intake(ctx, back) }()
	t.Cleanup(func() { stop(); must(t, <-done) })
	addr := freePort(t)
	_, port, _ := net.SplitHostPort(addr)
	conf := filepath.Join(t.TempDir(), "smtpd.conf")
	must(t, os.WriteFile(conf, fmt.Appendf(nil, "table back { \"report@example.test\" = \"nobody\" }\nlisten on 127.0.0.1 port %s hostname mx.example.test\naction \"back\" lmtp \"%s\" rcpt-to virtual <back>\nmatch from any for rcpt-to \"report@example.test\" action \"back\"\n", port, back.Addr()), 0o600))
	judge(t, smtpd, "-d", "-f", conf)
	answers(t, addr)
	must(t, netsmtp.SendMail(addr, nil, "uma@customer.example", []string{"report@example.test"}, []byte("From: uma@customer.example\r\nTo: report@example.test\r\nSubject: It fails\r\n\r\nI cannot sign in.\r\n")))
	var l notify.Letter
	eventually(t, "the letter is brought", func() bool {
		select {
		case l = <-got:
			return true
		default:
			return false
		}
	})
	if l.From != "uma@customer.example" || l.Subject != "It fails" || l.Text != "I cannot sign in." || l.Addr.String() != "127.0.0.1" {
		t.Errorf("%+v", l)
	}
}

// FuzzReadLetter reads anything: what is taken is text, within its bounds.
func FuzzReadLetter(f *testing.F) {
	f.Add([]byte(handed + "From: a@b.example\r\nSubject: x\r\n\r\ntext"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Transfer-Encoding: base64\r\n\r\n====\r\n--a--\r\n"))
	f.Add([]byte(nested(3)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := notify.ReadLetter(strings.NewReader(string(raw)))
		if err != nil {
			return
		}
		for _, s := range []string{l.Text, l.Subject, l.From} {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }) {
				t.Errorf("%q", s)
			}
		}
		if len(l.Text) > 3*256<<10 || strings.ContainsAny(l.Subject+l.From, "\r\n") {
			t.Errorf("%d bytes, %q, %q", len(l.Text), l.Subject, l.From)
		}
	})
}
