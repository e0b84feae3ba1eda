package gateway

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/cache"
	"writ/internal/ledger"
	"writ/internal/secret"
)

const hostCDN = "host.cdn"

// classes are the kinds of static files the policy may name, and the types that belong
// to each. A type that ends in a slash stands for all below.
var classes = map[string][]string{
	"audio":     {"audio/", "application/ogg"},
	"documents": {"application/pdf", "text/plain"},
	"fonts":     {"font/", "application/font-woff", "application/vnd.ms-fontobject"},
	"images":    {"image/"},
	"logos":     {"image/"},
	"scripts":   {"text/javascript", "application/javascript", "application/wasm"},
	"styles":    {"text/css"},
	"templates": {"text/html", "text/css", "text/plain", "text/javascript", "application/javascript", "font/"},
	"video":     {"video/", "application/dash+xml", "application/vnd.apple.mpegurl", "application/mp4", "application/ogg"},
}

// fitting says whether a type belongs to a class: what an application serves under the
// name of a picture and is none is not kept.
func fitting(class string) func(string) bool { // clause: host.cdn
	return func(contentType string) bool {
		kind, _, err := mime.ParseMediaType(contentType)
		return err == nil && slices.ContainsFunc(classes[class], func(c string) bool {
			return kind == c || strings.HasSuffix(c, "/") && strings.HasPrefix(kind, c)
		})
	}
}

var goodHeader = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9-]{0,60}$`)

// neverVary are headers that a cached route cannot hand on: they say who asks, belong to
// one connection, or are the cache's own business.
var neverVary = []string{"Accept-Encoding", "Authorization", "Cache-Control", "Connection", "Content-Length", "Cookie", "Expect", "Host", "If-Match", "If-Modified-Since",
	"If-None-Match", "If-Range", "If-Unmodified-Since", "Keep-Alive", "Pragma", "Range", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// checkCache says what is wrong with what a route wants cached.
func (r *Route) checkCache() string {
	switch {
	case r.Cache == "" && len(r.CacheVary) > 0:
		return "cache_vary is for a route with cache"
	case r.Cache == "":
		return ""
	case classes[r.Cache] == nil:
		return fmt.Sprintf("cache: there is no class %q", r.Cache)
	case r.Who != "anyone":
		return "cache is for who: anyone: what only some may see is not kept for all"
	case r.Browser:
		return "cache is not for browser: such a page is made for one"
	case r.Customer:
		return "cache is not for customer_data"
	case len(r.Methods) > 0 && !slices.Contains(r.Methods, http.MethodGet):
		return "cache is for routes with GET"
	}
	for _, h := range r.CacheVary {
		if name := http.CanonicalHeaderKey(h); !goodHeader.MatchString(h) || dropped(name) || slices.Contains(neverVary, name) {
			return fmt.Sprintf("cache_vary: %q cannot be handed on from a cached route", h)
		}
	}
	return ""
}

// cached returns the rule by which a request is answered from the cache; nil when it is
// not. The stricter of two rules counts: both must say the same.
func (v *visit) cached() *rule { // clause: host.cdn
	d := &v.need
	if d.rules[0] == nil || d.rules[0].cache == "" || d.need != anyone || v.asked || v.dry || v.payment {
		return nil
	}
	if o := d.rules[1]; o != nil && o.cache != d.rules[0].cache {
		return nil
	}
	return d.rules[0]
}

// fromCache answers static files from memory. What is asked of the application for them
// holds nothing of who asks, so that an answer can never depend on it.
func (v *visit) fromCache() *refusal { // clause: host.cdn
	switch v.r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		return nil
	default:
		v.spoils = !v.asked && !v.g.cache.Empty()
		return nil
	}
	to := v.cached()
	if to == nil {
		return nil
	}
	v.faceless = to
	if v.r.ContentLength != 0 || len(v.r.Header["Upgrade"]) > 0 {
		return nil
	}
	v.out = early{v.w, v, 0}
	v.heard = keptStatus{ResponseWriter: &v.out}
	o, err := v.g.cache.Serve(&v.heard, v.r, v.ask(to))
	if o == cache.Pass {
		return nil
	}
	v.served, v.status = true, v.heard.status
	switch {
	case err == nil:
	case errors.Is(err, cache.ErrCut):
		panic(http.ErrAbortHandler)
	default:
		v.broken(v.w, v.r, err)
	}
	return nil
}

// keptStatus notes the status for the record.
type keptStatus struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (k *keptStatus) WriteHeader(status int) {
	k.status = status
	k.ResponseWriter.WriteHeader(status)
}

// Unwrap serves http.ResponseController.
func (k *keptStatus) Unwrap() http.ResponseWriter { return k.ResponseWriter }

// key is what the target's answer is kept under.
func (v *visit) key() cache.Key {
	t := v.target.raw
	if v.target.marked {
		t += "?" + v.target.query
	}
	return cache.Key{Host: v.host, Target: t}
}

// ask puts a request in the cache's words. What fetches may outlive the visit, so it keeps
// nothing of it.
func (v *visit) ask(to *rule) *cache.Ask {
	sent := faceless(v.r.Header, to)
	v.guardHeaders(sent) // as the guard can read the answer
	f := fetcher{g: v.g, target: v.target, host: v.host, table: v.table, need: v.need}
	return &cache.Ask{Key: v.key(), Route: v.need.node.pattern, Class: to.cache, Fits: fitting(to.cache), Sent: sent, Fetch: f.fetch,
		Dress: func(h http.Header) {
			v.transportRules(h) // only while the client is answered
			v.tellLimits(h)
			if v.renewed { // a cookie is nothing for a cache that many share
				h["Cache-Control"] = []string{"no-store"}
			}
		}}
}

// faceless leaves of a client's headers what may change an answer that many get.
func faceless(h http.Header, to *rule) http.Header {
	out := make(http.Header, 4)
	for _, name := range to.cacheVary {
		if vs := h[name]; len(vs) > 0 {
			out[name] = slices.Clip(vs)
		}
	}
	if codings := usualCodings(h["Accept-Encoding"]); codings != "" {
		out["Accept-Encoding"] = []string{codings}
	}
	if vs := h["Authorization"]; len(vs) > 0 && !ours(h) {
		out["Authorization"] = slices.Clip(vs)
	}
	return out
}

// usualCodings writes in one way what browsers write in many.
func usualCodings(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	var have [3]bool
	for _, l := range lines {
		for part := range strings.SplitSeq(l, ",") {
			name, q, _ := strings.Cut(part, ";")
			if q = strings.TrimSpace(q); strings.HasPrefix(q, "q=0") && strings.Trim(q[3:], ".0") == "" {
				continue
			}
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "br":
				have[0] = true
			case "gzip", "x-gzip":
				have[1] = true
			case "zstd":
				have[2] = true
			}
		}
	}
	var out []string
	for i, name := range []string{"br", "gzip", "zstd"} {
		if have[i] {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// fetcher asks the application for a file, on nobody's behalf.
type fetcher struct {
	g      *Gateway
	target target
	host   string
	table  *table
	need   decision
}

func (f fetcher) fetch(ctx context.Context, head http.Header) (*http.Response, func() bool, error) {
	h := head.Clone()
	h["X-Forwarded-Proto"], h["X-Forwarded-Host"], h["User-Agent"] = []string{"https"}, []string{f.host}, []string{""}
	r := (&http.Request{Method: http.MethodGet, URL: f.g.toApplication(f.target), Host: f.host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}).WithContext(ctx)
	if res := f.g.plants.answer(f.target.path, h); res != nil {
		return f.dressed(r, res)
	}
	res, err := f.g.pool.RoundTrip(r, "")
	if err != nil {
		return nil, nil, err //nolint:wrapcheck // looked at by broken
	}
	return f.dressed(r, res)
}

// dressed takes an answer through what every answer goes through.
func (f fetcher) dressed(r *http.Request, res *http.Response) (*http.Response, func() bool, error) {
	v := &visit{g: f.g, w: nowhere{}, r: r, target: f.target, host: f.host, table: f.table, need: f.need}
	if err := v.modify(res); err != nil {
		_ = res.Body.Close() // it is not read
		return nil, nil, err
	}
	return res, func() bool { return !v.private }, nil
}

// nowhere is the client of a fetch that no client waits for by itself.
type nowhere struct{}

func (nowhere) Header() http.Header         { return http.Header{} }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// hideFace takes out of a request on a cached route what the cache does not know of.
func (v *visit) hideFace(h http.Header) {
	keep := faceless(v.r.Header, v.faceless)
	for _, name := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "Accept-Encoding"} {
		if vs := h[name]; len(vs) > 0 {
			keep[name] = vs
		}
	}
	clear(h)
	for name, vs := range keep {
		h[name] = vs
	}
	h["User-Agent"] = []string{""} // none, rather than net/http's own
}

// spoil forgets what an unsafe act has changed (RFC 9111 section 4.4).
func (v *visit) spoil(res *http.Response) {
	if res.StatusCode >= 400 {
		return
	}
	v.g.cache.Invalidate(v.key())
	for _, name := range []string{"Location", "Content-Location"} {
		u, err := url.Parse(res.Header.Get(name))
		if res.Header.Get(name) == "" || err != nil {
			continue
		}
		u = (&url.URL{Scheme: "https", Host: v.host, Path: v.target.path}).ResolveReference(u)
		if strings.EqualFold(u.Host, v.host) {
			v.g.cache.Invalidate(cache.Key{Host: v.host, Target: u.RequestURI()})
		}
	}
}

// CacheClass is what is known of one class of static files.
type CacheClass struct {
	Routes []string `json:"routes"` // none: the policy names a class that nothing serves
	Rate   int64    `json:"rate"`   // percent answered from memory
	cache.Stats
}

// CacheClasses lists the policy's classes.
func (g *Gateway) CacheClasses() []CacheClass {
	stats := g.cache.Stats()
	var out []CacheClass
	for _, class := range g.rules.Get().CacheClasses {
		c := CacheClass{Stats: cache.Stats{Class: class}}
		for _, s := range stats {
			if s.Class == class {
				c.Stats, c.Rate = s, s.Rate()
			}
		}
		for _, r := range g.current().file.routes {
			if r.Cache == class {
				c.Routes = append(c.Routes, r.Path)
			}
		}
		out = append(out, c)
	}
	return out
}

var errPurge = fault.New(fault.Invalid, "purge", fault.Public{
	Problem: "It was not said what to purge.", Expected: "One of: a path that begins with a slash (/x is that file, /x/ all below), a tag, or all.", Next: "Say one of them."})

// Purge forgets cached files on this node at once and on the others within two seconds.
// It returns how many were here.
func (g *Gateway) Purge(ctx context.Context, who actor.Actor, w cache.Wish, reason string) (int, error) {
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/cache"); err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	said := 0
	for _, is := range []bool{w.Path != "", w.Tag != "", w.All} {
		if is {
			said++
		}
	}
	if _, bad := parseTarget(w.Path); said != 1 || w.Path != "" && bad != nil || len(w.Tag) > 128 || strings.ContainsFunc(w.Tag, func(r rune) bool { return r <= ' ' || r == ',' }) {
		return 0, errPurge
	}
	if w.All {
		w.Path = "/"
	}
	id := secret.RandomText(16).Reveal()
	g.purged.mark(id)
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, deletePurges, tx.Now().Add(-time.Hour).UnixMicro()); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, insertPurge, id, w.Path, w.Tag, tx.Now().UnixMicro())
		return CachePurged{Path: w.Path, Tag: w.Tag, reason: reason}, err
	})
	if err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	return g.cache.Purge(cache.Wish{Path: w.Path, Tag: w.Tag}), nil
}

// purges are those this node has done, by id.
type purges struct {
	mu   sync.Mutex
	done map[string]bool
}

// mark reports whether a purge is still to be done here, and notes that it is.
func (p *purges) mark(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil || len(p.done) > 100_000 {
		p.done = map[string]bool{}
	}
	if p.done[id] {
		return false
	}
	p.done[id] = true
	return true
}

// readPurges does what other nodes were told. Run calls it every second.
func (g *Gateway) readPurges(ctx context.Context) error {
	if g.cache.Empty() {
		return nil // what comes later is newer than what they speak of
	}
	err := g.db.Each(ctx, selectPurges, func(scan ledger.Scan) error {
		var id string
		var w cache.Wish
		if err := scan(&id, &w.Path, &w.Tag); err != nil {
			return err //nolint:wrapcheck // the ledger's own
		}
		if g.purged.mark(id) {
			g.cache.Purge(w)
		}
		return nil
	}, g.now().Add(-time.Minute).UnixMicro())
	if err != nil {
		return fmt.Errorf("read purges: %w", err)
	}
	return nil
}

const (
	insertPurge  = `INSERT INTO gateway_purge (id, path, tag, purged) VALUES ($1, $2, $3, $4)`
	deletePurges = `DELETE FROM gateway_purge WHERE purged < $1`
	selectPurges = `SELECT id, path, tag FROM gateway_purge WHERE purged >= $1 ORDER BY purged`
)
