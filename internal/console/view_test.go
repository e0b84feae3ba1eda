package console_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// From everything at a glance to a record it takes three clicks: a part, a stretch of its
// chart, the records of a group. Each is a link, and each answers.
func TestDrillDown(t *testing.T) { // breaks: mon.drill-down
	w, a := watched(t)
	const at = "/-/console/watch/views"
	body := w.get("dev", at).want(200, "What goes on", "Traffic", "Own health", "28 days").Body.String()
	if n := strings.Count(body, "<svg viewBox"); n != 16 || len(body) > 60_000 {
		t.Errorf("%d charts, %d bytes", n, len(body))
	}
	if !strings.Contains(body, `class="gap"`) {
		t.Error("what nobody observed is not grey")
	}
	part := link(t, body, `href="(/-/console/watch/views/endpoints[^"]*)"`)
	body = w.get("dev", part).want(200, "Which routes are asked for", "nobody looked", "/orders/{id}?<x>", "1.2 k to 1.5 k").Body.String()
	stretch := link(t, body, `<a href="([^"]*)" aria-label="`)
	body = w.get("dev", stretch).want(200).Body.String()
	q := a.looked[len(a.looked)-1]
	if q.Meter != "requests" || q.By != "route" || q.Until.Sub(q.From) > 2*time.Hour {
		t.Errorf("the stretch asks for %+v", q)
	}
	records := link(t, body, `href="(/-/console/gate/requests[^"]*route=[^"]*)">Records<`)
	u, err := url.Parse(records)
	if err != nil || u.Path != "/-/console/gate/requests" || u.Query().Get("route") != "/orders/{id}?<x>" || u.Query().Get("from") != q.From.Format(time.RFC3339) {
		t.Errorf("%v %s", err, records)
	}
	w.get("dev", records).want(200, "No request matches")
	group := link(t, body, `<a href="([^"]*label=[^"]*)"`)
	w.get("dev", group).want(200, "/orders/{id}?<x>")
	if q := a.looked[len(a.looked)-1]; q.Label != "/orders/{id}?<x>" {
		t.Errorf("the group asks for %+v", q)
	}
	w.get("dev", part+"?as=csv&table=2").want(200, "Route,How much,Behind it", ",1.2 k to 1.5 k,Records")
	w.get("suna", at).want(403)
	w.get("dev", at+"/weather").want(404)
	w.get("dev", at+"/traffic?meter=weather").want(404)
	w.get("dev", at+"/traffic?from=yesterday").want(422)
}

// What is usual lies behind what was, and stands in the figures; teams have their names.
func TestViewShowsUsual(t *testing.T) { // breaks: mon.abnormal
	w, a := watched(t)
	const at = "/-/console/watch/views/traffic"
	if body := w.get("dev", at).want(200).Body.String(); strings.Contains(body, `class="usual"`) || strings.Contains(body, "Usually") {
		t.Error("what nobody has learned is drawn")
	}
	a.usual = true
	body := w.get("dev", at).want(200, "Usually", "the quiet area is usual").Body.String()
	if strings.Count(body, `class="usual"`) != 1 || strings.Index(body, `class="usual"`) > strings.Index(body, `class="bar"`) {
		t.Error("what is usual does not lie behind the bars")
	}
	if body := w.get("dev", "/-/console/watch/views").want(200).Body.String(); strings.Contains(body, `class="usual"`) {
		t.Error("small charts are crowded")
	}
	if err := w.people.RenameTeam(t.Context(), w.as("ana"), "staff", "Orchard & Sons"); err != nil {
		t.Fatal(err)
	}
	a.team = "staff"
	if body := w.get("dev", "/-/console/watch/usual").want(200, "requests team Orchard & Sons").Body.String(); !strings.Contains(body, `value="requests team staff"`) {
		t.Error("what is accepted is not named as it is kept")
	}
	w.get("dev", at+"?by=team&label=staff").want(200, "Traffic: Orchard & Sons")
}

func link(t *testing.T, body, pattern string) string {
	t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("there is no %s in %s", pattern, body)
	}
	return strings.NewReplacer("&amp;", "&", "&#34;", `"`, "&#43;", "+").Replace(m[1])
}

// The journal's page shows the entries of a span, and pages within it.
func TestJournalOfASpan(t *testing.T) {
	w := newWorld(t)
	w.fill()
	w.settle()
	all := numbers(w.get("emil", "/-/console/journal").Body.String())
	h, err := w.journal.Head(t.Context())
	if err != nil || h.Size < 50 {
		t.Fatal(h.Size, err)
	}
	mid, err := w.journal.Entry(t.Context(), h.Size/2)
	if err != nil {
		t.Fatal(err)
	}
	at := url.QueryEscape(mid.At.Format(time.RFC3339Nano))
	later := numbers(w.get("emil", "/-/console/journal?from="+at).Body.String())
	if len(later) == 0 || !slices.Equal(later, all[:len(later)]) {
		t.Errorf("since the middle: %v of %v", later, all)
	}
	body := w.get("emil", "/-/console/journal?from=9000h&until="+at).want(200).Body.String()
	if ns := numbers(body); len(ns) == 0 || ns[0] == all[0] {
		t.Errorf("until the middle: %v", ns)
	}
	w.get("emil", "/-/console/journal?from=2001-01-01&until=2001-01-02").want(200, "No entry matches")
	w.get("emil", "/-/console/journal?from=yesterday").want(422)
}

// numbers are those of the entries on a page.
func numbers(body string) (out []string) {
	for _, m := range regexp.MustCompile(`<th scope="row"><a href="/-/console/journal/(\d+)"`).FindAllStringSubmatch(body, -1) {
		out = append(out, m[1])
	}
	return out
}
