package holders

import (
	"context"
	"errors"
	"fmt"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/seal"
)

// tell makes entries of the lines of boot.json, each once, and then takes them out there.
// That the shares of a set were tried is not taken from the list, which whoever writes the
// folder may write: tried is the set that has opened the vault just now, "" = none.
func (s *Service) tell(ctx context.Context, tried string) error {
	b, err := s.File.Read()
	if err != nil || len(b.Log) == 0 {
		return err
	}
	who := actor.System("vault-seal")
	if !b.Whole() {
		if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return LogBroken{Lines: int64(len(b.Log))}, nil }); err != nil {
			return fmt.Errorf("record a broken list: %w", err)
		}
	}
	for _, l := range b.Log {
		if err := s.tellOne(ctx, who, l, tried); err != nil && !errors.Is(err, fault.Conflict) { // an entry already
			return fmt.Errorf("record what happened while sealed: %w", err)
		}
	}
	if b.Lost > 0 {
		if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return LinesLost{Count: int64(b.Lost)}, nil }); err != nil {
			return fmt.Errorf("record what found no room: %w", err)
		}
	}
	return s.File.Taken(b.Log[len(b.Log)-1], b.Lost)
}

func (s *Service) tellOne(ctx context.Context, who actor.Actor, l seal.Line, tried string) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, insertLine, l.Hash, int64(l.N))
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, fault.Newf(fault.Conflict, "line_told", "This line is an entry already.")
		}
		if l.What == seal.WasOpened && l.Set == tried { // the shares made the root, as in a drill
			if _, err := tx.Exec(ctx, drillSet, tried, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		return s.event(ctx, tx, l, seal.Open)
	})
	return err
}

// event is the entry of a line.
func (s *Service) event(ctx context.Context, tx *ledger.Tx, l seal.Line, act string) (ledger.Event, error) {
	holder := ""
	if l.Holder != "" {
		if err := ledger.One(ctx, tx, personOf, []any{&holder}, l.Set, l.Holder); err != nil && !errors.Is(err, fault.NotFound) {
			return nil, err
		}
	}
	happened := l.Time()
	switch l.What {
	case seal.WasSealed:
		return Sealed{Cause: l.Cause, Happened: happened}, nil
	case seal.WasGiven:
		return ShareGiven{Act: act, Set: l.Set, Holder: holder, Key: l.Holder, Given: int64(l.Given), Need: int64(l.Need), Happened: happened}, nil
	case seal.WasRefused:
		return ShareRefused{Act: act, Set: l.Set, Holder: holder, Key: l.Holder, Cause: l.Cause, Happened: happened}, nil
	case seal.WasDropped:
		return SharesDropped{Act: act, Set: l.Set, Given: int64(l.Given), Happened: happened}, nil
	case seal.WasOpened:
		return Unsealed{Set: l.Set, Happened: happened}, nil
	case seal.WasAuto:
		return AutoUnsealed{Provider: l.Cause, Happened: happened}, nil
	}
	return LogBroken{Lines: 1}, nil
}

const (
	insertLine = `INSERT INTO vault_seal_line (hash, n) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`
	personOf   = `SELECT h.person FROM vault_holder_share x JOIN vault_holder h ON h.id = x.holder WHERE x.set_id = $1 AND x.key_id = $2`
)
