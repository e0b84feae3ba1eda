package console_test

import (
	"context"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/incident"
	"writ/internal/incident/status"
	"writ/internal/ledger"
	"writ/internal/notify"
	"writ/internal/policy"
)

// staffOf gives incidents the members of staff.
type staffOf struct{ *identity.Service }

func (s staffOf) Staff(ctx context.Context) (out []incident.Person, err error) {
	ps, err := s.Roster(ctx, "staff")
	for _, p := range ps {
		out = append(out, incident.Person{ID: p.ID, Name: p.Name, Handle: p.Handle, Email: p.Email, Roles: p.Roles})
	}
	return out, err
}

// noHooks are webhooks of subscribers, where there are none.
type noHooks struct{}

func (noHooks) GoodURL(string) string                          { return "none" }
func (noHooks) Call(context.Context, notify.Call) notify.Reply { return notify.Reply{} }

// incidents makes the module and its page.
func (w *world) incidents() {
	company, now := func() string { return "Harbour Ltd" }, w.kit.Clock.Now
	w.status = must[*status.Service](w.t)(status.New(status.Deps{DB: w.kit.DB, Ring: w.kit.Ring, Letters: w.mail, Courier: w.mail, Hooks: noHooks{}, Jobs: w.jobs, Record: w.journal, Access: w.access, Company: company, Origin: "https://app.example.test", Now: now, Log: slog.New(slog.DiscardHandler)}))
	w.incident = must[*incident.Service](w.t)(incident.New(incident.Deps{DB: w.kit.DB, Ring: w.kit.Ring, Access: w.access, People: staffOf{w.people}, Letters: w.mail, Queue: w.jobs, Record: w.journal, Page: w.status,
		Rules: clause.NewLive[incident.Rules](now), Company: company, Origin: "https://app.example.test", Now: now, Seam: &incident.Seam{Pause: func(d time.Duration) { w.kit.Clock.Advance(d) }}, Log: slog.New(slog.DiscardHandler)}))
}

// At three in the morning: the page says what happens, what is next, who does it, and has one
// clear button; whoever may not act has none; what is refused is said in words.
// waived gives the policy what people let pass in incidents.
func (w *world) waived(ctx context.Context) (out []policy.Waived, err error) {
	all, err := w.incident.Deviations(ctx)
	for _, d := range all {
		out = append(out, policy.Waived{Clause: "inc.process", What: d.What(), Object: "incident/" + d.Ref, Reason: d.Reason, Requester: d.Requester, Approver: d.Approver, Starts: d.Starts, Ends: d.Ends})
	}
	return out, err
}

// prefilled is an estimate of three hours, less the minutes that have passed.
var prefilled = regexp.MustCompile(`<input[^>]*name="estimate"[^>]* value="1[78]\d"`)

// history are incidents of the same kind that are over, each after as long.
func (w *world) history(n int, took time.Duration) {
	w.t.Helper()
	at := w.kit.Clock.Now().AddDate(0, -1, 0).UnixMicro()
	if err := w.kit.DB.Quiet(w.t.Context(), ledger.Expiry, func(tx *ledger.Tx) error {
		for i := range n {
			if _, err := tx.Exec(w.t.Context(), `INSERT INTO incident_case (id, number, drill, round, version, title, source, component, declared_by, severity, categories, l, c, r, b, f, onset_from, declared, resolved, decided, joined)
				VALUES ($1, $2, FALSE, 1, 1, '', 'person', '', 'ana', 2, 'usability', 'L6', '', '', '', '', $3, $3, $4, TRUE, '')`, fmt.Sprint("past", i), int64(1000+i), at, at+took.Microseconds()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

func TestIncidentPages(t *testing.T) { // breaks: inc.process
	w := newWorld(t)
	const at = "/-/console/incidents"
	w.get("ana", at).want(200, "No incident is open", "Declare an incident", "There was no incident yet")
	w.post("ana", at, url.Values{"title": {"x"}}).want(422, "3 to 160 characters")
	w.post("dev", at, url.Values{"title": {"Nobody <b> can sign in"}, "minutes": {"20"}}).want(303)
	if got := w.get("emil", at).want(200, "1 incident open", "Next: I take it", "I-1 Nobody <b> can sign in").Body.String(); strings.Contains(got, "Declare an incident") {
		t.Error("an auditor is offered to declare")
	}
	w.post("emil", at+"/I-1/step", url.Values{"event": {"acknowledge"}}).want(403)
	one := at + "/I-1"
	page := w.get("dev", one).want(200, "Next: I take it", "Nobody has taken it yet", "due in 15 min").Body.String()
	if n := strings.Count(page, `class="primary"`); n != 1 {
		t.Errorf("%d clear buttons", n)
	}
	if got := w.get("emil", one).want(200, "Next: I take it").Body.String(); strings.Contains(got, "<button") && strings.Contains(got, `class="primary"`) {
		t.Error("an auditor is offered a step")
	}
	w.post("dev", one+"/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.post("ana", one+"/step", url.Values{"event": {"acknowledge"}}).want(409, "I-1 is triage", "cannot acknowledge now")
	w.get("ana", one).want(200, "Next: Decide what it is", "How bad")
	w.post("dev", one+"/kind", url.Values{"kinds": {"usability"}}).want(409, "No severity is decided")
	w.post("dev", one+"/kind", url.Values{"kinds": {"usability"}, "severity": {"2"}}).want(303)
	w.get("dev", one).want(200, "Next: Post the notice", "nobody is communications yet", "Take the role of communications")
	w.post("dev", one+"/role", url.Values{"role": {"communications"}}).want(303)
	if body := w.get("dev", one).want(200, "Title that the public reads", "The next update comes in how many minutes", "Too little history for an estimate").Body.String(); prefilled.MatchString(body) {
		t.Error("an estimate without history")
	}
	w.history(5, 3*time.Hour)
	if body := w.get("dev", one).want(200).Body.String(); !prefilled.MatchString(body) {
		t.Errorf("no estimate: %s", regexp.MustCompile(`<input[^>]*name="estimate"[^>]*>`).FindString(body))
	}
	for i, name := range []string{"dev", "ana"} {
		w.post(name, one+"/waive", url.Values{"region": {"L"}, "guard": {"fixed-or-up"}, "reason": {"it went away by itself"}}).want(303)
		w.get("dev", one).want(200, "Exceptions in this round", "it went away by itself", []string{"waits for a second person", "two let it pass"}[i])
	}
	if body := w.get("emil", "/-/console/exceptions").want(200, "let pass in I-1: fixed-or-up", "it went away by itself", "holds").Body.String(); !strings.Contains(body, `href="/-/console/incidents/I-1#exceptions"`) {
		t.Error("the exception does not lead to its incident")
	}
	w.get("emil", "/-/console/clauses/inc.process").want(200, "let pass in I-1: fixed-or-up", "it went away by itself")
	post := url.Values{"title": {"Sign-in fails"}, "state": {"investigating"}, "body": {"Some people cannot sign in."}}
	w.post("dev", one+"/update", post).want(409, "neither when service returns nor when the next update comes")
	post.Set("next", "45")
	post.Set("body", "Some people cannot sign in; ask joe@example.test.")
	w.post("dev", one+"/update", post).want(409, "an e-mail address at character")
	post.Set("body", "Some people cannot sign in.")
	w.post("dev", one+"/update", post).want(303)
	w.get("dev", one).want(200, "Investigating", "Some people cannot sign in.", "next by", "Post it on social too")
	w.post("dev", one+"/note", url.Values{"text": {"rang the provider"}}).want(303)
	w.post("dev", one+"/posted", url.Values{"channel": {"social"}, "url": {"https://social.example.test/1"}}).want(303)
	w.post("dev", one+"/role", url.Values{"role": {"technical-lead"}}).want(303)
	w.post("dev", one+"/fix", url.Values{"event": {"propose"}, "what": {"Turn the check off"}}).want(303)
	w.post("ana", one+"/fix", url.Values{"event": {"approve-fix"}}).want(303)
	w.get("ana", one).want(200, "For now: Turn the check off (by ", "A second person reviews it by 3 November, ", "I have reviewed the fix")
	w.post("ana", one+"/approve", url.Values{"object": {"fix"}}).want(409, "are not the second")
	w.kit.Clock.Advance(time.Hour)
	if err := w.incident.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.get("dev", one).want(200, "overdue, late", "Next: Post an update")
	w.get("dev", one+"/map").want(200, "L2 active", "Public communication", "acknowledge")
	w.get("dev", at+"/I-9").want(404)
	w.get("dev", one).want(200, "take the notice back first")
	w.post("dev", one+"/step", url.Values{"event": {"cancel"}, "reason": {"it came from a test"}}).want(409, "nobody has taken back", "--state retracted", "Public communication: take the notice back")
	w.post("dev", one+"/update", url.Values{"state": {"retracted"}, "body": {"It was a false alarm: everybody can sign in."}}).want(303)
	if got := w.get("dev", one).want(200, "Retracted").Body.String(); strings.Contains(got, "take the notice back first") {
		t.Error("what was taken back is to be taken back first")
	}
	w.post("dev", one+"/step", url.Values{"event": {"cancel"}, "reason": {"it came from a test"}}).want(303)
}

// What people outside wrote is shown, escaped, to who may act, who answers it there; others see
// that something was reported, and no words of it.
func TestReportsInTheConsole(t *testing.T) { // breaks: inc.categorise
	w := newWorld(t)
	stamp, err := w.incident.Stamp(t.Context(), "192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	id, err := w.incident.Report(t.Context(), actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24"}, incident.NewReport{Kind: "weakness", Text: "Counting up shows <b>all</b> invoices.", Email: "joe@example.test", Network: "192.0.2.0/24", Stamp: stamp})
	if err != nil {
		t.Fatal(err)
	}
	const one = "/-/console/incidents/I-1"
	w.get("dev", one).want(200, "Reported from outside", id, "Counting up shows <b>all</b> invoices.", "joe@example.test", "Send the answer")
	if got := w.get("emil", one).want(200, id).Body.String(); strings.Contains(got, "Counting up") || strings.Contains(got, "joe@example.test") {
		t.Error("an auditor reads it")
	}
	w.post("emil", one+"/answer", url.Values{"report": {id}, "answer": {"Thank you: it is mended."}}).want(403)
	w.post("dev", one+"/answer", url.Values{"report": {id}, "answer": {"Thanks"}}).want(422, "10 to 4,000 characters")
	w.post("dev", one+"/answer", url.Values{"report": {id}, "answer": {"Thank you: it is mended."}}).want(303)
	w.get("dev", one).want(200, "answered 2 Nov")
}

// A notice begins with the text of its kind and word, is seen as each channel will have it, and what was
// seen is posted, to the second; without scripts.
func TestNoticesInTheConsole(t *testing.T) { // breaks: inc.public-notice
	w := newWorld(t)
	const one, at = "/-/console/incidents/I-1", "/-/console/incidents/I-1/notice"
	w.post("dev", "/-/console/status/parts", url.Values{"name": {"Sign-in"}}).want(303)
	cs, err := w.status.Components(t.Context())
	if err != nil || len(cs) != 1 {
		t.Fatal(cs, err)
	}
	w.post("dev", "/-/console/incidents", url.Values{"title": {"Nobody can sign in"}}).want(303)
	w.post("dev", one+"/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.post("dev", one+"/kind", url.Values{"kinds": {"usability"}, "severity": {"2"}}).want(303)
	w.post("dev", one+"/role", url.Values{"role": {"communications"}}).want(303)
	if body := w.get("dev", one).want(200, "there is trouble with {parts:components}: for some", "Show how it will stand").Body.String(); !strings.Contains(body, `href="`+at+`?state=investigating"`) {
		t.Error("no way leads to another text")
	}
	w.get("emil", at).want(403)
	w.get("dev", at+"?state=cloudy").want(404, "no text of that kind and word")
	w.get("dev", at+"?kind=data-loss&state=identified").want(200, "data that was entered or changed since 2 November 2026", "Begin with this text")
	w.get("dev", at+"?component="+cs[0].ID).want(200, "there is trouble with Sign-in: for some")
	post := url.Values{"title": {"Sign-in fails"}, "state": {"investigating"}, "body": {"Trouble with {parts:components}."}, "next": {"45"}, "component": {cs[0].ID}, "is": {status.PartialOutage}}
	if body := w.post("dev", at, post).want(422, "A place at character 14 is not filled", "Trouble with {parts:components}.").Body.String(); strings.Contains(body, "Post it") {
		t.Error("an open place can be posted")
	}
	post.Set("body", "Ask joe@example.test about it.")
	w.post("dev", at, post).want(200, "must not be public", "an e-mail address at character 19")
	post.Set("body", "Some people cannot sign in.")
	seen := w.post("dev", at, post).want(200, "How it will stand", "Letter to subscribers", "Webhook", "Some people cannot sign in.", "The next update comes by "+w.kit.Clock.Now().Add(45*time.Minute).UTC().Format("2 January 2006, 15:04 UTC"), "Post it").Body.String()
	_, form, _ := strings.Cut(seen, `action="`+one+`/update"`)
	form, _, _ = strings.Cut(form, "</form>")
	hidden := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`).FindAllStringSubmatch(form, -1) {
		hidden.Set(m[1], html.UnescapeString(m[2]))
	}
	says := "next by " + w.kit.Clock.Now().Add(45*time.Minute).UTC().Format("2 Jan 15:04 UTC")
	w.kit.Clock.Advance(5 * time.Minute)
	w.post("dev", one+"/update", hidden).want(303)
	w.get("dev", one).want(200, says, "Some people cannot sign in.")
	if cs, err := w.status.Components(t.Context()); err != nil || cs[0].State != status.PartialOutage {
		t.Error(cs, err)
	}
}

// The texts of notices are written by who may post, with their versions, and returned from.
func TestTextsInTheConsole(t *testing.T) { // breaks: inc.public-notice
	w := newWorld(t)
	const at, one = "/-/console/status/texts", "/-/console/status/texts/usability/identified"
	if body := w.get("dev", "/-/console/status").want(200, "From {starts:time} on we work on the service").Body.String(); !strings.Contains(body, `href="`+at+`"`) {
		t.Error("no way leads to the texts")
	}
	if body := w.get("emil", at).want(200, "We know why there is trouble with {parts:components}").Body.String(); !strings.Contains(body, `href="`+one+`"`) {
		t.Error("no way leads to a text")
	}
	if body := w.get("emil", one).want(200, "{since:time}", "when it began").Body.String(); strings.Contains(body, "Begin notices with this") {
		t.Error("an auditor is offered to write one")
	}
	w.post("emil", one, url.Values{"body": {"Since {since:time} it is slow."}, "version": {"0"}}).want(403)
	w.post("dev", one, url.Values{"body": {"Since {when:time} it is slow."}, "version": {"0"}}).want(422, "at character 7", "Since {when:time} it is slow.")
	w.post("dev", one, url.Values{"body": {"Since {since:time} it is slow."}, "version": {"0"}}).want(303)
	w.post("dev", one, url.Values{"body": {"Since {since:time} it is late."}, "version": {"0"}}).want(409, "at version 1")
	w.get("dev", one).want(200, "Since {since:time} it is slow.", "Return to the shipped text")
	w.get("dev", at).want(200, "version 1")
	w.post("dev", one+"/reset", url.Values{"version": {"1"}}).want(303)
	if body := w.get("dev", one).want(200, "the shipped text again").Body.String(); strings.Contains(body, "Return to the shipped text") {
		t.Error("there is nothing to return to")
	}
	w.get("dev", at+"/usability/cloudy").want(404)
}
