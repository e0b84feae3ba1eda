package scim

import (
	"strings"
	"testing"
)

// Whatever a filter is, it is read or refused, and what is read compares a known shape.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{`userName eq "a"`, `emails[type eq "work"].value eq "a"`, `externalId eq "a" and id eq "b"`, `not (a pr)`, `a eq 1.5e3`, `((((a eq "b"))))`,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName eq "\u00e9"`, `a[b eq "c" and d eq true]`, `a eq "\"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ts, err := parseFilter(s)
		if err == nil && (len(ts) == 0 || len(s) > maxFilter) {
			t.Errorf("%q: %d terms", s, len(ts))
		}
		for _, x := range ts {
			if x.path != strings.ToLower(x.path) {
				t.Errorf("%q: path %q", s, x.path)
			}
		}
	})
}

// Whatever a patch is, it applies or is refused, and leaves texts and ids that are ones.
func FuzzPatch(f *testing.F) {
	for _, s := range []string{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","value":{"name.givenName":"x","emails[type eq \"work\"].value":"y"}}]}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Remove","path":"members[value eq \"x\"]"},{"op":"add","path":"members","value":[{"value":"y"}]}]}`,
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"remove","path":"name"},{"op":"replace","path":"emails","value":[{"primary":"true","value":null}]}]}`,
		`{"schemas":[7],"Operations":{}}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o, err := decode([]byte(s))
		if err != nil {
			return
		}
		ops, err := patch(o)
		if err != nil {
			return
		}
		if len(ops) == 0 && !strings.Contains(s, "{}") && !strings.Contains(strings.ToLower(s), "schemas") {
			t.Errorf("%q: nothing to do", s)
		}
		var u user
		var g group
		u.UserName, g.Name = "a@b.example", "g"
		for _, op := range ops {
			if u.apply(op) == nil && strings.TrimSpace(u.UserName) == "" {
				t.Errorf("%q: no userName", s)
			}
			if g.apply(op) == nil && strings.TrimSpace(g.Name) == "" {
				t.Errorf("%q: no displayName", s)
			}
		}
		for _, m := range g.Members {
			if m == "" {
				t.Errorf("%q: a member without an id", s)
			}
		}
	})
}
