package journal_test

import (
	"testing"
	"time"

	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// A clock that ran ahead and was set back stops nothing: entries are numbered on, their
// times never go back, and a lease from the future is nobody's.
func TestClockSetBack(t *testing.T) {
	const ahead = 30 * 24 * time.Hour
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		kit.Clock.Advance(ahead)
		j := build(t, kit)
		stop := run(t, j)
		es := fill(t, kit, j, 4)
		kit.Clock.Advance(-ahead)
		es = append(es, fill(t, kit, j, 4)...)
		stop()
		err := kit.DB.Quiet(t.Context(), ledger.Lease, func(tx *ledger.Tx) error { // as a killed node leaves it
			_, err := tx.Exec(t.Context(), `UPDATE journal_head SET holder = 'gone', until = $1`, kit.Clock.Now().Add(ahead).UnixMicro())
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		j = build(t, kit)
		run(t, j)
		es = append(es, fill(t, kit, j, 4)...)
		for i := 1; i < len(es); i++ {
			if es[i].N <= es[i-1].N || es[i].At.Before(es[i-1].At) {
				t.Errorf("entry %d of %v follows entry %d of %v", es[i].N, es[i].At, es[i-1].N, es[i-1].At)
			}
		}
		if r, err := j.Verify(t.Context(), nil); err != nil || !r.OK() {
			t.Errorf("verify: %v %+v", err, r)
		}
	})
}
