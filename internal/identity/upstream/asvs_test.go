package upstream_test

import (
	"testing"

	"writ/internal/identity/upstream"
)

// The items of OWASP ASVS 5.0 that signing in elsewhere answers for; house gathers them
// into docs/asvs.md.
//
// breaks: auth.best-practice, auth.unique-credentials
func TestASVS(t *testing.T) {
	t.Run("6.8.1 one name at two providers is two people", asvsOneNameAtTwo)
	t.Run("9.1.2 9.2.3 tokens of other algorithms and audiences are refused", testFaultsRefused)
}

func asvsOneNameAtTwo(t *testing.T) {
	one, two := newElsewhere(t, nil), newElsewhere(t, nil)
	w := open(t, func(p *upstream.Provider) {
		if p.Name == "dir1" {
			p.Domains = []string{"orchard.test"}
		}
	}, one, two)
	w.customer("ana")
	if p := w.browser().through(one, "dir0"); p.status != 200 {
		t.Fatalf("%d %s", p.status, p.body)
	}
	two.claims = func(c map[string]any) { c["email"] = "mallory@orchard.test" } // and ana's subject
	if b := w.browser(); b.through(two, "dir1").status != 401 || b.here() {
		t.Error("the subject of one provider opened an account at another")
	}
	two.claims = func(c map[string]any) { c["email"] = "ana@example.test" } // a domain that is not this provider's
	if b := w.browser(); b.through(two, "dir1").status != 401 || b.here() {
		t.Error("a provider speaks for a domain that is not its own")
	}
	if b := w.browser(); b.through(one, "dir0").status == 401 || !b.here() {
		t.Error("and ana herself is kept out")
	}
}
