package rotate

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"writ/internal/fault"
	"writ/internal/secret"
)

// maxTemplate is as long as a value may be.
const maxTemplate = 4096

// template makes values of two words, and finds them again.
type template struct {
	text  string
	marks [2]string // {user} and {password}
}

// parseTemplate wants each mark once.
func parseTemplate(text string, marks [2]string) (template, error) {
	bad := func(problem string) error {
		return fault.New(fault.Invalid, "template", fault.Public{Problem: problem, Expected: "A text with " + marks[0] + " and " + marks[1] + ", each once, of at most 4096 bytes.", Next: "Correct the template and try again."})
	}
	switch {
	case text == "" || len(text) > maxTemplate || !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return template{}, bad("The template is empty, too long or no text.")
	case strings.Count(text, marks[0]) != 1 || strings.Count(text, marks[1]) != 1:
		return template{}, bad("A mark is missing from the template, or stands there twice.")
	}
	return template{text, marks}, nil
}

func (t template) fill(first, second string) secret.Text {
	return secret.NewText(strings.NewReplacer(t.marks[0], first, t.marks[1], second).Replace(t.text))
}

// match finds both words in a value that fill made.
func (t template) match(v secret.Text) (first, second string, ok bool) {
	const word = `([A-Za-z0-9_-]+)`
	re, err := regexp.Compile(`^` + strings.NewReplacer(regexp.QuoteMeta(t.marks[0]), word, regexp.QuoteMeta(t.marks[1]), word).Replace(regexp.QuoteMeta(t.text)) + `$`)
	if err != nil {
		return "", "", false
	}
	m := re.FindStringSubmatch(v.Reveal())
	if m == nil {
		return "", "", false
	}
	if strings.Index(t.text, t.marks[0]) > strings.Index(t.text, t.marks[1]) {
		m[1], m[2] = m[2], m[1]
	}
	return m[1], m[2], true
}

// reading are options of an address that have this machine read a file of its own.
var reading = []string{"passfile", "service", "servicefile", "sslkey", "sslcert", "sslpassword", "krbsrvname", "krbspn"}

// parseAddress reads the address of a PostgreSQL database. It is used by this server, so it
// leads to a host that it names, reads no file of this machine but the roots to trust, and
// is encrypted unless the host is this machine.
func parseAddress(v secret.Text) (*pgx.ConnConfig, error) { // clause: vault.db-private
	bad := stuck("address_form")
	u, err := url.Parse(v.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.User.Username() == "" {
		return nil, bad // the error may hold the address
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Host == "" && q.Get("host") == "" {
		return nil, bad
	}
	for _, o := range reading {
		if q.Has(o) {
			return nil, bad
		}
	}
	c, err := pgx.ParseConfig(v.Reveal())
	if err != nil {
		return nil, bad
	}
	if c.TLSConfig == nil && !here(c.Host) {
		return nil, bad
	}
	for _, f := range c.Fallbacks {
		if f.TLSConfig == nil && !here(f.Host) {
			return nil, bad
		}
	}
	c.ConnectTimeout = 10 * time.Second
	c.RuntimeParams["application_name"] = "writ"
	c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return c, nil
}

// here reports whether a host is this machine: a socket, or loopback.
func here(host string) bool {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return a.IsLoopback()
	}
	return strings.HasPrefix(host, "/") || host == "localhost"
}
