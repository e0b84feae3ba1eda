package gateway

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/listen"
)

// CORS says which other sites' pages may read what is answered at a route (Fetch standard,
// section 3.2).
type CORS struct {
	Origins     []string `yaml:"origins" json:"origins"`                             // such as https://shop.example.com; or * alone, without credentials
	Headers     []string `yaml:"headers,omitempty" json:"headers,omitempty"`         // further ones that a page may send
	Expose      []string `yaml:"expose,omitempty" json:"expose,omitempty"`           // further ones that a page may read
	Credentials bool     `yaml:"credentials,omitempty" json:"credentials,omitempty"` // the browser sends the session along
	MaxAge      string   `yaml:"max_age,omitempty" json:"max_age,omitempty"`         // how long a browser need not ask again; none = 10m
}

// cors is a CORS as it is answered.
type cors struct {
	origins              []string
	headers, expose, age string
	credentials, all     bool
}

const longestPreflight = 24 * time.Hour

// read checks it.
func (c *CORS) read() (*cors, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // a route need not have it
	}
	out := &cors{origins: c.Origins, credentials: c.Credentials, all: slices.Equal(c.Origins, []string{"*"}), age: "600"}
	switch {
	case len(c.Origins) == 0 || len(c.Origins) > 50:
		return nil, fmt.Errorf("cors: origins: from one to 50 are expected")
	case out.all && c.Credentials: // clause: use.no-automation
		return nil, fmt.Errorf("cors: credentials are not for every site: list the origins")
	}
	for _, o := range c.Origins {
		if !out.all && !goodOrigin(o) {
			return nil, fmt.Errorf("cors: origin %q is not written as https://shop.example.com", o)
		}
	}
	for _, h := range slices.Concat(c.Headers, c.Expose) {
		if !goodHeader.MatchString(h) || own(h) {
			return nil, fmt.Errorf("cors: %q is no header of the application's", h)
		}
	}
	for _, h := range c.Headers {
		if dropped(http.CanonicalHeaderKey(h)) {
			return nil, fmt.Errorf("cors: the header %q does not reach the application", h)
		}
	}
	out.headers, out.expose = strings.Join(c.Headers, ", "), strings.Join(c.Expose, ", ")
	if c.MaxAge != "" {
		d, err := time.ParseDuration(c.MaxAge)
		if err != nil || d < 0 || d > longestPreflight {
			return nil, fmt.Errorf("cors: max_age is %q; expected a time up to 24h, such as 10m", c.MaxAge)
		}
		out.age = strconv.Itoa(int(d / time.Second))
	}
	return out, nil
}

// goodOrigin accepts an origin as browsers write it: https, or plain on this machine.
func goodOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || s != u.Scheme+"://"+u.Host || strings.ToLower(s) != s {
		return false
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !goodHost.MatchString(u.Hostname()) {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Port() != "443"
	case "http":
		return listen.Loopback(u.Hostname()) && u.Port() != "80"
	}
	return false
}

// closedCORS lets no site read.
var closedCORS = &cors{}

// cors is what counts here; nil where no route says anything, and the application's own
// headers stand. Where two rules apply both must say the same.
func (d *decision) cors() *cors {
	if d.rules[0] == nil {
		return nil
	}
	c := d.rules[0].cors
	if o := d.rules[1]; o != nil && o.cors != c {
		return closedCORS
	}
	return c
}

// origin is whose page asks, where it may read the answer; "" otherwise.
func (c *cors) origin(h http.Header) string {
	from := h["Origin"]
	if len(from) != 1 || !c.all && !slices.Contains(c.origins, from[0]) {
		return ""
	}
	if c.all {
		return "*"
	}
	return from[0]
}

// asksFor is the method that a browser asks permission for; "" when that is not what it does.
func asksFor(r *http.Request) string {
	if r.Method != http.MethodOptions || len(r.Header["Origin"]) == 0 {
		return ""
	}
	if m := r.Header["Access-Control-Request-Method"]; len(m) == 1 && goodName(m[0]) {
		return m[0]
	}
	return ""
}

var refuseOrigin = deny(noAutomation, fault.Denied, "origin", fault.Public{
	Problem: "Pages of that site may not ask here.", Expected: "A site that the route lists under cors: origins."})

// preflight answers a browser that asks whether another site's page may make a request. The
// application does not learn of it, nor does a session come with it.
func (v *visit) preflight() *refusal { // clause: use.no-automation
	method := asksFor(v.r)
	if method == "" || v.asked || v.dry {
		return nil
	}
	c := v.need.cors()
	if c == nil {
		return nil
	}
	if c.origin(v.r.Header) == "" {
		return refuseOrigin
	}
	h := v.w.Header()
	h["Access-Control-Allow-Methods"] = []string{method}
	if c.headers != "" {
		h["Access-Control-Allow-Headers"] = []string{c.headers}
	}
	h["Access-Control-Max-Age"] = []string{c.age}
	h["Vary"] = []string{"Access-Control-Request-Method, Access-Control-Request-Headers"}
	v.transportRules(h)
	v.served, v.status = true, http.StatusNoContent
	v.w.WriteHeader(http.StatusNoContent)
	return nil
}

// tellSites says in an answer whose pages may read it: what the route says, and nothing of
// what the application does.
func (v *visit) tellSites(h http.Header) { // clause: use.no-automation
	c := v.need.cors()
	if c == nil {
		return
	}
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Expose-Headers"} {
		delete(h, name)
	}
	if !c.all && !slices.Contains(h["Vary"], "Origin") {
		h["Vary"] = append(slices.Clip(h["Vary"]), "Origin")
	}
	from := c.origin(v.r.Header)
	if from == "" {
		return
	}
	h["Access-Control-Allow-Origin"] = []string{from}
	if c.credentials {
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	}
	if c.expose != "" {
		h["Access-Control-Expose-Headers"] = []string{c.expose}
	}
}

// invited reports whether the page of another site may act with the session here.
func (v *visit) invited() bool { // clause: auth.best-practice
	c := v.need.cors()
	return c != nil && c.credentials && len(v.r.Header["Upgrade"]) == 0 && c.origin(v.r.Header) != ""
}
