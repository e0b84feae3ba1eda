package gateway_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"context"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
)

// said is the step that refused and its code, "through" when none did.
func said(e gateway.Explanation) string {
	for _, s := range e.Steps {
		if s.Outcome == gateway.StepRefused {
			return s.Step + " " + s.Code
		}
	}
	if e.Through {
		return "through"
	}
	return "?"
}

// What is explained is what is done: for each caller and request the explanation names
// the answer that a real request gets.
func TestExplainSaysWhatIsDone(t *testing.T) {
	k := described(t, options{routes: `
- {path: /admin/, who: role, roles: [admin]}
- {path: /fresh/, who: signed-in, step_up: 15m}
- {path: /one, methods: [GET], who: signed-in}`})
	k.program("writ_svc_only", machine("only", []string{"member"}, "orders:read"))
	c := k.client()
	callers := []struct {
		q    gateway.Question
		head []string
	}{
		{gateway.Question{}, nil},
		{gateway.Question{Role: "member"}, []string{asAna}},
		{gateway.Question{Role: "admin"}, []string{asAdmin}},
		{gateway.Question{Scopes: []string{"orders:read"}}, []string{"Authorization: Bearer writ_svc_only"}},
	}
	for _, x := range callers {
		for _, target := range []string{"/orders/list", "/orders/list?x=1", "/orders/list?page=1", "/orders/1", "/orders/x", "/admin/x", "/one", "/open/x", "/open/data", "/open/keyed", "/people/x", "/a//b", "/a/%2e/b", "/nothing"} {
			for _, method := range []string{"GET", "POST", "DELETE"} {
				q := x.q
				q.Method, q.Path = method, target
				e, err := k.g.Explain(t.Context(), k.engineer(), q)
				if err != nil {
					t.Fatal(err)
				}
				got := k.do(c, method, target, append([]string{"Accept: application/json"}, x.head...)...)
				var p struct{ Code string }
				_ = json.Unmarshal([]byte(got.body), &p)
				step, code, _ := strings.Cut(said(e), " ")
				if real := got.StatusCode < 400; real != (step == "through") || !real && p.Code != code {
					t.Errorf("%s %s as %s: explained %s, done %d %s", method, target, e.As, said(e), got.StatusCode, p.Code)
				}
			}
		}
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// An explanation leaves nothing behind: no refusal, no count, no charge.
func TestExplainLeavesNothing(t *testing.T) {
	reached := false
	k := described(t, options{upstream: nil, programs: gateway.Programs{Limits: gateway.Limits{Token: rate("3/h"), Quota: 3}}})
	_ = reached
	for range 20 {
		for _, q := range []gateway.Question{{Path: "/orders/list", Scopes: []string{"orders:read"}}, {Path: "/nowhere"}, {Path: "/orders/list?x=1", Role: "member"}} {
			e, err := k.g.Explain(t.Context(), k.engineer(), q)
			if err != nil {
				t.Fatal(err)
			}
			if q.Path == "/orders/list" && !e.Through {
				t.Fatalf("charged: %+v", e)
			}
		}
	}
	if err := k.g.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(k.kit.Recorded("gateway.request-refused", "gateway.requests-counted")); n > 0 {
		t.Errorf("%d entries", n)
	}
}

func TestExplainNotes(t *testing.T) {
	k := described(t, options{routes: `
- {path: /fresh/, who: role, roles: [admin], step_up: 15m, limit: 5/m}`,
		programs: gateway.Programs{Person: func(_ context.Context, ref string) (actor.Actor, error) {
			if ref != "ana@example.test" {
				return actor.Actor{}, fault.NotFound
			}
			return person("ana", "admin"), nil
		}}})
	e, err := k.g.Explain(t.Context(), k.engineer(), gateway.Question{Path: "/fresh/x", Person: "ana@example.test"})
	b, _ := json.Marshal(e)
	if err != nil || !e.Through {
		t.Fatalf("%v %s", err, b)
	}
	for _, want := range []string{"The route /fresh/ counts: it asks for role.", "One of the roles admin.", "at most 15m old", "At most 5/m of one caller.", "No described operation", "person ana@example.test"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%q is not said in %s", want, b)
		}
	}
	e, _ = k.g.Explain(t.Context(), k.engineer(), gateway.Question{Path: "/orders/list?x=1", Scopes: []string{"orders:read"}})
	last := e.Steps[len(e.Steps)-1]
	if last.Step != "schema" || last.Status != 422 || len(last.Places) != 1 || last.Places[0] != "query/x: The description of the interface does not name this." || last.Clause != "use.public-api" {
		t.Errorf("%+v", last)
	}
	e, _ = k.g.Explain(t.Context(), k.engineer(), gateway.Question{Path: "/a//b"})
	if e.Steps[0].Outcome != gateway.StepRefused || e.Steps[1].Outcome != gateway.StepNot {
		t.Errorf("%+v", e.Steps)
	}
}

func TestWhoMayExplain(t *testing.T) {
	k := described(t, options{})
	for name, x := range map[string]struct {
		who  actor.Actor
		q    gateway.Question
		want fault.Kind
	}{
		"a customer":        {person("ana", "member"), gateway.Question{Path: "/x"}, fault.Denied},
		"two callers":       {k.engineer(), gateway.Question{Path: "/x", Role: "a", Scopes: []string{"a:b"}}, fault.Invalid},
		"no path":           {k.engineer(), gateway.Question{Path: "x"}, fault.Invalid},
		"our own page":      {k.engineer(), gateway.Question{Path: "/-/console"}, fault.Invalid},
		"no role":           {k.engineer(), gateway.Question{Path: "/x", Role: "A B"}, fault.Invalid},
		"no scope":          {k.engineer(), gateway.Question{Path: "/x", Scopes: []string{"*"}}, fault.Invalid},
		"nobody to look up": {k.engineer(), gateway.Question{Path: "/x", Person: "x"}, fault.Invalid},
	} {
		if _, err := k.g.Explain(t.Context(), x.who, x.q); !errors.Is(err, x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
