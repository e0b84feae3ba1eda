package oidc

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/web"
)

var fuzzed = Client{ID: "c", Kind: Public, Redirects: []string{"https://app.example.test/cb", "https://app.example.test/cb?tenant=1", "http://127.0.0.1/cb", "http://[::1]/cb"},
	Scopes: []string{scopeOpenID, scopeEmail}, Alg: "RS256"}

// FuzzMatches: whatever is let through is one of those registered, or differs from a
// loopback address in its port alone.
func FuzzMatches(f *testing.F) {
	for _, s := range append(slices.Clone(fuzzed.Redirects), "http://127.0.0.1:1/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1@evil/cb", "http://[::1]:80/cb", "https://app.example.test/cb/", "http://127.0.0.1:80:80/cb") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !matches(fuzzed.Redirects, s) || slices.Contains(fuzzed.Redirects, s) {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" || u.User != nil || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" || u.RequestURI() != "/cb" || u.Fragment != "" || u.Port() == "" || strings.Contains(s, "#") {
			t.Fatalf("%q was let through: %v", s, err)
		}
	})
}

// FuzzRequest reads the query of authorize: it never panics, and what it lets through
// holds every promise.
func FuzzRequest(f *testing.F) {
	f.Add("client_id=c&redirect_uri=https%3A%2F%2Fapp.example.test%2Fcb&response_type=code&scope=openid&code_challenge=" + strings.Repeat("a", 43) + "&code_challenge_method=S256&state=x&max_age=3&prompt=login%20consent&acr_values=2")
	f.Add("redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb&redirect_uri=x")
	f.Add("request=%&scope=;")
	f.Fuzz(func(t *testing.T, raw string) {
		q, bad := single(raw)
		if bad != nil {
			return
		}
		redirect, bad := aim(fuzzed, q)
		if bad != nil {
			return
		}
		a, bad := examine(fuzzed, q, time.Unix(0, 0))
		if bad != nil {
			if bad.code == "" || bad.status != 400 {
				t.Fatalf("a refusal without a word: %+v", bad)
			}
			return
		}
		keeps(t, q, redirect, a)
	})
}

// keeps holds a request that was let through against every promise.
func keeps(t *testing.T, q map[string]string, redirect string, a asked) {
	t.Helper()
	switch {
	case !matches(fuzzed.Redirects, redirect) || a.Redirect != redirect:
		t.Fatalf("redirect %q", redirect)
	case len(a.Challenge) != 43 || q["code_challenge_method"] != "S256" || q["response_type"] != "code":
		t.Fatalf("no PKCE or no code: %v", q)
	case !slices.Contains(a.Scopes, scopeOpenID) || len(a.Scopes) > 2 || len(a.State) > maxState || a.ACR < 0 || a.ACR > 3 || a.MaxAge < -1:
		t.Fatalf("%+v", a)
	case slices.Contains(a.Prompt, "consented") || len(a.Prompt) > 1 && slices.Contains(a.Prompt, "none"):
		t.Fatalf("prompt %v", a.Prompt)
	}
}

// FuzzPushed reads the body of par as the endpoint does: it never panics, takes no
// parameter twice and none from the address, and what it lets through holds every promise.
func FuzzPushed(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "client_id=c&redirect_uri=http%3A%2F%2F127.0.0.1%3A9%2Fcb&response_type=code&scope=openid&code_challenge="+strings.Repeat("a", 43)+"&code_challenge_method=S256")
	f.Add("application/x-www-form-urlencoded; charset=utf-8", "client_id=c&client_id=d")
	f.Add("application/json", `{"client_id":"c"}`)
	f.Add("multipart/form-data; boundary=x", "--x\r\n")
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequest("POST", "/-/oidc/par?client_id=evil&redirect_uri=https%3A%2F%2Fevil.example.test", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		v, err := web.ReadForm(r)
		if err != nil {
			return
		}
		q, bad := once(v)
		if bad != nil {
			return
		}
		if want, err := url.ParseQuery(body); err != nil || len(want["redirect_uri"]) > 1 || q["redirect_uri"] != want.Get("redirect_uri") || q["client_id"] != want.Get("client_id") {
			t.Fatalf("%q was read as %v: %v", body, q, err)
		}
		redirect, bad := aim(fuzzed, q)
		if bad != nil {
			return
		}
		if a, bad := examine(fuzzed, q, time.Unix(0, 0)); bad == nil {
			keeps(t, q, redirect, a)
		}
	})
}

// FuzzAddress: a redirect that may be registered is one that can be matched and that
// leaves its own policy alone.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"https://a.example.test/cb", "http://127.0.0.1/x", "https://a.example.test:1/?q", "javascript:x", "https://a;b/"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, s string, native bool) {
		if goodAddress(s, native) != "" {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(s, " ;,'\"\\#*\n\r") || u.Scheme != "https" && (!native || !local(u.Hostname())) || !matches([]string{s}, s) {
			t.Fatalf("%q may be registered: %v", s, err)
		}
	})
}

// FuzzCredentials reads the header that proves a client: it never panics, and never takes
// more than one way at once.
func FuzzCredentials(f *testing.F) {
	f.Add("Basic Yzpz", "c", "")
	f.Add("basic Yzp%", "", "s")
	f.Add("Bearer x", "c", "")
	f.Fuzz(func(t *testing.T, head, id, body string) {
		r := &http.Request{Header: http.Header{}}
		if head != "" {
			r.Header.Set("Authorization", head)
		}
		got, given, basic, ok := credentials(r, map[string]string{"client_id": id, "client_secret": body})
		if !ok {
			return
		}
		if body != "" || got == "" || basic != (head != "") || !basic && !given.IsZero() || id != "" && got != id {
			t.Fatalf("%q %q %q gave %q, basic %v", head, id, body, got, basic)
		}
	})
}
