package rota

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/notify"
)

// Access decides who may see rotas and change them.
type Access interface {
	Allow(ctx context.Context, who actor.Actor, action access.Action, object string) error
}

// Notify is the kit that tells people; *notify.Service.
type Notify interface {
	Prepare(ctx context.Context, ms ...notify.Message) ([]notify.Prepared, error)
	Queue(ctx context.Context, tx *ledger.Tx, ps ...notify.Prepared) error
	Channels(ctx context.Context) ([]notify.Channel, error)
}

// Person is somebody who can be told of alarms.
type Person struct {
	ID, Handle, Email string
	Engineer, Owner   bool
}

// Deps are what a Service is made of; all are needed.
type Deps struct {
	DB     *ledger.DB
	Access Access
	Notify Notify
	People func(ctx context.Context) ([]Person, error) // everybody who can be told
	Origin string                                      // https://app.example.com
	Now    func() time.Time
}

// Service keeps rotas. It is safe for concurrent use.
type Service struct{ Deps }

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Access == nil || d.Notify == nil || d.People == nil || d.Origin == "" || d.Now == nil {
		return nil, errors.New("rota: a dependency is missing")
	}
	return &Service{d}, nil
}

const (
	ahead      = 5 * 7 * 24 * time.Hour // that is shown
	looksAhead = 2 * 7 * 24 * time.Hour // for turns of nobody
	mostPeople = 50
)

// system is what goes on by itself.
var system = actor.System("watch")

func bad(field, problem, want string) error {
	return fault.New(fault.Invalid, "oncall_"+field, fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: field, Code: "oncall_" + field, Problem: want}}})
}

func us(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// Told is who is told at a level: whose turn it is, then the second with them, then the owners
// too. false: there is no rota, or nobody of these can be told, so everybody is who would be
// without one.
func (s *Service) Told(ctx context.Context, level int64) ([]Person, bool, error) { // clause: mon.notify
	p, err := s.plan(ctx, s.DB)
	if err != nil || p.first == nil {
		return nil, false, err
	}
	all, err := s.People(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("who can be told: %w", err)
	}
	now := s.Now()
	first, second := p.at(First, now).Person, p.at(Second, now).Person
	var out []Person
	for _, x := range all {
		if x.ID == first || level > 0 && x.ID == second || level > 1 && x.Owner {
			out = append(out, x)
		}
	}
	return out, len(out) > 0, nil
}

// Wish is a rota as somebody wants it. The first of the people has the turn that goes on.
type Wish struct {
	Rota   string
	People []string // handles, addresses or ids
	Zone   string   // such as Europe/Berlin; "" = UTC
	Day    string   // monday
	At     string   // 09:00
}

var days = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// Days are the days of the week as they are written, from Monday on.
func Days() []string { return append(slices.Clone(days[1:]), days[0]) }

// Set makes a rota, or changes it from this turn on.
func (s *Service) Set(ctx context.Context, who actor.Actor, w Wish) error {
	if err := s.Access.Allow(ctx, who, access.WatchManage, object(w.Rota)); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	all, err := s.People(ctx)
	if err != nil {
		return fmt.Errorf("who can be told: %w", err)
	}
	r, err := Read(w, all)
	if err != nil {
		return err
	}
	people, err := json.Marshal(r.People)
	if err != nil {
		return fmt.Errorf("encode a rota: %w", err)
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		p, err := s.plan(ctx, tx)
		if err != nil {
			return nil, err
		}
		if r.Name == Second && p.first == nil {
			return nil, bad("rota", "There is nobody to be second to.", "The rota first comes first.")
		}
		_, err = tx.Exec(ctx, setRota, r.Name, r.Zone, int64(r.Day), int64(r.Minute), string(people), us(r.last(tx.Now())), us(tx.Now()), who.String())
		return RotaSet{Rota: r.Name, People: r.People, Zone: r.Zone, Day: days[r.Day], At: r.Clock()}, err
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

// Read is a rota of people there are, as somebody wants it.
func Read(w Wish, all []Person) (r Rota, err error) {
	r = Rota{Name: w.Rota, Zone: w.Zone}
	if r.Name != First && r.Name != Second {
		return r, bad("rota", "There is no such rota.", "first or second.")
	}
	if r.Zone == "" {
		r.Zone = "UTC"
	}
	if r.place, err = time.LoadLocation(r.Zone); err != nil || r.Zone == "Local" || len(r.Zone) > 64 {
		return r, bad("zone", "The time zone is not known here.", "A name such as Europe/Berlin, or UTC.")
	}
	day := slices.Index(days, strings.ToLower(w.Day))
	if day < 0 {
		return r, bad("day", "The day of the hand-over is not good.", "A day of the week, such as monday.")
	}
	clock, err := time.Parse("15:04", w.At)
	if err != nil {
		return r, bad("at", "The hour of the hand-over is not good.", "An hour and minutes, such as 09:00.")
	}
	r.Day, r.Minute = time.Weekday(day), clock.Hour()*60+clock.Minute()
	if len(w.People) == 0 || len(w.People) > mostPeople {
		return r, bad("people", "A rota has people.", "1 to 50 of them, in the order of their turns.")
	}
	for _, ref := range w.People {
		x, err := find(all, ref, "people")
		if err != nil {
			return r, err
		}
		r.People = append(r.People, x.ID)
	}
	return r, nil
}

// find is one of those who can be told, by handle, address or id.
func find(all []Person, ref, field string) (Person, error) {
	i := slices.IndexFunc(all, func(p Person) bool {
		return ref != "" && (p.ID == ref || p.Handle == ref || strings.EqualFold(p.Email, ref))
	})
	if i < 0 {
		return Person{}, bad(field, fmt.Sprintf("%q can be told of no alarms.", ref[:min(len(ref), 60)]), "An engineer or owner who has come in, with an address that is confirmed.")
	}
	return all[i], nil
}

// Remove ends a rota.
func (s *Service) Remove(ctx context.Context, who actor.Actor, rota string) error {
	if err := s.Access.Allow(ctx, who, access.WatchManage, object(rota)); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `DELETE FROM watch_rota WHERE name = $1`, rota)
		if err == nil && n == 0 {
			err = unknownRota()
		}
		return RotaRemoved{Rota: rota}, err
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

func unknownRota() error {
	return fault.New(fault.NotFound, "rota_unknown", fault.Public{Problem: "There is no such rota.", Next: "Look at: writ watch oncall show"})
}

// Board is who is on call, and who will be.
type Board struct {
	Rotas     []Rota // first, second, as far as they are set
	Ahead     []Shift
	Overrides []Override // asked for or agreed, whose time is not over
	Gaps      []Gap
	People    []Person // who can be told, and so take turns
	Channels  []string // that took no test this week
}

// Board reads it.
func (s *Service) Board(ctx context.Context, who actor.Actor) (Board, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, "watch/oncall"); err != nil {
		return Board{}, err //nolint:wrapcheck // a fault for the reader
	}
	p, err := s.plan(ctx, s.DB)
	if err != nil {
		return Board{}, err
	}
	b := Board{}
	if b.Overrides, err = s.overrides(ctx, s.DB); err != nil {
		return b, err
	}
	if b.People, err = s.People(ctx); err != nil {
		return b, fmt.Errorf("who can be told: %w", err)
	}
	if p.first == nil {
		return b, nil
	}
	now := s.Now()
	b.Rotas, b.Ahead, b.Gaps = append(b.Rotas, *p.first), p.shifts(now, now.Add(ahead)), p.gaps(now, b.People)
	if p.second != nil {
		b.Rotas = append(b.Rotas, *p.second)
	}
	b.Channels, err = s.failing(ctx)
	return b, err
}

// plan reads the rotas and what was taken over.
func (s *Service) plan(ctx context.Context, r ledger.Reader) (*plan, error) {
	p := &plan{}
	if err := r.Each(ctx, readRotas, func(scan ledger.Scan) error {
		x := Rota{}
		var people string
		var day, minute, begins, changed int64
		if err := scan(&x.Name, &x.Zone, &day, &minute, &people, &begins, &x.holder, &changed, &x.ChangedBy); err != nil {
			return err
		}
		x.Day, x.Minute, x.Begins, x.Changed = time.Weekday(day), int(minute), at(begins), at(changed)
		if err := json.Unmarshal([]byte(people), &x.People); err != nil || len(x.People) == 0 {
			return errors.New("read a rota: its people are something else")
		}
		var err error
		if x.place, err = time.LoadLocation(x.Zone); err != nil { // another machine, without it
			return fmt.Errorf("zone of a rota: %w", err)
		}
		if x.Name == First {
			p.first = &x
		} else {
			p.second = &x
		}
		return nil
	}); err != nil {
		return nil, err //nolint:wrapcheck // the ledger says what failed
	}
	if p.first == nil {
		p.second = nil
		return p, nil
	}
	all, err := s.overrides(ctx, r)
	for i := range all {
		if all[i].Stands() {
			p.overrides = append(p.overrides, all[i])
		}
	}
	slices.SortStableFunc(p.overrides, func(a, b Override) int { return later(&a).Compare(later(&b)) })
	return p, err
}

// later is when the second of two agreed.
func later(o *Override) time.Time {
	if o.OfAgreed.After(o.ByAgreed) {
		return o.OfAgreed
	}
	return o.ByAgreed
}

const (
	setRota = `INSERT INTO watch_rota (name, zone, day, minute, people, begins, holder, changed, changed_by) VALUES ($1, $2, $3, $4, $5, $6, '', $7, $8)
		ON CONFLICT (name) DO UPDATE SET zone = excluded.zone, day = excluded.day, minute = excluded.minute, people = excluded.people, begins = excluded.begins, holder = '', changed = excluded.changed, changed_by = excluded.changed_by`
	readRotas = `SELECT name, zone, day, minute, people, begins, holder, changed, changed_by FROM watch_rota ORDER BY name`
)
