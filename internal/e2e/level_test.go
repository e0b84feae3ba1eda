package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"writ/internal/identity/passkey"
)

// party is an application that signs people in here.
type party struct {
	v        *visitor
	id       string
	redirect string
	verifier string
}

// path is an authorisation with more parameters.
func (p party) path(more ...string) string {
	sum := sha256.Sum256([]byte(p.verifier))
	q := url.Values{"client_id": {p.id}, "redirect_uri": {p.redirect}, "response_type": {"code"}, "scope": {"openid"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	return "/-/oidc/authorize?" + q.Encode()
}

var onward = regexp.MustCompile(`http://127\.0\.0\.1:9/callback\?[^"]+`)

// answer is what the application gets for a page of this site, or nil when there is none yet.
func (p party) answer(a answer) url.Values {
	p.v.t.Helper()
	text := a.header.Get("Location")
	if !strings.HasPrefix(text, p.redirect) {
		text = html.UnescapeString(onward.FindString(a.body))
	}
	u, err := url.Parse(text)
	if err != nil || text == "" {
		p.v.t.Fatalf("no answer for the application: %v", a)
	}
	return u.Query()
}

// claims redeems a code and reads the id_token.
func (p party) claims(code string) (c struct {
	ACR      string `json:"acr"`
	AuthTime int64  `json:"auth_time"`
}) {
	p.v.t.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "client_id": {p.id}, "redirect_uri": {p.redirect}, "code_verifier": {p.verifier}}
	a := p.v.send("POST", "/-/oidc/token", strings.NewReader(form.Encode()), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	parts := strings.Split(a.field("id_token"), ".")
	if a.status != 200 || len(parts) != 3 {
		p.v.t.Fatalf("token: %v", a)
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		p.v.t.Fatal(err)
	}
	return c
}

// raised is the step-up page that a request leads to, and where it leads back.
func (p party) raised(path, level string) (page answer, back string) {
	p.v.t.Helper()
	a := p.v.page(path)
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || u.Path != "/-/step-up" || u.Query().Get("level") != level {
		p.v.t.Fatalf("%s leads to %v, want the step-up page for level %q", path, a, level)
	}
	return p.v.page(u.RequestURI()), u.Query().Get("to")
}

// press sends the form of the step-up page.
func (p party) press(f url.Values) answer {
	p.v.t.Helper()
	return p.v.send("POST", "/-/step-up", strings.NewReader(f.Encode()), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}, "Origin": {p.v.base}})
}

// An application asks for more than the session has: the person shows it on the step-up
// page of the same server and comes back with it. What nobody has set up is told to the
// application at once, and prompt=none shows nothing.
func TestAskedLevel(t *testing.T) { // breaks: auth.best-practice
	t.Parallel()
	s := start(t, setup{owners: []string{"ana@example.test"}})
	v := s.visitor()
	link := s.owners["ana@example.test"]
	v.want(200, "POST", "invitations/"+link[len(link)-43:]+"/accept", obj{"name": "Ana", "password": aPassword})
	s.enter(v, "ana@example.test", aPassword)
	p := party{v: v, redirect: "http://127.0.0.1:9/callback", verifier: strings.Repeat("v", 43)}
	made := must(t, 0, s.writ("token", "client", "add", "Phone", "--kind", "public", "--trust", "first-party", "--redirect", "http://127.0.0.1/callback", "--format", "json"))
	p.id = decode[struct{ Client struct{ ID string } }](t, made.out).Client.ID

	if got := p.answer(v.page(p.path("acr_values", "3"))); got.Get("error") != "unmet_authentication_requirements" || got.Get("state") != "s" {
		t.Errorf("a passkey that nobody has: %v", got)
	}
	if got := p.answer(v.page(p.path("max_age", "0", "prompt", "none"))); got.Get("error") != "login_required" {
		t.Errorf("prompt=none with an old proof: %v", got)
	}

	// Too old: shown anew, and back.
	began := time.Now()
	page, back := p.raised(p.path("acr_values", "2", "max_age", "0"), "2")
	if page.status != 200 || !strings.Contains(page.body, "Is it you?") || !strings.Contains(page.body, "Code from your app") {
		t.Fatalf("the step-up page: %v", page)
	}
	a := p.press(url.Values{"kind": {"recovery"}, "code": {s.phone("ana@example.test").recovery(t)}, "to": {back}, "level": {"2"}})
	if a.header.Get("Location") != back {
		t.Fatalf("not back: %v", a)
	}
	if c := p.claims(p.answer(v.page(back)).Get("code")); c.ACR != "2" || c.AuthTime < began.Unix() {
		t.Errorf("after a code: %+v", c)
	}

	// A level above: only a passkey is offered, and only it is enough.
	maker, err := passkey.New(s.origin, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := maker.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	asked := v.want(200, "POST", "factors/passkey/options", obj{})
	answered, err := key.Make([]byte(decode[struct{ Options json.RawMessage }](t, asked.body).Options))
	if err != nil {
		t.Fatal(err)
	}
	v.want(200, "POST", "factors/passkey", obj{"flow": asked.field("flow"), "credential": answered})
	v.want(204, "POST", "sign-out", nil)
	s.enter(v, "ana@example.test", aPassword)
	if got := p.answer(v.page(p.path("acr_values", "3", "prompt", "none"))); got.Get("error") != "unmet_authentication_requirements" {
		t.Errorf("prompt=none: %v", got)
	}
	page, back = p.raised(p.path("acr_values", "3"), "3")
	if !strings.Contains(page.body, "data-passkey") || strings.Contains(page.body, "Code from your app") || strings.Contains(page.body, "recovery code") {
		t.Errorf("the page offers less than is asked: %v", page)
	}
	q := v.want(200, "POST", "step-up/passkey", obj{})
	proof, err := key.Prove([]byte(decode[struct{ Options json.RawMessage }](t, q.body).Options))
	if err != nil {
		t.Fatal(err)
	}
	a = p.press(url.Values{"kind": {"passkey"}, "flow": {q.field("flow")}, "credential": {string(proof)}, "to": {back}, "level": {"3"}})
	if a.header.Get("Location") != back {
		t.Fatalf("not back: %v", a)
	}
	if c := p.claims(p.answer(v.page(back)).Get("code")); c.ACR != "3" {
		t.Errorf("after a passkey: %+v", c)
	}
}

// A file of makers that is named and cannot be read keeps the server from starting.
func TestPasskeyMetadata(t *testing.T) { // breaks: auth.best-practice
	t.Parallel()
	f := newFolder(t, setup{})
	f.edit(func(s string) string { return s + "identity:\n  passkey_metadata: makers.json\n" })
	must(t, 1, f.writ("serve"), "passkey_metadata", "makers.json", "any passkey is taken")
	if err := os.WriteFile(filepath.Join(f.dir, "makers.json"), []byte("no metadata"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, 1, f.writ("serve"), "The metadata of passkeys cannot be used")
}
