package watch

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch/baseline"
)

const (
	mostPeople = 100_000 // whose habits are in memory; the least recently seen go to their rows
	keptPeople = 100     // in one change, whose time is limited
	keepHabits = 90 * 24 * time.Hour
)

// habits are what is known of people: in memory, and sealed in rows.
type habits struct {
	mu     sync.Mutex
	people map[string]*list.Element // id → known
	order  *list.List               // the least recently seen last
	most   int
}

type known struct {
	id    string
	dirty bool
	baseline.Person
}

func newHabits() *habits {
	return &habits{people: map[string]*list.Element{}, order: list.New(), most: mostPeople}
}

func placeOfHabits(mark string) envelope.AAD {
	return envelope.AAD{Table: "watch_principal", Column: "box", Row: mark, Version: 1}
}

// see takes a request of a person, and records what is new about them.
func (s *Service) see(ctx context.Context, r *Request) error { // clause: mon.abnormal
	if r.Who.Kind != actor.Person || strings.HasPrefix(r.Who.TeamKind, canaryMark) || strings.HasPrefix(r.Who.ID, canaryMark+"-") {
		return nil
	}
	h := s.habits
	h.mu.Lock()
	el := h.people[r.Who.ID]
	h.mu.Unlock()
	if el == nil {
		p, err := s.recallHabits(ctx, r.Who.ID)
		if err != nil {
			return err
		}
		if el, err = s.admitPerson(ctx, &known{id: r.Who.ID, Person: p}); err != nil {
			return err
		}
	}
	staff := r.Who.TeamKind == "staff"
	h.mu.Lock()
	k := el.Value.(*known)
	h.order.MoveToFront(el)
	news := k.See(r.At, s.sight(r), staff, s.learner.zone)
	k.dirty = true
	h.mu.Unlock()
	what := tell(news, staff)
	if what == "" {
		return nil
	}
	_, err := s.DB.Change(ctx, system, func(*ledger.Tx) (ledger.Event, error) {
		return FirstSeen{What: what, Staff: staff, person: r.Who.ID}, nil
	})
	if errors.Is(err, fault.Gone) { // erased meanwhile
		return nil
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

// sight is where and how somebody was seen.
func (s *Service) sight(r *Request) baseline.Sight {
	x := baseline.Sight{Network: r.Network, Agent: family(r.Agent), Route: r.Route}
	if p, err := netip.ParsePrefix(r.Network); err == nil {
		if at, known := s.Places.Find(p.Addr()); known {
			x.Spot = &at
		}
	}
	return x
}

// tell is what of the news is worth an entry: of a customer only what is new in two ways, for
// people travel, and change their browsers.
func tell(n baseline.News, staff bool) string {
	switch {
	case n.Shared:
		return "shared"
	case n.Travel:
		return "travel"
	case n.Network && n.Agent:
		return "place"
	case !staff:
		return ""
	case n.Country:
		return "country"
	case n.Network:
		return "network"
	case n.Agent:
		return "agent"
	case n.Hour:
		return "hour"
	}
	return ""
}

// admitPerson gives somebody a place in memory; whoever was not seen for longest goes to their
// row.
func (s *Service) admitPerson(ctx context.Context, k *known) (*list.Element, error) {
	h := s.habits
	h.mu.Lock()
	var out []*known
	for h.order.Len() >= h.most {
		last := h.order.Back()
		old := last.Value.(*known)
		h.order.Remove(last)
		delete(h.people, old.id)
		if old.dirty {
			out = append(out, old)
		}
	}
	el := h.order.PushFront(k)
	h.people[k.id] = el
	h.mu.Unlock()
	return el, s.keepPeople(ctx, out)
}

// recallHabits opens what is kept of a person; nothing where there is none, or no key.
func (s *Service) recallHabits(ctx context.Context, id string) (p baseline.Person, err error) {
	mark := s.Keys.Pseudonym(keyring.Person(id))
	var box []byte
	err = ledger.One(ctx, s.DB, `SELECT box FROM watch_principal WHERE mark = $1`, []any{&box}, mark)
	if errors.Is(err, fault.NotFound) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read habits: %w", err)
	}
	kid, err := envelope.KeyID(box)
	if err != nil {
		return p, fmt.Errorf("read habits: %w", err)
	}
	key, err := s.Keys.ByID(ctx, kid)
	if errors.Is(err, fault.Gone) || errors.Is(err, fault.NotFound) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("key of habits: %w", err)
	}
	b, err := key.Open(box, placeOfHabits(mark))
	if err != nil {
		return p, fmt.Errorf("open habits: %w", err)
	}
	err = p.UnmarshalBinary(b.Reveal())
	return p, err
}

// KeepHabits writes what has changed of people, sealed under their keys.
func (s *Service) KeepHabits(ctx context.Context) error {
	h := s.habits
	var changed []*known
	h.mu.Lock()
	for _, el := range h.people {
		if k := el.Value.(*known); k.dirty {
			changed = append(changed, k)
		}
	}
	h.mu.Unlock()
	return s.keepPeople(ctx, changed)
}

// habitRow is what is kept of a person.
type habitRow struct {
	mark string
	seen int64
	box  []byte
}

func (s *Service) keepPeople(ctx context.Context, people []*known) error {
	for len(people) > 0 {
		part := people[:min(len(people), keptPeople)]
		people = people[len(part):]
		var rows []habitRow
		for _, k := range part {
			row, err := s.sealHabits(ctx, k)
			if errors.Is(err, fault.Gone) || errors.Is(err, fault.NotFound) {
				s.dropPerson(k.id)
				continue
			}
			if err != nil {
				return fmt.Errorf("seal habits: %w", err)
			}
			rows = append(rows, row)
		}
		if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
			for _, r := range rows {
				if _, err := tx.Exec(ctx, savePrincipal, r.mark, r.seen, r.box); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			s.habits.mu.Lock()
			for _, k := range part {
				k.dirty = true
			}
			s.habits.mu.Unlock()
			return fmt.Errorf("keep habits: %w", err)
		}
	}
	return nil
}

func (s *Service) sealHabits(ctx context.Context, k *known) (r habitRow, err error) {
	s.habits.mu.Lock()
	b, err := k.MarshalBinary()
	r.seen = k.Last * time.Minute.Microseconds()
	k.dirty = false
	s.habits.mu.Unlock()
	if err != nil {
		return r, err
	}
	key, err := s.Keys.Key(ctx, keyring.Person(k.id))
	if err != nil {
		return r, err //nolint:wrapcheck // its caller says which act
	}
	r.mark = s.Keys.Pseudonym(keyring.Person(k.id))
	r.box = key.Seal(b, placeOfHabits(r.mark))
	return r, nil
}

func (s *Service) dropPerson(id string) {
	h := s.habits
	h.mu.Lock()
	defer h.mu.Unlock()
	if el := h.people[id]; el != nil {
		h.order.Remove(el)
		delete(h.people, id)
	}
}

// eraseHabits forgets an erased person, whose row nobody can open any more.
func (s *Service) eraseHabits(ctx context.Context, id string) error { // clause: data.crypto-erase
	s.dropPerson(id)
	mark := s.Keys.Pseudonym(keyring.Person(id))
	return s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM watch_principal WHERE mark = $1`, mark)
		return err
	})
}

// Habits is what is kept about a person, for their copy; found is false where there is nothing.
func (s *Service) Habits(ctx context.Context, id string) (p baseline.Person, found bool, err error) {
	h := s.habits
	h.mu.Lock()
	if el := h.people[id]; el != nil {
		p, found = el.Value.(*known).Person, true
	}
	h.mu.Unlock()
	if !found {
		p, err = s.recallHabits(ctx, id)
	}
	return p, p.First > 0, err
}

const savePrincipal = `INSERT INTO watch_principal (mark, seen, box) VALUES ($1, $2, $3) ON CONFLICT (mark) DO UPDATE SET seen = excluded.seen, box = excluded.box`
