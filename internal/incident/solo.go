package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// alone is how long the others may leave unanswered that a second person is wanted, until one may go
// on alone; 0 = never.
func (r Rules) alone() time.Duration {
	d, _ := time.ParseDuration(r.SoloAfter) // "never" is none
	return d
}

// soloStates are the states in which one person may: an application that is down waits for them. Before
// that nothing is lost by waiting, and afterwards neither.
var soloStates = []string{"R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "R9", "R10"}

// mayAlone reports whether a guard is one that two people answer for lost data. No other region has
// any: what is said about a breach is never one person's word.
func mayAlone(guard string) bool {
	m, _ := engine.Of(engine.R)
	_, waivable := engine.Known(guard)
	ofR := slices.ContainsFunc(m.Steps, func(st engine.Step) bool { return slices.Contains(st.Guards, guard) })
	return ofR && (waivable || guard == planSigned || slices.Contains(Guards(), guard))
}

const planSigned = "plan-signed"

// PassAlone is for who finds nobody else at night: the first call asks all others for a second person,
// and when none of them has acted in the incident for as long as the policy says, the same call
// passes the guard: one that two people may let pass, their signatures under the plan, or the second one
// under what was done by hand. It is recorded, shown as done alone, and an exception. Errors:
// fault.Denied (no_person, solo_off, solo_never), fault.Conflict (passed), *Kept before its time.
func (s *Service) PassAlone(ctx context.Context, who actor.Actor, ref, guard, reason string) (Case, error) { // clause: inc.process
	if who.Kind != actor.Person || who.ByToken() {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only a person who is signed in passes anything alone.", Next: "Sign in: --as ADDRESS"})
	}
	reason, err := needReason(reason)
	if err != nil {
		return Case{}, err
	}
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	if f := s.neverAlone(guard); f != nil {
		return Case{}, s.DB.Refuse(ctx, who, StepRefused{Incident: c.ID, State: c.States[engine.R], Wanted: "pass-alone", Unmet: []string{guard}}, f)
	}
	id := s.DB.ID()
	box, err := s.seal(ctx, c.ID, "incident_solo.reason", id, reason)
	if err != nil {
		return Case{}, err
	}
	letters, err := s.askOthers(ctx, who, c, guard)
	if err != nil {
		return Case{}, err
	}
	return s.change(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		object, err := s.soloObject(ctx, tx, c, who.ID, guard)
		if err != nil {
			return nil, err
		}
		var paged int64
		var answered, passed *int64
		var was string
		err = ledger.One(ctx, tx, soloOf, []any{&was, &paged, &answered, &passed}, c.ID, c.Round, guard, object, who.ID)
		asked := SecondAsked{Incident: c.ID, Round: c.Round, Guard: guard, Person: who.ID, Told: int64(len(letters)), reason: reason}
		switch wait := s.Rules.Get().alone(); {
		case errors.Is(err, fault.NotFound):
			if _, err := tx.Exec(ctx, insertSolo, id, c.ID, c.Round, guard, object, who.ID, box, us(tx.Now())); err != nil {
				return nil, err
			}
			return asked, s.askNow(ctx, tx, *c, letters)
		case err != nil:
			return nil, err
		case passed != nil:
			return nil, fault.Newf(fault.Conflict, "passed", "You have passed this already.")
		case answered != nil: // whoever it was has not agreed: they are asked again
			if _, err := tx.Exec(ctx, askAgain, was, us(tx.Now())); err != nil {
				return nil, err
			}
			return asked, s.askNow(ctx, tx, *c, letters)
		case tx.Now().Before(at(paged).Add(wait)):
			return nil, kept(*c, engine.R, "pass-alone", []engine.Lack{{Guard: "second-person", Words: "The others were asked at " + stamp(at(paged)) + ". If none of them acts in " + c.Ref() + " you may go on alone from " + stamp(at(paged).Add(wait)) + " on.", Who: "anybody else who may act in incidents, or time"}})
		}
		if _, err := tx.Exec(ctx, passSolo, was, us(tx.Now())); err != nil {
			return nil, err
		}
		ev := PassedAlone{Incident: c.ID, Round: c.Round, Guard: guard, Object: object, Person: who.ID, Asked: at(paged), reason: reason}
		if _, waivable := engine.Known(guard); waivable || guard == planSigned {
			return ev, nil
		}
		tx.Also(ev)
		return s.signHand(ctx, tx, c, who.ID, object)
	})
}

func (s *Service) neverAlone(guard string) *fault.Error { // clause: inc.breach-notify
	switch {
	case !mayAlone(guard):
		return fault.New(fault.Denied, "solo_never", fault.Public{Problem: "Nobody passes this alone.", Expected: "A guard of lost data that two people answer: what they may let pass, the plan, or what was done by hand."})
	case s.Rules.Get().alone() == 0:
		return fault.New(fault.Denied, "solo_off", fault.Public{Problem: "The policy lets nobody go on alone.", Next: "Find a second person. The owners may allow it for another time: inc.process/solo_after."})
	}
	return nil
}

// askOthers prepares a letter to everybody else who may act.
func (s *Service) askOthers(ctx context.Context, who actor.Actor, c Case, guard string) (out []jobs.Job, err error) {
	others, err := s.may(ctx)
	others = slices.DeleteFunc(others, func(p Person) bool { return p.ID == who.ID })
	if err != nil || len(others) == 0 {
		return nil, err
	}
	return s.letters(ctx, others, wantedLetter(s, c, s.name(ctx, who.ID), guard))
}

func (s *Service) askNow(ctx context.Context, tx *ledger.Tx, c Case, letters []jobs.Job) error {
	if c.Drill {
		return nil
	}
	return s.enqueue(ctx, tx, letters)
}

func wantedLetter(s *Service, c Case, name, guard string) letter {
	return letter{kind: "incident.second-wanted", Letter: mail.Letter{
		Title: c.Ref() + ": a second person is wanted, now",
		Lines: []string{c.Title, name + " is bringing back lost data and needs a second person: " + engine.Words(guard), "If nobody answers within " + web.Duration(s.Rules.Get().alone()) + ", they may go on alone."},
		Link:  &mail.Link{Text: "Look and answer", URL: s.at(c)},
		Foot:  []string{"Anything you do in the incident is an answer. The policy sets this time (inc.process)."}}}
}

// soloObject is what a guard is bound to: the plan that somebody has signed, what they recorded by hand,
// or nothing else than the round.
func (s *Service) soloObject(ctx context.Context, tx *ledger.Tx, c *Case, person, guard string) (string, error) {
	if !slices.Contains(soloStates, c.States[engine.R]) {
		return "", kept(*c, engine.R, "pass-alone", []engine.Lack{{Guard: "being-restored", Words: "One person goes on alone only while the application is down for lost data.", Who: "nobody"}})
	}
	if guard == planSigned {
		x, err := readLoss(ctx, tx, *c)
		if errors.Is(err, fault.NotFound) || err == nil && x.Hash == "" {
			return "", fault.Newf(fault.NotFound, "no_plan", "There is no plan yet.")
		}
		if err != nil {
			return "", err
		}
		signed, err := signers(ctx, tx, c.ID, x.Hash, tx.Now())
		if err == nil && !slices.Contains(signed, person) {
			err = kept(*c, engine.R, "pass-alone", []engine.Lack{{Guard: planSigned, Words: "You have not signed the plan as it stands yourself, or not within half an hour.", Who: "you"}})
		}
		return x.Hash, err
	}
	if _, waivable := engine.Known(guard); waivable {
		return "", nil
	}
	var id string
	err := ledger.One(ctx, tx, unsignedHand, []any{&id}, c.ID, c.Round, guard, person)
	if errors.Is(err, fault.NotFound) {
		err = kept(*c, engine.R, "pass-alone", []engine.Lack{{Guard: guard, Words: "You have recorded nothing of it by hand that waits for a second person.", Who: operatorWords}})
	}
	return id, err
}

// passedAlone reports whether somebody has passed a guard alone, as it stands.
func passedAlone(ctx context.Context, r ledger.Reader, c Case, guard, object, person string) (bool, error) {
	var n int64
	err := ledger.One(ctx, r, countSolo, []any{&n}, c.ID, c.Round, guard, object, person)
	return n > 0, err
}

// planStands reports whether enough people stand for a plan: two who signed it, or one, where
// nobody answered.
func planStands(ctx context.Context, r ledger.Reader, c Case, hash string, signed []string) (bool, error) { // clause: inc.loss-restore
	if len(signed) != 1 {
		return len(signed) >= signatures, nil
	}
	return passedAlone(ctx, r, c, planSigned, hash, signed[0])
}

// Solo is a guard that somebody passed alone, or wants to.
type Solo struct {
	Guard, Words, Name string
	Asked              time.Time // since when the others are asked
	From               time.Time // when it may be passed, where nobody answers; zero = it was passed, or somebody answered
	Answerer           string
	Passed             time.Time
	Reason             string
}

func (s *Service) solos(ctx context.Context, c Case) ([]Solo, error) {
	var out []Solo
	var ids []string
	var boxes [][]byte
	wait := s.Rules.Get().alone()
	err := s.DB.Each(ctx, solosOf, func(scan ledger.Scan) error {
		var x Solo
		var id string
		var paged int64
		var passed *int64
		var box []byte
		err := scan(&id, &x.Guard, &x.Name, &paged, &x.Answerer, &passed, &box)
		x.Words, x.Asked, x.Passed = engine.Words(x.Guard), at(paged), when(passed)
		if x.Passed.IsZero() && x.Answerer == "" && wait > 0 {
			x.From = x.Asked.Add(wait)
		}
		out, ids, boxes = append(out, x), append(ids, id), append(boxes, box)
		return err
	}, c.ID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read what was passed alone: %w", err)
	}
	for i := range out {
		x := &out[i]
		if x.Name = s.name(ctx, x.Name); x.Answerer != "" {
			x.Answerer = s.name(ctx, x.Answerer)
		}
		if x.Reason, err = s.open(ctx, "incident_solo.reason", ids[i], boxes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// aloneWays are the guards that whoever looks could pass alone, or ask a second person for.
func (s *Service) aloneWays(c Case, v View, who actor.Actor) (out []string) {
	if s.Rules.Get().alone() == 0 || !slices.Contains(soloStates, c.States[engine.R]) {
		return nil
	}
	for _, st := range v.Stands {
		if st.Machine.Region != engine.R {
			continue
		}
		for _, w := range st.Ways {
			for _, l := range w.Unmet {
				_, waivable := engine.Known(l.Guard)
				mine := waivable || l.Guard == planSigned && v.Loss != nil && v.Loss.Signed ||
					v.Loss != nil && slices.ContainsFunc(v.Loss.Hands, func(h Hand) bool { return h.Guard == l.Guard && h.Other == "" && h.Person == who.ID })
				if mine && mayAlone(l.Guard) && !slices.Contains(out, l.Guard) {
					out = append(out, l.Guard)
				}
			}
		}
	}
	return out
}

const (
	soloOf       = `SELECT id, paged, answered, passed FROM incident_solo WHERE case_id = $1 AND round = $2 AND guard = $3 AND object = $4 AND person = $5`
	insertSolo   = `INSERT INTO incident_solo (id, case_id, round, guard, object, person, reason, paged, answered, answerer, passed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL, '', NULL)`
	askAgain     = `UPDATE incident_solo SET paged = $2, answered = NULL, answerer = '' WHERE id = $1 AND passed IS NULL`
	passSolo     = `UPDATE incident_solo SET passed = $2 WHERE id = $1 AND answered IS NULL AND passed IS NULL`
	answerSolo   = `UPDATE incident_solo SET answered = $3, answerer = $2 WHERE case_id = $1 AND person <> $2 AND answered IS NULL AND passed IS NULL`
	countSolo    = `SELECT COUNT(*) FROM incident_solo WHERE case_id = $1 AND round = $2 AND guard = $3 AND object = $4 AND person = $5 AND passed IS NOT NULL`
	soloWaived   = `SELECT guard FROM incident_solo WHERE case_id = $1 AND round = $2 AND object = '' AND passed > $3`
	solosOf      = `SELECT id, guard, person, paged, answerer, passed, reason FROM incident_solo WHERE case_id = $1 AND round = $2 ORDER BY paged, id`
	unsignedHand = `SELECT id FROM incident_hand WHERE case_id = $1 AND round = $2 AND guard = $3 AND person = $4 AND other = '' ORDER BY at DESC, id DESC LIMIT 1`
)
