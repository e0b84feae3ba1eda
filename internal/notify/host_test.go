package notify_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"writ/internal/actor"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
)

// host is a mail host that answers by the beginning of the address.
type host struct {
	mu   sync.Mutex
	got  map[string]int // whole letters that reached it
	busy map[string]int // how often it said later
	slow chan struct{}  // what it waits for before it answers to slow ones
	env  []string       // what was asked for with each letter
}

func (h *host) NewSession(c *smtp.Conn) (smtp.Session, error) { return &talk{h: h, c: c}, nil }

func (h *host) letters() map[string]int { h.mu.Lock(); defer h.mu.Unlock(); return maps.Clone(h.got) }

type talk struct {
	h  *host
	c  *smtp.Conn
	to string
}

func (t *talk) Mail(_ string, o *smtp.MailOptions) error {
	t.h.note("%s %s", o.Return, o.EnvelopeID)
	return nil
}
func (*talk) Reset()        {}
func (*talk) Logout() error { return nil }

func (h *host) note(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.env = append(h.env, fmt.Sprintf(format, args...))
}

func (t *talk) Rcpt(to string, o *smtp.RcptOptions) error {
	t.h.note("%v", o.Notify)
	if t.to = to; strings.HasPrefix(to, "refused") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such box"}
	}
	return nil
}

func (t *talk) Data(r io.Reader) error {
	b := bufio.NewReader(r)
	if strings.HasPrefix(t.to, "broken") { // it goes away in the middle
		_, err := b.ReadByte()
		_ = t.c.Conn().Close()
		return err
	}
	if _, err := io.Copy(io.Discard, b); err != nil {
		return err
	}
	if strings.HasPrefix(t.to, "slow") {
		<-t.h.slow
	}
	t.h.mu.Lock()
	defer t.h.mu.Unlock()
	if strings.HasPrefix(t.to, "later") && t.h.busy[t.to] < 2 {
		t.h.busy[t.to]++
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}
	}
	t.h.got[t.to]++
	if strings.HasPrefix(t.to, "cut") { // after the final dot: it was taken, and nobody hears of it
		return t.c.Conn().Close()
	}
	return nil
}

// serve begins to answer at an address.
func (h *host) serve(t testing.TB, l net.Listener) {
	srv := smtp.NewServer(h)
	srv.Domain, srv.EnableDSN = "localhost", true
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
}

func listenAt(t testing.TB, addr string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skip("somebody else has taken the address: ", err)
	}
	return l
}

// mailer speaks to a real address.
func mailer(t testing.TB, k *ledgertest.Kit, addr string, patience time.Duration) *mail.Mailer {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	m, err := mail.New(mail.Deps{Queue: jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: time.Now, Log: log}), URL: "smtp://" + addr, From: "writ@example.test", Now: time.Now, Log: log, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func letterTo(address string) notify.Message {
	m := msg("letter/" + address)
	m.Channel, m.To = notify.Mail, address+"@example.test"
	return m
}

// states are those of all deliveries, by the beginning of what they are about.
func (w *world) states() (out map[string]string, resting bool) {
	w.t.Helper()
	ds, err := w.s.Deliveries(w.t.Context(), notify.Query{Limit: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	out, resting = map[string]string{}, true
	for _, d := range ds {
		out[strings.TrimPrefix(d.About, "letter/")] = d.State
		resting = resting && d.State != notify.Claimed && d.State != notify.Sent
	}
	return out, resting
}

// settled waits until no delivery waits any more; the clock goes on while nobody is at one.
func (w *world) settled() map[string]string {
	w.t.Helper()
	var got map[string]string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		var resting bool
		got, resting = w.states()
		open := 0
		for about, state := range got {
			if state != notify.Accepted && state != notify.Rejected && state != notify.Unknown && !strings.HasPrefix(about, "slow") {
				open++
			}
		}
		if open == 0 {
			return got
		}
		if resting {
			w.Clock.Advance(10 * time.Second)
		}
		w.jobs.Nudge()
	}
	w.t.Fatalf("some wait still: %v", got)
	return nil
}

// A mail host that is down, refuses half, says later, goes away in the middle of a letter or
// after its last line: every letter has its end, nobody has two, and unknown are those of
// which nobody knows.
func TestMailHosts(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		l := listenAt(w.t, "127.0.0.1:0")
		addr := l.Addr().String()
		_ = l.Close() // it is down
		w.s.Mail = mailer(w.t, w.Kit, addr, 0)
		want := map[string]string{}
		var ms []notify.Message
		for i := range 20 {
			kind := []string{"refused", "fine", "refused", "later", "refused", "cut", "refused", "broken"}[i%8]
			to := fmt.Sprintf("%s%d", kind, i)
			ms = append(ms, letterTo(to))
			want[to] = map[string]string{"refused": notify.Rejected, "fine": notify.Accepted, "later": notify.Accepted, "cut": notify.Unknown, "broken": notify.Unknown}[kind]
		}
		w.queue(ms...)
		eventually(w.t, "all were tried in vain", func() bool {
			w.jobs.Nudge()
			got, _ := w.states()
			for _, state := range got {
				if state != notify.Deferred {
					return false
				}
			}
			return len(got) == 20
		})
		h := &host{got: map[string]int{}, busy: map[string]int{}}
		h.serve(w.t, listenAt(w.t, addr))
		if got := w.settled(); !maps.Equal(got, want) {
			w.t.Errorf("%v, want %v", got, want)
		}
		got := h.letters()
		for to, state := range want {
			n := got[to+"@example.test"]
			if n > 1 || n == 0 && (state == notify.Accepted || strings.HasPrefix(to, "cut")) || n != 0 && state == notify.Rejected {
				w.t.Errorf("%s is %s and has %d letters", to, state, n)
			}
		}
		if es := w.Recorded("notify.accepted", "notify.rejected", "notify.left-unknown"); len(es) != 20 {
			w.t.Errorf("%d of 20 ends are entries", len(es))
		}
	})
}

// nameless answers every question about a name: there is none such.
func nameless(t testing.TB) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := l.ReadFrom(b)
			if err != nil {
				return
			}
			if n < 12 {
				continue
			}
			b[2], b[3] = b[2]|0x80, b[3]&0xf0|3 // an answer: NXDOMAIN
			_, _ = l.WriteTo(b[:n], from)
		}
	}()
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", l.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = was; _ = l.Close() })
}

// A mail host that is not reached at all, because each of its addresses refuses or because its name is
// not found, keeps a letter back and nothing else: it waits with its reason, and what goes by another
// way is there at once.
func TestMailHostOutOfReach(t *testing.T) { // breaks: mon.notify
	both(t, func(w *world) {
		nameless(w.t)
		_, port, err := net.SplitHostPort(closedPort(w.t))
		must(w.t, err)
		alarm := w.named("ops", notify.File, "")
		for addr, says := range map[string]string{"localhost:" + port: "dial tcp", "mail.harbour.example.test:25": "no such host"} {
			w.s.Mail = mailer(w.t, w.Kit, addr, 0)
			letter := letterTo(addr)
			letter.To, alarm.Key, alarm.About = "ana@example.test", addr, "alarm/"+addr
			w.queue(letter, alarm)
			if d := w.until(alarm.About, notify.Accepted, 0); d.Tries != 1 {
				w.t.Errorf("%s: by the folder: %+v", addr, d)
			}
			d := w.until(letter.About, notify.Deferred, 0)
			if wait := d.Due.Sub(w.Clock.Now()); wait < 4*time.Second || wait > 6*time.Second {
				w.t.Errorf("%s: the next try is in %s", addr, wait)
			}
			if d.Tries != 1 || len(d.Attempts) != 1 {
				w.t.Fatalf("%s: %+v", addr, d)
			}
			if a := d.Attempts[0]; a.Outcome != notify.Deferred || a.Code != "no_answer" || !strings.Contains(a.Text, says) {
				w.t.Errorf("%s: %+v", addr, a)
			}
		}
		if es := w.Recorded("notify.rejected", "notify.left-unknown"); len(es) != 0 {
			w.t.Errorf("given up: %v", es)
		}
		l := listenAt(w.t, "127.0.0.1:"+port)
		h := &host{got: map[string]int{}}
		h.serve(w.t, l)
		w.s.Mail = mailer(w.t, w.Kit, "localhost:"+port, 0)
		if got := w.settled(); len(got) != 4 || h.letters()["ana@example.test"] != 2 {
			w.t.Errorf("once it is back: %v, %v", got, h.letters())
		}
	})
}

// A host that is slow with one letter keeps no other back, and that one is sent once. One that
// never answers leaves it unknown.
func TestSlowMailHost(t *testing.T) { // breaks: mon.notify
	w := open(t, ledgertest.Open(t, jobs.Schema(), notify.Schema()), nil)
	h := &host{got: map[string]int{}, slow: make(chan struct{})}
	l := listenAt(t, "127.0.0.1:0")
	h.serve(t, l)
	w.s.Mail = mailer(t, w.Kit, l.Addr().String(), time.Minute)
	ms := []notify.Message{letterTo("slow")}
	for i := range 6 {
		ms = append(ms, letterTo(fmt.Sprintf("fine%d", i)))
	}
	w.queue(ms...)
	if got := w.settled(); got["slow"] != notify.Sent || len(got) != 7 {
		t.Errorf("while one waits: %v", got)
	}
	close(h.slow)
	if d := w.until("letter/slow", notify.Accepted, 0); d.Tries != 1 || h.letters()["slow@example.test"] != 1 {
		t.Errorf("%+v %v", d, h.letters())
	}
	h.slow = make(chan struct{})
	defer close(h.slow)
	w.s.Mail = mailer(t, w.Kit, l.Addr().String(), time.Second)
	w.queue(letterTo("slow-for-ever"))
	w.until("letter/slow-for-ever", notify.Unknown, 10*time.Second)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited in vain: %s", what)
}

// BenchmarkLetters prints how long 50,000 letters take to be queued, how many an hour go out of
// that queue, each with its row, its tries and its entry, to a host that answers at once (of the
// first 2,000), and how much memory the process has at most.
func BenchmarkLetters(b *testing.B) {
	for b.Loop() {
		k := ledgertest.Open(b, jobs.Schema(), notify.Schema())
		h := &host{got: map[string]int{}}
		l := listenAt(b, "127.0.0.1:0")
		h.serve(b, l)
		w := bench(b, k, mailer(b, k, l.Addr().String(), 0))
		const all, some, out = 50_000, 250, 2_000
		begin, highest := time.Now(), uint64(0)
		for at := 0; at < all; at += some {
			ms := make([]notify.Message, 0, some)
			for i := range some {
				ms = append(ms, letterTo(fmt.Sprintf("person%d", at+i)))
			}
			ps, err := w.Prepare(b.Context(), ms...)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := k.DB.Change(b.Context(), actor.System("test"), func(tx *ledger.Tx) (ledger.Event, error) {
				return told{}, w.Queue(b.Context(), tx, ps...)
			}); err != nil {
				b.Fatal(err)
			}
			if at%5000 == 0 {
				highest = max(highest, heap())
			}
		}
		queued := time.Since(begin)
		for n, last := 0, time.Now(); n < out; {
			if time.Since(last) > time.Second {
				last, highest = time.Now(), max(highest, heap())
			}
			time.Sleep(10 * time.Millisecond)
			h.mu.Lock()
			n, h.env = len(h.got), nil
			h.mu.Unlock()
		}
		sent := time.Since(begin) - queued
		for to, n := range h.letters() {
			if n != 1 {
				b.Fatalf("%s has %d letters", to, n)
			}
		}
		b.ReportMetric(queued.Seconds(), "s-to-queue")
		b.ReportMetric(out/sent.Hours(), "letters/h")
		b.ReportMetric(float64(highest)/1e6, "MB-highest")
	}
}
