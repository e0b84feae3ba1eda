package watch

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// The house's own canaries attack all day, and what they leave in the journal must count for
// nothing. They come from addresses of their own and stand under names of their own.
var canaryNet = netip.MustParsePrefix("127.77.0.0/16")

const (
	canaryMark = "canary"
	mostMarks  = 4096
)

// marks are the pseudonyms of canaries, as far as they are known.
type marks struct {
	months map[string]bool // "s:…"
	made   string          // the day they were made: a key may be renewed
	people map[string]bool // "p:…"
	oldest []string
}

// isCanary reports whether an entry is of a canary. It learns whom controls plant.
func (s *Service) isCanary(ctx context.Context, e *journal.Entry) (bool, error) {
	switch {
	case strings.Contains(e.Actor, canaryMark), strings.HasPrefix(e.Team, canaryMark), strings.Contains(e.Object, canaryMark):
		if err := s.learn(ctx, e); err != nil {
			return false, err
		}
		return true, nil
	case e.Kind == string(actor.Stranger):
		known, err := s.strangers(ctx, e.Happened)
		if err != nil {
			return false, err
		}
		if known[e.Actor] {
			return true, nil
		}
	}
	for _, f := range e.Fields {
		if v, ok := f.Value.(string); ok && f.State == journal.Public && (strings.HasPrefix(v, canaryMark+"-") || v == canaryMark) {
			return true, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks.people[e.Actor] || s.marks.people[e.Subject], nil
}

// learn remembers the pseudonym of somebody whom a control planted.
func (s *Service) learn(ctx context.Context, e *journal.Entry) error {
	id := text(e, "person")
	if e.Stream != "identity.canary-planted" || id == "" {
		return nil
	}
	ps, err := s.DB.Pseudonyms(ctx, keyring.Person(id))
	if err != nil {
		return fmt.Errorf("whom a control planted: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range ps {
		if s.marks.people[p] {
			continue
		}
		s.marks.people[p] = true
		if s.marks.oldest = append(s.marks.oldest, p); len(s.marks.oldest) > mostMarks {
			delete(s.marks.people, s.marks.oldest[0])
			s.marks.oldest = slices.Delete(s.marks.oldest, 0, 1)
		}
	}
	return nil
}

// strangers are the pseudonyms of the canaries' networks in the month of t.
func (s *Service) strangers(ctx context.Context, t time.Time) (map[string]bool, error) {
	sub, day := keyring.Strangers(t), t.UTC().Format(time.DateOnly)
	s.mu.Lock()
	known, made := s.marks.months, s.marks.made
	s.mu.Unlock()
	if made == day {
		return known, nil
	}
	keys, err := s.Keys.Versions(ctx, sub)
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Gone) { // nobody came in that month, or its key is destroyed
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("key of this month's strangers: %w", err)
	}
	known = map[string]bool{}
	for _, k := range keys {
		for third := range 256 {
			a := canaryNet.Addr().As4()
			a[2] = byte(third)
			known[ledger.Pseudonym(k, string(actor.Stranger), netip.PrefixFrom(netip.AddrFrom4(a), 24).String())] = true
		}
	}
	s.mu.Lock()
	s.marks.months, s.marks.made = known, day
	s.mu.Unlock()
	return known, nil
}
