package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"

	"github.com/go-jose/go-jose/v4"
)

// The life of a signing key: it signs for 90 days, is published a day before, and stays
// published for a week after the next one began, so that what it signed can be read.
const (
	keyLife    = 90 * 24 * time.Hour
	keyAhead   = 24 * time.Hour
	keyBehind  = 7 * 24 * time.Hour
	keysReread = time.Minute
)

// algorithms are what id tokens are signed with.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

type signingKey struct {
	kid    string
	alg    jose.SignatureAlgorithm
	n      int64
	begins time.Time
	signer crypto.Signer
}

// keys are read again every minute, because another node may have made one.
type keys struct {
	mu   sync.Mutex
	all  []signingKey // by algorithm, oldest first
	read time.Time
}

// published are the keys that clients may meet: those that sign, those that soon will,
// and those that did until a week ago.
func (s *Service) published(ctx context.Context) ([]signingKey, error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	now := s.Now()
	if len(s.keys.all) == 0 || now.Sub(s.keys.read) >= keysReread || now.Before(s.keys.read) {
		all, err := s.readKeys(ctx)
		if err != nil {
			return nil, err
		}
		s.keys.all, s.keys.read = all, now
	}
	var out []signingKey
	for i, k := range s.keys.all {
		next := i + 1
		if next < len(s.keys.all) && s.keys.all[next].alg == k.alg && !now.Before(s.keys.all[next].begins.Add(keyBehind)) {
			continue
		}
		out = append(out, k)
	}
	return out, nil
}

// signing is the key that signs now.
func (s *Service) signing(ctx context.Context, alg jose.SignatureAlgorithm) (signingKey, error) {
	for range 2 {
		all, err := s.published(ctx)
		if err != nil {
			return signingKey{}, err
		}
		var best signingKey
		for _, k := range all {
			if k.alg == alg && !s.Now().Before(k.begins) {
				best = k
			}
		}
		if best.signer != nil {
			return best, nil
		}
		if err := s.RenewKeys(ctx); err != nil {
			return signingKey{}, err
		}
	}
	return signingKey{}, fault.Newf(fault.Unavailable, "no_signing_key", "There is no key to sign with.")
}

// RenewKeys makes the first key of each algorithm, and the next one a day before the
// present one is 90 days old.
func (s *Service) RenewKeys(ctx context.Context) error {
	all, err := s.readKeys(ctx)
	if err != nil {
		return err
	}
	for _, alg := range algorithms {
		var newest signingKey
		for _, k := range all {
			if k.alg == alg {
				newest = k
			}
		}
		now := s.Now()
		begins := now
		if newest.signer != nil {
			if now.Before(newest.begins.Add(keyLife - keyAhead)) {
				continue
			}
			begins = newest.begins.Add(keyLife)
			if soonest := now.Add(keyAhead); begins.Before(soonest) {
				begins = soonest
			}
		}
		if err := s.makeKey(ctx, alg, newest.n+1, begins); err != nil && !errors.Is(err, fault.Conflict) { // another node was faster
			return err
		}
	}
	s.keys.mu.Lock()
	s.keys.all = nil
	s.keys.mu.Unlock()
	return s.dropKeys(ctx, all)
}

// dropKeys removes keys that nothing can have been signed with any more.
func (s *Service) dropKeys(ctx context.Context, all []signingKey) error {
	var old []string
	for i, k := range all {
		if i+1 < len(all) && all[i+1].alg == k.alg && s.Now().After(all[i+1].begins.Add(keyBehind)) {
			old = append(old, k.kid)
		}
	}
	if len(old) == 0 {
		return nil
	}
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		for _, kid := range old {
			if _, err := tx.Exec(ctx, dropKey, kid); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Service) makeKey(ctx context.Context, alg jose.SignatureAlgorithm, n int64, begins time.Time) error {
	var signer crypto.Signer
	var err error
	if alg == jose.ES256 {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	kid, err := thumbprint(signer)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return fmt.Errorf("encode signing key: %w", err)
	}
	box, err := s.seal(ctx, "identity_oidc_key.box", kid, der)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, actor.System("identity-oidc-keys"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, insertKey, kid, string(alg), n, box, us(tx.Now()), us(begins))
		return SigningKeyMade{KID: kid, Alg: string(alg), Begins: begins}, err
	})
	if err != nil {
		return fmt.Errorf("keep signing key: %w", err)
	}
	return nil
}

// thumbprint is the key id: RFC 7638, so that anybody can compute it.
func thumbprint(k crypto.Signer) (string, error) {
	jwk := jose.JSONWebKey{Key: k.Public()}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("thumbprint of signing key: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

func (s *Service) readKeys(ctx context.Context) ([]signingKey, error) {
	var all []signingKey
	var boxes [][]byte
	err := s.DB.Each(ctx, allKeys, func(scan ledger.Scan) error {
		var k signingKey
		var alg string
		var begins int64
		var box []byte
		if err := scan(&k.kid, &alg, &k.n, &box, &begins); err != nil {
			return err
		}
		k.alg, k.begins = jose.SignatureAlgorithm(alg), at(begins)
		all, boxes = append(all, k), append(boxes, box)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	for i := range all {
		var der []byte
		if err := s.unseal(ctx, "identity_oidc_key.box", all[i].kid, boxes[i], &der); err != nil {
			return nil, err
		}
		k, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("parse signing key: %w", err)
		}
		signer, ok := k.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("signing key %s is of an unknown kind", all[i].kid)
		}
		all[i].signer = signer
	}
	return all, nil
}

// sign makes a compact JWS of the claims, with the type that tells its use.
func (s *Service) sign(ctx context.Context, alg, typ string, claims any) (string, error) {
	k, err := s.signing(ctx, jose.SignatureAlgorithm(alg))
	if err != nil {
		return "", err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: k.alg, Key: jose.JSONWebKey{Key: k.signer, KeyID: k.kid}}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", typ, err)
	}
	b, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", typ, err)
	}
	jws, err := signer.Sign(b)
	if err != nil {
		return "", fmt.Errorf("sign %s: %w", typ, err)
	}
	return jws.CompactSerialize()
}

// hinted are the claims of an id token of ours, whatever its age.
type hinted struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience json.RawMessage `json:"aud"`
	SID      string          `json:"sid"`
}

// readHint verifies an id_token_hint: only a token that we signed, as an id token, for
// a client, says anything.
func (s *Service) readHint(ctx context.Context, token string) (h hinted, client string, ok bool) {
	if len(token) > maxQuery {
		return h, "", false
	}
	jws, err := jose.ParseSignedCompact(token, algorithms)
	if err != nil || len(jws.Signatures) != 1 || jws.Signatures[0].Header.ExtraHeaders[jose.HeaderType] != "JWT" {
		return h, "", false
	}
	all, err := s.published(ctx)
	if err != nil {
		return h, "", false
	}
	for _, k := range all {
		if k.kid != jws.Signatures[0].Header.KeyID || string(k.alg) != jws.Signatures[0].Header.Algorithm {
			continue
		}
		b, err := jws.Verify(k.signer.Public())
		if err != nil || json.Unmarshal(b, &h) != nil || h.Issuer != s.Origin || h.Subject == "" || json.Unmarshal(h.Audience, &client) != nil {
			return hinted{}, "", false
		}
		return h, client, true
	}
	return hinted{}, "", false
}

// halfHash is at_hash of OpenID Connect Core §3.1.3.6 for the SHA-256 algorithms.
func halfHash(token string) string {
	h := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(h[:16])
}

const (
	allKeys   = `SELECT kid, alg, n, box, begins FROM identity_oidc_key ORDER BY alg, n`
	insertKey = `INSERT INTO identity_oidc_key (kid, alg, n, box, made, begins) VALUES ($1, $2, $3, $4, $5, $6)`
	dropKey   = `DELETE FROM identity_oidc_key WHERE kid = $1`
)
