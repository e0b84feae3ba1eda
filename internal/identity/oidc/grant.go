package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// family is one authorisation: all that came of one yes.
type family struct {
	id, client, person, session, sid string
	scopes                           []string
	offline                          bool
	acr                              int
	amr                              []string
	authTime                         time.Time
	nonce                            string
	ends                             time.Time
	ended                            bool
}

func (f *family) has(scope string) bool { return slices.Contains(f.scopes, scope) }

// tokens are what a client gets.
type tokens struct {
	access, refresh secret.Text
	scopes          []string
	family          family
}

// machine is a client as the one who acts.
func machine(c Client) actor.Actor {
	return actor.Actor{Kind: actor.Machine, ID: "client/" + c.ID, Via: "https"}
}

// authorise makes a code for a request that the person allowed.
func (s *Service) authorise(ctx context.Context, who actor.Actor, x identity.Session, c Client, a asked) (secret.Text, error) {
	code, id, sid := secret.RandomText(32), randomID(), randomID()
	hash := sum(code)
	offline := slices.Contains(a.Scopes, scopeOffline)
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if n, err := tx.Exec(ctx, holdSession, who.Session, who.ID); err != nil || n != 1 {
			return nil, errors.Join(err, endedIf(n))
		}
		if n, err := tx.Exec(ctx, holdClient, c.ID); err != nil || n != 1 {
			return nil, errors.Join(err, noClientIf(n))
		}
		if _, err := tx.Exec(ctx, insertLogin, sid, who.Session, c.ID, who.ID, us(tx.Now())); err != nil {
			return nil, err
		}
		known := ""
		if err := ledger.One(ctx, tx, sidOf, []any{&known}, who.Session, c.ID); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertFamily, id, c.ID, who.ID, who.Session, known, joined(a.Scopes), offline, int64(who.ACR), joined(x.AMR),
			us(who.FactorAt), a.Nonce, us(tx.Now()), us(tx.Now().Add(familyLife))); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, insertCode, hash, id, c.ID, a.Redirect, a.Challenge, us(tx.Now().Add(codeLife))); err != nil {
			return nil, err
		}
		return AuthorisationGiven{Client: c.ID, Family: id, Person: who.ID, Session: who.Session, Scopes: a.Scopes, ACR: who.ACR, Offline: offline}, nil
	})
	if err != nil {
		return secret.Text{}, fmt.Errorf("make code: %w", err)
	}
	return code, nil
}

func endedIf(n int64) error {
	if n == 0 {
		return fault.Newf(fault.Unauthenticated, "session_ended", "The session has ended.")
	}
	return nil
}

var (
	errUnknownGrant = errors.New("unknown grant")
	errDeadGrant    = errors.New("the family of the grant is dead")
)

// badGrant is the one answer to every code or refresh token that does not work.
func badGrant(cause string) *refusal {
	return refuse("invalid_grant", "The grant is not valid, has expired, was used, or belongs to another request.").because(cause)
}

// redemption is what a client brings to the token endpoint.
type redemption struct {
	grant    secret.Text
	redirect string
	verifier string
	scopes   []string // a refresh may ask for fewer
}

// redeem turns a code into tokens. The code is spent before anything is compared, and a
// code that comes again ends all that came of it.
func (s *Service) redeem(ctx context.Context, c Client, in redemption) (tokens, error) {
	h := sha256.Sum256([]byte(in.verifier))
	given, hash := base64.RawURLEncoding.EncodeToString(h[:]), sum(in.grant)
	alive := s.aliveCode(ctx, hash)
	out := tokens{access: newSecret(accessPrefix), refresh: newSecret(refreshPrefix)}
	accessHash, refreshHash := sum(out.access), sum(out.refresh)
	var bad *refusal
	_, err := s.DB.Change(ctx, machine(c), func(tx *ledger.Tx) (ledger.Event, error) {
		bad = nil
		var id, owner, redirect, challenge string
		var expires int64
		err := ledger.One(ctx, tx, spendCode, []any{&id, &owner, &redirect, &challenge, &expires}, hash, us(tx.Now())) // clause: auth.best-practice
		if errors.Is(err, fault.NotFound) {
			return s.codeAgain(ctx, tx, c, hash, &bad)
		}
		if err != nil {
			return nil, err
		}
		f, err := readFamily(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		cause := ""
		switch {
		case owner != c.ID:
			cause = "other-client"
		case !tx.Now().Before(at(expires)):
			cause = "expired"
		case redirect != in.redirect:
			cause = "other-redirect"
		case !verifier(in.verifier) || subtle.ConstantTimeCompare([]byte(given), []byte(challenge)) != 1: // clause: auth.best-practice, auth.compare
			cause = "verifier"
		case f.ended || !f.ends.After(tx.Now()):
			cause = "ended"
		case !alive:
			cause = "session-ended"
		}
		if cause != "" {
			bad = badGrant(cause)
			_, err := endFamily(ctx, tx, id, cause)
			return GrantRefused{Client: owner, By: c.ID, Family: id, Cause: cause}, err
		}
		out.family, out.scopes = f, f.scopes
		if err := issue(ctx, tx, f.id, f.scopes, accessHash, refreshHash); err != nil {
			return nil, err
		}
		return TokensIssued{Client: c.ID, Family: f.id, Person: f.person, Grant: "authorization_code"}, nil
	})
	return s.issued(ctx, c, out, bad, err)
}

// issued sorts out how a redemption ended.
func (s *Service) issued(ctx context.Context, c Client, out tokens, bad *refusal, err error) (tokens, error) {
	switch {
	case errors.Is(err, errDeadGrant):
		return tokens{}, s.refused(ctx, machine(c), "token", c.ID, badGrant("dead"))
	case errors.Is(err, errUnknownGrant):
		return tokens{}, s.refused(ctx, machine(c), "token", c.ID, badGrant("unknown"))
	case err != nil:
		return tokens{}, fmt.Errorf("redeem grant: %w", err)
	case bad != nil: // recorded in the change
		return tokens{}, bad
	}
	return out, nil
}

// codeAgain is a code that is spent already, or never was.
func (s *Service) codeAgain(ctx context.Context, tx *ledger.Tx, c Client, hash string, bad **refusal) (ledger.Event, error) {
	var id, owner string
	err := ledger.One(ctx, tx, familyOfCode, []any{&id, &owner}, hash)
	if errors.Is(err, fault.NotFound) {
		return nil, errUnknownGrant
	}
	if err != nil {
		return nil, err
	}
	*bad = badGrant("reused")
	ended, err := endFamily(ctx, tx, id, "code-reused") // clause: auth.best-practice
	if err == nil && !ended {
		err = errDeadGrant // told once; who goes on is counted
	}
	return CodeReused{Client: owner, By: c.ID, Family: id}, err
}

// refresh turns a refresh token into new ones. It works once; when it comes again,
// somebody else has it too, and the whole family ends.
func (s *Service) refresh(ctx context.Context, c Client, in redemption) (tokens, error) {
	hash := sum(in.grant)
	alive := s.aliveRefresh(ctx, hash)
	out := tokens{access: newSecret(accessPrefix), refresh: newSecret(refreshPrefix)}
	accessHash, refreshHash := sum(out.access), sum(out.refresh)
	var bad *refusal
	_, err := s.DB.Change(ctx, machine(c), func(tx *ledger.Tx) (ledger.Event, error) {
		bad = nil
		var id string
		err := ledger.One(ctx, tx, spendRefresh, []any{&id}, hash, us(tx.Now())) // clause: auth.best-practice
		if errors.Is(err, fault.NotFound) {
			return s.refreshAgain(ctx, tx, c, hash, &bad)
		}
		if err != nil {
			return nil, err
		}
		f, err := readFamily(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		cause := ""
		switch {
		case f.client != c.ID:
			cause = "other-client"
		case f.ended:
			cause = "ended"
		case !f.ends.After(tx.Now()):
			cause = "expired"
		case !alive:
			cause = "session-ended"
		}
		if cause != "" {
			bad = badGrant(cause)
			_, err := endFamily(ctx, tx, id, cause)
			return GrantRefused{Client: f.client, By: c.ID, Family: id, Cause: cause}, err
		}
		out.family, out.scopes = f, f.scopes
		if len(in.scopes) > 0 {
			if slices.ContainsFunc(in.scopes, func(w string) bool { return !f.has(w) }) {
				bad = refuse("invalid_scope", "A refresh cannot ask for more than was allowed.")
				return nil, bad // undone: the token is not spent on a slip
			}
			out.scopes = in.scopes
		}
		if err := issue(ctx, tx, f.id, out.scopes, accessHash, refreshHash); err != nil {
			return nil, err
		}
		return TokensIssued{Client: c.ID, Family: f.id, Person: f.person, Grant: "refresh_token"}, nil
	})
	if bad != nil && errors.Is(err, bad) {
		return tokens{}, s.refused(ctx, machine(c), "token", c.ID, bad)
	}
	return s.issued(ctx, c, out, bad, err)
}

func (s *Service) refreshAgain(ctx context.Context, tx *ledger.Tx, c Client, hash string, bad **refusal) (ledger.Event, error) {
	var id, owner string
	err := ledger.One(ctx, tx, familyOfRefresh, []any{&id, &owner}, hash)
	if errors.Is(err, fault.NotFound) {
		return nil, errUnknownGrant
	}
	if err != nil {
		return nil, err
	}
	*bad = badGrant("reused")
	ended, err := endFamily(ctx, tx, id, "refresh-reused") // clause: auth.best-practice
	if err == nil && !ended {
		err = errDeadGrant // told once; who goes on is counted
	}
	return RefreshReused{Client: owner, By: c.ID, Family: id}, err
}

func issue(ctx context.Context, tx *ledger.Tx, id string, scopes []string, accessHash, refreshHash string) error {
	if _, err := tx.Exec(ctx, insertAccess, accessHash, id, joined(scopes), us(tx.Now()), us(tx.Now().Add(accessLife))); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, insertRefresh, refreshHash, id, us(tx.Now()))
	return err
}

func endFamily(ctx context.Context, tx *ledger.Tx, id, cause string) (bool, error) {
	n, err := tx.Exec(ctx, endFamilyBy, id, us(tx.Now()), cause)
	return n > 0, err
}

// aliveCode and aliveRefresh ask, before the change, whether the person of a grant may
// still sign in and the session behind it lives. An answer that cannot be had is no.
func (s *Service) aliveCode(ctx context.Context, hash string) bool {
	return s.aliveBy(ctx, familyOfCode, hash, true)
}

func (s *Service) aliveRefresh(ctx context.Context, hash string) bool {
	return s.aliveBy(ctx, familyOfRefresh, hash, false)
}

func (s *Service) aliveBy(ctx context.Context, query, hash string, first bool) bool {
	var id, owner string
	if err := ledger.One(ctx, s.DB, query, []any{&id, &owner}, hash); err != nil {
		return false
	}
	f, err := readFamily(ctx, s.DB, id)
	if err != nil {
		return false
	}
	if first {
		f.offline = false // a code is of the session whatever was asked for
	}
	return s.alive(ctx, &f) == nil
}

// alive refuses a family whose person or session is no more. A session ends with its
// person, so where one lives nobody need ask for them.
func (s *Service) alive(ctx context.Context, f *family) error {
	if f.offline {
		_, err := s.People.ActivePerson(ctx, f.person)
		return err
	}
	who, _, err := s.People.LiveSession(ctx, f.session) // clause: auth.best-practice
	if err == nil && who.ID != f.person {
		err = fault.Unauthenticated
	}
	return err
}

// granted is what an access token stands for.
type granted struct {
	family  family
	scopes  []string // of this token
	expires time.Time
}

// lookup is what an access token allows now. Anything else is fault.Unauthenticated.
func (s *Service) lookup(ctx context.Context, token secret.Text) (family, time.Time, error) {
	dead := fault.Newf(fault.Unauthenticated, "invalid_token", "The access token is unknown, has expired or was revoked.")
	if token.Len() != len(accessPrefix)+43 || !strings.HasPrefix(token.Reveal(), accessPrefix) { // an id token is none
		return family{}, time.Time{}, dead
	}
	hash := sum(token)
	g, err := s.memo.grants.Get(s.DB, hash, func() (g granted, err error) {
		var id, scopes string
		var expires int64
		if err := ledger.One(ctx, s.DB, readAccess, []any{&id, &scopes, &expires}, hash); err != nil {
			return g, err
		}
		g.family, err = readFamily(ctx, s.DB, id)
		g.scopes, g.expires = words(scopes), at(expires)
		return g, err
	})
	if errors.Is(err, fault.NotFound) {
		return family{}, time.Time{}, dead
	}
	if err != nil {
		return family{}, time.Time{}, fmt.Errorf("look up access token: %w", err)
	}
	f, now := g.family, s.Now()
	if f.ended || !now.Before(g.expires) || !now.Before(f.ends) {
		return family{}, time.Time{}, dead
	}
	switch err := s.alive(ctx, &f); {
	case errors.Is(err, fault.Unauthenticated), errors.Is(err, fault.NotFound):
		return family{}, time.Time{}, dead
	case err != nil:
		return family{}, time.Time{}, err
	}
	f.scopes = g.scopes
	return f, g.expires, nil
}

// revoke ends what a token stands for: a refresh token its family, an access token
// itself. A token of another client, or none at all, is passed over (RFC 7009 §2.2).
func (s *Service) revoke(ctx context.Context, c Client, token secret.Text) error {
	hash := sum(token)
	var id, owner string
	kind := "refresh"
	err := ledger.One(ctx, s.DB, familyOfRefresh, []any{&id, &owner}, hash)
	if errors.Is(err, fault.NotFound) {
		kind = "access"
		err = ledger.One(ctx, s.DB, familyOfAccess, []any{&id, &owner}, hash)
	}
	if errors.Is(err, fault.NotFound) || err == nil && owner != c.ID {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find token to revoke: %w", err)
	}
	_, err = s.DB.Change(ctx, machine(c), func(tx *ledger.Tx) (ledger.Event, error) {
		var err error
		if kind == "refresh" {
			_, err = endFamily(ctx, tx, id, "revoked")
		} else {
			_, err = tx.Exec(ctx, endAccess, hash, us(tx.Now()))
		}
		return GrantRevoked{Client: c.ID, Family: id, Kind: kind}, err
	})
	if err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	return nil
}

func readFamily(ctx context.Context, r ledger.Reader, id string) (family, error) {
	var f family
	var scopes, amr string
	var acr, authTime, ends int64
	var ended *int64
	err := ledger.One(ctx, r, oneFamily, []any{&f.id, &f.client, &f.person, &f.session, &f.sid, &scopes, &f.offline, &acr, &amr, &authTime, &f.nonce, &ends, &ended}, id)
	if err != nil {
		return f, fmt.Errorf("read authorisation: %w", err)
	}
	f.scopes, f.amr, f.acr, f.authTime, f.ends, f.ended = words(scopes), words(amr), int(acr), at(authTime), at(ends), ended != nil
	return f, nil
}

const (
	holdSession  = `UPDATE identity_session SET acr = acr WHERE id = $1 AND person = $2 AND ended IS NULL`
	insertLogin  = `INSERT INTO identity_oidc_login (sid, session, client, person, created, told) VALUES ($1, $2, $3, $4, $5, NULL) ON CONFLICT (session, client) DO NOTHING`
	sidOf        = `SELECT sid FROM identity_oidc_login WHERE session = $1 AND client = $2`
	insertFamily = `INSERT INTO identity_oidc_family (id, client, person, session, sid, scopes, offline, acr, amr, auth_time, nonce, created, ends, ended, cause)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, NULL, '')`
	oneFamily = `SELECT f.id, f.client, f.person, f.session, f.sid, f.scopes, f.offline, f.acr, f.amr, f.auth_time, f.nonce, f.ends, COALESCE(f.ended, c.ended)
		FROM identity_oidc_family f JOIN identity_oidc_client c ON c.id = f.client WHERE f.id = $1`
	endFamilyBy     = `UPDATE identity_oidc_family SET ended = $2, cause = $3 WHERE id = $1 AND ended IS NULL`
	insertCode      = `INSERT INTO identity_oidc_code (hash, family, client, redirect, challenge, expires, used) VALUES ($1, $2, $3, $4, $5, $6, NULL)`
	spendCode       = `UPDATE identity_oidc_code SET used = $2 WHERE hash = $1 AND used IS NULL RETURNING family, client, redirect, challenge, expires`
	familyOfCode    = `SELECT family, client FROM identity_oidc_code WHERE hash = $1`
	insertRefresh   = `INSERT INTO identity_oidc_refresh (hash, family, issued, used) VALUES ($1, $2, $3, NULL)`
	spendRefresh    = `UPDATE identity_oidc_refresh SET used = $2 WHERE hash = $1 AND used IS NULL RETURNING family`
	familyOfRefresh = `SELECT r.family, f.client FROM identity_oidc_refresh r JOIN identity_oidc_family f ON f.id = r.family WHERE r.hash = $1`
	insertAccess    = `INSERT INTO identity_oidc_access (hash, family, scopes, issued, expires, ended) VALUES ($1, $2, $3, $4, $5, NULL)`
	familyOfAccess  = `SELECT a.family, f.client FROM identity_oidc_access a JOIN identity_oidc_family f ON f.id = a.family WHERE a.hash = $1`
	readAccess      = `SELECT family, scopes, expires FROM identity_oidc_access WHERE hash = $1 AND ended IS NULL`
	endAccess       = `UPDATE identity_oidc_access SET ended = $2 WHERE hash = $1 AND ended IS NULL`
)
