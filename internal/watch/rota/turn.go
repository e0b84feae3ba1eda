package rota

import (
	"slices"
	"time"
)

// The rotas there are.
const (
	First  = "first"
	Second = "second"
)

// Rota is who takes turns, a week each.
type Rota struct {
	Name      string
	Zone      string // of the hour at which turns change
	Day       time.Weekday
	Minute    int      // of that day
	People    []string // ids, in the order of their turns
	Begins    time.Time
	Changed   time.Time
	ChangedBy string // kind/id

	holder string // whose turn was last announced
	place  *time.Location
}

// Clock is the hour at which turns change, such as 09:00.
func (r *Rota) Clock() string {
	return time.Date(2000, 1, 1, 0, r.Minute, 0, 0, time.UTC).Format("15:04")
}

// Place is the zone of its hours.
func (r *Rota) Place() *time.Location { return r.place }

// handover is when the nth turn begins, by the clock on the wall.
func (r *Rota) handover(n int) time.Time {
	b := r.Begins.In(r.place)
	return time.Date(b.Year(), b.Month(), b.Day()+7*n, 0, r.Minute, 0, 0, r.place)
}

// turn is the number of the turn at a time; those before it began count down.
func (r *Rota) turn(t time.Time) int {
	n := int(t.Sub(r.Begins) / (7 * 24 * time.Hour))
	for r.handover(n).After(t) {
		n--
	}
	for !r.handover(n + 1).After(t) {
		n++
	}
	return n
}

func (r *Rota) person(n int) string {
	k := len(r.People)
	return r.People[(n%k+k)%k]
}

// last is the hand-over at or before a time, for a rota that begins now.
func (r *Rota) last(now time.Time) time.Time {
	n := now.In(r.place)
	d := time.Date(n.Year(), n.Month(), n.Day()-(int(n.Weekday())-int(r.Day)+7)%7, 0, r.Minute, 0, 0, r.place)
	if d.After(now) {
		d = time.Date(d.Year(), d.Month(), d.Day()-7, 0, r.Minute, 0, 0, r.place)
	}
	return d.UTC()
}

// Override is a turn, or a part of one, that somebody takes over, and perhaps another in return.
type Override struct {
	ID                  string
	Rota                string
	From, Until         time.Time
	BackFrom, BackUntil time.Time // zero: nothing in return
	Of, By              string    // whose turn it is, and who takes it; ids
	Made                time.Time
	MadeBy              string // kind/id
	OfAgreed, ByAgreed  time.Time
}

// Stands reports whether both have agreed.
func (o *Override) Stands() bool { return !o.OfAgreed.IsZero() && !o.ByAgreed.IsZero() }

// over reports whether its time is over.
func (o *Override) over(now time.Time) bool {
	return !o.Until.After(now) && !o.BackUntil.After(now)
}

func within(t, from, until time.Time) bool { return !t.Before(from) && t.Before(until) }

// Turn is who is told, and whose turn it would be.
type Turn struct{ Person, Instead string }

// Shift is a span in which nothing changes.
type Shift struct {
	From, Until   time.Time
	First, Second Turn // Person is empty where there is nobody
}

// plan is everything that decides whose turn it is.
type plan struct {
	first, second *Rota      // nil: there is none
	overrides     []Override // that stand, in the order in which they came to
}

// at says whose turn it is. Where there is no second rota, whoever is next in the first is second.
func (p *plan) at(rota string, t time.Time) Turn {
	r := p.first
	if rota == Second {
		r = p.second
	}
	switch {
	case r != nil:
		return p.moved(rota, r.person(r.turn(t)), t)
	case rota == First || p.first == nil:
		return Turn{}
	}
	now, n := p.at(First, t).Person, p.first.turn(t)
	for k := range p.first.People {
		if next := p.first.person(n + 1 + k); next != now {
			return Turn{Person: next}
		}
	}
	return Turn{}
}

// moved applies what was taken over: each where it is the turn of whom it was asked.
func (p *plan) moved(rota, person string, t time.Time) Turn {
	out := Turn{Person: person}
	for i := range p.overrides {
		o := &p.overrides[i]
		switch {
		case o.Rota != rota:
		case within(t, o.From, o.Until) && o.Of == out.Person:
			out.Person = o.By
		case within(t, o.BackFrom, o.BackUntil) && o.By == out.Person:
			out.Person = o.Of
		}
	}
	if out.Person != person {
		out.Instead = person
	}
	return out
}

// shifts are the spans from one time to another.
func (p *plan) shifts(from, until time.Time) (out []Shift) {
	cuts := []time.Time{from, until}
	cut := func(ts ...time.Time) {
		for _, t := range ts {
			if t.After(from) && t.Before(until) {
				cuts = append(cuts, t)
			}
		}
	}
	for _, r := range []*Rota{p.first, p.second} {
		if r == nil {
			continue
		}
		for n := r.turn(from); r.handover(n).Before(until); n++ {
			cut(r.handover(n))
		}
	}
	for _, o := range p.overrides {
		cut(o.From, o.Until, o.BackFrom, o.BackUntil)
	}
	slices.SortFunc(cuts, time.Time.Compare)
	for i := 0; i+1 < len(cuts); i++ {
		s := Shift{From: cuts[i].UTC(), Until: cuts[i+1].UTC(), First: p.at(First, cuts[i]), Second: p.at(Second, cuts[i])}
		switch last := len(out) - 1; {
		case !s.From.Before(s.Until):
		case last >= 0 && out[last].First == s.First && out[last].Second == s.Second:
			out[last].Until = s.Until
		default:
			out = append(out, s)
		}
	}
	return out
}

// sole is whose turn it is over a whole span; "" where it is of several.
func (p *plan) sole(rota string, from, until time.Time) string {
	who := p.at(rota, from).Person
	for _, s := range p.shifts(from, until) {
		t := s.First
		if rota == Second {
			t = s.Second
		}
		if t.Person != who {
			return ""
		}
	}
	return who
}
