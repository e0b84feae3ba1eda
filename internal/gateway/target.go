package gateway

import (
	"net/http"
	"strings"
	"unicode/utf8"

	"writ/internal/fault"
	"writ/internal/web"
)

const (
	maxTarget = 8 << 10
	maxParams = 1000
)

// target is what a request asks for, in the one form that is accepted. raw, query and
// marked are forwarded byte for byte; path is raw with its escapes decoded once, and
// the only thing that rules are matched against. The decoding loses nothing that
// matters: whatever could make two readers split the path differently was refused.
type target struct {
	raw    string // path as sent
	path   string // decoded
	query  string // as sent, without the mark
	marked bool   // there was a question mark
}

// parseTarget reads an origin-form target (RFC 9112 section 3.2.1). It never repairs:
// what the application behind might read differently is refused.
func parseTarget(uri string) (target, *refusal) { // clause: use.no-automation
	if len(uri) > maxTarget {
		return target{}, refuseLongTarget
	}
	if uri == "" || uri[0] != '/' {
		return target{}, refuseTarget
	}
	raw, query, marked := strings.Cut(uri, "?")
	path, r := parsePath(raw)
	if r != nil {
		return target{}, r
	}
	if !goodQuery(query) {
		return target{}, refuseQuery
	}
	return target{raw: raw, path: path, query: query, marked: marked}, nil
}

// pathByte says which bytes may stand in a path unescaped: pchar of RFC 3986 without
// the semicolon (some servers cut parameters there), and what browsers leave as it is.
var pathByte = func() (ok [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@/[]|^") {
		ok[c] = true
	}
	return ok
}()

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func parsePath(raw string) (string, *refusal) {
	escaped := false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '%':
			if r := checkEscape(raw[i:]); r != nil {
				return "", r
			}
			escaped = true
			i += 2
		case !pathByte[c]:
			return "", refusePath
		case c == '/' && !goodSegment(raw[i+1:]):
			return "", refuseSegment
		}
	}
	if !escaped {
		return raw, nil
	}
	path := unescape(raw)
	if !utf8.ValidString(path) {
		return "", refusePath
	}
	return path, nil
}

// goodSegment looks at what follows a slash: no second slash, no dot segment.
func goodSegment(rest string) bool {
	if rest == "" {
		return true
	}
	if rest[0] == '/' {
		return false
	}
	if rest[0] != '.' {
		return true
	}
	seg, _, _ := strings.Cut(rest, "/")
	return seg != "." && seg != ".."
}

// checkEscape refuses escapes that are broken or that hide what must stand in clear.
func checkEscape(s string) *refusal {
	c, ok := hexByte(s)
	switch {
	case !ok:
		return refuseEscape
	case c < 0x20 || c == 0x7f || c == '/' || c == '\\' || unreserved(c):
		return refuseEscape
	case c == '%': // an escape inside an escape: somebody behind may decode twice
		if _, ok := hexByte("%" + s[3:]); ok {
			return refuseEscape
		}
	}
	return nil
}

// hexByte decodes the escape at the start of s.
func hexByte(s string) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, ok1 := unhex(s[1])
	lo, ok2 := unhex(s[2])
	return hi<<4 | lo, ok1 && ok2
}

func unhex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// unescape decodes a path whose escapes were checked.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			c, _ := hexByte(s[i:])
			b.WriteByte(c)
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// goodQuery refuses what parsers disagree on: semicolons, broken escapes, an escaped
// NUL, bytes that no browser sends, and more than 1,000 parameters.
func goodQuery(q string) bool {
	params := 1
	for i := 0; i < len(q); i++ {
		switch c := q[i]; {
		case c == '%':
			if d, ok := hexByte(q[i:]); !ok || d == 0 {
				return false
			}
			i += 2
		case c == '&':
			if params++; params > maxParams {
				return false
			}
		case c <= ' ' || c >= 0x7f || c == ';' || c == '#':
			return false
		}
	}
	return true
}

// refusal is an answer that a step gives instead of going on.
type refusal struct {
	clause string
	status int
	err    *fault.Error
	whole  error // err with what only the page or the client needs; nil = err
	leads  bool  // a browser that wants a page is led to another instead
}

func refuse(clause string, status int, k fault.Kind, code string, p fault.Public) *refusal {
	return &refusal{clause: clause, status: status, err: fault.New(k, code, p)}
}

// deny makes a refusal whose status is its kind's own.
func deny(clause string, k fault.Kind, code string, p fault.Public) *refusal {
	return refuse(clause, k.Status(), k, code, p)
}

const (
	noAutomation = "use.no-automation"
	tlsInTransit = "crypto.tls-in-transit"
	netPrivate   = "net.private"
)

// The refusals that are always the same. They never show the refused value.
var (
	refuseTarget = deny(noAutomation, fault.Malformed, "target", fault.Public{
		Problem: "The address asked for has no path of this site.", Expected: "A path that begins with a slash."})
	refuseLongTarget = refuse(noAutomation, http.StatusRequestURITooLong, fault.TooLarge, "target_too_long", fault.Public{
		Problem: "The address is too long.", Expected: "At most 8,192 bytes.", Next: "Send long values in the body."})
	refusePath = deny(noAutomation, fault.Malformed, "path_character", fault.Public{
		Problem: "The path holds a character that must be escaped or is not UTF-8."})
	refuseEscape = deny(noAutomation, fault.Malformed, "path_escape", fault.Public{
		Problem: "The path holds an escape that is broken or hides a slash, a dot, a letter or a control character.", Expected: "Such characters unescaped, or not at all."})
	refuseSegment = deny(noAutomation, fault.Malformed, "path_segment", fault.Public{
		Problem: "The path holds an empty or a dot segment.", Expected: "The path in its short form."})
	refuseQuery = deny(noAutomation, fault.Malformed, "query", fault.Public{
		Problem: "The query holds a semicolon, a broken escape, a raw character or too many parameters.", Expected: "At most 1,000 parameters separated by &."})
	refuseHost = refuse(tlsInTransit, http.StatusMisdirectedRequest, fault.Malformed, "unknown_host", fault.Public{
		Problem: "This server does not answer for that host.", Next: "Check the address."})
	refuseMethod = refuse(noAutomation, http.StatusMethodNotAllowed, fault.Malformed, "method_not_allowed", fault.Public{
		Problem: "This address does not take that method."})
	refuseStranger = deny(noAutomation, fault.Unauthenticated, "sign_in_needed", fault.Public{
		Problem: "Nobody is signed in.", Expected: "This needs a session.", Next: "Sign in and try again."})
	refuseRole = deny(noAutomation, fault.Denied, "role", fault.Public{
		Problem: "Your role does not open this address.", Next: "Ask the administrator of your team if you need it."})
	refuseSession = deny(noAutomation, fault.Denied, "session_refused", fault.Public{
		Problem: "This session may not be used here.", Next: "Sign out and in again."})
	refuseEnrol   = deny("access.mfa-by-technology", fault.Denied, web.EnrolFirst.Code, web.EnrolFirst.Public)
	refusePasskey = deny("access.mfa-by-technology", fault.Denied, web.EnrolPasskey.Code, web.EnrolPasskey.Public)
	refuseTerms   = deny("use.terms", fault.Denied, web.TermsFirst.Code, web.TermsFirst.Public)
	refuseReader  = deny("use.need-to-see", fault.Denied, "support_read_only", fault.Public{
		Problem: "You look as a customer and may change nothing.", Expected: "GET, HEAD or OPTIONS, until a second person has agreed to more.", Next: "Ask for it when you begin a look, or end this one at /-/support."})
	refuseReason = deny("use.need-to-see", fault.Denied, "reason_required", fault.Public{
		Problem: "What lies here is the customers', and staff see it with a reason alone.", Expected: "A look as a customer, with a reason and a ticket.", Next: "Begin one at /-/support."})
	refuseEmergency = deny("access.least-privilege", fault.Denied, "emergency_closed", fault.Public{
		Problem: "A break-glass session does not reach the application: what lies there is the customers'.", Expected: "The console, to help people back in.", Next: "Go to /-/console/people, or end the session at /-/break-glass."})
	refuseSealed = deny(noAutomation, fault.Sealed, "sealed", fault.Public{
		Problem: "The server is sealed: its keys are not present.", Next: "An operator must unseal it."})
	refuseForeign = deny(noAutomation, fault.Denied, "cross_origin", fault.Public{
		Problem: "The request came from another site's page.", Expected: "Changes are accepted from this site's own pages and from programs.", Next: "Open the page here and try again."})
	refuseUnknown = deny(noAutomation, fault.Unavailable, "session_unknown", fault.Public{
		Problem: "It cannot be told now who you are. Nothing was done.", Next: "Try again in a minute."})
	refuseDown = refuse(netPrivate, http.StatusBadGateway, fault.Unavailable, "upstream_down", fault.Public{
		Problem: "The application is not answering.", Expected: "What you sent may not have arrived.", Next: "Try again in a minute."})
	refuseSlow = refuse(netPrivate, http.StatusGatewayTimeout, fault.Unavailable, "upstream_slow", fault.Public{
		Problem: "The application took too long to answer.", Expected: "It may still be at work on what you sent.", Next: "Look whether it was done before you try again."})
)
