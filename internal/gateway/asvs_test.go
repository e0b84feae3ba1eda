package gateway_test

import "testing"

// The items of OWASP ASVS 5.0 that hold for the application's answers too; house gathers
// them into docs/asvs.md.
//
// breaks: crypto.tls-in-transit
func TestASVS(t *testing.T) {
	t.Run("3.4.1 every answer insists on TLS for a year, with subdomains", testAnswerHeaders)
}
