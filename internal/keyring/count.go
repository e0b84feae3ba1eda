package keyring

import (
	"context"
	"fmt"

	"writ/internal/envelope"
)

// Nonces are random, so a key serves a bounded number of boxes: 2^32 at most (NIST SP
// 800-38D §8.3). Seals are counted ahead: a process sets numbers aside in the store
// before it uses them, and a crash only wastes some. The first few of each copy of a
// key are free of that, or every start of a server would write a row for each key; it
// would take twelve million loads of one key for them to matter.
const (
	freeSeals    = 256
	reserveSeals = 1 << 16
	renewSeals   = 1 << 30 // a new version is made for what is sealed from then on
	mostSeals    = 1 << 31 // and none is sealed any more under the old one
)

// count sets seals aside when this copy of the key comes near what it has, and gives a
// new version of a key that is worn.
func (r *Ring) count(ctx context.Context, s Subject, k envelope.Key) (envelope.Key, error) {
	if k.Seals() < freeSeals {
		return k, nil
	}
	m := r.meter(k.ID())
	m.mu.Lock()
	defer m.mu.Unlock()
	short := k.Seals() + reserveSeals/2 - m.reserved
	if short <= 0 {
		return k, nil
	}
	add := (short/reserveSeals + 1) * reserveSeals
	var total int64
	err := r.store.write(ctx, func(q querier) error {
		n, err := q.exec(ctx, reserve, k.ID(), add, mostSeals)
		if err != nil {
			return err
		}
		if n == 0 { // worn beyond use, or destroyed a moment ago
			total = mostSeals
			return nil
		}
		_, err = q.one(ctx, `SELECT seals FROM keyring_key WHERE id = $1`, []any{&total}, k.ID())
		return err
	})
	if err != nil {
		return envelope.Key{}, fmt.Errorf("count the seals of a key: %w", err)
	}
	m.reserved += add
	if total < renewSeals { // clause: crypto.key-rotation
		return k, nil
	}
	r.making.Lock()
	defer r.making.Unlock()
	next, err := r.issue(ctx, s, func(int) bool { return true })
	if err != nil && total >= mostSeals {
		return envelope.Key{}, err
	}
	if err != nil { // the old one still serves
		return k, nil //nolint:nilerr // it is tried again with the next numbers
	}
	return next, nil
}

// Count sets seals aside for what this process holds in memory: keys that are asked for by
// Key alone, within a change, are counted by it, and by whoever calls it from time to time.
func (r *Ring) Count(ctx context.Context) error { // clause: crypto.key-rotation
	type used struct {
		of  Subject
		key envelope.Key
	}
	var all []used
	r.mu.RLock()
	for s, c := range r.subjects {
		if c.key.Seals() >= freeSeals {
			all = append(all, used{s, c.key})
		}
	}
	r.mu.RUnlock()
	for _, u := range all {
		if _, err := r.count(ctx, u.of, u.key); err != nil {
			return err
		}
	}
	return nil
}

func (r *Ring) meter(id string) *meter {
	r.mu.RLock()
	m, ok := r.meters[id]
	r.mu.RUnlock()
	if ok {
		return m
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m, ok = r.meters[id]; !ok {
		if len(r.meters) >= maxCached {
			clear(r.meters) // numbers that were set aside are wasted, nothing more
		}
		m = &meter{}
		r.meters[id] = m
	}
	return m
}

const reserve = `UPDATE keyring_key SET seals = seals + $2 WHERE id = $1 AND seals < $3`
