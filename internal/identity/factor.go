package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// The kinds of factors that can be shown beside a password.
const (
	FactorTOTP     = "totp"     // a code from an app
	FactorRecovery = "recovery" // one of the codes kept for the day the factor is lost
)

// maxFactors is how many factors of one kind a person may have.
const maxFactors = 20

// lockAfter is how many wrong codes in a row, over all time, lock a person's codes: ten
// an hour would otherwise find one of a million within some years.
const lockAfter = 100

// Shown is a factor as it came in.
type Shown struct {
	Kind       string
	Code       secret.Text
	Question   secret.Text // that a passkey answers
	Credential []byte      // its answer
}

// proof is a factor that was right. It counts only once it is spent, inside the change
// that it proves: a code works once, whoever comes first.
type proof struct {
	kind  string
	acr   int    // with a password before it
	amr   string // RFC 8176
	spend func(ctx context.Context, tx *ledger.Tx) error
	clear []bucket // counters that a success clears
}

// after is what a session may say once the proof was shown after done.
func (p proof) after(done string) shown {
	method := "password+"
	if slices.Contains(rolesOf(done), "upstream") {
		method = "upstream+"
	}
	return shown{acr: p.acr, amr: rolesText(append(rolesOf(done), rolesOf(p.amr)...)), method: method + p.kind}
}

// errSpent is a code that was right and had been used.
var errSpent = errors.New("identity: the code was used before")

// factorRefused is the one answer to a second factor that is not right.
func factorRefused() *fault.Error {
	return fault.New(fault.Unauthenticated, "factor_refused", fault.Public{
		Problem:  "The code is not right.",
		Expected: "The code that the app shows now, which works once, or a recovery code that was not used.",
		Next:     "Wait for the next code and type that. The clock of the phone must be right.",
		Fields:   []fault.Field{{Name: "code", Code: "factor_refused", Problem: "This code is not right, or was used. Wait for the next one."}}})
}

// From is where an act comes from, for the record and the letters.
type From struct {
	Network string
	Agent   string
	warn    bool // tell the person if the factor is wrong
}

// showFactor checks a factor of a person whose password was right, or who is signed in.
// It has a counter of its own, so that nobody who lacks the password can fill it.
func (s *Service) showFactor(ctx context.Context, who actor.Actor, acc account, in Shown, from From) (proof, error) {
	b, err := s.bucket(ctx, perCode, acc.id)
	if err != nil {
		return proof{}, err
	}
	if full, err := s.take(ctx, b); err != nil { // clause: auth.best-practice
		return proof{}, err
	} else if full != nil {
		return proof{}, s.refuse(ctx, who, SignInsThrottled{Door: "factor", Bucket: full.limit, Network: from.Network}, full.fault())
	}
	var p proof
	cause := "unknown"
	switch in.Kind {
	case FactorTOTP:
		p, cause, err = s.proveTOTP(ctx, acc.id, in.Code)
	case FactorRecovery:
		p, cause, err = s.proveRecovery(ctx, acc, in.Code, from)
	case FactorPasskey:
		p, cause, err = s.provePasskey(ctx, who, acc.id, in)
	}
	if err != nil {
		return proof{}, errors.Join(err, s.forgive(ctx, nil, []bucket{b}))
	}
	if cause != "" {
		return proof{}, s.wrongFactor(ctx, who, acc.id, in.Kind, cause, from)
	}
	p.clear = []bucket{b}
	return p, nil
}

// wrongFactor records a wrong factor and counts it. The person is told of three in one
// sign-in: somebody has their password. Too many for life lock the codes.
func (s *Service) wrongFactor(ctx context.Context, who actor.Actor, person, kind, cause string, from From) error {
	var jobsOut []jobs.Job
	if from.warn {
		acc, err := s.account(ctx, person)
		if err != nil {
			return err
		}
		job, err := s.letter(ctx, acc.email, s.guessedLetter(s.asked(from.Network, from.Agent)))
		if err != nil {
			return err
		}
		jobsOut = append(jobsOut, job)
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		for _, j := range jobsOut {
			if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
				return nil, err
			}
		}
		if kind == FactorTOTP && cause == "wrong" {
			if _, err := tx.Exec(ctx, failFactor, person, kind); err != nil {
				return nil, err
			}
			n, err := tx.Exec(ctx, lockFactor, person, kind, us(tx.Now()), int64(lockAfter)) // clause: auth.best-practice
			if err != nil {
				return nil, err
			}
			if n > 0 {
				tx.Also(FactorLocked{Person: person, Kind: kind})
			}
		}
		return FactorRefused{Person: person, Kind: kind, Cause: cause, Network: from.Network}, nil
	})
	if err != nil {
		return fmt.Errorf("record a wrong factor: %w", err)
	}
	if kind == FactorPasskey {
		return passkeyNotShown()
	}
	return factorRefused()
}

// kindsToShow are the kinds that a person can show now, the best first.
func (s *Service) kindsToShow(ctx context.Context, person string) ([]string, error) {
	kinds := []string{}
	err := s.DB.Each(ctx, workingKinds, func(scan scanner) error {
		var kind string
		if err := scan(&kind); err != nil {
			return err
		}
		kinds = append(kinds, kind)
		return nil
	}, person)
	if err != nil {
		return nil, fmt.Errorf("read factors: %w", err)
	}
	left, err := s.count(ctx, recoveryLeft, person)
	if left > 0 {
		kinds = append(kinds, FactorRecovery)
	}
	return kinds, err
}

// enough are the kinds that reach a level, of those a person can show: where a passkey is
// asked and there is one, nothing else does.
func enough(kinds []string, level int) []string {
	if level >= phishingResistant && slices.Contains(kinds, FactorPasskey) {
		return []string{FactorPasskey}
	}
	return kinds
}

// Factor is a second factor as its owner sees it.
type Factor struct {
	ID     string
	Kind   string
	Name   string
	Added  time.Time
	Used   time.Time // zero = never
	Locked time.Time // after too many wrong codes; zero = works
}

// Factors are those of the person who acts, with how many recovery codes are left.
type Factors struct {
	Factors  []Factor
	Recovery int64
	Needed   bool      // somebody demands one of this person
	Level    int       // that is demanded: 1, 2, or 3 for a passkey
	Lacking  bool      // what was set up does not reach it
	Grace    time.Time // until when they may do without; zero when that is no matter
}

// self is the person behind a session, also one that may only set up a factor.
func self(who actor.Actor) (string, error) {
	if who.Kind != actor.Person && who.Kind != actor.Enrolling || who.Session == "" || who.ID == "" {
		return "", errEnded()
	}
	return who.ID, nil
}

// mayAdd is self for somebody who adds a factor: with a fresh proof, unless the session
// itself is for nothing else.
func (s *Service) mayAdd(ctx context.Context, who actor.Actor) (string, error) {
	id, err := self(who)
	if err == nil && who.Kind != actor.Enrolling {
		err = s.fresh(ctx, who) // clause: auth.best-practice
	}
	return id, err
}

// MyFactors lists the factors of whoever acts.
func (s *Service) MyFactors(ctx context.Context, who actor.Actor) (Factors, error) {
	id, err := self(who)
	if err != nil {
		return Factors{}, err
	}
	var out Factors
	if out.Factors, err = s.factors(ctx, id); err != nil {
		return Factors{}, err
	}
	if out.Recovery, err = s.count(ctx, recoveryLeft, id); err != nil {
		return Factors{}, err
	}
	n, err := needOf(ctx, s.DB, s.Rules.Get(), id)
	if err != nil {
		return Factors{}, err
	}
	out.Needed = slices.Contains(n.by, "policy") || slices.Contains(n.by, "team")
	out.Level, out.Lacking = n.acr, len(n.lacking()) > 0
	if out.Needed && out.Lacking && s.Now().Before(n.grace) {
		out.Grace = n.grace
	}
	return out, nil
}

func (s *Service) factors(ctx context.Context, person string) ([]Factor, error) {
	out, err := s.passkeyFactors(ctx, person)
	if err != nil {
		return nil, err
	}
	own := len(out)
	var names [][]byte
	err = s.DB.Each(ctx, factorsOf, func(scan scanner) error {
		var f Factor
		var name []byte
		var confirmed int64
		var used, locked *int64
		if err := scan(&f.ID, &f.Kind, &name, &confirmed, &used, &locked); err != nil {
			return err
		}
		f.Added = at(confirmed)
		if used != nil {
			f.Used = at(*used)
		}
		if locked != nil {
			f.Locked = at(*locked)
		}
		out, names = append(out, f), append(names, name)
		return nil
	}, person)
	if err != nil {
		return nil, fmt.Errorf("list factors: %w", err)
	}
	for i := range names {
		f := &out[own+i]
		if f.Name, err = s.text(ctx, "identity_factor.name", f.ID, names[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// factorName is what a person calls a factor; a control character or a long text is refused.
func (s *Service) factorName(ctx context.Context, person, id, name, otherwise string) ([]byte, error) {
	name, ok := cleanName(name)
	if !ok {
		return nil, fault.New(fault.Invalid, "name_invalid", fault.Public{Problem: "The name is longer than 100 characters or holds a control character.",
			Fields: []fault.Field{{Name: "name", Code: "name_invalid", Problem: "At most 100 characters, without control characters."}}})
	}
	if name == "" {
		name = otherwise
	}
	return s.seal(ctx, keyring.Person(person), "identity_factor.name", id, []byte(name))
}

// RemoveFactor takes one of one's own factors away. The last one of somebody who must
// have one stays (fault.Conflict, last_factor).
func (s *Service) RemoveFactor(ctx context.Context, who actor.Actor, id string, from From) error {
	if who.Kind != actor.Person {
		return errEnded()
	}
	if err := s.fresh(ctx, who); err != nil { // clause: auth.best-practice
		return err
	}
	acc, err := s.account(ctx, who.ID)
	if err != nil {
		return err
	}
	job, err := s.letter(ctx, acc.email, s.factorLetter("removed", s.asked(from.Network, from.Agent)))
	if err != nil {
		return err
	}
	rules := s.Rules.Get()
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, who.ID); err != nil {
			return nil, err
		}
		var kind string
		if err := ledger.One(ctx, tx, kindOfFactor, []any{&kind}, id, who.ID); err != nil {
			if errors.Is(err, fault.NotFound) {
				return nil, fault.Newf(fault.NotFound, "no_factor", "There is no such factor, or it is gone.")
			}
			return nil, err
		}
		before, err := needOf(ctx, tx, rules, who.ID)
		if err != nil {
			return nil, err
		}
		for _, q := range []string{deleteFactor, deletePasskey} {
			if _, err := tx.Exec(ctx, q, id, who.ID); err != nil {
				return nil, err
			}
		}
		n, err := needOf(ctx, tx, rules, who.ID)
		if err != nil {
			return nil, err
		}
		if n.can() < min(n.acr, before.can()) { // clause: access.mfa-by-technology
			return nil, lastFactor(n.acr)
		}
		if len(n.enrolled) == 0 {
			if err := withoutFactor(ctx, tx, rules, who.ID); err != nil {
				return nil, err
			}
		}
		return FactorRemoved{Person: who.ID, Factor: id, Kind: kind, Cause: "removed"}, s.Mail.Enqueue(ctx, tx, job)
	})
	if err != nil {
		return fmt.Errorf("remove factor: %w", err)
	}
	return nil
}

// lastFactor keeps the factor without which somebody would be below what is asked of them.
func lastFactor(level int) error {
	pub := fault.Public{Problem: "This is the last factor, and this account must have one.", Expected: "At least one second factor.", Next: "Set up another one first, then remove this one."}
	if level >= phishingResistant {
		pub = fault.Public{Problem: "This is the last passkey, and this account must have one.", Expected: "At least one passkey.", Next: "Set up another passkey first, then remove this one."}
	}
	return fault.New(fault.Conflict, "last_factor", pub)
}

// withoutFactor is what goes with the last factor. The password must do alone from now on,
// so it must have passed the length for that.
func withoutFactor(ctx context.Context, tx *ledger.Tx, rules *Rules, person string) error {
	var passed int
	var list string
	err := ledger.One(ctx, tx, passedOf, []any{&passed, &list}, person)
	if err == nil && passed < rules.Min { // clause: auth.min-length
		return fault.New(fault.Conflict, "last_factor", fault.Public{
			Problem:  "Without a factor your password is too short.",
			Expected: fmt.Sprintf("A password of at least %d characters.", rules.Min), Next: "Change the password to a longer one first, then remove the factor."})
	}
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	for _, q := range []string{deleteRecovery, distrustAll} {
		if _, err := tx.Exec(ctx, q, person); err != nil {
			return err
		}
	}
	return nil
}

const (
	factorsOf = `SELECT id, kind, name, confirmed, used, locked FROM identity_factor WHERE person = $1 AND confirmed IS NOT NULL
		ORDER BY CASE kind WHEN 'totp' THEN 1 ELSE 0 END, confirmed, id`
	workingKinds = `SELECT DISTINCT kind FROM identity_factor WHERE person = $1 AND confirmed IS NOT NULL AND locked IS NULL
		UNION SELECT 'passkey' FROM identity_passkey WHERE person = $1 ORDER BY kind`
	kindOfFactor = `SELECT kind FROM identity_factor WHERE id = $1 AND person = $2 AND confirmed IS NOT NULL
		UNION ALL SELECT 'passkey' FROM identity_passkey WHERE id = $1 AND person = $2`
	deleteFactor = `DELETE FROM identity_factor WHERE id = $1 AND person = $2`
	failFactor   = `UPDATE identity_factor SET fails = fails + 1 WHERE person = $1 AND kind = $2 AND confirmed IS NOT NULL`
	lockFactor   = `UPDATE identity_factor SET locked = $3 WHERE person = $1 AND kind = $2 AND locked IS NULL AND fails >= $4`
)
