package listen

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"writ/internal/fault"
)

// Source is where a listener's certificate comes from.
type Source interface {
	// Certificate returns what to show to this client, renewed or reloaded by itself.
	Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Current returns the certificate as it would be shown now.
	Current() (*tls.Certificate, error)
	// Roots are what the chain ends in when that is not known to the machine; nil for the system's.
	Roots() *x509.CertPool
}

// Challenger is a Source that an authority looks at by TLS-ALPN-01 (RFC 8737).
type Challenger interface {
	Challenge(hello *tls.ClientHelloInfo) bool
}

// Suites lists the TLS 1.2 cipher suites in use: ephemeral key exchange, authenticated
// encryption (RFC 9325 section 4.2). TLS 1.3 has no others. In the FIPS profile
// ChaCha20-Poly1305 is left out.
func Suites(fips bool) []uint16 { // clause: crypto.current-public
	s := []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	}
	if !fips {
		s = append(s, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)
	}
	return s
}

// TLSConfig is the server side of every public listener. min is read at each
// handshake, so that a revision of the policy holds for the next connection; what it
// returns below TLS 1.2 counts as TLS 1.2. min may be nil. now turns the keys of tickets.
func TLSConfig(certs Source, min func() uint16, fips bool, now func() time.Time) *tls.Config {
	return new(Tickets).TLSConfig(certs, min, fips, now)
}

// TLSConfig is TLSConfig for a listener whose tickets these are. Call it once.
func (t *Tickets) TLSConfig(certs Source, min func() uint16, fips bool, now func() time.Time) *tls.Config {
	c := &tls.Config{
		GetCertificate: certs.Certificate,
		MinVersion:     tls.VersionTLS12, // clause: crypto.current-public
		CipherSuites:   Suites(fips),
		NextProtos:     []string{"h2", "http/1.1"},
	}
	c.CurvePreferences = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256}
	if fips {
		c.CurvePreferences = []tls.CurveID{tls.CurveP256, tls.CurveP384}
	}
	challenged, _ := certs.(Challenger)
	newest, look := c.Clone(), c.Clone()
	newest.MinVersion = tls.VersionTLS13
	look.NextProtos = []string{"acme-tls/1"}
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		t.turn(c, now()) // the other two have none of their own, and take these
		if challenged != nil && challenged.Challenge(hello) {
			return look, nil
		}
		if min != nil && min() >= tls.VersionTLS13 {
			return newest, nil
		}
		return nil, nil //nolint:nilnil // nil means: go on with the outer configuration
	}
	return c
}

// Check says whether a certificate may be shown for the hosts at t: the key fits, the
// time is inside, the names are covered, no link of the chain is signed with MD5 or
// SHA-1, keys are strong enough. The fault says what to do.
func Check(c *tls.Certificate, hosts []string, t time.Time) error { // clause: crypto.certificates
	if len(c.Certificate) == 0 {
		return refused("The certificate file holds no certificate.", "A PEM chain, the server's own certificate first.", "Give the file that ends in fullchain.pem, or the like.")
	}
	leaf := c.Leaf
	if leaf == nil {
		var err error
		if leaf, err = x509.ParseCertificate(c.Certificate[0]); err != nil {
			return refused("The certificate cannot be read: "+err.Error()+".", "An X.509 certificate.", "Ask its issuer for a new one.")
		}
	}
	if t.After(leaf.NotAfter) {
		return refused("The certificate expired on "+leaf.NotAfter.UTC().Format(time.DateOnly)+".", "One that is valid now.", "Renew it; the new files are taken up by themselves.")
	}
	if t.Before(leaf.NotBefore) {
		return refused("The certificate is valid only from "+leaf.NotBefore.UTC().Format(time.RFC3339)+".", "One that is valid now.", "Check the machine's clock, or wait.")
	}
	for _, h := range hosts {
		if leaf.VerifyHostname(h) != nil {
			return refused(fmt.Sprintf("The certificate does not cover %s; it names %s.", h, names(leaf)), "One that names every public host.", "Ask for a certificate with that name.")
		}
	}
	return checkChain(c, leaf)
}

func checkChain(c *tls.Certificate, leaf *x509.Certificate) error {
	if !strong(leaf) {
		return refused("The certificate's key is too weak.", "RSA of at least 2048 bits, ECDSA P-256 or better, or Ed25519.", "Make a new key and ask for a new certificate.")
	}
	child := leaf
	for _, der := range append(slices.Clone(c.Certificate[1:]), nil) {
		if selfSigned := child.CheckSignatureFrom(child) == nil; !selfSigned && slices.Contains(brokenHashes, child.SignatureAlgorithm) { // clause: crypto.current-public
			return refused("The chain holds a certificate signed with "+child.SignatureAlgorithm.String()+".", "SHA-256 or better.", "Ask the issuer for a current chain.")
		}
		if der == nil {
			return nil
		}
		parent, err := x509.ParseCertificate(der)
		if err != nil {
			return refused("The chain cannot be read: "+err.Error()+".", "", "Ask the issuer for the chain again.")
		}
		if err := child.CheckSignatureFrom(parent); err != nil {
			return refused("The chain is out of order: "+child.Subject.String()+" is not signed by the one after it.", "The server's certificate first, then each issuer.", "Put the certificates in that order.")
		}
		child = parent
	}
	return nil
}

var brokenHashes = []x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1}

func strong(leaf *x509.Certificate) bool {
	switch k := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		return k.Curve.Params().BitSize >= 256
	}
	return leaf.PublicKeyAlgorithm == x509.Ed25519
}

func names(leaf *x509.Certificate) string {
	all := slices.Clone(leaf.DNSNames)
	for _, ip := range leaf.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no host"
	}
	return strings.Join(all, ", ")
}

func refused(problem, expected, next string) error {
	return fault.New(fault.Invalid, "certificate", fault.Public{Problem: problem, Expected: expected, Next: next})
}

// covers answers an unknown server name with an alert. A client that sends none (it
// dialled an address) gets the certificate and judges for itself.
func covers(c *tls.Certificate, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello == nil || hello.ServerName == "" {
		return c, nil
	}
	if err := c.Leaf.VerifyHostname(hello.ServerName); err != nil {
		return nil, errors.New("listen: unknown server name")
	}
	return c, nil
}

// Loopback reports whether a host name can only mean this machine: localhost, names
// under it, and loopback addresses.
func Loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}
