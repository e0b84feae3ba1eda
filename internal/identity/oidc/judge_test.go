package oidc_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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

// mod_auth_openidc, a certified client in Apache, signs somebody in and out, refreshes, and
// takes our logout token.
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
	a := w.register(op.NewClient{Redirects: []string{site + "/in/cb"}, After: []string{site + "/bye/"}, Back: site + "/in/cb?logout=backchannel"})
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
OIDCInfoHook access_token
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
	token := func() string {
		t.Helper()
		var held struct {
			Access string `json:"access_token"`
		}
		text, _ := hop(site + "/in/cb?info=json")
		if err := json.Unmarshal([]byte(text), &held); err != nil || held.Access == "" {
			t.Fatalf("it holds no token: %v %s", err, text)
		}
		return held.Access
	}
	first = token()
	if _, to = hop(site + "/in/cb?" + url.Values{"refresh": {site + "/in/"}, "access_token": {first}}.Encode()); to != site+"/in/" {
		t.Fatalf("the refresh leads to %q", to)
	}
	if fresh := token(); fresh == first || w.userinfo(fresh).field("email") != email {
		t.Error("it refreshed nothing")
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

	// Signed in again, and out on a page of ours: the back channel ends the session there.
	_, to = hop(site + "/in/")
	hop(b.signIn(to, email).out)
	if body, _ = hop(site + "/in/"); body != "the inner page" {
		t.Fatalf("the page, the second time: %s", body)
	}
	b.press(b.get("/-/sign-out"))
	for range 500 {
		if _, to = hop(site + "/in/"); to != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !strings.HasPrefix(to, w.base+"/-/oidc/authorize?") || w.recorded("identity.backchannel-logout-lost") != 0 {
		t.Errorf("told of the sign-out, it leads to %q", to)
	}
}
