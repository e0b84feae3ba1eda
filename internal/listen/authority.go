package listen

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/fault"
)

const (
	authorityLife = 5 * 365 * 24 * time.Hour
	leafLife      = 90 * 24 * time.Hour
	backdate      = time.Hour // for clients whose clock is behind
)

// Authority is a certificate authority of this machine's own, for loopback, trials
// and the demo. Its certificate is name-constrained (RFC 5280 section 4.2.1.10): even
// with its key nobody can speak for another site to a browser that trusts it.
type Authority struct {
	o    AuthorityOptions
	cert *x509.Certificate
	key  crypto.Signer
	path string

	mu   sync.Mutex // one renewal at a time
	leaf atomic.Pointer[tls.Certificate]
}

// AuthorityOptions say where the authority lies and what it speaks for.
type AuthorityOptions struct {
	Dir   string   // holds ca.pem, ca.key (0600), leaf.pem, leaf.key (0600); made when missing
	Hosts []string // names and addresses of the public origin; localhost and 127.0.0.1 are always in
	// RenewBefore says how long before its end a leaf is replaced; at most a third of
	// its life. Nil means 30 days. It is asked at handshakes only, not by OpenAuthority.
	RenewBefore func() time.Duration
	Now         func() time.Time
}

// OpenAuthority reads the authority in Dir or makes it. It refuses one that is
// readable by others, has expired, or may not speak for the hosts.
func OpenAuthority(o AuthorityOptions) (*Authority, error) {
	if o.Dir == "" || o.Now == nil {
		return nil, errors.New("listen: an authority needs Dir and Now")
	}
	for _, h := range []string{"localhost", "127.0.0.1", "::1"} {
		if !slices.Contains(o.Hosts, h) {
			o.Hosts = append(slices.Clone(o.Hosts), h)
		}
	}
	a := &Authority{o: o, path: filepath.Join(o.Dir, "ca.pem")}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of the local authority: %w", err)
	}
	pair, err := readPair(a.path, filepath.Join(o.Dir, "ca.key"))
	if errors.Is(err, fs.ErrNotExist) {
		if pair, err = a.create(); err == nil {
			err = writePair(pair, a.path, filepath.Join(o.Dir, "ca.key"))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open local authority: %w", err)
	}
	a.cert, a.key = pair.Leaf, pair.PrivateKey.(crypto.Signer)
	if err := a.check(); err != nil {
		return nil, err
	}
	if old, err := readPair(filepath.Join(o.Dir, "leaf.pem"), filepath.Join(o.Dir, "leaf.key")); err == nil &&
		old.Leaf.CheckSignatureFrom(a.cert) == nil && Check(old, o.Hosts, o.Now()) == nil {
		a.leaf.Store(old)
		return a, nil // renewed at a handshake, if it is due: RenewBefore may not be answerable yet
	}
	return a, a.renew()
}

// CertPath is the file with the authority's certificate: what a browser imports.
func (a *Authority) CertPath() string { return a.path }

// Roots implements Source.
func (a *Authority) Roots() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// Certificate implements Source.
func (a *Authority) Certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c, err := a.Current()
	if err != nil {
		return nil, err
	}
	return covers(c, hello)
}

// Current implements Source. It replaces the leaf when its time is near.
func (a *Authority) Current() (*tls.Certificate, error) {
	if c := a.leaf.Load(); c != nil && !a.due(c.Leaf) {
		return c, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.leaf.Load(); c != nil && !a.due(c.Leaf) {
		return c, nil
	}
	err := a.renew()
	if c := a.leaf.Load(); c != nil && a.o.Now().Before(c.Leaf.NotAfter) {
		return c, nil // still good; the next handshake tries again
	}
	return a.leaf.Load(), err
}

// renew puts a new leaf in place.
func (a *Authority) renew() error {
	c, err := a.issue()
	if err != nil {
		return fmt.Errorf("issue a certificate: %w", err)
	}
	a.leaf.Store(c)
	// A folder that cannot be written costs a new leaf at the next start, nothing more.
	_ = writePair(c, filepath.Join(a.o.Dir, "leaf.pem"), filepath.Join(a.o.Dir, "leaf.key"))
	return nil
}

func (a *Authority) due(leaf *x509.Certificate) bool { // clause: crypto.certificates
	before := 30 * 24 * time.Hour
	if a.o.RenewBefore != nil {
		before = a.o.RenewBefore()
	}
	before = min(before, leaf.NotAfter.Sub(leaf.NotBefore)/3)
	// A leaf cut short by the end of the authority cannot be made longer.
	return a.o.Now().Add(before).After(leaf.NotAfter) && leaf.NotAfter.Before(a.cert.NotAfter)
}

func (a *Authority) create() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	now := a.o.Now()
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Writ local authority on " + host},
		NotBefore: now.Add(-backdate), NotAfter: now.Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,

		PermittedDNSDomainsCritical: true,
		PermittedIPRanges: []*net.IPNet{
			{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)}, {IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
		},
	}
	for _, h := range a.o.Hosts {
		if ip := net.ParseIP(h); ip == nil {
			t.PermittedDNSDomains = append(t.PermittedDNSDomains, h)
		} else if v4 := ip.To4(); v4 != nil && !ip.IsLoopback() {
			t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: v4, Mask: net.CIDRMask(32, 32)})
		} else if v4 == nil && !ip.IsLoopback() {
			t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)})
		}
	}
	return sign(t, t, key, key)
}

// check refuses an authority that could not issue a certificate any client accepts.
func (a *Authority) check() error {
	again := "Move the folder " + a.o.Dir + " away and start again: a new authority is made, which browsers must import anew."
	now := a.o.Now()
	if now.Add(24 * time.Hour).After(a.cert.NotAfter) {
		return refused("The local authority ended on "+a.cert.NotAfter.UTC().Format(time.DateOnly)+".", "", again)
	}
	probe, err := a.issue()
	if err != nil {
		return fmt.Errorf("try the local authority: %w", err)
	}
	for _, h := range a.o.Hosts {
		if _, err := probe.Leaf.Verify(x509.VerifyOptions{Roots: a.Roots(), DNSName: hostForVerify(h), CurrentTime: now}); err != nil {
			return refused("The local authority may not speak for "+a.foreign(h)+".", "It is bound to the hosts it was made for.", again)
		}
	}
	return nil
}

// foreign is the name that the authority is not bound to, where there is one: because of it no
// name of the certificate would be taken.
func (a *Authority) foreign(h string) string {
	for _, name := range a.o.Hosts {
		if net.ParseIP(name) == nil && !slices.ContainsFunc(a.cert.PermittedDNSDomains, func(d string) bool { return name == d || strings.HasSuffix(name, "."+d) }) {
			return name
		}
	}
	return h
}

func (a *Authority) issue() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // browsers do not take Ed25519
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	now := a.o.Now()
	end := now.Add(leafLife)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	t := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: a.o.Hosts[0]},
		NotBefore: now.Add(-backdate), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, h := range a.o.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return sign(t, a.cert, key, a.key)
}

func sign(t, parent *x509.Certificate, key *ecdsa.PrivateKey, by crypto.Signer) (*tls.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back a certificate: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails since Go 1.24
	b[0] &= 0x7f
	b[15] |= 1
	return new(big.Int).SetBytes(b)
}

func hostForVerify(h string) string {
	if ip := net.ParseIP(h); ip != nil && ip.To4() == nil {
		return "[" + h + "]"
	}
	return h
}

// readPair reads a certificate and its key, and refuses a key that others can read.
func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	fi, err := os.Stat(keyFile)
	if err != nil {
		return nil, fmt.Errorf("look at the key: %w", err)
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return nil, fault.New(fault.Invalid, "key_readable", fault.Public{
			Problem: "Others on this machine can read " + keyFile + ".", Expected: "Mode 0600.", Next: "Run: chmod 600 " + keyFile})
	}
	c, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate and key: %w", err)
	}
	return &c, nil
}

// writePair writes the key first, so that a certificate file means its key is there.
func writePair(c *tls.Certificate, certFile, keyFile string) error {
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	if err := writeFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	return writeFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o644)
}

// writeFile replaces a file in one step.
func writeFile(name string, b []byte, mode os.FileMode) error {
	tmp := name + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(tmp, name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
