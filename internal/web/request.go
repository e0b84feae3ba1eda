package web

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
)

const hostPrefix = "__Host-"

// SetCookie sets name with the __Host- prefix (added when missing), Secure, HttpOnly,
// Path=/ and SameSite=Lax. A maxAge of zero makes a cookie of the browser's session.
func SetCookie(w http.ResponseWriter, name string, v secret.Text, maxAge time.Duration) {
	http.SetCookie(w, hostCookie(name, v.Reveal(), int(maxAge/time.Second)))
}

// ClearCookie makes the browser forget name.
func ClearCookie(w http.ResponseWriter, name string) { http.SetCookie(w, hostCookie(name, "", -1)) }

// Cookie is the value of the one cookie of that name, with the __Host- prefix; empty
// when it is missing or sent twice, which no browser does.
func Cookie(r *http.Request, name string) secret.Text {
	found := r.CookiesNamed(withPrefix(name))
	if len(found) != 1 || found[0].Value == "" {
		return secret.Text{}
	}
	return secret.NewText(found[0].Value)
}

// ReplaceCookie puts another value in place of a cookie that the request brought, for the
// handlers that read it after the answer has been given a new one.
func ReplaceCookie(r *http.Request, name string, v secret.Text) {
	have := r.Cookies()
	r.Header.Del("Cookie")
	for _, c := range have {
		if c.Name == withPrefix(name) {
			c.Value = v.Reveal()
		}
		r.AddCookie(c)
	}
}

func withPrefix(name string) string {
	if strings.HasPrefix(name, hostPrefix) {
		return name
	}
	return hostPrefix + name
}

func hostCookie(name, value string, maxAge int) *http.Cookie {
	// clause: auth.best-practice
	return &http.Cookie{Name: withPrefix(name), Value: value, Path: "/", MaxAge: maxAge, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// RemoteIP is the address of the connection, never of a header; the zero Addr for a
// socket without one. An IPv4 address written as IPv6 comes back as IPv4.
func RemoteIP(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// StrangerOf is the actor of a request by nobody known: the network of the connection,
// /24 for IPv4 and /48 for IPv6, which is coarse enough not to name a person and fine
// enough to slow down an attacker.
func StrangerOf(r *http.Request) actor.Actor {
	return actor.Actor{Kind: actor.Stranger, ID: NetworkOf(RemoteIP(r)), Via: "https"}
}

// NetworkOf is the network of an address, by which strangers are counted: /24, or /48.
func NetworkOf(ip netip.Addr) string {
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	if p, err := ip.Prefix(bits); err == nil && p.IsValid() {
		return p.String()
	}
	return "local"
}
