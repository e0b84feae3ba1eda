package passhash

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"writ/internal/secret"
)

// scramRounds is what PostgreSQL uses itself (RFC 7677 asks for no fewer).
const scramRounds = 4096

// SCRAM makes the verifier that PostgreSQL keeps of a role's password (RFC 5803), so that
// the password itself is in no statement and no log of that server. It is for random
// passwords: the rounds are those of RFC 7677, too few for one that somebody thought of.
// The salt is as random, of 16 bytes.
func SCRAM(password secret.Text, salt []byte) (secret.Text, error) {
	salted, err := pbkdf2.Key(sha256.New, password.Reveal(), salt, scramRounds, sha256.Size)
	if err != nil {
		return secret.Text{}, fmt.Errorf("derive a verifier: %w", err)
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored, b64 := sha256.Sum256(mac("Client Key")), base64.StdEncoding.EncodeToString
	return secret.NewText(fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramRounds, b64(salt), b64(stored[:]), b64(mac("Server Key")))), nil
}
