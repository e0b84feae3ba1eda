package passhash_test

import (
	"encoding/base64"
	"testing"

	"writ/internal/passhash"
	"writ/internal/secret"
)

// The example of RFC 7677: salt and password are its, and the proof of its exchange is what
// the stored key of this verifier accepts.
func TestSCRAM(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	v, err := passhash.SCRAM(secret.NewText("pencil"), salt)
	const want = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
	if err != nil || v.Reveal() != want {
		t.Errorf("%s %v", v.Reveal(), err)
	}
}
