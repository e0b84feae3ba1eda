package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"

	"writ/internal/actor"
	"writ/internal/gateway/guard"
	"writ/internal/ledger"
)

const (
	maxSights   = 1024 // different finds told apart within a minute
	sightsQueue = 256
)

// sights count what the guard finds. The first of a kind in a minute is an entry of its
// own, the others of that minute are one more with their number.
type sights struct {
	mu    sync.Mutex
	n     map[sight]int64 // that have no entry yet
	queue chan sight
}

// sight is what makes a find the same as another. Its zero action is an upload unread.
type sight struct {
	done                guard.Action
	class, route, field string
	in                  bool
}

func (s *sights) init() { s.n, s.queue = map[sight]int64{}, make(chan sight, sightsQueue) }

// note counts a find.
func (s *sights) note(k sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.n[k]
	if !known && len(s.n) >= maxSights { // somebody sprays: count without route and field
		k.route, k.field = "*", ""
		_, known = s.n[k]
	}
	if known {
		s.n[k]++
		return
	}
	s.n[k] = 0
	select {
	case s.queue <- k:
	default:
		s.n[k] = 1
	}
}

func (k sight) event(n int64) ledger.Event {
	from := "answer"
	if k.in {
		from = "request"
	}
	switch k.done {
	case guard.Stop:
		return SensitiveDataStopped{k.class, from, k.route, k.field, n}
	case guard.Mask:
		return SensitiveDataMasked{k.class, from, k.route, k.field, n}
	case guard.Count:
		return SensitiveDataSeen{k.class, from, k.route, k.field, n}
	}
	return UploadPassed{k.route, n}
}

// recordSights makes an entry of each first, outside the request.
func (g *Gateway) recordSights(ctx context.Context) {
	for {
		select {
		case k := <-g.sights.queue:
			g.recordSight(ctx, k, 1)
		case <-ctx.Done():
			return // Flush takes the rest
		}
	}
}

func (g *Gateway) recordSight(ctx context.Context, k sight, n int64) {
	_, err := g.db.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) { return k.event(n), nil })
	if err != nil {
		g.log.Error("a find of the guard could not be recorded; it is kept for the totals", "err", err)
		g.sights.mu.Lock()
		g.sights.n[k] += n
		g.sights.mu.Unlock()
	}
}

// flushSights records the counts of the minute.
func (g *Gateway) flushSights(ctx context.Context) error {
	for range len(g.sights.queue) {
		select {
		case k := <-g.sights.queue:
			g.recordSight(ctx, k, 1)
		default:
		}
	}
	g.sights.mu.Lock()
	all := g.sights.n
	g.sights.n = map[sight]int64{}
	g.sights.mu.Unlock()
	var keys []sight
	for k, n := range all {
		if n > 0 {
			keys = append(keys, k)
		}
	}
	var errs []error
	for part := range slices.Chunk(keys, entriesAChange) {
		_, err := g.db.Change(ctx, actor.System("gateway"), func(tx *ledger.Tx) (ledger.Event, error) {
			for _, k := range part[1:] {
				tx.Also(k.event(all[k]))
			}
			return part[0].event(all[part[0]]), nil
		})
		if err == nil {
			continue
		}
		errs = append(errs, err)
		g.sights.mu.Lock()
		for _, k := range part {
			g.sights.n[k] += all[k]
		}
		g.sights.mu.Unlock()
	}
	return errors.Join(errs...)
}

// SensitiveDataStopped is data that was not passed on: numbers of cards (card) or of social
// security (ssn). The values are nowhere.
type SensitiveDataStopped struct {
	Class string `class:"public"`
	From  string `class:"public"` // request or answer
	Route string `class:"public"` // the pattern
	Field string `class:"public"` // the name nearest before it, where it is a plain one
	Count int64  `class:"public"`
}

// About implements ledger.Event.
func (e SensitiveDataStopped) About() ledger.About {
	return ledger.About{Name: "gateway.sensitive-data-stopped", Clause: classClause(e.Class)}
}

// SensitiveDataMasked is data of which only the last digits were passed on, or, of the class
// staff, answers to a look of the staff in which tagged fields were masked.
type SensitiveDataMasked struct {
	Class string `class:"public"`
	From  string `class:"public"`
	Route string `class:"public"`
	Field string `class:"public"`
	Count int64  `class:"public"`
}

// About implements ledger.Event.
func (e SensitiveDataMasked) About() ledger.About {
	return ledger.About{Name: "gateway.sensitive-data-masked", Clause: classClause(e.Class)}
}

// SensitiveDataSeen is data that was passed on, as the policy wants only a warning.
type SensitiveDataSeen struct {
	Class string `class:"public"`
	From  string `class:"public"`
	Route string `class:"public"`
	Field string `class:"public"`
	Count int64  `class:"public"`
}

// About implements ledger.Event.
func (e SensitiveDataSeen) About() ledger.About {
	return ledger.About{Name: "gateway.sensitive-data-seen", Clause: classClause(e.Class)}
}

// UploadPassed is uploads of a type that is not looked into.
type UploadPassed struct {
	Route string `class:"public"`
	Count int64  `class:"public"`
}

// About implements ledger.Event.
func (e UploadPassed) About() ledger.About {
	return ledger.About{Name: "gateway.upload-passed", Clause: noCard}
}

func classClause(class string) string {
	switch class {
	case guard.SSN.String():
		return noSSN
	case "staff":
		return needToSee
	}
	return noCard
}
