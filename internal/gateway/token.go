package gateway

import (
	"net/http"
	"slices"
	"strings"

	"writ/internal/fault"
	"writ/internal/web"
)

// How tokens of this server begin. Other bearer tokens are the application's own affair:
// they pass, and open nothing here.
var tokenPrefixes = []string{"writ_pat_", "writ_svc_"}

// ours reports whether a request brings one of our tokens, in whatever form. Such a
// header never reaches the application.
func ours(h http.Header) bool { // clause: use.no-automation
	for _, v := range h["Authorization"] {
		if slices.ContainsFunc(tokenPrefixes, func(p string) bool { return strings.Contains(v, p) }) {
			return true
		}
	}
	return false
}

// names reports whether a text holds one of our tokens: an address with one stands in histories,
// logs and other sites' records.
func names(s string) bool { // clause: use.public-api
	return strings.Contains(s, "writ_") && slices.ContainsFunc(tokenPrefixes, func(p string) bool { return strings.Contains(s, p) })
}

// InClear looks at what came to the port that only redirects: a token or a session there has been
// read by whoever was between. It is recorded, so that it can be ended; the answer stays the same.
func (g *Gateway) InClear(r *http.Request) { // clause: crypto.tls-in-transit
	if ours(r.Header) || sessionCookie(r.Header) != "" || names(r.RequestURI) {
		g.tally.refused(&visit{g: g, r: r}, "plain", noteInClear)
	}
}

var (
	refuseTold = deny(publicAPI, fault.Malformed, "token_in_address", fault.Public{
		Problem: "The address holds a token.", Expected: "Authorization: Bearer.", Next: "End that token and make a new one: addresses are written down in many places."})
	noteInClear = refuse(tlsInTransit, http.StatusPermanentRedirect, fault.Malformed, "credential_in_clear", fault.Public{
		Problem: "A token or a session came without encryption."})
	refuseToken = deny(noAutomation, fault.Unauthenticated, "token_refused", fault.Public{
		Problem: "The token is not good: unknown, ended, or not for this network.", Expected: "Authorization: Bearer with a token that works.", Next: "Make a new one if it has ended."})
	refuseTokens = deny(noAutomation, fault.Limited, "too_many", fault.Public{
		Problem: "Too many tokens from this network were not good.", Expected: "A pause before the next one.", Next: "Look at the token that is sent."})
	refuseScope = deny(noAutomation, fault.Denied, "scope", fault.Public{
		Problem: "The token does not open this address.", Expected: "A scope that the address asks for.", Next: "Make a token with that scope; an address without scopes is for people."})
)

// findProgram asks the table of tokens who stands behind the one that was brought.
func (v *visit) findProgram() *refusal { // clause: use.no-automation
	token, _ := web.Bearer(v.r)
	if v.g.tokens == nil {
		return refuseToken
	}
	who, err := v.g.tokens.LookupToken(v.r.Context(), web.StrangerOf(v.r), token, web.RemoteIP(v.r))
	if err == nil {
		if !who.SignedIn() || !who.ByToken() {
			return refuseToken
		}
		v.who = who
		return nil
	}
	switch fault.KindOf(err) {
	case fault.Unauthenticated:
		return refuseToken
	case fault.Limited:
		return refuseTokens
	case fault.Denied: // clause: use.terms
		return refuseTerms
	case fault.Sealed:
		return refuseSealed
	}
	v.g.log.Error("token could not be looked up", "err", err)
	return refuseUnknown
}

// scoped reports whether the caller's token has all scopes that the route asks for. A
// route without scopes is for people: programs come only where they are expected.
func (v *visit) scoped() bool { // clause: use.no-automation
	named := false
	for _, r := range v.need.rules {
		if r == nil {
			continue
		}
		for _, sc := range r.scopes {
			if !slices.Contains(v.who.Scopes, sc) {
				return false
			}
			named = true
		}
	}
	return named
}
