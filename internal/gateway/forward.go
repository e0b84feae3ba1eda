package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/web"
)

// Forward-auth: another proxy stands before the application and asks here, for each
// request, whether it may pass. The decision is the gate's own, step by step; only the
// last one, forwarding, is the proxy's.
//
//	browser ─► nginx, Caddy, Traefik ─► GET /-/forward-auth ─► 200 and Writ-Assertion | 401 | 302
//	                     └─► application, when the answer was 200
//
// What was asked for comes in headers, so it counts only from a proxy that writ.yaml
// lists; and the proxy must serve /-/ of the same host from here, because cookies are
// bound to their host.

var (
	refuseProxy = deny(noAutomation, fault.Denied, "proxy_not_trusted", fault.Public{
		Problem: "This address answers the proxies that are listed under trusted_proxies, and nobody else."})
	refuseForwarded = deny(noAutomation, fault.Malformed, "forwarded", fault.Public{
		Problem:  "What the proxy forwards is missing, said twice, or contradicts itself.",
		Expected: "X-Forwarded-Method, -Proto, -Host and -Uri, or X-Original-Method and X-Original-URL, each once, for an https address.",
		Next:     "Compare the proxy's settings with docs/forward-auth.md: it must replace what a client sends under these names."})
)

const forwardPath = "/-/forward-auth"

// maxForwarded bounds an address in a header.
const maxForwarded = 8 << 10

// Trusted proxies, and what they may say.
type proxies []netip.Prefix

func (p proxies) has(a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(p, func(n netip.Prefix) bool { return n.Contains(a) })
}

// behind makes a request that came through a trusted proxy one from the client that the
// proxy names, for throttling and for the networks of tokens. Only the last address
// counts: the proxy added it, all before is the client's own tale.
func (p proxies) behind(r *http.Request) *http.Request { // clause: use.no-automation
	if len(p) == 0 || !p.has(web.RemoteIP(r)) {
		return r
	}
	all := strings.Join(r.Header["X-Forwarded-For"], ",")
	last, err := netip.ParseAddr(strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:]))
	if err != nil {
		return r
	}
	c := *r
	c.RemoteAddr = netip.AddrPortFrom(last.Unmap().WithZone(""), 0).String()
	return &c
}

// asked is the request that a proxy asks about.
type asked struct {
	method, host, uri string
	original          bool // in the names of nginx: it understands only 2xx, 401 and 403
}

var (
	goodHost = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})(:[0-9]{1,5})?$`)
	families = [2][]string{{"X-Original-Url", "X-Original-Uri", "X-Original-Method"}, {"X-Forwarded-Uri", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Method"}}
)

// parseAsked reads what a proxy forwards. A header said twice is nothing: one of the two
// may be the client's. Where both families say something they must say the same.
func parseAsked(h http.Header) (asked, bool) { // clause: use.no-automation
	for _, f := range families {
		for _, n := range f {
			if v := h[n]; len(v) > 1 || len(v) == 1 && (len(v[0]) > maxForwarded || strings.ContainsAny(v[0], " ,\t\r\n")) {
				return asked{}, false
			}
		}
	}
	a := asked{method: h.Get("X-Forwarded-Method"), host: h.Get("X-Forwarded-Host"), uri: h.Get("X-Forwarded-Uri")}
	proto := h.Get("X-Forwarded-Proto")
	if full := h.Get("X-Original-Url"); full != "" {
		a.original = true
		scheme, rest, ok := strings.Cut(full, "://")
		host, path, slash := strings.Cut(rest, "/")
		if !ok || !slash || !agree(&proto, scheme) || !agree(&a.host, host) || !agree(&a.uri, "/"+path) {
			return asked{}, false
		}
	}
	if uri := h.Get("X-Original-Uri"); uri != "" {
		a.original = true
		if !agree(&a.uri, uri) {
			return asked{}, false
		}
	}
	if m := h.Get("X-Original-Method"); m != "" && !agree(&a.method, m) {
		return asked{}, false
	}
	ok := proto == "https" && goodHost.MatchString(a.host) && strings.HasPrefix(a.uri, "/") && goodName(a.method)
	return a, ok
}

// agree takes a value where there was none, and refuses another one.
func agree(have *string, said string) bool {
	if *have == "" {
		*have = said
	}
	return *have == said
}

// forwardAuth answers a proxy's question.
func (g *Gateway) forwardAuth(w http.ResponseWriter, r *http.Request) {
	v := &visit{g: g, w: w, r: r, table: g.current(), asked: true, began: g.now()}
	v.need.node = g.ownNode()
	defer func() {
		v.record()
		v.keepRecord()
	}()
	if err := v.question(); err != nil {
		g.fail(w, v.r, err) // for the request that was asked about: a form that was posted is sent nowhere
	}
}

func (v *visit) question() error { // clause: use.no-automation
	g, w, r := v.g, v.w, v.r
	peer, _ := r.Context().Value(peerKey{}).(netip.Addr) // as it was before behind
	if !g.proxies.has(peer) {
		return v.stop("proxy", refuseProxy)
	}
	a, ok := parseAsked(r.Header)
	if !ok {
		return v.stop("proxy", refuseForwarded)
	}
	if to, known := g.knownHost(a.host); !known || !goodHost.MatchString(to) {
		return v.stop("proxy", refuseHost)
	}
	q := *r
	q.Method, q.Host, q.RequestURI, q.ContentLength, q.Body = a.method, a.host, a.uri, 0, http.NoBody
	q.URL = &url.URL{Path: "/"} // refusals show no more; the steps read RequestURI
	v.r, v.need.node = &q, nil
	for i := range g.steps[:len(g.steps)-1] { // all but forwarding
		ref := g.steps[i].run(v)
		if v.facts.Renew != nil && v.reader() { // the new token comes from a page of ours: a proxy need not pass on a cookie of this answer
			return v.answerProxy(a, "caller", refuseStranger)
		}
		if ref != nil {
			return v.answerProxy(a, g.steps[i].name, ref)
		}
	}
	h := w.Header()
	for _, n := range []string{"Writ-Assertion", "Remote-User", "Remote-Team", "Remote-Groups"} {
		h.Set(n, "") // so that a proxy which copies them overwrites what a client sent
	}
	if !v.who.IsZero() {
		h.Set("Writ-Assertion", g.signer.assertion(v.who, v.facts, v.asks("https://"+a.host, a.method)))
		h.Set("Remote-User", v.who.ID)
		h.Set("Remote-Team", v.who.Team)
		h.Set("Remote-Groups", strings.Join(v.who.Roles, ","))
	}
	h.Set("Cache-Control", "no-store")
	v.status = http.StatusOK
	w.WriteHeader(http.StatusOK)
	return nil
}

// answerProxy turns a refusal into what the proxy passes on: a browser goes to the
// sign-in page of the host it came to, which is registered, and back to where it was.
func (v *visit) answerProxy(a asked, step string, ref *refusal) error {
	if ref != refuseStranger || !v.reader() {
		err := v.stop(step, ref)
		if a.original && ref.status < 500 && ref.status != http.StatusUnauthorized {
			return fault.New(fault.Denied, ref.err.Code, ref.err.Public) // nginx takes any other status for a failure of ours
		}
		return err
	}
	v.w.Header().Set("Location", "https://"+a.host+"/-/sign-in?to="+url.QueryEscape(web.ReturnPath(a.uri)))
	v.w.Header().Set("Cache-Control", "no-store")
	v.status, v.failed = http.StatusFound, ref
	if a.original { // error_page turns it into the redirect
		v.w.WriteHeader(http.StatusUnauthorized)
		return nil
	}
	v.w.WriteHeader(http.StatusFound)
	return nil
}

// stop records a refusal and gives it to the renderer.
func (v *visit) stop(step string, ref *refusal) error {
	v.status, v.failed = ref.status, ref
	v.g.tally.refused(v, step, ref)
	return ref.err
}

type peerKey struct{}
