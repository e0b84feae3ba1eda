package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Difference is what changed between two versions of a parameter, without the values.
type Difference struct {
	Name           string
	From, To       int64
	Same           bool     // the values
	FromLen, ToLen int      // bytes
	Changed        []string // what else: type, key, tier, data type, pattern, description, policies
}

// Diff compares two versions (0 = the newest). It says whether the values are the same, so
// it takes the right to read them, and the comparison is an entry.
func (s *Service) Diff(ctx context.Context, who actor.Actor, name string, from, to int64) (Difference, error) {
	name, err := s.named(ctx, who, access.VaultRead, name)
	if err != nil {
		return Difference{}, err
	}
	if from < 0 || to < 0 {
		return Difference{}, fault.Newf(fault.Invalid, "selector", "A version is a number from 1 on.")
	}
	var vs [2]Value
	for i, n := range []int64{from, to} {
		if vs[i], err = s.value(ctx, teamOf(who), Selector{Name: name, Version: n}, Read{Decrypt: true}); err != nil {
			return Difference{}, err
		}
	}
	d := Difference{Name: name, From: vs[0].Version, To: vs[1].Version, Same: vs[0].Text.Equal(vs[1].Text), FromLen: vs[0].Text.Len(), ToLen: vs[1].Text.Len()}
	for _, f := range []struct {
		what string
		a, b string
	}{{"type", string(vs[0].Type), string(vs[1].Type)}, {"key", vs[0].KeyID, vs[1].KeyID}, {"tier", vs[0].Tier, vs[1].Tier}, {"data type", vs[0].DataType, vs[1].DataType}, {"pattern", vs[0].Pattern, vs[1].Pattern},
		{"description", vs[0].Description, vs[1].Description}, {"policies", lifecycleText(vs[0].Lifecycle), lifecycleText(vs[1].Lifecycle)}} {
		if f.a != f.b {
			d.Changed = append(d.Changed, f.what)
		}
	}
	_, err = s.change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return ParamsCompared{Param: vs[0].ID, Name: name, From: d.From, To: d.To}, nil
	})
	if err != nil {
		return Difference{}, fmt.Errorf("record the comparison: %w", err)
	}
	return d, nil
}

// WentBack is what a rollback of a path did.
type WentBack struct {
	Changed []Returned // they have a new version
	Same    int        // their newest value is that of then
	Newer   []string   // made since; they stay
}

// Returned is one parameter of a path that went back.
type Returned struct {
	Name          string
	From, Version int64 // the version of then, and the new one with its value
}

// back is one parameter that is to go back.
type back struct {
	now Param
	was Value
}

// RollbackPath writes, for each parameter at or below a path, the version that was the
// newest at a time as a new one, all in one change. What was made since stays and is named;
// what was deleted since does not come back.
func (s *Service) RollbackPath(ctx context.Context, who actor.Actor, path string, to time.Time) (WentBack, error) {
	path, err := s.pathed(ctx, who, access.VaultWrite, path)
	if err != nil {
		return WentBack{}, err
	}
	if !to.Before(s.Now()) {
		return WentBack{}, fault.New(fault.Invalid, "time_future", fault.Public{Problem: "That time has not come.", Expected: "A time in the past."})
	}
	var out WentBack
	for range maxAgain {
		out, err = s.rollbackPath(ctx, who, path, to)
		if code, _ := fault.PublicOf(err); err == nil || code != changedCode {
			break
		}
	}
	if err != nil {
		return WentBack{}, fmt.Errorf("roll back a path: %w", err)
	}
	return out, nil
}

func (s *Service) rollbackPath(ctx context.Context, who actor.Actor, path string, to time.Time) (WentBack, error) {
	team := teamOf(who)
	var out WentBack
	todo, err := s.wasThen(ctx, team, path, to, &out)
	if err != nil || len(todo) == 0 {
		return out, err
	}
	k, err := s.Keys.Ensure(ctx, keyFor(team))
	if err != nil {
		return WentBack{}, err
	}
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		ev := PathRolledBack{Path: path, To: to, Count: int64(len(todo))}
		out.Changed = nil
		for _, b := range todo {
			p, isNew, err := takeParam(ctx, tx, team, b.now.Name, true)
			if err != nil {
				return nil, err
			}
			if isNew || p.ID != b.now.ID || p.Version != b.now.Version {
				return nil, errChanged()
			}
			p.copyOf(b.was)
			p.Changed, p.ChangedBy = tx.Now(), who.String()
			if err := noPlainHere(ctx, tx, team, p); err != nil {
				return nil, err
			}
			if err := p.write(ctx, tx, team, false, k.Seal([]byte(b.was.Text.Reveal()), valueAt(team, p.ID, p.Version)), b.was.Origin); err != nil {
				return nil, err
			}
			tx.Also(ParamRolledBack{Param: p.ID, Name: p.Name, From: b.was.Version, Version: p.Version, Value: b.was.Text})
			out.Changed = append(out.Changed, Returned{p.Name, b.was.Version, p.Version})
		}
		return ev, nil
	})
	return out, err
}

// copyOf makes p the next version, with all that an earlier one had.
func (p *Param) copyOf(v Value) {
	p.Version++
	p.Type, p.KeyID, p.Tier, p.DataType, p.Pattern, p.Description, p.Lifecycle = v.Type, v.KeyID, v.Tier, v.DataType, v.Pattern, v.Description, v.Lifecycle
}

// wasThen finds what has changed since a time, with what it was then.
func (s *Service) wasThen(ctx context.Context, team, path string, to time.Time, out *WentBack) ([]back, error) {
	ps, err := s.everyBelow(ctx, team, path)
	if err != nil {
		return nil, err
	}
	var todo []back
	for _, p := range ps {
		var n int64
		switch err := ledger.One(ctx, s.DB, versionAt, []any{&n}, p.ID, us(to)); {
		case errors.Is(err, fault.NotFound):
			if !p.Made.After(to) {
				return nil, fault.Newf(fault.Conflict, "version_dropped", "The version of %s that was the newest then is not kept any more.", p.Name)
			}
			out.Newer = append(out.Newer, p.Name)
			continue
		case err != nil:
			return nil, err
		}
		if n == p.Version {
			out.Same++
			continue
		}
		now, err := s.value(ctx, team, Selector{Name: p.Name, Version: p.Version}, Read{Decrypt: true})
		if err != nil {
			return nil, err
		}
		was, err := s.value(ctx, team, Selector{Name: p.Name, Version: n}, Read{Decrypt: true})
		if err != nil {
			return nil, err
		}
		if was.Text.Equal(now.Text) && was.sameShape(now) {
			out.Same++
			continue
		}
		todo = append(todo, back{p, was})
	}
	return todo, nil
}

func (v Value) sameShape(o Value) bool {
	return v.Type == o.Type && v.KeyID == o.KeyID && v.Tier == o.Tier && v.DataType == o.DataType && v.Pattern == o.Pattern && v.Description == o.Description && slices.Equal(v.Lifecycle, o.Lifecycle)
}

// everyBelow lists the parameters at and below a path, as many as one program is handed.
func (s *Service) everyBelow(ctx context.Context, team, path string) ([]Param, error) {
	var out []Param
	if path != "/" {
		switch p, err := readParam(ctx, s.DB, team, path); {
		case err == nil:
			out = append(out, p)
		case !errors.Is(err, fault.NotFound):
			return nil, err
		}
	}
	for page := (Page{Max: maxPage}); ; {
		ps, next, err := s.find(ctx, team, Query{Path: path, Recursive: true}, page)
		if err != nil {
			return nil, err
		}
		if out = append(out, ps...); len(out) > maxEverything {
			return nil, fault.Newf(fault.Limited, "path_wide", "There are more than %d parameters under %s.", maxEverything, path)
		}
		if page.After = next; next == "" {
			return out, nil
		}
	}
}

const versionAt = `SELECT version FROM vault_version WHERE param = $1 AND changed <= $2 ORDER BY version DESC LIMIT 1`
