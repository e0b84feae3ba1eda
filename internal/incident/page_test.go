package incident_test

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/web"
)

// site serves the public page, without anybody behind it.
func (w *world) site() http.Handler {
	w.t.Helper()
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour"} }, Log: quiet(), Now: w.kit.Clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Mount(w.page.Routes()...); err != nil {
		w.t.Fatal(err)
	}
	return s.Handler(nobody{})
}

type nobody struct{}

func (nobody) Identify(r *http.Request) (actor.Actor, error) { return web.StrangerOf(r), nil }

// get is an answer of the public page.
func (w *world) get(path string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), "GET", "https://app.example.test"+path, nil)
	a := httptest.NewRecorder()
	w.site().ServeHTTP(a, r)
	return a
}

func (w *world) component(name, group string) status.Component {
	w.t.Helper()
	c, err := w.page.Add(w.t.Context(), w.as("dev"), name, group)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// An update without an estimate is refused; an honest unknown with the time of the next one
// is taken; the end needs none.
func TestEstimateIsRequired(t *testing.T) { // breaks: inc.eta
	w := open(t)
	c := w.active()
	p := w.update(status.Investigating)
	p.Next = time.Time{}
	_, err := w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0)
	if guards, _ := w.kept(err); !slices.Equal(guards, []string{"estimate-given"}) {
		t.Errorf("without estimate: %v", guards)
	}
	if w.entries("update-posted") != 0 || strings.Contains(w.get("/-/status").Body.String(), p.Body) {
		t.Error("what was refused stands on the page")
	}
	p.Estimate = w.kit.Clock.Now().Add(2 * time.Hour)
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	w.says(c.Ref(), status.Identified)
	for name, at := range map[string]time.Time{"past": w.kit.Clock.Now().Add(-time.Minute), "far": w.kit.Clock.Now().Add(31 * 24 * time.Hour)} {
		p.Estimate = at
		if _, err := w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0); !strings.Contains(err.Error(), "post_estimate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	body := w.get("/-/status/incidents/" + w.show(c.Ref()).Posts[0].Public).Body.String()
	for _, want := range []string{"We expect service to return by", "2 November, 12:00 UTC", "The next update comes by", "10:45 UTC"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	w.setRules(map[string]any{"inc.eta/eta": "optional"})
	p.Estimate, p.Next = time.Time{}, time.Time{}
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
}

// What must not be public does not become so, unless two people approve that very text.
func TestTextsDoNotLeak(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	w.names = []string{"Orchard", "x"}
	c := w.active()
	post := func(body string) (status.Post, error) {
		p := w.update(status.Investigating)
		p.Body = body
		_, err := w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0)
		return p, err
	}
	for what, body := range map[string]string{
		"an e-mail address at character":         "Ask carl@orchard.example about it.",
		"an address of the network at character": "The host 10.0.1.10 is down.", "an address of the network": "The host fd00::17:3 is down.",
		"a host of a private network": "We restarted db-1.prod.internal just now.", "a card number": "The card 4111 1111 1111 1111 was shown.",
		"the name of a customer at character": "Only ORCHARD is concerned by this.", "a secret": "The key AKIA" + "Q3EGRCZJYF4WLM5T was used.",
	} {
		_, err := post(body)
		if err == nil {
			t.Errorf("taken: %s", body)
			continue
		}
		if guards, _ := w.kept(err); !slices.Equal(guards, []string{"no-leak"}) {
			t.Errorf("%s: %v", body, guards)
		}
		if _, pub := fault.PublicOf(err); !slices.ContainsFunc(pub.Fields, func(f fault.Field) bool { return strings.Contains(f.Problem, what) }) {
			t.Errorf("%s: %v", body, pub.Fields)
		}
	}
	p, err := post("Only Orchard is concerned by this, and agrees to be named.")
	w.kept(err)
	w.ok(w.svc.Approve(t.Context(), w.as("ana"), c.Ref(), "text", p.Hash()))
	if _, err = post(p.Body); err == nil {
		t.Error("one person suffices")
	}
	w.ok(w.svc.Approve(t.Context(), w.as("ben"), c.Ref(), "text", p.Hash()))
	if _, err = post(p.Body + " All of it."); err == nil {
		t.Error("another text than the one that was approved")
	}
	if _, err = post(p.Body); err != nil {
		t.Errorf("approved by two: %v", err)
	}
	if _, err = post("It was 14:30:05 when 12.5 % of requests failed; orchards are fine, version 1.2.3 too."); err != nil {
		t.Errorf("what leaks nothing: %v", err)
	}
}

// The first notice is owed within the policy's time; updates within their interval, half of it
// at severity 1; the page says when one is overdue; a post ends that.
func TestUpdatesAreDue(t *testing.T) { // breaks: inc.updates, inc.public-notice
	w := open(t)
	c := w.active()
	last := func() (string, int) {
		e := w.kit.Recorded("incident.deadline-lost")
		if len(e) == 0 {
			return "", 0
		}
		return e[len(e)-1].Fields["parameter"].(string), len(e)
	}
	w.kit.Clock.Advance(30*time.Minute - time.Second)
	w.tend()
	if _, n := last(); n != 0 {
		t.Error("late too early")
	}
	w.kit.Clock.Advance(time.Second)
	w.tend()
	if param, n := last(); n != 1 || param != "inc.public-notice/within" {
		t.Errorf("the first notice: %s %d", param, n)
	}
	p := w.update(status.Investigating)
	p.Next, p.Estimate = time.Time{}, w.kit.Clock.Now().Add(5*time.Hour)
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	w.kit.Clock.Advance(time.Hour - time.Second)
	w.tend()
	if w.show(c.Ref()).States["C"] != "C2" {
		t.Error("overdue too early")
	}
	w.kit.Clock.Advance(time.Second)
	w.tend()
	w.tend()
	if at := w.show(c.Ref()).States["C"]; at != "C3'" {
		t.Fatalf("not overdue: %s", at)
	}
	if param, n := last(); n != 2 || param != "inc.updates/every" || !slices.Equal(w.post.to("incident.late"), []string{"dev", "dev"}) {
		t.Errorf("%s %d %v", param, n, w.post.to("incident.late"))
	}
	if !strings.Contains(w.get("/-/status").Body.String(), "The next update is overdue") || !strings.Contains(w.get("/-/status/api/v2/incidents/unresolved.json").Body.String(), `"update_overdue":true`) {
		t.Error("the page does not say that it is overdue")
	}
	w.kit.Clock.Advance(10 * time.Minute)
	w.tend()
	if _, n := last(); n != 3 {
		t.Errorf("the commander is not told: %d", n)
	}
	w.says(c.Ref(), status.Identified)
	if strings.Contains(w.get("/-/status").Body.String(), "overdue") {
		t.Error("still overdue after a post")
	}
	w.ok(w.svc.Grade(t.Context(), w.as("dev"), c.Ref(), 1, "it is worse"))
	p.Estimate = w.kit.Clock.Now().Add(5 * time.Hour)
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	w.kit.Clock.Advance(30 * time.Minute)
	w.tend()
	if at := w.show(c.Ref()).States["C"]; at != "C3'" {
		t.Errorf("severity 1 has half of the interval: %s", at)
	}
}

// The page, its API and its feeds tell the same, escaped, in the shapes that readers expect,
// and without a script.
func TestThePage(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		part := w.component("Sign-in", "Accounts")
		w.component("Search", "")
		c := w.active()
		p := w.update(status.Investigating)
		p.Title, p.Body, p.Impact, p.Touched = "Sign-in <b>fails</b>", "First line & <script>alert(1)</script>\nSecond line.", "major", map[string]string{part.ID: status.PartialOutage}
		w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
		page := w.get("/-/status")
		body := page.Body.String()
		if strings.Contains(body, "<script") || strings.Contains(body, "<b>fails") || !strings.Contains(body, "Sign-in &lt;b&gt;fails&lt;/b&gt;") || !strings.Contains(body, "<p>Second line.</p>") || !strings.Contains(body, "A part of the service does not work") {
			t.Errorf("page:\n%s", body)
		}
		if page.Header().Get("Set-Cookie") != "" || page.Header().Get("ETag") == "" || len(body) > 60<<10 {
			t.Errorf("%v, %d bytes", page.Header(), len(body))
		}
		var sum struct {
			Page       struct{ ID, Name, URL string }
			Status     struct{ Indicator string }
			Components []struct {
				ID, Status string
				GroupID    *string `json:"group_id"`
				Group      bool
			}
			Incidents []struct {
				ID, Name, Status, Impact string
				ResolvedAt               *time.Time `json:"resolved_at"`
				Updates                  []struct {
					Body     string
					Affected []struct{ Code string } `json:"affected_components"`
				} `json:"incident_updates"`
			}
		}
		a := w.get("/-/status/api/v2/summary.json")
		if err := json.Unmarshal(a.Body.Bytes(), &sum); err != nil {
			t.Fatal(err)
		}
		if a.Header().Get("Access-Control-Allow-Origin") != "*" || sum.Status.Indicator != "major" || len(sum.Components) != 3 || len(sum.Incidents) != 1 || sum.Incidents[0].Name != p.Title || sum.Incidents[0].Impact != "major" ||
			len(sum.Incidents[0].Updates) != 1 || sum.Incidents[0].Updates[0].Body != p.Body || sum.Incidents[0].Updates[0].Affected[0].Code != part.ID || len(sum.Incidents[0].ID) != 12 || !sum.Components[0].Group {
			t.Errorf("%s", a.Body)
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "https://app.example.test/-/status", nil)
		r.Header.Set("If-None-Match", page.Header().Get("ETag"))
		again := httptest.NewRecorder()
		if w.site().ServeHTTP(again, r); again.Code != http.StatusNotModified {
			t.Errorf("the same page again: %d", again.Code)
		}
		for _, name := range []string{"history.atom", "history.rss"} {
			d := xml.NewDecoder(w.get("/-/status/" + name).Body)
			text := ""
			for {
				tok, err := d.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if c, ok := tok.(xml.CharData); ok {
					text += string(c)
				}
			}
			if !strings.Contains(text, p.Title) || !strings.Contains(text, "alert(1)") || !strings.Contains(text, "tag:app.example.test,2026:update/") {
				t.Errorf("%s: %s", name, text)
			}
		}
		if a := w.get("/-/status/feed.json"); !json.Valid(a.Body.Bytes()) || !strings.Contains(a.Body.String(), "date_modified") {
			t.Errorf("%s", a.Body)
		}
		for _, path := range []string{"/-/status/api/v2/status.json", "/-/status/api/v2/components.json", "/-/status/api/v2/incidents.json", "/-/status/api/v2/scheduled-maintenances.json", "/-/status/api/v2/scheduled-maintenances/active.json", "/-/status/status.css", "/-/status/icon.svg"} {
			if a := w.get(path); a.Code != http.StatusOK {
				t.Errorf("%s: %d", path, a.Code)
			}
		}
		if a := w.get("/-/status/api/v2/nothing.json"); a.Code != http.StatusNotFound {
			t.Errorf("nothing: %d", a.Code)
		}
	}, tables...)
}

// Time that nobody saw is no uptime: it counts neither way, and is shown as a hole.
func TestHolesAreHonest(t *testing.T) {
	w := open(t)
	part := w.component("Sign-in", "")
	watch := func(d time.Duration) {
		for range int(d / time.Minute) {
			w.kit.Clock.Advance(time.Minute)
			if err := w.page.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.page.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	watch(time.Hour)
	if err := w.page.Set(t.Context(), w.as("dev"), part.ID, status.MajorOutage); err != nil {
		t.Fatal(err)
	}
	watch(time.Hour)
	w.kit.Clock.Advance(48 * time.Hour) // nobody was there
	if err := w.page.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	body := w.get("/-/status").Body.String()
	if !strings.Contains(body, "50.00 % up of what was observed") {
		t.Errorf("uptime: %s", regexp.MustCompile(`[0-9.]+ % up`).FindString(body))
	}
	if got := regexp.MustCompile(`1 day with trouble, (\d+) days not observed`).FindString(body); got != "1 day with trouble, 89 days not observed" {
		t.Errorf("%q", got)
	}
	if err := w.page.Set(t.Context(), w.as("dev"), part.ID, status.Operational); err != nil {
		t.Fatal(err)
	}
	watch(3 * time.Hour)
	if body := w.get("/-/status").Body.String(); !strings.Contains(body, "80.00 % up") {
		t.Errorf("uptime: %s", regexp.MustCompile(`[0-9.]+ % up`).FindString(body))
	}
}

// Maintenance begins and ends by the clock, does not overlap, and is told in all forms.
func TestMaintenance(t *testing.T) {
	w := open(t)
	part := w.component("Sign-in", "")
	now := w.kit.Clock.Now()
	plan := status.Window{Title: "New disks", Body: "The database moves.", Touched: []string{part.ID}, Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour)}
	m, err := w.page.Schedule(t.Context(), w.as("dev"), plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.page.Schedule(t.Context(), w.as("dev"), plan); fault.KindOf(err) != fault.Conflict {
		t.Errorf("overlap: %v", err)
	}
	leaky := plan
	leaky.Body, leaky.Touched = "Ask root@example.com", nil
	if _, err := w.page.Schedule(t.Context(), w.as("dev"), leaky); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a leak: %v", err)
	}
	state := func() string {
		cs, err := w.page.Components(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cs[0].State
	}
	for _, c := range []struct{ want, list string }{{status.UnderWork, "active"}, {status.Operational, ""}} {
		w.kit.Clock.Advance(time.Hour)
		if err := w.page.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := state(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		if c.list != "" && !strings.Contains(w.get("/-/status/api/v2/scheduled-maintenances/active.json").Body.String(), m.ID) {
			t.Error("not among those that are active")
		}
	}
	if !strings.Contains(w.get("/-/status/history.atom").Body.String(), "New disks") {
		t.Error("not in the feed")
	}
}

// An address is told only after it has confirmed, once for each post, and no more after one
// POST to the link in the letter; opening a link does nothing; known and unknown addresses
// get the same answer.
func TestSubscribers(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		site := w.site()
		send := func(method, path string, f url.Values) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, "https://app.example.test"+path, strings.NewReader(f.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			a := httptest.NewRecorder()
			site.ServeHTTP(a, r)
			return a
		}
		subscribe := func(address string) *httptest.ResponseRecorder {
			return send("POST", "/-/status/subscribe", url.Values{"email": {address}})
		}
		link := regexp.MustCompile(`https://app\.example\.test(/-/status/[^\s"<]+)`)
		last := func(kind string) string {
			w.post.mu.Lock()
			defer w.post.mu.Unlock()
			out := ""
			for _, m := range w.post.sent {
				if m.Kind == kind {
					out = m.Text + m.Unsubscribe
				}
			}
			return out
		}
		hasKey := func() bool {
			var id string
			if err := ledger.One(t.Context(), kit.DB, `SELECT id FROM incident_status_subscriber`, []any{&id}); err != nil {
				t.Fatal(err)
			}
			_, err := kit.Ring.Key(t.Context(), keyring.Subject{Kind: "status-subscriber", ID: id})
			return err == nil
		}
		first := subscribe("Joe@Example.test")
		if hasKey() {
			t.Error("a stranger has a key made by asking")
		}
		confirm := link.FindStringSubmatch(last("incident.subscribe"))[1]
		c := w.active()
		w.says(c.Ref(), status.Investigating)
		w.worked()
		if got := w.post.to("incident.update"); len(got) != 0 {
			t.Errorf("told before it has confirmed: %v", got)
		}
		send("GET", confirm, nil)
		if n, _ := w.page.Subscribers(t.Context()); n.Addresses != 0 {
			t.Error("opening the link confirms")
		}
		if a := send("POST", confirm, nil); a.Code != http.StatusOK {
			t.Fatalf("confirm: %d %s", a.Code, a.Body)
		}
		if !hasKey() {
			t.Error("an address has no key of its own")
		}
		if a := send("POST", confirm, nil); a.Code != http.StatusGone {
			t.Errorf("the link works twice: %d", a.Code)
		}
		again := subscribe("joe@example.test")
		strip := regexp.MustCompile(`data-now="\d+"`)
		if strip.ReplaceAllString(first.Body.String(), "") != strip.ReplaceAllString(again.Body.String(), "") || first.Code != again.Code {
			t.Error("known and unknown addresses get other answers")
		}
		if n := len(w.post.to("incident.subscribe")); n != 1 {
			t.Errorf("%d letters of confirmation", n)
		}
		w.says(c.Ref(), status.Identified)
		w.worked()
		if got := w.post.to("incident.update"); !slices.Equal(got, []string{"joe"}) {
			t.Fatalf("told: %v", got)
		}
		end := link.FindAllStringSubmatch(last("incident.update"), -1)
		stop := end[len(end)-1][1]
		send("GET", stop, nil)
		if n, _ := w.page.Subscribers(t.Context()); n.Addresses != 1 {
			t.Error("opening the link unsubscribes")
		}
		if a := send("POST", stop[:len(stop)-2]+"xx", nil); a.Code != http.StatusGone {
			t.Errorf("a wrong link: %d", a.Code)
		}
		if a := send("POST", stop, url.Values{"List-Unsubscribe": {"One-Click"}}); a.Code != http.StatusOK {
			t.Fatalf("unsubscribe: %d %s", a.Code, a.Body)
		}
		w.says(c.Ref(), status.Monitoring)
		w.worked()
		if n := len(w.post.to("incident.update")); n != 1 {
			t.Errorf("told after it has unsubscribed: %d", n)
		}
		var rows int64
		if err := ledger.One(t.Context(), kit.DB, `SELECT COUNT(*) FROM incident_status_subscriber`, []any{&rows}); err != nil || rows != 0 {
			t.Errorf("the address is kept: %d %v", rows, err)
		}
		for range 4 {
			subscribe("ann@example.test")
		}
		if n := len(w.post.to("incident.subscribe")); n != 4 {
			t.Errorf("%d letters to one address within an hour", n-1)
		}
		for range 20 {
			again = subscribe("x" + strings.ToLower(strings.Trim(secret.RandomText(6).Reveal(), "-_")) + "@example.test")
		}
		if again.Code != http.StatusTooManyRequests {
			t.Errorf("a network asks without end: %d", again.Code)
		}
		var refused, waiting int64
		if err := ledger.One(t.Context(), kit.DB, `SELECT COUNT(*) FROM ledger_pending WHERE name = 'incident.subscription-refused'`, []any{&refused}); err != nil || refused == 0 {
			t.Errorf("%d refusals are recorded: %v", refused, err)
		}
		kit.Clock.Advance(26 * time.Hour) // nobody confirmed: nothing of them stays
		subscribe("ida@example.test")
		if err := ledger.One(t.Context(), kit.DB, `SELECT COUNT(*) FROM incident_status_subscriber`, []any{&waiting}); err != nil || waiting != 1 {
			t.Errorf("%d addresses wait: %v", waiting, err)
		}
		if a := subscribe("no address"); a.Code != http.StatusUnprocessableEntity {
			t.Errorf("no address: %d", a.Code)
		}
	}, tables...)
}

// What the API answers to a step that was kept.
func TestKeptOnTheWire(t *testing.T) { // breaks: inc.process
	w := open(t)
	c := w.active()
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour"} }, Log: quiet(), Now: w.kit.Clock.Now})
	if err == nil {
		err = s.Mount(w.svc.Routes()...)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "https://app.example.test/-/api/v1/incidents/"+c.Ref()+"/steps", strings.NewReader(`{"event":"mitigate"}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	a := httptest.NewRecorder()
	s.Handler(always{w.as("dev")}).ServeHTTP(a, r)
	var got struct {
		Status        int
		Code          string
		State, Wanted string
		Unmet         []struct{ Guard, Words, Who string }
	}
	if err := json.Unmarshal(a.Body.Bytes(), &got); err != nil || a.Code != http.StatusConflict || got.Code != "step_unmet" || got.State != "L2" || got.Wanted != "mitigate" || len(got.Unmet) != 2 || got.Unmet[0].Guard != "fixed-or-up" || got.Unmet[0].Words == "" || got.Unmet[0].Who == "" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if !strings.HasPrefix(a.Header().Get("Content-Type"), "application/problem+json") {
		t.Error(a.Header())
	}
}

type always struct{ who actor.Actor }

func (a always) Identify(*http.Request) (actor.Actor, error) { return a.who, nil }
