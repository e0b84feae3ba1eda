package web_test

import "testing"

// The items of OWASP ASVS 5.0 that every page and answer of Writ carries; house gathers
// them into docs/asvs.md.
//
// breaks: auth.best-practice
func TestASVS(t *testing.T) {
	t.Run("3.4.3 3.4.6 every answer names its sources, and nobody frames it", testEveryAnswerCarriesTheHeaders)
}
