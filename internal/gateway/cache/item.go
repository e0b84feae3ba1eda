package cache

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Key is what a stored answer is found by, before what it varies by.
type Key struct{ Host, Target string }

// item is a stored answer. It is never changed: a freshened one is a new one.
type item struct {
	key          Key
	route, class string
	status       int
	header       http.Header
	body         []byte
	vary         []varied
	tags         []string
	ctl          Control
	got          time.Time     // when it was received or freshened
	age          time.Duration // its age then
	life         time.Duration // how old it may become; -1 = it is never fresh
}

// varied is a header that the answer depends on, as its request had it.
type varied struct{ name, value string }

const (
	overhead    = 1 << 10 // of an item beside its bytes
	maxGuess    = 24 * time.Hour
	maxVariants = 32 // of one key
)

func (i *item) size() int64 {
	n := overhead + len(i.body)
	for name, vs := range i.header {
		n += len(name)
		for _, v := range vs {
			n += len(v)
		}
	}
	return int64(n)
}

// fits reports whether the item is an answer to a request with these headers.
func (i *item) fits(h http.Header) bool {
	for _, v := range i.vary {
		if valueOf(h, v.name) != v.value {
			return false
		}
	}
	return true
}

// valueOf is all that a request says under a name, as one text.
func valueOf(h http.Header, name string) string {
	vs := h[name]
	switch len(vs) {
	case 0:
		return ""
	case 1:
		return strings.Trim(vs[0], " \t")
	}
	return strings.Join(fields(vs), ", ")
}

func (i *item) ageAt(now time.Time) time.Duration { return i.age + max(0, now.Sub(i.got)) }

// usable reports whether the item may be given without asking anybody (RFC 9111 section 4.2).
func (i *item) usable(now time.Time, want Control) bool {
	if want.NoCache || i.ctl.NoCache {
		return false
	}
	age := i.ageAt(now)
	if want.MaxAge != none && age > want.MaxAge || want.MinFresh != none && age+want.MinFresh > i.life {
		return false
	}
	if age < i.life {
		return true
	}
	return want.MaxStale != none && !i.strict() && i.ctl.SharedMaxAge == none && age < i.life+want.MaxStale
}

// strict reports whether the item may never be given stale.
func (i *item) strict() bool { return i.ctl.MustRevalidate || i.ctl.ProxyRevalidate || i.ctl.NoCache }

// meanwhile reports whether the item may be given while another is fetched (RFC 5861 section 3).
func (i *item) meanwhile(now time.Time, want Control) bool {
	return !want.NoCache && want.MaxAge == none && want.MinFresh == none && !i.strict() && i.ctl.StaleWhile != none && i.ageAt(now) < i.life+i.ctl.StaleWhile
}

// despite reports whether the item may be given because the application answered with a
// server error (RFC 5861 section 4), or, when it is away, because nothing forbids it
// (RFC 9111 section 4.2.4).
func (i *item) despite(now time.Time, want Control, away bool) bool {
	if i.strict() {
		return false
	}
	for _, d := range []time.Duration{i.ctl.StaleIf, want.StaleIf} {
		if d != none && i.ageAt(now) < i.life+d {
			return true
		}
	}
	return away && i.ctl.SharedMaxAge == none && i.ctl.StaleIf == none
}

// understood are the statuses whose meaning is known here.
func understood(status int) bool { return http.StatusText(status) != "" }

// guessed are the statuses that may be kept for a guessed time (RFC 9110 section 15.1).
var guessed = []int{200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501}

// newItem judges an answer: nil when it may not be kept (RFC 9111 section 3). sent is
// the request it answers, as the application saw it; began is when it was sent.
func newItem(a *Ask, res *http.Response, sent http.Header, began, now time.Time) *item { // clause: host.cdn
	h := res.Header
	ctl := ParseControl(h["Cache-Control"])
	switch {
	case res.StatusCode < 200, res.StatusCode == http.StatusPartialContent, res.StatusCode == http.StatusNotModified:
		return nil
	case ctl.Private, ctl.NoStore && (!ctl.MustUnderstand || !understood(res.StatusCode)), ctl.MustUnderstand && !understood(res.StatusCode):
		return nil
	case len(h["Set-Cookie"]) > 0: // Set-Cookie2 means nothing to anybody any more
		return nil
	case len(sent["Authorization"]) > 0 && !ctl.Public && ctl.SharedMaxAge == none && !ctl.MustRevalidate:
		return nil
	case !a.Fits(h.Get("Content-Type")) && res.ContentLength != 0:
		return nil
	}
	i := &item{key: a.Key, route: a.Route, class: a.Class, status: res.StatusCode, ctl: ctl, tags: tags(h), got: now}
	var ok bool
	if i.vary, ok = variesBy(h, sent); !ok {
		return nil
	}
	i.header = kept(h)
	i.clock(began)
	if i.life < 0 && !ctl.Public && h.Get("Etag") == "" && h.Get("Last-Modified") == "" {
		return nil // neither fresh nor to be validated: worth nothing
	}
	if i.life < 0 && !slices.Contains(guessed, i.status) {
		return nil
	}
	return i
}

// variesBy notes what the answer depends on; false when nobody can know.
func variesBy(h, sent http.Header) ([]varied, bool) {
	names := fields(h["Vary"])
	if h.Get("Content-Encoding") != "" { // also where the application forgets to say so
		names = append(names, "Accept-Encoding")
	}
	var out []varied
	for _, n := range names {
		if n == "*" {
			return nil, false
		}
		n = http.CanonicalHeaderKey(n)
		if !slices.ContainsFunc(out, func(v varied) bool { return v.name == n }) {
			out = append(out, varied{n, valueOf(sent, n)})
		}
	}
	return out, len(out) <= maxVariants
}

// clock works out age and life (RFC 9111 sections 4.2.1 to 4.2.3).
func (i *item) clock(began time.Time) {
	date, err := http.ParseTime(i.header.Get("Date"))
	if err != nil {
		date = i.got
		i.header["Date"] = []string{date.UTC().Format(http.TimeFormat)}
	}
	said, ok := time.Duration(0), true
	if lines := i.header["Age"]; len(lines) > 0 {
		said, ok = seconds(lines[0])
		ok = ok && len(lines) == 1
	}
	i.age = max(0, i.got.Sub(date), said+max(0, i.got.Sub(began)))
	i.life = i.lifetime(date)
	if !ok { // nobody knows how old it is
		i.life = min(i.life, 0)
	}
}

func (i *item) lifetime(date time.Time) time.Duration {
	switch {
	case i.ctl.SharedMaxAge != none:
		return i.ctl.SharedMaxAge
	case i.ctl.MaxAge != none:
		return i.ctl.MaxAge
	}
	if lines := i.header["Expires"]; len(lines) > 0 {
		t, err := http.ParseTime(lines[0])
		if err != nil || len(lines) > 1 {
			return 0
		}
		return max(0, t.Sub(date))
	}
	mod, err := http.ParseTime(i.header.Get("Last-Modified"))
	if err != nil || !mod.Before(date) || !slices.Contains(guessed, i.status) && !i.ctl.Public {
		return -1
	}
	return min(date.Sub(mod)/10, maxGuess)
}

// hop are the headers of one connection (RFC 9110 section 7.6.1), which are not kept.
var hop = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// kept is a copy of the headers that are stored.
func kept(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, vs := range h {
		out[name] = slices.Clip(vs)
	}
	dropHop(out)
	return out
}

func dropHop(h http.Header) {
	for _, name := range fields(h["Connection"]) {
		delete(h, http.CanonicalHeaderKey(name))
	}
	for _, name := range hop {
		delete(h, name)
	}
}

// bound are the headers that belong to the stored bytes: a 304 does not change them.
var bound = []string{"Content-Encoding", "Content-Length", "Content-Md5", "Content-Range", "Etag", "Content-Digest", "Repr-Digest", "Digest"}

// freshened is the item after the application said that it still holds (RFC 9111
// section 4.3.4); nil when the new headers forbid to keep it: it is given once more.
func (i *item) freshened(a *Ask, res *http.Response, sent http.Header, began, now time.Time) (next *item, stays bool) {
	n := *i
	n.header = kept(i.header)
	for name, vs := range kept(res.Header) {
		if !slices.Contains(bound, name) {
			n.header[name] = vs
		}
	}
	if len(res.Header["Age"]) == 0 {
		delete(n.header, "Age")
	}
	n.got, n.ctl, n.tags = now, ParseControl(n.header["Cache-Control"]), tags(n.header)
	n.clock(began)
	judged := newItem(a, &http.Response{StatusCode: i.status, Header: n.header, ContentLength: int64(len(i.body))}, sent, began, now)
	if judged == nil {
		return &n, false
	}
	n.vary = judged.vary
	return &n, true
}

// tags are the names that an application gives an answer so that it can be purged by them.
func tags(h http.Header) []string {
	var out []string
	for _, name := range []string{"Cache-Tag", "Surrogate-Key"} {
		for _, l := range h[name] {
			for t := range strings.FieldsFuncSeq(l, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
				if len(out) < 64 && len(t) <= 128 && !slices.Contains(out, t) {
					out = append(out, t)
				}
			}
		}
	}
	return out
}
