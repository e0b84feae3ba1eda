package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// exported is the policy in force as a file that people edit.
func (f *folder) exported(t *testing.T) string {
	t.Helper()
	return must(t, 0, f.writ("policy", "export")).out
}

// edited is a file with the text and one thing changed in one clause.
func edited(t *testing.T, text, id, from, to string) string {
	t.Helper()
	at := strings.Index(text, "- id: "+id+"\n")
	if at < 0 || !strings.Contains(text[at:], from) {
		t.Fatalf("%s does not hold %s", id, from)
	}
	name := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, name, text[:at]+strings.Replace(text[at:], from, to, 1), 0o600)
	return name
}

// A policy may be as loose as the document lets it be written; what the machine refuses
// to do stays refused, at the set-up, at a proposal and at a look before.
func TestPolicyBeyondTheMachine(t *testing.T) { // breaks: auth.min-length, auth.reset-link-lifetime
	t.Parallel()
	s := start(t, setup{})
	s.owner("ana@example.test")
	text := s.exported(t)
	for name, file := range map[string]string{
		"within its own range":    edited(t, text, "auth.min-length", "value: 12", "value: 8"),
		"with a range of its own": edited(t, text, "auth.reset-link-lifetime", "value: 24h, range: [5m, 24h]", "value: 48h, range: [5m, 72h]"),
		"older protocols":         edited(t, text, "crypto.current-public", `["1.2", "1.3"], value: "1.2"`, `["1.0", "1.2", "1.3"], value: "1.0"`),
	} {
		t.Run(name, func(t *testing.T) {
			as := s.writ("policy", "propose", file, "--summary", "Looser than the machine", "--as", "ana@example.test")
			as.password, as.code = aPassword, s.phone("ana@example.test").recovery(t)
			must(t, 1, as, "The modules could not obey this policy", "stays in force")
			must(t, 1, s.writ("policy", "lint", file, "--server"), "a policy that the modules can obey")
			dir := filepath.Join(t.TempDir(), "w")
			must(t, 1, command{args: []string{"init", "--dir", dir, "--app", "https://app.example.com", "--upstream", "http://127.0.0.1:9", "--owner", "ana@example.test", "--policy", file}})
			if _, err := os.Lstat(dir); !os.IsNotExist(err) {
				t.Errorf("the refused set-up left %s", dir)
			}
		})
	}
	if r := must(t, 0, s.writ("policy", "log")); strings.Contains(r.out, "1.1") || strings.Contains(r.out, "2.0") {
		t.Errorf("a refused proposal is kept: %s", r.out)
	}
}

// Those bound to a certified module choose PBKDF2 in the policy: passwords are stored so,
// and the clauses about them hold.
func TestPBKDF2(t *testing.T) {
	t.Parallel()
	first := start(t, setup{})
	file := edited(t, first.exported(t), "auth.hash", "value: argon2id", "value: pbkdf2-hmac-sha256")
	first.stop()
	s := start(t, setup{more: []string{"--policy", file}})
	v := s.customer("maria@orchard.example")
	v.want(401, "POST", "sign-in", obj{"email": "maria@orchard.example", "password": anotherPassword})
	v.want(200, "POST", "password", obj{"current": aPassword, "new": anotherPassword})
	v.want(200, "POST", "sign-in", obj{"email": "maria@orchard.example", "password": anotherPassword})
	must(t, 0, s.writ("policy", "show", "auth.hash"), "pbkdf2-hmac-sha256")
	for _, id := range []string{"auth.hash", "auth.salt", "auth.compare"} {
		must(t, 0, s.writ("check", "--clause", id, "--live"), "pass")
	}
}

// Certificates from files serve a public name, with HSTS, which the name localhost never gets.
func TestCertificateFiles(t *testing.T) { // breaks: crypto.certificates
	t.Parallel()
	f := newFolder(t, setup{})
	if a := f.serve().visitor().page("/-/sign-in"); a.status != 200 || a.header.Get("Strict-Transport-Security") != "" {
		t.Errorf("localhost: %v", a)
	}

	dir := filepath.Join(t.TempDir(), "w")
	port := freePort(t)
	must(t, 0, command{args: []string{"init", "--dir", dir, "--app", "https://app.example.com", "--upstream", newApplication(t).url, "--owner", "ana@example.test", "--https", "127.0.0.1:" + port}})
	f = &folder{t: t, dir: dir, port: port, origin: "https://app.example.com"}
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certify(t, "app.example.com", cert, key)
	plain, err := os.ReadFile(filepath.Join(dir, "writ.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	with := func(lines string) {
		t.Helper()
		write(t, filepath.Join(dir, "writ.yaml"), string(plain)+lines, 0o600)
	}
	with("tls: {cert: " + cert + "}\n")
	must(t, 1, f.writ("serve"), "both tls.cert and tls.key")
	with("tls: {cert: " + cert + ", key: " + key + ".none}\n")
	must(t, 1, f.writ("serve"), key+".none")
	other := filepath.Join(t.TempDir(), "other.pem")
	certify(t, "app.example.com", filepath.Join(t.TempDir(), "cert.pem"), other)
	with("tls: {cert: " + cert + ", key: " + other + "}\n")
	must(t, 1, f.writ("serve"), "do not fit")
	with("tls: {cert: " + cert + ", key: " + key + "}\n")
	s := f.serve()
	if err := os.MkdirAll(filepath.Join(dir, "ca"), 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ca", "ca.pem"), string(b), 0o600) // for the visitor, who trusts no other
	if a := s.visitor().page("/-/sign-in"); a.status != 200 || !strings.HasPrefix(a.header.Get("Strict-Transport-Security"), "max-age=31536000") {
		t.Errorf("a public name: %v", a)
	}
	s.stop()
}

// certify writes a certificate that signs itself, and its key.
func certify(t *testing.T, host, cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o600)
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})), 0o600)
}
