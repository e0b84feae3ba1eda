package passhash_test

import "testing"

// The items of OWASP ASVS 5.0 that password hashing answers for; house gathers them into
// docs/asvs.md.
//
// breaks: auth.hash
func TestASVS(t *testing.T) {
	t.Run("11.4.2 hashes cost what present guidance asks, no fast ones", testDefault)
}
