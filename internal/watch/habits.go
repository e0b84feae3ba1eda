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
	"writ/internal/watch/heavy"
	"writ/internal/watch/series"
)

const (
	mostPeople = 100_000 // whose habits are in memory; the least recently seen go to their rows, but those seen most stay
	keptPeople = 100     // in one change, whose time is limited, at most
	keepHabits = 90 * 24 * time.Hour
)

// habits are what is known of people: in memory, and sealed in rows, which are written each minute
// and with each entry that comes of them. Requests have no number to begin again from: what a crash
// takes is the sights of a minute at most, and none counts twice.
//
// Several servers may see the same person. Each writes a row only over the version that it has read;
// one that finds another joins that with what it has itself, asks again what is new, and writes both.
type habits struct {
	writing sync.Mutex // from the sealing of rows until they are in, so that no older one comes after a newer; before mu

	mu       sync.Mutex
	people   map[string]*list.Element // id → known
	order    *list.List               // the least recently seen last
	most     int
	regulars regulars
	pace     *series.Pace // of rows
}

type known struct {
	id      string
	mark    string      // of the row
	version int64       // of the row that is joined in; 0 = there was none
	sights  int64       // that are in memory,
	kept    int64       // and in the row
	staff   bool        // as they were last seen
	held    bool        // something is new about them, and whoever saw it is about to write it
	owed    []FirstSeen // what came out when rows were joined, until it is an entry; under writing
	baseline.Person
}

func (k *known) dirty() bool { return k.sights != k.kept }

// tell adds what of the news is worth an entry.
func (k *known) tell(es []FirstSeen, news ...baseline.News) []FirstSeen {
	for _, n := range news {
		if what := tell(n, k.staff); what != "" {
			es = append(es, FirstSeen{What: what, Staff: k.staff, person: k.id})
		}
	}
	return es
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
		k := &known{id: r.Who.ID, mark: s.Keys.Pseudonym(keyring.Person(r.Who.ID))}
		var err error
		if k.Person, k.version, err = s.recallHabits(ctx, k.mark); err != nil {
			return err
		}
		if el, err = s.admitPerson(ctx, k); err != nil {
			return err
		}
	}
	x, staff := s.sight(r), r.Who.TeamKind == "staff"
	h.mu.Lock()
	k := el.Value.(*known)
	h.order.MoveToFront(el)
	h.regulars.see(k.id, r.At)
	was := k.Person
	news := k.See(r.At, x, staff, s.learner.zone)
	k.staff = staff
	k.sights++
	worth := tell(news, staff) != ""
	k.held = worth
	h.mu.Unlock()
	if !worth {
		return nil
	}
	return s.recordFirst(ctx, k, news, func(p baseline.Person) (baseline.Person, []FirstSeen) {
		j := was
		joined := j.Join(p, staff)
		return j, k.tell(nil, joined, j.See(r.At, x, staff, s.learner.zone))
	})
}

// recordFirst makes an entry of what is new about somebody, and keeps in the same change that it is
// not new any more. Where another server wrote about them meanwhile, it is seen again, by what both
// know. Where it cannot be recorded, it is unlearned: it will be new the next time.
func (s *Service) recordFirst(ctx context.Context, k *known, news baseline.News, again func(baseline.Person) (baseline.Person, []FirstSeen)) error {
	h := s.habits
	h.writing.Lock()
	defer h.writing.Unlock()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		k.held = false
	}()
	es := k.tell(k.owed, news)
	err := s.writeFirst(ctx, h.look(k), es)
	for errors.Is(err, errBehind) {
		p, version, failed := s.recallHabits(ctx, k.mark)
		if err = failed; err != nil {
			break
		}
		p, es = again(p)
		es = append(es, k.owed...)
		h.mu.Lock()
		k.Person, k.version = p, version
		h.mu.Unlock()
		if len(es) > 0 {
			err = s.writeFirst(ctx, h.look(k), es)
		}
	}
	if err != nil {
		s.dropPerson(k.id)
	}
	if errors.Is(err, fault.Gone) { // erased meanwhile
		return nil
	}
	return err //nolint:wrapcheck // the ledger, or the keyring, says what failed
}

// writeFirst writes a row with the entries that come of it.
func (s *Service) writeFirst(ctx context.Context, row *habitRow, es []FirstSeen) error {
	if err := s.sealHabits(ctx, row); err != nil {
		return err
	}
	_, err := s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		for _, e := range es[1:] {
			tx.Also(e)
		}
		return es[0], row.save(ctx, tx)
	})
	if err == nil {
		row.of.owed = nil
		s.habits.wrote(row)
	}
	return err //nolint:wrapcheck // its caller says what
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
			last := h.leaves()
			k := last.Value.(*known)
			if k.dirty() {
				break
			}
			h.order.Remove(last)
			delete(h.people, k.id)
		}
		if h.order.Len() >= h.most {
			for el := h.order.Back(); el != nil && len(unkept) < keptPeople; el = el.Prev() {
				if k := el.Value.(*known); k.dirty() {
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

// leaves is who was not seen for longest, of those who are not seen most; where all are, of them. Whoever
// stays has a turn behind the others, so that nobody is passed by again and again. The caller holds mu.
func (h *habits) leaves() *list.Element {
	for range min(h.order.Len(), heavy.Kept) {
		last := h.order.Back()
		if !h.regulars.has(last.Value.(*known).id) {
			return last
		}
		h.order.MoveToFront(last)
	}
	return h.order.Back()
}

// regulars are the people who were seen most on the last day that is over, 2,048 of them; on the first
// day, so far. A crowd of people who are seen once does not make room for itself by them.
type regulars struct {
	day       int64 // since 1970
	now, last heavy.Hitters
	over      bool // a day is
}

func (r *regulars) see(id string, at time.Time) {
	if day := at.Unix() / int64((24 * time.Hour).Seconds()); day > r.day {
		r.over = r.day > 0
		r.day, r.last, r.now = day, r.now, heavy.Hitters{}
	}
	r.now.Add(id, 1)
}

func (r *regulars) has(id string) bool {
	if r.over {
		return r.last.Has(id)
	}
	return r.now.Has(id)
}

// recallHabits opens what is kept of a person, and says which version of the row it is; nothing, and
// 0, where there is none, and nothing where there is no key.
func (s *Service) recallHabits(ctx context.Context, mark string) (p baseline.Person, version int64, err error) {
	var box []byte
	err = ledger.One(ctx, s.DB, `SELECT box, version FROM watch_principal WHERE mark = $1`, []any{&box, &version}, mark)
	if errors.Is(err, fault.NotFound) {
		return p, 0, nil
	}
	if err != nil {
		return p, 0, fmt.Errorf("read habits: %w", err)
	}
	kid, err := envelope.KeyID(box)
	if err != nil {
		return p, 0, fmt.Errorf("read habits: %w", err)
	}
	key, err := s.Keys.ByID(ctx, kid)
	if errors.Is(err, fault.Gone) || errors.Is(err, fault.NotFound) {
		return p, version, nil
	}
	if err != nil {
		return p, 0, fmt.Errorf("key of habits: %w", err)
	}
	b, err := key.Open(box, placeOfHabits(mark))
	if err != nil {
		return p, 0, fmt.Errorf("open habits: %w", err)
	}
	err = p.UnmarshalBinary(b.Reveal())
	return p, version, err
}

// KeepHabits writes what has changed of people, sealed under their keys.
func (s *Service) KeepHabits(ctx context.Context) error {
	h := s.habits
	var changed []*known
	h.mu.Lock()
	for _, el := range h.people {
		if k := el.Value.(*known); k.dirty() {
			changed = append(changed, k)
		}
	}
	h.mu.Unlock()
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
	of      *known
	person  baseline.Person
	sights  int64 // that are in it
	version int64 // over which it is written
	free    bool  // there is something to write, and it waits for no entry
	seen    int64
	box     []byte
}

// look is the row of a person as they are known now.
func (h *habits) look(k *known) *habitRow {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &habitRow{of: k, person: k.Person, sights: k.sights, version: k.version, free: k.dirty() && !k.held, seen: k.Last * time.Minute.Microseconds()}
}

// errBehind is a row that another server has written since it was read.
var errBehind = errors.New("another server has written these habits meanwhile")

// next is the row's version once it is written. It goes up, and never comes again: a row that was
// forgotten and began anew is later than whatever stood in it before. In seconds, for rows are small.
func (r *habitRow) next() int64 { return max(r.version, r.seen/time.Second.Microseconds()) + 1 }

func (r *habitRow) save(ctx context.Context, tx *ledger.Tx) error {
	n, err := tx.Exec(ctx, savePrincipal, r.of.mark, r.seen, r.box, r.next(), r.version)
	if err == nil && n == 0 {
		err = errBehind
	}
	return err //nolint:wrapcheck // its caller says what
}

// wrote notes that rows are in.
func (h *habits) wrote(rows ...*habitRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range rows {
		r.of.version, r.of.kept = r.next(), r.sights
	}
}

// keepPeople does it in the order of the rows: those beside each other are written together, and no
// two servers wait for each other.
func (s *Service) keepPeople(ctx context.Context, people []*known) error {
	slices.SortFunc(people, func(a, b *known) int { return cmp.Compare(a.mark, b.mark) })
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

// keepSome writes the rows of some people; of whom it was done meanwhile, none.
func (s *Service) keepSome(ctx context.Context, people []*known) error {
	h := s.habits
	h.writing.Lock()
	defer h.writing.Unlock()
	for len(people) > 0 {
		behind, err := s.writeSome(ctx, people)
		if err != nil {
			return fmt.Errorf("keep habits: %w", err)
		}
		for _, k := range behind {
			if err := s.joinHabits(ctx, k); err != nil {
				return err
			}
		}
		people = behind
	}
	return nil
}

// joinHabits takes in what another server wrote of a person. The caller holds writing.
func (s *Service) joinHabits(ctx context.Context, k *known) error {
	p, version, err := s.recallHabits(ctx, k.mark)
	if err != nil {
		return err
	}
	h := s.habits
	h.mu.Lock()
	defer h.mu.Unlock()
	if k.held { // whoever saw it joins them, and sees it again
		return nil
	}
	k.owed = k.tell(k.owed, k.Join(p, k.staff))
	k.version = version
	return nil
}

// writeSome writes the rows of some people in one change; each of whom something is owed, in their
// own. It returns those of whom another server has written meanwhile. The caller holds writing.
func (s *Service) writeSome(ctx context.Context, people []*known) (behind []*known, err error) {
	h := s.habits
	var rows []*habitRow
	for _, k := range people {
		row := h.look(k)
		if !row.free {
			continue
		}
		if len(k.owed) > 0 {
			err = s.writeFirst(ctx, row, k.owed)
		} else if err = s.sealHabits(ctx, row); err == nil {
			rows = append(rows, row)
		}
		switch {
		case errors.Is(err, fault.Gone), errors.Is(err, fault.NotFound):
			s.dropPerson(k.id)
		case errors.Is(err, errBehind):
			behind = append(behind, k)
		case err != nil:
			return nil, err
		}
	}
	if len(rows) == 0 {
		return behind, nil
	}
	var in []*habitRow
	var out []*known
	if err := s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
		in, out = nil, nil
		for _, r := range rows {
			switch err := r.save(ctx, tx); {
			case errors.Is(err, errBehind):
				out = append(out, r.of)
			case err != nil:
				return err
			default:
				in = append(in, r)
			}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	h.wrote(in...)
	return append(behind, out...), nil
}

func (s *Service) sealHabits(ctx context.Context, r *habitRow) error {
	b, err := r.person.MarshalBinary()
	if err != nil {
		return err
	}
	key, err := s.Keys.Key(ctx, keyring.Person(r.of.id))
	if err != nil {
		return fmt.Errorf("seal habits: %w", err)
	}
	r.box = key.Seal(b, placeOfHabits(r.of.mark))
	return nil
}

// dropPerson takes somebody out of memory, and with them what is not in their row.
func (s *Service) dropPerson(id string) {
	h := s.habits
	h.mu.Lock()
	defer h.mu.Unlock()
	if el := h.people[id]; el != nil {
		k := el.Value.(*known)
		k.kept = k.sights // nothing of it is written any more
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

// Habits is what is kept about a person, for their copy: what this server has in memory, and what
// others have written. found is false where there is nothing.
func (s *Service) Habits(ctx context.Context, id string) (p baseline.Person, found bool, err error) {
	h := s.habits
	p, version, err := s.recallHabits(ctx, s.Keys.Pseudonym(keyring.Person(id)))
	if err != nil {
		return p, false, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if el := h.people[id]; el != nil {
		k := el.Value.(*known)
		row := p
		if p = k.Person; k.version != version {
			p.Join(row, k.staff)
		}
	}
	return p, p.First > 0, nil
}

const savePrincipal = `INSERT INTO watch_principal (mark, seen, box, version) VALUES ($1, $2, $3, $4)
	ON CONFLICT (mark) DO UPDATE SET seen = excluded.seen, box = excluded.box, version = excluded.version WHERE watch_principal.version = $5`
