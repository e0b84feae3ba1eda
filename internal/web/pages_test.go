package web_test

import (
	"flag"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

var update = flag.Bool("update", false, "write the golden files")

var moving = regexp.MustCompile(`/-/assets/[0-9a-f]{12}/|<span class="id">[A-Za-z0-9_-]{12}</span></p>\n</div>`)

func TestGoldenPages(t *testing.T) {
	s := newServer(t, sampleRoutes(t)...)
	s.SetChrome(sampleChrome)
	h := s.Handler(door{who: ana})
	for _, name := range []string{"policy", "trust", "table", "form", "folds", "erase", "pieces", "sign-in", "wrong", "gone"} {
		t.Run(name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, ask{method: "GET", path: "/-/" + name, accept: "text/html"}.request())
			got := moving.ReplaceAllString(rec.Body.String(), "*")
			if regexp.MustCompile(`(?i)<script>|<style|\sstyle=|\son[a-z]+=|javascript:`).MatchString(got) {
				t.Error("inline script or style")
			}
			if len(got) > 60<<10 {
				t.Errorf("%d bytes", len(got))
			}
			file := filepath.Join("testdata", "golden", name+".html")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("differs from %s; run with -update and look at it", file)
			}
		})
	}
}

func render(t *testing.T, body string, v web.View) (string, error) {
	t.Helper()
	p, err := web.NewPages(fstest.MapFS{"templates/x.html": {Data: []byte(body)}, "templates/_y.html": {Data: []byte(`{{define "mine"}}mine{{end}}`)}}, web.Funcs{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	err = p.Render(rec, httptest.NewRequest(http.MethodGet, "/-/x", nil), http.StatusOK, "x", v)
	return rec.Body.String(), err
}

func TestPagesEscape(t *testing.T) {
	const evil = `"><script>alert(1)</script>`
	got, err := render(t, `{{template "mine"}}{{template "clause" .Data.Clause}}{{template "table" .Data.Table}}{{template "form" .Data.Form}}{{template "code" .Data.Code}}`, web.View{
		Title: evil, Lead: evil, Notice: &web.Notice{Says: evil, Undo: "javascript:alert(1)"},
		Data: map[string]any{
			"Clause": web.Clause{ID: evil, Number: evil, Says: []web.Span{{Text: evil, Href: "javascript:alert(1)"}}, Mark: web.Mark{State: web.State(evil), Word: evil}},
			"Table":  web.Table{Columns: []web.Column{{Name: evil}}, Rows: []web.Row{{Cells: []web.Cell{{Text: evil, Href: "javascript:alert(1)"}}}}},
			"Form":   web.Form{Action: "javascript:alert(1)", Act: evil, Fields: []web.Field{{Name: evil, Label: evil, Value: evil, Type: "text"}, {Name: "p", Type: "password", Value: "pw-hunter2"}}},
			"Code":   web.Code{Text: evil},
		}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(got, "<script>alert") || strings.Contains(got, "javascript:") || strings.Contains(got, "hunter2") {
		t.Errorf("unescaped, or a password was echoed:\n%s", got)
	}
	if !strings.Contains(got, "mine") {
		t.Error("the shared define of the module is missing")
	}
}

func TestPagesRefuse(t *testing.T) {
	if _, err := render(t, `{{template "table" .Data}}`, web.View{Data: web.Table{Columns: make([]web.Column, 8)}}); err == nil {
		t.Error("eight columns were shown")
	}
	if got, err := render(t, `{{template "table" .Data}}`, web.View{Data: web.Table{Columns: make([]web.Column, 2), Rows: []web.Row{{Cells: make([]web.Cell, 3)}}}}); err == nil || got != "" {
		t.Errorf("a row wider than its head was shown, or a failed page was begun: %q", got)
	}
	if _, err := web.NewPages(fstest.MapFS{"x.html": {Data: []byte(`{{template "nope" .}}{{`)}}, web.Funcs{Now: clock}); err == nil {
		t.Error("a broken template was taken")
	}
	if _, err := web.NewPages(fstest.MapFS{"x.html": {Data: []byte(`{{define "piece"}}{{end}}`)}}, web.Funcs{Now: clock}); err == nil {
		t.Error("a page that defines a piece of its own, which would be every page's")
	}
	if _, err := web.NewPages(fstest.MapFS{}, web.Funcs{Now: clock}); err == nil {
		t.Error("a module without templates was taken")
	}
}

func TestNoticeSurvivesTheRedirect(t *testing.T) {
	pages, err := web.NewPages(fstest.MapFS{"x.html": {Data: []byte(`-`)}}, web.Funcs{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t,
		web.Route{Pattern: "POST /-/act", Who: web.Anyone, Handle: func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
			web.Tell(w, web.Notice{Says: "Done.", Entry: "7", Href: "/-/console/record/7"})
			return web.Redirect(w, r, "/-/x")
		}},
		web.Route{Pattern: "GET /-/x", Who: web.Anyone, Handle: func(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
			return pages.Render(w, r, http.StatusOK, "x", web.View{Title: "X"})
		}})
	h := s.Handler(door{})
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, ask{method: "POST", path: "/-/act"}.request())
	cookie := rec.Result().Cookies()[0]
	show := func(value string) *httptest.ResponseRecorder {
		r := ask{method: "GET", path: "/-/x", accept: "text/html"}.request()
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: value})
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		return rec
	}
	got := show(cookie.Value)
	if !strings.Contains(got.Body.String(), "Done.") || !strings.Contains(got.Body.String(), `href="/-/console/record/7"`) || !strings.Contains(got.Header().Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("%v %s", got.Header(), got.Body)
	}
	for _, bad := range []string{"%%%", "bm90LWpzb24", "eyJzIjoieCIsImgiOiIvL2V2aWwuZXhhbXBsZSJ9"} {
		if got := show(bad); got.Code != 200 || strings.Contains(got.Body.String(), `class="notice"`) {
			t.Errorf("%s: %d %s", bad, got.Code, got.Body)
		}
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "just now", 30 * time.Second: "30 s ago", 4 * time.Minute: "4 min ago", 23 * time.Hour: "23 h ago", 24 * time.Hour: "1 day ago", 14 * 24 * time.Hour: "14 days ago",
		30 * 24 * time.Hour: "4 April 2026", -5 * time.Minute: "in 5 min",
	} {
		if got := web.Age(noon, noon.Add(-d)); got != want {
			t.Errorf("Age(%v) = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{24 * time.Hour: "24 hours", 90 * 24 * time.Hour: "90 days", time.Minute: "1 minute", 30 * time.Minute: "30 minutes", 3723 * time.Second: "1 hour 2 minutes", 0: "0s", 150 * time.Millisecond: "150ms"} {
		if got := web.Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
	if got := web.Number(-1234567) + " " + web.Count(1204, "entry") + " " + web.Count(1, "day") + " " + web.Count(2, "day") + " " + web.And([]string{"a", "b", "c"}); got != "-1,234,567 1,204 entries 1 day 2 days a, b and c" {
		t.Error(got)
	}
	if web.StateOf("unbound") != web.Unproved || web.StateOf("pass") != web.Holds || web.StateOf("nonsense") != web.Unproved {
		t.Error("an outcome that is not known counts as a pass")
	}
}

// TestInk holds both themes to WCAG AA: 4.5:1 for words, 3:1 for the edges of controls.
func TestInk(t *testing.T) {
	css, err := os.ReadFile("assets/writ.css")
	if err != nil {
		t.Fatal(err)
	}
	if len(css) > 20_000 {
		t.Errorf("the style sheet has %d bytes", len(css))
	}
	roots := regexp.MustCompile(`(?s):root \{.*?\}`).FindAllString(string(css), 2)
	for i, theme := range []string{"light", "dark"} {
		ink := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z]+): #([0-9a-f]{6});`).FindAllStringSubmatch(roots[i], -1) {
			ink[m[1]] = luminance(t, m[2])
		}
		for _, paper := range []string{"paper", "tint"} {
			for name, least := range map[string]float64{"ink": 7, "muted": 4.5, "accent": 4.5, "holds": 4.5, "broken": 4.5, "stale": 4.5, "edge": 3} {
				if c := contrast(ink[paper], ink[name]); c < least || ink[name] == 0 && name != "ink" {
					t.Errorf("%s: %s on %s has %.2f:1, needs %.1f", theme, name, paper, c, least)
				}
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(hex, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	lin := func(b uint64) float64 {
		c := float64(b&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*lin(n>>16) + 0.7152*lin(n>>8) + 0.0722*lin(n)
}

func contrast(a, b float64) float64 { return (max(a, b) + 0.05) / (min(a, b) + 0.05) }

// TestClassesExist holds the templates to the style sheet's vocabulary.
func TestClassesExist(t *testing.T) {
	css, _ := os.ReadFile("assets/writ.css")
	plain := map[string]bool{"revision": true, "what": true, "section": true, "email": true, "search": true, "is-holds": true}
	files, _ := filepath.Glob("testdata/golden/*.html")
	seen := map[string]string{}
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for _, m := range regexp.MustCompile(`class="([^"]*)"`).FindAllStringSubmatch(string(b), -1) {
			for c := range strings.FieldsSeq(m[1]) {
				seen[c] = f
			}
		}
	}
	for c, f := range seen {
		if !strings.Contains(string(css), "."+c) && !plain[c] && !strings.HasPrefix(c, "is-") && !knownType[c] {
			t.Errorf("%s uses class %q, which the style sheet does not know", f, c)
		}
	}
}

var knownType = map[string]bool{"password": true, "radio": true, "checkbox": true, "textarea": true, "select": true, "text": true}
