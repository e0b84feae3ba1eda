package oidc

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
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

// FuzzRequest reads the query of authorize and the body of par: it never panics, and
// what it lets through holds every promise.
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
