package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Options of a Source. Those without a word on their absence are required.
type Options struct {
	Host      string         // the public host
	Also      []string       // further public names, each with a certificate of its own; no other one is asked for
	Directory string         // of the authority
	Email     string         // of the account; "" = none
	Roots     *x509.CertPool // behind the authority's own door and its certificates; nil = the system's
	HTTPPort  int            // where HTTP-01 is answered here; 0 = not
	TLSPort   int            // where TLS-ALPN-01 is answered here
	Bind      string         // address of both
	Storage   *Storage
	// RenewBefore says how long before its end a certificate is replaced; at most a
	// third of its life.
	RenewBefore func() time.Duration
	Now         func() time.Time
	Log         *slog.Logger
	Told        Told
	Every       time.Duration                             // between two looks whether it is due; 0 = 10 minutes
	Wait        func(context.Context, time.Duration) bool // between two tries for the first one; nil = real time
}

// Told is told of each certificate that came, and of each try that failed.
type Told interface {
	CertificateRenewed(ctx context.Context, host, serial string, until time.Time)
	CertificateRefused(ctx context.Context, host string, err error)
}

// Source is a certificate by ACME. It implements listen.Source.
type Source struct {
	o      Options
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer
	said   atomic.Int64 // when the log was last told of an expired certificate
}

var (
	// ErrNone says that no certificate has come yet.
	ErrNone = errors.New("acme: no certificate has been issued yet")
	// ErrExpired says that the certificate has expired and is not served.
	ErrExpired = errors.New("acme: the certificate has expired")
)

// tries are the times between tries for the first certificate; the last one repeats.
var tries = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute}

const lookEvery = 10 * time.Minute

// New makes a Source. What is stored is served at once; Run gets what is missing.
func New(ctx context.Context, o Options) (*Source, error) {
	if o.Host == "" || o.Directory == "" || o.Storage == nil || o.RenewBefore == nil || o.Now == nil || o.Log == nil || o.Told == nil || o.TLSPort == 0 {
		return nil, errors.New("acme: an option is missing")
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Every == 0 {
		o.Every = lookEvery
	}
	s := &Source{o: o}
	quiet := zap.NewNop() // what matters is told; the rest names tokens
	s.cache = certmagic.NewCache(certmagic.CacheOptions{GetConfigForCert: s.configFor, RenewCheckInterval: o.Every, OCSPCheckInterval: 24 * time.Hour, Logger: quiet})
	s.config = certmagic.New(s.cache, certmagic.Config{Storage: o.Storage, Logger: quiet, OnEvent: s.event, ShouldEmitFunc: heard, OCSP: certmagic.OCSPConfig{DisableStapling: true},
		KeySource: certmagic.StandardKeyGenerator{KeyType: certmagic.P256}, RenewalWindowRatio: 1.0 / 3})
	s.issuer = certmagic.NewACMEIssuer(s.config, certmagic.ACMEIssuer{CA: o.Directory, Email: o.Email, Agreed: true, TrustedRoots: o.Roots,
		DisableHTTPChallenge: o.HTTPPort == 0, AltHTTPPort: o.HTTPPort, AltTLSALPNPort: o.TLSPort, ListenHost: o.Bind, Logger: quiet})
	s.issuer.TestCA = "" // none: a second try goes to the same authority, and it is told what is replaced (RFC 9773 section 5)
	s.config.Issuers = []certmagic.Issuer{s.issuer}
	for _, name := range s.names() {
		if _, err := s.config.CacheManagedCertificate(ctx, name); err != nil {
			o.Log.Info("no certificate is stored yet; it is asked for when the doors are open", "host", name)
		}
	}
	return s, nil
}

// names are all that are asked for, the public host first.
func (s *Source) names() []string { return append([]string{s.o.Host}, s.o.Also...) }

// configFor is the configuration for one certificate: its part of life in which it is
// due follows from the policy, and a third at the most.
func (s *Source) configFor(c certmagic.Certificate) (*certmagic.Config, error) { // clause: crypto.certificates
	of := *s.config
	of.RenewalWindowRatio = 1.0 / 3
	if c.Leaf != nil {
		if life := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore); life > 0 {
			of.RenewalWindowRatio = max(0.01, min(1.0/3, float64(s.o.RenewBefore())/float64(life)))
		}
	}
	return &of, nil
}

// heard are the events of certmagic that say something here. There is one at each
// handshake, which is not made.
func heard(name string) bool { return name == "cert_failed" || name == "cert_obtained" }

// event hears from certmagic.
func (s *Source) event(ctx context.Context, name string, data map[string]any) error {
	if !heard(name) {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	host, _ := data["identifier"].(string)
	if name == "cert_obtained" {
		s.tell(ctx, host)
		return nil
	}
	err, _ := data["error"].(error)
	s.o.Told.CertificateRefused(ctx, host, err)
	s.o.Log.Error("no certificate could be had; it is tried again", "host", host, "err", err)
	return nil
}

// tell makes known what was obtained: from the storage, because it is not served yet.
func (s *Source) tell(ctx context.Context, host string) {
	b, err := s.o.Storage.Load(ctx, certmagic.StorageKeys.SiteCert(s.issuer.IssuerKey(), host))
	if err != nil {
		s.o.Log.Error("a new certificate could not be read back", "err", err)
		return
	}
	leaf, err := firstOf(b)
	if err != nil {
		s.o.Log.Error("a new certificate could not be read back", "err", err)
		return
	}
	s.o.Log.Info("a certificate was issued", "host", host, "until", leaf.NotAfter)
	s.o.Told.CertificateRenewed(ctx, host, fmt.Sprintf("%x", leaf.SerialNumber), leaf.NotAfter)
}

// Run gets the first certificate, and looks after it until ctx ends.
func (s *Source) Run(ctx context.Context) error {
	defer s.cache.Stop()
	for n := 0; ; n++ {
		err := s.config.ManageSync(ctx, s.names())
		if err == nil {
			break
		}
		if ctx.Err() != nil || !s.o.Wait(ctx, tries[min(n, len(tries)-1)]) {
			return nil //nolint:nilerr // the end was asked for
		}
	}
	<-ctx.Done() // the cache renews what it holds
	return nil
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Certificate implements listen.Source. It also answers the authority's TLS-ALPN-01.
func (s *Source) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if s.Challenge(hello) {
		return s.config.GetCertificate(hello) //nolint:wrapcheck // an alert; nobody reads it
	}
	name := s.o.Host
	if slices.Contains(s.o.Also, hello.ServerName) {
		name = hello.ServerName
	}
	c, err := s.current(name)
	if err != nil {
		return nil, err
	}
	if hello.ServerName != "" && c.Leaf.VerifyHostname(hello.ServerName) != nil {
		return nil, errors.New("acme: unknown server name")
	}
	return c, nil
}

// Challenge reports whether a handshake is an authority's look at us (RFC 8737).
func (s *Source) Challenge(hello *tls.ClientHelloInfo) bool {
	return hello != nil && slices.Contains(s.names(), hello.ServerName) && len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == "acme-tls/1"
}

// Answer answers an authority's HTTP-01 at the port that redirects; false when it is none.
func (s *Source) Answer(w http.ResponseWriter, r *http.Request) bool {
	return s.issuer.HandleHTTPChallenge(w, r)
}

// Current implements listen.Source. An expired certificate is an error, not an answer.
func (s *Source) Current() (*tls.Certificate, error) { return s.current(s.o.Host) }

func (s *Source) current(name string) (*tls.Certificate, error) { // clause: crypto.certificates
	c, err := s.find(name)
	if err != nil {
		return nil, ErrNone
	}
	if now := s.o.Now(); now.After(c.Leaf.NotAfter) {
		if last := s.said.Load(); now.UnixNano()-last > int64(time.Minute) && s.said.CompareAndSwap(last, now.UnixNano()) {
			s.o.Log.Error("the certificate has expired and is not served", "host", name, "expired", c.Leaf.NotAfter)
		}
		return nil, ErrExpired
	}
	return c, nil
}

func (s *Source) find(name string) (*tls.Certificate, error) {
	c, err := s.config.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil || c == nil || len(c.Certificate) == 0 {
		return nil, ErrNone
	}
	return c, nil
}

// Roots implements listen.Source.
func (s *Source) Roots() *x509.CertPool { return s.o.Roots }

// firstOf reads the first certificate of a PEM chain.
func firstOf(chain []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(chain)
	if block == nil {
		return nil, errors.New("no certificate")
	}
	return x509.ParseCertificate(block.Bytes) //nolint:wrapcheck // told with its act
}
