package vault

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// MaxMany bounds how many parameters one act writes: they are written together or not at
// all, and the single writer is not held for longer than a moment.
const MaxMany = 100

// ParamsImported are parameters that were written together.
type ParamsImported struct {
	Form  string `class:"public"`
	Count int64  `class:"public"`
}

// About implements ledger.Event.
func (e ParamsImported) About() ledger.About {
	return ledger.About{Name: "vault.params-put", Clause: "vault.secret-home"}
}

// Planned is what a Put of several would do.
type Planned struct {
	Name    string
	Version int64 // that it would write; 1 = a new name
	Err     error // why it would be refused
}

// Plan says what PutMany would do, and writes nothing.
func (s *Service) Plan(ctx context.Context, who actor.Actor, puts []Put) ([]Planned, error) {
	if len(puts) == 0 || len(puts) > MaxMany {
		return nil, fault.Newf(fault.Invalid, "puts_many", "One act writes 1 to %d parameters.", MaxMany)
	}
	out := make([]Planned, len(puts))
	seen := map[string]bool{}
	for i, in := range puts {
		p := &out[i]
		var err error
		if p.Name, err = s.named(ctx, who, access.VaultWrite, in.Name); errors.Is(err, fault.Denied) {
			return nil, err
		}
		if err == nil && seen[p.Name] {
			err = fault.Newf(fault.Invalid, "name_twice", "The name stands twice.")
		}
		if seen[p.Name] = true; err == nil {
			p.Version, err = s.planOne(ctx, teamOf(who), p.Name, in)
		}
		if p.Err = err; err != nil && fault.KindOf(err) != fault.Invalid && fault.KindOf(err) != fault.Conflict {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) planOne(ctx context.Context, team, name string, in Put) (int64, error) {
	p, err := readParam(ctx, s.DB, team, name)
	isNew := errors.Is(err, fault.NotFound)
	switch {
	case isNew:
		p = Param{Name: name, DataType: "text"}
	case err != nil:
		return 0, err
	case !in.Overwrite:
		return 0, fault.New(fault.Conflict, "param_exists", fault.Public{Problem: "It is there already."})
	}
	if err := p.apply(in, isNew, s.ChangeType); err != nil {
		return 0, err
	}
	if err := noPlainHere(ctx, s.DB, team, p); err != nil {
		return 0, err
	}
	return p.Version, errors.Join(s.knownKey(in.KeyID), s.CheckDatabase(in.Value))
}

// PutMany writes several parameters together, or none of them.
func (s *Service) PutMany(ctx context.Context, who actor.Actor, form string, puts []Put) error {
	plan, err := s.Plan(ctx, who, puts)
	if err != nil {
		return err
	}
	for _, p := range plan {
		if p.Err != nil {
			return fmt.Errorf("put %s: %w", p.Name, s.refusedValue(ctx, who, p.Name, p.Err))
		}
	}
	k, err := s.Keys.Ensure(ctx, keyFor(teamOf(who)))
	if err != nil {
		return fmt.Errorf("put parameters: %w", err)
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		for i, in := range puts {
			p, err := s.writeNext(ctx, tx, who, plan[i].Name, in, k)
			if err != nil {
				return nil, err
			}
			tx.Also(ParamPut{Param: p.ID, Name: p.Name, Version: p.Version, Type: string(p.Type), Tier: p.Tier, Key: p.KeyID, Value: in.Value})
		}
		return ParamsImported{Form: form, Count: int64(len(puts))}, nil
	})
	if err != nil {
		return fmt.Errorf("put parameters: %w", err)
	}
	return nil
}
