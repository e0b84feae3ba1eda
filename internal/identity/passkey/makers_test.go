package passkey_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/identity/passkey"
)

// maker vouches for keys of its models by a certificate.
type maker struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	raw  []byte
}

func newMaker(t testing.TB) *maker {
	t.Helper()
	m := &maker{t: t, key: newP256(t)}
	m.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Maker root"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	m.raw = m.sign(m.cert, &m.key.PublicKey)
	return m
}

func newP256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (m *maker) sign(c *x509.Certificate, pub *ecdsa.PublicKey) []byte {
	m.t.Helper()
	raw, err := x509.CreateCertificate(rand.Reader, c, m.cert, pub, m.key)
	if err != nil {
		m.t.Fatal(err)
	}
	return raw
}

var model = [16]byte{0xf8, 0xa0, 0x11, 0xf3, 0x8c, 0x0a, 0x4d, 0x15, 0x80, 0x06, 0x17, 0x11, 0x1f, 0x9e, 0xdc, 0x7d}

func uuidOf(id [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// file is a metadata file that lists a model with the maker's root.
func (m *maker) file(id [16]byte, status string) []byte {
	m.t.Helper()
	b, err := json.Marshal(map[string]any{"legalHeader": "x", "no": 1, "nextUpdate": "2030-01-01", "entries": []any{map[string]any{
		"aaguid": uuidOf(id), "timeOfLastStatusChange": "2026-01-01", "statusReports": []any{map[string]any{"status": status, "effectiveDate": "2026-01-01"}},
		"metadataStatement": map[string]any{"aaguid": uuidOf(id), "description": "Blue key", "protocolFamily": "fido2", "schema": 3, "attestationTypes": []string{"basic_full"},
			"attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(m.raw)}}}}})
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

// answer makes a passkey of a model, with the maker's word.
func (m *maker) answer(options []byte, id [16]byte) []byte {
	m.t.Helper()
	var q struct {
		Challenge string `json:"challenge"`
	}
	if err := json.Unmarshal(options, &q); err != nil {
		m.t.Fatal(err)
	}
	client, err := json.Marshal(map[string]string{"type": "webauthn.create", "challenge": q.Challenge, "origin": origin})
	if err != nil {
		m.t.Fatal(err)
	}
	own, batch := newP256(m.t), newP256(m.t)
	point, err := own.PublicKey.Bytes()
	if err != nil {
		m.t.Fatal(err)
	}
	host := sha256.Sum256([]byte("app.example.test"))
	credential := make([]byte, 32)
	_, _ = rand.Read(credential)
	data := append(binary.BigEndian.AppendUint32(append(host[:], 0x45), 0), id[:]...) // present, verified, made
	data = append(binary.BigEndian.AppendUint16(data, 32), credential...)
	data = append(append(data, 0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20), point[1:33]...)
	data = append(append(data, 0x22, 0x58, 0x20), point[33:]...)

	aaguid, err := asn1.Marshal(id[:])
	if err != nil {
		m.t.Fatal(err)
	}
	leaf := m.sign(&x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		Subject:         pkix.Name{Country: []string{"SE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Batch 1"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: aaguid}}}, &batch.PublicKey)
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(data[:len(data):len(data)], hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, batch, digest[:])
	if err != nil {
		m.t.Fatal(err)
	}
	object := append([]byte("\xa3\x63fmt\x66packed\x67attStmt\xa3\x63alg\x26\x63sig\x58"), byte(len(signature)))
	object = append(append(object, signature...), []byte("\x63x5c\x81\x59")...)
	object = append(binary.BigEndian.AppendUint16(object, uint16(len(leaf))), leaf...)
	object = append(append(object, []byte("\x68authData\x58")...), byte(len(data)))
	object = append(object, data...)
	text := base64.RawURLEncoding.EncodeToString
	out, err := json.Marshal(map[string]any{"type": "public-key", "id": text(credential), "rawId": text(credential), "clientExtensionResults": struct{}{},
		"response": map[string]string{"clientDataJSON": text(client), "attestationObject": text(object)}})
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

func partyOf(t testing.TB, file []byte) *passkey.Party {
	t.Helper()
	makers, err := passkey.ReadMakers(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := passkey.NewOf(origin, time.Now, makers)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A site with a metadata file asks for the maker's word and takes nothing without it: no
// word, another model, another maker under a listed model, a maker that was struck.
func TestListedMakersOnly(t *testing.T) { // breaks: auth.best-practice
	good, other := newMaker(t), newMaker(t)
	unlisted := model
	unlisted[0]++
	for name, c := range map[string]struct {
		file []byte
		make func(options []byte) []byte
		want passkey.Cause
	}{
		"a listed model":           {good.file(model, "FIDO_CERTIFIED"), func(o []byte) []byte { return good.answer(o, model) }, ""},
		"another model":            {good.file(model, "FIDO_CERTIFIED"), func(o []byte) []byte { return good.answer(o, unlisted) }, passkey.NotListed},
		"another maker's chain":    {good.file(model, "FIDO_CERTIFIED"), func(o []byte) []byte { return other.answer(o, model) }, passkey.NotListed},
		"a model that was revoked": {good.file(model, "REVOKED"), func(o []byte) []byte { return good.answer(o, model) }, passkey.NotListed},
		"no word of a maker": {good.file(model, "FIDO_CERTIFIED"), func(o []byte) []byte {
			k, err := partyOf(t, good.file(model, "FIDO_CERTIFIED")).NewKey()
			if err != nil {
				t.Fatal(err)
			}
			b, err := k.Make(o)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}, passkey.NotVouched},
	} {
		p := partyOf(t, c.file)
		asked, options, err := p.Create("Quorvex", passkey.Owner{Handle: passkey.NewHandle(), Name: "ana@example.test"})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(options), `"attestation":"direct"`) {
			t.Errorf("%s: the maker's word is not asked for: %s", name, options)
		}
		r, err := p.Created(asked, c.make(options))
		if got := passkey.CauseOf(err); got != c.want || c.want == "" && (err != nil || r.AAGUID != model) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
		if code, pub := fault.PublicOf(err); c.want != "" && (code != "passkey_refused" || pub.Next == "") {
			t.Errorf("%s: %s %+v", name, code, pub)
		}
	}
	// Without a file nobody is asked, and a word that nobody asked for is refused as before.
	p, err := passkey.New(origin, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	asked, options, err := p.Create("Quorvex", passkey.Owner{Handle: passkey.NewHandle(), Name: "ana@example.test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Created(asked, good.answer(options, model)); passkey.CauseOf(err) != passkey.Attested {
		t.Errorf("%v", err)
	}
}

// What is no metadata is refused, and the signed form is read as its payload.
func TestReadMakers(t *testing.T) {
	file := newMaker(t).file(model, "FIDO_CERTIFIED")
	signed := "e30." + base64.RawURLEncoding.EncodeToString(file) + ".c2ln\n"
	for name, b := range map[string][]byte{"payload": file, "signed": []byte(signed)} {
		if m, err := passkey.ReadMakers(b); err != nil || m.Len() != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, s := range map[string]string{"empty": "", "text": "hello", "three parts": "a.!.c", "another JSON": `{"a":1}`, "no model": `{"no":1,"nextUpdate":"2030-01-01","entries":[]}`,
		"a model without a name": `{"no":1,"nextUpdate":"2030-01-01","entries":[{"aaid":"4e4e#4005","timeOfLastStatusChange":"2026-01-01"}]}`} {
		_, err := passkey.ReadMakers([]byte(s))
		if code, _ := fault.PublicOf(err); !errors.Is(err, fault.Invalid) || code != "passkey_metadata" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever a file holds, either it is refused or it names models.
func FuzzReadMakers(f *testing.F) {
	f.Add(newMaker(f).file(model, "FIDO_CERTIFIED"))
	f.Add([]byte("e30.e30.e30"))
	f.Add([]byte(`{"no":1,"nextUpdate":"2030-01-01","entries":[{"aaguid":"x"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := passkey.ReadMakers(b); err == nil && m.Len() == 0 || err != nil && !errors.Is(err, fault.Invalid) {
			t.Errorf("%v %v", m, err)
		}
	})
}
