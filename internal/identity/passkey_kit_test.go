package identity_test

import (
	"encoding/json"
	"testing"

	virtual "github.com/descope/virtualwebauthn"

	"writ/internal/identity"
)

const named = "https://app.example.test"

// underName gives the service an address that passkeys can be bound to. The browser of
// these tests is a structure, so nobody looks the name up.
func underName(d *identity.Deps) { d.Origin = named }

// device keeps passkeys of one person.
type device struct {
	t    testing.TB
	site virtual.RelyingParty
	auth virtual.Authenticator
	key  virtual.Credential
}

func newDevice(t testing.TB) *device {
	return &device{t: t, site: virtual.RelyingParty{ID: "app.example.test", Origin: named}, auth: virtual.NewAuthenticator(), key: newKey()}
}

// asked is what the server asks a device.
type asked struct {
	flow    string
	options string
}

func askedOf(t testing.TB, m map[string]any) asked {
	t.Helper()
	o, err := json.Marshal(m["options"])
	if err != nil {
		t.Fatal(err)
	}
	flow, _ := m["flow"].(string)
	if flow == "" {
		t.Fatalf("no flow in %v", m)
	}
	return asked{flow, string(o)}
}

// make answers a question with a new passkey.
func (d *device) make(q asked) any {
	d.t.Helper()
	o, err := virtual.ParseAttestationOptions(q.options)
	if err != nil {
		d.t.Fatal(err)
	}
	d.auth.Options.UserHandle = []byte(o.UserID)
	return parsed(d.t, virtual.CreateAttestationResponse(d.site, d.auth, d.key, *o))
}

// prove answers a question with the passkey, which counts each use.
func (d *device) prove(q asked) any {
	d.t.Helper()
	o, err := virtual.ParseAssertionOptions(q.options)
	if err != nil {
		d.t.Fatal(err)
	}
	d.key.Counter++
	return parsed(d.t, virtual.CreateAssertionResponse(d.site, d.auth, d.key, *o))
}

func parsed(t testing.TB, s string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

type obj = map[string]any

// enrolPasskey sets up a passkey in a browser that is signed in.
func (b browser) enrolPasskey(d *device, name string) obj {
	b.w.t.Helper()
	q := askedOf(b.w.t, b.api(200, "POST", "factors/passkey/options", obj{}))
	return b.api(200, "POST", "factors/passkey", obj{"flow": q.flow, "name": name, "credential": d.make(q)})
}

// ask asks for a passkey at the sign-in.
func (b browser) askPasskey(flow string) asked {
	b.w.t.Helper()
	in := obj{}
	if flow != "" {
		in["flow"] = flow
	}
	return askedOf(b.w.t, b.api(200, "POST", "sign-in/passkey", in))
}

// show answers at the sign-in.
func (b browser) show(status int, q asked, credential any) obj {
	b.w.t.Helper()
	return b.api(status, "POST", "sign-in/factor", obj{"flow": q.flow, "kind": "passkey", "credential": credential})
}

// newKey is a key of the virtual authenticator. It writes a coordinate that begins with a
// zero a byte short, against RFC 9053 section 7.1.1, so such a key (1 in 128) is not used.
func newKey() virtual.Credential {
	for {
		if k := virtual.NewCredential(virtual.KeyTypeEC2); len(k.Key.AttestationData()) == 77 {
			return k
		}
	}
}
