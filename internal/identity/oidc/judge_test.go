package oidc_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"crypto/x509"

	op "writ/internal/identity/oidc"
)

// now opens a world whose clock shows the machine's time, for programs that have their own.
func now(t *testing.T) *world {
	t.Helper()
	w := open(t)
	w.kit.Clock.Set(time.Now().UTC().Truncate(time.Microsecond))
	return w
}

// files writes the server's certificate and key, which also serve a client on loopback.
func (w *world) files(dir string) (cert, key string) {
	w.t.Helper()
	c := w.srv.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		w.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, b := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return cert, key
}

const apacheModules = "/usr/lib/apache2/modules/"

// mod_auth_openidc, a certified client in Apache, signs somebody in and out.
func TestModAuthOpenIDC(t *testing.T) {
	apache, err := exec.LookPath("apache2")
	if err != nil {
		t.Skip("no apache2 here; scripts/need.sh installs it")
	}
	if _, err := os.Stat(apacheModules + "mod_auth_openidc.so"); err != nil {
		t.Skip("no mod_auth_openidc here; scripts/need.sh installs it")
	}
	w := now(t)
	_, email := w.customer("ana")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	site := "https://" + addr
	a := w.register(op.NewClient{Redirects: []string{site + "/in/cb"}, After: []string{site + "/bye/"}})
	dir := t.TempDir()
	cert, key := w.files(dir)
	root := filepath.Join(dir, "www")
	for name, text := range map[string]string{"in/index.html": "the inner page", "bye/index.html": "good bye"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf := &bytes.Buffer{}
	for _, m := range []string{"mpm_event", "authn_core", "authz_core", "authz_user", "socache_shmcb", "ssl", "dir", "auth_openidc"} {
		fmt.Fprintf(conf, "LoadModule %s_module %smod_%s.so\n", m, apacheModules, m)
	}
	if os.Geteuid() == 0 {
		fmt.Fprint(conf, "User www-data\nGroup www-data\n")
	}
	fmt.Fprintf(conf, `ServerRoot %[1]s
DefaultRuntimeDir %[1]s
ServerName 127.0.0.1
PidFile %[1]s/pid
Mutex file:%[1]s default
ErrorLog %[1]s/error.log
LogLevel auth_openidc:info
Listen %[2]s https
SSLEngine on
SSLCertificateFile %[3]s
SSLCertificateKeyFile %[4]s
DocumentRoot %[5]s
DirectoryIndex index.html
OIDCProviderMetadataURL %[6]s/.well-known/openid-configuration
OIDCClientID %[7]s
OIDCClientSecret %[8]s
OIDCRedirectURI https://%[2]s/in/cb
OIDCCryptoPassphrase a-passphrase-of-a-test
OIDCPKCEMethod S256
OIDCScope "openid email"
OIDCSSLValidateServer Off
OIDCProviderTokenEndpointAuth client_secret_basic
<Location /in/>
AuthType openid-connect
Require claim email:%[9]s
</Location>
`, dir, addr, cert, key, root, w.base, a.client.ID, a.secret, email)
	file := filepath.Join(dir, "apache.conf")
	if err := os.WriteFile(file, conf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) { // its workers run as another account
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(apache, "-f", file, "-DFOREGROUND") // not of t.Context: killed with it, it would leave its workers
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Logf("apache: %s", b)
		}
	})
	b := w.browser()
	// hop goes one step at the client's site and returns body and where it leads.
	hop := func(to string) (string, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", to, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		var res *http.Response
		for range 200 {
			if res, err = b.c.Do(r); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text), res.Header.Get("Location")
	}
	first, to := hop(site + "/in/")
	if !strings.HasPrefix(to, w.base+"/-/oidc/authorize?") {
		t.Fatalf("apache leads to %q: %s", to, first)
	}
	p := b.signIn(to, email)
	if !strings.HasPrefix(p.out, site+"/in/cb?") {
		t.Fatalf("led to %s %s", p.out, p.body)
	}
	body, to := hop(p.out)
	if to != site+"/in/" {
		t.Fatalf("the callback leads to %q: %s", to, body)
	}
	if body, _ = hop(to); body != "the inner page" {
		t.Fatalf("the page: %s", body)
	}
	_, to = hop(site + "/in/cb?logout=" + site + "/bye/")
	if !strings.HasPrefix(to, w.base+"/-/oidc/logout?") {
		t.Fatalf("the sign-out leads to %q", to)
	}
	if p := b.get(to); p.out != site+"/bye/" {
		t.Errorf("after the sign-out: %s %s", p.out, p.body)
	}
	if p := b.get("/-/account"); !strings.HasPrefix(p.path, "/-/sign-in") {
		t.Error("still signed in")
	}
}

const nodeClient = "openid-client@6.9.0"

// nodeScript is what a program with openid-client does: everything it knows of a provider.
const nodeScript = `import * as oc from 'openid-client'
import readline from 'node:readline/promises'
const [issuer, id, secret, redirect, bye] = process.argv.slice(2)
const config = await oc.discovery(new URL(issuer), id, undefined, oc.ClientSecretBasic(secret))
const verifier = oc.randomPKCECodeVerifier(), state = oc.randomState(), nonce = oc.randomNonce()
const to = await oc.buildAuthorizationUrlWithPAR(config, { redirect_uri: redirect, scope: 'openid email', state, nonce,
  code_challenge: await oc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256' })
console.log(to.href)
const back = await readline.createInterface({ input: process.stdin }).question('')
const tokens = await oc.authorizationCodeGrant(config, new URL(back), { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true })
const info = await oc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
const fresh = await oc.refreshTokenGrant(config, tokens.refresh_token)
const before = await oc.tokenIntrospection(config, fresh.access_token)
await oc.tokenRevocation(config, fresh.refresh_token)
const after = await oc.tokenIntrospection(config, fresh.access_token)
console.log(JSON.stringify({ email: info.email, sub: tokens.claims().sub, before: before.active, after: after.active,
  out: oc.buildEndSessionUrl(config, { post_logout_redirect_uri: bye, id_token_hint: fresh.id_token }).href }))
process.exit(0)
`

// npm's openid-client, a certified client, does everything it knows.
func TestOpenIDClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node here; scripts/need.sh installs npm")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, "writ-tests", nodeClient)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "openid-client")); err != nil {
		npm, err := exec.LookPath("npm")
		if err != nil {
			t.Skip("no openid-client here and no npm to fetch it")
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--no-package-lock", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", nodeClient).CombinedOutput(); err != nil {
			t.Skipf("npm could not fetch %s: %v %s", nodeClient, err, out)
		}
	}
	script := filepath.Join(dir, "client.mjs")
	if err := os.WriteFile(script, []byte(nodeScript), 0o600); err != nil {
		t.Fatal(err)
	}
	w := now(t)
	id, email := w.customer("ana")
	const bye = "https://127.0.0.1:4443/bye"
	must := true
	a := w.register(op.NewClient{After: []string{bye}, RequirePAR: &must, Alg: "ES256"})
	cert, _ := w.files(t.TempDir())
	cmd := exec.CommandContext(t.Context(), node, script, w.base, a.client.ID, a.secret, a.redirect, bye)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_EXTRA_CA_CERTS=" + cert}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &bytes.Buffer{}
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		_ = cmd.Wait()
		t.Fatalf("no address: %s", said)
	}
	b := w.browser()
	p := b.signIn(lines.Text(), email)
	if _, err := io.WriteString(in, p.out+"\n"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Email, Sub, Out string
		Before, After   bool
	}
	lines.Scan()
	if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
		_ = cmd.Wait()
		t.Fatalf("%v: %s %s", err, lines.Text(), said)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if got.Email != email || got.Sub != id || !got.Before || got.After {
		t.Errorf("%+v", got)
	}
	if p := b.get(got.Out); p.out != bye {
		t.Errorf("its sign-out led to %s %s", p.out, p.body)
	}
}
