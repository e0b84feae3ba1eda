package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"writ/internal/gateway"
)

// The file keeps to RFC 9116 section 2.5: which fields there must be, how often, and how far
// its end may be.
func TestSecurityText(t *testing.T) {
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	full := gateway.Disclosure{Contact: []string{"https://example.com/report", "mailto:security@example.com", "tel:+49-30-1"}, Languages: []string{"en", "de-AT"}, Encryption: "https://example.com/key.asc",
		Acknowledgments: "https://example.com/thanks", Policy: "https://example.com/flaws", Hiring: "https://example.com/jobs"}
	field := regexp.MustCompile(`^(Contact|Expires|Encryption|Acknowledgments|Preferred-Languages|Canonical|Policy|Hiring): \S[^\r\n]*$`)
	for _, d := range []gateway.Disclosure{{}, full} {
		if f, got, _ := d.Check(); f != "" {
			t.Errorf("%s: %s", f, got)
		}
		count := map[string]int{}
		for line := range strings.Lines(d.Text(now, "https://app.example.com", "sec@example.com")) {
			m := field.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				t.Fatalf("%q is no field", line)
			}
			count[m[1]]++
			_, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			if m[1] == "Expires" {
				if at, err := time.Parse(time.RFC3339, value); err != nil || at.Sub(now) < 24*time.Hour || at.Sub(now) > 365*24*time.Hour {
					t.Errorf("Expires: %s %v", value, err)
				}
			}
			if m[1] == "Canonical" && value != "https://app.example.com/.well-known/security.txt" {
				t.Errorf("Canonical: %s", value)
			}
		}
		if count["Contact"] != max(1, len(d.Contact)) || count["Expires"] != 1 || count["Preferred-Languages"] != 1 || count["Canonical"] != 1 || count["Policy"] != 1 {
			t.Errorf("%v", count)
		}
	}
	if s := full.Text(now, "https://app.example.com", "sec@example.com"); !strings.HasPrefix(s, "Contact: https://example.com/report\n") || strings.Contains(s, "sec@example.com") || !strings.Contains(s, "en, de-AT") {
		t.Error(s)
	}
	for want, d := range map[string]gateway.Disclosure{"contact": {Contact: []string{"security@example.com"}}, "languages": {Languages: []string{"English"}}, "encryption": {Encryption: "http://example.com/k"},
		"policy": {Policy: "https://example.com/\nContact: mailto:evil@example.com"}, "hiring": {Hiring: "https:"}, "acknowledgments": {Acknowledgments: "/thanks"}} {
		if f, _, _ := d.Check(); f != want {
			t.Errorf("%s: %q", want, f)
		}
	}
}

// The application's own file is served where routes.yaml has it for anyone, and ours elsewhere.
func TestSecurityTextOfTheApplication(t *testing.T) {
	ours := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ours") })
	for routes, want := range map[string]string{
		"": "ours", "- {path: /.well-known/security.txt, who: anyone}\n": "app:",
		"- {path: /.well-known/security.txt, who: signed-in}\n": "ours", "- {path: /.well-known/, who: anyone}\n": "ours",
	} {
		k := open(t, options{routes: routes, values: map[string]any{"use.no-automation/public_paths": []string{"/.well-known/"}}})
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/.well-known/security.txt", nil)
		r.Host, r.RequestURI = strings.TrimPrefix(k.base, "https://"), "/.well-known/security.txt"
		k.g.Front(ours, func(*http.Request) bool { return true }).ServeHTTP(rec, r)
		if rec.Body.String() != want {
			t.Errorf("%q: %d %q", routes, rec.Code, rec.Body)
		}
	}
}
