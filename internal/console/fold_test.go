package console_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/incident"
	"writ/internal/incident/breach"
)

var (
	foldLine = regexp.MustCompile(`<details class="fold"( open)?><summary>([^<]*)</summary>`)
	refusals = regexp.MustCompile(`id="errors"`)
)

// folds are the lines of the forms that are folded, and of those that stand open.
func (p page) folds() (closed, open []string) {
	for _, m := range foldLine.FindAllStringSubmatch(p.Body.String(), -1) {
		if m[1] == "" {
			closed = append(closed, m[2])
		} else {
			open = append(open, m[2])
		}
	}
	return closed, open
}

// cameBack holds an answer to one form that stands open, the refusal in it, and what was typed.
func (p page) cameBack(fold string, typed ...string) {
	p.t.Helper()
	_, open := p.folds()
	if !slices.Equal(open, []string{fold}) {
		p.t.Errorf("%s: %q stand open, want %q", p.path, open, fold)
	}
	body := p.Body.String()
	if n := len(refusals.FindAllString(body, -1)); n != 1 {
		p.t.Errorf("%s: the refusal is told %d times", p.path, n)
	}
	_, body, _ = strings.Cut(body, `<summary>`+fold+"</summary>\n")
	if !strings.HasPrefix(body, `<div class="errors"`) {
		p.t.Errorf("%s: the refusal does not stand in %q", p.path, fold)
	}
	form, _, _ := strings.Cut(body, "</details>")
	for _, s := range typed {
		if !strings.Contains(form, s) {
			p.t.Errorf("%s: %q does not have what was typed: %s", p.path, fold, s)
		}
	}
}

// On the status page further acts are folded, and one that is refused stands open with what was
// typed. A refusal of a form that is not there any more stands above the page.
func TestRefusedFormStandsOpen(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/status"
	w.post("dev", at+"/parts", url.Values{"name": {"Sign-in"}}).want(303)
	cs, err := w.status.Components(t.Context())
	if err != nil || len(cs) != 1 {
		t.Fatal(cs, err)
	}
	closed, open := w.get("dev", at).want(200, "What can be done").folds()
	if want := []string{"Announce maintenance", "Show another part", "Say how a part is", "Show a part no more", "Say what a part stands on"}; !slices.Equal(closed, want) || len(open) != 0 {
		t.Errorf("folded are %q, open %q, want %q", closed, open, want)
	}
	w.post("dev", at+"/parts", url.Values{"name": {""}, "group": {"Core <b>"}}).want(422, "1 to 60 characters").cameBack("Show another part", `value="Core &lt;b&gt;"`, `href="#f-add-name"`)
	w.post("dev", at+"/windows", url.Values{"title": {"New disks"}, "body": {"All works."}, "starts": {"soon"}, "lasts": {"60"}, "of": {cs[0].ID}}).want(422, "begins within the next year").
		cameBack("Announce maintenance", `value="New disks"`, "All works.", `value="soon"`, `value="`+cs[0].ID+`" selected`)
	w.post("dev", at+"/parts/state", url.Values{"of": {cs[0].ID}, "state": {"dreamy"}}).want(422).cameBack("Say how a part is")
	w.post("dev", at+"/windows/begin", url.Values{"of": {"none"}}).want(404)
	w.post("dev", at+"/windows", url.Values{"title": {"New disks"}, "starts": {"30"}, "lasts": {"60"}}).want(303)
	ws, err := w.status.Windows(t.Context())
	if err != nil || len(ws) != 1 {
		t.Fatal(ws, err)
	}
	w.post("dev", at+"/windows/begin", url.Values{"of": {ws[0].ID}}).want(303)
	gone := w.post("dev", at+"/windows/begin", url.Values{"of": {ws[0].ID}}).want(409, "does not wait for a word")
	if _, open := gone.folds(); len(open) != 0 || !strings.Contains(strings.Split(gone.Body.String(), "<table")[0], `id="errors"`) {
		t.Errorf("the refusal of a form that is not there: %q stand open", open)
	}
}

// On the page of an incident a refused act stands in its own form, with what was typed.
func TestRefusedActOfAnIncidentStandsOpen(t *testing.T) {
	w := newWorld(t)
	const all, at = "/-/console/incidents", "/-/console/incidents/I-1"
	if closed, _ := w.get("dev", all).want(200).folds(); !slices.Equal(closed, []string{"Begin a drill"}) {
		t.Errorf("folded are %q", closed)
	}
	w.post("dev", "/-/console/drills", url.Values{"kind": {"none"}, "with": {"ana"}}).want(422).cameBack("Begin a drill", `value="ana"`)
	w.post("dev", all, url.Values{"title": {"Nobody can sign in"}}).want(303)
	w.post("dev", at+"/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.post("dev", at+"/role", url.Values{"role": {"sailor"}, "to": {"ana"}}).want(422, "There is no role").cameBack("Take a role, or hand it over", `value="ana"`)
	w.post("dev", at+"/link", url.Values{"kind": {incident.Related}, "to": {"I-1"}, "reason": {"the <same>"}}).want(409).cameBack("Link it to another incident", `value="I-1"`, `value="the &lt;same&gt;"`, `value="related" selected`)
	// The next step is the page's main form: nothing else opens.
	next := w.post("dev", at+"/note", url.Values{"text": {""}}).want(422)
	if _, open := next.folds(); len(open) != 0 || strings.Count(next.Body.String(), `id="errors"`) != 1 {
		t.Errorf("a line that is refused opens %q", open)
	}
}

// So it is on the pages of a breach and of its letters.
func TestRefusedActOfABreachStandsOpen(t *testing.T) {
	w := newWorld(t)
	const at = "/-/console/incidents/I-1"
	s := stolen{w.kit.Clock.Now()}
	w.incident.Real.Reads, w.incident.Real.Concerned = s, s
	w.post("dev", "/-/console/incidents", url.Values{"title": {"Records were read"}}).want(303)
	w.post("dev", at+"/step", url.Values{"event": {"acknowledge"}}).want(303)
	w.post("dev", at+"/role", url.Values{"role": {"privacy-officer"}}).want(303)
	w.post("dev", at+"/kind", url.Values{"kinds": {"breach"}, "severity": {"2"}}).want(303)
	w.post("dev", at+"/step", url.Values{"event": {"confirm"}}).want(303)
	w.kit.Clock.Advance(time.Hour)
	from, until := w.kit.Clock.Now().Add(-2*time.Hour).Format(time.RFC3339), w.kit.Clock.Now().Format(time.RFC3339)
	scope := url.Values{"act": {"scope"}, "from": {until}, "until": {from}, "principals": {"thief"}, "unasked": {"on"}}
	w.post("dev", at+"/breach", scope).want(422, "a beginning, and an end after it").cameBack("Compute whose data it is", `value="thief"`, `name="unasked" value="on" checked`)
	scope.Set("from", from)
	scope.Set("until", until)
	scope.Set("statement", "The application is down.")
	w.post("dev", at+"/breach", scope).want(303)
	w.post("dev", at+"/breach", url.Values{"act": {"text"}, "class": {"obtained"}, "back": {"letters"}, "subject": {"Your data"}, "body": {incident.LetterTemplate(breach.Obtained).Body + " https://evil.example/"}}).
		want(422, "It leads to https://evil.example/", "Letters").cameBack("The text for those whose data was obtained", "https://evil.example/")
}
