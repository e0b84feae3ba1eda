package scan

import (
	"context"
	"errors"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/leak"
	"writ/internal/secret"
	"writ/internal/vault"
)

// The bounds of comparisons from outside.
const (
	markLife  = 30 * time.Minute
	maxAtOnce = 32        // comparisons that are open
	maxMarks  = 5_000     // in one question
	maxAnHour = 2_000_000 // of one person or program: a large repository with its history has as many words
)

// compared is what one scan asks about: the marks of all values, under a key of its own.
type compared struct {
	team  string
	raw   secret.Bytes // of the key
	key   envelope.Key
	names map[leak.Mark]string
	asked int64
	who   string
	ends  time.Time
}

// Key implements leak.Known.
func (c *compared) Key() envelope.Key { return c.key }

// Which implements leak.Known.
func (c *compared) Which(_ context.Context, asked []leak.Mark) (map[leak.Mark]string, error) {
	c.asked += int64(len(asked))
	out := map[leak.Mark]string{}
	for _, m := range asked {
		if name := c.names[m]; name != "" {
			out[m] = name
		}
	}
	return out, nil
}

// compare marks the values of a team that are secret and told from others by their looks.
func (s *Service) compare(ctx context.Context, team string) (*compared, error) { // clause: vault.secret-home
	raw := secret.Random(envelope.KeySize)
	key, err := envelope.NewKey("scan", raw)
	if err != nil {
		return nil, err
	}
	c := &compared{team: team, raw: raw, key: key, names: map[leak.Mark]string{}}
	err = s.Values.EachSecret(ctx, team, func(name string, kind vault.Type, v secret.Bytes) error {
		if word := string(v.Reveal()); kind == vault.SecureString && leak.Worth(word) {
			c.names[leak.MarkOf(key, word)] = name
		}
		return nil
	})
	return c, err
}

// marks are the comparisons that scans on other machines began.
type marks struct {
	mu   sync.Mutex
	open map[string]*compared
	used map[string]*used // by person or program
}

type used struct {
	n    int64
	from time.Time
}

func newMarks() *marks { return &marks{open: map[string]*compared{}, used: map[string]*used{}} }

// Comparison is what a scan on another machine needs to compare its words: they never
// leave it, and no value leaves the server.
type Comparison struct {
	ID  string
	Key secret.Bytes
}

// Compare begins a comparison with the values of the team.
func (s *Service) Compare(ctx context.Context, who actor.Actor) (Comparison, error) {
	if err := s.Access.Allow(ctx, who, access.VaultList, "param/"); err != nil {
		return Comparison{}, err
	}
	c, err := s.compare(ctx, vault.TeamOf(who))
	if err != nil {
		return Comparison{}, err
	}
	return s.marks.begin(s.Now(), who, c)
}

func (m *marks) begin(now time.Time, who actor.Actor, c *compared) (Comparison, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, o := range m.open {
		if !now.Before(o.ends) {
			delete(m.open, id)
		}
	}
	if len(m.open) >= maxAtOnce {
		return Comparison{}, fault.New(fault.Limited, "scans_many", fault.Public{Problem: "Too many scans compare at the same time.", Next: "Try again when one has ended."})
	}
	id := secret.RandomText(16).Reveal()
	c.who, c.ends = who.String(), now.Add(markLife)
	m.open[id] = c
	return Comparison{ID: id, Key: c.raw}, nil
}

// errNoComparison is the one answer to a comparison that is over, or somebody else's.
func errNoComparison() *fault.Error {
	return fault.New(fault.NotFound, "comparison_unknown", fault.Public{Problem: "There is no such comparison, or it is over.", Next: "Start the scan again."})
}

// Which says which marks are of a value, by its name.
func (s *Service) Which(ctx context.Context, who actor.Actor, id string, asked []leak.Mark) (map[leak.Mark]string, error) {
	if err := s.Access.Allow(ctx, who, access.VaultList, "param/"); err != nil {
		return nil, err
	}
	if len(asked) > maxMarks {
		return nil, fault.Newf(fault.Invalid, "marks_many", "One question has at most %d marks.", maxMarks)
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	now := s.Now()
	c := s.marks.open[id]
	if c == nil || c.who != who.String() || !now.Before(c.ends) {
		return nil, errNoComparison()
	}
	if err := s.marks.spend(now, c.who, int64(len(asked))); err != nil {
		return nil, err
	}
	c.ends = now.Add(markLife)
	return c.Which(ctx, asked)
}

// spend holds the bound of an hour.
func (m *marks) spend(now time.Time, who string, n int64) error {
	u := m.used[who]
	if u == nil || now.Sub(u.from) >= time.Hour {
		u = &used{from: now}
		m.used[who] = u
	}
	if u.n+n > maxAnHour {
		return fault.New(fault.Limited, "marks_bound", fault.Public{Problem: "So many words were compared within an hour that this could be guessing.", Next: "Wait for the hour to pass, or scan smaller places."})
	}
	u.n += n
	return nil
}

// end closes a comparison and says how many marks were asked about.
func (m *marks) end(id, who string) (asked int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.open[id]
	if c == nil || c.who != who {
		return 0, errors.New("no such comparison")
	}
	delete(m.open, id)
	return c.asked, nil
}
