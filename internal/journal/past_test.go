package journal_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"writ/internal/journal"
	"writ/internal/ledger/ledgertest"
)

// The past is read from a time on, in order, once each.
func TestPast(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		run(t, j)
		fill(t, kit, j, 300)
		kit.Clock.Advance(time.Hour)
		since := kit.Clock.Now()
		newer := fill(t, kit, j, 300)
		for name, c := range map[string]struct {
			from time.Time
			want int64
		}{"all": {since.Add(-48 * time.Hour), 0}, "the newer half": {since, newer[0].N}, "nothing": {since.Add(time.Hour), -1}} {
			next, first := c.want, int64(-1)
			must := func(es []journal.Entry) error {
				for _, e := range es {
					if first < 0 {
						first = e.N
					}
					if e.N != next {
						return fmt.Errorf("entry %d comes after %d", e.N, next-1)
					}
					next++
				}
				return context.Cause(t.Context())
			}
			if err := j.Past(t.Context(), c.from, must); err != nil || first != c.want {
				t.Errorf("%s: begins with %d, want %d: %v", name, first, c.want, err)
			}
			if c.want >= 0 && next <= newer[len(newer)-1].N {
				t.Errorf("%s: ends before entry %d", name, next)
			}
		}
	})
}
