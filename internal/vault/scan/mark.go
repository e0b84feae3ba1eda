package scan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/leak"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// The bounds of comparisons from outside. Who compares may read the values one by one, each
// with an entry: the bound of an hour keeps that the shorter way.
const (
	markLife  = 30 * time.Minute
	maxAtOnce = 32        // comparisons that are open
	maxOwn    = 2         // of one person or program; a third ends the oldest
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
	told  map[string]bool // names that were answered
	who   actor.Actor
	began string // entry; "" = the values are being marked
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
			c.told[name] = true
		}
	}
	return out, nil
}

// compare marks the values of a team that are secret and told from others by their looks: of
// parameters, and of the company's credentials that are who's to read.
func (s *Service) compare(ctx context.Context, who actor.Actor, team string) (*compared, error) { // clause: vault.secret-home
	raw := secret.Random(envelope.KeySize)
	key, err := envelope.NewKey("scan", raw)
	if err != nil {
		return nil, err
	}
	c := &compared{team: team, raw: raw, key: key, names: map[leak.Mark]string{}, told: map[string]bool{}}
	mark := func(name, word string) {
		if leak.Worth(word) {
			c.names[leak.MarkOf(key, word)] = name
		}
	}
	err = s.Items.EachSecret(ctx, who, team, func(name string, v secret.Text) error {
		mark(name, v.Reveal())
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = s.Values.EachSecret(ctx, team, func(name string, kind vault.Type, v secret.Bytes) error {
		if kind == vault.SecureString {
			mark(name, string(v.Reveal())) // a parameter's name says more than an item's id
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
	owed []over           // whose end could not be recorded
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

// Compare begins a comparison with the values of the team, for whoever may read them: to
// compare is to try values. Of the company's credentials it has those alone that are shared
// with who compares. The entry is there before the key leaves.
func (s *Service) Compare(ctx context.Context, who actor.Actor) (Comparison, error) { // clause: vault.secret-home
	if err := s.Access.Allow(ctx, who, access.VaultRead, "param/"); err != nil {
		return Comparison{}, err
	}
	id, over, err := s.marks.reserve(s.Now(), who)
	if err = errors.Join(err, s.note(ctx, over)); err != nil {
		s.marks.free(id)
		return Comparison{}, err
	}
	c, err := s.compare(ctx, who, vault.TeamOf(who))
	if err != nil {
		s.marks.free(id)
		return Comparison{}, err
	}
	receipt, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return Compared{Began: tx.Entry(), Values: int64(len(c.names))}, nil
	})
	if err != nil {
		s.marks.free(id)
		return Comparison{}, fmt.Errorf("record the comparison: %w", err)
	}
	c.who, c.began, c.ends = who, receipt.ID, s.Now().Add(markLife)
	s.marks.begin(id, c)
	return Comparison{ID: id, Key: c.raw}, nil
}

// over is a comparison that ended, and how.
type over struct {
	*compared
	how string
}

// note records what ended comparisons were asked, also when nobody waits for it any more;
// what cannot be recorded now is noted with the next.
func (s *Service) note(ctx context.Context, ended []over) error { // clause: vault.secret-home
	var errs []error
	for _, o := range ended {
		_, err := s.DB.Change(context.WithoutCancel(ctx), o.who, func(*ledger.Tx) (ledger.Event, error) {
			return CompareEnded{Began: o.began, How: o.how, Asked: o.asked, Told: slices.Sorted(maps.Keys(o.told))[:min(len(o.told), maxTold)]}, nil
		})
		if err != nil {
			s.marks.owe(o)
			errs = append(errs, fmt.Errorf("record the end of the comparison %s: %w", o.began, err))
		}
	}
	return errors.Join(errs...)
}

// expire ends comparisons that nobody uses any more.
func (s *Service) expire(ctx context.Context) error { return s.note(ctx, s.marks.expired(s.Now())) }

// reserve keeps a place for a comparison before the values are opened, and says which ended
// for it.
func (m *marks) reserve(now time.Time, who actor.Actor) (id string, ended []over, err error) {
	ended = m.expired(now)
	m.mu.Lock()
	defer m.mu.Unlock()
	own := slices.DeleteFunc(slices.Collect(maps.Keys(m.open)), func(id string) bool { return m.open[id].who.String() != who.String() })
	slices.SortFunc(own, func(a, b string) int { return m.open[a].ends.Compare(m.open[b].ends) })
	for ; len(own) >= maxOwn; own = own[1:] {
		if c := m.open[own[0]]; c.began != "" {
			ended = append(ended, over{c, "replaced"})
		}
		delete(m.open, own[0])
	}
	if len(m.open) >= maxAtOnce {
		return "", ended, fault.New(fault.Limited, "scans_many", fault.Public{Problem: "Too many scans compare at the same time.", Next: "Try again when one has ended."})
	}
	id = secret.RandomText(16).Reveal()
	m.open[id] = &compared{who: who, ends: now.Add(markLife)}
	return id, ended, nil
}

func (m *marks) begin(id string, c *compared) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[id] = c
}

func (m *marks) free(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, id)
}

func (m *marks) owe(o over) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.owed = append(m.owed, o)
}

func (m *marks) expired(now time.Time) (ended []over) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ended, m.owed = m.owed, nil
	for id, c := range m.open {
		if now.Before(c.ends) {
			continue
		}
		if c.began != "" {
			ended = append(ended, over{c, "expired"})
		}
		delete(m.open, id)
	}
	maps.DeleteFunc(m.used, func(_ string, u *used) bool { return now.Sub(u.from) >= time.Hour })
	return ended
}

// of is an open comparison of somebody in the team that they act in now.
func (m *marks) of(id string, who actor.Actor) (*compared, error) {
	c := m.open[id]
	if c == nil || c.began == "" || c.who.String() != who.String() || c.team != vault.TeamOf(who) {
		return nil, errNoComparison()
	}
	return c, nil
}

// errNoComparison is the one answer to a comparison that is over, or somebody else's.
func errNoComparison() *fault.Error {
	return fault.New(fault.NotFound, "comparison_unknown", fault.Public{Problem: "There is no such comparison, or it is over.", Next: "Start the scan again."})
}

// Which says which marks are of a value, by its name.
func (s *Service) Which(ctx context.Context, who actor.Actor, id string, asked []leak.Mark) (map[leak.Mark]string, error) {
	if err := s.Access.Allow(ctx, who, access.VaultRead, "param/"); err != nil {
		return nil, err
	}
	if len(asked) > maxMarks {
		return nil, fault.Newf(fault.Invalid, "marks_many", "One question has at most %d marks.", maxMarks)
	}
	s.marks.mu.Lock()
	defer s.marks.mu.Unlock()
	now := s.Now()
	c, err := s.marks.of(id, who)
	if err != nil || !now.Before(c.ends) {
		return nil, errNoComparison()
	}
	if err := s.marks.spend(now, who.String(), int64(len(asked))); err != nil {
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

// end closes a comparison.
func (m *marks) end(id string, who actor.Actor) (*compared, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.of(id, who)
	if err == nil {
		delete(m.open, id)
	}
	return c, err
}
