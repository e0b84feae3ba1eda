package sample_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"writ/internal/demo/sample"
)

// The sample believed an assertion of any issuer, and one for a GET on a POST. It is
// what people copy.
func TestAssertionsServeOneIssuerAndMethodRegression(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, b64(pub))
	}))
	defer srv.Close()
	now := time.Unix(1_800_000_000, 0)
	app, err := sample.New(t.Context(), sample.Options{File: filepath.Join(t.TempDir(), "sample.db"), Now: func() time.Time { return now },
		Verifier: &sample.Verifier{URL: srv.URL + "/-/jwks", Client: srv.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	defer app.Close()
	for name, c := range map[string]struct {
		change func(*sample.Claims)
		want   int
	}{
		"good":           {func(*sample.Claims) {}, 200},
		"another issuer": {func(c *sample.Claims) { c.Issuer = "https://other.example" }, 401},
		"another method": {func(c *sample.Claims) { c.Method = "POST" }, 401},
		"expired":        {func(c *sample.Claims) { c.Expires = now.Unix() }, 401},
		"nobody":         {func(c *sample.Claims) { c.Subject = "" }, 401},
		"this target":    {func(c *sample.Claims) { c.Target = hashed("/api/whoami?x=1") }, 200},
		"another query":  {func(c *sample.Claims) { c.Target = hashed("/api/whoami") }, 401},
		"another path":   {func(c *sample.Claims) { c.Target = hashed("/api/contacts?x=1") }, 401},
	} {
		claims := sample.Claims{Issuer: srv.URL, Subject: "p", Team: "t", Method: "GET", Route: "*", Expires: now.Unix() + 60}
		c.change(&claims)
		body, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		signed := b64([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + b64(body)
		r := httptest.NewRequest("GET", "/api/whoami?x=1", nil)
		r.Header.Set("Writ-Assertion", signed+"."+b64(ed25519.Sign(key, []byte(signed))))
		w := httptest.NewRecorder()
		app.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
}

func hashed(target string) string {
	sum := sha256.Sum256([]byte(target))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// A key that is no longer published ends within an hour, however well its signature fits.
func TestKeysEnd(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	set := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(pub))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, set) }))
	defer srv.Close()
	v := &sample.Verifier{URL: srv.URL + "/-/jwks", Client: srv.Client()}
	now := time.Unix(1_800_000_000, 0)
	check := func() error {
		body, err := json.Marshal(sample.Claims{Issuer: srv.URL, Subject: "p", Expires: now.Unix() + 60})
		if err != nil {
			t.Fatal(err)
		}
		signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
		_, err = v.Check(t.Context(), signed+"."+base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(signed))), now)
		return err
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	set = `{"keys":[]}`
	now = now.Add(59 * time.Minute)
	if err := check(); err != nil {
		t.Errorf("within the hour: %v", err)
	}
	now = now.Add(time.Minute)
	if err := check(); err == nil {
		t.Error("a key that is no longer published is believed")
	}
}
