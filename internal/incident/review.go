package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Action is what follows from a root cause.
type Action struct {
	ID       string
	Cause    int    // number of the root cause, from 1
	Prevents bool   // the next one; else it only finds or mends it sooner
	Owner    string // reference of a member of staff; an id once it is kept
	Name     string
	Due      time.Time
	Done     time.Time
	What     string
}

// Review is what was learned.
type Review struct {
	Round    int64
	Author   string
	Name     string
	At       time.Time
	Hash     string
	Text     string
	Causes   []string
	Actions  []Action
	Approved []string // names

	causes int64
	box    []byte
}

// NewReview is a review as somebody writes it.
type NewReview struct {
	Text    string
	Causes  []string
	Actions []Action
}

// body is what is sealed of a review.
type body struct {
	Text   string   `json:"text"`
	Causes []string `json:"causes"`
}

// Learn writes the review, or writes it anew: then what was approved of the former one is void.
func (s *Service) Learn(ctx context.Context, who actor.Actor, ref string, in NewReview) (Case, error) { // clause: inc.learn
	if err := s.checkReview(ctx, &in); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	raw, err := json.Marshal(body{in.Text, in.Causes})
	if err != nil {
		return Case{}, fmt.Errorf("encode review: %w", err)
	}
	box, err := s.seal(ctx, c.ID, "incident_review.box", c.ID, string(raw))
	if err != nil {
		return Case{}, err
	}
	parts := []string{string(raw)}
	ids, boxes := make([]string, len(in.Actions)), make([][]byte, len(in.Actions))
	for i, a := range in.Actions {
		ids[i] = s.DB.ID()
		if boxes[i], err = s.seal(ctx, c.ID, "incident_action.box", ids[i], a.What); err != nil {
			return Case{}, err
		}
		parts = append(parts, strconv.Itoa(a.Cause), strconv.FormatBool(a.Prevents), a.Owner, a.Due.UTC().Format(time.RFC3339), a.What)
	}
	return s.act(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if at := c.States[engine.L]; at != "L4" && at != "L5" {
			return nil, kept(*c, engine.L, "write-review", nil)
		}
		hash := digest(append([]string{strconv.FormatInt(c.Round, 10)}, parts...)...)
		if _, err := tx.Exec(ctx, putReview, c.ID, c.Round, by(who), us(tx.Now()), int64(len(in.Causes)), hash, box); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, dropActions, c.ID); err != nil {
			return nil, err
		}
		for i, a := range in.Actions {
			if _, err := tx.Exec(ctx, insertAction, ids[i], c.ID, int64(a.Cause), a.Prevents, a.Owner, us(a.Due), boxes[i]); err != nil {
				return nil, err
			}
		}
		return ReviewWritten{Incident: c.ID, Round: c.Round, Hash: hash, Causes: int64(len(in.Causes)), Actions: int64(len(in.Actions))}, nil
	})
}

func (s *Service) checkReview(ctx context.Context, in *NewReview) error {
	bad := func(name, format string, a ...any) error {
		says := fmt.Sprintf(format, a...)
		return fault.New(fault.Invalid, "review_"+name, fault.Public{Problem: says, Fields: []fault.Field{{Name: name, Code: "review_" + name, Problem: says}}})
	}
	in.Text = strings.TrimSpace(in.Text)
	if n := utf8.RuneCountInString(in.Text); n < 20 || len(in.Text) > 60<<10 || !utf8.ValidString(in.Text) {
		return bad("text", "Tell in 20 characters or more what happened and what was learned; at most 60 KiB.")
	}
	if len(in.Causes) == 0 || len(in.Causes) > 20 || len(in.Actions) > 100 {
		return bad("causes", "Name 1 to 20 root causes, and at most 100 actions.")
	}
	for i, cause := range in.Causes {
		if in.Causes[i] = strings.TrimSpace(cause); in.Causes[i] == "" || len(cause) > 1000 || !utf8.ValidString(cause) {
			return bad("causes", "Root cause %d is empty or too long.", i+1)
		}
	}
	for i := range in.Actions {
		a := &in.Actions[i]
		a.What = strings.TrimSpace(a.What)
		if a.What == "" || len(a.What) > 1000 || a.Cause < 1 || a.Cause > len(in.Causes) || a.Due.Before(s.Now()) || a.Due.After(s.Now().AddDate(2, 0, 0)) {
			return bad("actions", "Action %d needs words, one of the root causes, and a date within the next two years.", i+1)
		}
		p, err := s.staff(ctx, a.Owner)
		if err != nil {
			return bad("actions", "Action %d has no owner who is a member of staff.", i+1)
		}
		a.Owner = p.ID
	}
	return nil
}

// Approve says yes to a thing as it stands: the review, or a text that holds what usually is
// not public. hash may be the beginning of it. Whoever wrote it does not approve it; the
// operator approves nothing.
func (s *Service) Approve(ctx context.Context, who actor.Actor, ref, object, hash string) (Case, error) {
	if who.Kind != actor.Person || who.ByToken() {
		return Case{}, fault.New(fault.Denied, "no_person", fault.Public{Problem: "Only a person who is signed in approves.", Next: "Sign in: --as ADDRESS"})
	}
	if object != objectReview && object != objectText && object != objectPlan && object != objectFix {
		return Case{}, fault.New(fault.NotFound, "object_unknown", fault.Public{Problem: fmt.Sprintf("There is nothing called %q to approve.", object), Expected: "review, text, plan, or fix by its second reviewer; the first one takes its step."})
	}
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Case{}, err
	}
	if object == objectPlan {
		return s.SignPlan(ctx, who, ref, hash)
	}
	return s.change(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if object == objectFix {
			return s.reviewFix(ctx, tx, who, c, hash)
		}
		if object == objectReview {
			x, err := readReview(ctx, tx, c.ID)
			if errors.Is(err, fault.NotFound) {
				return nil, fault.Newf(fault.NotFound, "no_review", "There is no review yet.")
			}
			if err != nil {
				return nil, err
			}
			if x.Author == who.ID {
				return nil, kept(*c, engine.L, "approve-review", []engine.Lack{{Guard: "other-person", Words: "Whoever wrote the review does not approve it.", Who: "anybody else who may act in incidents"}})
			}
			if hash != "" && !strings.HasPrefix(x.Hash, hash) {
				return nil, fault.New(fault.Conflict, "approval_void", fault.Public{Problem: "The review has changed since you read it.", Expected: "The one with the hash " + x.Hash[:12] + ".", Next: "Read it again."})
			}
			hash = x.Hash
		}
		if len(hash) != 64 {
			return nil, fault.Newf(fault.Invalid, "hash", "Name the whole hash of what you approve.")
		}
		n, err := tx.Exec(ctx, insertApproval, c.ID, tx.ID(), object, hash, who.ID, us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Newf(fault.Conflict, "approved", "You have approved this already.")
		}
		return Approved{Incident: c.ID, Round: c.Round, Object: object, Hash: hash, Person: who.ID}, err
	})
}

// approvals counts who has approved a thing as it is.
func (s *Service) approvals(ctx context.Context, r ledger.Reader, id, object, hash string) (n int, err error) {
	err = r.Each(ctx, approvedBy, func(scan ledger.Scan) error {
		n++
		return scan(new(string))
	}, id, object, hash)
	return n, err
}

// Done marks an action as done.
func (s *Service) Done(ctx context.Context, who actor.Actor, ref, action string) (Case, error) {
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		n, err := tx.Exec(ctx, finishAction, action, c.ID, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.NotFound, "action_unknown", "There is no such action that is open.")
		}
		return ActionDone{Incident: c.ID, Action: action}, err
	})
}

func readReview(ctx context.Context, r ledger.Reader, id string) (Review, error) {
	var x Review
	var written int64
	err := ledger.One(ctx, r, reviewOf, []any{&x.Round, &x.Author, &written, &x.causes, &x.Hash, &x.box}, id)
	x.At = at(written)
	return x, err
}

// review is what was learned with its words; the zero Review when nothing is written.
func (s *Service) review(ctx context.Context, id string) (Review, error) {
	x, err := readReview(ctx, s.DB, id)
	if errors.Is(err, fault.NotFound) {
		return Review{}, nil
	}
	if err != nil {
		return Review{}, fmt.Errorf("read the review: %w", err)
	}
	raw, err := s.open(ctx, "incident_review.box", id, x.box)
	if err != nil {
		return Review{}, err
	}
	var b body
	if err := json.Unmarshal([]byte(raw), &b); err != nil {
		b.Text = raw // erased
	}
	x.Text, x.Causes, x.Name = b.Text, b.Causes, s.name(ctx, x.Author)
	var boxes [][]byte
	if err := s.DB.Each(ctx, actionsOf, func(scan ledger.Scan) error {
		var a Action
		var due int64
		var done *int64
		var box []byte
		err := scan(&a.ID, &a.Cause, &a.Prevents, &a.Owner, &due, &done, &box)
		a.Due, a.Done = at(due), when(done)
		x.Actions, boxes = append(x.Actions, a), append(boxes, box)
		return err
	}, id); err != nil {
		return Review{}, fmt.Errorf("read actions: %w", err)
	}
	for i := range x.Actions {
		a := &x.Actions[i]
		a.Name = s.name(ctx, a.Owner)
		if a.What, err = s.open(ctx, "incident_action.box", a.ID, boxes[i]); err != nil {
			return Review{}, err
		}
	}
	err = s.DB.Each(ctx, approvedBy, func(scan ledger.Scan) error {
		var p string
		err := scan(&p)
		x.Approved = append(x.Approved, p)
		return err
	}, id, objectReview, x.Hash)
	for i := range x.Approved {
		x.Approved[i] = s.name(ctx, x.Approved[i])
	}
	return x, err
}

const (
	putReview = `INSERT INTO incident_review (case_id, round, author, at, causes, hash, box) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (case_id) DO UPDATE SET round = excluded.round, author = excluded.author, at = excluded.at, causes = excluded.causes, hash = excluded.hash, box = excluded.box`
	reviewOf       = `SELECT round, author, at, causes, hash, box FROM incident_review WHERE case_id = $1`
	dropActions    = `DELETE FROM incident_action WHERE case_id = $1 AND done IS NULL`
	insertAction   = `INSERT INTO incident_action (id, case_id, cause, prevent, owner, due, done, box) VALUES ($1, $2, $3, $4, $5, $6, NULL, $7)`
	actionsOf      = `SELECT id, cause, prevent, owner, due, done, box FROM incident_action WHERE case_id = $1 ORDER BY cause, due, id`
	finishAction   = `UPDATE incident_action SET done = $3 WHERE id = $1 AND case_id = $2 AND done IS NULL`
	coverage       = `SELECT COUNT(DISTINCT cause) FROM incident_action WHERE case_id = $1 AND prevent AND owner <> '' AND cause <= $2`
	approvedBy     = `SELECT person FROM incident_approval WHERE case_id = $1 AND object = $2 AND hash = $3 ORDER BY at, id`
	insertApproval = `INSERT INTO incident_approval (id, case_id, object, hash, person, at) VALUES ($2, $1, $3, $4, $5, $6) ON CONFLICT (case_id, object, hash, person) DO NOTHING`
)
