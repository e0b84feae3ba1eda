package passkey_test

import (
	"testing"

	"writ/internal/identity/passkey"
)

// Whatever comes as the answer to Create, it is judged without a panic, and what is
// accepted can be written and read.
func FuzzCreated(f *testing.F) {
	d := open(f)
	asked, answer := d.create()
	f.Add([]byte(answer))
	f.Add([]byte(edit(f, answer, map[string]any{"clientExtensionResults.credProps.rk": true, "response.transports": []string{"usb", "x"}})))
	f.Add([]byte(`{"id":"eA","rawId":"eA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"o2NmbXRkbm9uZQ"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := d.party.Created(asked, b)
		if err != nil {
			if passkey.CauseOf(err) == "" {
				t.Errorf("a refusal without a cause: %v", err)
			}
			return
		}
		rewritten(t, r)
	})
}

// Whatever comes as a proof, it is judged without a panic.
func FuzzProved(f *testing.F) {
	d := open(f)
	r := d.made()
	asked, answer := d.ask()
	f.Add([]byte(answer))
	f.Add([]byte(`{"id":"eA","rawId":"eA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AAAA","signature":"AAAA","userHandle":"eA"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := passkey.Read(b)
		if err == nil {
			if len(a.Sum()) != 64 {
				t.Error("the sum has no 64 digits")
			}
			_, err = d.party.Proved(asked, a, r)
		}
		if err != nil && passkey.CauseOf(err) == "" {
			t.Errorf("a refusal without a cause: %v", err)
		}
	})
}

// What lies in a table is read without a panic, and written as it was read.
func FuzzReadRecord(f *testing.F) {
	f.Add([]byte(written))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := passkey.ReadRecord(b); err == nil {
			rewritten(t, r)
		}
		if c, err := passkey.ReadCeremony(b); err == nil {
			if _, err := c.Bytes(); err != nil {
				t.Error(err)
			}
		}
	})
}
