package incident_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
	"writ/internal/secret"
)

var stranger = actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24"}

// call is what a webhook got.
type call struct {
	Type string
	Data struct {
		Says, Challenge, Secret string
		Unsubscribe             string `json:"unsubscribe_url"`
		Incident                *struct {
			ID, Name, Status string
			Updates          []struct{ ID, Body string } `json:"incident_updates"`
		}
		Maintenance *struct{ ID, Name string }
	}
}

// called are the messages of a type that webhooks got.
func (w *world) called(kind string) (out []call) {
	w.t.Helper()
	w.hooks.mu.Lock()
	defer w.hooks.mu.Unlock()
	for _, c := range w.hooks.calls {
		var h call
		if err := json.Unmarshal(c.Body, &h); err != nil {
			w.t.Fatal(err)
		}
		if h.Type == kind {
			out = append(out, h)
		}
	}
	return out
}

// echo answers challenges, and takes everything else.
func echo(c notify.Call) notify.Reply {
	var h call
	_ = json.Unmarshal(c.Body, &h) // what is no JSON has no challenge
	return notify.Reply{State: notify.Accepted, Code: "200", Body: `{"challenge":"` + h.Data.Challenge + `"}`}
}

// count reads one number.
func (w *world) count(query string, args ...any) (n int64) {
	w.t.Helper()
	if err := ledger.One(w.t.Context(), w.kit.DB, query, []any{&n}, args...); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// turn lets the queue do what is due, and ends it; the clock stands.
func (w *world) turn() {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.queue.Run(ctx) }()
	until := time.Now().Add(30 * time.Second)
	for w.count(`SELECT COUNT(*) FROM job_work WHERE state = 'waiting' AND due <= $1`, w.kit.Clock.Now().UnixMicro()) > 0 && time.Now().Before(until) {
		w.queue.Nudge()
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	<-done
}

// settled lets the queue work, and hours pass, until no notice waits.
func (w *world) settled() {
	w.t.Helper()
	for range 40 {
		w.turn()
		if w.count(`SELECT COUNT(*) FROM incident_status_notice n JOIN incident_status_subscriber s ON s.id = n.subscriber WHERE n.state = 'queued' AND s.suspended IS NULL`) == 0 {
			return
		}
		w.kit.Clock.Advance(time.Hour)
	}
	w.t.Fatal("a notice has no end")
}

// posted sends a form to the public page.
func (w *world) posted(path string, f url.Values) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), "POST", "https://app.example.test"+path, strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	a := httptest.NewRecorder()
	w.site().ServeHTTP(a, r)
	return a
}

// A webhook is told once it has answered the challenge, by messages that the secret signs which
// it alone was given; one POST ends it.
func TestHookSubscribes(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.hooks.answer = func(notify.Call) notify.Reply {
			return notify.Reply{State: notify.Accepted, Code: "200", Body: "thank you"}
		}
		const at = "/-/status/subscribe/webhook"
		first := w.posted(at, url.Values{"url": {"https://hooks.example.net/deaf"}})
		w.worked()
		c := w.active()
		w.says(c.Ref(), status.Investigating)
		w.worked()
		if first.Code != http.StatusOK || len(w.called("status.challenge")) != 1 || len(w.called("status.incident")) != 0 {
			t.Fatalf("one that does not echo: %d, called %d times", first.Code, len(w.hooks.calls))
		}
		w.hooks.answer = echo
		other := w.posted(at, url.Values{"url": {"https://hooks.example.net/in"}})
		if first.Body.String() != other.Body.String() || strings.Contains(other.Body.String(), "whsec_") {
			t.Error("whoever asks learns more than that it was asked")
		}
		w.worked()
		w.says(c.Ref(), status.Identified)
		w.worked()
		got := w.called("status.incident")
		if len(got) != 1 || got[0].Data.Incident == nil || got[0].Data.Incident.Status != status.Identified || len(got[0].Data.Incident.Updates) != 1 || got[0].Data.Says != "Identified: Sign-in fails" {
			t.Fatalf("told %+v", got)
		}
		asked := w.called("status.challenge")
		last := w.hooks.calls[len(w.hooks.calls)-1]
		if key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(asked[1].Data.Secret, "whsec_")); err != nil || !last.Key.Equal(secret.NewBytes(key)) || len(key) != 32 || last.URL.Reveal() != "https://hooks.example.net/in" {
			t.Error("it is signed with another secret than it was given")
		}
		if again := w.posted(at, url.Values{"url": {"https://hooks.example.net/in"}}); again.Body.String() != first.Body.String() {
			t.Error("a known address gets another answer")
		}
		w.worked()
		if n := len(w.called("status.challenge")); n != 2 {
			t.Errorf("a known one is asked again: %d", n)
		}
		end, _ := strings.CutPrefix(got[0].Data.Unsubscribe, "https://app.example.test")
		if w.get(end); w.count(`SELECT COUNT(*) FROM incident_status_subscriber WHERE kind = 'webhook' AND confirmed IS NOT NULL`) != 1 {
			t.Error("opening the link ends it")
		}
		if a := w.posted(end, nil); a.Code != http.StatusOK || w.count(`SELECT COUNT(*) FROM incident_status_notice`) != 0 {
			t.Errorf("%d, or its notices stay", a.Code)
		}
		w.says(c.Ref(), status.Monitoring)
		w.worked()
		if n := len(w.called("status.incident")); n != 1 {
			t.Errorf("told after its end: %d", n)
		}
		if a := w.posted(at, url.Values{"url": {"http://hooks.example.net/in"}}); a.Code != http.StatusUnprocessableEntity {
			t.Errorf("a plain address: %d", a.Code)
		}
	}, tables...)
}

// Subscribers hear of the parts that they chose, and of what touches no part.
func TestSubscribersChooseParts(t *testing.T) {
	w := open(t)
	w.hooks.answer = echo
	in, search := w.component("Sign-in", "Accounts"), w.component("Search", "")
	w.subscribed("uma@example.test")
	if err := w.page.SubscribeHook(t.Context(), stranger, "https://hooks.example.net/in", []string{search.ID, "unknown"}, stranger.ID); err != nil {
		t.Fatal(err)
	}
	w.worked()
	c := w.active()
	p := w.update(status.Investigating)
	p.Touched = map[string]string{in.ID: status.MajorOutage}
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	w.says(c.Ref(), status.Identified) // says no part, and is about the same
	w.worked()
	if got := w.post.to("incident.update"); !slices.Equal(got, []string{"uma"}) || len(w.called("status.incident")) != 0 {
		t.Fatalf("told %v, %+v", got, w.called("status.incident"))
	}
	now := w.kit.Clock.Now()
	for i, of := range [][]string{{in.ID}, {search.ID}, nil} {
		if _, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks", Touched: of, Starts: now.Add(time.Duration(i+1) * 24 * time.Hour), Ends: now.Add(time.Duration(i+1)*24*time.Hour + time.Hour)}); err != nil {
			t.Fatal(err)
		}
	}
	w.worked()
	got := w.called("status.maintenance")
	if len(got) != 2 || got[0].Data.Maintenance == nil || got[0].Data.Says != "Maintenance is announced" {
		t.Fatalf("told of maintenance %+v", got)
	}
	manage := strings.Replace(strings.TrimPrefix(got[0].Data.Unsubscribe, "https://app.example.test"), "/unsubscribe/", "/manage/", 1)
	page := w.get(manage).Body.String()
	if strings.Count(page, " checked") != 1 || !strings.Contains(page, "Accounts: Sign-in") {
		t.Errorf("the page of what it is told of:\n%s", page)
	}
	if a := w.posted(manage, url.Values{"part-" + in.ID: {"on"}}); a.Code != http.StatusOK {
		t.Fatal(a.Code)
	}
	w.says(c.Ref(), status.Monitoring)
	w.worked()
	if n := len(w.called("status.incident")); n != 1 {
		t.Errorf("told of the part that it chose later: %d", n)
	}
	if a := w.posted(manage[:len(manage)-2]+"xx", nil); a.Code != http.StatusGone {
		t.Errorf("somebody else's link: %d", a.Code)
	}
	if a := w.get(manage[:len(manage)-2] + "xx"); a.Code != http.StatusGone {
		t.Errorf("somebody else's page: %d", a.Code)
	}
}

// While nothing goes out, updates of one incident do not pile up: the newest goes, once.
func TestUnsentUpdatesCollapse(t *testing.T) { // breaks: inc.updates
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		w.subscribed("uma@example.test")
		w.post.away = true
		c := w.active()
		w.says(c.Ref(), status.Investigating)
		w.drained("the mail server is tried", func() bool { return w.count(`SELECT COALESCE(MAX(tries), 0) FROM incident_status_notice`) > 0 })
		w.says(c.Ref(), status.Identified)
		w.says(c.Ref(), status.Monitoring)
		if a, err := w.page.Subscribers(t.Context()); err != nil || a.Waiting != 1 || a.Since.IsZero() || a.Since.After(kit.Clock.Now()) {
			t.Errorf("%+v %v", a, err)
		}
		w.post.mu.Lock()
		w.post.away = false
		w.post.mu.Unlock()
		w.drained("it is told", func() bool { return len(w.post.to("incident.update")) > 0 })
		kit.Clock.Advance(2 * time.Hour) // the jobs of the older ones
		w.worked()
		w.post.mu.Lock()
		defer w.post.mu.Unlock()
		var got []string
		for _, m := range w.post.sent {
			if m.Kind == "incident.update" {
				got = append(got, m.Subject)
			}
		}
		if !slices.Equal(got, []string{"Monitoring: Sign-in fails"}) {
			t.Errorf("told %q", got)
		}
	}, tables...)
}

// Who refuses five messages one after another, or takes them without a word, is told nothing more, which is recorded and shown,
// until they confirm again; one that answers 410 wants no more; one that never answers is given
// up, and what may have arrived is not sent again.
func TestSubscribersThatRefuse(t *testing.T) {
	w := open(t)
	w.hooks.answer = echo
	says := map[string]notify.Reply{"no": {State: notify.Rejected, Code: "500"}, "gone": {State: notify.Rejected, Code: "410"}, "away": {State: notify.Deferred, Code: "no_answer"}, "silent": {State: notify.Unknown, Code: "no_answer"}}
	for name := range says {
		if err := w.page.SubscribeHook(t.Context(), stranger, "https://hooks.example.net/"+name, nil, stranger.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.worked()
	w.hooks.mu.Lock()
	w.hooks.answer = func(c notify.Call) notify.Reply {
		return says[strings.TrimPrefix(c.URL.Reveal(), "https://hooks.example.net/")]
	}
	w.hooks.mu.Unlock()
	to := func(name string) (n int) {
		w.hooks.mu.Lock()
		defer w.hooks.mu.Unlock()
		for _, c := range w.hooks.calls {
			if strings.HasSuffix(c.URL.Reveal(), "/"+name) {
				n++
			}
		}
		return n - 1 // the challenge
	}
	c := w.active()
	w.says(c.Ref(), status.Investigating)
	w.settled()
	if to("silent") != 1 || to("no") != 1 || to("gone") != 1 || to("away") != 12 {
		t.Errorf("sent %d %d %d %d times", to("silent"), to("no"), to("gone"), to("away"))
	}
	if n := w.count(`SELECT COUNT(*) FROM incident_status_subscriber`); n != 3 {
		t.Errorf("%d subscribers: one is gone", n)
	}
	for range 5 {
		w.says(c.Ref(), status.Identified)
		w.settled()
	}
	if to("no") != 5 || to("silent") != 5 {
		t.Errorf("told %d and %d times although it refuses, or says nothing", to("no"), to("silent"))
	}
	if a, err := w.page.Subscribers(t.Context()); err != nil || a.Suspended != 3 || a.Hooks != 0 || w.entries("subscription-suspended") != 3 {
		t.Errorf("%+v %v", a, err)
	}
	w.hooks.mu.Lock()
	w.hooks.answer = echo
	w.hooks.mu.Unlock()
	w.kit.Clock.Advance(2 * time.Hour)
	if err := w.page.SubscribeHook(t.Context(), stranger, "https://hooks.example.net/no", nil, stranger.ID); err != nil {
		t.Fatal(err)
	}
	w.worked()
	if a, err := w.page.Subscribers(t.Context()); err != nil || a.Suspended != 2 || a.Hooks != 1 {
		t.Errorf("after it has confirmed again: %+v %v", a, err)
	}
}

// Anybody may subscribe webhooks that never answer: they hold one hand of the server, and a
// letter goes out meanwhile.
func TestHangingHooksHoldNobodyUp(t *testing.T) {
	w := open(t)
	w.hooks.answer = echo
	for i := range 6 {
		if err := w.page.SubscribeHook(t.Context(), stranger, fmt.Sprintf("https://hooks.example.net/%d", i), nil, stranger.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.worked()
	w.subscribed("uma@example.test")
	let := make(chan struct{})
	var at, most atomic.Int64
	w.hooks.mu.Lock()
	w.hooks.answer = func(notify.Call) notify.Reply {
		most.Store(max(most.Load(), at.Add(1)))
		<-let
		at.Add(-1)
		return notify.Reply{State: notify.Accepted, Code: "200"}
	}
	w.hooks.mu.Unlock()
	w.says(w.active().Ref(), status.Investigating)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.queue.Run(ctx) }()
	until := time.Now().Add(30 * time.Second)
	for (at.Load() == 0 || len(w.post.to("incident.update")) == 0) && time.Now().Before(until) {
		w.queue.Nudge()
		time.Sleep(5 * time.Millisecond)
	}
	if got := w.post.to("incident.update"); !slices.Equal(got, []string{"uma"}) || at.Load() != 1 {
		t.Errorf("while %d webhooks hang, told by letter: %v", at.Load(), got)
	}
	close(let)
	stop()
	<-done
	w.turn()
	if n := len(w.called("status.incident")); n != 6 || most.Load() != 1 {
		t.Errorf("%d of 6 webhooks were called, %d at once", n, most.Load())
	}
}

// A webhook of a subscriber does not lead inside.
func TestHooksBehindTheGuard(t *testing.T) { // breaks: inc.public-notice
	var got *http.Request
	inside := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer inside.Close()
	w := open(t)
	s, err := notify.New(notify.Deps{DB: w.kit.DB, Keys: w.kit.Ring, Mail: w.post.Mailer, Jobs: w.queue, Company: func() string { return "Harbour" }, Now: w.kit.Clock.Now, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	w.page.Hooks = s
	if err := w.page.SubscribeHook(t.Context(), stranger, inside.URL, nil, stranger.ID); err != nil {
		t.Fatal(err)
	}
	w.worked()
	if got != nil {
		t.Error("it was called inside")
	}
	if n := w.count(`SELECT COUNT(*) FROM incident_status_subscriber WHERE confirmed IS NOT NULL`); n != 0 {
		t.Error("it is told")
	}
	for _, address := range []string{"https://user:pw@hooks.example.net/", "ftp://hooks.example.net/", "https://", "hooks", "http://10.0.0.1/"} {
		if err := w.page.SubscribeHook(t.Context(), stranger, address, nil, stranger.ID); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// However many are told, the change that says it is as short; each gets one notice, also when
// the job that queues them runs twice, and none of what a newer post has overtaken.
func TestManySubscribers(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		const many = 250
		w.wrote(func(tx *ledger.Tx) error {
			for i := range many { // nobody can be reached: their notices stay where they are
				if _, err := tx.Exec(t.Context(), `INSERT INTO incident_status_subscriber (id, mark, box, token, until, asked, tries, confirmed) VALUES ($1, $1, $2, '', 0, 0, 0, 1)`, fmt.Sprintf("s-%03d", i), []byte{}); err != nil {
					return err
				}
			}
			return nil
		})
		queued := func(what string) int64 {
			return w.count(`SELECT COUNT(*) FROM incident_status_notice WHERE state = 'queued' AND what = $1`, what)
		}
		c := w.active()
		w.says(c.Ref(), status.Investigating)
		if n := w.count(`SELECT COUNT(*) FROM job_work WHERE kind LIKE 'incident.notice%'`); n != 1 {
			t.Fatalf("%d jobs stand in the change", n)
		}
		var id string
		var payload []byte
		if err := ledger.One(t.Context(), kit.DB, `SELECT id, payload FROM job_work WHERE kind = 'incident.notices'`, []any{&id, &payload}); err != nil {
			t.Fatal(err)
		}
		again := func() {
			w.wrote(func(tx *ledger.Tx) error {
				_, err := tx.Exec(t.Context(), `INSERT INTO job_work (id, kind, payload, state, made, due, held, tries, problem) VALUES ($1, 'incident.notices', $2, 'waiting', 0, 0, 0, 0, '')`, id, payload)
				return err
			})
			w.drained("the job has run again", func() bool {
				return w.count(`SELECT COUNT(*) FROM job_work WHERE id = $1 AND state = 'waiting'`, id) == 0
			})
		}
		first := w.show(c.Ref()).Posts[0].ID
		if w.turn(); queued(first) != many {
			t.Fatalf("%d of them are to be told", queued(first))
		}
		w.wrote(func(tx *ledger.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE incident_status_notice SET state = 'told' WHERE subscriber < 's-200'`)
			return err
		})
		if again(); queued(first) != many-200 {
			t.Errorf("%d wait: who was told is told again", queued(first))
		}
		w.says(c.Ref(), status.Identified)
		second := w.show(c.Ref()).Posts[0].ID
		if again(); queued(second) != many || queued(first) != 0 {
			t.Errorf("%d wait for the newer one, and %d for the older one", queued(second), queued(first))
		}
	}, tables...)
}

// wrote changes rows as nothing of the product does.
func (w *world) wrote(fn func(tx *ledger.Tx) error) {
	w.t.Helper()
	if err := w.kit.DB.Quiet(w.t.Context(), ledger.JobState, fn); err != nil {
		w.t.Fatal(err)
	}
}
