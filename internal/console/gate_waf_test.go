package console_test

import (
	"context"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/secret"
)

// through sends a request into the gate and says how many the rules refused meanwhile. What passes is
// not sent on once the rules are loaded: nobody waits for its answer.
func (w *world) through(session, target string) (refused bool) {
	w.t.Helper()
	ctx, gone := context.WithCancel(context.Background())
	defer gone()
	if w.gate.WAFNow().Ready {
		gone()
	}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	r.RemoteAddr, r.Host = "192.0.2.7:4000", strings.TrimPrefix(origin, "https://")
	r.Header.Set("User-Agent", "tests")
	r.AddCookie(&http.Cookie{Name: "__Host-writ", Value: session})
	func() {
		defer func() { _ = recover() }() // the gate cuts a connection that nobody waits at
		w.gate.ServeHTTP(httptest.NewRecorder(), r)
	}()
	last := w.failed
	w.failed = nil
	return last != nil && strings.Contains(last.Error(), "refused")
}

// An exception is made from a find, counts at once and in its field alone, is refused when it would say
// too much, and ends by the form: all as somebody at the console does it.
func TestExceptFromRules(t *testing.T) { // breaks: use.no-automation
	w := newWorld(t)
	if err := os.WriteFile(w.routes, []byte("- {path: /notes, who: signed-in, waf: block}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.gate.Reload(t.Context(), actor.System("test")); err != nil {
		t.Fatal(err)
	}
	in, err := w.people.SignIn(context.Background(), actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24", Via: "https"}, identity.SignIn{Email: "cem@customer.test", Password: secret.NewText("plum carousel vestige 71"), Network: "192.0.2.0/24", Agent: "tests"})
	if err != nil {
		t.Fatal(err)
	}
	const finds, except, end = "/-/console/gate/finds", "/-/console/gate/finds/except", "/-/console/gate/finds/end"
	day := func(n int) string { return w.kit.Clock.Now().AddDate(0, 0, n).UTC().Format(time.DateOnly) }
	form := func(change ...string) url.Values {
		f := url.Values{"rules": {"942100"}, "route": {"/notes"}, "field": {"ARGS:text"}, "reason": {"Notes are about databases."}, "until": {day(30)}}
		for i := 0; i < len(change); i += 2 {
			f.Set(change[i], change[i+1])
		}
		return f
	}
	w.post("ana", except, form()).want(409, "No rules look at requests.")
	attack := url.QueryEscape("1' UNION SELECT password FROM users--")
	if !w.through(in.Token.Reveal(), "/notes?text="+attack) {
		t.Fatal("an attack was not refused")
	}
	if err := w.gate.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := w.get("ana", finds).want(200, "942100", "ARGS:text", "refused", "No exception was made")
	link := regexp.MustCompile(`href="([^"]+rule=942100[^"]*)"`).FindStringSubmatch(p.Body.String())
	if link == nil {
		t.Fatal("the find leads to no form")
	}
	w.get("ana", html.UnescapeString(link[1])).want(200, "Except a field from rules", "Why these requests are good")
	if q := w.get("emil", finds).want(200, "942100"); strings.Contains(q.Body.String(), "finds/except") {
		t.Error("an auditor is shown the form")
	}
	w.post("emil", except, form()).want(403)
	for says, f := range map[string]url.Values{
		"It is not said why.":              form("reason", " "),
		"It does not end within 90 days.":  form("until", day(91)),
		"Rule 1 is none that scores.":      form("rules", "1"),
		"It is not said from which rules.": form("rules", ""),
		"There is no such route.":          form("route", "/other"),
		"It is not said in which field.":   form("field", "ARGS:*"),
		"Rule -1 is none that scores.":     form("rules", "all"),
	} {
		w.post("ana", except, f).want(422, says)
	}
	if q := w.post("ana", except, form("until", "tomorrow")).want(422, "It does not end within 90 days."); !strings.Contains(q.Body.String(), `value="Notes are about databases."`) {
		t.Error("what was written is lost")
	}
	if !w.through(in.Token.Reveal(), "/notes?text="+attack) {
		t.Error("what was refused counts as an exception")
	}
	all, err := w.gate.Finds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rules []string
	for _, f := range all {
		rules = append(rules, strconv.FormatInt(f.Rule, 10))
	}
	w.post("ana", except, form("rules", strings.Join(rules, ", "))).want(303)
	p = w.get("ana", finds).want(200, "Notes are about databases.", "by Ana Lind", "Exception to end now")
	if w.through(in.Token.Reveal(), "/notes?text="+attack) {
		t.Error("the exception does not count")
	}
	if !w.through(in.Token.Reveal(), "/notes?other="+attack) {
		t.Error("the exception counts in another field")
	}
	id := regexp.MustCompile(`<option value="([^"]+)"[^>]*>942`).FindStringSubmatch(p.Body.String())
	if id == nil {
		t.Fatalf("no exception to end:\n%s", p.Body)
	}
	w.post("emil", end, url.Values{"exception": {id[1]}}).want(403)
	w.post("ana", end, url.Values{"exception": {id[1]}}).want(303)
	w.get("ana", finds).want(200, "ended")
	if !w.through(in.Token.Reveal(), "/notes?text="+attack) {
		t.Error("an exception that has ended counts")
	}
	w.post("ana", end, url.Values{"exception": {id[1]}}).want(404)
}
