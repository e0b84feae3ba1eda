package keys

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// What was destroyed stands in the ledger as well as beside the keys: a copy of the
// database of keys from before knows nothing of it.
//
//	destroyed ─► Remember (with a certificate at once, else within a minute) ─► vault_destroyed
//	start ─► Replay: what the ledger remembers and the keys do not is destroyed again

// overlap is how far Remember looks back behind the newest it has.
const overlap = time.Hour

// Remember notes in the ledger what was destroyed since, by whomever.
func (s *Service) Remember(ctx context.Context) error {
	var last int64
	if err := ledger.One(ctx, s.DB, `SELECT COALESCE(MAX(at), 0) FROM vault_destroyed`, []any{&last}); err != nil {
		return fmt.Errorf("read what was destroyed last: %w", err)
	}
	all, err := s.Ring.Tombstones(ctx, at(max(last-overlap.Microseconds(), 0)))
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(t keyring.Tombstone) bool { return t.Kind == canaryKind })
	if len(all) == 0 {
		return nil
	}
	known, err := s.remembered(ctx)
	if err != nil {
		return err
	}
	var fresh []keyring.Tombstone
	for _, t := range all {
		if !known[t.Mark] {
			fresh = append(fresh, t)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	_, err = s.DB.Change(ctx, actor.System("vault-keys"), func(tx *ledger.Tx) (ledger.Event, error) {
		for _, t := range fresh {
			if err := rememberOne(ctx, tx, t); err != nil {
				return nil, err
			}
		}
		return ErasuresRemembered{Count: int64(len(fresh)), Marks: marks(fresh)}, nil
	})
	if err != nil {
		return fmt.Errorf("remember what was destroyed: %w", err)
	}
	return nil
}

func rememberOne(ctx context.Context, tx *ledger.Tx, t keyring.Tombstone) error {
	_, err := tx.Exec(ctx, insertGone, t.Mark, t.Kind, idList(t.KeyIDs), us(t.At))
	return err
}

func (s *Service) remembered(ctx context.Context) (map[string]bool, error) {
	all, err := s.memory(ctx)
	known := map[string]bool{}
	for _, t := range all {
		known[t.Mark] = true
	}
	return known, err
}

// memory is all that the ledger remembers.
func (s *Service) memory(ctx context.Context) ([]keyring.Tombstone, error) {
	var all []keyring.Tombstone
	err := s.DB.Each(ctx, `SELECT mark, kind, keys, at FROM vault_destroyed ORDER BY at, mark`, func(scan ledger.Scan) error {
		var t keyring.Tombstone
		var ids string
		var when int64
		err := scan(&t.Mark, &t.Kind, &ids, &when)
		t.KeyIDs, t.At = strings.Fields(ids), at(when)
		all = append(all, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what was destroyed: %w", err)
	}
	return all, nil
}

// Replay destroys again what an old copy of the database of keys has brought back.
func (s *Service) Replay(ctx context.Context) error { // clause: data.crypto-erase
	all, err := s.memory(ctx)
	if err != nil {
		return err
	}
	again, err := s.Ring.Replay(ctx, all)
	if err != nil {
		return fmt.Errorf("destroy again what an old copy of the keys brought back: %w", err)
	}
	if len(again) == 0 {
		return nil
	}
	s.Log.Warn("the database of keys is older than the ledger: what was destroyed since is destroyed again", "subjects", len(again))
	return s.record(ctx, actor.System("vault-keys"), ErasuresReplayed{Count: int64(len(again)), Marks: marks(again)})
}

func marks(all []keyring.Tombstone) []string {
	out := []string{}
	for _, t := range all[:min(len(all), 200)] {
		out = append(out, t.Mark)
	}
	return out
}

const insertGone = `INSERT INTO vault_destroyed (mark, kind, keys, at) VALUES ($1, $2, $3, $4) ON CONFLICT (mark) DO NOTHING`
