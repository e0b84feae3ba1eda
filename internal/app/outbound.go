package app

import (
	"net/url"
	"slices"
	"strings"

	"writ/internal/gateway"
)

// outbound lists every place this process sends to, read from the machine settings.
func (c Config) outbound() []gateway.Outbound {
	var out []gateway.Outbound
	add := func(name, address string, encrypted func(*url.URL) bool) {
		u, err := url.Parse(address)
		if address == "" || err != nil || u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "/") {
			out = append(out, gateway.Outbound{Name: name})
			return
		}
		out = append(out, gateway.Outbound{Name: name, Host: u.Hostname(), Encrypted: encrypted(u)})
	}
	for _, u := range c.Upstream {
		add("application", u.URL, func(u *url.URL) bool { return u.Scheme == "https" })
	}
	// mail.Mailer insists on TLS for every server but one on loopback.
	add("mail", c.Mail.URL, func(u *url.URL) bool { return u.Scheme == "smtp" || u.Scheme == "smtps" })
	for _, p := range c.Identity.Upstream {
		add("provider "+p.Name, p.Issuer, func(u *url.URL) bool { return u.Scheme == "https" })
	}
	if c.TLS.ACME.Directory != "" {
		add("certificate authority", c.TLS.ACME.Directory, func(u *url.URL) bool { return u.Scheme == "https" })
	}
	for _, p := range c.Status.Posts {
		add("posts "+p.Name, p.URL, func(u *url.URL) bool { return u.Scheme == "https" })
	}
	for _, p := range c.Status.Places {
		add("copy of the status page "+p.Name, p.URL, func(u *url.URL) bool { return u.Scheme == "https" || u.Scheme == "sftp" })
	}
	// Without sslmode the driver falls back to a clear connection when the server asks.
	verified := func(u *url.URL) bool {
		return slices.Contains([]string{"require", "verify-ca", "verify-full"}, u.Query().Get("sslmode"))
	}
	add("database", c.Database, verified)
	add("keys", c.Keys.URL, verified)
	return out
}
