package keyring

import (
	"context"
	"fmt"
	"strings"
	"time"

	"writ/internal/envelope"
)

// A KEK is replaced in steps that each commit by themselves, and that any node may
// take in any order with others:
//
//	Rotate    a new KEK seals from now on; boxes of former ones still open
//	Rewrap    500 boxes at a time move under the newest KEK; data stays as it is
//	          a KEK without users is retired in the batch that took the last one
//	Destroy   a KEK retired for long enough is destroyed, as a subject's key is
//
// Whatever is sealed is sealed under the KEK that the database calls the newest at that
// moment, so that no node brings a former one back into use.

// KEK is a key-encryption key as people see it.
type KEK struct {
	ID        string
	Version   int
	Made      time.Time
	Retired   time.Time // when its last user moved to another one; zero while it is in use
	Destroyed time.Time
	Users     int // data keys and named secrets that are sealed under it
}

// Rotate makes a new KEK, under which everything is sealed from now on. It gives
// fault.Conflict (keys_two_roots) while the root key is being replaced.
func (r *Ring) Rotate(ctx context.Context) (KEK, error) { // clause: crypto.key-rotation
	if err := r.open(); err != nil {
		return KEK{}, err
	}
	now := r.now()
	fresh, b, err := freshKey(now)
	if err != nil {
		return KEK{}, err
	}
	defer b.Wipe()
	made := KEK{ID: fresh.ID(), Made: now.UTC()}
	err = r.store.write(ctx, func(q querier) error {
		if err := r.learn(ctx, q); err != nil { // with a root that opens nothing any more, nothing new is sealed
			return err
		}
		var roots int
		if _, err := q.one(ctx, countRoots, []any{&roots}); err != nil {
			return err
		}
		if roots > 1 {
			return errTwoRoots()
		}
		if _, err := q.one(ctx, `SELECT max(version) + 1 FROM keyring_kek`, []any{&made.Version}); err != nil {
			return err
		}
		if err := insertPrimary(ctx, q, r.rootKey(), made.ID, made.Version, b, now); err != nil {
			return err
		}
		return r.at("made")
	})
	if err != nil {
		return KEK{}, fmt.Errorf("replace the key-encryption key: %w", err)
	}
	return made, r.at("made and kept")
}

// KEKs lists all that ever were, the oldest first.
func (r *Ring) KEKs(ctx context.Context) ([]KEK, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	var all []KEK
	err := r.store.read().each(ctx, listKEKs, func(scan func(...any) error) error {
		var k KEK
		var made, retired, destroyed int64
		err := scan(&k.ID, &k.Version, &made, &retired, &destroyed, &k.Users)
		k.Made, k.Retired, k.Destroyed = micros(made), micros(retired), micros(destroyed)
		all = append(all, k)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list the key-encryption keys: %w", err)
	}
	return all, nil
}

// wrapBatch is how many boxes move in one transaction.
const wrapBatch = 500

// Rewrap moves at most so many boxes under the newest KEK and reports how many moved
// and which KEKs were retired because nothing is sealed under them any more. It may be
// stopped at any time and goes on where it was; several nodes may do it at once.
func (r *Ring) Rewrap(ctx context.Context, most int) (moved int, retired []KEK, err error) { // clause: crypto.key-rotation
	if err := r.open(); err != nil {
		return 0, nil, err
	}
	for moved < most {
		var n int
		err := r.store.write(ctx, func(q querier) error {
			kek, err := r.sealer(ctx, q)
			if err != nil {
				return err
			}
			if n, err = r.rewrapKeys(ctx, q, kek, min(wrapBatch, most-moved)); err != nil {
				return err
			}
			if n == 0 {
				if n, err = r.rewrapNamed(ctx, q, kek); err != nil {
					return err
				}
			}
			if n == 0 {
				retired, err = retire(ctx, q, kek.ID(), r.now())
			}
			if err != nil {
				return err
			}
			return r.at("moved")
		})
		if err != nil {
			return moved, nil, fmt.Errorf("move keys under the newest key-encryption key: %w", err)
		}
		if err := r.at("moved and kept"); err != nil {
			return moved, nil, err
		}
		if moved += n; n == 0 {
			break
		}
	}
	return moved, retired, nil
}

// rewrapKeys moves a batch of data keys. The bytes of a key are in memory for as long
// as it takes to seal them again.
func (r *Ring) rewrapKeys(ctx context.Context, q querier, kek envelope.Key, most int) (int, error) {
	const columns = 7
	var former []string
	err := q.each(ctx, `SELECT id FROM keyring_kek WHERE id <> $1 AND destroyed = 0`, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		former = append(former, id)
		return err
	}, kek.ID())
	if err != nil {
		return 0, err
	}
	var args []any
	for _, id := range former { // one by one: each is a walk along the index
		err := q.each(ctx, selectWrapped, func(scan func(...any) error) error {
			var row keyRow
			var kind string
			var created int64
			err := scan(&row.id, &kind, &row.mark, &row.version, &row.box, &created)
			args = append(args, row.id, kind, row.mark, row.version, kek.ID(), row.box, created)
			return err
		}, id, most-len(args)/columns)
		if err != nil {
			return 0, err
		}
	}
	if len(args) == 0 {
		return 0, nil
	}
	var text strings.Builder
	text.WriteString(rewrapHead)
	for i := 0; i < len(args); i += columns {
		place := keyPlace(args[i+2].(string), args[i].(string), args[i+3].(int))
		if args[i+5], err = r.move(ctx, q, kek, args[i+5].([]byte), place); err != nil {
			return 0, err
		}
		if i > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "($%d, $%d, $%d, $%d, $%d, $%d, $%d)", i+1, i+2, i+3, i+4, i+5, i+6, i+7)
	}
	text.WriteString(rewrapTail)
	_, err = q.exec(ctx, text.String(), args...)
	return len(args) / columns, err
}

// rewrapNamed moves the named secrets: there are few.
func (r *Ring) rewrapNamed(ctx context.Context, q querier, kek envelope.Key) (int, error) {
	boxes := map[string][]byte{}
	err := q.each(ctx, `SELECT name, box FROM keyring_named WHERE kek <> $1`, func(scan func(...any) error) error {
		var name string
		var box []byte
		err := scan(&name, &box)
		boxes[name] = box
		return err
	}, kek.ID())
	if err != nil {
		return 0, err
	}
	for name, box := range boxes {
		if box, err = r.move(ctx, q, kek, box, namedPlace(name)); err != nil {
			return 0, err
		}
		if _, err := q.exec(ctx, `UPDATE keyring_named SET kek = $2, box = $3 WHERE name = $1`, name, kek.ID(), box); err != nil {
			return 0, err
		}
	}
	return len(boxes), nil
}

func (r *Ring) move(ctx context.Context, q querier, kek envelope.Key, box []byte, place envelope.AAD) ([]byte, error) {
	b, err := r.openBox(ctx, q, box, place)
	if err != nil {
		return nil, err
	}
	defer b.Wipe()
	return kek.Seal(b.Reveal(), place), nil
}

// retire marks the KEKs that nothing is sealed under; newest stays.
func retire(ctx context.Context, q querier, newest string, now time.Time) ([]KEK, error) {
	var out []KEK
	err := q.each(ctx, selectIdle, func(scan func(...any) error) error {
		var k KEK
		var made int64
		err := scan(&k.ID, &k.Version, &made)
		k.Made, k.Retired = micros(made), now.UTC()
		out = append(out, k)
		return err
	}, newest)
	if err != nil {
		return nil, err
	}
	for _, k := range out {
		if _, err := q.exec(ctx, `UPDATE keyring_kek SET retired = $2 WHERE id = $1`, k.ID, now.UnixMicro()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// kindKEK is what a tombstone of a KEK is kept under; no subject has this mark.
const kindKEK = "kek"

// Destroy destroys the KEKs that were retired at least so long ago, which is how long
// backups of the keys are kept, and proves it as an erasure does. Before that every
// box is looked at: a column that lies must not cost a key.
func (r *Ring) Destroy(ctx context.Context, horizon time.Duration) ([]KEK, error) { // clause: crypto.key-rotation
	all, err := r.KEKs(ctx)
	if err != nil {
		return nil, err
	}
	var out []KEK
	r.erasing.Lock()
	defer r.erasing.Unlock()
	for _, k := range all {
		if k.Retired.IsZero() || !k.Destroyed.IsZero() || r.now().Sub(k.Retired) < horizon {
			continue
		}
		mark := kindKEK + "/" + k.ID
		if err := r.store.write(ctx, func(q querier) error { return r.condemnKEK(ctx, q, k.ID, mark) }); err != nil {
			return out, fmt.Errorf("destroy a key-encryption key: %w", err)
		}
		if err := r.at("KEK gone"); err != nil {
			return out, err
		}
		r.mu.Lock()
		if old, ok := r.keks[k.ID]; ok {
			old.Wipe()
			delete(r.keks, k.ID)
		}
		r.mu.Unlock()
		e, err := r.complete(context.WithoutCancel(ctx), mark)
		if err != nil {
			return out, fmt.Errorf("destroy a key-encryption key: %w", err)
		}
		k.Destroyed = e.at
		out = append(out, k)
	}
	return out, nil
}

// condemnKEK takes a KEK's boxes away and leaves its tombstone, unless something is
// still sealed under it.
func (r *Ring) condemnKEK(ctx context.Context, q querier, id, mark string) error {
	used := false
	for _, statement := range []string{`SELECT box FROM keyring_key`, `SELECT box FROM keyring_named`} {
		err := q.each(ctx, statement, func(scan func(...any) error) error {
			var box []byte
			err := scan(&box)
			sealer, none := envelope.KeyID(box)
			used = used || none == nil && sealer == id
			return err
		})
		if err != nil {
			return err
		}
	}
	if used {
		return sealed("kek_used", "A key is still sealed under a key-encryption key that was to be destroyed.", "Nothing may be.",
			"Tell the operator: the database of keys was changed; compare it with its backup.", nil)
	}
	var found []byte
	err := q.each(ctx, `SELECT box FROM keyring_root WHERE kek = $1`, func(scan func(...any) error) error {
		var box []byte
		err := scan(&box)
		found = append(found, trace(box)...)
		return err
	}, id)
	if err != nil {
		return err
	}
	now := r.now().UnixMicro()
	for _, s := range []struct {
		text string
		args []any
	}{
		{insertErasure, []any{mark, kindKEK, now, 0}},
		{insertDestroyed, []any{id, mark, found}},
		{`UPDATE keyring_root SET box = $2 WHERE kek = $1`, []any{id, make([]byte, boxSize)}},
		{`DELETE FROM keyring_root WHERE kek = $1`, []any{id}},
		{`UPDATE keyring_kek SET destroyed = $2 WHERE id = $1`, []any{id, now}},
	} {
		if _, err := q.exec(ctx, s.text, s.args...); err != nil {
			return err
		}
	}
	return r.at("KEK condemned")
}

// WrappedBy returns the id of the KEK that a data key is sealed under, as its box says.
func (r *Ring) WrappedBy(ctx context.Context, id string) (string, error) {
	row, err := byID(ctx, r.store.read(), id)
	if err != nil {
		return "", fmt.Errorf("find key %.64q: %w", id, err)
	}
	return envelope.KeyID(row.box)
}

const (
	listKEKs = `SELECT k.id, k.version, k.created, k.retired, k.destroyed,
		(SELECT count(*) FROM keyring_key WHERE kek = k.id) + (SELECT count(*) FROM keyring_named WHERE kek = k.id) FROM keyring_kek AS k ORDER BY k.version`
	selectWrapped = `SELECT id, kind, mark, version, box, created FROM keyring_key WHERE kek = $1 LIMIT $2`
	rewrapHead    = `INSERT INTO keyring_key (id, kind, mark, version, kek, box, created) VALUES `
	rewrapTail    = ` ON CONFLICT (id) DO UPDATE SET kek = excluded.kek, box = excluded.box`
	selectIdle    = `SELECT id, version, created FROM keyring_kek AS k WHERE id <> $1 AND retired = 0
		AND NOT EXISTS (SELECT 1 FROM keyring_key WHERE kek = k.id) AND NOT EXISTS (SELECT 1 FROM keyring_named WHERE kek = k.id)`
)
