package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity/totp"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// seed is a code generator of a person, opened.
type seed struct {
	id   string
	step int64 // last accepted
	totp totp.Seed
}

// proveTOTP finds the generator and the step that a typed code is of. The step is
// written when the proof is spent, and only upwards: a code, and any before it, works once.
func (s *Service) proveTOTP(ctx context.Context, person string, typed secret.Text) (proof, string, error) {
	seeds, locked, err := s.seeds(ctx, person)
	if err != nil {
		return proof{}, "", err
	}
	if len(seeds) == 0 && locked {
		return proof{}, "locked", nil
	}
	cause := "wrong"
	var found *proof
	for _, sd := range seeds {
		step, ok, err := sd.totp.Match(typed, s.Now())
		if err != nil {
			return proof{}, "", fmt.Errorf("check code: %w", err)
		}
		switch {
		case ok && step <= sd.step:
			cause = "used"
		case ok:
			found = &proof{kind: FactorTOTP, acr: 2, amr: "mfa otp", spend: func(ctx context.Context, tx *ledger.Tx) error {
				n, err := tx.Exec(ctx, useStep, sd.id, person, step, us(tx.Now())) // clause: auth.best-practice
				if err == nil && n != 1 {
					err = errSpent
				}
				return err
			}}
		}
	}
	if found == nil {
		return proof{}, cause, nil
	}
	return *found, "", nil
}

// seeds opens a person's generators that work, and says whether one is locked.
func (s *Service) seeds(ctx context.Context, person string) (out []seed, locked bool, err error) {
	var boxes [][]byte
	err = s.DB.Each(ctx, seedsOf, func(scan scanner) error {
		var sd seed
		var box []byte
		var shut *int64
		if err := scan(&sd.id, &box, &sd.step, &shut); err != nil {
			return err
		}
		if shut != nil {
			locked = true
			return nil
		}
		out, boxes = append(out, sd), append(boxes, box)
		return nil
	}, person)
	if err != nil {
		return nil, false, fmt.Errorf("read code generators: %w", err)
	}
	for i := range out {
		if out[i].totp, err = s.openSeed(ctx, out[i].id, boxes[i]); err != nil {
			return nil, false, err
		}
	}
	return out, locked, nil
}

func (s *Service) openSeed(ctx context.Context, id string, box []byte) (totp.Seed, error) {
	b, err := s.open(ctx, "identity_factor.box", id, box)
	if err != nil {
		return totp.Seed{}, err
	}
	return totp.FromBytes(b)
}

// Generator is a code generator that waits for its first right code. Secret and URI hold
// the seed; Picture names the QR code once.
type Generator struct {
	ID      string
	Secret  secret.Text
	URI     secret.Text
	Picture secret.Text
}

// BeginTOTP draws a seed for whoever acts. One that was begun before and never confirmed
// is gone.
func (s *Service) BeginTOTP(ctx context.Context, who actor.Actor) (Generator, error) {
	person, err := s.mayAdd(ctx, who)
	if err != nil {
		return Generator{}, err
	}
	acc, err := s.account(ctx, person)
	if err != nil {
		return Generator{}, err
	}
	sd := seed{id: s.DB.ID(), totp: totp.New()}
	box, err := s.seal(ctx, keyring.Class(totpClass), "identity_factor.box", sd.id, sd.totp.Bytes().Reveal()) // clause: auth.no-cleartext
	if err != nil {
		return Generator{}, err
	}
	mark, err := s.mac(ctx, "factor", FactorTOTP, sd.totp.Text().Reveal())
	if err != nil {
		return Generator{}, err
	}
	picture := secret.RandomText(32)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, person); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, dropBegun, person, FactorTOTP); err != nil {
			return nil, err
		}
		var n int64
		if err := ledger.One(ctx, tx, countFactors, []any{&n}, person, FactorTOTP); err != nil {
			return nil, err
		}
		if n >= maxFactors {
			return nil, fault.Newf(fault.Conflict, "too_many_factors", "There are %d code generators already. Remove one first.", n)
		}
		_, err := tx.Exec(ctx, insertFactor, sd.id, person, FactorTOTP, box, mark, sum(picture), us(tx.Now())) // clause: auth.unique-credentials
		return FactorBegun{Person: person, Factor: sd.id, Kind: FactorTOTP}, err
	})
	if err != nil {
		return Generator{}, fmt.Errorf("begin a code generator: %w", err)
	}
	return Generator{ID: sd.id, Secret: sd.totp.Spaced(), URI: sd.totp.URI(s.Company(), acc.email), Picture: picture}, nil
}

// begun opens a generator of whoever acts that was begun within the last ten minutes.
func (s *Service) begun(ctx context.Context, person, id string) (seed, error) {
	var box []byte
	sd := seed{id: id}
	err := ledger.One(ctx, s.DB, readBegun, []any{&box}, id, person, us(s.Now().Add(-flowLife)))
	if errors.Is(err, fault.NotFound) {
		return seed{}, errFlow()
	}
	if err != nil {
		return seed{}, fmt.Errorf("read code generator: %w", err)
	}
	sd.totp, err = s.openSeed(ctx, id, box)
	return sd, err
}

// AgainTOTP shows a generator that was begun once more, after a wrong code.
func (s *Service) AgainTOTP(ctx context.Context, who actor.Actor, id string) (Generator, error) {
	person, err := self(who)
	if err != nil {
		return Generator{}, err
	}
	sd, err := s.begun(ctx, person, id)
	if err != nil {
		return Generator{}, err
	}
	acc, err := s.account(ctx, person)
	if err != nil {
		return Generator{}, err
	}
	picture := secret.RandomText(32)
	if err := s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, setPicture, id, person, sum(picture))
		return err
	}); err != nil {
		return Generator{}, fmt.Errorf("renew a picture: %w", err)
	}
	return Generator{ID: id, Secret: sd.totp.Spaced(), URI: sd.totp.URI(s.Company(), acc.email), Picture: picture}, nil
}

// PictureTOTP draws the QR code of a generator that was begun, once for each name.
func (s *Service) PictureTOTP(ctx context.Context, who actor.Actor, name secret.Text) ([]byte, error) {
	person, err := self(who)
	if err != nil {
		return nil, err
	}
	var id string
	err = ledger.One(ctx, s.DB, findPicture, []any{&id}, sum(name), person)
	if err == nil {
		var n int64
		err = s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) (err error) {
			n, err = tx.Exec(ctx, spendPicture, sum(name), person)
			return err
		})
		if err == nil && n != 1 {
			err = fault.NotFound
		}
	}
	if err != nil {
		return nil, err
	}
	sd, err := s.begun(ctx, person, id)
	if err != nil {
		return nil, err
	}
	acc, err := s.account(ctx, person)
	if err != nil {
		return nil, err
	}
	return totp.Picture(sd.totp.URI(s.Company(), acc.email))
}

// ConfirmTOTP is the first right code of a generator.
type ConfirmTOTP struct {
	ID      string
	Code    secret.Text
	Name    string
	Network string
	Agent   string
}

// Confirmed is a factor that works from now on, and the session's new token.
type Confirmed struct {
	Token secret.Text
	Ends  time.Time     // of the session
	Codes []secret.Text // recovery codes, with the first factor
	Who   actor.Actor
}

// ConfirmTOTP makes a generator work, with a right code of it. The session gets a new
// token and counts as signed in with two factors; with the first factor come recovery codes.
func (s *Service) ConfirmTOTP(ctx context.Context, who actor.Actor, in ConfirmTOTP) (Confirmed, error) {
	person, err := s.mayAdd(ctx, who)
	if err != nil {
		return Confirmed{}, err
	}
	sd, err := s.begun(ctx, person, in.ID)
	if err != nil {
		return Confirmed{}, err
	}
	b, err := s.bucket(ctx, perCode, person)
	if err != nil {
		return Confirmed{}, err
	}
	if full, err := s.take(ctx, b); err != nil {
		return Confirmed{}, err
	} else if full != nil {
		return Confirmed{}, s.refuse(ctx, who, SignInsThrottled{Door: "factor", Bucket: full.limit, Network: in.Network}, full.fault())
	}
	step, ok, err := sd.totp.Match(in.Code, s.Now())
	if err != nil {
		return Confirmed{}, errors.Join(err, s.forgive(ctx, nil, []bucket{b}))
	}
	if !ok { // clause: access.mfa-by-technology
		return Confirmed{}, s.refuse(ctx, who, FactorRefused{Person: person, Kind: FactorTOTP, Cause: "wrong", Network: in.Network}, wrongFirstCode())
	}
	name, err := s.factorName(ctx, person, in.ID, in.Name, "Authenticator app")
	if err != nil {
		return Confirmed{}, err
	}
	out, err := s.addFactor(ctx, who, added{person: person, id: in.ID, kind: FactorTOTP, acr: 2, amr: "mfa otp", network: in.Network, agent: in.Agent,
		write: func(ctx context.Context, tx *ledger.Tx) error {
			n, err := tx.Exec(ctx, confirmFactor, in.ID, person, name, step, us(tx.Now()))
			if err == nil && n != 1 {
				err = errFlow()
			}
			return err
		}})
	if err != nil {
		return Confirmed{}, err
	}
	return out, s.forgive(ctx, []bucket{b}, nil)
}

// wrongFirstCode is Invalid, not Unauthenticated: the session stands.
func wrongFirstCode() error {
	_, pub := fault.PublicOf(factorRefused())
	return fault.New(fault.Invalid, "factor_refused", pub)
}

// added is a factor on its way into the table.
type added struct {
	person, id, kind, amr string
	acr                   int
	network, agent        string
	write                 func(ctx context.Context, tx *ledger.Tx) error
}

// addFactor commits a factor of any kind: the row, the recovery codes where it is the
// first, the session's new token, the letter.
func (s *Service) addFactor(ctx context.Context, who actor.Actor, a added) (Confirmed, error) {
	acc, err := s.account(ctx, a.person)
	if err != nil {
		return Confirmed{}, err
	}
	job, err := s.letter(ctx, acc.email, s.factorLetter("added", s.asked(a.network, a.agent)))
	if err != nil {
		return Confirmed{}, err
	}
	rules := s.Rules.Get()
	token, codes := secret.RandomText(32), drawRecovery()
	first := false
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, a.person); err != nil {
			return nil, err
		}
		n, err := needOf(ctx, tx, rules, a.person)
		if err != nil {
			return nil, err
		}
		first = len(n.enrolled) == 0
		if err := a.write(ctx, tx); err != nil {
			return nil, err
		}
		if first {
			if err := storeRecovery(ctx, tx, a.person, codes); err != nil {
				return nil, err
			}
		}
		if err := endGraces(ctx, tx, a.person, a.acr); err != nil {
			return nil, err
		}
		if err := raise(ctx, tx, rules, raised{session: who.Session, person: a.person, token: token, acr: max(a.acr, who.ACR), amr: rolesText(append([]string{"pwd"}, rolesOf(a.amr)...))}); err != nil {
			return nil, err
		}
		return FactorAdded{Person: a.person, Factor: a.id, Kind: a.kind, First: first, Session: who.Session}, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return Confirmed{}, fmt.Errorf("add factor: %w", err)
	}
	if err := s.reread(ctx, a.person); err != nil {
		return Confirmed{}, err
	}
	return s.risen(token, first, codes)
}

// risen is the session as it is in memory now.
func (s *Service) risen(token secret.Text, first bool, codes []secret.Text) (Confirmed, error) {
	l, _ := s.table.find(token)
	if l == nil {
		return Confirmed{}, errEnded()
	}
	out := Confirmed{Token: token, Ends: l.ends(s.Rules.Get()), Who: s.actorOf(l, "https")}
	if first {
		out.Codes = codes
	}
	return out, nil
}

const (
	seedsOf      = `SELECT id, box, step, locked FROM identity_factor WHERE person = $1 AND kind = 'totp' AND confirmed IS NOT NULL`
	useStep      = `UPDATE identity_factor SET step = $3, used = $4, fails = 0 WHERE id = $1 AND person = $2 AND step < $3 AND confirmed IS NOT NULL AND locked IS NULL`
	dropBegun    = `DELETE FROM identity_factor WHERE person = $1 AND kind = $2 AND confirmed IS NULL`
	countFactors = `SELECT COUNT(*) FROM identity_factor WHERE person = $1 AND kind = $2`
	insertFactor = `INSERT INTO identity_factor (id, person, kind, name, box, mark, step, picture, created, confirmed, used, fails, locked)
		VALUES ($1, $2, $3, NULL, $4, $5, 0, $6, $7, NULL, NULL, 0, NULL)`
	readBegun     = `SELECT box FROM identity_factor WHERE id = $1 AND person = $2 AND kind = 'totp' AND confirmed IS NULL AND created > $3`
	setPicture    = `UPDATE identity_factor SET picture = $3 WHERE id = $1 AND person = $2 AND confirmed IS NULL`
	findPicture   = `SELECT id FROM identity_factor WHERE picture = $1 AND person = $2 AND confirmed IS NULL`
	spendPicture  = `UPDATE identity_factor SET picture = '' WHERE picture = $1 AND person = $2 AND confirmed IS NULL`
	confirmFactor = `UPDATE identity_factor SET confirmed = $5, name = $3, step = $4, used = $5, picture = '' WHERE id = $1 AND person = $2 AND confirmed IS NULL`
	oldBegun      = `DELETE FROM identity_factor WHERE confirmed IS NULL AND created < $1`
)
