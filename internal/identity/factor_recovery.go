package identity

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Recovery codes: how many, and how long each is.
const (
	recoveryCodes = 10
	recoveryBytes = 16
	maxRecovery   = 64 // typed characters that are looked at
)

var recoveryText = base32.StdEncoding.WithPadding(base32.NoPadding)

// drawRecovery makes a set of codes, in groups as people read them.
func drawRecovery() []secret.Text {
	codes := make([]secret.Text, recoveryCodes)
	for i := range codes {
		codes[i] = grouped(recoveryText.EncodeToString(secret.Random(recoveryBytes).Reveal()))
	}
	return codes
}

func grouped(s string) secret.Text {
	var b strings.Builder
	for i, r := range strings.ToLower(s) {
		if i > 0 && i%5 == 0 && i < len(s)-1 {
			b.WriteByte('-')
		}
		b.WriteRune(r)
	}
	return secret.NewText(b.String())
}

// recoveryKey is a code without what people add: spaces, hyphens, capitals.
func recoveryKey(typed secret.Text) secret.Text {
	text := typed.Reveal()
	if len(text) > maxRecovery {
		return secret.Text{}
	}
	return secret.NewText(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(text)))
}

// storeRecovery replaces a person's codes inside a change.
func storeRecovery(ctx context.Context, tx *ledger.Tx, person string, codes []secret.Text) error {
	if _, err := tx.Exec(ctx, deleteRecovery, person); err != nil {
		return err
	}
	for _, c := range codes {
		if _, err := tx.Exec(ctx, insertRecovery, sum(recoveryKey(c)), person, us(tx.Now())); err != nil {
			return err
		}
	}
	tx.Also(RecoveryCodesMade{Person: person, Count: len(codes)})
	return nil
}

// proveRecovery finds a code that was not used. Its use sends a letter.
func (s *Service) proveRecovery(ctx context.Context, acc account, typed secret.Text, from From) (proof, string, error) {
	key := sum(recoveryKey(typed))
	var used *int64
	err := ledger.One(ctx, s.DB, readRecovery, []any{&used}, key, acc.id)
	if errors.Is(err, fault.NotFound) {
		return proof{}, "wrong", nil
	}
	if err != nil {
		return proof{}, "", fmt.Errorf("read recovery code: %w", err)
	}
	if used != nil {
		return proof{}, "used", nil
	}
	job, err := s.letter(ctx, acc.email, s.recoveryLetter(s.asked(from.Network, from.Agent)))
	if err != nil {
		return proof{}, "", err
	}
	return proof{kind: FactorRecovery, acr: 2, amr: "mfa otp", spend: func(ctx context.Context, tx *ledger.Tx) error {
		n, err := tx.Exec(ctx, useRecovery, key, acc.id, us(tx.Now())) // clause: auth.best-practice
		if err != nil {
			return err
		}
		if n != 1 {
			return errSpent
		}
		var left int64
		if err := ledger.One(ctx, tx, recoveryLeft, []any{&left}, acc.id); err != nil {
			return err
		}
		tx.Also(RecoveryCodeUsed{Person: acc.id, Left: left})
		return s.Mail.Enqueue(ctx, tx, job)
	}}, "", nil
}

// NewRecoveryCodes makes a fresh set for whoever acts and has a factor; the former ones
// are dead. They are shown this once.
func (s *Service) NewRecoveryCodes(ctx context.Context, who actor.Actor, from From) ([]secret.Text, error) {
	if who.Kind != actor.Person || who.Session == "" {
		return nil, errEnded()
	}
	if err := s.fresh(ctx, who); err != nil { // clause: auth.best-practice
		return nil, err
	}
	acc, err := s.account(ctx, who.ID)
	if err != nil {
		return nil, err
	}
	job, err := s.letter(ctx, acc.email, s.newCodesLetter(s.asked(from.Network, from.Agent)))
	if err != nil {
		return nil, err
	}
	codes, rules := drawRecovery(), s.Rules.Get()
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, who.ID); err != nil {
			return nil, err
		}
		n, err := needOf(ctx, tx, rules, who.ID)
		if err != nil {
			return nil, err
		}
		if len(n.enrolled) == 0 {
			return nil, fault.Newf(fault.Conflict, "flow_order", "Recovery codes come with a factor. Set one up first.")
		}
		if err := s.Mail.Enqueue(ctx, tx, job); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, deleteRecovery, who.ID); err != nil {
			return nil, err
		}
		for _, c := range codes {
			if _, err := tx.Exec(ctx, insertRecovery, sum(recoveryKey(c)), who.ID, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		return RecoveryCodesMade{Person: who.ID, Count: len(codes)}, nil
	})
	if err != nil {
		return nil, fmt.Errorf("make recovery codes: %w", err)
	}
	return codes, nil
}

const (
	deleteRecovery = `DELETE FROM identity_recovery WHERE person = $1`
	insertRecovery = `INSERT INTO identity_recovery (code, person, made, used) VALUES ($1, $2, $3, NULL)`
	readRecovery   = `SELECT used FROM identity_recovery WHERE code = $1 AND person = $2`
	useRecovery    = `UPDATE identity_recovery SET used = $3 WHERE code = $1 AND person = $2 AND used IS NULL`
	recoveryLeft   = `SELECT COUNT(*) FROM identity_recovery WHERE person = $1 AND used IS NULL`
)
