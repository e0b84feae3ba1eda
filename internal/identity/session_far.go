package identity

import (
	"context"
	"fmt"

	"writ/internal/secret"
)

// Memory holds the sessions in use, not all there are: at most so many.
// Beyond it the ones used longest ago leave, and come back from their rows when they
// are used. Until then every live session is in memory, and a token that is not there is none.
const maxLives = 250_000

// sampled is how many are compared to find one that was used long ago.
const sampled = 8

// makeRoom takes sessions out of memory beyond the limit, except one. Their rows stay. The
// caller holds mu.
func (t *table) makeRoom(but *live) {
	for len(t.byID) > t.limit {
		var oldest *live
		n := 0
		for _, l := range t.byID { // in no order
			if l != but && (oldest == nil || l.seen.Load() < oldest.seen.Load()) {
				oldest = l
			}
			if n++; n > sampled {
				break
			}
		}
		if oldest == nil {
			return
		}
		t.partial.Store(true)
		t.remove(oldest)
	}
}

// lookFor is a session by its token, and whether that is the former one: from memory, or
// from what other nodes changed (the node before may have made the token a moment ago), or
// from its row.
func (s *Service) lookFor(ctx context.Context, token secret.Text) (l *live, former bool, err error) {
	if l, former = s.table.find(token); l != nil {
		return l, former, nil
	}
	if s.DB.Engine() == "postgres" {
		if err := s.follow(ctx); err != nil {
			s.Log.Error("sessions of other nodes could not be read", "err", err) // nobody then
			return nil, false, nil
		}
		if l, former = s.table.find(token); l != nil {
			return l, former, nil
		}
	}
	if !s.table.partial.Load() {
		return nil, false, nil
	}
	for _, column := range []string{`s.token = $1`, `s.former = $1 AND s.former <> ''`} {
		if err := s.bringIn(ctx, sessionRows+` WHERE `+column+` AND s.ended IS NULL`, sum(token)); err != nil {
			return nil, false, err
		}
		if l, former = s.table.find(token); l != nil {
			break
		}
	}
	return l, former, nil
}

// byIDOf is a session by its id, from memory or from its row.
func (s *Service) byIDOf(ctx context.Context, id string) (*live, error) {
	look := func() *live {
		s.table.mu.RLock()
		defer s.table.mu.RUnlock()
		return s.table.byID[id]
	}
	if l := look(); l != nil || !s.table.partial.Load() {
		return l, nil
	}
	if err := s.bringIn(ctx, sessionRows+` WHERE s.id = $1 AND s.ended IS NULL`, id); err != nil {
		return nil, err
	}
	return look(), nil
}

// bringIn takes in a row that memory has not. One that came there meanwhile stays, for it
// was read later or is as a change left it.
func (s *Service) bringIn(ctx context.Context, query string, arg string) error {
	rows, err := s.rowsOf(ctx, query, arg)
	if err != nil {
		return fmt.Errorf("read a session: %w", err)
	}
	for _, l := range rows.lives {
		s.table.putNew(l)
	}
	return nil
}

// newestSessions are those that a start takes in: begun or changed last, one more than
// fit, so that it shows whether there are others.
const newestSessions = sessionRows + ` WHERE s.ended IS NULL ORDER BY s.change DESC LIMIT $1`
