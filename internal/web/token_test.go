package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

func TestBearer(t *testing.T) {
	for name, c := range map[string]struct {
		headers []string
		token   string
		given   bool
	}{
		"none":          {nil, "", false},
		"basic":         {[]string{"Basic YTpi"}, "", false},
		"plain":         {[]string{"Bearer abc"}, "abc", true},
		"any case":      {[]string{"bEARER a.b-c_d~e+f/g=="}, "a.b-c_d~e+f/g==", true},
		"empty":         {[]string{"Bearer "}, "", true},
		"no space":      {[]string{"Bearer"}, "", true},
		"two spaces":    {[]string{"Bearer  abc"}, "", true},
		"a list":        {[]string{"Bearer abc, Bearer def"}, "", true},
		"trailing":      {[]string{"Bearer abc "}, "", true},
		"a tab":         {[]string{"Bearer\tabc"}, "", false},
		"equals within": {[]string{"Bearer a=b"}, "", true},
		"not ASCII":     {[]string{"Bearer ab\u00e9"}, "", true},
		"too long":      {[]string{"Bearer " + strings.Repeat("a", 513)}, "", true},
		"twice":         {[]string{"Bearer abc", "Bearer abc"}, "", true},
		"with another":  {[]string{"Basic YTpi", "Bearer abc"}, "", true},
	} {
		r := httptest.NewRequest(http.MethodGet, "/?access_token=abc", nil)
		r.Header["Authorization"] = c.headers
		r.AddCookie(&http.Cookie{Name: "token", Value: "abc"})
		if got, given := web.Bearer(r); got.Reveal() != c.token || given != c.given {
			t.Errorf("%s: %q %v, want %q %v", name, got.Reveal(), given, c.token, c.given)
		}
	}
}

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer writ_pat_0", "Bearer  x", "Basic a", "Bearer a,b", "Bearer ="} {
		f.Add(s, "")
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header["Authorization"] = []string{a}
		if b != "" {
			r.Header["Authorization"] = append(r.Header["Authorization"], b)
		}
		token, given := web.Bearer(r)
		switch {
		case !given && !token.IsZero():
			t.Error("a token that nobody brought")
		case token.IsZero():
		case b != "" || len(a) != len("Bearer ")+token.Len() || !strings.HasSuffix(a, " "+token.Reveal()):
			t.Errorf("%q and %q were read as %q", a, b, token.Reveal())
		}
	})
}

// Routes are closed to tokens unless they say otherwise; a wrong token is never nobody.
func TestTokensAtRoutes(t *testing.T) { // breaks: auth.best-practice
	machine := actor.Actor{Kind: actor.Machine, ID: "m", Roles: []string{"owner"}, Token: "t", Via: "token"}
	seen := actor.Actor{}
	route := func(pattern string, who web.Who, tokens bool) web.Route {
		return web.Route{Pattern: pattern, Who: who, Tokens: tokens, Handle: func(w http.ResponseWriter, _ *http.Request, a actor.Actor) error {
			seen = a
			return web.WriteJSON(w, http.StatusNoContent, nil)
		}}
	}
	s, err := web.New(web.Deps{Brand: func() web.Brand { return web.Brand{} }, Log: slog.New(slog.DiscardHandler), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(route("GET /-/api/v1/own", web.SignedIn, false), route("GET /-/api/v1/staff", web.Staff, false), route("GET /-/api/v1/programs", web.Staff, true),
		route("GET /-/page", web.SignedIn, false), route("GET /-/public", web.Anyone, false)); err != nil {
		t.Fatal(err)
	}
	get := func(d web.Door, path string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer abc")
		w := httptest.NewRecorder()
		s.Handler(d).ServeHTTP(w, r)
		return w.Code
	}
	for path, want := range map[string]int{"/-/api/v1/own": 403, "/-/api/v1/staff": 403, "/-/api/v1/programs": 204, "/-/page": 403, "/-/public": 204} {
		if got := get(door{who: machine}, path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
		if path == "/-/public" && seen.Kind != actor.Stranger {
			t.Errorf("a token is %v where anyone may come", seen)
		}
		if got := get(door{err: fault.Unauthenticated}, path); got != 401 {
			t.Errorf("%s with a wrong token: %d", path, got)
		}
	}
}
