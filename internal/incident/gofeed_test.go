package incident_test

import (
	"html"
	"strings"
	"testing"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/mmcdole/gofeed"

	"writ/internal/incident/status"
)

// Readers in Go that other people wrote understand the feeds and the calendar as they are meant, also after
// an update and when maintenance moves.
func TestReadersInGo(t *testing.T) { // breaks: inc.public-notice
	w := open(t)
	c := w.active()
	p := w.update(status.Investigating)
	p.Title, p.Body = "Sign-in <b>fails</b> & more", "First; line, with \\ <script> signs.\nSecond line – ünïcode 🎈 "+strings.Repeat("and on ", 30)+"end."
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	w.kit.Clock.Advance(10 * time.Minute)
	w.says(c.Ref(), status.Identified)
	now := w.kit.Clock.Now().Truncate(time.Second)
	m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "New disks; larger, faster", Body: p.Body, Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	w.kit.Clock.Advance(time.Minute)
	if m, err = w.page.Extend(t.Context(), w.as("dev"), m.ID, now.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	posts := w.show(c.Ref()).Posts
	for path, kind := range map[string]string{"history.atom": "atom", "history.rss": "rss", "feed.json": "json"} {
		f, err := gofeed.NewParser().ParseString(w.get("/-/status/" + path).Body.String())
		if err != nil || f.FeedType != kind || len(f.Items) != 3 || f.Title == "" || f.Link == "" {
			t.Errorf("%s: %+v %v", path, f, err)
			continue
		}
		found := map[string]*gofeed.Item{}
		for _, x := range f.Items {
			if x.PublishedParsed == nil || x.Link == "" || found[x.GUID] != nil {
				t.Errorf("%s: %+v", path, x)
			}
			found[x.GUID] = x
		}
		for i, want := range []string{"Identified: " + p.Title, "Investigating: " + p.Title} {
			x := found["tag:app.example.test,2026:update/"+posts[i].ID]
			if x == nil || html.UnescapeString(x.Title) != want || !x.PublishedParsed.Equal(posts[i].At.Truncate(time.Second)) {
				t.Errorf("%s: %+v", path, x)
				continue
			}
			text := x.Content
			if text == "" {
				text = x.Description
			}
			if kind == "rss" { // its text is HTML
				text = html.UnescapeString(strings.ReplaceAll(text, "<br>", ""))
			}
			if strings.Contains(x.Content+x.Description, "<script") && kind == "rss" || !strings.HasPrefix(text, posts[i].Body) {
				t.Errorf("%s: %q", path, text)
			}
		}
	}
	cal, err := ics.ParseCalendar(strings.NewReader(w.get("/-/status/maintenance.ics").Body.String()))
	if err != nil || len(cal.Events()) != 1 {
		t.Fatal(err)
	}
	e := cal.Events()[0]
	starts, err := e.GetStartAt()
	if err != nil {
		t.Fatal(err)
	}
	ends, err := e.GetEndAt()
	if err != nil {
		t.Fatal(err)
	}
	if e.Id() != m.ID+"@app.example.test" || !starts.Equal(m.Starts) || !ends.Equal(m.Ends) || e.GetProperty(ics.ComponentPropertySummary).Value != m.Title || e.GetProperty(ics.ComponentPropertyDescription).Value != p.Body || e.GetProperty(ics.ComponentPropertySequence).Value == "0" {
		t.Errorf("%v %v %v: %+v", e.Id(), starts, ends, e.Properties)
	}
}
