package identity_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// question asks the API as the script of a page does, with the page's cookies.
func (r *reader) question(path, body string) asked {
	r.s.t.Helper()
	q, err := http.NewRequestWithContext(r.s.t.Context(), http.MethodPost, r.s.pages.URL+"/-/api/v1/"+path, strings.NewReader(body))
	if err != nil {
		r.s.t.Fatal(err)
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Sec-Fetch-Site", "same-origin")
	a, err := r.c.Do(q)
	if err != nil {
		r.s.t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		r.s.t.Fatalf("%s: %d %s %v", path, a.StatusCode, b, err)
	}
	var m obj
	if err := json.Unmarshal(b, &m); err != nil {
		r.s.t.Fatal(err)
	}
	return askedOf(r.s.t, m)
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The pages of passkeys, with a script that is played here: what it lays into the forms.
func TestPasskeyPages(t *testing.T) {
	s := openSite(t, underName)
	_, ana := s.customer("ana")
	d := newDevice(t)
	r := s.reader()
	in := r.open("/-/sign-in?to=/-/account").want(t, 200, "Sign in with a passkey", "data-conditional", "passkey.js")
	if in.forms[0].kinds["email"]["autocomplete"] != "username webauthn" || !strings.Contains(in.body, `data-passkey="get"`) {
		t.Errorf("the form does not offer passkeys: %v", in.forms[0].kinds)
	}
	r.press("Sign in", "email", ana, "password", good).want(t, 200, "Your account")

	r.open("/-/account/factors").want(t, 200, "Passkeys", "Set one up")
	r.open("/-/account/passkeys").want(t, 200, "Your passkeys", "Passkeys need JavaScript")
	r.press("Set up a passkey", "name", "x", "flow", "nonsense", "credential", "{}").want(t, 409, "not the answer to a question", `value="x"`)
	q := r.question("factors/passkey/options", "{}")
	made := text(t, d.make(q))
	r.press("Set up a passkey", "name", strings.Repeat("y", 61), "flow", q.flow, "credential", made).want(t, 422, "at most 60 characters")
	r.press("Set up a passkey", "name", "the <blue> key", "flow", q.flow, "credential", made).want(t, 200, "Keep these recovery codes", "The passkey is set up.")
	list := r.open("/-/account/passkeys").want(t, 200, "the <blue> key", "on one device", "not yet")
	_, id, _ := strings.Cut(list.body, `href="/-/account/passkeys/`)
	id, _, _ = strings.Cut(id, `"`)

	r.open("/-/sign-out")
	r.press("Sign out").want(t, 200, "You are signed out.")
	r.open("/-/sign-in")
	r.press("Sign in with a passkey", "flow", "nonsense", "credential", "{}").want(t, 401, "This passkey does not open an account here")
	if strings.Contains(r.now.body, "data-conditional") {
		t.Error("after a refusal the browser is told to offer the same again")
	}
	r.open("/-/sign-in?to=/-/account")
	q = r.question("sign-in/passkey", "{}")
	r.press("Sign in with a passkey", "flow", q.flow, "credential", text(t, d.prove(q))).want(t, 200, "Your account", ana)
	r.open("/-/sign-out")
	r.press("Sign out")

	// After a password the passkey comes first, and nothing asks for a code of an app that is not there.
	r.open("/-/sign-in?to=/-/account")
	step := r.press("Sign in", "email", ana, "password", good).want(t, 200, "Use your passkey", "Use a recovery code")
	if strings.Contains(step.body, "Code from your app") {
		t.Error("a code is asked for that nobody has")
	}
	flow := step.body[strings.Index(step.body, `data-flow="`)+len(`data-flow="`):]
	flow, _, _ = strings.Cut(flow, `"`)
	q = r.question("sign-in/passkey", text(t, obj{"flow": flow}))
	stranger := newDevice(t)
	r.press("Use a passkey", "flow", q.flow, "credential", text(t, stranger.prove(q))).want(t, 401, "The passkey is not right.", "Use a passkey")
	q = r.question("sign-in/passkey", text(t, obj{"flow": flow}))
	r.press("Use a passkey", "flow", q.flow, "credential", text(t, d.prove(q))).want(t, 200, "Your account")

	r.open("/-/account/passkeys/"+id).want(t, 200, "the <blue> key", "Rename", "stops working here at once")
	r.press("Rename it", "name", "").want(t, 200, "The passkey has its new name.", "Passkey of ")
	r.open("/-/account/passkeys/" + id)
	r.press("Rename it", "name", strings.Repeat("z", 61)).want(t, 422, "at most 60 characters")
	r.open("/-/account/passkeys/" + id)
	r.press("Remove it").want(t, 200, "The passkey is removed.", "Your passkeys")
	r.open("/-/account/passkeys/"+id).want(t, 404)
}

// A site with an address of numbers offers none.
func TestPasskeyPagesWithoutAName(t *testing.T) {
	s := openSite(t)
	_, ana := s.customer("ana")
	r := s.reader()
	in := r.open("/-/sign-in").want(t, 200)
	if strings.Contains(in.body, "passkey") || in.forms[0].kinds["email"]["autocomplete"] != "username" {
		t.Error("passkeys are offered where there can be none")
	}
	r.press("Sign in", "email", ana, "password", good)
	r.open("/-/account/passkeys").want(t, 200, "an address of numbers")
	p := r.do(http.MethodPost, "/-/sign-in/passkey", url.Values{"flow": {"x"}, "credential": {"{}"}}, nil)
	p.want(t, 422, "has no name")
}
