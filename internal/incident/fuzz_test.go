package incident_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
)

type somebody struct{ who actor.Actor }

func (s somebody) Identify(*http.Request) (actor.Actor, error) { return s.who, nil }

// FuzzAPI throws parameters at every route of incidents and of the page's components: an answer
// is one that is documented, never a failure of the server.
func FuzzAPI(f *testing.F) {
	w := with(f, ledgertest.Open(f, tables...), nil)
	c := w.active()
	site, posts := w.api(w.as("dev"))
	f.Add(0, "", "open=1", "{}")
	f.Add(1, "", "", `{"title":"Nobody can sign in","onset":"2026-11-02T09:00:00Z"}`)
	f.Add(6, "", "", `{"kinds":["usability"],"severity":2}`)
	f.Add(10, "", "", `{"state":"investigating","body":"We look into it.","next":"2026-11-02T10:40:00Z","components":{"x":"y"}}`)
	f.Add(11, "", "", `{"event":"deploy","ends":"9999-12-31T23:59:59Z"}`)
	f.Add(17, "x\x00", "signal=alarm/%ff", `{"into":"D-9223372036854775808"}`)
	f.Fuzz(func(t *testing.T, n int, id, query, body string) {
		route := posts[uint(n)%uint(len(posts))] //nolint:gosec // any number is as good
		method, path, _ := strings.Cut(route.Pattern, " ")
		path = strings.NewReplacer("{ref}", c.Ref(), "{id}", url.PathEscape(id)).Replace(path)
		if id == "" && path != strings.Split(route.Pattern, " ")[1] && strings.Contains(route.Pattern, "{id}") {
			return
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "https://app.example.test/", strings.NewReader(body))
		r.URL.Path, r.URL.RawQuery = path, query
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		a := httptest.NewRecorder()
		site.ServeHTTP(a, r)
		if a.Code >= 500 {
			t.Errorf("%s %s %q: %d %s", method, path, body, a.Code, a.Body)
		}
	})
}

// FuzzToken throws links at subscribing: none confirms or ends anything, and none is a failure.
func FuzzToken(f *testing.F) {
	w := with(f, ledgertest.Open(f, tables...), nil)
	f.Add("")
	f.Add("x.")
	f.Add("06gpncsl0001suc7mbqrpjnnbk.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, token string) {
		who := actor.Actor{Kind: actor.Stranger, ID: "192.0.2.0/24"}
		if err := w.page.Confirm(t.Context(), who, secret.NewText(token)); fault.KindOf(err) != fault.Gone {
			t.Errorf("confirm: %v", err)
		}
		if err := w.page.Unsubscribe(t.Context(), who, secret.NewText(token)); fault.KindOf(err) != fault.Gone {
			t.Errorf("unsubscribe: %v", err)
		}
	})
}

// FuzzCalendar announces maintenance with any text: what is taken stands in a calendar whose
// lines are short and whole, and from which the text comes back.
func FuzzCalendar(f *testing.F) {
	w := with(f, ledgertest.Open(f, tables...), nil)
	f.Add("New disks", "The database moves.")
	f.Add("a;b,c\\d", strings.Repeat("🎈", 80))
	f.Add("a\\nb", "x\\\r\n\r\ny\ttab")
	f.Fuzz(func(t *testing.T, title, body string) {
		w.t = t
		w.kit.Clock.Advance(time.Minute) // the calendar shows the last fifty
		now := w.kit.Clock.Now()
		m, err := w.page.Schedule(t.Context(), w.as("dev"), status.Window{Title: title, Body: body, Starts: now.Add(time.Hour), Ends: now.Add(2 * time.Hour)})
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		text := w.get("/-/status/maintenance.ics").Body.String()
		for _, line := range strings.Split(text, "\r\n") {
			if len(line) > 75 || strings.ContainsAny(line, "\r\n") {
				t.Errorf("%q", line)
			}
		}
		_, one, _ := strings.Cut(strings.ReplaceAll(text, "\r\n ", ""), "UID:"+m.ID)
		_, one, _ = strings.Cut(one, "\r\nDESCRIPTION:")
		got, _, _ := strings.Cut(one, "\r\n")
		got = strings.NewReplacer(`\\`, `\`, `\;`, ";", `\,`, ",", `\n`, "\n").Replace(got)
		if want := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimSpace(body)); got != want {
			t.Errorf("%q came back as %q", want, got)
		}
		if err := w.page.End(t.Context(), w.as("dev"), m.ID); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzLeaks looks for what must not be public in any text.
func FuzzLeaks(f *testing.F) {
	w := with(f, ledgertest.Open(f, tables...), nil)
	w.names = []string{"Quay & Sons", "", "ß", "İstanbul"}
	f.Add("Some people cannot sign in.", false)
	f.Add("Ask root@example.com at 10.0.0.1 or db.internal", true)
	f.Add("İ quay & sons, i̇stanbul", false)
	f.Fuzz(func(t *testing.T, text string, mail bool) {
		if mail {
			text += " a@b.example "
		}
		leaks, err := w.page.Check(t.Context(), status.Post{Title: "Title", State: status.Resolved, Body: text})
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		if mail && len(leaks) == 0 {
			t.Errorf("an address passes in %q", text)
		}
	})
}
