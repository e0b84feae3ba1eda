package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// The build under a certified module (make fips, WRIT_BINARY=bin/writ-fips): it says so, a
// new folder hashes passwords with what the module has, people sign in, and secrets are kept.
func TestCertifiedModule(t *testing.T) {
	t.Parallel()
	version := decode[struct {
		FIPS struct {
			Module            string
			Enabled, Enforced bool
		} `json:"fips140"`
		Outside []struct{ What string }
	}](t, must(t, 0, command{args: []string{"version", "--format", "json"}}).out)
	said := must(t, 0, command{args: []string{"version"}}).out
	if strings.Contains(strings.ToLower(said), "validated") || len(version.Outside) < 5 {
		t.Errorf("it says %s", said)
	}
	if !version.FIPS.Enabled {
		if strings.HasSuffix(os.Getenv("WRIT_BINARY"), "fips") || !strings.Contains(said, "not in FIPS 140-3 mode") {
			t.Errorf("%+v %s", version, said)
		}
		t.Skip("this is the other build; make more runs it with bin/writ-fips")
	}
	if !strings.HasPrefix(version.FIPS.Module, "v1.") || !strings.Contains(said, "AES-256-XTS") {
		t.Errorf("%+v %s", version, said)
	}
	s := start(t, setup{})
	if p := must(t, 0, s.writ("policy", "show", "auth.hash")).out; !strings.Contains(p, "pbkdf2-hmac-sha256") {
		t.Error(p)
	}
	v := s.owner("ana@example.test")
	v.want(http.StatusOK, "GET", "session", nil)
	put := s.writ("vault", "put", "/shop/a")
	put.stdin = "correct horse"
	must(t, 0, put)
	must(t, 0, s.writ("vault", "get", "/shop/a"), "correct horse")
	must(t, 0, s.writ("prove", "crypto.at-rest"))
}
