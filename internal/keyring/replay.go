package keyring

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"writ/internal/secret"
)

// A backup of keys.db that is put back holds keys that were destroyed since. What was
// destroyed is therefore remembered elsewhere too, and replayed before anything opens.

// Tombstone is a verified erasure as another place may remember it. It names no subject.
type Tombstone struct {
	Mark   string // keys.db's name of the subject
	Kind   string
	KeyIDs []string
	At     time.Time
}

// Tombstones lists the erasures that were verified after the given time, oldest first.
func (r *Ring) Tombstones(ctx context.Context, after time.Time) ([]Tombstone, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	var out []Tombstone
	q := r.store.read()
	err := q.each(ctx, selectTombstones, func(scan func(...any) error) error {
		var t Tombstone
		var at int64
		err := scan(&t.Mark, &t.Kind, &at)
		t.At = micros(at)
		out = append(out, t)
		return err
	}, after.UnixMicro(), kindKEK)
	if err != nil {
		return nil, fmt.Errorf("list erasures: %w", err)
	}
	for i := range out {
		e, _, err := tombstone(ctx, q, out[i].Mark)
		if err != nil {
			return nil, fmt.Errorf("list erasures: %w", err)
		}
		out[i].KeyIDs = e.ids
	}
	return out, nil
}

// Erased is the set of all marks whose keys are destroyed, or about to be.
func (r *Ring) Erased(ctx context.Context) (map[string]bool, error) {
	known := map[string]bool{}
	err := r.store.read().each(ctx, `SELECT mark FROM keyring_erasure`, func(scan func(...any) error) error {
		var mark string
		err := scan(&mark)
		known[mark] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list erasures: %w", err)
	}
	return known, nil
}

// Replay destroys again what was destroyed once and is back, or was never known here,
// and returns which those were. It proves each as Erase does, and may run again.
func (r *Ring) Replay(ctx context.Context, all []Tombstone) ([]Tombstone, error) { // clause: data.crypto-erase
	if err := r.open(); err != nil {
		return nil, err
	}
	known, err := r.Erased(ctx)
	if err != nil {
		return nil, err
	}
	r.erasing.Lock()
	defer r.erasing.Unlock()
	var again []Tombstone
	for _, t := range all {
		if known[t.Mark] {
			continue
		}
		err := r.store.write(ctx, func(q querier) error {
			if _, found, err := tombstone(ctx, q, t.Mark); err != nil || found {
				return err
			}
			if _, err := q.exec(ctx, insertErasure, t.Mark, t.Kind, r.now().UnixMicro(), 0); err != nil {
				return err
			}
			if err := condemn(ctx, q, t.Mark); err != nil {
				return err
			}
			return remember(ctx, q, t)
		})
		r.forget()
		if err == nil {
			_, err = r.complete(context.WithoutCancel(ctx), t.Mark)
		}
		if err != nil {
			return again, fmt.Errorf("replay an erasure: %w", err)
		}
		again = append(again, t)
	}
	return again, nil
}

// remember lists the keys of a tombstone as destroyed, also those that this copy never held.
func remember(ctx context.Context, q querier, t Tombstone) error {
	for _, id := range t.KeyIDs {
		var row keyRow
		if _, err := q.one(ctx, selectByID, []any{&row.id, &row.mark, &row.version, &row.box}, id); err != nil {
			return err
		}
		if _, err := q.exec(ctx, insertRemembered, id, t.Mark, append([]byte{}, trace(row.box)...)); err != nil {
			return err
		}
	}
	return nil
}

// Copy is a ring in memory that holds what this one holds of a subject at this moment,
// as a backup of now would: a control puts it back later. Nothing of it is ever in a file.
func (r *Ring) Copy(ctx context.Context, s Subject) (*Ring, error) {
	if err := errors.Join(s.check(), r.open()); err != nil {
		return nil, err
	}
	c, err := r.inMemory()
	if err != nil {
		return nil, err
	}
	err = c.fillFrom(ctx, r, s)
	if err == nil {
		err = c.unseal(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a copy in memory: %w", err), c.store.close())
	}
	return c, nil
}

// inMemory is a ring of the same root key without tables yet.
func (r *Ring) inMemory() (*Ring, error) {
	db, err := sql.Open("sqlite3", "file:/"+secret.RandomText(16).Reveal()+"?vfs=memdb&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("make a copy in memory: %w", err)
	}
	db.SetMaxOpenConns(1)
	return &Ring{o: r.o, store: &store{db: db, memory: true}, now: r.now, root: r.rootKey(), named: map[string]secret.Bytes{}, meters: map[string]*meter{}, cache: newCache()}, nil
}

// fillFrom copies the rows of a subject, the KEKs and the ring's own secrets.
func (r *Ring) fillFrom(ctx context.Context, from *Ring, s Subject) error {
	q := r.store.read()
	for _, t := range tables {
		if _, err := q.exec(ctx, t); err != nil {
			return err
		}
	}
	for _, c := range []struct {
		read, write string
		args        []any
		columns     int
	}{
		{`SELECT version, id, created, retired, destroyed FROM keyring_kek`, `INSERT INTO keyring_kek (version, id, created, retired, destroyed) VALUES ($1, $2, $3, $4, $5)`, nil, 5},
		{`SELECT kek, root, box FROM keyring_root WHERE root = $1`, `INSERT INTO keyring_root (kek, root, box) VALUES ($1, $2, $3)`, []any{from.rootKey().ID()}, 3},
		{`SELECT name, version, kek, box, created FROM keyring_named WHERE name IN ($1, $2)`, `INSERT INTO keyring_named (name, version, kek, box, created) VALUES ($1, $2, $3, $4, $5)`, []any{nameIndex, namePage}, 5},
		{`SELECT id, kind, mark, version, kek, box, created FROM keyring_key WHERE mark = $1`, `INSERT INTO keyring_key (id, kind, mark, version, kek, box, created) VALUES ($1, $2, $3, $4, $5, $6, $7)`, []any{from.mark(s)}, 7},
	} {
		var rows [][]any
		err := from.store.read().each(ctx, c.read, func(scan func(...any) error) error {
			row, into := make([]any, c.columns), make([]any, c.columns)
			for i := range row {
				into[i] = &row[i]
			}
			err := scan(into...)
			for i, v := range row {
				if b, ok := v.([]byte); ok {
					row[i] = append([]byte(nil), b...)
				}
			}
			rows = append(rows, row)
			return err
		}, c.args...)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if _, err := q.exec(ctx, c.write, row...); err != nil {
				return err
			}
		}
	}
	return nil
}

// Gone reports whether a key that a box names is destroyed here for good: it answers
// nobody, and its row is not there.
func (r *Ring) Gone(ctx context.Context, id string) (bool, error) {
	var row keyRow
	var mark string
	q := r.store.read()
	found, err := q.one(ctx, selectByID, []any{&row.id, &row.mark, &row.version, &row.box}, id)
	if err != nil || found {
		return false, err
	}
	return q.one(ctx, selectDestroyed, []any{&mark}, id)
}

// Pseudonym is what keys.db keeps in place of a subject.
func (r *Ring) Pseudonym(s Subject) string { return r.mark(s) }

// Fingerprints are the first bytes of a SHA-256 of each sealed key of a subject with its
// id: they tell, before an erasure, which boxes it will destroy.
func (r *Ring) Fingerprints(ctx context.Context, s Subject) (map[string]string, error) {
	out := map[string]string{}
	err := r.store.read().each(ctx, selectBoxes, func(scan func(...any) error) error {
		var id string
		var box []byte
		err := scan(&id, &box)
		sum := sha256.Sum256(box)
		out[id] = hex.EncodeToString(sum[:16])
		return err
	}, r.mark(s))
	if err != nil {
		return nil, fmt.Errorf("read the keys of a %s: %w", s.Kind, err)
	}
	return out, nil
}

// Wrapping names the keys above a data key, the nearest first.
func (r *Ring) Wrapping(ctx context.Context, id string) ([]string, error) {
	kek, err := r.WrappedBy(ctx, id)
	if err != nil {
		return nil, err
	}
	return []string{kek, r.rootKey().ID()}, nil
}

const (
	selectTombstones = `SELECT mark, kind, destroyed FROM keyring_erasure WHERE destroyed > $1 AND kind <> $2 ORDER BY destroyed, mark`
	insertRemembered = `INSERT INTO keyring_destroyed (id, mark, traces) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING`
)
