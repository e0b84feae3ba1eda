package identity

import (
	"context"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/web"
)

// How somebody came to accept the terms.
const (
	termsSignUp  = "sign-up"
	termsJoined  = "invitation"
	termsPage    = "page"
	termsVouched = "vouched" // by whoever made the account
	termsPlanted = "planted" // by a control
)

// agreed is an acceptance that a new person brings.
type agreed struct {
	version int // 0 = none: they are asked before anything else
	how     string
}

// owes reports a customer's session whose person has not accepted the terms in the
// version in force. Staff are not asked: the terms are for customers.
func (l *live) owes(rules *Rules) bool { // clause: use.terms
	return l.level == levelFull && l.kind != Staff && l.terms < rules.Terms
}

// agreeing is the actor of such a session: it has neither team nor roles, and is of a kind
// of its own, so that whoever does not know it refuses it.
func (l *live) agreeing(who actor.Actor) actor.Actor {
	return actor.Actor{Kind: actor.Agreeing, ID: l.person, Session: l.id, ACR: who.ACR, FactorAt: who.FactorAt, Via: who.Via}
}

// owesToken reports a customer's own token while the customer owes an acceptance.
func (l *liveToken) owesToken(rules *Rules) bool { // clause: use.terms
	return l.kind == PersonalToken && l.teamKind != Staff && l.terms < rules.Terms
}

// Terms is what somebody may know of the terms for customers.
type Terms struct {
	Version  int    // in force
	URL      string // where they can be read; empty when the machine settings name no place
	Accepted int    // newest version that was accepted; 0 = none
	At       time.Time
	Asked    bool // false for staff
}

// Terms says what is in force and what the person who asks has accepted.
func (s *Service) Terms(ctx context.Context, who actor.Actor) (Terms, error) {
	t := Terms{Version: s.Rules.Get().Terms, URL: s.TermsURL, Asked: true}
	if who.Kind != actor.Person && who.Kind != actor.Agreeing || who.ID == "" {
		return t, errEnded()
	}
	acc, err := s.account(ctx, who.ID)
	if err != nil {
		return t, err
	}
	t.Asked = acc.kind != Staff
	var at64 int64
	if err := ledger.One(ctx, s.DB, newestTerms, []any{&t.Accepted, &at64}, who.ID); err != nil {
		return t, fmt.Errorf("read accepted terms: %w", err)
	}
	if t.Accepted > 0 {
		t.At = at(at64)
	}
	return t, nil
}

// AcceptTerms notes that the person who is signed in accepts the terms. version is the
// one they were shown: if another is in force meanwhile, it is fault.Conflict,
// terms_version.
func (s *Service) AcceptTerms(ctx context.Context, who actor.Actor, version int) error {
	if who.Kind != actor.Person && who.Kind != actor.Agreeing || who.Session == "" || who.ByToken() {
		return errEnded()
	}
	if in := s.Rules.Get().Terms; version != in {
		return s.refuse(ctx, who, TermsRefused{Person: who.ID, Version: version, InForce: in}, fault.New(fault.Conflict, "terms_version", fault.Public{
			Problem: fmt.Sprintf("Version %d of the terms is not the one in force.", version), Expected: fmt.Sprintf("Version %d.", in), Next: "Read the terms in force and accept them."}))
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := lockPerson(ctx, tx, who.ID); err != nil {
			return nil, err
		}
		ev, err := accept(ctx, tx, who.ID, agreed{version, termsPage})
		if err != nil {
			return nil, err
		}
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, touchSessions, who.ID, change); err != nil {
			return nil, err
		}
		return ev, touchTokens(ctx, tx, who.ID)
	})
	if err != nil {
		return fmt.Errorf("accept the terms: %w", err)
	}
	s.tokensOf(ctx, who.ID)
	return s.reread(ctx, who.ID)
}

// accept writes an acceptance inside a change.
func accept(ctx context.Context, tx *ledger.Tx, person string, a agreed) (TermsAccepted, error) {
	_, err := tx.Exec(ctx, insertTerms, person, int64(a.version), us(tx.Now()), a.how)
	return TermsAccepted{Person: person, Version: a.version, How: a.how}, err
}

// vouched is the acceptance of a customer whose account somebody else makes.
func (s *Service) vouched(in NewCustomer) agreed {
	if in.AskTerms {
		return agreed{}
	}
	return agreed{s.Rules.Get().Terms, termsVouched}
}

// signedUpTo is the version that a sign-up accepts: what was shown, never more than is
// in force.
func (s *Service) signedUpTo(shown int) int {
	in := s.Rules.Get().Terms
	if shown < 1 || shown > in {
		return in
	}
	return shown
}

// termsFirst is the answer to a token whose owner owes an acceptance.
func (s *Service) termsFirst(ctx context.Context, who actor.Actor, l *liveToken) error {
	return s.refuse(ctx, who, TermsRefused{Person: l.person, Version: l.terms, InForce: s.Rules.Get().Terms}, web.TermsFirst)
}

// OwnTerms is an acceptance in the copy of one's own data.
type OwnTerms struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	How     string    `json:"how"`
}

func (s *Service) ownTerms(ctx context.Context, person string, d *OwnData) error {
	d.Terms = []OwnTerms{}
	return s.DB.Each(ctx, ownTermsRows, func(scan scanner) error {
		var t OwnTerms
		var when int64
		if err := scan(&t.Version, &when, &t.How); err != nil {
			return err
		}
		t.At = at(when)
		d.Terms = append(d.Terms, t)
		return nil
	}, person)
}

const (
	insertTerms   = `INSERT INTO identity_terms (person, version, at, how) VALUES ($1, $2, $3, $4) ON CONFLICT (person, version) DO NOTHING`
	newestTerms   = `SELECT COALESCE(MAX(version), 0), COALESCE(MAX(at), 0) FROM identity_terms WHERE person = $1`
	touchSessions = `UPDATE identity_session SET change = $2 WHERE person = $1 AND ended IS NULL`
	ownTermsRows  = `SELECT version, at, how FROM identity_terms WHERE person = $1 ORDER BY version`
	termsOfOne    = `SELECT COALESCE(MAX(version), 0) FROM identity_terms WHERE person = $1`
	deleteTermsOf = `DELETE FROM identity_terms WHERE person = $1`
)

// joined is the acceptance of somebody new who comes by an invitation; staff are not asked.
func (s *Service) joined(kind string) agreed {
	if kind == Staff {
		return agreed{}
	}
	return agreed{s.Rules.Get().Terms, termsJoined}
}

// accepts writes the acceptance that a new person brings, inside the change that makes them.
func (p sealedPerson) accepts(ctx context.Context, tx *ledger.Tx) error {
	if p.terms.version == 0 {
		return nil
	}
	ev, err := accept(ctx, tx, p.id, p.terms)
	if err == nil {
		tx.Also(ev)
	}
	return err
}
