package sample

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Claims are the parts of the assertion that the sample uses.
type Claims struct {
	Issuer  string   `json:"iss"`
	Subject string   `json:"sub"`
	Kind    string   `json:"kind"` // person, machine, or writ: it asks for itself
	Team    string   `json:"team"`
	Roles   []string `json:"roles"`
	Expires int64    `json:"exp"`
	Method  string   `json:"method"`
	Route   string   `json:"route"`
	Target  string   `json:"target,omitempty"` // SHA-256 of path and query, where the assertion is for these alone
	Body    string   `json:"body,omitempty"`   // SHA-256 of the body, where Writ asks for itself
}

// For reports whether the assertion was made for this request. Where routes differ in what they
// allow, compare the route as well: an assertion for one request must not serve another.
func (c Claims) For(r *http.Request) bool {
	sum := sha256.Sum256([]byte(r.RequestURI))
	return c.Method == r.Method && (c.Target == "" || c.Target == base64.RawURLEncoding.EncodeToString(sum[:]))
}

// Verifier checks assertions against the keys published at a URL. The origin of that URL
// is the one issuer it believes.
type Verifier struct {
	URL    string // https://app.example.com/-/jwks
	Client *http.Client

	mu      sync.Mutex
	keys    map[string]ed25519.PublicKey
	fetched time.Time
}

// Check returns the claims of a compact JWT if its signature, issuer and time are good.
// Claims.For says whether it was made for the request.
func (v *Verifier) Check(ctx context.Context, token string, now time.Time) (Claims, error) {
	var c Claims
	parts := strings.Split(token, ".")
	if len(token) > 8<<10 || len(parts) != 3 {
		return c, errors.New("no assertion")
	}
	var head struct{ Alg, Kid string }
	if err := part(parts[0], &head); err != nil || head.Alg != "EdDSA" {
		return c, errors.New("assertion of another kind")
	}
	key, err := v.key(ctx, head.Kid, now)
	if err != nil {
		return c, err
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || !ed25519.Verify(key, []byte(parts[0]+"."+parts[1]), sig) {
		return c, errors.New("assertion with a wrong signature")
	}
	if err := part(parts[1], &c); err != nil {
		return c, err
	}
	if issuer, _ := strings.CutSuffix(v.URL, "/-/jwks"); c.Issuer != issuer {
		return Claims{}, errors.New("assertion of another issuer")
	}
	if now.Unix() >= c.Expires {
		return Claims{}, errors.New("assertion has expired")
	}
	if c.Subject == "" {
		return Claims{}, errors.New("assertion names nobody")
	}
	return c, nil
}

func part(s string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// key finds a key by its id. The set is fetched again for an unknown id, at most once a second,
// and when it is an hour old: keys that are no longer in it end.
func (v *Verifier) key(ctx context.Context, kid string, now time.Time) (ed25519.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if k, ok := v.keys[kid]; ok && now.Sub(v.fetched) < time.Hour {
		return k, nil
	}
	if now.Sub(v.fetched) < time.Second {
		return nil, errors.New("assertion by an unknown key")
	}
	v.fetched = now
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.URL, nil)
	if err != nil {
		return nil, err
	}
	res, err := v.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch keys: %w", err)
	}
	defer res.Body.Close()
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X string }
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&set); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	v.keys = map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err == nil && k.Kty == "OKP" && k.Crv == "Ed25519" && len(x) == ed25519.PublicKeySize {
			v.keys[k.Kid] = x
		}
	}
	if k, ok := v.keys[kid]; ok {
		return k, nil
	}
	return nil, errors.New("assertion by an unknown key")
}
