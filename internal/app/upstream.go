package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"writ/internal/gateway"
)

// UpstreamConf is one place of the application: a URL alone, or with what belongs to it.
type UpstreamConf struct {
	URL       string `yaml:"url"`
	Zone      string `yaml:"zone,omitempty"`      // what fails together has one name
	Cert      string `yaml:"cert,omitempty"`      // shown to the place; a file in this folder or absolute
	Key       string `yaml:"key,omitempty"`       // its key
	Authority string `yaml:"authority,omitempty"` // a file with the authority of the place's certificate; none = the system's
}

// UnmarshalYAML takes a URL alone too.
func (u *UpstreamConf) UnmarshalYAML(read func(any) error) error {
	var alone string
	if read(&alone) == nil {
		*u = UpstreamConf{URL: alone}
		return nil
	}
	type plain UpstreamConf
	return read((*plain)(u)) //nolint:wrapcheck // the decoder says where
}

// MarshalYAML writes a URL alone where there is no more.
func (u UpstreamConf) MarshalYAML() (any, error) {
	if u == (UpstreamConf{URL: u.URL}) {
		return u.URL, nil
	}
	type plain UpstreamConf
	return plain(u), nil
}

var goodZone = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

const maxUpstreams = 32

// upstreamsOf reads what init is given: URL, or ZONE=URL.
func upstreamsOf(given []string) []UpstreamConf {
	var out []UpstreamConf
	for _, s := range given {
		u := UpstreamConf{URL: s}
		if zone, rest, ok := strings.Cut(s, "="); ok && goodZone.MatchString(zone) {
			u.Zone, u.URL = zone, rest
		}
		out = append(out, u)
	}
	return out
}

// checkUpstreams names the first setting of the application's places that is not good.
func (c Config) checkUpstreams(bad func(key, got, want string) error) error {
	if len(c.Upstream) == 0 || len(c.Upstream) > maxUpstreams {
		return bad("upstream", fmt.Sprint(len(c.Upstream), " places"), "from one to 32 places of the application")
	}
	zones := map[string]bool{}
	for i, p := range c.Upstream {
		u, err := url.Parse(p.URL)
		switch {
		case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil:
			return bad("upstream", p.URL, "a URL such as http://10.0.1.10:3000")
		case slices.ContainsFunc(c.Upstream[:i], func(o UpstreamConf) bool { return o.URL == p.URL }):
			return bad("upstream", p.URL, "each place once")
		case p.Zone != "" && !goodZone.MatchString(p.Zone):
			return bad("upstream.zone", p.Zone, "a name such as eu-west-1a")
		case (p.Cert == "") != (p.Key == ""):
			return bad("upstream.cert", p.Cert+p.Key, "both cert and key, or neither")
		case u.Scheme == "http" && p.Cert+p.Authority != "":
			return bad("upstream.cert", p.URL, "an https URL where certificates are shown or checked")
		}
		zones[p.Zone] = true
	}
	switch g := c.Gateway; {
	case g.Zone != "" && !zones[g.Zone]:
		return bad("gateway.zone", g.Zone, "the zone of one of the places in upstream")
	case g.Health != "" && (!strings.HasPrefix(g.Health, "/") || strings.ContainsAny(g.Health, " ?#\r\n")):
		return bad("gateway.health", g.Health, "a path such as /healthz")
	case g.Cache < 0 || g.Cache > 64<<10:
		return bad("gateway.cache", fmt.Sprint(g.Cache), "MiB, such as 512")
	}
	return nil
}

// upstreams are the places as the gate takes them. A certificate is read at each
// handshake, so that a renewed one is used; it must be there at the start.
func (a *App) upstreams() ([]gateway.Upstream, error) {
	var out []gateway.Upstream
	for _, p := range a.config.Upstream {
		u, err := url.Parse(p.URL)
		if err != nil {
			return nil, fmt.Errorf("upstream: %w", err)
		}
		to := gateway.Upstream{URL: u, Zone: p.Zone}
		if p.Authority != "" {
			b, err := a.readSecret(p.Authority)
			if err != nil {
				return nil, fmt.Errorf("read the authority of %s: %w", p.URL, err)
			}
			if to.Roots = x509.NewCertPool(); !to.Roots.AppendCertsFromPEM(b) {
				return nil, errors.New("upstream.authority: " + p.Authority + " holds no certificate")
			}
		}
		if p.Cert != "" {
			cert, key := a.inFolder(p.Cert), a.inFolder(p.Key)
			to.Certificate = func() (*tls.Certificate, error) {
				c, err := tls.LoadX509KeyPair(cert, key)
				return &c, err
			}
			if _, err := to.Certificate(); err != nil {
				return nil, fmt.Errorf("read what is shown to %s: %w", p.URL, err)
			}
		}
		out = append(out, to)
	}
	return out, nil
}

// inFolder is where a file that the settings name lies.
func (a *App) inFolder(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return a.path(name)
}
