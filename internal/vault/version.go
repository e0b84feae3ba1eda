package vault

import (
	"context"
	"fmt"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Versions lists a parameter's versions without their values, the newest first.
func (s *Service) Versions(ctx context.Context, who actor.Actor, name string) ([]Value, error) {
	name, err := s.named(ctx, who, access.VaultList, name)
	if err != nil {
		return nil, err
	}
	p, err := readParam(ctx, s.DB, teamOf(who), name)
	if err != nil {
		return nil, err
	}
	labels, err := labelsOf(ctx, s.DB, p.ID)
	if err != nil {
		return nil, err
	}
	var out []Value
	err = s.DB.Each(ctx, selectVersion+` ORDER BY version DESC LIMIT 1000`, func(scan ledger.Scan) error {
		v := Value{Param: Param{ID: p.ID, Name: name}, Sealed: true}
		var box []byte
		if err := scan(append(v.versionDest(), &box)...); err != nil {
			return err
		}
		v.Labels = labels[v.Version]
		out = append(out, v)
		return nil
	}, p.ID)
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", err)
	}
	return out, nil
}

// Show is one parameter without its value.
func (s *Service) Show(ctx context.Context, who actor.Actor, name string) (Param, error) {
	name, err := s.named(ctx, who, access.VaultList, name)
	if err != nil {
		return Param{}, err
	}
	return readParam(ctx, s.DB, teamOf(who), name)
}

// Rollback writes the value of an earlier version as a new one. Nobody is shown it, so
// whoever may write may go back.
func (s *Service) Rollback(ctx context.Context, who actor.Actor, name string, version int64) (Done, error) {
	name, err := s.named(ctx, who, access.VaultWrite, name)
	if err != nil {
		return Done{}, err
	}
	team := teamOf(who)
	v, err := s.value(ctx, team, Selector{Name: name, Version: max(version, 1)}, Read{Decrypt: true})
	if err != nil {
		return Done{}, err
	}
	k, err := s.Keys.Ensure(ctx, keyFor(team))
	if err != nil {
		return Done{}, fmt.Errorf("roll back parameter: %w", err)
	}
	var done Done
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		p, _, err := takeParam(ctx, tx, team, name, true)
		if err != nil {
			return nil, err
		}
		if p.Version == 0 {
			return nil, errNoParam(name) // deleted in between
		}
		p.Version++
		p.KeyID, p.Tier, p.DataType, p.Pattern, p.Description, p.Lifecycle = v.KeyID, v.Tier, v.DataType, v.Pattern, v.Description, v.Lifecycle
		p.Changed, p.ChangedBy = tx.Now(), who.String()
		done = Done{Version: p.Version, Tier: p.Tier}
		return ParamRolledBack{Param: p.ID, Name: name, From: v.Version, Version: p.Version, Value: v.Text}, p.write(ctx, tx, team, false, k.Seal([]byte(v.Text.Reveal()), valueAt(team, p.ID, p.Version)), v.Origin)
	})
	if err != nil {
		return Done{}, fmt.Errorf("roll back parameter: %w", err)
	}
	return done, nil
}

// Named is a value with its name, of a whole path.
type Named struct {
	Name  string
	Value secret.Text
}

// maxEverything bounds what one program is handed at its start.
const maxEverything = 1000

// Everything reads all values under a path for a program that is about to start: one
// entry names them all.
func (s *Service) Everything(ctx context.Context, who actor.Actor, path, reason string) ([]Named, error) {
	path, err := s.pathed(ctx, who, access.VaultRead, path)
	if err != nil {
		return nil, err
	}
	var vs []Value
	var out []Named
	page := Page{Max: maxPage}
	for {
		ps, next, err := s.find(ctx, teamOf(who), Query{Path: path, Recursive: true}, page)
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			v, err := s.value(ctx, teamOf(who), Selector{Name: p.Name}, Read{Decrypt: true})
			if err != nil {
				return nil, err
			}
			vs, out = append(vs, v), append(out, Named{v.Name, v.Text})
		}
		if page.After = next; next == "" {
			break
		}
		if len(out) > maxEverything {
			return nil, fault.Newf(fault.Limited, "path_wide", "There are more than %d parameters under %s.", maxEverything, path)
		}
	}
	return out, s.seen(ctx, who, Read{Decrypt: true, Reason: reason}, vs...)
}
