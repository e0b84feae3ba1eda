package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/gateway"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

const askPath = "/-/forward-auth"

// claimsOf reads an assertion without checking it.
func claimsOf(t *testing.T, assertion string) map[string]any {
	t.Helper()
	m := map[string]any{}
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return m
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestForwardAuth(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{routes: tokenRoutes + "- {path: /admin/, who: role, roles: [admin]}\n", proxies: loopback, hosts: []string{"shop.example.test"}})
	k.sessions.programs = map[string]actor.Actor{"writ_svc_read": machine("read", []string{"member"}, "orders:read")}
	c := k.client()
	host := strings.TrimPrefix(k.base, "https://")
	forwarded := func(method, host, uri string, more ...string) []string {
		return append([]string{"X-Forwarded-Method: " + method, "X-Forwarded-Proto: https", "X-Forwarded-Host: " + host, "X-Forwarded-Uri: " + uri}, more...)
	}
	original := func(method, url string, more ...string) []string {
		return append([]string{"X-Original-Method: " + method, "X-Original-Url: " + url}, more...)
	}
	html := "Accept: text/html,*/*"
	for name, x := range map[string]struct {
		head     []string
		status   int
		location string
	}{
		"public":                       {forwarded("GET", host, "/open/x"), 200, ""},
		"signed in":                    {forwarded("GET", host, "/things?a=b", asAna), 200, ""},
		"signed in, nginx":             {original("GET", k.base+"/things?a=b", asAna), 200, ""},
		"both alike":                   {append(forwarded("GET", host, "/things", asAna), original("GET", k.base+"/things")...), 200, ""},
		"another host":                 {forwarded("POST", "shop.example.test", "/things", asAna), 200, ""},
		"token":                        {forwarded("GET", host, "/orders/1", "Authorization: Bearer writ_svc_read"), 200, ""},
		"token without the scope":      {forwarded("GET", host, "/people/1", "Authorization: Bearer writ_svc_read"), 403, ""},
		"wrong token":                  {forwarded("GET", host, "/orders/1", "Authorization: Bearer writ_svc_none", html), 401, ""},
		"the application's own token":  {forwarded("GET", host, "/open/x", "Authorization: Bearer theirs"), 200, ""},
		"stranger":                     {forwarded("GET", host, "/things"), 401, ""},
		"browser":                      {forwarded("GET", host, "/things?a=b", html), 302, "https://" + host + "/-/sign-in?to=%2Fthings%3Fa%3Db"},
		"browser, another host":        {forwarded("GET", "shop.example.test", "/things", html), 302, "https://shop.example.test/-/sign-in?to=%2Fthings"},
		"browser, nginx":               {original("GET", k.base+"/things", html), 401, "https://" + host + "/-/sign-in?to=%2Fthings"},
		"browser posts":                {forwarded("POST", host, "/things", html), 401, ""},
		"role missing":                 {forwarded("GET", host, "/admin/x", asAna), 403, ""},
		"role missing, capitals":       {forwarded("GET", host, "/ADMIN/x", asAna), 403, ""},
		"role there":                   {forwarded("GET", host, "/admin/x", asAdmin), 200, ""},
		"dots":                         {forwarded("GET", host, "/open/../admin/x", asAna), 400, ""},
		"dots, nginx":                  {original("GET", k.base+"/open/../admin/x", asAna), 403, ""},
		"host nobody registered":       {forwarded("GET", "evil.example", "/things", html), 400, ""},
		"host with a name in it":       {forwarded("GET", "evil.example@"+host, "/things", html), 400, ""},
		"host with a path":             {forwarded("GET", host+"/x", "/things", html), 400, ""},
		"return to another site":       {forwarded("GET", host, "//evil.example/x", html), 400, ""},
		"return to a backslash":        {forwarded("GET", host, "/\\evil.example", html), 400, ""},
		"plain":                        {[]string{"X-Forwarded-Method: GET", "X-Forwarded-Proto: http", "X-Forwarded-Host: " + host, "X-Forwarded-Uri: /open/x"}, 400, ""},
		"plain, nginx":                 {original("GET", "http://"+host+"/open/x"), 400, ""},
		"nothing":                      {nil, 400, ""},
		"no method":                    {forwarded("", host, "/open/x"), 400, ""},
		"method in small letters":      {forwarded("get", host, "/open/x"), 400, ""},
		"twice":                        {append(forwarded("GET", host, "/open/x"), "X-Forwarded-Uri: /admin/x"), 400, ""},
		"a list":                       {forwarded("GET", host+",evil.example", "/open/x"), 400, ""},
		"families contradict in path":  {append(forwarded("GET", host, "/open/x"), original("GET", k.base+"/admin/x")...), 400, ""},
		"families contradict in verb":  {append(forwarded("GET", host, "/open/x"), "X-Original-Method: POST"), 400, ""},
		"families contradict in host":  {append(forwarded("GET", "shop.example.test", "/open/x"), "X-Original-Url: "+k.base+"/open/x"), 400, ""},
		"a stranger's change of state": {forwarded("POST", host, "/things", asAna, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"), 403, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := k.do(c, "GET", askPath, x.head...)
			if got.StatusCode != x.status || got.Header.Get("Location") != x.location {
				t.Errorf("%d to %q, want %d to %q: %s", got.StatusCode, got.Header.Get("Location"), x.status, x.location, got.body)
			}
			if got.StatusCode != 200 && got.Header.Get("Writ-Assertion")+got.Header.Get("Remote-User") != "" {
				t.Error("a refusal names somebody")
			}
			if _, there := got.Header["Remote-User"]; got.StatusCode == 200 && !there {
				t.Error("a header that a client may have sent is not overwritten")
			}
		})
	}
	got := k.do(c, "GET", askPath, forwarded("POST", "shop.example.test", "/things", asAna)...)
	m := claimsOf(t, got.Header.Get("Writ-Assertion"))
	if m["aud"] != "https://shop.example.test" || m["method"] != "POST" || m["sub"] != "ana" || got.Header.Get("Remote-User") != "ana" || got.Header.Get("Remote-Groups") != "member" {
		t.Errorf("%v %v", m, got.Header)
	}
	other := claimsOf(t, k.do(c, "GET", askPath, forwarded("POST", host, "/things", asAna)...).Header.Get("Writ-Assertion"))
	if other["aud"] != "https://"+host {
		t.Errorf("one host's assertion is another's: %v", other)
	}
	if got := k.do(c, "POST", askPath, forwarded("GET", host, "/open/x")...); got.StatusCode == 200 {
		t.Error("asked by POST")
	}
}

// From anybody else the same words count for nothing.
func TestForwardAuthTrustsListedProxiesAlone(t *testing.T) { // breaks: use.no-automation
	for name, ps := range map[string][]netip.Prefix{"none": nil, "another": {netip.MustParsePrefix("10.0.0.0/8")}} {
		k := open(t, options{proxies: ps})
		got := k.do(k.client(), "GET", askPath, "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Method: GET", "X-Forwarded-Proto: https", "X-Forwarded-Host: "+strings.TrimPrefix(k.base, "https://"), "X-Forwarded-Uri: /open/x", asAna)
		if got.StatusCode != 403 || !strings.Contains(got.body, "proxy_not_trusted") {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
		if err := k.g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(k.kit.Recorded("gateway.request-refused")); n == 0 {
			t.Errorf("%s: not recorded", name)
		}
	}
}

// The address that a trusted proxy adds counts as the client's; what stands before is
// the client's own tale.
func TestClientBehindAProxy(t *testing.T) { // breaks: use.no-automation
	for name, c := range map[string]struct {
		proxies []netip.Prefix
		head    []string
		want    string
	}{
		"no proxy":      {nil, []string{"X-Forwarded-For: 203.0.113.7"}, "127.0.0.1"},
		"another proxy": {[]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []string{"X-Forwarded-For: 203.0.113.7"}, "127.0.0.1"},
		"the proxy":     {loopback, []string{"X-Forwarded-For: 198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
		"two lines":     {loopback, []string{"X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.8"}, "203.0.113.8"},
		"nothing":       {loopback, nil, "127.0.0.1"},
		"no address":    {loopback, []string{"X-Forwarded-For: unknown"}, "127.0.0.1"},
	} {
		k := open(t, options{proxies: c.proxies})
		if got := k.do(k.client(), "GET", "/open/x", c.head...); got.Header.Get("Seen-X-Forwarded-For") != c.want {
			t.Errorf("%s: %q, want %q", name, got.Header.Get("Seen-X-Forwarded-For"), c.want)
		}
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("GET", "https", "a.example", "/x", "https://a.example/x", "", "GET")
	f.Add("GET", "", "", "", "https://a.example/x?y", "/x?y", "")
	f.Add("GET", "https", "a.example:8443", "/x", "", "/x", "")
	f.Fuzz(func(t *testing.T, method, proto, host, uri, url, original, verb string) {
		h := http.Header{}
		for n, v := range map[string]string{"X-Forwarded-Method": method, "X-Forwarded-Proto": proto, "X-Forwarded-Host": host, "X-Forwarded-Uri": uri, "X-Original-Url": url, "X-Original-Uri": original, "X-Original-Method": verb} {
			if v != "" {
				h.Set(n, v)
			}
		}
		m, ho, u, ok := gateway.ParseAsked(h)
		if !ok {
			return
		}
		if strings.ContainsAny(ho, "/\\@ \r\n") || !strings.HasPrefix(u, "/") || m == "" || proto != "" && proto != "https" {
			t.Fatalf("%q %q %q from %v", m, ho, u, h)
		}
		if uri != "" && uri != u || host != "" && host != ho || method != "" && method != m || original != "" && original != u || verb != "" && verb != m {
			t.Fatalf("%q %q %q although %v", m, ho, u, h)
		}
	})
}

// snippet is a block of docs/forward-auth.md: what is documented is what is tested.
func snippet(t *testing.T, lang string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "forward-auth.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + lang + "\n(.*?)```").FindSubmatch(b)
	if m == nil {
		t.Fatalf("no %s in docs/forward-auth.md", lang)
	}
	return string(m[1])
}

func portFor(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// front is a real proxy before an application, asking a gate.
type front struct {
	*gate
	port string
	ca   *x509.CertPool
}

// newFront starts a proxy with the snippet of a language. write puts its files into dir
// and returns the command.
func newFront(t *testing.T, lang string, write func(dir, conf string) *exec.Cmd) front {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(app.Close)
	dir, err := os.MkdirTemp("", "fa")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := front{gate: open(t, options{routes: "- {path: /admin/, who: role, roles: [admin]}\n", proxies: loopback}), port: portFor(t)}
	f.ca = certificate(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "writ-ca.pem"), authority(t, f.gate), 0o644); err != nil {
		t.Fatal(err)
	}
	conf := strings.NewReplacer("https://writ.internal:8443", "https://"+f.addr, "http://app.internal:3000", app.URL, "app.internal:3000", strings.TrimPrefix(app.URL, "http://"),
		"listen 443 ssl", "listen 127.0.0.1:"+f.port+" ssl", "server_name app.example.com", "server_name localhost", "proxy_ssl_name app.example.com", "proxy_ssl_name localhost",
		"tls_server_name app.example.com", "tls_server_name localhost", "app.example.com {", "https://localhost:"+f.port+" {",
		"/etc/nginx/", dir+"/", "/etc/caddy/", dir+"/").Replace(snippet(t, lang))
	cmd := write(dir, conf)
	out, err := os.Create(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if b, err := os.ReadFile(out.Name()); err == nil && t.Failed() {
			t.Logf("%s said: %s", lang, b)
		}
		out.Close()
	})
	for range 200 {
		c, err := net.Dial("tcp", "127.0.0.1:"+f.port)
		if err == nil {
			c.Close()
			return f
		}
		time.Sleep(50 * time.Millisecond)
	}
	b, _ := os.ReadFile(out.Name())
	t.Fatalf("%s does not listen: %s", lang, b)
	return f
}

// certificate makes app.pem and app.key for localhost.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(cert)
	for name, b := range map[string][]byte{"app.pem": cert, "app.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

func authority(t *testing.T, k *gate) []byte {
	t.Helper()
	b, err := os.ReadFile(k.ca.CertPath())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// get sends a request through the proxy.
func (f front) get(t *testing.T, method, target string, head ...string) answer {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.ca}, DisableKeepAlives: true}
	c := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequest(method, "https://localhost:"+f.port+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range head {
		name, value, _ := strings.Cut(h, ": ")
		req.Header[name] = append(req.Header[name], value)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(b)}
}

// judge is what every proxy must uphold.
func (f front) judge(t *testing.T) {
	origin := "https://localhost:" + f.port
	html := "Accept: text/html"
	forged := []string{"Writ-Assertion: forged", "Remote-User: root", "Remote-Groups: owner", "Remote-Team: staff", "X-Forwarded-User: root"}
	if got := f.get(t, "GET", "/things?a=b", append(forged, asAna)...); got.StatusCode != 200 || got.Header.Get("Seen-Remote-User") != "ana" || got.Header.Get("Seen-Remote-Groups") != "member" || got.Header.Get("Seen-Target") != "/things?a=b" ||
		len(got.Header["Seen-Writ-Assertion"]) != 1 || claimsOf(t, got.Header.Get("Seen-Writ-Assertion"))["aud"] != origin {
		t.Errorf("signed in: %d %v", got.StatusCode, got.Header)
	}
	if got := f.get(t, "GET", "/open/x", forged...); got.StatusCode != 200 || strings.Contains(fmt.Sprint(got.Header), "forged") || strings.Contains(fmt.Sprint(got.Header["Seen-Remote-User"], got.Header["Seen-Remote-Groups"], got.Header["Seen-Remote-Team"]), "root") || got.Header.Get("Seen-Remote-Groups") != "" {
		t.Errorf("a stranger's forged headers: %d %v", got.StatusCode, got.Header)
	}
	if got := f.get(t, "GET", "/things"); got.StatusCode != 401 || got.Header.Get("Seen-Host") != "" {
		t.Errorf("a stranger: %d %v", got.StatusCode, got.Header)
	}
	if got := f.get(t, "GET", "/things?a=b", html); got.StatusCode != 302 || got.Header.Get("Location") != origin+"/-/sign-in?to=%2Fthings%3Fa%3Db" {
		t.Errorf("a stranger's browser: %d %q", got.StatusCode, got.Header.Get("Location"))
	}
	if got := f.get(t, "GET", "/admin/x", asAna); got.StatusCode != 403 || got.Header.Get("Seen-Host") != "" {
		t.Errorf("a role that is missing: %d", got.StatusCode)
	}
	if got := f.get(t, "POST", "/things", asAna, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"); got.StatusCode != 403 || got.Header.Get("Seen-Host") != "" {
		t.Errorf("another site's form: %d", got.StatusCode)
	}
	// What a client says of what it asks for opens nothing.
	lies := [][]string{{"X-Forwarded-Uri: /open/x"}, {"X-Forwarded-Method: GET", "X-Forwarded-Uri: /open/x"}, {"X-Original-Url: " + origin + "/open/x"}, {"X-Original-Uri: /open/x"}, {"X-Original-Method: OPTIONS"}, {"X-Forwarded-Host: evil.example"}, {"X-Forwarded-Proto: http"}}
	for _, lie := range lies {
		got := f.get(t, "GET", "/admin/x", append(lie, asAna)...)
		if got.StatusCode < 400 || got.Header.Get("Seen-Host") != "" {
			t.Errorf("%v opens /admin/x: %d", lie, got.StatusCode)
		}
		got = f.get(t, "GET", "/things", append(lie, html)...)
		if to := got.Header.Get("Location"); got.StatusCode < 300 || to != "" && !strings.HasPrefix(to, origin+"/-/sign-in?") {
			t.Errorf("%v leads to %q (%d)", lie, to, got.StatusCode)
		}
	}
	for _, target := range []string{"//evil.example/x", "/..//evil.example"} {
		if to := f.get(t, "GET", target, html).Header.Get("Location"); to != "" && !strings.HasPrefix(to, origin+"/") {
			t.Errorf("%s leads to %q", target, to)
		}
	}
	// Writ's own pages, and nothing of the question itself.
	if got := f.get(t, "GET", "/-/jwks"); got.StatusCode != 200 || !strings.Contains(got.body, "Ed25519") {
		t.Errorf("/-/jwks: %d %s", got.StatusCode, got.body)
	}
	if got := f.get(t, "GET", askPath, asAna, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /things"); got.StatusCode != 404 || got.Header.Get("Writ-Assertion") != "" {
		t.Errorf("a browser asks by itself: %d %v", got.StatusCode, got.Header)
	}
}

func TestNginxAsks(t *testing.T) { // breaks: use.no-automation
	bin, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("no nginx; scripts/need.sh installs it")
	}
	newFront(t, "nginx", func(dir, conf string) *exec.Cmd {
		whole := "worker_processes 1;\ndaemon off;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path " + dir + "/b;\nproxy_temp_path " + dir + "/p;\nfastcgi_temp_path " + dir + "/f;\nuwsgi_temp_path " + dir + "/u;\nscgi_temp_path " + dir + "/s;\n" + conf + "}\n"
		if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		return exec.Command(bin, "-p", dir, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"))
	}).judge(t)
}

func TestCaddyAsks(t *testing.T) { // breaks: use.no-automation
	bin, err := exec.LookPath("caddy")
	if err != nil {
		t.Skip("no caddy; scripts/need.sh installs it")
	}
	newFront(t, "caddy", func(dir, conf string) *exec.Cmd {
		whole := "{\n\tadmin off\n\tauto_https off\n}\n\n" + conf
		if err := os.WriteFile(filepath.Join(dir, "Caddyfile"), []byte(whole), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, "run", "--adapter", "caddyfile", "--config", filepath.Join(dir, "Caddyfile"))
		cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir, "HOME="+dir)
		return cmd
	}).judge(t)
}
