package gateway

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
)

const (
	assertionLife = 60 * time.Second
	assertionUse  = 30 * time.Second // how long one is sent again; what is left covers the application's clock
	maxAssertions = 50_000
)

// signer tells the application who asks: a JWT (RFC 7519) signed with Ed25519 (RFC
// 8037), for one session, route and method, for at most 60 seconds. Signing costs more
// than all other steps, so that an assertion is used again for half its life, unless
// anything of the actor has changed.
type signer struct {
	key      ed25519.PrivateKey
	kid      string
	head     string // encoded, with its dot
	iss, aud string
	now      func() time.Time

	mu   sync.RWMutex // guards made
	made map[assertionKey]*assertion
}

type assertionKey struct{ aud, session, route, method string }

type assertion struct {
	who   actor.Actor
	until time.Time
	token string
}

// claims are the assertion's content. The application must check iss, aud, exp,
// method and route; it must not look at any other header for the person.
type claims struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Subject  string   `json:"sub"`
	Kind     string   `json:"kind"`          // person, machine or break-glass
	Act      *acting  `json:"act,omitempty"` // who acts for the subject (RFC 8693 section 4.1): staff who look as a customer
	Team     string   `json:"team,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	ACR      int      `json:"acr"` // 1 one factor, 2 two, 3 phishing-resistant
	AuthTime int64    `json:"auth_time,omitempty"`
	Began    int64    `json:"session_began,omitempty"`
	Session  string   `json:"sid"`           // a hash of the session's id, or of the token's
	Via      string   `json:"via,omitempty"` // token: a program, with no more than these scopes
	Scopes   []string `json:"scopes,omitempty"`
	Method   string   `json:"method"`
	Route    string   `json:"route"`
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
}

// acting is the actor claim.
type acting struct {
	Subject string `json:"sub"`
}

func newSigner(d Deps, to *url.URL) (*signer, error) {
	seed, err := d.Keys.Named(context.Background(), "gateway/assertion", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("get key of assertions: %w", err)
	}
	s := &signer{key: ed25519.NewKeyFromSeed(seed.Reveal()), iss: "https://" + d.Origin.Host, aud: to.Scheme + "://" + to.Host,
		now: d.Now, made: map[assertionKey]*assertion{}}
	// RFC 7638: the key's id is the hash of its required members.
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":"%s"}`, s.public()))
	s.kid = base64.RawURLEncoding.EncodeToString(sum[:])
	s.head = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"EdDSA","typ":"JWT","kid":"%s"}`, s.kid)) + "."
	return s, nil
}

// newForms gets the key of what stands in forms.
func newForms(d Deps) (forms, error) {
	k, err := d.Keys.Named(context.Background(), "gateway/forms", envelope.KeySize)
	if err != nil {
		return forms{}, fmt.Errorf("get key of forms: %w", err)
	}
	key, err := envelope.NewKey("gateway/forms", k)
	if err != nil {
		return forms{}, fmt.Errorf("get key of forms: %w", err)
	}
	return forms{key}, nil
}

func (s *signer) public() string {
	return base64.RawURLEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
}

// assertion returns one that is good for at least another 30 seconds.
func (s *signer) assertion(who actor.Actor, facts SessionFacts, route, method string) string {
	return s.assertionFor(s.aud, who, facts, route, method)
}

// assertionFor is an assertion for another application than the one behind this gate.
func (s *signer) assertionFor(aud string, who actor.Actor, facts SessionFacts, route, method string) string {
	k, now := assertionKey{aud, who.Session, route, method}, s.now()
	if who.Session == "" {
		k.session = who.String() + " " + who.Token
	}
	s.mu.RLock()
	a := s.made[k]
	s.mu.RUnlock()
	if a != nil && now.Before(a.until) && same(&a.who, &who) {
		return a.token
	}
	a = &assertion{who: who, until: now.Add(assertionUse), token: s.sign(who, facts, k, now)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.made) >= maxAssertions {
		clear(s.made)
	}
	s.made[k] = a
	return a.token
}

func (s *signer) sign(who actor.Actor, facts SessionFacts, k assertionKey, now time.Time) string {
	sid := sha256.Sum256([]byte("writ/sid/1" + who.Session))
	via := ""
	if who.ByToken() {
		via, sid = "token", sha256.Sum256([]byte("writ/token/1"+who.Token))
	}
	c := claims{Issuer: s.iss, Audience: k.aud, Subject: who.ID, Kind: string(who.Kind), Team: who.Team, Roles: who.Roles, ACR: who.ACR,
		AuthTime: seconds(who.FactorAt), Began: seconds(facts.SignedIn), Session: base64.RawURLEncoding.EncodeToString(sid[:16]),
		Via: via, Scopes: who.Scopes, Method: k.method, Route: k.route, Issued: now.Unix(), Expires: now.Add(assertionLife).Unix()}
	if who.Kind == actor.Support { // clause: use.need-to-see
		c.Subject, c.Kind, c.Act = who.For, string(actor.Person), &acting{who.ID}
	}
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	signed := s.head + base64.RawURLEncoding.EncodeToString(body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(s.key, []byte(signed)))
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func same(a, b *actor.Actor) bool {
	return a.Kind == b.Kind && a.ID == b.ID && a.For == b.For && a.Team == b.Team && a.ACR == b.ACR && a.FactorAt.Equal(b.FactorAt) && slices.Equal(a.Roles, b.Roles) && slices.Equal(a.Scopes, b.Scopes)
}

// JWKS serves the keys that assertions are checked with (RFC 7517).
func (g *Gateway) JWKS() http.Handler {
	s := g.signer
	doc := fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"%s","x":"%s"}]}`, s.kid, s.public())
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(doc) // a client that went away has nobody to tell
	})
}
