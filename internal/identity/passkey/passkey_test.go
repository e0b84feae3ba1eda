package passkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	virtual "github.com/descope/virtualwebauthn"

	"writ/internal/fault"
	"writ/internal/identity/passkey"
)

const origin = "https://app.example.test"

// desk is a site, and a person with a device before it.
type desk struct {
	t      testing.TB
	now    time.Time
	party  *passkey.Party
	site   virtual.RelyingParty
	device virtual.Authenticator
	key    virtual.Credential
	handle []byte
}

func open(t testing.TB) *desk {
	t.Helper()
	d := &desk{t: t, now: time.Now(), site: virtual.RelyingParty{ID: "app.example.test", Name: "Quorvex", Origin: origin},
		key: newKey(), handle: passkey.NewHandle()}
	d.device = virtual.NewAuthenticatorWithOptions(virtual.AuthenticatorOptions{UserHandle: d.handle, BackupEligible: true})
	var err error
	if d.party, err = passkey.New(origin, func() time.Time { return d.now }); err != nil {
		t.Fatal(err)
	}
	return d
}

// owner is who the passkey is made for.
func (d *desk) owner(has ...passkey.Record) passkey.Owner {
	return passkey.Owner{Handle: d.handle, Name: "ana@example.test", Has: has}
}

// create asks for a passkey; the device answers.
func (d *desk) create() (passkey.Ceremony, string) {
	d.t.Helper()
	c, options, err := d.party.Create("Quorvex", d.owner())
	if err != nil {
		d.t.Fatal(err)
	}
	o, err := virtual.ParseAttestationOptions(string(options))
	if err != nil {
		d.t.Fatal(err)
	}
	return d.kept(c), virtual.CreateAttestationResponse(d.site, d.device, d.key, *o)
}

// made is a passkey of the person.
func (d *desk) made() passkey.Record {
	d.t.Helper()
	c, answer := d.create()
	r, err := d.party.Created(c, []byte(answer))
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// ask asks for a proof; the device answers.
func (d *desk) ask(from ...passkey.Record) (passkey.Ceremony, string) {
	d.t.Helper()
	c, options, err := d.party.Ask(from)
	if err != nil {
		d.t.Fatal(err)
	}
	o, err := virtual.ParseAssertionOptions(string(options))
	if err != nil {
		d.t.Fatal(err)
	}
	return d.kept(c), virtual.CreateAssertionResponse(d.site, d.device, d.key, *o)
}

// kept is the ceremony after it lay in a table.
func (d *desk) kept(c passkey.Ceremony) passkey.Ceremony {
	d.t.Helper()
	b, err := c.Bytes()
	if err != nil {
		d.t.Fatal(err)
	}
	if c, err = passkey.ReadCeremony(b); err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *desk) prove(c passkey.Ceremony, answer string, r passkey.Record) (passkey.Record, error) {
	a, err := passkey.Read([]byte(answer))
	if err != nil {
		return passkey.Record{}, err
	}
	return d.party.Proved(c, a, r)
}

func TestMakeAndProve(t *testing.T) {
	for name, kind := range map[string]virtual.KeyType{"elliptic": virtual.KeyTypeEC2, "rsa": virtual.KeyTypeRSA} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			if kind == virtual.KeyTypeRSA {
				d.key = virtual.NewCredential(kind)
			}
			r := d.made()
			if !bytes.Equal(r.ID, d.key.ID) || !bytes.Equal(r.Handle, d.handle) || r.AAGUID != d.device.Aaguid || !r.BackupEligible() || r.BackedUp() {
				t.Errorf("the record is not the device's: %+v", r)
			}
			for round := range 3 {
				d.key.Counter++
				d.device.Options.BackupState = round > 0
				c, answer := d.ask()
				if round == 2 {
					c, answer = d.ask(r)
				}
				if c.Named() != (round == 2) {
					t.Errorf("round %d: named is %t", round, c.Named())
				}
				a, err := passkey.Read([]byte(answer))
				if err != nil {
					t.Fatal(err)
				}
				if a.Sum() != r.Sum() {
					t.Error("the answer does not lead to its record")
				}
				if r, err = d.party.Proved(c, a, r); err != nil {
					t.Fatal(err)
				}
				if r.Count != d.key.Counter || r.BackedUp() != (round > 0) {
					t.Errorf("round %d: count %d, backed up %t", round, r.Count, r.BackedUp())
				}
				r = rewritten(t, r)
			}
		})
	}
}

// rewritten is a record after it lay in a table.
func rewritten(t testing.TB, r passkey.Record) passkey.Record {
	t.Helper()
	b, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if r, err = passkey.ReadRecord(b); err != nil {
		t.Fatal(err)
	}
	return r
}

// What is asked for is what makes a passkey stand for two factors.
func TestQuestions(t *testing.T) {
	d := open(t)
	r := d.made()
	_, text, err := d.party.Create("Quorvex", d.owner(r))
	if err != nil {
		t.Fatal(err)
	}
	var made struct {
		RP        struct{ ID, Name string }
		User      struct{ ID, Name string }
		Selection struct {
			ResidentKey        string `json:"residentKey"`
			RequireResidentKey bool   `json:"requireResidentKey"`
			UserVerification   string `json:"userVerification"`
		} `json:"authenticatorSelection"`
		Attestation string
		Exclude     []struct{ ID string } `json:"excludeCredentials"`
		Challenge   string
		Timeout     int
	}
	read(t, text, &made)
	if made.RP.ID != "app.example.test" || made.RP.Name != "Quorvex" || made.Selection.ResidentKey != "required" || !made.Selection.RequireResidentKey ||
		made.Selection.UserVerification != "required" || made.Attestation != "none" || made.Timeout != 300_000 || len(made.Challenge) < 22 {
		t.Errorf("asked for %s", text)
	}
	if id, err := base64.RawURLEncoding.DecodeString(made.User.ID); err != nil || len(id) != passkey.HandleSize || strings.Contains(string(id), "ana") {
		t.Errorf("the handle is %q", made.User.ID)
	}
	if len(made.Exclude) != 1 || made.Exclude[0].ID != base64.RawURLEncoding.EncodeToString(r.ID) {
		t.Errorf("excluded are %v", made.Exclude)
	}
	_, open, err := d.party.Ask(nil)
	if err != nil {
		t.Fatal(err)
	}
	var asked map[string]any
	read(t, open, &asked)
	if _, named := asked["allowCredentials"]; named || asked["userVerification"] != "required" || asked["rpId"] != "app.example.test" {
		t.Errorf("a stranger is asked %s", open)
	}
	_, named, err := d.party.Ask([]passkey.Record{r})
	if err != nil {
		t.Fatal(err)
	}
	clear(asked)
	read(t, named, &asked)
	if list, _ := asked["allowCredentials"].([]any); len(list) != 1 || asked["userVerification"] != "required" {
		t.Errorf("a known person is asked %s", named)
	}
}

func read(t testing.TB, text []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
}

func TestNoMoreThanTwenty(t *testing.T) {
	d := open(t)
	r := d.made()
	if _, _, err := d.party.Create("Quorvex", d.owner(slices.Repeat([]passkey.Record{r}, passkey.MaxPerPerson-1)...)); err != nil {
		t.Error(err)
	}
	_, _, err := d.party.Create("Quorvex", d.owner(slices.Repeat([]passkey.Record{r}, passkey.MaxPerPerson)...))
	if passkey.CauseOf(err) != passkey.TooMany || !errors.Is(err, fault.Conflict) {
		t.Errorf("the twenty-first: %v", err)
	}
	if _, _, err := d.party.Create("Quorvex", passkey.Owner{Handle: []byte("ana@example.test"), Name: "ana"}); err == nil {
		t.Error("an address was taken for a handle")
	}
}

func TestHosts(t *testing.T) {
	for from, id := range map[string]string{
		"https://App.Example.test": "app.example.test", "https://localhost:8443": "localhost", "https://app.example.test:443": "app.example.test",
		"https://127.0.0.1:8443": "", "https://[::1]": "", "http://app.example.test": "", "https://app.example.test/x": "", "": "",
	} {
		p, err := passkey.New(from, time.Now)
		if id == "" {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", from, err)
			}
			continue
		}
		if err != nil || p.ID() != id {
			t.Errorf("%q: %v", from, err)
		}
	}
	d := open(t)
	var err error
	if d.party, err = passkey.New("https://APP.example.test:443", func() time.Time { return d.now }); err != nil {
		t.Fatal(err)
	}
	d.made() // the browser writes the origin without the usual port
}

// edit changes members of an answer; a path has dots.
func edit(t testing.TB, answer string, set map[string]any) string {
	t.Helper()
	var m map[string]any
	read(t, []byte(answer), &m)
	for path, v := range set {
		at, last := m, path
		for {
			head, rest, deep := strings.Cut(last, ".")
			if !deep {
				break
			}
			inner, ok := at[head].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[head] = inner
			}
			at, last = inner, rest
		}
		if v == nil {
			delete(at, last)
		} else {
			at[last] = v
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// client changes what the browser says; the signature no longer fits, so the refusal
// must come from the statement itself.
func client(t testing.TB, answer string, set map[string]any) string {
	t.Helper()
	var m struct {
		Response struct {
			ClientDataJSON string `json:"clientDataJSON"`
		} `json:"response"`
	}
	read(t, []byte(answer), &m)
	b, err := base64.RawURLEncoding.DecodeString(m.Response.ClientDataJSON)
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]any
	read(t, b, &data)
	maps.Copy(data, set)
	if b, err = json.Marshal(data); err != nil {
		t.Fatal(err)
	}
	return edit(t, answer, map[string]any{"response.clientDataJSON": base64.RawURLEncoding.EncodeToString(b)})
}

func refused(t *testing.T, err error, want passkey.Cause) {
	t.Helper()
	if passkey.CauseOf(err) != want {
		t.Fatalf("got %v, want a refusal because of %s", err, want)
	}
	code, public := fault.PublicOf(err)
	if code == "internal" || public.Problem == "" || public.Next == "" && want != passkey.TooLarge || fault.KindOf(err) == fault.Internal {
		t.Errorf("%s says to a person: %s %+v", want, code, public)
	}
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
