package holders

import (
	"context"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/seal"
	"writ/internal/secret"
)

// How long a drill may go on, and how long it is seen that it is done.
const (
	drillLife = time.Hour
	shownLife = time.Minute
)

// drilling is the gate of the drill that is on; nil = none.
func (s *Service) drilling() *seal.Gate {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drill
}

// Gate is where the shares of the drill that is on are given; nil = none is.
func (s *Service) Gate() *seal.Gate { return s.drilling() }

func (s *Service) stopDrill() { s.swapDrill(nil, time.Time{}) }

// swapDrill puts a gate in the place of the one there is. That one is closed without the
// lock: a gate holds its own while the last share is recorded, which takes this one.
func (s *Service) swapDrill(g *seal.Gate, ends time.Time) {
	s.mu.Lock()
	old := s.drill
	s.drill, s.drillEnds = g, ends
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// Drill begins one: the holders give their shares as if the vault were sealed. It ends by
// itself.
func (s *Service) Drill(ctx context.Context, who actor.Actor) (seal.State, error) {
	if err := s.Access.Allow(ctx, who, access.VaultHolders, ""); err != nil {
		return seal.State{}, err
	}
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return seal.State{}, err
	}
	if !found {
		return seal.State{}, fault.Newf(fault.NotFound, "no_shares", "No shares are out. Appoint holders first.")
	}
	letters, err := s.drillLetters(ctx)
	if err != nil {
		return seal.State{}, err
	}
	g, err := s.drillGate()
	if err != nil {
		return seal.State{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return DrillBegun{Set: x.ID}, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return seal.State{}, fmt.Errorf("begin a drill: %w", err)
	}
	s.swapDrill(g, s.Now().Add(drillLife))
	return g.State(ctx)
}

func (s *Service) drillGate() (*seal.Gate, error) {
	return seal.NewGate(seal.Deps{File: s.File, Act: seal.Drill, Now: s.Now, Passkeys: s.Passkeys, Fingerprint: s.Fingerprint,
		Note: func(ctx context.Context, l seal.Line) error {
			l.At = us(s.Now())
			_, err := s.DB.Change(ctx, actor.System("vault-seal"), func(tx *ledger.Tx) (ledger.Event, error) { return s.event(ctx, tx, l, seal.Drill) })
			return err
		}, Whole: s.drilled})
}

// drilled records that the shares made the root, and lets go of the roots before it.
func (s *Service) drilled(ctx context.Context, set string, root secret.Bytes) error { // clause: people.no-sole-holder
	if !s.resharing.TryLock() { // to wait would be for ever: who makes a set closes this drill's gate
		return errOver
	}
	defer s.resharing.Unlock()
	b, err := s.File.Read()
	if err != nil {
		return err
	}
	if b.Set == nil || b.Set.ID != set {
		return errOver
	}
	if s.Alone {
		if err := s.Ring.KeepRoot(ctx, root); err != nil {
			return err
		}
	}
	letters, err := s.drilledLetters(ctx)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, actor.System("vault-seal"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, drillSet, set, us(tx.Now()))
		if err == nil && n != 1 {
			err = errOver
		}
		if err != nil {
			return nil, err
		}
		return DrillDone{Set: set}, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return fmt.Errorf("record a drill: %w", err)
	}
	s.mu.Lock()
	s.drillEnds = s.Now().Add(shownLife)
	s.mu.Unlock()
	return nil
}

var errOver = fault.New(fault.Gone, "set_over", fault.Public{Problem: "New shares were made meanwhile, or are being made.", Expected: "A drill of the set in use.", Next: "Begin another drill: writ vault holders drill"})

// tendDrill ends a drill whose time is over.
func (s *Service) tendDrill() {
	s.mu.Lock()
	over := s.drill != nil && !s.Now().Before(s.drillEnds)
	s.mu.Unlock()
	if over {
		s.stopDrill()
	}
}

const drillSet = `UPDATE vault_holder_set SET drilled = $2 WHERE id = $1 AND state = 'live'`
