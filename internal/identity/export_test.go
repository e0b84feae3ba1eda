package identity

import (
	"context"
	"strings"
	"time"

	"writ/internal/clause"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// CopyPassword gives one person the hash of another, sealed for them.
func (s *Service) CopyPassword(ctx context.Context, from, to string) error {
	p, err := s.password(ctx, from)
	if err != nil {
		return err
	}
	box, err := s.seal(ctx, keyring.Class(passwordClass), "identity_password.phc", to, []byte(p.phc.Reveal()))
	if err != nil {
		return err
	}
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE identity_password SET phc = $2 WHERE person = $1`, to, box)
		return err
	})
}

// TellsApart is the judgement of identity.recompute about a verifier.
func (s *Service) TellsApart(verify func(phc, typed secret.Text) bool) (clause.Result, error) {
	return s.tellsApart(func(phc, typed secret.Text) (bool, error) { return verify(phc, typed), nil })
}

// Housekeeping runs every round of Run once.
func (s *Service) Housekeeping(ctx context.Context) []error {
	return []error{
		s.writeSeen(ctx), s.endExpired(ctx), s.writeFolded(ctx, true), s.dateGraces(ctx), s.waitedResets(ctx), s.expire(ctx), s.remeasure(ctx), s.sweepOld(ctx), s.follow(ctx),
		s.eraseLeavers(ctx),
		s.dateGraces(ctx),
		s.endPast(ctx), s.tellLoans(ctx), s.tendServices(ctx), s.tendRights(ctx),
		s.writeTokenUse(ctx), s.followTokens(ctx), s.recheckTokens(ctx), s.expireTokens(ctx),
	}
}

// Fill puts n sessions into memory.
func (s *Service) Fill(n int) {
	for range n {
		t := secret.Random(32)
		s.table.put(&live{id: randomID(), person: randomID(), token: [32]byte(t.Reveal()), started: s.Now()})
	}
}

// EraseLeavers ends the accounts whose time is over.
func (s *Service) EraseLeavers(ctx context.Context) error { return s.eraseLeavers(ctx) }

// TokenKindOf reads prefix and checksum of a token.
func TokenKindOf(t secret.Text) (TokenKind, bool) { return tokenKindOf(t) }

// NewTokenText draws a token.
func NewTokenText(kind TokenKind) secret.Text { return newToken(kind) }

// FillTokens puts n tokens into memory.
func (s *Service) FillTokens(n int) {
	for range n {
		t := secret.Random(32)
		s.tokens.take(s.Now(), []*liveToken{{id: randomID(), token: [32]byte(t.Reveal()), issued: s.Now()}}, nil, 0)
	}
}

// EndOverdueLooks does what the server does three times a minute.
func (s *Service) EndOverdueLooks(ctx context.Context) error { return s.endLooks(ctx) }

// PlantPassword seals any text as a person's password.
func (s *Service) PlantPassword(ctx context.Context, person, scheme, text string) error {
	box, err := s.seal(ctx, keyring.Class(passwordClass), "identity_password.phc", person, []byte(text))
	if err != nil {
		return err
	}
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE identity_password SET phc = $2, scheme = $3 WHERE person = $1`, person, box, scheme)
		return err
	})
}

// Seal seals a value for its place under a person's key, or under a class key.
func (s *Service) Seal(ctx context.Context, sub keyring.Subject, column, row, text string) ([]byte, error) {
	return s.seal(ctx, sub, column, row, []byte(text))
}

// InCopy is the list of tables that a copy holds.
var InCopy = inCopy

// NotInCopy are the keys of what it does not hold: tables, and columns as table.column.
func NotInCopy() map[string]bool {
	out := map[string]bool{}
	for keys := range notInCopy {
		for k := range strings.FieldsSeq(keys) {
			out[k] = true
		}
	}
	return out
}

// DateGraces does what the server does three times a minute.
func (s *Service) DateGraces(ctx context.Context) error { return s.dateGraces(ctx) }

// Limit is a limit of the throttle as the tests see it.
type Limit struct {
	Name   string
	Max    int64
	Window time.Duration
}

// Limits are all limits of the throttle.
func Limits() (all []Limit) {
	for _, l := range []limit{perDevice, perNetwork, perPerson, overNetwork, perAddress, passkeysOf, perSession, perCode, perLink, signUps, signUpMail, resetMail, resets, inviteMail, accepts} {
		all = append(all, Limit{l.name, l.max, l.window})
	}
	return all
}

// RecheckTokens reads the rights behind all live tokens again.
func (s *Service) RecheckTokens(ctx context.Context) error { return s.recheckTokens(ctx) }
