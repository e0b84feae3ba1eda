package egress

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// answers are what a refused caller reads: a status, an error type of RFC 9209 section 2.3,
// and words. NAME stands for what was asked for.
var answers = map[string]struct {
	status     int
	kind, says string
}{
	CauseCaller:   {http.StatusProxyAuthRequired, "http_request_denied", "Nobody is known at this address. Expected: an address in gateway: egress: callers of writ.yaml, or a token with the scope " + Scope + "."},
	CauseClear:    {http.StatusForbidden, "http_request_denied", "The token came in clear. Expected: https:// in the address of the proxy. Make a new token: this one may have been read."},
	CauseRequest:  {http.StatusBadRequest, "http_request_error", "Expected: CONNECT name:443, with a name and no address."},
	CauseUnlisted: {http.StatusForbidden, "http_request_denied", "NAME is not on the list of destinations. An engineer can list it: writ gateway egress allow NAME --reason WHY --until 90d"},
	CauseAddress:  {http.StatusForbidden, "destination_ip_prohibited", "NAME leads to an address that is not public, and the list names no network for it."},
	CauseAway:     {http.StatusBadGateway, "destination_unavailable", "NAME does not resolve or does not answer."},
	CauseFull:     {http.StatusServiceUnavailable, "connection_limit_reached", "Too many connections are open. Expected: at most 250 of one address."},
	CauseUnknown:  {http.StatusServiceUnavailable, "proxy_internal_error", "It could not be told who asks. Try again in a moment."},
}

// Scope is what a token needs for the way out.
const Scope = "gateway:egress"

// refuse answers a caller who is not let through. The request's own text is not repeated, but
// a plain name.
func (p *Proxy) refuse(c net.Conn, t Try, cause string) {
	t.Cause = cause
	p.d.Told(t)
	a := answers[cause]
	body := "Writ: " + strings.ReplaceAll(a.says, "NAME", t.String()) + "\n"
	challenge := ""
	if a.status == http.StatusProxyAuthRequired {
		challenge = "Proxy-Authenticate: Basic realm=\"writ\"\r\n"
	}
	_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nProxy-Status: writ; error=%s; details=%q\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		a.status, http.StatusText(a.status), a.kind, cause, challenge, len(body), body)
}

// String is name:port, without a port that is usual.
func (t Target) String() string {
	if t.Port == 443 {
		return t.Name
	}
	return t.Name + ":" + strconv.Itoa(int(t.Port))
}
