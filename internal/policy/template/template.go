// Package template holds the policy that ships with Writ: 145 promises in plain
// words with their parameters, as data for internal/policy/document. `writ init`
// fills in its header and adopts it as the bootstrap revision.
//
// For the owner who starts from it. It holds no code that decides anything.
package template

import (
	"bytes"
	_ "embed"
)

//go:embed policy.yaml
var policy []byte

// YAML returns the shipped policy file. The caller may change the bytes.
func YAML() []byte { return append([]byte(nil), policy...) }

// Certified is the same with the algorithms for those who are bound to a certified
// cryptographic module: passwords are hashed with PBKDF2 (docs/fips.md).
func Certified() []byte {
	return bytes.Replace(YAML(), []byte("value: argon2id, stricter: first"), []byte("value: pbkdf2-hmac-sha256, stricter: first"), 1)
}
