package house_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"writ/internal/fips"
)

// cryptography that does not come with the standard library, and what of it is only encoding.
var (
	otherCrypto = regexp.MustCompile(`^(golang\.org/x/crypto|github\.com/go-crypt/x|github\.com/go-webauthn/x/crypto|filippo\.io|lukechampine\.com|github\.com/(cloudflare/circl|ProtonMail/go-crypto))/`)
	notCrypto   = regexp.MustCompile(`/internal/|^golang\.org/x/crypto/cryptobyte`)
)

// All cryptography that the program links and that a certified module does not check is named
// by `writ version`, and nothing else is.
func TestWhatTheModuleDoesNotCheckIsNamed(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/writ")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for path := range strings.FieldsSeq(string(out)) {
		named := fips.Brings(path)
		if named {
			seen++
		}
		if otherCrypto.MatchString(path) && !notCrypto.MatchString(path) && !named {
			t.Errorf("%s is linked, and internal/fips does not name what it brings", path)
		}
	}
	if seen != fips.Packages() {
		t.Errorf("internal/fips names %d packages, and the program links %d of them", fips.Packages(), seen)
	}
}
