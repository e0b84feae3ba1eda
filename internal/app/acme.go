package app

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"writ/internal/fault"
	"writ/internal/gateway/acme"
	"writ/internal/listen"
)

// checkACME names the first setting of the authority that is not good.
func (c Config) checkACME(bad func(key, got, want string) error) error {
	a := c.TLS.ACME
	if a == (ACMEConf{}) {
		return nil
	}
	u, err := url.Parse(a.Directory)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil:
		return bad("tls.acme.directory", a.Directory, "the https URL of an authority's directory")
	case c.TLS.Cert != "":
		return bad("tls", c.TLS.Cert, "tls.acme or certificate files, not both")
	case a.Email != "" && (!strings.Contains(a.Email, "@") || strings.ContainsAny(a.Email, " ,;<>\r\n")):
		return bad("tls.acme.email", a.Email, "an address, or none")
	case net.ParseIP(c.Hostname()) != nil || listen.Loopback(c.Hostname()) && a.Roots == "":
		return bad("tls.acme", c.Hostname(), "a public name in app: an authority issues for names that lead here")
	}
	return nil
}

// issued serves a certificate that an authority issues.
func (a *App) issued() error {
	t := a.config.TLS.ACME
	o := acme.Options{Host: a.config.Hostname(), Also: a.config.names()[1:], Directory: t.Directory, Email: t.Email, RenewBefore: a.gateway.RenewBefore, Now: a.now, Log: a.log.With("module", "acme"), Told: a.gateway}
	if t.Roots != "" {
		b, err := a.readSecret(t.Roots)
		if err == nil {
			if o.Roots = x509.NewCertPool(); !o.Roots.AppendCertsFromPEM(b) {
				err = errors.New(t.Roots + " holds no certificate")
			}
		}
		if err != nil {
			return fault.New(fault.Invalid, "acme_roots", fault.Public{Problem: "tls.acme.roots: " + err.Error() + ".", Expected: "A file of PEM certificates.", Next: "Mend the setting in " + configName + "."})
		}
	}
	at, err := netip.ParseAddrPort(a.https.Addr().String())
	if err != nil {
		return err
	}
	o.TLSPort = int(at.Port())
	if !at.Addr().IsUnspecified() {
		o.Bind = at.Addr().String()
	}
	if a.http != nil {
		plain, err := netip.ParseAddrPort(a.http.Addr().String())
		if err != nil {
			return err
		}
		o.HTTPPort = int(plain.Port())
	}
	ctx := context.Background() // it reads the ledger of this process
	if o.Storage, err = acme.NewStorage(ctx, a.db, a.ring, a.now); err != nil {
		return err
	}
	if a.issuer, err = acme.New(ctx, o); err != nil {
		return err
	}
	a.certs = a.issuer
	return nil
}

// redirector stands at the plain port, where an authority may look for its challenge.
func (a *App) redirector() http.Handler {
	to := listen.Redirector(a.origin)
	if a.issuer != nil {
		to = listen.Challenged(a.origin, a.issuer.Answer)
	}
	return listen.Beside(listen.Watched(to, a.gateway.InClear), a.config.Status.Host)
}

// runIssuer gets and renews the certificate, where an authority issues it.
func (a *App) runIssuer(ctx context.Context) error {
	if a.issuer == nil {
		<-ctx.Done()
		return nil
	}
	return a.issuer.Run(ctx)
}
