package gateway

import (
	"net/url"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

// What is accepted means the same to net/url, has one spelling of its segments, and is
// written to the application byte for byte.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/", "/a/b?c=d", "/a%20b", "/a/..%2fb", "/%C3%A9?", "//a", "/a;b", "/%252e", "/a?b;c", "/[x]|^"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if len(uri) > 2*maxTarget {
			return
		}
		got, bad := parseTarget(uri)
		if bad != nil {
			return
		}
		u, err := url.ParseRequestURI(uri)
		if err != nil || u.Path != got.path || u.RawQuery != got.query || u.Host != "" {
			t.Fatalf("%q: net/url reads %+v (%v), we %+v", uri, u, err, got)
		}
		if c := path.Clean(got.path); c != got.path && c+"/" != got.path {
			t.Fatalf("%q: path %q cleans to %q", uri, got.path, c)
		}
		if !utf8.ValidString(got.path) || strings.ContainsAny(got.path, "\x00\r\n\\") {
			t.Fatalf("%q: path %q", uri, got.path)
		}
		out := url.URL{Scheme: "http", Host: "app", Opaque: got.raw, RawQuery: got.query, ForceQuery: got.marked}
		if out.RequestURI() != uri {
			t.Fatalf("%q is forwarded as %q", uri, out.RequestURI())
		}
	})
}

// No route file, whatever it says, opens what the policy closes.
func FuzzRoutes(f *testing.F) {
	f.Add("- {path: /admin/, who: role, roles: [a]}\n- {path: /, methods: [GET], who: signed-in}", "/Admin/x", "GET")
	f.Add("- {path: /open/, who: anyone}", "/open/x", "POST")
	f.Add("- &a {path: /x, who: anyone}\n- *a", "/x", "GET")
	f.Fuzz(func(t *testing.T, file, uri, method string) {
		if len(file) > 64<<10 {
			return
		}
		want, bad := parseTarget(uri)
		routes, err := parseRoutes([]byte(file))
		if err != nil || bad != nil {
			return
		}
		counters := func(string) *counter { return &counter{} }
		for _, ceiling := range []string{"anyone", "signed-in", "role"} {
			rules := &Rules{Ceiling: ceiling, PublicPaths: []string{"/open/", "/"}}
			plain, err := newTable(rules, &routeFile{}, counters, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			for _, tolerate := range []bool{false, true} {
				table, err := newTable(rules, routes, counters, nil, tolerate)
				if err != nil {
					continue
				}
				least, got := plain.decide(method, want.path), table.decide(method, want.path)
				if got.need < least.need {
					t.Fatalf("%q needs %d, the policy %d, with %q", want.path, got.need, least.need, file)
				}
			}
		}
	})
}
