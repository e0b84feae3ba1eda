package app

import (
	"errors"
	"testing"

	"writ/internal/fault"
	"writ/internal/vault/unseal"
)

// Shares are of one folder, and are no way to open keys that several servers use.
func TestSharesOfOneFolder(t *testing.T) {
	for kind, good := range map[string]bool{"": true, unseal.Environment: true, unseal.Shares: false} {
		c := settings("Example")
		c.Database, c.Keys.URL, c.Vault.Unseal.Kind = "postgres://db/ledger", "postgres://db/keys", kind
		if err := c.check("writ.yaml"); (err == nil) != good || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", kind, err)
		}
		if c.Keys.URL = ""; c.check("writ.yaml") != nil {
			t.Errorf("%q is refused for keys in the folder", kind)
		}
	}
}

// Where the terms lie stands as a link on the sign-up page: nothing but a place to read.
func TestTermsURL(t *testing.T) {
	for at, good := range map[string]bool{"": true, "https://www.example.com/terms?v=2": true, "/terms": true, "/legal/terms#customers": true,
		"http://www.example.com/terms": false, "javascript:alert(1)": false, "//evil.example/terms": false, `/\evil.example`: false, "/-/account": false, "terms": false,
		"https://u:p@example.com/": false, "https://": false, "data:text/html,x": false} {
		c := settings("Example")
		c.TermsURL = at
		if err := c.check("writ.yaml"); (err == nil) != good {
			t.Errorf("%q: %v", at, err)
		}
	}
}
