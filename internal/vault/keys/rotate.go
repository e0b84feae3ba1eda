package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// horizon is how long a retired key is kept: as long as backups of the database of keys may
// be, so that the newest of them still opens.
const horizon = 30 * 24 * time.Hour

// stretch is how many keys move between two entries about it.
const stretch = 20_000

// Why a key is replaced.
const (
	due     = "due"
	asked   = "asked"
	exposed = "exposed"
)

// State is how the keys stand.
type State struct {
	keyring.Status
	KEKs  []keyring.KEK // the oldest first
	Every time.Duration
	Due   time.Time // when the next one is made
	Left  int       // keys that lie under a former one

	Resealing int   // keys of teams that may be known to somebody, whose values are being sealed anew
	Resealed  int64 // values of those so far
}

// Stands tells it, for who may read keys.
func (s *Service) Stands(ctx context.Context, who actor.Actor) (State, error) {
	if err := s.Access.Allow(ctx, who, access.KeysRead, ""); err != nil {
		return State{}, err
	}
	return s.stands(ctx)
}

func (s *Service) stands(ctx context.Context) (State, error) {
	st, err := s.Ring.Status(ctx)
	if err != nil {
		return State{}, fmt.Errorf("look at the keys: %w", err)
	}
	all, err := s.Ring.KEKs(ctx)
	if err != nil {
		return State{}, err
	}
	out := State{Status: st, KEKs: all, Every: s.Rules.Get().Every}
	out.Due = newest(all).Made.Add(out.Every)
	for _, k := range all[:len(all)-1] {
		out.Left += k.Users
	}
	moving, err := s.reseals(ctx, `WHERE state = 'moving'`)
	for _, x := range moving {
		out.Resealing++
		out.Resealed += x.moved
	}
	return out, err
}

func newest(all []keyring.KEK) keyring.KEK { return all[len(all)-1] }

// Rotate makes a new key-encryption key now and moves all keys under it. After an exposure
// the teams' vaults and items get new keys as well: what is written from then on lies under
// them at once, and what was written before is sealed anew in the background.
func (s *Service) Rotate(ctx context.Context, who actor.Actor, after Exposure) (State, error) {
	if err := s.Access.Allow(ctx, who, access.KeysRotate, ""); err != nil {
		return State{}, err
	}
	cause := asked
	if after.Happened {
		cause = exposed
		if err := checkReason(after.Reason); err != nil {
			return State{}, err
		}
	}
	s.rotating.Lock()
	defer s.rotating.Unlock()
	if after.Happened { // first: it is gone on with whatever happens next
		st, err := s.Ring.Status(ctx)
		if err == nil && st.Roots == 1 { // else nothing is replaced now
			err = s.exposed(context.WithoutCancel(ctx), who)
		}
		if err != nil {
			return State{}, err
		}
	}
	if err := s.replace(ctx, who, cause, after.Reason); err != nil {
		return State{}, err
	}
	if err := s.finish(context.WithoutCancel(ctx), who); err != nil {
		return State{}, err
	}
	return s.stands(ctx)
}

// Exposure says whether a key may be known to somebody, and how.
type Exposure struct {
	Happened bool
	Reason   string
}

// Tend is the work by the clock: a new key when the newest is old enough, everything
// under it, and the end of former ones.
func (s *Service) Tend(ctx context.Context) error { // clause: crypto.key-rotation
	s.rotating.Lock()
	defer s.rotating.Unlock()
	who := actor.System("vault-keys")
	if err := s.Ring.Count(ctx); err != nil {
		return err
	}
	all, err := s.Ring.KEKs(ctx)
	if err != nil {
		return err
	}
	// A tenth of the time before it is due: the work must not end on the last day.
	every := s.Rules.Get().Every
	if s.Now().Sub(newest(all).Made) >= every-every/10 {
		err := s.replace(ctx, who, due, "")
		if errors.Is(err, fault.Conflict) { // the root key is being replaced; the next hour comes
			s.Log.Warn("the key-encryption key is due and cannot be replaced yet", "err", err)
		} else if err != nil {
			return err
		}
	}
	return s.finish(ctx, who)
}

// replace makes a key and records it. Should the record fail, the key is there all the
// same, and the next round finds it: the journal says so then.
func (s *Service) replace(ctx context.Context, who actor.Actor, cause, why string) error {
	all, err := s.Ring.KEKs(ctx)
	if err != nil {
		return err
	}
	made, err := s.Ring.Rotate(ctx)
	if err != nil {
		return err
	}
	if err := s.at("rotated"); err != nil {
		return err
	}
	ev := KEKRotated{Key: made.ID, Version: int64(made.Version), Former: newest(all).ID, Cause: cause, Why: why}
	for _, k := range all {
		ev.Users += int64(k.Users)
	}
	return s.record(ctx, who, ev)
}

// finish moves what is left and ends what is over; it goes on where another left off.
func (s *Service) finish(ctx context.Context, who actor.Actor) error {
	for {
		moved, retired, err := s.Ring.Rewrap(ctx, stretch)
		if err != nil {
			return err
		}
		if err := s.at("moved"); err != nil {
			return err
		}
		if moved > 0 {
			st, err := s.stands(ctx)
			if err == nil {
				err = s.record(ctx, who, RewrapProgressed{Key: newest(st.KEKs).ID, Moved: int64(moved), Left: int64(st.Left)})
			}
			if err != nil {
				return err
			}
		}
		for _, k := range retired {
			if err := s.record(ctx, who, KEKRetired{Key: k.ID, Version: int64(k.Version), Ends: k.Retired.Add(horizon)}); err != nil {
				return err
			}
		}
		if moved < stretch {
			break
		}
	}
	gone, err := s.Ring.Destroy(ctx, horizon)
	for _, k := range gone {
		err = errors.Join(err, s.record(ctx, who, KEKDestroyed{Key: k.ID, Version: int64(k.Version)}))
	}
	return err
}

func (s *Service) record(ctx context.Context, who actor.Actor, ev ledger.Event) error {
	if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); err != nil {
		return fmt.Errorf("record %s: %w", ev.About().Name, err)
	}
	return nil
}

// under lists the key-encryption keys that are retired and have users: there must be none.
func under(all []keyring.KEK) int {
	n := 0
	for _, k := range all {
		if !k.Retired.IsZero() || !k.Destroyed.IsZero() {
			n += k.Users
		}
	}
	return n
}

// former are those that are replaced and not retired.
func former(all []keyring.KEK) []keyring.KEK {
	return slices.DeleteFunc(slices.Clone(all[:len(all)-1]), func(k keyring.KEK) bool { return !k.Retired.IsZero() })
}
