package gateway

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// SecurityPath is where outsiders look for whom to tell of a flaw (RFC 9116).
const SecurityPath = "/.well-known/security.txt"

// securityLife is how far ahead the file's end is; RFC 9116 section 2.5.5 wants less than a year.
const securityLife = 180 * 24 * time.Hour

// Disclosure is what the file says beside what the policy does. Empty fields are left out.
type Disclosure struct {
	Contact         []string // mailto:, tel: or https:, the best first; none = the policy's contact
	Languages       []string // such as en; none = en
	Encryption      string   // https: address of a key
	Acknowledgments string   // https: address of thanks
	Policy          string   // https: address of how we deal with reports; none = the trust page
	Hiring          string   // https: address of open positions
}

var goodLanguage = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// Check names the first field that cannot stand in the file; "" = all can.
func (d Disclosure) Check() (field, got, want string) {
	for _, c := range d.Contact {
		if !goodURI(c, "mailto", "tel", "https") {
			return "contact", c, "a URI such as mailto:security@example.com or https://example.com/report"
		}
	}
	for _, l := range d.Languages {
		if !goodLanguage.MatchString(l) {
			return "languages", l, "a language such as en"
		}
	}
	for _, f := range d.rest() {
		if f.value != "" && !goodURI(f.value, "https") {
			return strings.ToLower(f.name), f.value, "an address that begins with https://"
		}
	}
	return "", "", ""
}

func goodURI(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	if err != nil || len(s) > 500 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme {
			return u.Opaque != "" || u.Hostname() != ""
		}
	}
	return false
}

type securityField struct{ name, value string }

func (d Disclosure) rest() []securityField {
	return []securityField{{"Encryption", d.Encryption}, {"Acknowledgments", d.Acknowledgments}, {"Policy", d.Policy}, {"Hiring", d.Hiring}}
}

// Text is the file. contact is the policy's: an address of mail.
func (d Disclosure) Text(now time.Time, origin, contact string) string {
	if len(d.Contact) == 0 {
		d.Contact = []string{"mailto:" + contact}
	}
	if len(d.Languages) == 0 {
		d.Languages = []string{"en"}
	}
	if d.Policy == "" {
		d.Policy = origin + "/-/trust"
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	for _, c := range d.Contact {
		line("Contact", c)
	}
	line("Expires", now.UTC().Add(securityLife).Truncate(24*time.Hour).Format(time.RFC3339))
	line("Preferred-Languages", strings.Join(d.Languages, ", "))
	line("Canonical", origin+SecurityPath)
	for _, f := range d.rest() {
		line(f.name, f.value)
	}
	return b.String()
}

// yields reports whether a request is for the application's own such file: routes.yaml has
// just that path, and anyone may read it.
func (g *Gateway) yields(r *http.Request) bool {
	if r.URL.Path != SecurityPath {
		return false
	}
	t := g.current()
	if t.nodes[SecurityPath] == nil {
		return false
	}
	d := t.decide(http.MethodGet, SecurityPath)
	return d.deny == nil && d.need == anyone
}
