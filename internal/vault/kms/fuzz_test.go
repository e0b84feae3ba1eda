package kms_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"writ/internal/ledger/ledgertest"
	"writ/internal/vault"
	"writ/internal/vault/kms"
)

// No bytes but those that were made here open, and none break the door.
func FuzzCiphertext(f *testing.F) {
	w := open(f, ledgertest.Open(f, vault.Schema()))
	k, err := w.kms.Create(f.Context(), operator, kms.NewKey{})
	if err != nil {
		f.Fatal(err)
	}
	c := w.client(vault.NewKey{Path: "/"})
	made := c.good("Encrypt", obj{"KeyId": k.ID, "Plaintext": b64("x")}).bytes("CiphertextBlob")
	f.Add([]byte(made), "")
	f.Add([]byte(made[:17]), "a")
	f.Add([]byte("\x01"), "b")
	f.Fuzz(func(t *testing.T, blob []byte, name string) {
		w.t = t
		in := obj{"CiphertextBlob": base64.StdEncoding.EncodeToString(blob)}
		if name != "" {
			in["EncryptionContext"] = obj{name: "x"}
		}
		s := c.call("Decrypt", in)
		if good := string(blob) == made && name == ""; (s.status == 200) != good || s.status >= 500 {
			t.Errorf("%x %q: %d %s", blob, name, s.status, s.raw)
		}
	})
}

// The older wire answers in XML whatever it is sent.
func FuzzWhoAmI(f *testing.F) {
	w := open(f, ledgertest.Open(f, vault.Schema()))
	c := w.client(vault.NewKey{Path: "/"})
	for _, s := range []string{whoAmI, "Action=%zz", "Action=GetCallerIdentity;x", "", "&=&=<"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		w.t = t
		s := c.send("sts", "", form, body)
		if s.status >= 500 || !strings.HasPrefix(s.raw, "<GetCallerIdentityResponse ") && !strings.HasPrefix(s.raw, "<ErrorResponse ") {
			t.Errorf("%q: %d %s", body, s.status, s.raw)
		}
	})
}
