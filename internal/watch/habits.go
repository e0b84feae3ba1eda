package watch

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/watch/baseline"
	"writ/internal/watch/series"
)

const (
	mostPeople = 100_000 // whose habits are in memory; the least recently seen go to their rows
	keptPeople = 100     // in one change, whose time is limited, at most
	keepHabits = 90 * 24 * time.Hour
)

// habits are what is known of people: in memory, and sealed in rows, which are written each minute
// and with each entry that comes of them. Requests have no number to begin again from: what a crash
// takes is the sights of a minute at most, and none counts twice.
type habits struct {
	writing sync.Mutex // from the sealing of rows until they are in, so that no older one comes after a newer; before mu

	mu     sync.Mutex
	people map[string]*list.Element // id → known
	order  *list.List               // the least recently seen last
	most   int
	pace   *series.Pace // of rows
}

type known struct {
	id    string
	mark  string // of the row
	dirty bool
	baseline.Person
}

func newHabits() *habits {
	return &habits{people: map[string]*list.Element{}, order: list.New(), most: mostPeople, pace: series.NewPace(keptPeople, 10)}
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
		mark := s.Keys.Pseudonym(keyring.Person(r.Who.ID))
		p, err := s.recallHabits(ctx, mark)
		if err != nil {
			return err
		}
		if el, err = s.admitPerson(ctx, &known{id: r.Who.ID, mark: mark, Person: p}); err != nil {
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
	if what := tell(news, staff); what != "" {
		return s.recordFirst(ctx, k, FirstSeen{What: what, Staff: staff, person: r.Who.ID})
	}
	return nil
}

// recordFirst makes an entry of what is new about somebody, and keeps in the same change that it is
// not new any more. Where that fails, it is unlearned: it will be new the next time.
func (s *Service) recordFirst(ctx context.Context, k *known, e FirstSeen) error {
	s.habits.writing.Lock()
	defer s.habits.writing.Unlock()
	row, err := s.sealHabits(ctx, k)
	if err == nil {
		_, err = s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) { return e, row.save(ctx, tx) })
	}
	if err == nil {
		return nil
	}
	s.dropPerson(k.id)
	if errors.Is(err, fault.Gone) { // erased meanwhile
		return nil
	}
	return err //nolint:wrapcheck // the ledger, or the keyring, says what failed
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

// admitPerson gives somebody a place in memory.
func (s *Service) admitPerson(ctx context.Context, k *known) (*list.Element, error) {
	if err := s.makeRoom(ctx); err != nil {
		return nil, err
	}
	h := s.habits
	h.mu.Lock()
	defer h.mu.Unlock()
	el := h.order.PushFront(k)
	h.people[k.id] = el
	return el, nil
}

// makeRoom lets whoever was not seen for longest go, once their row is written; with it those of
// the next ones, so that a crowd does not cost a change each.
func (s *Service) makeRoom(ctx context.Context) error {
	h := s.habits
	for {
		var unkept []*known
		h.mu.Lock()
		for h.order.Len() >= h.most {
			last := h.order.Back()
			k := last.Value.(*known)
			if k.dirty {
				break
			}
			h.order.Remove(last)
			delete(h.people, k.id)
		}
		if h.order.Len() >= h.most {
			for el := h.order.Back(); el != nil && len(unkept) < keptPeople; el = el.Prev() {
				if k := el.Value.(*known); k.dirty {
					unkept = append(unkept, k)
				}
			}
		}
		h.mu.Unlock()
		if len(unkept) == 0 {
			return nil
		}
		if err := s.keepPeople(ctx, unkept); err != nil {
			return err
		}
	}
}

// recallHabits opens what is kept of a person; nothing where there is none, or no key.
func (s *Service) recallHabits(ctx context.Context, mark string) (p baseline.Person, err error) {
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

// KeepHabits writes what has changed of people, sealed under their keys. In the order of the rows:
// those beside each other are written together.
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
	slices.SortFunc(changed, func(a, b *known) int { return cmp.Compare(a.mark, b.mark) })
	return s.keepPeople(ctx, changed)
}

// keepsHabits is how often that is done: a crash takes no more.
const keepsHabits = time.Minute

// runHabits keeps them until ctx ends, beside all else: of a crowd it takes seconds.
func (s *Service) runHabits(ctx context.Context) {
	tick := time.NewTicker(keepsHabits)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.KeepHabits(ctx); err != nil && ctx.Err() == nil {
				s.Log.Error("keep habits", "err", err)
			}
		}
	}
}

// habitRow is what is kept of a person.
type habitRow struct {
	mark string
	seen int64
	box  []byte
}

func (r *habitRow) save(ctx context.Context, tx *ledger.Tx) error {
	_, err := tx.Exec(ctx, savePrincipal, r.mark, r.seen, r.box)
	return err //nolint:wrapcheck // its caller says what
}

func (s *Service) keepPeople(ctx context.Context, people []*known) error {
	for len(people) > 0 {
		n := min(len(people), s.habits.pace.Some())
		err := s.keepSome(ctx, people[:n])
		if again := s.habits.pace.Heed(err); again {
			continue
		}
		if err != nil {
			return err
		}
		people = people[n:]
	}
	return nil
}

// keepSome writes the rows of some people in one change; of whom it was done meanwhile, none.
func (s *Service) keepSome(ctx context.Context, people []*known) error {
	h := s.habits
	h.writing.Lock()
	defer h.writing.Unlock()
	var rows []habitRow
	var sealed []*known
	again := func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, k := range sealed {
			k.dirty = true
		}
	}
	for _, k := range people {
		h.mu.Lock()
		dirty := k.dirty
		h.mu.Unlock()
		if !dirty {
			continue
		}
		row, err := s.sealHabits(ctx, k)
		if errors.Is(err, fault.Gone) || errors.Is(err, fault.NotFound) {
			s.dropPerson(k.id)
			continue
		}
		sealed = append(sealed, k)
		if err != nil {
			again()
			return fmt.Errorf("seal habits: %w", err)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		for i := range rows {
			if err := rows[i].save(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		again()
		return fmt.Errorf("keep habits: %w", err)
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
	r.mark = k.mark
	r.box = key.Seal(b, placeOfHabits(r.mark))
	return r, nil
}

// dropPerson takes somebody out of memory, and with them what is not in their row.
func (s *Service) dropPerson(id string) {
	h := s.habits
	h.mu.Lock()
	defer h.mu.Unlock()
	if el := h.people[id]; el != nil {
		el.Value.(*known).dirty = false // nothing of it is written any more
		h.order.Remove(el)
		delete(h.people, id)
	}
}

// eraseHabits forgets an erased person, whose row nobody can open any more.
func (s *Service) eraseHabits(ctx context.Context, id string) error { // clause: data.crypto-erase
	s.habits.writing.Lock() // or a row that was sealed before would come after
	defer s.habits.writing.Unlock()
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
	var b []byte
	h.mu.Lock()
	el := h.people[id]
	if el != nil {
		b, err = el.Value.(*known).MarshalBinary() // a copy: requests go on
	}
	h.mu.Unlock()
	switch {
	case err != nil:
		return p, false, err
	case el != nil:
		err = p.UnmarshalBinary(b)
	default:
		p, err = s.recallHabits(ctx, s.Keys.Pseudonym(keyring.Person(id)))
	}
	return p, p.First > 0, err
}

const savePrincipal = `INSERT INTO watch_principal (mark, seen, box) VALUES ($1, $2, $3) ON CONFLICT (mark) DO UPDATE SET seen = excluded.seen, box = excluded.box`
