package incident

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Hand is something that people did where the server reaches nothing: by whom, and who signed
// that it is so. It answers its guard once it is signed, and is called by hand wherever it shows.
type Hand struct {
	ID, Guard, Act string
	Person, Name   string
	At             time.Time
	Text           string
	Other          string // "" = nobody has signed it yet
	Signed         time.Time
}

// handOf is how the proof of an act is written that people did.
func handOf(act string) string { return "hand:" + act }

// handsAt are all acts of a state that people must do; opening has three.
func (s *Service) handsAt(c Case) (out []string) {
	w := s.world(c)
	m, _ := engine.Of(engine.R)
	for _, st := range m.Steps {
		gate := slices.Contains([]string{gateDown, gateStaff, gateSome, gateAll}, st.Act)
		nobody := gate && w.Gate == nil || !gate && w.Recovery == nil && (st.Act != lostWrites || w.Writes == nil)
		if st.To == c.States[engine.R] && answers[st.Act] != "" && nobody && !slices.Contains(out, st.Act) {
			out = append(out, st.Act)
		}
	}
	return out
}

// RecordHand keeps what somebody did by hand, where the server cannot: it answers the guard
// when somebody else has signed it. Only the recovery operator records. Errors: *Kept,
// fault.Conflict (not_by_hand: the server does this itself), fault.Invalid (hand_text).
func (s *Service) RecordHand(ctx context.Context, who actor.Actor, ref, guard, text string) (Case, error) { // clause: inc.loss-restore
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); n < 10 || len(text) > 4000 || !utf8.ValidString(text) {
		return Case{}, fault.New(fault.Invalid, "hand_text", fault.Public{Problem: "Say what was done, when, and what shows it, in 10 to 4,000 characters.",
			Fields: []fault.Field{{Name: "text", Code: "hand_text", Problem: "Say what was done, when, and what shows it, in 10 to 4,000 characters."}}})
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	id := s.DB.ID()
	box, err := s.seal(ctx, c.ID, "incident_hand.box", id, text)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if st := (engine.Step{Event: "record-by-hand", Role: engine.Recovery}); !s.mayTake(ctx, tx, who, *c, st) {
			return nil, roleLacks(*c, engine.R, st)
		}
		act := ""
		for _, a := range s.handsAt(*c) {
			if answers[a] == guard {
				act = a
			}
		}
		if act == "" {
			return nil, fault.New(fault.Conflict, "not_by_hand", fault.Public{Problem: "This is not recorded by hand now.", Expected: "What the page of the incident says is to be done by hand."})
		}
		hash := digest(text)
		_, err := tx.Exec(ctx, insertHand, id, c.ID, c.Round, act, guard, by(who), us(tx.Now()), hash, box)
		return HandRecorded{Incident: c.ID, Round: c.Round, Guard: guard, Record: id, Hash: hash, Person: by(who)}, err
	})
}

// SignHand is a second person's word that what was recorded by hand is so.
func (s *Service) SignHand(ctx context.Context, who actor.Actor, ref, id string) (Case, error) { // clause: inc.loss-restore
	if who.Kind != actor.Person || who.ByToken() {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only a person who is signed in signs.", Next: "Sign in: --as ADDRESS"})
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Case{}, err
	}
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		return s.signHand(ctx, tx, c, who.ID, id)
	})
}

func (s *Service) signHand(ctx context.Context, tx *ledger.Tx, c *Case, person, id string) (ledger.Event, error) {
	var act, guard, author, hash, other string
	err := ledger.One(ctx, tx, oneHand, []any{&act, &guard, &author, &hash, &other}, id, c.ID, c.Round)
	alone := false
	if err == nil && author == person {
		alone, err = passedAlone(ctx, tx, *c, guard, id, person)
	}
	switch {
	case errors.Is(err, fault.NotFound):
		return nil, fault.Newf(fault.NotFound, "hand_unknown", "There is no such record of this incident.")
	case err != nil:
		return nil, err
	case other != "":
		return nil, fault.Newf(fault.Conflict, "signed", "Somebody has signed this already.")
	case author == person && !alone:
		return nil, kept(*c, engine.R, "sign", []engine.Lack{{Guard: "other-person", Words: "Whoever recorded it does not sign it.", Who: "anybody else who may act in incidents"}})
	case !slices.Contains(s.handsAt(*c), act):
		return nil, kept(*c, engine.R, "sign", nil)
	}
	if act == certify && s.world(*c).Gate != nil { // people saw the database; the gate must have been shut too
		f := engine.Facts{Proved: map[string]bool{}}
		if err := proved(ctx, tx, *c, &f); err != nil {
			return nil, err
		}
		if !f.Proved["gate-quiet"] {
			return nil, kept(*c, engine.R, "sign", []engine.Lack{{Guard: "gate-quiet", Words: "The gate itself has not shown that nothing passes it.", Who: operatorWords}})
		}
	}
	if _, err := tx.Exec(ctx, signHand, id, person, us(tx.Now())); err != nil {
		return nil, err
	}
	says := "Recorded by hand, and signed by a second person."
	if alone {
		says = "Recorded by hand by one person alone: nobody else answered."
	}
	err = prove(ctx, tx, *c, handOf(act), proof{Guard: guard, Good: true, Hash: hash, Says: says})
	if err == nil {
		err = handDone(ctx, tx, *c, act)
	}
	return HandSigned{Incident: c.ID, Round: c.Round, Guard: guard, Record: id, Hash: hash, Person: person}, err
}

const operatorWords = "the recovery operator"

// handDone keeps the times that follow from what people did.
func handDone(ctx context.Context, tx *ledger.Tx, c Case, act string) error {
	now := us(tx.Now())
	var err error
	switch act {
	case gateDown:
		_, err = tx.Exec(ctx, setDown, c.ID, c.Round, now)
		for _, later := range openings {
			if err == nil {
				_, err = tx.Exec(ctx, forgetProof, c.ID, c.Round, later, handOf(later))
			}
		}
	case certify:
		_, err = tx.Exec(ctx, setFrozen, c.ID, c.Round, now)
	case preserve:
		_, err = tx.Exec(ctx, setPreserved, c.ID, c.Round, "by hand")
	case restore:
		_, err = tx.Exec(ctx, setRestored, c.ID, c.Round, now)
	case gateAll:
		_, err = tx.Exec(ctx, setShare, c.ID, c.Round, int64(100), &now)
	}
	return err
}

func (s *Service) hands(ctx context.Context, c Case) ([]Hand, error) {
	var out []Hand
	var boxes [][]byte
	err := s.DB.Each(ctx, handsOf, func(scan ledger.Scan) error {
		var h Hand
		var t int64
		var signed *int64
		var box []byte
		err := scan(&h.ID, &h.Act, &h.Guard, &h.Person, &t, &box, &h.Other, &signed)
		h.At, h.Signed = at(t), when(signed)
		out, boxes = append(out, h), append(boxes, box)
		return err
	}, c.ID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read what was done by hand: %w", err)
	}
	for i := range out {
		if out[i].Text, err = s.open(ctx, "incident_hand.box", out[i].ID, boxes[i]); err != nil {
			return nil, err
		}
		alone := out[i].Other == out[i].Person
		if out[i].Name, out[i].Other = s.name(ctx, out[i].Person), s.name(ctx, out[i].Other); alone {
			out[i].Other += ", alone"
		}
	}
	return out, nil
}

// Guards are those that may be recorded by hand, for the help of a command.
func Guards() []string { return slices.Sorted(maps.Values(answers)) }

const (
	insertHand = `INSERT INTO incident_hand (id, case_id, round, act, guard, person, at, hash, box, other, signed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', NULL)`
	oneHand    = `SELECT act, guard, person, hash, other FROM incident_hand WHERE id = $1 AND case_id = $2 AND round = $3`
	signHand   = `UPDATE incident_hand SET other = $2, signed = $3 WHERE id = $1 AND other = ''`
	handsOf    = `SELECT id, act, guard, person, at, box, other, signed FROM incident_hand WHERE case_id = $1 AND round = $2 ORDER BY at, id`
)
