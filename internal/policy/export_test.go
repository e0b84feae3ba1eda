package policy

import "encoding/hex"

// RevisionHash is the hash of r with another body.
func RevisionHash(r Revision, body [32]byte) string {
	r.BodySHA256 = hex.EncodeToString(body[:])
	return r.hash()
}
