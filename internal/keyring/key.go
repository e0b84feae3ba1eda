package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
)

// Ensure returns the newest key of a subject and makes the first one where there is
// none. Any number of callers, in any number of processes, get the same key. It
// gives fault.Gone when the subject was erased: nothing may be kept about it again.
// Call it before the change that uses the key; a key without data is harmless.
func (r *Ring) Ensure(ctx context.Context, s Subject) (envelope.Key, error) {
	k, err := r.Key(ctx, s)
	if !errors.Is(err, fault.NotFound) {
		return k, err
	}
	r.making.Lock()
	defer r.making.Unlock()
	if k, err = r.Key(ctx, s); !errors.Is(err, fault.NotFound) {
		return k, err
	}
	return r.issue(ctx, s, func(newest int) bool { return newest == 0 })
}

// Renew gives a subject that has a key a new version for what is sealed from now
// on; former versions keep opening what they sealed. Pseudonyms and indexes that
// were made with Key.MAC of a former version change with it. It gives
// fault.NotFound and fault.Gone as Key does.
func (r *Ring) Renew(ctx context.Context, s Subject) (envelope.Key, error) {
	if _, err := r.Key(ctx, s); err != nil {
		return envelope.Key{}, err
	}
	r.making.Lock()
	defer r.making.Unlock()
	return r.issue(ctx, s, func(int) bool { return true })
}

// issue adds the next version of the subject's key if need says so of the newest
// version there is, and returns the newest key then.
func (r *Ring) issue(ctx context.Context, s Subject, need func(newest int) bool) (envelope.Key, error) {
	now, mark := r.now(), r.mark(s)
	fresh, b, err := freshKey(now)
	if err != nil {
		return envelope.Key{}, err
	}
	defer b.Wipe()
	_, _, epoch := recall(r, r.subjects, s)
	var k envelope.Key
	err = r.store.write(ctx, func(q querier) error {
		row, err := newest(ctx, q, mark)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		if !need(row.version) {
			k, err = r.openRow(ctx, q, row)
			return err
		}
		kek, err := r.sealer(ctx, q)
		if err != nil {
			return err
		}
		k = fresh
		box := kek.Seal(b.Reveal(), keyPlace(mark, fresh.ID(), row.version+1))
		_, err = q.exec(ctx, insertKey, fresh.ID(), s.Kind, mark, row.version+1, kek.ID(), box, now.UnixMicro())
		return err
	})
	if err != nil {
		return envelope.Key{}, fmt.Errorf("make a key of kind %s: %w", s.Kind, err)
	}
	keep(r, r.subjects, s, k, now, epoch)
	return k, nil
}

// Key returns the newest key of a subject: fault.NotFound when it never had one,
// fault.Gone when it was erased, fault.Sealed when the stored key does not open or
// the ring is closed. After the first time it answers from memory.
func (r *Ring) Key(ctx context.Context, s Subject) (envelope.Key, error) {
	k, ok, epoch := recall(r, r.subjects, s)
	if ok {
		return k, nil
	}
	if err := errors.Join(s.check(), r.open()); err != nil {
		return envelope.Key{}, err
	}
	read := r.now()
	row, err := newest(ctx, r.store.read(), r.mark(s))
	if err != nil {
		return envelope.Key{}, fmt.Errorf("find the key of a %s: %w", s.Kind, err)
	}
	if k, err = r.openRow(ctx, r.store.read(), row); err != nil {
		return envelope.Key{}, err
	}
	keep(r, r.subjects, s, k, read, epoch)
	return k, nil
}

// ByID returns the key that a box names (envelope.KeyID), of any version, with the
// faults of Key.
func (r *Ring) ByID(ctx context.Context, id string) (envelope.Key, error) {
	k, ok, epoch := recall(r, r.ids, id)
	if ok {
		return k, nil
	}
	if err := r.open(); err != nil {
		return envelope.Key{}, err
	}
	read := r.now()
	row, err := byID(ctx, r.store.read(), id)
	if err != nil {
		return envelope.Key{}, fmt.Errorf("find key %.64q: %w", id, err)
	}
	if k, err = r.openRow(ctx, r.store.read(), row); err != nil {
		return envelope.Key{}, err
	}
	keep(r, r.ids, id, k, read, epoch)
	return k, nil
}

// Versions returns every key of a subject, the newest first, with the faults of Key:
// what was made with Key.MAC of a former version is found by them.
func (r *Ring) Versions(ctx context.Context, s Subject) ([]envelope.Key, error) {
	if err := errors.Join(s.check(), r.open()); err != nil {
		return nil, err
	}
	q, mark := r.store.read(), r.mark(s)
	if _, err := newest(ctx, q, mark); err != nil {
		return nil, fmt.Errorf("find the keys of a %s: %w", s.Kind, err)
	}
	var rows []keyRow
	err := q.each(ctx, selectVersions, func(scan func(...any) error) error {
		var row keyRow
		err := scan(&row.id, &row.mark, &row.version, &row.box)
		rows = append(rows, row)
		return err
	}, mark)
	if err != nil {
		return nil, fmt.Errorf("read the keys of a %s: %w", s.Kind, err)
	}
	keys := make([]envelope.Key, 0, len(rows))
	for _, row := range rows {
		k, err := r.openRow(ctx, q, row)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// keyRow is a stored key.
type keyRow struct {
	id, mark string
	version  int
	box      []byte
}

// openRow opens a stored key with the KEK that its box names, and no other.
func (r *Ring) openRow(ctx context.Context, q querier, row keyRow) (envelope.Key, error) {
	b, err := r.openBox(ctx, q, row.box, keyPlace(row.mark, row.id, row.version))
	if err != nil {
		return envelope.Key{}, err
	}
	defer b.Wipe()
	return envelope.NewKey(row.id, b)
}

// keyPlace binds a sealed data key to its row and to its subject's mark.
func keyPlace(mark, id string, version int) envelope.AAD {
	return envelope.AAD{Table: "keyring_key", Column: "box", Row: mark + "/" + id, Version: version}
}

// newest reads the newest stored key of a mark. A tombstone wins over a row that is
// about to be destroyed.
func newest(ctx context.Context, q querier, mark string) (keyRow, error) {
	return find(ctx, q, selectErasure, selectNewest, mark)
}

// byID reads a stored key by its id, with the same rule.
func byID(ctx context.Context, q querier, id string) (keyRow, error) {
	return find(ctx, q, selectDestroyed, selectByID, id)
}

func find(ctx context.Context, q querier, tombstone, key, arg string) (keyRow, error) {
	var row keyRow
	var erased string
	if gone, err := q.one(ctx, tombstone, []any{&erased}, arg); err != nil {
		return row, err
	} else if gone {
		return row, errErased()
	}
	found, err := q.one(ctx, key, []any{&row.id, &row.mark, &row.version, &row.box}, arg)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "key_unknown", fault.Public{Problem: "There is no such key."})
	}
	return row, err
}

func errErased() error {
	return fault.New(fault.Gone, "key_erased", fault.Public{
		Problem:  "This data was erased: the key it was sealed under is destroyed.",
		Expected: "Erasure is final, and nothing is kept about the same subject again.",
	})
}

// micros reads a stored time; zero stays zero.
func micros(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMicro(t).UTC()
}

const (
	insertKey       = `INSERT INTO keyring_key (id, kind, mark, version, kek, box, created) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	selectNewest    = `SELECT id, mark, version, box FROM keyring_key WHERE mark = $1 ORDER BY version DESC LIMIT 1`
	selectVersions  = `SELECT id, mark, version, box FROM keyring_key WHERE mark = $1 ORDER BY version DESC`
	selectByID      = `SELECT id, mark, version, box FROM keyring_key WHERE id = $1`
	selectErasure   = `SELECT mark FROM keyring_erasure WHERE mark = $1`
	selectDestroyed = `SELECT mark FROM keyring_destroyed WHERE id = $1`
)
