package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// Names that only this server may give to the application. A client that sends one is
// pretending to be a proxy, or somebody else.
var forged = map[string]bool{
	"Forwarded": true, "X-Real-Ip": true, "X-Original-Url": true, "X-Original-Uri": true, "X-Original-Host": true, "X-Original-Method": true,
	"X-Rewrite-Url": true, "X-Http-Method-Override": true, "X-Http-Method": true, "X-Method-Override": true, "Proxy": true,
	"X-Client-Ip": true, "X-Cluster-Client-Ip": true, "True-Client-Ip": true, "Client-Ip": true, "Cf-Connecting-Ip": true, "Fastly-Client-Ip": true,
	"X-Host": true, "X-Scheme": true, "X-Url-Scheme": true, "Front-End-Https": true, "X-Override-Url": true, "X-Method": true,
	"X-Originating-Ip": true, "X-Forwarded": true, "X-Client-Cert": true, "Trailer": true, "Http2-Settings": true,
}

// forgedPrefixes are families of such names: what the common proxies and identity
// gateways tell an application, which may still believe it from its former place.
var forgedPrefixes = []string{
	"Cf-Access-", "Remote-", "Ssl-Client-", "Tailscale-User-",
	"X-Amzn-Oidc-", "X-Auth-Request-", "X-Authentik-", "X-Forwarded-", "X-Goog-Authenticated-User-", "X-Goog-Iap-",
	"X-Ms-Client-Principal", "X-Ms-Token-", "X-Pomerium-", "X-Remote-", "X-Ssl-", "X-Webauth-",
}

// own reports whether a header belongs to this server: it is removed from requests
// before ours are set, and from the application's answers.
func own(name string) bool {
	return hasPrefixFold(name, "Writ-")
}

// dropped reports whether a client's header does not reach the application. Names with
// anything but letters, digits and hyphens go too: readers in the CGI tradition take
// X_Forwarded_For and X.Forwarded.For for X-Forwarded-For.
func dropped(name string) bool { // clause: use.no-automation
	for i := range len(name) {
		if c := name[i]; !unreserved(c) || c == '_' || c == '.' || c == '~' {
			return true
		}
	}
	switch name[0] {
	case 'C', 'R', 'S', 'T', 'X':
		for _, p := range forgedPrefixes {
			if strings.HasPrefix(name, p) {
				return true
			}
		}
	}
	return own(name) || forged[name]
}

// tunnels leaves only WebSocket of the protocols a client may change to. With h2c it
// would speak to the application past every rule (a whole HTTP/2 connection is one
// request to us).
func tunnels(h http.Header) { // clause: use.no-automation
	if up := h["Upgrade"]; len(up) > 0 && (len(up) > 1 || !strings.EqualFold(up[0], "websocket")) {
		delete(h, "Upgrade")
		delete(h, "Connection")
	}
}

const ownCookie = "__Host-writ"

// clean removes from the application's request all that a client could have forged,
// and this server's own cookies.
func clean(h http.Header) {
	for name := range h {
		if name == "" || dropped(name) {
			delete(h, name)
		}
	}
	if ours(h) {
		delete(h, "Authorization")
	}
	cookies := h["Cookie"]
	if len(cookies) == 0 {
		return
	}
	kept := cookies[:0]
	for _, line := range cookies {
		if line = withoutOwn(line); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// withoutOwn leaves a Cookie line as it is unless one of ours is in it.
func withoutOwn(line string) string {
	if !containsFold(line, ownCookie) {
		return line
	}
	var b strings.Builder
	for part := range strings.SplitSeq(line, ";") {
		part = strings.Trim(part, " \t")
		if part == "" || hasPrefixFold(part, ownCookie) {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("; ")
		}
		b.WriteString(part)
	}
	return b.String()
}

// sessionCookie returns the value of the session cookie; "" when it is missing or sent
// twice, which no browser does.
func sessionCookie(h http.Header) string {
	found, n := "", 0
	for _, line := range h["Cookie"] {
		for part := range strings.SplitSeq(line, ";") {
			name, value, ok := strings.Cut(strings.Trim(part, " \t"), "=")
			if ok && name == ownCookie {
				found, n = value, n+1
			}
		}
	}
	if n != 1 || len(found) > 512 {
		return ""
	}
	return strings.Trim(found, `"`)
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func containsFold(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i] == '_' && strings.EqualFold(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

// answerHeaders puts the application's answer in order: nothing in our name, none of
// our cookies, no server name, our transport rules; and where it says nothing of them, that
// a type is what it says, that other sites do not learn which page somebody comes from, and
// that they do not frame it.
func (v *visit) answerHeaders(h http.Header) {
	v.stripped(h)
	if !v.need.ownHeaders() {
		defaults(h)
	}
	v.transportRules(h)
}

// defaults are said where the application says nothing of the matter.
func defaults(h http.Header) { // clause: use.no-automation
	if h["X-Content-Type-Options"] == nil {
		h["X-Content-Type-Options"] = noSniff
	}
	if h["Referrer-Policy"] == nil {
		h["Referrer-Policy"] = originAlone
	}
	if h["X-Frame-Options"] == nil && hasPrefixFold(h.Get("Content-Type"), "text/html") &&
		!slices.ContainsFunc(h["Content-Security-Policy"], func(p string) bool { return strings.Contains(strings.ToLower(p), "frame-ancestors") }) {
		h["X-Frame-Options"] = sameOrigin
	}
}

// ownHeaders reports whether the application's answers stay without what it does not say
// itself. Where two rules apply both must say so.
func (d *decision) ownHeaders() bool {
	return d.rules[0] != nil && d.rules[0].ownHeaders && (d.rules[1] == nil || d.rules[1].ownHeaders)
}

// Shared by all answers: nobody may write into them, and an append copies.
var noSniff, originAlone, sameOrigin = []string{"nosniff"}, []string{"strict-origin-when-cross-origin"}, []string{"SAMEORIGIN"}

// strip removes what the application may not say. It says how many cookies in our name were among
// it: with one the application could sign somebody in as another, or out.
func strip(h http.Header) (cookies int) {
	for name := range h {
		if own(name) {
			delete(h, name)
		}
	}
	if set := h["Set-Cookie"]; len(set) > 0 {
		kept := set[:0]
		for _, c := range set {
			if !hasPrefixFold(strings.TrimLeft(c, " \t"), ownCookie) {
				kept = append(kept, c)
			}
		}
		cookies = len(set) - len(kept)
		if h["Set-Cookie"] = kept; len(kept) == 0 {
			delete(h, "Set-Cookie")
		}
	}
	delete(h, "Server")
	delete(h, "Alt-Svc") // the application cannot know which other doors there are
	return cookies
}

// transportRules are on every answer.
func (v *visit) transportRules(h http.Header) {
	delete(h, "Strict-Transport-Security")
	if hsts := v.table.hsts; hsts != nil {
		h["Strict-Transport-Security"] = hsts // clause: crypto.tls-in-transit
	}
	v.tellSites(h)
	if v.payment {
		h["Content-Security-Policy"] = append(h["Content-Security-Policy"], upgrade) // clause: crypto.payment-pages
	}
}

const upgrade = "upgrade-insecure-requests"
