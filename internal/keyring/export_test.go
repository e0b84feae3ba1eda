package keyring

import (
	"bytes"
	"context"
	"strconv"

	"writ/internal/envelope"
	"writ/internal/secret"
)

// StopAt makes the ring call f after each step of an erasure (intended, destroyed,
// verified), of a change of roots and of a rotation.
func (r *Ring) StopAt(f func(step string) error) { r.step = f }

// Multiply stores n keys of as many subjects in one transaction: one commit each would
// take minutes.
func Multiply(ctx context.Context, r *Ring, n int) error {
	return r.store.write(ctx, func(q querier) error {
		kek, err := r.sealer(ctx, q)
		if err != nil {
			return err
		}
		for i := range n {
			fresh, b, err := freshKey(r.now())
			if err != nil {
				return err
			}
			mark := r.mark(Person(strconv.Itoa(i)))
			box := kek.Seal(b.Reveal(), keyPlace(mark, fresh.ID(), 1))
			if _, err := q.exec(ctx, insertKey, fresh.ID(), kindPerson, mark, 1, kek.ID(), box, r.now().UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReadsBackup reports whether bytes are a backup under a key that sealed nothing.
func ReadsBackup(b []byte) bool {
	key, err := envelope.NewKey("00000000000000000000000000000000", secret.Random(envelope.KeySize))
	if err != nil {
		return false
	}
	_, err = readBackup(bytes.NewReader(b), func(string) (envelope.Key, error) { return key, nil }, func(backed, []any) error { return nil })
	return err == nil
}

// ReadsLine reports whether bytes are a row of a backup.
func ReadsLine(b []byte) bool {
	_, _, err := readLine(b)
	return err == nil
}

// KeptLate reports whether a key that was read before something happened is remembered
// after it.
func (r *Ring) KeptLate(ctx context.Context, s Subject, something func()) (bool, error) {
	k, err := r.Key(ctx, s)
	if err != nil {
		return false, err
	}
	_, _, epoch := recall(r, r.subjects, s)
	something()
	keep(r, r.subjects, s, k, r.now(), epoch)
	_, kept, _ := recall(r, r.subjects, s)
	return kept, nil
}

// Guarded is what is said of the store when a setting of it is another one.
func (r *Ring) Guarded(ctx context.Context, pragma string) error {
	if _, err := r.store.db.ExecContext(ctx, pragma); err != nil {
		return err
	}
	return r.store.guard(ctx)
}
