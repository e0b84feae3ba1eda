package cache

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Ask is a request for a file, in the gate's words.
type Ask struct {
	Key          Key
	Route, Class string
	Fits         func(contentType string) bool // whether a type belongs to the class
	Sent         http.Header                   // what the application may see of the client's headers, and nothing else may change an answer
	// Fetch asks the application, with Sent or with that and conditions. keep is asked
	// when the answer was read to its end: whether nothing forbids to store it.
	Fetch func(ctx context.Context, head http.Header) (res *http.Response, keep func() bool, err error)
	Dress func(http.Header) // puts an answer's headers in order as they are today
}

// Outcome is what became of a request.
type Outcome int

const (
	// Answered: the client has its answer, or what could be had of it.
	Answered Outcome = iota
	// Pass: nothing was written. Forward the request, and keep nothing of the answer.
	Pass
)

// ErrCut says that an answer broke off after its head was sent.
var ErrCut = errors.New("cache: the answer broke off")

// Serve answers a GET or HEAD from the store, or fetches. An error is the fetch's own,
// before anything was written, or ErrCut.
func (c *Cache) Serve(w http.ResponseWriter, r *http.Request, a *Ask) (Outcome, error) {
	want, n, now := asked(r.Header), c.count(a.Class), c.now()
	old, known := c.find(a)
	switch {
	case old != nil && old.usable(now, want):
		n.hits.Add(1)
		return c.give(w, r, a, old, now, "hit")
	case want.OnlyIfCached:
		n.misses.Add(1)
		a.Dress(w.Header())
		note(w.Header(), "fwd=request; detail=only-if-cached")
		w.WriteHeader(http.StatusGatewayTimeout)
		return Answered, nil
	case old != nil && old.meanwhile(now, want):
		n.stale.Add(1)
		c.refresh(r.Context(), a, old, want)
		return c.give(w, r, a, old, now, "hit")
	case r.Method != http.MethodGet, want.NoStore, old == nil && partial(r):
		n.passed.Add(1)
		return Pass, nil
	}
	why := "fwd=uri-miss"
	switch {
	case old != nil && (want.NoCache || old.ageAt(now) < old.life):
		why = "fwd=request"
	case old != nil:
		why = "fwd=stale"
	case known:
		why = "fwd=vary-miss"
	}
	return c.fetch(w, r, a, old, want, n, why)
}

// partial reports whether a part of the file is asked for, and not just the file from its beginning.
func partial(r *http.Request) bool {
	rs := r.Header["Range"]
	return len(rs) > 0 && (len(rs) > 1 || strings.TrimSpace(rs[0]) != "bytes=0-")
}

// fetch asks the application, or reads along with who is asking it already.
func (c *Cache) fetch(w http.ResponseWriter, r *http.Request, a *Ask, old *item, want Control, n *count, why string) (Outcome, error) {
	f, leads, ready := c.join(a, old, want)
	if ready != nil { // it came while we looked
		n.hits.Add(1)
		return c.give(w, r, a, ready, c.now(), "hit")
	}
	if !leads {
		select {
		case <-f.head:
		case <-r.Context().Done():
			return Answered, r.Context().Err()
		}
		if (f.meta == nil || f.meta.fits(a.Sent)) && (f.given == nil || f.given.fits(a.Sent)) && !f.own && f.enter(r.Context()) {
			why += "; collapsed"
		} else { // not for us: ask by ourselves
			f, leads = newFlight(a), true
		}
	}
	if leads {
		f.readers = 1
		c.lead(r.Context(), f, a, old, want)
	}
	return c.take(w, r, a, f, old, want, n, why, leads)
}

// take gives a client what a flight has brought.
func (c *Cache) take(w http.ResponseWriter, r *http.Request, a *Ask, f *flight, old *item, want Control, n *count, why string, leads bool) (Outcome, error) {
	now := c.now()
	switch {
	case f.err != nil:
		n.misses.Add(1)
		if old != nil && old.despite(now, want, true) {
			n.misses.Add(-1)
			n.stale.Add(1)
			return c.give(w, r, a, old, now, "hit; detail=application-away")
		}
		return Answered, f.err
	case f.given != nil && f.code == http.StatusNotModified:
		n.hits.Add(1)
		return c.give(w, r, a, f.given, now, why+"; fwd-status=304")
	case f.given != nil:
		n.stale.Add(1)
		return c.give(w, r, a, f.given, now, "hit; fwd-status="+strconv.Itoa(f.code))
	case f.res != nil:
		n.passed.Add(1)
		return Answered, f.pipe(w, r, a, why)
	}
	if leads {
		n.misses.Add(1)
		why += "; stored"
	} else {
		n.hits.Add(1)
	}
	defer f.leave()
	h := w.Header()
	for name, vs := range f.meta.header {
		h[name] = vs
	}
	note(h, why)
	bare(h)
	a.Dress(h)
	if notModified(r, f.meta) {
		delete(h, "Content-Length")
		delete(h, "Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return Answered, nil
	}
	w.WriteHeader(f.meta.status)
	return Answered, f.follow(r.Context(), w)
}

// give answers with a stored item: whole, by condition or in part.
func (c *Cache) give(w http.ResponseWriter, r *http.Request, a *Ask, i *item, now time.Time, how string) (Outcome, error) {
	h := w.Header()
	for name, vs := range i.header {
		h[name] = vs
	}
	age := i.ageAt(now)
	h["Age"] = []string{strconv.FormatInt(int64(age/time.Second), 10)}
	if strings.HasPrefix(how, "hit") {
		how += "; ttl=" + strconv.FormatInt(int64((max(0, i.life)-age)/time.Second), 10)
	}
	note(h, how)
	bare(h)
	a.Dress(h)
	if i.status == http.StatusOK && (len(r.Header["Range"]) > 0 || conditional(r)) {
		mod, err := http.ParseTime(h.Get("Last-Modified"))
		if err != nil {
			mod = time.Time{}
		}
		delete(h, "Content-Length")
		http.ServeContent(w, r, "", mod, bytes.NewReader(i.body))
		return Answered, nil
	}
	if i.status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.Itoa(len(i.body))}
	}
	w.WriteHeader(i.status)
	if r.Method == http.MethodHead || len(i.body) == 0 {
		return Answered, nil
	}
	if _, err := w.Write(i.body); err != nil {
		return Answered, ErrCut
	}
	return Answered, nil
}

// bare keeps net/http from guessing a type that the application did not say.
func bare(h http.Header) {
	if len(h["Content-Type"]) == 0 {
		h["Content-Type"] = nil
	}
}

// note adds our line to Cache-Status (RFC 9211), after those nearer to the application.
func note(h http.Header, how string) {
	lines := h["Cache-Status"]
	h["Cache-Status"] = append(lines[:len(lines):len(lines)], "Writ; "+how)
}

func conditional(r *http.Request) bool {
	for _, name := range []string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	return false
}

// notModified reports whether the client has the answer already (RFC 9110 section 13.2.2).
func notModified(r *http.Request, i *item) bool {
	if i.status != http.StatusOK {
		return false
	}
	weak := func(s string) string { return strings.TrimPrefix(s, "W/") }
	if lines := r.Header["If-None-Match"]; len(lines) > 0 {
		tag := weak(i.header.Get("Etag"))
		for _, t := range fields(lines) {
			if tag != "" && (weak(t) == tag || t == "*") {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	mod, err2 := http.ParseTime(i.header.Get("Last-Modified"))
	return err == nil && err2 == nil && !mod.After(since)
}
