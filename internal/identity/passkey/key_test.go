package passkey_test

import (
	"testing"

	"writ/internal/identity/passkey"
)

// The key of the controls is taken as a device's is, and its lies are refused as theirs.
func TestKey(t *testing.T) {
	d := open(t)
	k, err := d.party.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	c, options, err := d.party.Create("Quorvex", d.owner())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := k.Make(options)
	if err != nil {
		t.Fatal(err)
	}
	r, err := d.party.Created(c, answer)
	if err != nil {
		t.Fatal(err)
	}
	try := func(want passkey.Cause) {
		t.Helper()
		c, options, err := d.party.Ask(nil)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := k.Prove(options)
		if err != nil {
			t.Fatal(err)
		}
		now, err := d.prove(c, string(proof), r)
		if want != "" {
			refused(t, err, want)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		r = now
	}
	try("")
	k.Origin = "https://login.example.test"
	try(passkey.WrongOrigin)
	k.Origin, k.Host = origin, "example.test"
	try(passkey.WrongHost)
	k.Host, k.Unverified = "app.example.test", true
	try(passkey.NotVerified)
	k.Unverified = false
	try("")
	k.Count--
	try(passkey.Cloned)
	if _, err := k.Prove([]byte("{")); err == nil {
		t.Error("half a question was answered")
	}
}
