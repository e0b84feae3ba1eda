package gateway_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each day signs with a key of its own. It is published a day before and a day after, and then
// gone.
func TestAssertionKeysTurn(t *testing.T) {
	now := time.Date(2026, 3, 1, 23, 59, 50, 0, time.UTC)
	k := open(t, options{routes: routes, now: func() time.Time { return now }})
	published := func() (ids []string, keys map[string]ed25519.PublicKey) {
		var set struct{ Keys []struct{ Kid, X string } }
		if err := json.Unmarshal([]byte(k.do(k.client(), "GET", "/-/jwks").body), &set); err != nil {
			t.Fatal(err)
		}
		keys = map[string]ed25519.PublicKey{}
		for _, x := range set.Keys {
			b, err := base64.RawURLEncoding.DecodeString(x.X)
			if err != nil || len(b) != ed25519.PublicKeySize {
				t.Fatal(x, err)
			}
			ids, keys[x.Kid] = append(ids, x.Kid), b
		}
		return ids, keys
	}
	signedBy := func(target string) string {
		token := k.do(k.client(), "GET", target, asAdmin).Header.Get("Seen-Writ-Assertion")
		part := strings.Split(token, ".")
		var head struct{ Kid string }
		b, err := base64.RawURLEncoding.DecodeString(part[0])
		if err == nil {
			err = json.Unmarshal(b, &head)
		}
		_, keys := published()
		sig, _ := base64.RawURLEncoding.DecodeString(part[2])
		if err != nil || keys[head.Kid] == nil || !ed25519.Verify(keys[head.Kid], []byte(part[0]+"."+part[1]), sig) {
			t.Fatalf("%s at %s: %v, by a key that is not published", target, now, err)
		}
		return head.Kid
	}
	before, _ := published()
	if got := signedBy("/admin/x"); got != before[1] || len(before) != 3 {
		t.Errorf("signed by %s of %v", got, before)
	}
	now = now.Add(15 * time.Second) // the one from before midnight is sent again, and holds
	if got := signedBy("/admin/x"); got != before[1] {
		t.Errorf("sent again: %s", got)
	}
	if got := signedBy("/x"); got != before[2] {
		t.Errorf("the next day: signed by %s of %v", got, before)
	}
	if after, _ := published(); !slices.Equal(after[:2], before[1:]) || slices.Contains(before, after[2]) {
		t.Errorf("published %v, then %v", before, after)
	}
	now = now.Add(48 * time.Hour)
	if later, _ := published(); slices.Contains(later, before[1]) {
		t.Error("an old key is still published")
	}
}

// Where a route says so, an assertion names path and query, and serves no other request.
func TestAssertionForOneRequest(t *testing.T) {
	k := open(t, options{routes: routes + "- {path: /exact/, who: signed-in, exact: true}\n"})
	for target, exact := range map[string]bool{"/exact/a?b=c%20d": true, "/exact/a?b=e": true, "/exact/a?": true, "/x?b=c": false, "/Exact/a": true} {
		got := k.do(http1(k), "GET", target, asAdmin)
		sum := sha256.Sum256([]byte(got.Header.Get("Seen-Target")))
		claims := claimsIn(t, got.Header.Get("Seen-Writ-Assertion"))
		if is := claims["target"]; got.Header.Get("Seen-Target") != target || exact && is != base64.RawURLEncoding.EncodeToString(sum[:]) || !exact && is != nil {
			t.Errorf("%s, seen as %s: %v", target, got.Header.Get("Seen-Target"), is)
		}
	}
}
