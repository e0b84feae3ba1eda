package passkey_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	virtual "github.com/descope/virtualwebauthn"

	"writ/internal/identity/passkey"
)

// A passkey that keeps a key signs the challenge of whoever asks, and is told its own salt.
func TestHeld(t *testing.T) {
	d := open(t)
	salt := []byte("0123456789abcdef0123456789abcdef")
	c, options, err := d.party.CreateHeld("Quorvex", passkey.Owner{Handle: d.handle, Name: "Vault share: Ana"}, salt)
	if err != nil {
		t.Fatal(err)
	}
	var asked struct {
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		Extensions             struct {
			PRF struct{ Eval struct{ First string } }
		}
	}
	if err := json.Unmarshal(options, &asked); err != nil || asked.AuthenticatorSelection.ResidentKey != "discouraged" || asked.AuthenticatorSelection.UserVerification != "required" ||
		asked.Extensions.PRF.Eval.First != base64.RawURLEncoding.EncodeToString(salt) {
		t.Errorf("asked %s, %v", options, err)
	}
	o, err := virtual.ParseAttestationOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.party.Created(d.kept(c), []byte(virtual.CreateAttestationResponse(d.site, d.device, d.key, *o)))
	if err != nil {
		t.Fatal(err)
	}
	mine := passkey.Held{Record: r, Salt: salt}
	other := mine
	other.ID = []byte("another credential")
	challenge := []byte("the hash of an operation, 32 byte")
	options, err = d.party.AskHeld(challenge, []passkey.Held{other, mine})
	if err != nil {
		t.Fatal(err)
	}
	var q struct {
		Challenge  string
		Extensions struct {
			PRF struct {
				EvalByCredential map[string]struct{ First string }
			}
		}
	}
	if err := json.Unmarshal(options, &q); err != nil || q.Challenge != base64.RawURLEncoding.EncodeToString(challenge) || q.Extensions.PRF.EvalByCredential[base64.RawURLEncoding.EncodeToString(r.ID)].First == "" {
		t.Errorf("asked %s, %v", options, err)
	}
	as, err := virtual.ParseAssertionOptions(string(options))
	if err != nil {
		t.Fatal(err)
	}
	answer := []byte(virtual.CreateAssertionResponse(d.site, d.device, d.key, *as))
	i, now, err := d.party.ProvedHeld(challenge, []passkey.Held{other, mine}, answer)
	if err != nil || i != 1 || now.Sum() != r.Sum() {
		t.Errorf("%d, %v", i, err)
	}
	_, _, err = d.party.ProvedHeld([]byte("the hash of another operation, 32"), []passkey.Held{mine}, answer)
	refused(t, err, passkey.WrongChallenge)
	_, _, err = d.party.ProvedHeld(challenge, []passkey.Held{other}, answer)
	refused(t, err, passkey.UnknownCredential)
}
