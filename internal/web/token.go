package web

import (
	"net/http"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
)

// withToken decides what a token is worth at a route. Pages and acts on accounts never
// name Tokens, so that a route which forgot about programs is closed to them.
func withToken(rt Route, who actor.Actor, r *http.Request) (actor.Actor, error) { // clause: auth.best-practice
	switch {
	case !who.ByToken() || rt.Tokens:
		return who, nil
	case rt.Who == Anyone:
		return StrangerOf(r), nil // a token adds nothing where nobody is asked for
	}
	return who, fault.New(fault.Denied, "token_not_here", fault.Public{
		Problem:  "A token does not open this address.",
		Expected: "A session: pages, and acts on an account, its factors, sessions and tokens, need a person.",
		Next:     "Sign in, or look in /-/api/v1/openapi.json for what tokens may do."})
}

// maxBearer bounds what is read of a token from outside.
const maxBearer = 512

// Bearer is the token of the Authorization header (RFC 6750, section 2.1), and whether
// one was brought. A header that is sent twice or holds anything but one token brings a
// token that is empty: it is wrong, which is more than missing.
func Bearer(r *http.Request) (token secret.Text, given bool) {
	all := r.Header.Values("Authorization")
	for _, v := range all {
		scheme, rest, _ := strings.Cut(v, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		if given = true; len(all) == 1 && goodBearer(rest) {
			return secret.NewText(rest), true
		}
	}
	return secret.Text{}, given
}

// goodBearer accepts b64token: letters, digits and -._~+/, then equal signs.
func goodBearer(s string) bool {
	body := strings.TrimRight(s, "=")
	if body == "" || len(s) > maxBearer {
		return false
	}
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return true
}
