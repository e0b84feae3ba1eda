package notify_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/secret"
)

type world struct {
	*ledgertest.Kit
	t    *testing.T
	jobs *jobs.Jobs
	s    *notify.Service
	mail *server
	dir  string
}

type told struct{}

func (told) About() ledger.About { return ledger.About{Name: "watch.test-told"} }

func both(t *testing.T, fn func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) { fn(open(t, k, nil)) }, jobs.Schema(), notify.Schema())
}

// open makes the kit without a running queue: tests run its jobs themselves, by Steps.
func open(t *testing.T, k *ledgertest.Kit, change func(*notify.Deps)) *world {
	t.Helper()
	w := &world{Kit: k, t: t, mail: &server{}, dir: t.TempDir()}
	log := slog.New(slog.DiscardHandler)
	w.jobs = jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: k.Clock.Now, Log: log})
	d := notify.Deps{DB: k.DB, Keys: k.Ring, Mail: w.mail, Jobs: w.jobs, Company: func() string { return "Example" }, Now: k.Clock.Now, Log: log,
		Folder: w.dir, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	if change != nil {
		change(&d)
	}
	var err error
	if w.s, err = notify.New(d); err != nil {
		t.Fatal(err)
	}
	work(t, w.jobs)
	return w
}

// work runs a queue until the test ends.
func work(t testing.TB, j *jobs.Jobs) {
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = j.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// bench is the kit with a running queue, for a benchmark.
func bench(b *testing.B, k *ledgertest.Kit, m notify.Mailer) *notify.Service {
	b.Helper()
	log := slog.New(slog.DiscardHandler)
	j := jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: time.Now, Log: log})
	s, err := notify.New(notify.Deps{DB: k.DB, Keys: k.Ring, Mail: m, Jobs: j, Company: func() string { return "Example" }, Now: time.Now, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	work(b, j)
	return s
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// queue puts messages into a change.
func (w *world) queue(ms ...notify.Message) {
	w.t.Helper()
	ps, err := w.s.Prepare(w.t.Context(), ms...)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.DB.Change(w.t.Context(), actor.System("test"), func(tx *ledger.Tx) (ledger.Event, error) {
		return told{}, w.s.Queue(w.t.Context(), tx, ps...)
	}); err != nil {
		w.t.Fatal(err)
	}
}

// until waits for the one delivery about something to be in a state; the clock goes on by
// step while it is not.
func (w *world) until(about, state string, step time.Duration) notify.Delivery {
	w.t.Helper()
	var last []notify.Delivery
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		ds, err := w.s.Deliveries(w.t.Context(), notify.Query{About: about})
		if err != nil {
			w.t.Fatal(err)
		}
		if last = ds; len(ds) == 1 && ds[0].State == state {
			d, err := w.s.Delivery(w.t.Context(), ds[0].ID)
			if err != nil {
				w.t.Fatal(err)
			}
			return d
		}
		if len(ds) == 1 && (ds[0].State == notify.Queued || ds[0].State == notify.Deferred) { // nobody is at it
			w.Clock.Advance(step)
		}
		w.jobs.Nudge()
	}
	w.t.Fatalf("%s is not %s: %+v", about, state, last)
	return notify.Delivery{}
}

func (w *world) channel(kind, url string) secret.Text {
	w.t.Helper()
	_, key, err := w.s.AddChannel(w.t.Context(), actor.System("test"), "ops", kind, secret.NewText(url))
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

func msg(about string) notify.Message {
	return notify.Message{Key: about, Channel: "ops", Subject: "The disk is nearly full", Text: "Node one has 4 % left.\n\nMake room.", Severity: notify.Page, About: about,
		Link: &mail.Link{Text: "See the alarm", URL: "https://app.example.test/-/console/watch/1"}}
}

// hook is a receiver that answers as it is told.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	got    []*http.Request
	bodies []string
}

func newHook(t *testing.T, answer func(w http.ResponseWriter, n int)) *hook {
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.got, h.bodies = append(h.got, r), append(h.bodies, string(b))
		n := len(h.got)
		h.mu.Unlock()
		answer(w, n)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) count() int { h.mu.Lock(); defer h.mu.Unlock(); return len(h.got) }

// server takes letters as it is told.
type server struct {
	mu      sync.Mutex
	letters []mail.Message
	answer  func(n int) (mail.Answer, error)
}

func (s *server) Deliver(_ context.Context, m mail.Message) (mail.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters = append(s.letters, m)
	if s.answer == nil {
		return mail.Answer{Code: 250, Text: "queued as 17"}, nil
	}
	return s.answer(len(s.letters))
}

func (s *server) all() []mail.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mail.Message(nil), s.letters...)
}

// raw reports whether bytes stand in the database as they are.
func (w *world) raw(what string) bool {
	var hit bool
	for _, q := range []string{`SELECT box FROM notify_channel`, `SELECT box FROM notify_message`, `SELECT box FROM notify_delivery`, `SELECT box FROM notify_attempt`, `SELECT box FROM notify_address`} {
		if err := w.DB.Each(w.t.Context(), q, func(scan ledger.Scan) error {
			var b []byte
			err := scan(&b)
			hit = hit || bytes.Contains(b, []byte(what))
			return err
		}); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, e := range w.Recorded() {
		hit = hit || strings.Contains(e.Body, what)
	}
	return hit
}

func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
