package oidc

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The scopes of this provider.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopeRoles   = "roles"
	scopeOffline = "offline_access"
)

func scopesKnown() []string {
	return []string{scopeOpenID, scopeProfile, scopeEmail, scopeRoles, scopeOffline}
}

// Limits of what a request may hold.
const (
	maxQuery    = 8 << 10
	maxState    = 512
	maxNonce    = 255
	maxRedirect = 512
)

// refusal is an error of the protocol, RFC 6749 §5.2 and §4.1.2.1.
type refusal struct {
	code   string // invalid_request …
	text   string
	status int
	cause  string // for the journal
}

func (e *refusal) Error() string { return e.code + ": " + e.text }

func refuse(code, text string) *refusal {
	return &refusal{code: code, text: text, status: http.StatusBadRequest, cause: code}
}

func (e *refusal) because(cause string) *refusal { e.cause = cause; return e }

// asked is a request that was checked: what the person is about to allow.
type asked struct {
	Client    string   `json:"c"`
	Redirect  string   `json:"r"`
	State     string   `json:"s,omitempty"`
	Nonce     string   `json:"n,omitempty"`
	Challenge string   `json:"k"`
	Scopes    []string `json:"o"`
	Prompt    []string `json:"p,omitempty"`
	MaxAge    int64    `json:"m"` // seconds; -1 = any
	ACR       int      `json:"a,omitempty"`
	Hint      string   `json:"h,omitempty"` // id_token_hint
	Begun     int64    `json:"b"`           // µs
	Session   string   `json:"x,omitempty"` // who was signed in when it began
}

func (a *asked) prompts(p string) bool { return slices.Contains(a.Prompt, p) }

// single parses an encoded form and refuses a parameter that comes twice (RFC 6749 §3.1).
func single(raw string) (map[string]string, *refusal) {
	if len(raw) > maxQuery {
		return nil, refuse("invalid_request", "The request is longer than 8 KiB.")
	}
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse("invalid_request", "The request could not be read.")
	}
	return once(v)
}

func once(v url.Values) (map[string]string, *refusal) {
	out := make(map[string]string, len(v))
	for k, vs := range v {
		if len(vs) != 1 {
			return nil, refuse("invalid_request", "A parameter comes more than once.")
		}
		if vs[0] != "" { // RFC 6749 §3.1: without a value is as if omitted
			out[k] = vs[0]
		}
	}
	return out, nil
}

// matches reports whether a redirect is one of those registered: letter by letter, but
// for the port of a loopback address (RFC 8252 §7.3), which a native program cannot know
// beforehand. Scheme, host, path and query are compared all the same.
func matches(registered []string, redirect string) bool {
	if len(redirect) > maxRedirect {
		return false
	}
	host, rest, native := loopback(redirect)
	for _, r := range registered {
		if r == redirect { // clause: auth.best-practice
			return true
		}
		if h, p, ok := loopback(r); native && ok && h == host && p == rest {
			return true
		}
	}
	return false
}

// loopback splits http://127.0.0.1:PORT/REST. The port is taken off, no other part is read.
func loopback(s string) (host, rest string, ok bool) {
	tail, isHTTP := strings.CutPrefix(s, "http://")
	if !isHTTP {
		return "", "", false
	}
	for _, h := range []string{"127.0.0.1", "[::1]"} {
		after, is := strings.CutPrefix(tail, h)
		if !is {
			continue
		}
		if port, isPort := strings.CutPrefix(after, ":"); isPort {
			n := 0
			for n < len(port) && port[n] >= '0' && port[n] <= '9' {
				n++
			}
			if p, err := strconv.ParseUint(port[:n], 10, 16); err != nil || p == 0 {
				return "", "", false
			}
			after = port[n:]
		}
		if after == "" || after[0] != '/' {
			return "", "", false
		}
		return h, after, true
	}
	return "", "", false
}

// goodAddress says why an address may not be registered, or "".
func goodAddress(s string, native bool) string {
	u, err := url.Parse(s)
	switch {
	case len(s) > maxRedirect || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '\\' || r == '*' || r == '"' || r == '\'' || r == ';' || r == ','
	}):
		return "has a character that does not belong there, or is longer than 512"
	case err != nil || u.Opaque != "" || u.Host == "" || u.User != nil:
		return "is not an address such as https://app.example.com/callback"
	case u.Fragment != "" || strings.Contains(s, "#"):
		return "has a fragment"
	case u.Scheme == "https" && (u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")):
		return "names localhost, which can resolve to anywhere; use 127.0.0.1"
	case u.Scheme == "https":
		return ""
	case native:
		if _, _, ok := loopback(s); ok {
			return ""
		}
		return "is neither https nor http://127.0.0.1/ or http://[::1]/ of a native program"
	}
	return "is not https"
}

// local reports whether an address leads to this very machine.
func local(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

// aim finds client and redirect of a request. An error here is for a page: there is
// nowhere to send it.
func aim(c client, q map[string]string) (redirect string, bad *refusal) {
	redirect = q["redirect_uri"]
	switch {
	case redirect == "":
		return "", refuse("invalid_request", "redirect_uri is missing.").because("no-redirect")
	case !matches(c.Redirects, redirect):
		return "", refuse("invalid_request", "redirect_uri is not registered for this application.").because("unknown-redirect")
	}
	return redirect, nil
}

// examine checks everything else. An error here may go back to the redirect.
func examine(c client, q map[string]string, now time.Time) (asked, *refusal) {
	a := asked{Client: c.ID, Redirect: q["redirect_uri"], State: q["state"], Nonce: q["nonce"], Challenge: q["code_challenge"], Hint: q["id_token_hint"], MaxAge: -1, Begun: us(now)}
	switch {
	case len(a.State) > maxState:
		a.State = ""
		return a, refuse("invalid_request", "state is longer than 512 bytes.")
	case len(a.Nonce) > maxNonce:
		return a, refuse("invalid_request", "nonce is longer than 255 bytes.")
	case q["request"] != "":
		return a, refuse("request_not_supported", "Request objects are not taken here; push the request instead.")
	case q["registration"] != "":
		return a, refuse("registration_not_supported", "Applications are registered by staff.")
	case q["response_type"] == "":
		return a, refuse("invalid_request", "response_type is missing.")
	case q["response_type"] != "code":
		return a, refuse("unsupported_response_type", "Only the response type code is given here.")
	case q["response_mode"] != "" && q["response_mode"] != "query":
		return a, refuse("invalid_request", "Only the response mode query is given here.")
	case q["code_challenge_method"] != "S256": // clause: auth.best-practice (a missing method would mean plain)
		return a, refuse("invalid_request", "PKCE is needed here: code_challenge_method must be S256.").because("pkce")
	case !challenge(a.Challenge):
		return a, refuse("invalid_request", "code_challenge must be 43 characters of base64url: the SHA-256 of the verifier.").because("pkce")
	}
	var bad *refusal
	if a.Scopes, bad = scopesOf(c, q["scope"]); bad != nil {
		return a, bad
	}
	if a.Prompt, bad = promptOf(q["prompt"]); bad != nil {
		return a, bad
	}
	if m := q["max_age"]; m != "" {
		n, err := strconv.ParseInt(m, 10, 32)
		if err != nil || n < 0 {
			return a, refuse("invalid_request", "max_age is not a number of seconds.")
		}
		a.MaxAge = n
	}
	if a.ACR, bad = acrOf(q["acr_values"]); bad != nil {
		return a, bad
	}
	a.ACR = max(a.ACR, c.ACR)
	return a, nil
}

// scopesOf keeps the scopes that the client may ask for; others are passed over, as
// OpenID Connect Core §3.1.2.1 wants it.
func scopesOf(c client, s string) ([]string, *refusal) {
	var out []string
	for _, w := range words(s) {
		if slices.Contains(c.Scopes, w) && !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	if !slices.Contains(out, scopeOpenID) {
		return nil, refuse("invalid_scope", "The scope openid is missing.")
	}
	slices.Sort(out)
	return out, nil
}

func promptOf(s string) ([]string, *refusal) {
	ps := words(s)
	for _, p := range ps {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			return nil, refuse("invalid_request", "prompt holds a word that is not known here.")
		}
	}
	if len(ps) > 1 && slices.Contains(ps, "none") {
		return nil, refuse("invalid_request", "prompt=none stands alone.")
	}
	return ps, nil
}

// acrOf is the least of the levels that would do. If none of them is known here, none
// can be met.
func acrOf(s string) (int, *refusal) {
	least := 0
	for _, w := range words(s) {
		if n, err := strconv.Atoi(w); err == nil && n >= 1 && n <= 3 && w == strconv.Itoa(n) && (least == 0 || n < least) {
			least = n
		}
	}
	if least == 0 && len(words(s)) > 0 {
		return 0, refuse("unmet_authentication_requirements", "None of acr_values is a level of this provider: 1, 2, 3.")
	}
	return least, nil
}

// challenge reports whether s can be a base64url SHA-256.
func challenge(s string) bool {
	return len(s) == 43 && strings.IndexFunc(s, func(r rune) bool { return !base64url(r) }) < 0
}

// verifier reports whether s is a verifier of RFC 7636 §4.1.
func verifier(s string) bool {
	return len(s) >= 43 && len(s) <= 128 && strings.IndexFunc(s, func(r rune) bool { return !base64url(r) && r != '.' && r != '~' }) < 0
}

func base64url(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// answerTo adds parameters to a registered redirect.
func answerTo(redirect string, v url.Values) string {
	sep := "?"
	if strings.Contains(redirect, "?") {
		sep = "&"
	}
	return redirect + sep + v.Encode()
}
