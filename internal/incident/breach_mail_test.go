package incident_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"writ/internal/incident/breach"
	"writ/internal/jobs"
	"writ/internal/mail"
)

// host is a mail host that answers by the beginning of the address.
type host struct {
	mu   sync.Mutex
	got  map[string]int // whole letters that reached it
	busy map[string]int // how often it still says later
}

func (h *host) NewSession(c *smtp.Conn) (smtp.Session, error) { return &talk{h: h, c: c}, nil }

type talk struct {
	h  *host
	c  *smtp.Conn
	to string
}

func (*talk) Mail(string, *smtp.MailOptions) error { return nil }
func (*talk) Reset()                               {}
func (*talk) Logout() error                        { return nil }

func (t *talk) Rcpt(to string, _ *smtp.RcptOptions) error {
	if t.to = to; strings.HasPrefix(to, "refused") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such box"}
	}
	return nil
}

func (t *talk) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, bufio.NewReader(r)); err != nil {
		return err
	}
	t.h.mu.Lock()
	defer t.h.mu.Unlock()
	if strings.HasPrefix(t.to, "later") && t.h.busy[t.to] == 0 {
		t.h.busy[t.to]++
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}
	}
	t.h.got[t.to]++
	if strings.HasPrefix(t.to, "cut") { // after the final dot: it was taken, and nobody hears of it
		return t.c.Conn().Close()
	}
	return nil
}

// A mail host that is down, refuses half, says later, or goes away after the last line of a
// letter: nobody has two letters, and unknown are those that it took without a word.
func TestLettersByRealMail(t *testing.T) { // breaks: inc.breach-notify
	w := open(t)
	now := w.kit.Clock.Now()
	want := map[string]int64{}
	state := map[string]string{"fine": "accepted", "refused": "refused", "later": "accepted", "cut": "unknown"}
	for i := range 40 {
		kind := []string{"fine", "refused", "later", "cut", "refused"}[i%5]
		want[state[kind]]++
		w.breach.records = append(w.breach.records, breach.Record{At: now.Add(-time.Hour), Who: "thief", Staff: true, For: fmt.Sprintf("%s%d", kind, i), Route: "/contacts/", Method: "GET", Status: 200, Out: 9})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil { // it is down
		t.Fatal(err)
	}
	if w.svc.Real.Post, err = mail.New(mail.Deps{Queue: jobs.New(jobs.Deps{DB: w.kit.DB, Keys: w.kit.Ring, Now: time.Now, Log: quiet()}), URL: "smtp://" + addr, From: "writ@example.test", Now: time.Now, Log: quiet()}); err != nil {
		t.Fatal(err)
	}
	w.breached()
	w.scoped("I-1")
	w.notifying("I-1")
	w.sendAll()
	if got := w.exposure("I-1").Letters; !maps.Equal(got, map[string]int64{"queued": 40}) {
		t.Fatalf("while it is down: %v", got)
	}
	h := &host{got: map[string]int{}, busy: map[string]int{}}
	srv := smtp.NewServer(h)
	srv.Domain = "localhost"
	if l, err = net.Listen("tcp", addr); err != nil {
		t.Skip("somebody else has taken the address:", err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	for range 6 {
		w.kit.Clock.Advance(20 * time.Minute)
		w.sendAll()
	}
	if got := w.exposure("I-1").Letters; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for to, n := range h.got {
		if n != 1 {
			t.Errorf("%s has %d letters", to, n)
		}
	}
}
