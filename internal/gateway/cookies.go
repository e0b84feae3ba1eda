package gateway

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

// stripped removes what the application may not say, and counts cookies in our name.
func (v *visit) stripped(h http.Header) { // clause: auth.best-practice
	if n := strip(h); n > 0 {
		v.counter().cookies.Add(int64(n))
	}
}

// counter is that of the request's pattern.
func (v *visit) counter() *counter {
	if v.need.node == nil {
		return v.table.rest.count
	}
	return v.need.node.count
}

// flushCookies records cookies in our name that the application tried to set. What cannot be
// recorded is counted again.
func (g *Gateway) flushCookies(ctx context.Context, since, until time.Time) error {
	g.tally.mu.Lock()
	counters := maps.Clone(g.tally.counters)
	g.tally.mu.Unlock()
	var errs []error
	for _, route := range slices.Sorted(maps.Keys(counters)) {
		n := counters[route].cookies.Swap(0)
		if n == 0 {
			continue
		}
		_, err := g.db.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) {
			return CookiesDropped{Since: since, Until: until, Route: route, Count: n}, nil
		})
		if err != nil {
			counters[route].cookies.Add(n)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
