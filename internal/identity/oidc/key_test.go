package oidc_test

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	op "writ/internal/identity/oidc"
)

func (w *world) jwks() jose.JSONWebKeySet {
	w.t.Helper()
	var set jose.JSONWebKeySet
	b := w.browser().get("/-/oidc/jwks")
	if err := json.Unmarshal([]byte(b.body), &set); err != nil || b.status != 200 {
		w.t.Fatalf("%d %s %v", b.status, b.body, err)
	}
	return set
}

func (w *world) kids(alg string) (ids []string) {
	for _, k := range w.jwks().Keys {
		if k.Algorithm == alg {
			ids = append(ids, k.KeyID)
		}
	}
	return ids
}

// A key signs for 90 days, is published a day before and a week after, and is called by
// its thumbprint.
func TestKeysRotate(t *testing.T) {
	w := open(t)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{Alg: "ES256"})
	b := w.browser()
	sign := func() (raw, kid string) {
		p := b.get(a.url())
		if p.out == "" {
			p = b.press(p, "email", email, "password", good)
		}
		raw = a.redeem(p.query().Get("code")).field("id_token")
		return raw, part(t, raw, 0)["kid"].(string)
	}
	renew := func() {
		if err := w.op.RenewKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range w.jwks().Keys {
		sum, err := k.Thumbprint(crypto.SHA256)
		if err != nil || k.KeyID != base64.RawURLEncoding.EncodeToString(sum) || k.Use != "sig" || !k.IsPublic() {
			t.Errorf("key %+v: %v", k.KeyID, err)
		}
	}
	raw, first := sign()
	if ks := w.kids("ES256"); len(ks) != 1 || ks[0] != first {
		t.Fatalf("keys %v, signed with %s", ks, first)
	}
	w.kit.Clock.Advance(89*24*time.Hour - time.Second)
	renew()
	if ks := w.kids("ES256"); len(ks) != 1 {
		t.Fatalf("a second before the 89th day: %v", ks)
	}
	w.kit.Clock.Advance(time.Second)
	renew()
	ks := w.kids("ES256")
	if len(ks) != 2 {
		t.Fatalf("on the 89th day: %v", ks)
	}
	if _, kid := sign(); kid != first {
		t.Error("the next key signs before its day")
	}
	w.kit.Clock.Advance(24 * time.Hour)
	_, second := sign()
	if second == first || !slices.Contains(ks, second) {
		t.Errorf("on the 90th day %s signs, published were %v", second, ks)
	}
	if ks := w.kids("ES256"); !slices.Contains(ks, first) {
		t.Error("the old key is gone while tokens of it live")
	}
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	set := w.jwks()
	if _, err := jws.Verify(set.Key(first)[0]); err != nil {
		t.Error(err)
	}
	w.kit.Clock.Advance(8 * 24 * time.Hour)
	renew()
	if ks := w.kids("ES256"); len(ks) != 1 || ks[0] != second {
		t.Errorf("a week later: %v, want %s", ks, second)
	}
	if w.one(`SELECT COUNT(*) || '' FROM identity_oidc_key WHERE alg = 'ES256'`) != "1" {
		t.Error("the row of the old key stays")
	}
}

// The example of RFC 7638 §3.1, through the function that names our keys.
func TestThumbprintVector(t *testing.T) {
	b, err := os.ReadFile("testdata/rfc7638.json")
	if err != nil {
		t.Fatal(err)
	}
	var k jose.JSONWebKey
	if err := json.Unmarshal(b, &k); err != nil {
		t.Fatal(err)
	}
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil || base64.RawURLEncoding.EncodeToString(sum) != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("%x %v", sum, err)
	}
}
