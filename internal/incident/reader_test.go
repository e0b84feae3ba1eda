package incident_test

import (
	"encoding/json"
	"html"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"writ/internal/incident/status"
)

// readers are other people's programs that read status pages.
var readers = []string{"feedsmith@3.0.1", "statuspage.io@3.2.10", "ical.js@2.2.1"}

// fetched is where npm has put them, or the test is skipped.
func fetched(t *testing.T) (node, dir string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no readers: node is not installed")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("no readers: ", err)
	}
	dir = filepath.Join(cache, "writ-tests", "readers-"+strings.NewReplacer("@", "-", " ", "-").Replace(strings.Join(readers, " ")))
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "ical.js", "package.json")); err == nil {
		return node, dir
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no readers in " + dir + ", and there is no npm to fetch them")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), npm, append([]string{"install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"}, readers...)...).CombinedOutput()
	if err != nil {
		t.Skipf("no readers: npm could not fetch them: %v\n%s", err, out)
	}
	return node, dir
}

// Readers that other people wrote understand the feeds, the calendar and the API as they are meant.
func TestJudgeReaders(t *testing.T) {
	node, dir := fetched(t)
	w := open(t)
	part := w.component("Sign-in", "Accounts")
	c := w.active()
	p := w.update(status.Investigating)
	p.Title, p.Body, p.Impact, p.Touched = "Sign-in <b>fails</b> & more", "First; line, with \\ <script> signs.\nSecond line – ünïcode 🎈 "+strings.Repeat("and on ", 30)+"end.", "major", map[string]string{part.ID: status.PartialOutage}
	w.ok(w.svc.Update(t.Context(), w.as("dev"), c.Ref(), p, 0))
	now := w.kit.Clock.Now().Truncate(time.Second)
	plan := status.Window{Title: "New disks; larger, faster", Body: p.Body, Touched: []string{part.ID}, Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour)}
	m, err := w.page.Schedule(t.Context(), w.as("dev"), plan)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "Not after all", Starts: now.Add(5 * time.Hour), Ends: now.Add(6 * time.Hour)})
	if err == nil {
		err = w.page.End(t.Context(), w.as("dev"), gone.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join("testdata", "readers", "read.cjs"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "read.cjs"), script, 0o600) // where its packages are
	}
	if err != nil {
		t.Fatal(err)
	}
	site := httptest.NewServer(w.site())
	defer site.Close()
	var errs strings.Builder
	cmd := exec.CommandContext(t.Context(), node, filepath.Join(dir, "read.cjs"), site.URL+status.At)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	type item struct{ ID, Title, Text string }
	type times struct{ Starts, Ends time.Time }
	var got struct {
		Atom, RSS, JSON struct{ Items []item }
		Calendar        []struct {
			item
			times
			Status string
		}
		Indicator, Components, Open []string
		Incidents                   []item
		Planned                     []struct {
			item
			times
		}
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, items := range map[string][]item{"atom": got.Atom.Items, "rss": got.RSS.Items, "json": got.JSON.Items} {
		if len(items) != 3 {
			t.Fatalf("%s: %+v", name, items)
		}
		for _, x := range items {
			if name == "rss" { // its text is HTML
				if strings.Contains(x.Text, "<script") {
					t.Errorf("rss: %s", x.Text)
				}
				x.Text = html.UnescapeString(strings.ReplaceAll(x.Text, "<br>", ""))
			}
			if strings.Contains(x.ID, "update/") && (x.Title != "Investigating: "+p.Title || !strings.HasPrefix(x.Text, p.Body)) {
				t.Errorf("%s: %+v", name, x)
			}
		}
	}
	if len(got.Calendar) != 2 {
		t.Fatalf("calendar: %+v", got.Calendar)
	}
	for _, e := range got.Calendar {
		switch e.ID {
		case m.ID + "@app.example.test":
			if e.Title != plan.Title || e.Text != plan.Body || !e.Starts.Equal(plan.Starts) || !e.Ends.Equal(plan.Ends) || e.Status != "CONFIRMED" {
				t.Errorf("calendar: %+v", e)
			}
		case gone.ID + "@app.example.test":
			if e.Status != "CANCELLED" {
				t.Errorf("taken back: %+v", e)
			}
		default:
			t.Errorf("calendar: %+v", e)
		}
	}
	if strings.Join(got.Indicator, " ") != "major major" || strings.Join(got.Components, " ") != "Accounts=partial_outage Sign-in=partial_outage" {
		t.Errorf("%v %v", got.Indicator, got.Components)
	}
	if len(got.Incidents) != 1 || got.Incidents[0].Title != p.Title || got.Incidents[0].Text != p.Body || len(got.Open) != 1 || got.Open[0] != got.Incidents[0].ID {
		t.Errorf("%+v %v", got.Incidents, got.Open)
	}
	if len(got.Planned) != 1 || got.Planned[0].ID != m.ID || !got.Planned[0].Starts.Equal(plan.Starts) || !got.Planned[0].Ends.Equal(plan.Ends) {
		t.Errorf("%+v", got.Planned)
	}
}

// The calendar keeps to 75 octets a line, cuts no character, and holds something even when
// there is nothing to tell.
func TestCalendar(t *testing.T) {
	w := open(t)
	check := func(want ...string) string {
		t.Helper()
		a := w.get("/-/status/maintenance.ics")
		if a.Code != 200 || a.Header().Get("Content-Type") != "text/calendar; charset=utf-8" {
			t.Fatalf("%d %v", a.Code, a.Header())
		}
		body := a.Body.String()
		for _, line := range strings.Split(strings.TrimSuffix(body, "\r\n"), "\r\n") {
			if len(line) > 75 || !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n") {
				t.Errorf("%d octets: %q", len(line), line)
			}
		}
		whole := strings.ReplaceAll(body, "\r\n ", "")
		for _, x := range want {
			if !strings.Contains(whole, x+"\r\n") {
				t.Errorf("no %s in %s", x, whole)
			}
		}
		return whole
	}
	if err := w.page.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("BEGIN:VCALENDAR", "BEGIN:VTIMEZONE", "END:VCALENDAR")
	now := w.kit.Clock.Now()
	m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: "Größere Platten, schnellere; \\ neue", Body: "Zeile 1\r\nZeile 2 " + strings.Repeat("🎈ü", 60), Starts: now.Add(time.Hour), Ends: now.Add(3 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	body := check(`SUMMARY:Größere Platten\, schnellere\; \\ neue`, "UID:"+m.ID+"@app.example.test", "DTSTART:"+now.Add(time.Hour).UTC().Format("20060102T150405Z"), "STATUS:CONFIRMED", "SEQUENCE:0")
	if strings.Contains(body, "VTIMEZONE") || !strings.Contains(body, `Zeile 1\nZeile 2`) {
		t.Error(body)
	}
	w.kit.Clock.Advance(2 * time.Hour)
	if err := w.page.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.page.End(t.Context(), w.as("dev"), m.ID); err != nil { // earlier than announced
		t.Fatal(err)
	}
	check("DTEND:"+w.kit.Clock.Now().UTC().Format("20060102T150405Z"), "SEQUENCE:7200")
}
