package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// The demands that a team can make of its own people, beside PhishingResistant.
const (
	DemandNone = "none"
	DemandTwo  = "two-factor"
)

// Demands are all of them, the mildest first.
func Demands() []string { return []string{DemandNone, DemandTwo, PhishingResistant} }

// demandLevel is the level behind a demand's word (fault.Invalid, demand_unknown).
func (s *Service) demandLevel(word string) (int, error) {
	problem := "A team demands " + orList(Demands()) + "."
	next := "Choose one of them."
	switch word {
	case DemandNone:
		return oneFactor, nil
	case DemandTwo:
		return twoFactors, nil
	case PhishingResistant:
		if s.Passkeys() {
			return phishingResistant, nil
		}
		problem, next = "This site is reached by an address of numbers, and browsers bind passkeys to a name only.", "Demand two factors."
	}
	return 0, fault.New(fault.Invalid, "demand_unknown", fault.Public{Problem: problem, Next: next,
		Fields: []fault.Field{{Name: "demand", Code: "demand_unknown", Problem: problem}}})
}

// demandWord is the word for a level.
func demandWord(level int) string { return Demands()[min(max(level, oneFactor), phishingResistant)-1] }

// DemandSet is what a team's demand comes to, before or after it is saved.
type DemandSet struct {
	Team    string
	Demand  string
	Before  string
	Members int64     // who may sign in
	Lacking int64     // of them: those who must set something up first
	Grace   time.Time // until when those may do without; zero when they may not
	Ended   int64     // sessions that were below it; only once it is saved
}

// lack is a member, and what they have set up.
type lack struct {
	person string
	level  int
}

// LookAtDemand says what a demand would come to. Nothing is saved.
func (s *Service) LookAtDemand(ctx context.Context, who actor.Actor, team, word string) (DemandSet, error) {
	if err := s.manageable(ctx, who, team); err != nil {
		return DemandSet{}, err
	}
	level, err := s.demandLevel(word)
	if err != nil {
		return DemandSet{}, err
	}
	return s.demandOf(ctx, s.DB, team, level)
}

func (s *Service) demandOf(ctx context.Context, q ledger.Reader, team string, level int) (DemandSet, error) {
	var was int64
	if err := ledger.One(ctx, q, demandOf, []any{&was}, team); errors.Is(err, fault.NotFound) {
		return DemandSet{}, noTeam()
	} else if err != nil {
		return DemandSet{}, fmt.Errorf("read demand: %w", err)
	}
	members, err := levelsIn(ctx, q, team)
	d := DemandSet{Team: team, Demand: demandWord(level), Before: demandWord(int(was)), Members: int64(len(members))}
	for _, m := range members {
		if m.level < level {
			d.Lacking++
		}
	}
	if grace := s.Rules.Get().Grace; d.Lacking > 0 && grace > 0 {
		d.Grace = s.Now().Add(grace)
	}
	return d, err
}

// levelsIn are the members of a team who may sign in, with the level that each reaches.
func levelsIn(ctx context.Context, q ledger.Reader, team string) ([]lack, error) {
	var out []lack
	err := q.Each(ctx, levelsOfTeam, func(scan scanner) error {
		l := lack{level: oneFactor}
		var factor, passkey bool
		if err := scan(&l.person, &factor, &passkey); err != nil {
			return err
		}
		switch {
		case passkey:
			l.level = phishingResistant
		case factor:
			l.level = twoFactors
		}
		out = append(out, l)
		return nil
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read factors of a team: %w", err)
	}
	return out, nil
}

// mayDemand asks for a fresh proof, and that whoever demands a level shows it: nobody
// shuts themselves out, nor asks of others what they do not do.
func (s *Service) mayDemand(ctx context.Context, who actor.Actor, team string, level int) error {
	if who.Kind == actor.Person && who.Team == team && who.ACR < level { // clause: access.mfa-by-technology
		if _, ok := s.Raise(ctx, who, level, "/"); ok {
			return web.NeedStepUp(level, s.Rules.Get().StepUpAge)
		}
		what := "a second factor"
		if level >= phishingResistant {
			what = "a passkey"
		}
		return fault.New(fault.Conflict, "own_factor_first", fault.Public{Problem: "You have not set up " + what + " yourself.",
			Expected: "A session that began with " + what + ".", Next: "Set it up at /-/account/factors, then demand it of the team."})
	}
	return s.fresh(ctx, who) // clause: auth.best-practice
}

// Require sets what a team demands of its people, after a fresh proof. The strictest of
// the policy, the teams and the person counts. Sessions below it end; of members who
// cannot reach it yet they go on until the one grace of the policy ends, where it gives
// one. Those members are told by mail. Errors: demand_unknown, no_team, own_factor_first,
// last_owner.
func (s *Service) Require(ctx context.Context, who actor.Actor, team, word string) (DemandSet, error) {
	const act = "require-factor"
	if err := s.manageable(ctx, who, team); err != nil {
		return DemandSet{}, err
	}
	level, err := s.demandLevel(word)
	if err == nil {
		err = s.mayDemand(ctx, who, team, level)
	}
	if err != nil {
		return DemandSet{}, s.notOnTeam(ctx, who, act, team, err)
	}
	letters, err := s.demandLetters(ctx, team, level)
	if err != nil {
		return DemandSet{}, err
	}
	var d DemandSet
	var ended []string
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (_ ledger.Event, err error) {
		d, ended, err = s.require(ctx, tx, team, level, letters)
		return TeamDemandSet{Team: team, From: d.Before, To: d.Demand, Members: d.Members, Lacking: d.Lacking, Sessions: d.Ended}, err
	})
	if err != nil {
		return DemandSet{}, s.notOnTeam(ctx, who, act, team, err)
	}
	s.table.drop(s.Now(), ended...)
	if _, err := s.takeIn(ctx, sessionRows+` WHERE s.ended IS NULL AND s.person IN (SELECT o.person FROM identity_member o WHERE o.team = $1)`, team); err != nil {
		return DemandSet{}, fmt.Errorf("read sessions of a team: %w", err)
	}
	return d, nil
}

// require is the heart of Require, inside a change.
func (s *Service) require(ctx context.Context, tx *ledger.Tx, team string, level int, letters map[string]jobs.Job) (d DemandSet, ended []string, err error) {
	kind, err := lockTeam(ctx, tx, team)
	if err != nil {
		return d, nil, err
	}
	change, err := bump(ctx, tx)
	if err != nil {
		return d, nil, err
	}
	if d, err = s.demandOf(ctx, tx, team, level); err != nil {
		return d, nil, err
	}
	if err := ownersReach(ctx, tx, kind, team, level); err != nil {
		return d, nil, err
	}
	if _, err := tx.Exec(ctx, setDemand, team, int64(level)); err != nil {
		return d, nil, err
	}
	if _, err := tx.Exec(ctx, touchTeam, team, change); err != nil { // the other nodes read them again
		return d, nil, err
	}
	members, err := levelsIn(ctx, tx, team)
	if err != nil {
		return d, nil, err
	}
	for _, m := range members {
		if m.level < level && !d.milder() {
			if err := s.askMember(ctx, tx, m.person, letters); err != nil {
				return d, nil, err
			}
		}
	}
	err = tx.Each(ctx, endBelow, func(scan scanner) error {
		var id string
		if err := scan(&id); err != nil {
			return err
		}
		ended = append(ended, id)
		return nil
	}, team, int64(level), us(tx.Now()), change)
	d.Ended = int64(len(ended))
	return d, ended, err
}

// milder reports a demand that asks no more than the former one.
func (d DemandSet) milder() bool {
	rank := map[string]int{DemandNone: 1, DemandTwo: 2, PhishingResistant: 3}
	return rank[d.Demand] <= rank[d.Before]
}

// askMember dates the grace of a member who cannot reach a new demand, where the policy
// gives one, and tells them.
func (s *Service) askMember(ctx context.Context, tx *ledger.Tx, person string, letters map[string]jobs.Job) error {
	rules := s.Rules.Get()
	n, err := needOf(ctx, tx, rules, person)
	if err != nil {
		return err
	}
	if err := dateGrace(ctx, tx, rules, person, &n); err != nil {
		return err
	}
	if tx.Now().Before(n.grace) {
		if err := excuse(ctx, tx, person, n); err != nil {
			return err
		}
	}
	if job, ok := letters[person]; ok {
		return s.Mail.Enqueue(ctx, tx, job)
	}
	return nil
}

// ownersReach refuses a demand of the staff that fewer than two owners can meet: nobody
// would be there to mend it.
func ownersReach(ctx context.Context, tx *ledger.Tx, kind, team string, level int) error {
	if kind != Staff || level < phishingResistant {
		return nil
	}
	able := map[string]bool{}
	members, err := levelsIn(ctx, tx, team)
	for _, m := range members {
		able[m.person] = m.level >= level
	}
	owners, reach := 0, 0
	if err == nil {
		err = tx.Each(ctx, ableIn, func(scan scanner) error {
			var id, roles string
			if err := scan(&id, &roles); err != nil {
				return err
			}
			if rank(rolesOf(roles)...) == 2 {
				if owners++; able[id] {
					reach++
				}
			}
			return nil
		}, team)
	}
	if err != nil || reach >= min(2, owners) {
		return err
	}
	return fault.New(fault.Conflict, "last_owner", fault.Public{Problem: fmt.Sprintf("%d of %d owners have a passkey.", reach, owners),
		Expected: "At least two owners who have one before it is asked of the staff.", Next: "Let owners set up a passkey at /-/account/passkeys first."})
}

// demandLetters are prepared before the change, for a letter is sealed.
func (s *Service) demandLetters(ctx context.Context, team string, level int) (map[string]jobs.Job, error) {
	members, err := levelsIn(ctx, s.DB, team)
	if err != nil {
		return nil, err
	}
	out := map[string]jobs.Job{}
	l := s.demandLetter(s.called(ctx, team), level)
	for _, m := range members {
		if m.level >= level {
			continue
		}
		acc, err := s.account(ctx, m.person)
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if out[m.person], err = s.letter(ctx, acc.email, l); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) demandLetter(team string, level int) typedLetter {
	what, at := "a second factor, such as a passkey or an app that shows codes", atFactors
	if level >= phishingResistant {
		what, at = "a passkey; a code from an app is not enough", atPasskeys
	}
	when := "The next time you sign in, the page that sets it up opens first, and nothing else until it is done."
	if grace := s.Rules.Get().Grace; grace > 0 {
		when = fmt.Sprintf("You have until %s at the latest, once and no longer. After that nothing else opens until it is done.", stamp(s.Now().Add(grace)))
	}
	return typedLetter{kind: "identity.factor-demanded", Letter: mail.Letter{
		Title: "Your team asks for " + map[bool]string{false: "a second factor", true: "a passkey"}[level >= phishingResistant],
		Lines: []string{fmt.Sprintf("Whoever is in %s must now sign in with %s.", team, what), when},
		Link:  &mail.Link{Text: "Set it up", URL: s.Origin + at},
		Foot:  []string{"Set on " + stamp(s.Now()) + ".", "If you did not expect this, ask an admin of the team."},
	}}
}

const (
	levelsOfTeam = `SELECT m.person, EXISTS (SELECT 1 FROM identity_factor f WHERE f.person = m.person AND f.confirmed IS NOT NULL),
		EXISTS (SELECT 1 FROM identity_passkey k WHERE k.person = m.person)
		FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = $1 AND p.state = 'active' ORDER BY m.person`
	setDemand = `UPDATE identity_team SET need = $2 WHERE id = $1`
	touchTeam = `UPDATE identity_session SET change = $2 WHERE ended IS NULL AND person IN (SELECT m.person FROM identity_member m WHERE m.team = $1)`
	endBelow  = `UPDATE identity_session SET ended = $3, cause = 'team-demand', change = $4 WHERE ended IS NULL AND level = 'full' AND acr < $2
		AND NOT (low > $3 AND low_acr >= $2) AND person IN (SELECT m.person FROM identity_member m WHERE m.team = $1) RETURNING id`
)
