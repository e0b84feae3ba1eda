package keys

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// askLife is how long a request waits for others.
const askLife = 7 * 24 * time.Hour

// The states of a destruction.
const (
	stAsked    = "asked"
	stIntended = "intended" // enough people agreed; there is no way back
	stDone     = "done"
	stRefused  = "refused"
	stLapsed   = "lapsed"
)

// Shred is a destruction, asked for or done.
type Shred struct {
	ID, Kind string
	Label    string // what is destroyed, as people see it
	Reason   string
	Need     int // people
	Given    int // people so far, with who asked if that is one
	Asked    time.Time
	AskedBy  string // kind/id
	Until    time.Time
	State    string
	Changed  time.Time
	Entry    string // id of the certificate's entry

	subject  keyring.Subject
	evidence string
	reason   []byte
}

// Ask begins a destruction: it names what is to be destroyed, and waits for others. A
// person who asks counts as one of those who are needed, and never as two.
func (s *Service) Ask(ctx context.Context, who actor.Actor, typed, reason string) (Shred, error) {
	if err := s.Access.Allow(ctx, who, access.KeysShred, ""); err != nil {
		return Shred{}, err
	}
	if err := checkReason(reason); err != nil {
		return Shred{}, err
	}
	t, err := s.find(ctx, who, typed)
	if err == nil {
		err = s.endable(t)
	}
	if err == nil {
		err = s.holdsKey(ctx, t)
	}
	if err != nil {
		return Shred{}, err
	}
	x := Shred{ID: s.DB.ID(), Kind: t.subject.Kind, Label: t.label, Reason: reason, Need: s.need(), AskedBy: who.String(), State: stAsked, subject: t.subject}
	if x.reason, err = s.seal(ctx, "vault_shred", x.ID, reason); err != nil {
		return Shred{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := held(ctx, tx, t.name); err != nil {
			return nil, err
		}
		var open int64
		if err := ledger.One(ctx, tx, countOpen, []any{&open}, t.subject.Kind, t.subject.ID); err != nil {
			return nil, err
		}
		if open > 0 {
			return nil, fault.Newf(fault.Conflict, "shred_asked", "The destruction of this has been asked for already.")
		}
		x.Asked = tx.Now()
		if _, err := tx.Exec(ctx, insertShred, x.ID, x.Kind, t.subject.ID, x.Label, int64(x.Need), x.reason, us(tx.Now()), x.AskedBy); err != nil {
			return nil, err
		}
		x.Given = 0
		if who.Kind == actor.Person {
			x.Given = 1
			if _, err := tx.Exec(ctx, insertAgreed, x.ID, who.ID, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		return ShredAsked{Shred: x.ID, Kind: x.Kind, Need: int64(x.Need), Why: reason}, nil
	})
	if errors.Is(err, errHeld) {
		return Shred{}, s.DB.Refuse(ctx, who, ShredRefused{Kind: x.Kind, Cause: "held"}, errHeld)
	}
	if err != nil {
		return Shred{}, fmt.Errorf("ask for a destruction: %w", err)
	}
	x.Until = x.Asked.Add(askLife)
	return x, nil
}

// need is how many people it takes now.
func (s *Service) need() int { return max(2, s.Quorum()) }

// holdsKey refuses what was never sealed, or is destroyed already.
func (s *Service) holdsKey(ctx context.Context, t target) error {
	keys, err := s.Ring.Fingerprints(ctx, t.subject)
	if err == nil && len(keys) == 0 {
		err = fault.New(fault.NotFound, "nothing_sealed", fault.Public{Problem: "There is no key for this: nothing was ever sealed under it, or it is destroyed already.", Next: "Look at the certificates: writ vault shred --list."})
	}
	return err
}

// Agree is another person who wants a destruction. With enough of them it is done, and
// cannot be undone; then the answer is its certificate's state.
func (s *Service) Agree(ctx context.Context, who actor.Actor, id string) (Shred, error) { // clause: data.crypto-erase
	if err := s.Access.Allow(ctx, who, access.KeysAgree, "shred/"+short(id)); err != nil {
		return Shred{}, err
	}
	refused := ShredRefused{Shred: short(id), Cause: "person_needed"}
	if err := s.human(ctx, who, refused); err != nil {
		return Shred{}, err
	}
	x, err := s.shred(ctx, id)
	if err != nil {
		return Shred{}, err
	}
	found, err := s.gather(ctx, x.subject)
	if err != nil {
		return Shred{}, err
	}
	evidence, err := json.Marshal(found)
	if err != nil {
		return Shred{}, fmt.Errorf("write what is there: %w", err)
	}
	gone, err := s.agreedAndGone(ctx, x)
	if err != nil {
		return Shred{}, err
	}
	intended := false
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		intended = false
		if err := held(ctx, tx, nameOf(x.subject)); err != nil {
			return nil, err
		}
		if err := stillAsked(ctx, tx, x); err != nil {
			return nil, err
		}
		for _, p := range gone {
			if _, err := tx.Exec(ctx, `DELETE FROM vault_shred_agreed WHERE shred = $1 AND person = $2`, x.ID, p); err != nil {
				return nil, err
			}
		}
		n, err := tx.Exec(ctx, insertAgreed+` ON CONFLICT (shred, person) DO NOTHING`, x.ID, who.ID, us(tx.Now()))
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, errTwice
		}
		ev := ShredAgreed{Shred: x.ID, Need: int64(max(x.Need, s.need()))}
		if err := ledger.One(ctx, tx, countAgreed, []any{&ev.Given}, x.ID); err != nil {
			return nil, err
		}
		if ev.Given < ev.Need {
			return ev, nil
		}
		intended = true
		tx.Also(ShredIntended{Shred: x.ID, Kind: x.Kind, Pseudonym: found.Pseudonym, Keys: found.ids()})
		_, err = tx.Exec(ctx, intend, x.ID, us(tx.Now()), string(evidence))
		return ev, err
	})
	for cause, no := range map[string]*fault.Error{"held": errHeld, "agreed_already": errTwice} {
		if errors.Is(err, no) {
			refused.Kind, refused.Cause = x.Kind, cause
			return Shred{}, s.DB.Refuse(ctx, who, refused, no)
		}
	}
	if err != nil {
		return Shred{}, fmt.Errorf("agree to a destruction: %w", err)
	}
	if intended {
		// Whoever agreed may go away; what is intended is done.
		if err := s.carry(context.WithoutCancel(ctx), x.ID); err != nil {
			return Shred{}, err
		}
	}
	return s.shred(ctx, id)
}

// agreedAndGone are those who wanted a destruction and may no longer want one.
func (s *Service) agreedAndGone(ctx context.Context, x Shred) (gone []string, err error) {
	wanted, err := s.agreed(ctx, x)
	if err != nil {
		return nil, err
	}
	do := map[string]access.Action{x.AskedBy: access.KeysShred}
	for _, by := range append(wanted, x.AskedBy) {
		person, ok := strings.CutPrefix(by, "person/")
		if !ok {
			continue // a program or the operator asked, and does not count
		}
		may, err := s.Acting(ctx, person, cmp.Or(do[by], access.KeysAgree))
		if err != nil {
			return nil, fmt.Errorf("ask for the rights of who agreed: %w", err)
		}
		if !may {
			gone = append(gone, person)
		}
	}
	return gone, nil
}

var errTwice = fault.New(fault.Conflict, "agreed_already", fault.Public{Problem: "You want this already: who asked, or has agreed, counts once.", Expected: "Another person.", Next: "Ask another owner to agree."})

// stillAsked refuses a request that is over.
func stillAsked(ctx context.Context, tx *ledger.Tx, x Shred) error {
	var state string
	if err := ledger.One(ctx, tx, `SELECT state FROM vault_shred WHERE id = $1`, []any{&state}, x.ID); err != nil {
		return err
	}
	if state != stAsked || tx.Now().Sub(x.Asked) >= askLife {
		return fault.Newf(fault.Conflict, "shred_over", "This request is over: it is %s.", map[string]string{stAsked: "older than a week", stIntended: "being done", stDone: "done", stRefused: "refused", stLapsed: "older than a week"}[state])
	}
	return nil
}

// Refuse ends a request that waits: whoever may agree may, and who asked.
func (s *Service) Refuse(ctx context.Context, who actor.Actor, id string) error {
	x, err := s.shred(ctx, id)
	if who.String() != x.AskedBy || err != nil {
		if no := s.Access.Allow(ctx, who, access.KeysAgree, "shred/"+short(id)); no != nil {
			return no
		}
	}
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, takeTurn); err != nil {
			return nil, err
		}
		if err := stillAsked(ctx, tx, x); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, closeShred, id, stRefused, us(tx.Now()))
		return ShredClosed{Shred: id, State: stRefused}, err
	})
	if err != nil {
		return fmt.Errorf("refuse a destruction: %w", err)
	}
	return nil
}

// Shreds lists destructions, the newest first, at most 200.
func (s *Service) Shreds(ctx context.Context, who actor.Actor) ([]Shred, error) {
	if err := s.Access.Allow(ctx, who, access.KeysRead, ""); err != nil {
		return nil, err
	}
	out, err := s.shreds(ctx, `WHERE x.kind <> $1 ORDER BY x.id DESC LIMIT 200`, canaryKind)
	if err != nil {
		return nil, err
	}
	for i := range out {
		x := &out[i]
		if x.Reason, err = s.unseal(ctx, "vault_shred", x.ID, x.reason); err != nil {
			return nil, err
		}
		if x.State == stAsked && s.Now().Sub(x.Asked) >= askLife {
			x.State = stLapsed
		}
	}
	return out, nil
}

func (s *Service) shred(ctx context.Context, id string) (Shred, error) {
	xs, err := s.shreds(ctx, `WHERE x.id = $1`, id)
	if err == nil && len(xs) == 0 {
		err = fault.Newf(fault.NotFound, "no_shred", "There is no such destruction.")
	}
	if err != nil {
		return Shred{}, err
	}
	return xs[0], nil
}

func (s *Service) shreds(ctx context.Context, where string, args ...any) ([]Shred, error) {
	var out []Shred
	err := s.DB.Each(ctx, selectShred+where, func(scan ledger.Scan) error {
		var x Shred
		var askedAt, changed int64
		err := scan(&x.ID, &x.Kind, &x.subject.ID, &x.Label, &x.Need, &x.reason, &askedAt, &x.AskedBy, &x.State, &changed, &x.evidence, &x.Entry, &x.Given)
		x.subject.Kind, x.Asked, x.Changed = x.Kind, at(askedAt), at(changed)
		x.Until = x.Asked.Add(askLife)
		out = append(out, x)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read destructions: %w", err)
	}
	return out, nil
}

// nameOf is a subject as holds name it.
func nameOf(s keyring.Subject) string {
	if s.Kind == "vault" {
		return "team/" + s.ID
	}
	return s.String()
}

const (
	insertShred = `INSERT INTO vault_shred (id, kind, subject, label, need, reason, asked, asked_by, state, changed, evidence, certificate, entry)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'asked', $7, '', '', '')`
	insertAgreed = `INSERT INTO vault_shred_agreed (shred, person, at) VALUES ($1, $2, $3)`
	countOpen    = `SELECT COUNT(*) FROM vault_shred WHERE kind = $1 AND subject = $2 AND state IN ('asked', 'intended')`
	countAgreed  = `SELECT COUNT(*) FROM vault_shred_agreed WHERE shred = $1`
	intend       = `UPDATE vault_shred SET state = 'intended', changed = $2, evidence = $3 WHERE id = $1`
	closeShred   = `UPDATE vault_shred SET state = $2, changed = $3 WHERE id = $1`
	selectShred  = `SELECT x.id, x.kind, x.subject, x.label, x.need, x.reason, x.asked, x.asked_by, x.state, x.changed, x.evidence, x.entry,
		(SELECT COUNT(*) FROM vault_shred_agreed a WHERE a.shred = x.id) FROM vault_shred x `
)
