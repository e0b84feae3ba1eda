package gateway

import (
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/listen"
)

// Rules are what the policy says of the gate.
type Rules struct {
	Ceiling     string   `clause:"use.no-automation/default"`      // anyone, signed-in or role: the least a caller must be where no rule names the path
	PublicPaths []string `clause:"use.no-automation/public_paths"` // /x is that page alone; /x/ is all below; / is the home page alone

	TLSMin  string   `clause:"crypto.current-public/tls_min"` // 1.2 or 1.3
	Ciphers string   `clause:"crypto.current-public/ciphers"` // aead
	Deny    []string `clause:"crypto.current-public/deny"`

	HSTS         time.Duration `clause:"crypto.tls-in-transit/hsts"`
	RenewBefore  time.Duration `clause:"crypto.certificates/renew_before"`
	PaymentPaths []string      `clause:"crypto.payment-pages/paths"` // /x is that page and all below
	Public       []string      `clause:"net.private/public"`         // which services may be reached from outside
	Gateways     []string      `clause:"net.gateway-only/gateways"`  // by which ways private systems reach the outside; none = by no way
	Zones        int64         `clause:"host.two-zones/zones"`       // in how many the application must be well
	ZoneShare    int64         `clause:"host.two-zones/share"`       // of the services, in hundredths of a per cent: more than that
	Failover     time.Duration `clause:"host.auto-recovery/failover"`
	FrozenWrites int64         `clause:"inc.loss-freeze/writes"` // how many changes the application takes while it is closed to them
	CacheClasses []string      `clause:"host.cdn/classes"`       // static files that are served from memory

	APISpec   string `clause:"use.public-api/spec"`   // openapi: what programs reach is what a description of the interface names
	APIKeys   string `clause:"use.public-api/keys"`   // required: a described operation is for known callers
	APILimits string `clause:"use.public-api/limits"` // required: each token has a limit, also where no route says one
	NoCard    string `clause:"data.no-card/mode"`     // block, redact or warn
	Detector  string `clause:"data.no-card/detector"` // luhn-iin
	Keep      int64  `clause:"data.card-summary/keep"`
	NoSSN     string `clause:"data.no-ssn/mode"` // block, warn or notice
	NoPHI     string `clause:"data.no-phi/mode"` // notice
}

// Validate implements clause.Validator: values that this build cannot uphold are not adopted.
func (r *Rules) Validate() error {
	if _, ok := levels[r.Ceiling]; !ok {
		return fmt.Errorf("use.no-automation/default is %q; this gate knows anyone, signed-in and role", r.Ceiling)
	}
	for key, paths := range map[string][]string{"use.no-automation/public_paths": r.PublicPaths, "crypto.payment-pages/paths": r.PaymentPaths} {
		for _, p := range paths {
			if t, bad := parseTarget(p); bad != nil || t.marked {
				return fmt.Errorf("%s: %q is not a plain path", key, p)
			}
		}
	}
	for _, c := range r.CacheClasses {
		if classes[c] == nil {
			return fmt.Errorf("host.cdn/classes names %q; this gate knows %s", c, strings.Join(slices.Sorted(maps.Keys(classes)), ", "))
		}
	}
	if r.TLSMin != "1.2" && r.TLSMin != "1.3" {
		return fmt.Errorf("crypto.current-public/tls_min is %q; this gate knows 1.2 and 1.3", r.TLSMin)
	}
	if !strings.EqualFold(r.Ciphers, "aead") {
		return fmt.Errorf("crypto.current-public/ciphers is %q; this gate has only aead", r.Ciphers)
	}
	for _, d := range r.Deny { // clause: crypto.current-public
		if s := served(d); s != "" {
			return fmt.Errorf("crypto.current-public/deny names %s, which %s needs; a gate without it is not in this build", d, s)
		}
	}
	for _, way := range r.Gateways { // clause: net.gateway-only
		if way != "gateway" {
			return fmt.Errorf("net.gateway-only/gateways names %q; this gate knows gateway", way)
		}
	}
	if r.FrozenWrites != 0 {
		return fmt.Errorf("inc.loss-freeze/writes is %d; this gate lets none through", r.FrozenWrites)
	}
	if r.APISpec != "openapi" {
		return fmt.Errorf("use.public-api/spec is %q; this gate knows openapi", r.APISpec)
	}
	for key, v := range map[string]string{"use.public-api/keys": r.APIKeys, "use.public-api/limits": r.APILimits} {
		if v != required && v != "optional" {
			return fmt.Errorf("%s is %q; this gate knows required and optional", key, v)
		}
	}
	if err := r.validateGuard(); err != nil {
		return err
	}
	if r.HSTS < 0 || r.RenewBefore < 0 {
		return fmt.Errorf("durations of crypto.tls-in-transit and crypto.certificates cannot be negative")
	}
	return nil
}

// required is the stricter value of what may be optional.
const required = "required"

// MinTLS is the oldest protocol version in force, for listen.TLSConfig.
func (g *Gateway) MinTLS() uint16 {
	if g.rules.Get().TLSMin == "1.3" { // clause: crypto.current-public
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// RenewBefore is how early certificates are replaced, for listen.OpenAuthority.
func (g *Gateway) RenewBefore() time.Duration { return g.rules.Get().RenewBefore } // clause: crypto.certificates

// served returns the cipher suite in use that has a denied part, "" when there is none.
func served(denied string) string {
	want := strings.ToUpper(denied)
	if want == "SHA1" || want == "SHA-1" {
		want = "SHA" // as suite names spell it
	}
	for _, id := range append(listen.Suites(false), tls.TLS_AES_128_GCM_SHA256, tls.TLS_CHACHA20_POLY1305_SHA256) {
		if name := tls.CipherSuiteName(id); slices.Contains(strings.Split(name, "_"), want) {
			return name
		}
	}
	return ""
}

// Keep is how many digits of a card's number may be kept or shown.
func (g *Gateway) Keep() int { // clause: data.card-summary
	if g.table.Load() == nil { // the policy is not read yet
		return 0
	}
	return int(g.rules.Get().Keep)
}
