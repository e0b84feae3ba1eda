// Package fips says under which cryptographic module this program runs, and what of its
// cryptography that module does not check. It decides nothing about data: the policy picks
// algorithms, and `writ init` picks others where the module is on.
//
//	make fips ─► GOFIPS140=certified ─► bin/writ-fips ─► GODEBUG fips140=on is its default
//	writ version ─► Now, Outside
//
// It refuses nothing, and says nothing of a validation: whether the module's certificate
// covers a machine and a use is for whoever reads the certificate.
//
// For: engineers of companies that are bound to such a module, and their auditors.
package fips

import "crypto/fips140"

// State is the module, as the program runs now.
type State struct {
	Module   string `json:"module"`   // its version; "latest" is whatever came with the compiler
	Enabled  bool   `json:"enabled"`  // it tests itself and is what the standard library uses
	Enforced bool   `json:"enforced"` // what is not approved panics or fails
}

// Now is the state of this process.
func Now() State { return State{fips140.Version(), fips140.Enabled(), fips140.Enforced()} }

// Use is cryptography in this program that the module does not check.
type Use struct {
	What     string   `json:"what"`
	Where    string   `json:"where"`
	Instead  string   `json:"instead"` // what stands in its place, or why it may stay
	packages []string // that bring it
}

// Outside are all of them. A test holds the list against what the program links.
func Outside() []Use {
	return []Use{
		{"AES-256-XTS", "pages of the SQLite database", "the mode is this program's own, the cipher the module's; every value is in an AES-256-GCM box as well; PostgreSQL has no such pages", nil},
		{"argon2id", "hashes of passwords", "PBKDF2-HMAC-SHA-256 with 600,000 rounds, once the policy says so (auth.hash); a new folder of this build begins with it", []string{"golang.org/x/crypto/argon2", "golang.org/x/crypto/blake2b"}},
		{"bcrypt, scrypt, argon2 and crypt(3) of other systems", "passwords that were brought from elsewhere", "replaced at the next sign-in; take them out of auth.hash/import to refuse them",
			[]string{"github.com/go-crypt/x/argon2", "github.com/go-crypt/x/bcrypt", "github.com/go-crypt/x/blake2b", "github.com/go-crypt/x/blowfish", "github.com/go-crypt/x/base64", "github.com/go-crypt/x/crypt", "github.com/go-crypt/x/pbkdf2", "github.com/go-crypt/x/scrypt", "github.com/go-crypt/x/yescrypt", "golang.org/x/crypto/blowfish", "golang.org/x/crypto/md4"}},
		{"Argon2, ChaCha20 and Salsa20 of KeePass", "databases that are brought over", "an export of KeePass as XML", []string{"golang.org/x/crypto/salsa20/salsa"}},
		{"HMAC-SHA-1", "one-time codes of authenticator apps", "passkeys, which the policy can ask for", nil},
		{"X25519, ChaCha20-Poly1305", "what a client of TLS may offer", "the standard library leaves them out while the module is on", []string{"golang.org/x/crypto/chacha20", "golang.org/x/crypto/curve25519"}},
		{"secp256k1, OCSP", "formats that a passkey may come in; none of them is asked for", "the module's own curves are asked for", []string{"github.com/go-webauthn/x/crypto/secp256k1", "github.com/go-webauthn/x/crypto/secp256k1/ecdsa", "golang.org/x/crypto/ocsp"}},
		{"formats of OpenSSH", "signatures of owners", "the signatures themselves are the module's", []string{"golang.org/x/crypto/ssh"}},
		{"SSH", "copies of the status page by SFTP, where writ.yaml names such a place", "an object store, or a folder that another program syncs", []string{"golang.org/x/crypto/ssh/knownhosts"}},
	}
}

// Brings reports whether a package that the program links is named among what is outside.
func Brings(path string) bool {
	for _, u := range Outside() {
		for _, p := range u.packages {
			if p == path {
				return true
			}
		}
	}
	return false
}

// Packages is how many packages are named.
func Packages() (n int) {
	for _, u := range Outside() {
		n += len(u.packages)
	}
	return n
}
