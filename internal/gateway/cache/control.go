package cache

import (
	"net/http"
	"strings"
	"time"
)

// Control is what Cache-Control says, over all its lines. Of a directive that is said
// twice with different values the stricter counts; a number that cannot be read is 0,
// which makes an answer stale (RFC 9111 section 4.2.1).
type Control struct {
	NoStore, NoCache, Private, Public               bool
	MustRevalidate, ProxyRevalidate, MustUnderstand bool
	OnlyIfCached                                    bool
	MaxAge, SharedMaxAge                            time.Duration // none = not said, as for all below
	StaleWhile, StaleIf                             time.Duration // stale-while-revalidate, stale-if-error
	MinFresh, MaxStale                              time.Duration
}

const (
	none    = time.Duration(-1)
	forever = (1<<31 - 1) * time.Second // the largest age that is told apart
)

// ParseControl reads the lines of a Cache-Control header.
func ParseControl(lines []string) Control {
	c := Control{MaxAge: none, SharedMaxAge: none, StaleWhile: none, StaleIf: none, MinFresh: none, MaxStale: none}
	for _, l := range lines {
		for l != "" {
			var name, value string
			var given bool
			name, value, given, l = directive(l)
			c.take(strings.ToLower(name), value, given)
		}
	}
	return c
}

func (c *Control) take(name, value string, given bool) {
	switch name {
	case "no-store":
		c.NoStore = true
	case "no-cache": // with field names too: to leave out the fields would need a second reading of each answer
		c.NoCache = true
	case "private":
		c.Private = true
	case "public":
		c.Public = true
	case "must-revalidate":
		c.MustRevalidate = true
	case "proxy-revalidate":
		c.ProxyRevalidate = true
	case "must-understand":
		c.MustUnderstand = true
	case "only-if-cached":
		c.OnlyIfCached = true
	case "max-age":
		least(&c.MaxAge, value)
	case "s-maxage":
		least(&c.SharedMaxAge, value)
	case "stale-while-revalidate":
		least(&c.StaleWhile, value)
	case "stale-if-error":
		least(&c.StaleIf, value)
	case "min-fresh":
		d, _ := seconds(value)
		c.MinFresh = max(c.MinFresh, d)
	case "max-stale":
		if !given {
			value = "2147483647"
		}
		least(&c.MaxStale, value)
	}
}

func least(d *time.Duration, value string) {
	if v, _ := seconds(value); *d == none || v < *d {
		*d = v
	}
}

// directive takes the first one off a line. A comma within quotes ends nothing.
func directive(l string) (name, value string, given bool, rest string) {
	end, quoted := len(l), false
scan:
	for i := 0; i < len(l); i++ {
		switch c := l[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			end = i
			break scan
		}
	}
	one := l[:end]
	if end < len(l) {
		rest = l[end+1:]
	}
	name, value, given = strings.Cut(one, "=")
	name = strings.Trim(name, " \t")
	value = strings.TrimRight(value, " \t")
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	return name, value, given, rest
}

// seconds reads a delta-seconds (RFC 9111 section 1.2.2): digits alone. What is too
// large to be told apart is the largest that is.
func seconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + int64(s[i]-'0'); n > int64(forever/time.Second) {
			n = int64(forever / time.Second)
		}
	}
	return time.Duration(n) * time.Second, true
}

// asked reads what a request wants of a cache. Pragma counts only where Cache-Control
// says nothing (RFC 9111 section 5.4).
func asked(h http.Header) Control {
	lines := h["Cache-Control"]
	c := ParseControl(lines)
	if len(lines) == 0 {
		for _, p := range h["Pragma"] {
			c.NoCache = c.NoCache || containsToken(p, "no-cache")
		}
	}
	return c
}

// fields returns the members of a list header, over all its lines.
func fields(lines []string) []string {
	var out []string
	for _, l := range lines {
		for f := range strings.SplitSeq(l, ",") {
			if f = strings.Trim(f, " \t"); f != "" {
				out = append(out, f)
			}
		}
	}
	return out
}

func containsToken(list, token string) bool {
	for f := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(f, " \t"), token) {
			return true
		}
	}
	return false
}
