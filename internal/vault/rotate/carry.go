package rotate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// hold is how long one who works on a rotation has it; each step renews it.
const hold = 2 * time.Minute

// Tend goes on with what is under way, and begins what is due or known to somebody who left.
func (s *Service) Tend(ctx context.Context) error { // clause: crypto.key-rotation
	rs, err := s.rows(ctx, ` WHERE team <> $1 ORDER BY id`, vault.CanaryTeam)
	if err != nil {
		return err
	}
	var errs []error
	for _, r := range rs {
		now := s.Now()
		if r.Again.After(now) || r.State == promoted && r.Until.After(now) || r.State == idle && r.Cause == "" && r.Problem != "" {
			continue
		}
		cause := r.Cause
		if r.State == idle && cause == "" {
			if cause, err = s.wanted(ctx, r, now); err != nil {
				errs = append(errs, err)
				continue
			}
			if cause == "" {
				continue
			}
		}
		if err := s.carry(ctx, r.ID, cause); err != nil && !errors.Is(err, errBusy) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// wanted is why a value that nobody asked for is to be replaced; "" = it is not.
func (s *Service) wanted(ctx context.Context, r row, now time.Time) (string, error) {
	knows, err := s.Vault.LeftWith(ctx, r.team, r.Name)
	switch {
	case err != nil:
		return "", err
	case knows:
		return left, nil
	}
	if !r.Due.After(now) {
		return due, nil
	}
	return "", nil
}

var (
	errBusy = fault.New(fault.Conflict, "rotation_busy", fault.Public{Problem: "This rotation is being worked on.", Next: "Try again in two minutes."})
	errLost = fault.New(fault.Conflict, "rotation_busy", fault.Public{Problem: "Somebody else has gone on with this rotation.", Next: "Look at it again."})
)

// carry takes a rotation as far as it goes now.
func (s *Service) carry(ctx context.Context, id, cause string) error {
	r, err := s.claim(ctx, id)
	if err != nil {
		return err
	}
	defer s.release(ctx, &r)
	if r.Cause == "" && r.State == idle {
		r.Cause = cause
	}
	for {
		more, err := s.next(ctx, &r)
		if err != nil {
			return s.failed(ctx, &r, err)
		}
		if !more {
			return nil
		}
	}
}

// claim takes a rotation that nobody works on, with a turn that no earlier one has.
func (s *Service) claim(ctx context.Context, id string) (row, error) {
	var n int64
	err := s.DB.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) (err error) {
		now := tx.Now()
		// A hold that ends later than any can is of a clock that was set back.
		n, err = tx.Exec(ctx, claimRow, id, us(now), us(now.Add(hold)), us(now.Add(2*hold)))
		return err
	})
	if err != nil {
		return row{}, fmt.Errorf("take a rotation: %w", err)
	}
	if n == 0 {
		return row{}, errBusy
	}
	return s.one(ctx, ` WHERE id = $1`, id)
}

// release gives it back.
func (s *Service) release(ctx context.Context, r *row) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := s.DB.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE vault_rotation SET held = 0 WHERE id = $1 AND turn = $2`, r.ID, r.turn)
		return err
	})
	if err != nil {
		s.Log.Warn("give a rotation back", "rotation", r.ID, "err", err)
	}
}

// next does one step, and says whether there may be another one now.
func (s *Service) next(ctx context.Context, r *row) (bool, error) {
	if err := s.at(r.State + " before"); err != nil {
		return false, err
	}
	switch r.State {
	case idle:
		if r.Cause == "" {
			return false, nil
		}
		return true, s.plan(ctx, r)
	case planned:
		return true, s.create(ctx, r)
	case created:
		return true, s.test(ctx, r)
	case tested:
		return s.store(ctx, r)
	case stored:
		return s.promote(ctx, r)
	case promoted:
		if s.Now().Before(r.Until) {
			return false, nil
		}
		return true, s.revoke(ctx, r)
	case revoked:
		return false, s.verify(ctx, r)
	}
	return false, fmt.Errorf("rotation %s: what is the state %q?", r.ID, r.State)
}

// plan draws the next value and seals it with the one that goes.
func (s *Service) plan(ctx context.Context, r *row) error {
	v, err := s.newest(ctx, r)
	if err != nil {
		return err
	}
	if v.Version == 0 && (r.former > 0 || !r.Done.IsZero()) {
		return stuck("param_gone")
	}
	k, old := s.kind(r.Kind), ""
	if v.Version > 0 {
		if old, err = k.whose(ctx, r, v.Text); err != nil {
			return err
		}
	}
	p, err := k.draw(r, old)
	if err != nil {
		return err
	}
	p.Former = v.Text
	to := *r
	if to.box, err = s.seal(ctx, r, p); err != nil {
		return err
	}
	to.State, to.Slot, to.Fresh, to.Old, to.former, to.Version, to.Begun = planned, other(r, p.ID), p.ID, old, v.Version, 0, s.Now()
	return s.move(ctx, r, to, planned)
}

// other is the slot whose turn it is.
func other(r *row, id string) string {
	if r.Kind == Postgres && id == r.Spec.Roles[0] || r.Kind != Postgres && r.Slot != "a" {
		return "a"
	}
	return "b"
}

// newest is the value that programs read now; version 0 where there is none.
func (s *Service) newest(ctx context.Context, r *row) (vault.Value, error) {
	v, err := s.Vault.Hand(ctx, r.system(), r.Name, "to replace it")
	if errors.Is(err, fault.NotFound) {
		return vault.Value{}, nil
	}
	if err == nil && v.Type != vault.SecureString {
		err = stuck("value_plain")
	}
	return v, err
}

func (s *Service) create(ctx context.Context, r *row) error {
	p, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	in, err := s.kind(r.Kind).create(ctx, r, p)
	if err != nil {
		return err
	}
	to := *r
	to.State = created
	if err := s.move(ctx, r, to, created, in); err != nil {
		return err
	}
	s.kind(r.Kind).settled(ctx, p.ID)
	return nil
}

// test logs in. Where that is refused the next try makes it anew: somebody may have changed it.
func (s *Service) test(ctx context.Context, r *row) error {
	p, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	k := s.kind(r.Kind)
	if err = k.try(ctx, r, p.Value); err == nil {
		err = k.checked(ctx, r, p)
	}
	if _, known := troubleOf(err); known {
		r.State = planned
	}
	if err != nil {
		return err
	}
	to := *r
	to.State = tested
	return s.move(ctx, r, to, tested)
}

// store writes the value as the newest version. The former one stays readable, and works.
func (s *Service) store(ctx context.Context, r *row) (bool, error) {
	p, err := s.open(ctx, r)
	if err != nil {
		return false, err
	}
	if err := s.Vault.CheckDatabase(p.Value); err != nil {
		return false, stuck("value_refused")
	}
	k, err := s.Vault.ValueKey(ctx, r.team)
	if err != nil {
		return false, err
	}
	to := *r
	to.State = stored
	err = s.move(ctx, r, to, stored, func(ctx context.Context, tx *ledger.Tx, to *row) (ev ledger.Event, err error) {
		to.Version, ev, err = s.Vault.WriteNext(ctx, tx, r.system(), r.Name, p.Value, r.former, k)
		return ev, err
	})
	code, _ := fault.PublicOf(err)
	switch {
	case vault.Changed(err):
		return false, s.giveUp(ctx, r, "written_by_hand")
	case code == "type_changed":
		return false, stuck("value_plain")
	case errors.Is(err, fault.Invalid):
		return false, stuck("value_refused")
	}
	return true, err
}

// promote reads what programs read now and logs in with it: from there the grace runs. Where
// it is refused the former value is written again, so that programs have one that works.
func (s *Service) promote(ctx context.Context, r *row) (bool, error) { // clause: crypto.key-rotation
	v, err := s.newest(ctx, r)
	if err != nil {
		return false, err
	}
	if v.Version != r.Version {
		return false, s.giveUp(ctx, r, "written_by_hand")
	}
	err = s.kind(r.Kind).try(ctx, r, v.Text)
	if isTrouble(err, "login_refused") || isTrouble(err, "login_other") {
		return false, errors.Join(s.writeFormer(ctx, r, v.Version), err)
	}
	if err != nil {
		return false, err
	}
	to := *r
	to.State, to.Until = promoted, s.Now().Add(r.Grace)
	if r.Cause == exposed {
		to.Until = s.Now()
	}
	return true, s.move(ctx, r, to, promoted)
}

// writeFormer has programs read the former value again.
func (s *Service) writeFormer(ctx context.Context, r *row, after int64) error {
	to := *r
	to.State, to.former, to.Version = planned, after, 0
	if r.former == 0 {
		return s.move(ctx, r, to, back) // there is no former one
	}
	v, err := s.Vault.HandVersion(ctx, r.system(), r.Name, r.former, "to go back to it")
	if err != nil {
		return err
	}
	k, err := s.Vault.ValueKey(ctx, r.team)
	if err != nil {
		return err
	}
	return s.move(ctx, r, to, back, func(ctx context.Context, tx *ledger.Tx, to *row) (ev ledger.Event, err error) {
		to.former, ev, err = s.Vault.WriteAgain(ctx, tx, r.system(), v, after, k)
		return ev, err
	})
}

// revoke ends the former value at its source. Where somebody went back to it by hand, it is
// the new one that goes, after another grace.
func (s *Service) revoke(ctx context.Context, r *row) error {
	v, err := s.newest(ctx, r)
	if err != nil {
		return err
	}
	k := s.kind(r.Kind)
	if v.Version > 0 && r.Old != "" {
		if id, err := k.whose(ctx, r, v.Text); err == nil && id == r.Old {
			return s.putBack(ctx, r, v)
		} else if err != nil && !isTrouble(err, "value_foreign") {
			return err
		}
	}
	to := *r
	to.State = revoked
	if r.Old == "" {
		return s.move(ctx, r, to, revoked)
	}
	in, err := k.revoke(ctx, r)
	if err != nil {
		return err
	}
	if err := s.move(ctx, r, to, revoked, in); err != nil {
		return err
	}
	k.settled(ctx, r.Old)
	return nil
}

// putBack turns a round around: what was to come goes. It is a failure until a round is whole.
func (s *Service) putBack(ctx context.Context, r *row, v vault.Value) error {
	p, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	to := *r
	if to.box, err = s.seal(ctx, r, pair{ID: r.Old, Value: v.Text, Former: p.Value}); err != nil {
		return err
	}
	to.Cause, to.Fresh, to.Old, to.Version, to.Until = back, r.Old, r.Fresh, v.Version, s.Now().Add(r.Grace)
	return s.move(ctx, r, to, back, func(context.Context, *ledger.Tx, *row) (ledger.Event, error) {
		return RotationFailed{Rotation: r.ID, Name: r.Name, State: r.State, Code: "put_back"}, nil
	})
}

// verify wants the former value refused.
func (s *Service) verify(ctx context.Context, r *row) error { // clause: crypto.key-rotation
	p, err := s.open(ctx, r)
	if err != nil {
		return err
	}
	if r.Old != "" {
		err := s.kind(r.Kind).try(ctx, r, p.Former)
		switch {
		case err == nil, isTrouble(err, "login_other"):
			r.State = promoted // it is ended once more
			return stuck("still_open")
		case !isTrouble(err, "login_refused"):
			return err
		}
	}
	to := *r
	to.State, to.box, to.Cause = idle, nil, ""
	if to.Done = s.Now(); r.Cause == back {
		to.Done = r.Done // nothing was replaced
	}
	return s.move(ctx, r, to, verified)
}

// giveUp ends a round that somebody's own value came between; nothing of theirs is changed.
func (s *Service) giveUp(ctx context.Context, r *row, code string) error {
	to := *r
	to.State, to.box = idle, nil
	if err := s.move(ctx, r, to, "given-up", s.kind(r.Kind).discard(r)); err != nil {
		return err
	}
	s.kind(r.Kind).settled(ctx, r.Fresh)
	return stuck(code)
}

// move records a step together with the state after it, and with what else is done in this
// server's own database.
func (s *Service) move(ctx context.Context, r *row, to row, step string, also ...within) error {
	if err := s.at(step); err != nil {
		return err
	}
	if step == promoted || step == verified { // before, one that comes again is the same one
		to.Problem, to.tries, to.Again = "", 0, time.Time{}
	}
	if r.Cause == back || to.Cause == back {
		to.Problem = "put_back" // until a round is whole again
	}
	var w row
	_, err := s.DB.Change(ctx, r.system(), func(tx *ledger.Tx) (ledger.Event, error) {
		w = to
		w.held = us(tx.Now().Add(hold))
		var events []ledger.Event
		for _, act := range also {
			if act == nil {
				continue
			}
			ev, err := act(ctx, tx, &w)
			if err != nil {
				return nil, err
			}
			if ev != nil {
				events = append(events, ev)
			}
		}
		if err := w.write(ctx, tx); err != nil {
			return nil, err
		}
		for _, ev := range events {
			tx.Also(ev)
		}
		return SecretRotated{Rotation: r.ID, Name: r.Name, Slot: w.Slot, Step: step, Cause: r.Cause, Fresh: w.Fresh, Old: w.Old, Version: w.Version}, nil
	})
	if err != nil {
		return fmt.Errorf("record the step %s: %w", step, err)
	}
	*r = w
	return s.at(step + " after")
}

// write stores what moves of a row, while the turn is one's own.
func (r *row) write(ctx context.Context, tx *ledger.Tx) error {
	box := r.box
	if box == nil {
		box = []byte{}
	}
	n, err := tx.Exec(ctx, updateRow, r.ID, r.turn, r.State, r.Cause, r.Slot, r.Fresh, r.Old, box, r.former, r.Version,
		us(r.Begun), us(r.Until), us(r.Done), r.Problem, r.tries, us(r.Again), r.held)
	if err == nil && n == 0 {
		err = errLost
	}
	return err
}

// failed notes why a rotation stands still: once in the record, and when it is tried again.
// What is no trouble of the rotation itself, such as a ledger that is away, is handed back.
func (s *Service) failed(ctx context.Context, r *row, cause error) error {
	code, known := troubleOf(cause)
	if !known || ctx.Err() != nil {
		return cause
	}
	to, first := *r, r.Problem != code
	to.Problem, to.tries = code, r.tries+1
	to.Again = s.Now().Add(min(time.Minute<<min(r.tries, 10), time.Hour))
	s.Log.Warn("a rotation stands still", "rotation", r.ID, "after", r.State, "code", code)
	var err error
	if first {
		_, err = s.DB.Change(ctx, r.system(), func(tx *ledger.Tx) (ledger.Event, error) {
			return RotationFailed{Rotation: r.ID, Name: r.Name, State: r.State, Code: code}, to.write(ctx, tx)
		})
	} else {
		err = s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error { return to.write(ctx, tx) })
	}
	if err != nil {
		return fmt.Errorf("note why a rotation stands still: %w", err)
	}
	*r = to
	return nil
}

// boxed is a pair as it is sealed.
type boxed struct{ ID, Secret, Value, Former string }

func boxAt(r *row) envelope.AAD {
	return envelope.AAD{Table: "vault_rotation", Column: "box", Team: r.team, Row: r.ID, Version: 1}
}

func (s *Service) seal(ctx context.Context, r *row, p pair) ([]byte, error) { // clause: vault.encrypted-store
	k, err := s.Vault.ValueKey(ctx, r.team)
	if err != nil {
		return nil, fmt.Errorf("seal what a rotation replaces: %w", err)
	}
	plain, err := json.Marshal(boxed{p.ID, p.Secret.Reveal(), p.Value.Reveal(), p.Former.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("write what a rotation replaces: %w", err)
	}
	defer clear(plain)
	return k.Seal(plain, boxAt(r)), nil
}

func (s *Service) open(ctx context.Context, r *row) (pair, error) {
	b, err := keyring.OpenBox(ctx, s.Keys, boxAt(r), r.box)
	if err != nil {
		return pair{}, fmt.Errorf("open what a rotation replaces: %w", err)
	}
	defer b.Wipe()
	var x boxed
	if err := json.Unmarshal(b.Reveal(), &x); err != nil {
		return pair{}, fmt.Errorf("read what a rotation replaces: %w", err)
	}
	return pair{x.ID, secret.NewText(x.Secret), secret.NewText(x.Value), secret.NewText(x.Former)}, nil
}

const (
	claimRow  = `UPDATE vault_rotation SET held = $3, turn = turn + 1 WHERE id = $1 AND (held <= $2 OR held > $4)`
	updateRow = `UPDATE vault_rotation SET state = $3, cause = $4, slot = $5, fresh = $6, old = $7, box = $8, former = $9, version = $10,
		begun = $11, until = $12, done = $13, problem = $14, tries = $15, again = $16, held = $17 WHERE id = $1 AND turn = $2`
)
