package incident_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident"
	networks "writ/internal/incident/post"
	"writ/internal/incident/status"
	"writ/internal/incident/wording"
	"writ/internal/ledger/ledgertest"
)

// A company writes its own texts, by who may post; each version stays, the shipped one is returned to,
// and of two who change the same one the second learns it.
func TestTextsAreKept(t *testing.T) { // breaks: inc.public-notice
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit, nil)
		const own = "Since {since:time} you may see errors. Our staff are on it."
		all, err := w.svc.Texts(t.Context(), w.as("fay"))
		if err != nil || len(all) != 7*6+1 || slices.ContainsFunc(all, func(x incident.NoticeText) bool { return !x.Shipped || x.Body == "" || x.Version != 0 }) {
			t.Fatalf("%d texts: %v", len(all), err)
		}
		kind := func(what string, want fault.Kind, code string) func(incident.NoticeText, error) {
			return func(_ incident.NoticeText, err error) {
				t.Helper()
				if got, _ := fault.PublicOf(err); fault.KindOf(err) != want || want != fault.Denied && got != code {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
		set := func(who, kind, state, body string, version int64) (incident.NoticeText, error) {
			return w.svc.SetText(t.Context(), w.as(who), kind, state, body, version)
		}
		kind("an auditor", fault.Denied, "")(set("fay", "usability", status.Identified, own, 0))
		kind("an auditor returns", fault.Denied, "")(w.svc.ResetText(t.Context(), w.as("fay"), "usability", status.Identified, 0))
		kind("no such kind", fault.NotFound, "text_unknown")(set("dev", "weather", status.Identified, own, 0))
		kind("no such word", fault.NotFound, "text_unknown")(set("dev", wording.Maintenance, status.Identified, own, 0))
		kind("no such place", fault.Invalid, "notice_text")(set("dev", "usability", status.Identified, "Since {when:time} you may see errors.", 0))
		kind("it is shipped already", fault.Conflict, "text_changed")(w.svc.ResetText(t.Context(), w.as("dev"), "usability", status.Identified, 0))
		if n := w.entries("notice-text-set"); n != 0 {
			t.Errorf("%d entries of what was refused", n)
		}
		x, err := set("dev", "usability", status.Identified, " "+strings.ReplaceAll(own, ". ", ".\r\n"), 0)
		if err != nil || x.Version != 1 || x.Shipped || x.By != "Name of dev" || x.Body != strings.ReplaceAll(own, ". ", ".\n") {
			t.Fatalf("%+v %v", x, err)
		}
		kind("the second", fault.Conflict, "text_changed")(set("eve", "usability", status.Identified, own, 0))
		if x, err = w.svc.ResetText(t.Context(), w.as("eve"), "usability", status.Identified, 1); err != nil || x.Version != 2 || !x.Shipped || x.Body != wording.Shipped("usability", status.Identified) {
			t.Fatalf("%+v %v", x, err)
		}
		vs, err := w.svc.TextVersions(t.Context(), w.as("fay"), "usability", status.Identified)
		if err != nil || len(vs) != 3 || vs[0].Version != 2 || !vs[0].Shipped || vs[1].By != "Name of dev" || vs[2].Version != 0 || vs[2].Body != vs[0].Body {
			t.Errorf("%+v %v", vs, err)
		}
		if _, err := w.svc.TextVersions(t.Context(), w.as("fay"), "usability", "gone"); fault.KindOf(err) != fault.NotFound {
			t.Error(err)
		}
		if n := w.entries("notice-text-set"); n != 2 {
			t.Errorf("%d entries", n)
		}
	}, tables...)
}

// draft is one that must be made.
func (w *world) draft(ref string, in incident.Wanted) incident.Draft {
	w.t.Helper()
	d, err := w.svc.Draft(w.t.Context(), w.as("dev"), ref, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// A draft is the text of its kind and word with what is known of the incident; what is not known is
// left open, and no text with an open place is posted, on whatever way.
func TestDraftsAreFilled(t *testing.T) { // breaks: inc.public-notice, inc.eta
	w := open(t)
	part, invoices := w.component("Sign-in", ""), w.component("Invoices", "")
	c := w.active()
	d := w.draft(c.Ref(), incident.Wanted{})
	if d.Kind != "usability" || d.State != status.Investigating || !slices.Equal(d.Open, []string{"{parts:components}"}) || !strings.Contains(d.Text, "Since 2 November 2026, 10:00 UTC there is trouble with {parts:components}:") {
		t.Errorf("%+v", d)
	}
	p := w.update(status.Investigating)
	p.Body = d.Text
	_, err := w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0)
	if _, said := fault.PublicOf(err); fault.KindOf(err) != fault.Invalid || !strings.Contains(said.Problem, "A place at character 56 is not filled") {
		t.Errorf("an open place is posted: %v", err)
	}
	p.Body, p.Title = "Some people cannot sign in.", "Trouble since {since:time}"
	if _, err := w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an open place in a title: %v", err)
	}
	if d = w.draft(c.Ref(), incident.Wanted{Touched: []string{part.ID, invoices.ID}}); len(d.Open) != 0 || !strings.Contains(d.Text, "trouble with Sign-in and Invoices:") {
		t.Errorf("%+v", d)
	}
	p.Body, p.Title, p.Touched = d.Text, "Sign-in fails", map[string]string{part.ID: status.PartialOutage}
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	text := func(state, body string) {
		t.Helper()
		if _, err := w.svc.SetText(t.Context(), w.as("dev"), "usability", state, body, 0); err != nil {
			t.Fatal(err)
		}
	}
	text(status.Identified, "On {parts:components}: back {back:estimate}; at the latest {next:time}; {teams:number}, {lost:number}.")
	stands := w.draft(c.Ref(), incident.Wanted{State: status.Identified})
	if stands.Version != 1 || stands.Text != "On Sign-in: back not known yet, the next update comes by 2 November 2026, 10:45 UTC; at the latest 2 November 2026, 10:45 UTC; {teams:number}, {lost:number}." {
		t.Errorf("what the page promises: %+v", stands)
	}
	soon := w.kit.Clock.Now().Add(20 * time.Minute)
	if d := w.draft(c.Ref(), incident.Wanted{State: status.Identified, Estimate: soon}); !strings.HasPrefix(d.Text, "On Sign-in: back by 2 November 2026, 10:20 UTC; at the latest {next:time};") {
		t.Errorf("what is promised now: %+v", d)
	}
	w.kit.Clock.Advance(time.Hour)
	if d := w.draft(c.Ref(), incident.Wanted{State: status.Identified}); len(d.Open) != 4 {
		t.Errorf("a promise that is over is given again: %+v", d)
	}
	w.fixed(c.Ref())
	w.says(c.Ref(), status.Monitoring)
	w.step("dev", c.Ref(), "mitigate", "")
	if d := w.draft(c.Ref(), incident.Wanted{State: status.Resolved}); d.Text != "The trouble with Sign-in is over since 2 November 2026, 11:00 UTC. It lasted 1 hour. We are sorry for the time that it cost you." {
		t.Errorf("%+v", d)
	}
	if d := w.draft(c.Ref(), incident.Wanted{}); d.State != status.Monitoring {
		t.Errorf("%+v", d)
	}
	for what, in := range map[string]incident.Wanted{"a kind that there is none of": {Kind: "weather"}, "a word that there is none of": {State: "cloudy"}, "maintenance": {Kind: wording.Maintenance, State: wording.Scheduled}} {
		if _, err := w.svc.Draft(t.Context(), w.as("dev"), c.Ref(), in); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.svc.Draft(t.Context(), w.as("fay"), c.Ref(), incident.Wanted{}); fault.KindOf(err) != fault.Denied {
		t.Errorf("an auditor: %v", err)
	}
	if d := w.draft(c.Ref(), incident.Wanted{Kind: "vulnerability", State: status.Retracted}); d.Text != wording.Shipped(wording.Other, status.Retracted) {
		t.Errorf("%+v", d)
	}
}

// Maintenance is announced with a text whose places are filled from it, and refused with one that it
// does not know: its end may move.
func TestMaintenanceTextIsFilled(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	part := w.component("Sign-in", "")
	plan := func(body string) (status.Window, error) {
		now := w.kit.Clock.Now()
		return w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks", Body: body, Touched: []string{part.ID}, Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour)})
	}
	for _, body := range []string{"From {starts:time} until {next:time}.", "From {starts:number} on.", "From { starts : time } on, for long."} {
		if _, err := plan(body); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", body, err)
		}
	}
	x, err := plan(wording.Shipped(wording.Maintenance, wording.Scheduled) + " It touches {parts:components}.")
	if err != nil || !strings.HasPrefix(x.Body, "From 2 November 2026, 11:00 UTC on we work") || !strings.HasSuffix(x.Body, " It touches Sign-in.") {
		t.Errorf("%q %v", x.Body, err)
	}
	if body := w.get("/-/status").Body.String(); !strings.Contains(body, "It touches Sign-in.") {
		t.Error("the page has another text")
	}
}

// Before it is posted an update is seen as each channel will have it: what the page, a letter, a webhook
// and each network then have is that. What must not be public is said, and nothing is posted.
func TestPostsArePreviewed(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	w.hooks.answer = echo
	sky, blue, bird := &abroad{}, &abroad{}, &abroad{}
	w.svc.Outlets = []incident.Outlet{{Name: "toots", Channel: "social", Network: networks.Mastodon, Sender: sky}, {Name: "blue", Channel: "social", Network: networks.Bluesky, Sender: blue}, {Name: "bird", Channel: "other", Network: networks.X, Sender: bird}}
	part := w.component("Sign-in", "")
	w.subscribed("uma@example.test")
	c := w.active()
	see := func(who string, p status.Post) (incident.Previews, error) {
		return w.svc.PreviewPost(t.Context(), w.as(who), c.Ref(), p)
	}
	p := w.update(status.Investigating)
	p.Body, p.Touched = strings.Repeat("Überall 🎈 fails sign-in. ", 18), map[string]string{part.ID: status.PartialOutage}
	x, err := see("dev", p)
	if err != nil || len(x.Each) != 6 || len(x.Leaks) != 0 || x.Hash != p.Hash() {
		t.Fatalf("%+v %v", x, err)
	}
	if w.entries("update-posted") != 0 || len(w.show(c.Ref()).Posts) != 0 {
		t.Error("a preview is posted")
	}
	leak := p
	leak.Body = "Ask joe@example.test about it."
	if y, err := see("dev", leak); err != nil || len(y.Leaks) != 1 || y.Leaks[0].At < 5 {
		t.Errorf("what must not be public: %+v %v", y.Leaks, err)
	}
	leak.Title = ""
	for what, bad := range map[string]struct {
		who  string
		p    status.Post
		kind fault.Kind
	}{"an auditor": {"fay", p, fault.Denied}, "no title": {"dev", leak, fault.Invalid}, "an open place": {"dev", status.Post{Title: "x", State: status.Resolved, Body: "It is over since {over:time}."}, fault.Invalid}} {
		if _, err := see(bad.who, bad.p); fault.KindOf(err) != bad.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	w.drained("all have posted", func() bool { return len(sky.sent)+len(blue.sent)+len(bird.sent) == 3 })
	w.worked()
	public := w.show(c.Ref()).Posts[0]
	if body := w.get("/-/status/incidents/" + public.Public).Body.String(); !strings.Contains(body, strings.TrimSpace(p.Body)) || !strings.Contains(x.Each[0].Text, "The next update comes by 2 November 2026, 10:45 UTC.") {
		t.Errorf("the page: %s", x.Each[0].Text)
	}
	for _, m := range w.post.sent {
		if m.Kind == "incident.update" {
			head, foot, _ := strings.Cut("Subject: "+m.Subject+"\n\n"+m.Text, "You asked to be told")
			if seen, _, _ := strings.Cut(x.Each[1].Text, "You asked to be told"); seen != head || foot == "" {
				t.Errorf("a letter: the preview was\n%s\nand it is\n%s", seen, head)
			}
		}
	}
	if !strings.Contains(x.Each[2].Text, `"type": "status.incident"`) || !strings.Contains(x.Each[2].Text, `"unsubscribe_url": "https://app.example.test/-/status/unsubscribe/…"`) || !json.Valid([]byte(x.Each[2].Text)) {
		t.Errorf("a webhook: %s", x.Each[2].Text)
	}
	for i, sent := range []*abroad{sky, blue, bird} {
		m, e := sent.sent[0], x.Each[3+i]
		fit, err := networks.Preview(e.Network, m.Text, m.Link)
		if err != nil || !e.Cut || e.Counts > e.Most || e.Counts < e.Most*9/10 || fit.Counts != e.Counts {
			t.Errorf("%s: %+v %+v %v", e.Network, e, fit, err)
		}
		words, link, _ := strings.Cut(fit.Text, "https://") // the link of the preview is another, as long
		if seen, to, _ := strings.Cut(e.Text, "https://"); seen != words || len(to) != len(link) {
			t.Errorf("%s: the preview was\n%s\nand it is\n%s", e.Network, e.Text, fit.Text)
		}
	}
	if a, b, c := x.Each[3], x.Each[4], x.Each[5]; a.Most != 500 || b.Most != 300 || c.Most != 280 || utf8.RuneCountInString(b.Text) != b.Counts || utf8.RuneCountInString(c.Text) >= utf8.RuneCountInString(a.Text) {
		t.Errorf("%+v", x.Each)
	}
	if y, err := see("dev", status.Post{State: status.Identified, Body: "It is the network."}); err != nil || y.Each[3].Cut || !strings.HasPrefix(y.Each[3].Text, "Identified: Sign-in fails\n\nIt is the network.") {
		t.Errorf("a short one, later: %+v %v", y, err)
	}
}

// The API gives texts, drafts and previews, and refuses as everywhere.
func TestTextsByTheAPI(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	part := w.component("Sign-in", "")
	c := w.active()
	ask := func(who actor.Actor, method, path, body string, code int, want ...string) {
		t.Helper()
		site, _ := w.api(who)
		r := httptest.NewRequestWithContext(t.Context(), method, "https://app.example.test/-/api/v1/"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		a := httptest.NewRecorder()
		site.ServeHTTP(a, r)
		if a.Code != code || slices.ContainsFunc(want, func(s string) bool { return !strings.Contains(a.Body.String(), s) }) {
			t.Errorf("%s %s: %d %s", method, path, a.Code, a.Body)
		}
	}
	dev, fay := w.as("dev"), w.as("fay")
	const one = "status/templates/usability/identified"
	ask(fay, http.MethodGet, "status/templates", "", 200, `"place":"{since:time}"`, `"kind":"maintenance","state":"scheduled","version":0`)
	ask(fay, http.MethodPut, one, `{"body":"Since {since:time} it is slow.","version":0}`, 403)
	ask(dev, http.MethodPut, one, `{"body":"Since {since:date} it is slow.","version":0}`, 422, "at character 7 is of the kind time")
	ask(dev, http.MethodPut, one, `{"body":"Since {since:time} it is slow.","version":0}`, 200, `"version":1`, `"by":"Name of dev"`)
	ask(dev, http.MethodDelete, one, `{"version":0}`, 409, "text_changed", "version 1")
	ask(dev, http.MethodDelete, one, `{"version":1}`, 200, `"version":2`, `"shipped":true`)
	ask(fay, http.MethodGet, one, "", 200, `"version":2`, `"version":1`, `"version":0`)
	ask(fay, http.MethodGet, "status/templates/usability/cloudy", "", 404, "text_unknown")
	ask(dev, http.MethodGet, "incidents/"+c.Ref()+"/draft?component="+part.ID, "", 200, `"state":"investigating"`, "trouble with Sign-in:", `"open":[]`)
	ask(dev, http.MethodGet, "incidents/"+c.Ref()+"/draft?next=soon", "", 400, "post_next")
	ask(fay, http.MethodGet, "incidents/"+c.Ref()+"/draft", "", 403)
	ask(dev, http.MethodPost, "incidents/"+c.Ref()+"/preview", `{"title":"Slow","state":"investigating","body":"Ask joe@example.test about it."}`, 200, `"leaks":[{"what":"an e-mail address"`, `"channel":"webhook"`)
	ask(fay, http.MethodPost, "incidents/"+c.Ref()+"/preview", `{`, 403)
}
