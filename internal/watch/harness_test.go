package watch_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/secret"
	"writ/internal/watch"
	"writ/internal/watch/place"
	"writ/internal/watch/watchtest"
)

var engineer, support, operator = watchtest.Engineer, watchtest.Support, watchtest.Operator

// world is watch over a ledger; its messages go out through the real kit, and the letters
// and the folder are looked at.
type world struct {
	*ledgertest.Kit
	t       *testing.T
	jobs    *jobs.Jobs
	notify  *notify.Service
	s       *watch.Service
	rules   *clause.Live[watch.Rules]
	dir     string
	sources []watch.Source

	mu      sync.Mutex
	letters []mail.Message
	away    error // why the mail host is not reached
	people  map[int64][]watch.Person
	holders map[string][]watch.Person // by role, who may be told of alarms
	n       int64                     // of the next entry
	outside func(ctxt) error
	worked  map[string]string // maintenance, by what it works on
	closed  bool              // the application is in maintenance
	node    string
	places  *place.Table
	slack   *watch.Slack
	linked  string // what a silence may belong to

	journal *journal.Journal
	past    watchtest.Past // entries are all that was followed
}

func (w *world) Deliver(_ context.Context, m mail.Message) (mail.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away != nil {
		return mail.Answer{Text: w.away.Error()}, w.away
	}
	w.letters = append(w.letters, m)
	return mail.Answer{Code: 250}, nil
}

func both(t *testing.T, fn func(w *world)) {
	ledgertest.Both(t, func(t *testing.T, k *ledgertest.Kit) { fn(open(t, k)) }, watchtest.Tables()...)
}

func lite(t *testing.T) *world { return open(t, ledgertest.Open(t, watchtest.Tables()...)) }

func open(t *testing.T, k *ledgertest.Kit) *world {
	t.Helper()
	eli, ana := watch.Person{ID: "eli", Email: "eli@example.test"}, watch.Person{ID: "ana", Email: "ana@example.test"}
	w := &world{Kit: k, t: t, dir: t.TempDir(), n: 10, people: map[int64][]watch.Person{0: {eli}, 1: {eli, ana}}}
	w.notify, w.jobs = watchtest.Told(t, k, w, w.dir)
	if _, _, err := w.notify.AddChannel(t.Context(), operator, "folder", notify.File, secret.Text{}); err != nil {
		t.Fatal(err)
	}
	w.rules = watchtest.Rules[watch.Rules](t, k)
	w.again()
	return w
}

// again is a new process.
func (w *world) again() {
	w.t.Helper()
	d := watchtest.Deps(w.t, w.Kit, w.notify, &w.past)
	d.Rules, d.Folders, d.Sources, d.Outside, d.Node, d.Places = w.rules, map[string]string{"data": w.dir}, w.sources, w.outside, w.node, w.places
	d.Slack = w.slack
	d.Exists = func(_ ctxt, _ actor.Actor, kind, id string) error {
		if kind+"/"+id != w.linked {
			return errors.New("there is none")
		}
		return nil
	}
	d.Maintenance = func() bool { return w.closed }
	d.Worked = func(on string) string { return w.worked[on] }
	d.Audience = func(_ context.Context, level int64) ([]watch.Person, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.people[min(level, 1)], nil
	}
	d.InRoles = func(_ context.Context, roles []string) (out []watch.Person, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, role := range roles {
			out = append(out, w.holders[role]...)
		}
		return out, nil
	}
	w.journal = d.Journal.(*journal.Journal)
	var err error
	if w.s, err = watch.New(d); err != nil {
		w.t.Fatal(err)
	}
}

// follow gives watch entries as the journal does, numbered on.
func (w *world) follow(es ...journal.Entry) {
	w.t.Helper()
	for i := range es {
		if es[i].N < w.n {
			es[i].N = w.n
		}
		w.n = es[i].N + 1
		es[i].At, es[i].Happened = w.Clock.Now(), w.Clock.Now()
	}
	w.past.Numbered = append(w.past.Numbered, es...)
	for len(es) > 0 {
		k := min(len(es), 256)
		if err := w.s.Follow(w.t.Context(), es[:k]); err != nil {
			w.t.Fatal(err)
		}
		es = es[k:]
	}
}

func entry(stream, who string, fields ...journal.Field) journal.Entry {
	return journal.Entry{Stream: stream, Act: stream, Kind: "stranger", Actor: who, Object: "thing/1", Fields: fields}
}

func many(n int, e journal.Entry) (out []journal.Entry) {
	for range n {
		out = append(out, e)
	}
	return out
}

func (w *world) judge(meter, label string, v float64) {
	w.t.Helper()
	if err := w.s.Judge(w.t.Context(), []watch.Reading{{Meter: meter, Label: label, Value: v}}); err != nil {
		w.t.Fatal(err)
	}
}

// on moves the clock and does what is due then.
func (w *world) on(d time.Duration) {
	w.t.Helper()
	w.Clock.Advance(d)
	if err := w.s.Step(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// alarms of a rule, whatever their state.
func (w *world) alarms(rule string) []watch.Alarm {
	w.t.Helper()
	as, err := w.s.Alarms(w.t.Context(), operator, watch.Query{Rule: rule, Limit: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	return as
}

// alarm is the one alarm of a rule, in a state.
func (w *world) alarm(rule, state string) watch.Alarm {
	w.t.Helper()
	as := w.alarms(rule)
	if len(as) != 1 || as[0].State != state {
		w.t.Fatalf("%s: %+v, want one that is %s", rule, as, state)
	}
	return as[0]
}

// queued are the deliveries about an alarm by channel.
func (w *world) queued(id string) map[string]int {
	w.t.Helper()
	ds, err := w.notify.Deliveries(w.t.Context(), notify.Query{About: "alarm/" + id, Limit: 500})
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]int{}
	for _, d := range ds {
		out[d.Channel]++
	}
	return out
}

// send runs the queue until so many letters are out.
func (w *world) send(want int) []mail.Message {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.jobs.Run(ctx) }()
	defer func() { stop(); <-done }()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		w.mu.Lock()
		ls := append([]mail.Message(nil), w.letters...)
		w.mu.Unlock()
		if len(ls) >= want {
			return ls
		}
		w.Clock.Advance(time.Second) // letters that found no hand come again
		w.jobs.Nudge()
	}
	w.t.Fatalf("%d letters did not go out", want)
	return nil
}

func linkIn(t *testing.T, m mail.Message) string {
	t.Helper()
	_, rest, ok := strings.Cut(m.Text, "/-/watch/acknowledge/")
	token, _, _ := strings.Cut(rest, "\n")
	if !ok || len(token) < 20 {
		t.Fatalf("no link in %s", m.Text)
	}
	return token
}

// nobody has any role.
func nobody(context.Context, []string) ([]watch.Person, error) { return nil, nil }

func must(t testing.TB, err error) { t.Helper(); watchtest.Must(t, err) }

// quiet writes to the tables as nobody else does.
func (w *world) quiet(query string, args ...any) {
	w.t.Helper()
	must(w.t, w.DB.Quiet(w.t.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(w.t.Context(), query, args...)
		return err
	}))
}

func deliveriesAbout(what string) notify.Query { return notify.Query{About: what, Limit: 500} }
