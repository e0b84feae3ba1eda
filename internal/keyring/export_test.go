package keyring

import (
	"context"
	"strconv"
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
