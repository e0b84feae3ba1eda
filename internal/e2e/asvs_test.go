package e2e

import (
	"testing"
)

// The items of OWASP ASVS 5.0 that need the whole server; house gathers them into
// docs/asvs.md.
//
// breaks: auth.best-practice
func TestASVS(t *testing.T) {
	t.Parallel()
	t.Run("6.3.2 a new server has no account but its owners' links", asvsNoDefaultAccounts)
}

func asvsNoDefaultAccounts(t *testing.T) {
	s := start(t, setup{owners: []string{"ana@example.test", "ben@example.test"}})
	people := decode[struct {
		People []struct {
			Email    string
			Password string `json:"password_set"`
		}
	}](t, must(t, 0, s.writ("user", "list", "--format", "json")).out).People
	if len(people) != 2 {
		t.Errorf("a new server knows %d people, want its two owners", len(people))
	}
	for _, p := range people {
		if p.Password != "" || s.owners[p.Email] == "" {
			t.Errorf("%s has had a password since %q", p.Email, p.Password)
		}
	}
	v := s.visitor()
	for _, name := range []string{"admin", "root", "sa", "writ"} { // nobody is there to have a password
		if a := v.api("POST", "sign-in", obj{"email": name + "@example.test", "password": name}); a.status != 401 {
			t.Errorf("%s: %v", name, a)
		}
	}
}
