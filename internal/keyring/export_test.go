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
