package watch

import (
	"context"
	"maps"
	"sync"

	"writ/internal/ledger"
)

// apart knows whom rules count apart at present, so that a fact need not count them in the
// rows. It is a bound and no count: what an undone change left in it does no harm, and every
// node has its own.
type apart struct {
	mu    sync.Mutex
	rules map[string]*crowd
}

// crowd is whom one rule counts apart: the last minute of each.
type crowd struct {
	last  map[string]int64
	until int64 // those of this minute and before were taken out
}

// admit reports whether the rule counts who apart, in a minute whose window begins after from.
func (a *apart) admit(ctx context.Context, tx *ledger.Tx, rule, who string, minute, from int64) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.rules[rule]
	if c == nil {
		c = &crowd{last: map[string]int64{}}
		err := tx.Each(ctx, countedApart, func(scan ledger.Scan) error {
			var who string
			var at int64
			err := scan(&who, &at)
			c.last[who] = at
			return err
		}, rule, from)
		if err != nil {
			return false, err //nolint:wrapcheck // the ledger says what failed
		}
		a.rules[rule] = c
	}
	if c.last[who] <= from && len(c.last) >= mostApart {
		if c.until < from {
			maps.DeleteFunc(c.last, func(_ string, at int64) bool { return at <= from })
			c.until = from
		}
		if len(c.last) >= mostApart {
			return false, nil
		}
	}
	c.last[who] = max(c.last[who], minute)
	return true, nil
}

const countedApart = `SELECT who, MAX(minute) FROM watch_count WHERE rule = $1 AND minute > $2 GROUP BY who`
