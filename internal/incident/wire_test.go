package incident_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/web"
)

// What the API answers to each kind of refusal: the status, and words that lead on.
func TestRefusalsOnTheWire(t *testing.T) { // breaks: inc.process
	w := open(t)
	c := w.active()
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{Company: "Harbour"} }, Log: quiet(), Now: w.kit.Clock.Now})
	if err == nil {
		err = s.Mount(w.svc.Routes()...)
	}
	if err != nil {
		t.Fatal(err)
	}
	body := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	now, of := w.kit.Clock.Now(), "/"+c.Ref()
	for _, x := range []struct {
		name, who, path, body string
		status                int
		says                  string
	}{
		{"a guard", "dev", of + "/steps", `{"event":"mitigate"}`, 409, `"guard":"fixed-or-up"`},
		{"a step for later", "dev", of + "/steps", `{"event":"close"}`, 409, `"unmet":[]`},
		{"a role", "eve", of + "/steps", `{"event":"mitigate"}`, 403, "The role commander."},
		{"no right", "fay", of + "/steps", `{"event":"mitigate"}`, 403, ""},
		{"no such step", "dev", of + "/steps", `{"event":"explode"}`, 404, "step_unknown"},
		{"no such step of the repair", "dev", of + "/fix", `{"event":"explode"}`, 404, "step_unknown"},
		{"no such incident", "dev", "/I-99/steps", `{"event":"mitigate"}`, 404, "incident_unknown"},
		{"a note of 64 KiB and a byte", "dev", of + "/notes", body(map[string]string{"text": strings.Repeat("x", 64<<10+1)}), 413, "At most 64 KiB"},
		{"a note that nobody reads to its end", "dev", of + "/notes", body(map[string]string{"text": strings.Repeat("x", 128<<10)}), 413, ""},
		{"the future", "dev", "", body(map[string]any{"title": "Slow", "onset": now.Add(time.Hour)}), 400, "incident_onset"},
		{"more than a year ago", "dev", "", body(map[string]any{"title": "Slow", "onset": now.AddDate(-1, 0, -1)}), 400, "incident_onset"},
		{"no title", "dev", "", `{"title":"x"}`, 422, "incident_title"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "https://app.example.test/-/api/v1/incidents"+x.path, strings.NewReader(x.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		a := httptest.NewRecorder()
		s.Handler(always{w.as(x.who)}).ServeHTTP(a, r)
		if a.Code != x.status || !strings.Contains(a.Body.String(), x.says) {
			t.Errorf("%s: %d %s", x.name, a.Code, a.Body)
		}
	}
	if n := w.entries("step-refused"); n != 3 {
		t.Errorf("%d refusals are recorded", n)
	}
}
