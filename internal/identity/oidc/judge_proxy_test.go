package oidc_test

import (
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	op "writ/internal/identity/oidc"
)

// oauth2-proxy before an application signs somebody in, refreshes by itself, and signs
// them out here too.
func TestOAuth2Proxy(t *testing.T) {
	program := built(t, "oauth2-proxy-v7.8.1")
	w := now(t)
	_, email := w.customer("ana")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	site := "https://" + addr
	a := w.register(op.NewClient{Redirects: []string{site + "/oauth2/callback"}, After: []string{bye}})
	dir := t.TempDir()
	cert, key := w.files(dir)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(t.Context(), program, "--provider=oidc", "--oidc-issuer-url="+w.base, "--client-id="+a.client.ID, "--client-secret="+a.secret, "--redirect-url="+a.redirect,
		"--scope=openid email", "--code-challenge-method=S256", "--provider-ca-file="+cert, "--https-address="+addr, "--http-address=", "--tls-cert-file="+cert, "--tls-key-file="+key,
		"--cookie-secret=0123456789abcdef0123456789abcdef", "--cookie-refresh=1s", "--email-domain=example.test", "--upstream=static://200", "--skip-provider-button",
		"--pass-access-token", "--set-xauthrequest", "--whitelist-domain="+strings.TrimPrefix(w.base, "https://"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(log.Name())
			t.Logf("oauth2-proxy: %s", b)
		}
	})
	b := w.browser()
	hop := func(to string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", to, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		var res *http.Response
		for range 500 {
			if res, err = b.c.Do(r); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res
	}
	res := hop(site + "/")
	to := res.Header.Get("Location")
	if !strings.HasPrefix(to, w.base+"/-/oidc/authorize?") {
		t.Fatalf("it leads to %q: %d", to, res.StatusCode)
	}
	p := b.signIn(to, email)
	if res = hop(p.out); res.Header.Get("Location") != "/" {
		t.Fatalf("the callback %s leads to %q: %d", p.out, res.Header.Get("Location"), res.StatusCode)
	}
	if res = hop(site + "/"); res.StatusCode != 200 {
		t.Fatalf("the application: %d", res.StatusCode)
	}
	res = hop(site + "/oauth2/auth")
	first := res.Header.Get("X-Auth-Request-Access-Token")
	if res.Header.Get("X-Auth-Request-Email") != email || first == "" {
		t.Fatalf("it knows %v", res.Header)
	}
	fresh := first
	for range 1000 { // it refreshes what is a second old
		if fresh = hop(site + "/oauth2/auth").Header.Get("X-Auth-Request-Access-Token"); fresh != first {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if fresh == first || fresh == "" || w.userinfo(fresh).field("email") != email {
		t.Errorf("it refreshed nothing: %q", fresh)
	}
	out := w.base + "/-/oidc/logout?" + url.Values{"client_id": {a.client.ID}, "post_logout_redirect_uri": {bye}}.Encode()
	if to = hop(site + "/oauth2/sign_out?" + url.Values{"rd": {out}}.Encode()).Header.Get("Location"); to != out {
		t.Fatalf("its sign-out leads to %q", to)
	}
	if p := b.press(b.get(to)); p.out != bye || b.get("/-/account").path == "/-/account" {
		t.Errorf("after the sign-out: %s %s", p.out, p.body)
	}
	if to = hop(site + "/").Header.Get("Location"); !strings.HasPrefix(to, w.base+"/-/oidc/authorize?") || w.userinfo(fresh).status != 401 {
		t.Errorf("signed out, the application leads to %q", to)
	}
}
