package gateway

import (
	"bytes"
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
	"sync/atomic"
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
//
// Each day (UTC) has a key of its own, made from the keyring's, so that all nodes have the same.
// The key of tomorrow is published before it signs, and that of yesterday for a day after: an
// application that asks for the set once an hour knows every key in time.
type signer struct {
	root     envelope.Key
	iss, aud string
	now      func() time.Time
	keys     atomic.Pointer[dayKeys]

	mu   sync.RWMutex // guards made
	made map[assertionKey]*assertion
}

// dayKeys are what is signed with on a day, and what is published on it.
type dayKeys struct {
	day  int64 // since 1970
	key  ed25519.PrivateKey
	head string // encoded, with its dot
	jwks []byte
}

// assertionKey is what an assertion is for. Where target is there it is for that request alone.
type assertionKey struct{ aud, session, route, method, target, body string }

type assertion struct {
	who   actor.Actor
	until time.Time
	token string
}

// claims are the assertion's content. The application must check iss, aud, exp,
// method and route, and target where it is there; it must not look at any other header
// for the person.
type claims struct {
	Issuer   string   `json:"iss"`
	Audience string   `json:"aud"`
	Subject  string   `json:"sub"`
	Kind     string   `json:"kind"`          // person, machine, break-glass, or writ: this server itself
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
	Target   string   `json:"target,omitempty"` // SHA-256 of path and query as they are sent, in base64url: on a route with exact: true
	Body     string   `json:"body,omitempty"`   // SHA-256 of the body, likewise: where this server itself asks
	Issued   int64    `json:"iat"`
	Expires  int64    `json:"exp"`
}

// acting is the actor claim.
type acting struct {
	Subject string `json:"sub"`
}

func newSigner(d Deps, to *url.URL) (*signer, error) {
	k, err := d.Keys.Named(context.Background(), "gateway/assertion", envelope.KeySize)
	if err != nil {
		return nil, fmt.Errorf("get key of assertions: %w", err)
	}
	root, err := envelope.NewKey("gateway/assertion", k)
	if err != nil {
		return nil, fmt.Errorf("get key of assertions: %w", err)
	}
	return &signer{root: root, iss: "https://" + d.Origin.Host, aud: to.Scheme + "://" + to.Host, now: d.Now, made: map[assertionKey]*assertion{}}, nil
}

// today gives the keys of a time.
func (s *signer) today(now time.Time) *dayKeys {
	day := now.Unix() / int64((24 * time.Hour).Seconds())
	if k := s.keys.Load(); k != nil && k.day == day {
		return k
	}
	k := &dayKeys{day: day, key: s.keyOf(day), jwks: []byte(`{"keys":[`)}
	k.head = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"EdDSA","typ":"JWT","kid":"%s"}`, kid(k.key))) + "."
	for _, d := range []int64{day - 1, day, day + 1} {
		key := s.keyOf(d)
		k.jwks = fmt.Appendf(k.jwks, `{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"%s","x":"%s"},`, kid(key), public(key))
	}
	k.jwks = append(bytes.TrimSuffix(k.jwks, []byte(",")), "]}"...)
	s.keys.Store(k)
	return k
}

func (s *signer) keyOf(day int64) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(s.root.Derive(fmt.Sprintf("gateway/assertion/%d", day)).Reveal())
}

// kid is the key's id: the hash of its required members (RFC 7638).
func kid(key ed25519.PrivateKey) string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":"%s"}`, public(key)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
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

func public(key ed25519.PrivateKey) string {
	return base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
}

func isExact(r *rule) bool { return r.exact }

// asks is what an assertion for the request is for.
func (v *visit) asks(aud, method string) assertionKey {
	k := assertionKey{aud: aud, route: v.need.node.pattern, method: method}
	if v.need.tagged(isExact) {
		uri := v.target.raw
		if v.target.query != "" || v.target.marked {
			uri += "?" + v.target.query
		}
		sum := sha256.Sum256([]byte(uri))
		k.target = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return k
}

// assertion returns one that is good for at least another 30 seconds.
func (s *signer) assertion(who actor.Actor, facts SessionFacts, k assertionKey) string {
	now := s.now()
	if k.target != "" {
		return s.sign(who, facts, k, now)
	}
	if k.session = who.Session; k.session == "" {
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
		Via: via, Scopes: who.Scopes, Method: k.method, Route: k.route, Target: k.target, Body: k.body, Issued: now.Unix(), Expires: now.Add(assertionLife).Unix()}
	if who.Kind == actor.Support { // clause: use.need-to-see
		c.Subject, c.Kind, c.Act = who.For, string(actor.Person), &acting{who.ID}
	}
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	by := s.today(now)
	signed := by.head + base64.RawURLEncoding.EncodeToString(body)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(by.key, []byte(signed)))
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
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/jwk-set+json")
		_, _ = w.Write(g.signer.today(g.now()).jwks) // a client that went away has nobody to tell
	})
}
