package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Run does what parameters want by themselves, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return s.writeFolded(last)
		case <-tick.C:
		}
		if err := errors.Join(s.writeFolded(ctx), s.Tend(ctx), s.dropGrants(ctx)); err != nil && ctx.Err() == nil {
			s.Log.Error("vault housekeeping", "err", err)
		}
	}
}

// Tend deletes parameters whose time is over, unless a legal hold keeps them, and records what else is due.
func (s *Service) Tend(ctx context.Context) error {
	type due struct {
		id, team, name string
		at             int64
	}
	last := due{at: -1}
	for {
		var ds []due
		err := s.DB.Each(ctx, dueParams, func(scan ledger.Scan) error {
			var d due
			err := scan(&d.id, &d.team, textInto{&d.name}, &d.at)
			ds = append(ds, d)
			return err
		}, us(s.Now()), last.at, last.id)
		if err != nil {
			return fmt.Errorf("read what is due: %w", err)
		}
		var errs []error
		for _, d := range ds {
			if err := s.tendOne(ctx, d.team, d.name); err != nil && !errors.Is(err, fault.NotFound) && !IsHeld(err) {
				errs = append(errs, err)
			}
		}
		if len(errs) > 0 || len(ds) < duePage {
			return errors.Join(errs...)
		}
		last = ds[len(ds)-1] // what a hold keeps is due still
	}
}

// tendOne does what is due of one parameter, each in its turn.
func (s *Service) tendOne(ctx context.Context, team, name string) error {
	_, err := s.change(ctx, actor.System("vault"), func(tx *ledger.Tx) (ledger.Event, error) {
		p, err := readParam(ctx, tx.Holding(), team, name)
		if err != nil {
			return nil, err
		}
		var when int64
		if err := ledger.One(ctx, tx, `SELECT COALESCE(due, 0) FROM vault_param WHERE id = $1`, []any{&when}, p.ID); err != nil {
			return nil, err
		}
		if when == 0 || when > us(tx.Now()) { // another node did it, or a new version put it off
			return nil, fault.Newf(fault.NotFound, "not_due", "Nothing is due.")
		}
		if end := ends(p.Lifecycle); !end.IsZero() && !end.After(tx.Now()) {
			if err := s.held(ctx, tx, team); err != nil {
				return nil, err
			}
			return ParamDeleted{Param: p.ID, Name: name, Version: p.Version, Cause: "expired"}, deleteParam(ctx, tx, p.ID)
		}
		ev := ParamReminded{Param: p.ID, Name: name, Version: p.Version}
		for _, l := range p.Lifecycle {
			if l.Type != Expiration && us(l.When(p.Lifecycle, p.Changed)) == when {
				ev.What = append(ev.What, l.Type)
			}
		}
		_, err = tx.Exec(ctx, `UPDATE vault_param SET due = $2 WHERE id = $1`, p.ID, nextDue(p.Lifecycle, p.Changed, at(when)))
		return ev, err
	})
	if err != nil {
		return fmt.Errorf("do what is due of a parameter: %w", err)
	}
	return nil
}

// duePage is how many are read at once.
const duePage = 100

const dueParams = `SELECT id, team, name, due FROM vault_param WHERE due <= $1 AND (due, id) > ($2, $3) ORDER BY due, id LIMIT 100`
