package keys_test

import (
	"testing"

	"writ/internal/vault/keys"
)

func FuzzReadCertificate(f *testing.F) {
	for _, s := range []string{"", "{}", `{"id":"a","keys":[],"method":"x"}`, `{"id":"a","keys":[{"id":"k"}],"method":"Purge — Cryptographic Erase (NIST SP 800-88r2)"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := keys.ReadCertificate(b); err == nil && c.ID == "" {
			t.Fatalf("a certificate without an id is taken: %s", b)
		}
	})
}
