package rotate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/vault"
)

// Wish is a rotation that somebody wants.
type Wish struct {
	Name  string
	Kind  string
	Spec  Spec
	Days  int64          // 0 = as said about the name, or by the policy
	Grace *time.Duration // nil = 24 hours
}

// Add has a parameter replaced by itself from now on, in the name of somebody who may write
// it. What is due, or not there yet, is begun at once.
func (s *Service) Add(ctx context.Context, who actor.Actor, in Wish) (Rotation, error) { // clause: crypto.key-rotation
	name, err := s.Vault.Named(ctx, who, access.VaultWrite, in.Name)
	if err != nil {
		return Rotation{}, err
	}
	if who.ByToken() {
		return Rotation{}, fault.New(fault.Denied, "person_needed", fault.Public{Problem: "A program cannot have a value replaced by itself.", Next: "Sign in, or use the server's own account."})
	}
	r := row{team: vault.TeamOf(who), Rotation: Rotation{ID: s.DB.ID(), Name: name, Kind: in.Kind, Spec: in.Spec, Days: in.Days, Grace: usualGrace, MadeBy: who.String(), State: idle}}
	if in.Grace != nil {
		r.Grace = *in.Grace
	}
	switch {
	case in.Kind != Postgres && in.Kind != AccessKey && (in.Kind != ServiceToken || s.Tokens == nil):
		err = fault.New(fault.Invalid, "rotation_kind", fault.Public{Problem: "There is no such kind of rotation.", Expected: Postgres + ", " + AccessKey + " or " + ServiceToken + "."})
	case r.Days < 0 || r.Days > mostDays:
		err = fault.New(fault.Invalid, "rotation_days", fault.Public{Problem: "A value cannot be due after that many days.", Expected: "1 to 3650, or 0 for what is said about the name."})
	case r.Grace < 0 || r.Grace > mostGrace:
		err = fault.New(fault.Invalid, "rotation_grace", fault.Public{Problem: "The former value cannot work for that long or short.", Expected: "0 hours to 30 days."})
	}
	if err == nil {
		err = s.kind(r.Kind).check(ctx, who, &r)
	}
	if err == nil {
		err = s.fits(ctx, &r)
	}
	if err != nil {
		return Rotation{}, unstuck(err)
	}
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		return Rotation{}, fmt.Errorf("write a rotation: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		r.Made = tx.Now()
		var n int64
		if err := ledger.One(ctx, tx, `SELECT COUNT(*) FROM vault_rotation WHERE team = $1`, []any{&n}, r.team); err != nil {
			return nil, err
		}
		if n >= mostTeam {
			return nil, fault.Newf(fault.Limited, "rotations_full", "There are %d rotations already.", mostTeam)
		}
		n, err := tx.Exec(ctx, insertRow, r.ID, r.team, []byte(r.Name), r.Kind, string(spec), r.Days, r.Grace.Microseconds(), us(r.Made), r.MadeBy, []byte{}, r.former)
		if err == nil && n == 0 {
			err = fault.New(fault.Conflict, "rotation_exists", fault.Public{Problem: name + " is replaced by itself already.", Next: "End that rotation first: writ vault rotation end."})
		}
		return RotationAdded{Rotation: r.ID, Name: name, Kind: r.Kind, Days: r.Days, Grace: int64(r.Grace.Hours())}, err
	})
	if err != nil {
		return Rotation{}, fmt.Errorf("add a rotation: %w", err)
	}
	added, err := s.shown(ctx, who, name)
	if err != nil || added.Due.After(s.Now()) {
		return added, err
	}
	if err := s.carry(context.WithoutCancel(ctx), r.ID, due); err != nil && !errors.Is(err, errBusy) {
		return added, err
	}
	return s.shown(ctx, who, name)
}

// fits looks at the value that is there: it must be of a slot, and sealed.
func (s *Service) fits(ctx context.Context, r *row) error {
	v, err := s.newest(ctx, r)
	if r.former = v.Version; err == nil && v.Version > 0 {
		_, err = s.kind(r.Kind).whose(ctx, r, v.Text)
	}
	return err
}

// unstuck makes of a trouble the refusal of a wish: nothing stands still yet.
func unstuck(err error) error {
	if code, known := troubleOf(err); known {
		return fault.New(fault.Invalid, code, troubles[code])
	}
	return err
}

// Rotations lists what is replaced by itself, by name.
func (s *Service) Rotations(ctx context.Context, who actor.Actor) ([]Rotation, error) {
	if err := s.Vault.MayReach(ctx, who, access.VaultList, "param/", vault.PathOf(who)); err != nil {
		return nil, err
	}
	rs, err := s.rows(ctx, ` WHERE team = $1 ORDER BY name`, vault.TeamOf(who))
	var out []Rotation
	for _, r := range rs {
		if vault.Within(r.Name, vault.PathOf(who)) {
			out = append(out, r.Rotation)
		}
	}
	return out, err
}

// Of is the rotation of one name; fault.NotFound where there is none.
func (s *Service) Of(ctx context.Context, who actor.Actor, typed string) (Rotation, error) {
	name, err := s.Vault.Named(ctx, who, access.VaultList, typed)
	if err != nil {
		return Rotation{}, err
	}
	return s.shown(ctx, who, name)
}

func (s *Service) shown(ctx context.Context, who actor.Actor, name string) (Rotation, error) {
	rs, err := s.rows(ctx, ` WHERE team = $1 AND name = $2`, vault.TeamOf(who), []byte(name))
	if err != nil {
		return Rotation{}, err
	}
	if len(rs) == 0 {
		return Rotation{}, errNone(name)
	}
	return rs[0].Rotation, nil
}

func errNone(name string) error {
	return fault.New(fault.NotFound, "rotation_unknown", fault.Public{Problem: name + " is not replaced by itself.", Next: "Set it up: writ vault rotation add."})
}

// Replace replaces a value before it is due. After an exposure the former one is ended without a
// grace, also that of a round that is under way.
func (s *Service) Replace(ctx context.Context, who actor.Actor, typed string, exposure bool) (Rotation, error) {
	name, err := s.Vault.Named(ctx, who, access.VaultWrite, typed)
	if err != nil {
		return Rotation{}, err
	}
	cause := asked
	if exposure {
		cause = exposed
	}
	if err := s.ask(ctx, who, name, cause); err != nil {
		return Rotation{}, err
	}
	return s.shown(ctx, who, name)
}

// ask records the wish and takes it as far as it goes; whoever asked may go away.
func (s *Service) ask(ctx context.Context, who actor.Actor, name, cause string) error {
	r, err := s.shown(ctx, who, name)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		query := askRow
		if cause == exposed {
			query = exposeRow
		}
		n, err := tx.Exec(ctx, query, r.ID, cause, us(tx.Now()), us(tx.Now().Add(2*hold)))
		if err == nil && n == 0 {
			err = errBusy
		}
		return RotationAsked{Rotation: r.ID, Name: name, Cause: cause}, err
	})
	if err != nil {
		return fmt.Errorf("ask for another value: %w", err)
	}
	if err := s.carry(context.WithoutCancel(ctx), r.ID, cause); err != nil && !errors.Is(err, errBusy) {
		return err
	}
	return nil
}

// Known is what became of the secrets that somebody knows.
type Known struct {
	Replaced []string // or begun
	Failed   []string // writ vault rotation list says why
	Left     []string // nothing replaces them by itself
}

// ReplaceKnown replaces what somebody (kind/id) saw and can be: when they leave, or before.
func (s *Service) ReplaceKnown(ctx context.Context, who actor.Actor, whose string) (Known, error) { // clause: crypto.key-rotation
	seen, err := s.Vault.SeenBy(ctx, who, whose)
	if err != nil {
		return Known{}, err
	}
	var out Known
	for _, v := range seen {
		r, err := s.shown(ctx, who, v.Name)
		if errors.Is(err, fault.NotFound) {
			out.Left = append(out.Left, v.Name)
			continue
		}
		if err == nil {
			_, err = s.Vault.Named(ctx, who, access.VaultWrite, v.Name)
		}
		if err == nil && r.State == idle { // else a round is under way
			err = s.ask(ctx, who, v.Name, left)
		}
		if err == nil {
			r, err = s.shown(ctx, who, v.Name)
		}
		switch {
		case err != nil:
			return out, err
		case r.Problem != "" || r.State == idle:
			out.Failed = append(out.Failed, v.Name)
		default:
			out.Replaced = append(out.Replaced, v.Name)
		}
	}
	return out, nil
}

// End has a value replaced by hand again. It is refused while the former value works still
// and is about to be ended, unless that does not come to an end.
func (s *Service) End(ctx context.Context, who actor.Actor, typed string) error {
	name, err := s.Vault.Named(ctx, who, access.VaultWrite, typed)
	if err != nil {
		return err
	}
	shown, err := s.shown(ctx, who, name)
	if err != nil {
		return err
	}
	r, err := s.claim(ctx, shown.ID)
	if err != nil {
		return err
	}
	defer s.release(ctx, &r)
	ev := RotationEnded{Rotation: r.ID, Name: name, State: r.State}
	var in within
	switch r.State {
	case stored, promoted, revoked:
		if ev.Open = r.Old; r.Problem == "" && r.Old != "" {
			return fault.New(fault.Conflict, "rotation_going", fault.Public{Problem: "The former value works still and would stay open.", Expected: "A rotation that is not under way.", Next: "Wait for the end of its grace, or end that now: writ vault rotation now --exposed."})
		}
	case planned, created, tested: // planned may be again, after what was made was not let in
		in = s.kind(r.Kind).discard(&r)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if in != nil {
			also, err := in(ctx, tx, &r)
			if err != nil {
				return nil, err
			}
			if also != nil {
				tx.Also(also)
			}
		}
		n, err := tx.Exec(ctx, `DELETE FROM vault_rotation WHERE id = $1 AND turn = $2`, r.ID, r.turn)
		if err == nil && n == 0 {
			err = errLost
		}
		return ev, err
	})
	if err != nil {
		return fmt.Errorf("end a rotation: %w", err)
	}
	s.kind(r.Kind).settled(ctx, r.Fresh)
	return nil
}

// rows reads rotations as they are stored, and when each is due.
func (s *Service) rows(ctx context.Context, where string, args ...any) ([]row, error) {
	var out []row
	err := s.DB.Each(ctx, selectRow+where, func(scan ledger.Scan) error {
		var r row
		var name, spec []byte
		var grace, made, begun, until, done, again int64
		err := scan(&r.ID, &r.team, &name, &r.Kind, &spec, &r.Days, &grace, &made, &r.MadeBy, &r.State, &r.Cause, &r.Slot, &r.Fresh, &r.Old, &r.box, &r.former, &r.Version,
			&begun, &until, &done, &r.Problem, &r.tries, &again, &r.held, &r.turn)
		if err != nil {
			return err
		}
		r.Name, r.Grace, r.Made, r.Begun, r.Until, r.Done, r.Again = string(name), time.Duration(grace)*time.Microsecond, at(made), at(begun), at(until), at(done), at(again)
		r.Says = troubles[r.Problem]
		out = append(out, r)
		return json.Unmarshal(spec, &out[len(out)-1].Spec)
	}, args...)
	for i := range out {
		if err == nil {
			out[i].Due, err = s.due(ctx, &out[i])
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read rotations: %w", err)
	}
	return out, nil
}

func (s *Service) one(ctx context.Context, where string, args ...any) (row, error) {
	rs, err := s.rows(ctx, where, args...)
	if err == nil && len(rs) == 0 {
		err = fault.Newf(fault.NotFound, "rotation_unknown", "There is no such rotation.")
	}
	if err != nil {
		return row{}, err
	}
	return rs[0], nil
}

// due is when the next round begins: by the rotation, by what is said about the name, and
// never later than the policy wants. A value that is not there yet is due at once.
func (s *Service) due(ctx context.Context, r *row) (time.Time, error) {
	p, about, err := s.Vault.Standing(ctx, r.team, r.Name)
	if err != nil {
		return time.Time{}, err
	}
	every, days := s.Every(), r.Days
	if days == 0 {
		days = about.Rotation
	}
	if days > 0 {
		every = min(every, time.Duration(days)*24*time.Hour)
	}
	switch {
	case r.Kind == AccessKey:
		every = keyPeriod(every, r.Grace)
	case r.Kind == ServiceToken && s.Tokens != nil:
		every = tokenPeriod(every, r.Grace, s.Tokens.Most())
	}
	switch {
	case !r.Done.IsZero():
		return r.Begun.Add(every), nil // when the value was made
	case p.Version > 0:
		return p.Changed.Add(every), nil
	}
	return r.Made, nil
}

const (
	insertRow = `INSERT INTO vault_rotation (id, team, name, kind, spec, days, grace, made, made_by, state, cause, slot, fresh, old, box, former, version, begun, until, done, problem, tries, again, held, turn)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'idle', '', '', '', '', $10, $11, 0, 0, 0, 0, '', 0, 0, 0, 0) ON CONFLICT (team, name) DO NOTHING`
	selectRow = `SELECT id, team, name, kind, spec, days, grace, made, made_by, state, cause, slot, fresh, old, box, former, version, begun, until, done, problem, tries, again, held, turn FROM vault_rotation`
	askRow    = `UPDATE vault_rotation SET cause = CASE WHEN state = 'idle' THEN $2 ELSE cause END, problem = '', tries = 0, again = 0 WHERE id = $1 AND (held <= $3 OR held > $4)`
	exposeRow = `UPDATE vault_rotation SET cause = CASE WHEN cause = 'put-back' THEN cause ELSE $2 END, problem = '', tries = 0, again = 0, until = CASE WHEN state = 'promoted' THEN $3 ELSE until END WHERE id = $1 AND (held <= $3 OR held > $4)`
)
