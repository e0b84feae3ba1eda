package app

import (
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"writ/internal/gateway"
	"writ/internal/gateway/limit"
)

// GateConf holds machine settings of the gate.
type GateConf struct {
	OpenAPI []string  `yaml:"openapi,omitempty"` // descriptions of the application's interface; in this folder or absolute
	Limits  LimitConf `yaml:"limits,omitempty"`
	WAF     WAFConf   `yaml:"waf,omitempty"`

	Zone   string `yaml:"zone,omitempty"`   // of this server: places of the application in it come first
	Health string `yaml:"health,omitempty"` // path that answers 2xx where a place is well; none = / and any answer is good
	Sticky bool   `yaml:"sticky,omitempty"` // a session stays at its place as long as that is well
	Cache  int    `yaml:"cache,omitempty"`  // MiB of public files kept in memory; none = 256

	Egress EgressConf `yaml:"egress,omitempty"` // the way out for private services

	Resolver string `yaml:"resolver,omitempty"` // path at which the application says whose a record is, when this server asks; nobody else reaches it
}

// LimitConf says how much this installation is made for. Empty values are the gate's own.
type LimitConf struct {
	Address     string `yaml:"address,omitempty"`       // requests of one address, such as 12000/m
	Person      string `yaml:"person,omitempty"`        // of one person
	Team        string `yaml:"team,omitempty"`          // of one team
	Token       string `yaml:"token,omitempty"`         // of one token
	Quota       string `yaml:"quota,omitempty"`         // of one token on a day, such as 100000/d
	OnStoreLoss string `yaml:"on_store_loss,omitempty"` // local, closed or open: what counts while the database is away

	Bots []string `yaml:"bots,omitempty"` // networks in which machines are at home rather than people, such as 198.51.100.0/24
}

var resolverPath = regexp.MustCompile(`^/[A-Za-z0-9/._-]{1,200}$`)

// check names the first setting that is not good.
func (c GateConf) check(bad func(key, got, want string) error) error {
	for _, f := range c.OpenAPI {
		if f == "" {
			return bad("gateway.openapi", f, "the name of a file")
		}
	}
	if _, err := c.Limits.read(); err != nil {
		return bad("gateway.limits", err.Error(), "rates such as 1200/m, a quota such as 100000/d, and on_store_loss local, closed or open")
	}
	if err := c.Egress.check(bad); err != nil {
		return err
	}
	if r := c.Resolver; r != "" && (path.Clean(r) != r || !resolverPath.MatchString(r) || strings.HasPrefix(r, "/-/")) {
		return bad("gateway.resolver", r, "a path of the application such as /internal/whose")
	}
	return c.WAF.check(bad)
}

func (c LimitConf) read() (gateway.Limits, error) {
	var l gateway.Limits
	for _, x := range []struct {
		from string
		to   *limit.Rate
	}{{c.Address, &l.Address}, {c.Person, &l.Subject}, {c.Team, &l.Team}, {c.Token, &l.Token}} {
		if x.from == "" {
			continue
		}
		r, err := limit.ParseRate(x.from)
		if err != nil {
			return l, err //nolint:wrapcheck // said to the reader
		}
		*x.to = r
	}
	if c.Quota != "" {
		r, err := limit.ParseRate(c.Quota)
		if err != nil || r.String()[len(r.String())-1] != 'd' {
			return l, fmt.Errorf("%q is no number a day", c.Quota)
		}
		l.Quota = r.N
	}
	for _, n := range c.Bots {
		p, err := netip.ParsePrefix(n)
		if err != nil {
			return l, fmt.Errorf("%q is no network", n)
		}
		l.Bots = append(l.Bots, p)
	}
	switch c.OnStoreLoss {
	case "", gateway.LossLocal, gateway.LossClosed, gateway.LossOpen:
	default:
		return l, fmt.Errorf("%q is no way to go on", c.OnStoreLoss)
	}
	l.OnStoreLoss = c.OnStoreLoss
	return l, nil
}

// programs are what the gate holds programs to.
func (a *App) programs() (gateway.Programs, error) {
	limits, err := a.config.Gateway.Limits.read()
	p := gateway.Programs{Limits: limits, Plant: a.identity.PlantProgram, Person: a.identity.WouldBe}
	for _, f := range a.config.Gateway.OpenAPI {
		if !filepath.IsAbs(f) {
			f = a.path(f)
		}
		p.Files = append(p.Files, f)
	}
	return p, err
}
