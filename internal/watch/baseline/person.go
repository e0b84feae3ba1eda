package baseline

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"writ/internal/watch/place"
)

// The bounds of what is remembered of a person.
const (
	mostValues = 64 // of a kind, then "many"
	forgets    = 90 // days
	young      = 7  // days: nothing is new about an account that is
	settled    = 28 // days, before an hour can be unusual
	together   = 30 // minutes in which one person is in several places
	places     = 3  // networks, and agents, that are too many at once
	mostRecent = 2 * places * places

	farAway = 500.0  // km: nearer, a table of networks is not exact
	fastest = 1000.0 // km in an hour: an airliner
)

// Sight is where and how somebody was seen.
type Sight struct {
	Network, Agent, Route string
	Spot                  *place.Spot // of the network; nil = nobody knows
}

// News is what was seen of somebody for the first time.
type News struct {
	Network, Agent, Hour bool
	Country              bool
	Shared               bool // in so many places at once that several people use the account
	Travel               bool // so far from where they were a moment ago that nobody travels it
}

// Any reports whether there is something.
func (n News) Any() bool { return n != News{} }

// Person is the habits of one. The zero Person was never seen.
type Person struct {
	First    int64 `json:"first"` // minutes since 1970
	Last     int64 `json:"last"`
	Networks Set   `json:"networks,omitzero"`
	Agents   Set   `json:"agents,omitzero"`
	Routes   Set   `json:"endpoints,omitzero"`

	Countries Set   `json:"countries,omitzero"`
	Trips     Set   `json:"trips,omitzero"` // between two networks, that were impossible and told
	Spot      *spot `json:"spot,omitempty"` // where they were last

	Hours [2]hours `json:"hours"` // of the week, of this turn and the one before
	Turn  int64    `json:"turn"`  // 45 days each

	Recent []sight `json:"recent,omitempty"` // the places of the last half hour
}

type sight struct {
	Network string `json:"network"`
	Agent   string `json:"agent"`
	Minute  int64  `json:"minute"`
}

// spot is a place with when somebody was there.
type spot struct {
	place.Spot
	Network string `json:"network"`
	Minute  int64  `json:"minute"`
}

// hours of a week, a bit each.
type hours [3]uint64

func (h *hours) set(i int)      { h[i/64] |= 1 << (i % 64) }
func (h *hours) has(i int) bool { return h[i/64]>>(i%64)&1 == 1 }
func (h *hours) count() int {
	return bits.OnesCount64(h[0]) + bits.OnesCount64(h[1]) + bits.OnesCount64(h[2])
}

// Set is values with the day each was last seen, until they are many.
type Set struct {
	Values []Value `json:"values,omitempty"`
	Many   bool    `json:"many,omitzero"`
}

// Value is one of a set.
type Value struct {
	V   string `json:"v"`
	Day int32  `json:"day"` // since 1970
}

// see reports whether the value is new: not among the others, of which there are some.
func (s *Set) see(v string, today int32) bool {
	if v == "" || s.Many {
		return false
	}
	if i := s.find(v); i >= 0 {
		old := s.Values[i].forgotten(today)
		s.Values = with(s.Values, i, Value{v, today})
		return old
	}
	s.Values = without(s.Values, func(x Value) bool { return x.forgotten(today) })
	if len(s.Values) >= mostValues {
		*s = Set{Many: true}
		return false
	}
	s.Values = append(s.Values, Value{v, today})
	return len(s.Values) > 1
}

func (s *Set) find(v string) int {
	return slices.IndexFunc(s.Values, func(x Value) bool { return x.V == v })
}

func (v Value) forgotten(today int32) bool { return today-v.Day > forgets }

// with sets one value. Neither it nor without writes over what a copy of the slice shares.
func with[T comparable](s []T, i int, v T) []T {
	if s[i] != v {
		s = slices.Clone(s)
		s[i] = v
	}
	return s
}

func without[T any](s []T, gone func(T) bool) []T {
	if !slices.ContainsFunc(s, gone) {
		return s
	}
	return slices.DeleteFunc(slices.Clone(s), gone)
}

// See takes a sight and says what is new about it. Nothing is about an account that is younger
// than a week, except where it is one of staff. A copy of p that was made before stays as it was.
func (p *Person) See(at time.Time, x Sight, staff bool, zone *time.Location) (n News) {
	minute := at.Unix() / 60
	today := int32(minute / day)
	if p.First == 0 {
		p.First = minute
	}
	p.Last = max(p.Last, minute)
	n.Network = p.Networks.see(x.Network, today)
	n.Agent = p.Agents.see(x.Agent, today)
	p.Routes.see(x.Route, today)
	if x.Spot != nil {
		n.Country = p.Countries.see(x.Spot.Country, today)
		n.Travel = p.travel(x, minute, today)
	}
	n.Hour = p.hour(at, minute, zone)
	n.Shared = p.shared(x, minute)
	return p.grown(n, staff)
}

// grown is what counts as new of an account as old as this one.
func (p *Person) grown(n News, staff bool) News {
	if !staff && p.Last-p.First < young*day {
		return News{}
	}
	return n
}

// hour reports whether somebody came at a time of the day at which they never come, not within
// three hours, on whatever day, though their hours are known.
func (p *Person) hour(at time.Time, minute int64, zone *time.Location) (unusual bool) {
	if turn := minute / (forgets / 2 * day); turn != p.Turn-1 { // else a moment before what another server saw
		p.turnTo(turn)
	}
	h, _ := season(at, zone)
	if p.Hours[0].has(h) {
		return false
	}
	known := hours{p.Hours[0][0] | p.Hours[1][0], p.Hours[0][1] | p.Hours[1][1], p.Hours[0][2] | p.Hours[1][2]}
	p.Hours[0].set(h)
	if minute-p.First < settled*day || known.count() < 10 || Shifting(at, zone) {
		return false
	}
	for i := range Seasons {
		if off := (i - h + Seasons) % 24; known.has(i) && (off <= 3 || off >= 21) {
			return false
		}
	}
	return true
}

// turnTo goes on to another turn.
func (p *Person) turnTo(turn int64) {
	switch turn {
	case p.Turn:
		return
	case p.Turn + 1:
		p.Hours = [2]hours{1: p.Hours[0]}
	default:
		p.Hours = [2]hours{}
	}
	p.Turn = turn
}

// travel reports whether somebody is where nobody could be who was where they were last.
func (p *Person) travel(x Sight, minute int64, today int32) bool {
	last := p.Spot
	p.Spot = &spot{*x.Spot, x.Network, minute}
	return p.flew(last, p.Spot, today)
}

// flew reports whether nobody gets from one place to the other in that time. Of two networks it is
// told once: whoever has a tunnel at work goes to and fro all day.
func (p *Person) flew(from, to *spot, today int32) bool {
	if from == nil || to == nil || from.Network == to.Network {
		return false
	}
	way := from.Away(to.Spot)
	if way < farAway || way/max(float64(to.Minute-from.Minute), 1)*60 <= fastest {
		return false
	}
	trip := min(from.Network, to.Network) + " " + max(from.Network, to.Network)
	if i := p.Trips.find(trip); p.Trips.Many || i >= 0 && !p.Trips.Values[i].forgotten(today) {
		return false
	}
	p.Trips.see(trip, today)
	return true
}

// shared reports whether within half an hour one person was in three networks with three agents.
func (p *Person) shared(x Sight, minute int64) bool {
	p.Recent = without(p.Recent, func(s sight) bool { return minute-s.Minute > together })
	now := sight{x.Network, x.Agent, minute}
	if i := slices.IndexFunc(p.Recent, now.same); i >= 0 {
		p.Recent = with(p.Recent, i, now)
		return false
	}
	if x.Network == "" || x.Agent == "" || len(p.Recent) >= mostRecent {
		return false
	}
	p.Recent = append(p.Recent, now)
	return crowd(p.Recent)
}

func (s sight) same(o sight) bool { return s.Network == o.Network && s.Agent == o.Agent }

// crowd reports whether sights are of more places than one person is in.
func crowd(recent []sight) bool {
	if len(recent) < places {
		return false
	}
	networks, agents := map[string]bool{}, map[string]bool{}
	for _, s := range recent {
		networks[s.Network], agents[s.Agent] = true, true
	}
	return len(networks) >= places && len(agents) >= places
}

// Known lists the values, or says that they are many.
func (s *Set) Known() []string {
	if s.Many {
		return []string{"many"}
	}
	out := []string{}
	for _, v := range s.Values {
		out = append(out, v.V)
	}
	return out
}

// Times are the hours of the week at which the person came, as people read them.
func (p *Person) Times() []string {
	out := []string{}
	for i := range Seasons {
		if p.Hours[0].has(i) || p.Hours[1].has(i) {
			out = append(out, fmt.Sprintf("%s %02d", time.Weekday(i/24), i%24))
		}
	}
	return out
}

// MarshalBinary writes all of it.
func (p *Person) MarshalBinary() ([]byte, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode habits: %w", err)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (p *Person) UnmarshalBinary(b []byte) error {
	var in Person
	if len(b) > 64<<10 {
		return errModel
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("decode habits: %w", err)
	}
	for _, s := range []*Set{&in.Networks, &in.Agents, &in.Routes, &in.Countries, &in.Trips} {
		if len(s.Values) > mostValues {
			return errModel
		}
	}
	if len(in.Recent) > mostRecent {
		return errModel
	}
	*p = in
	return nil
}
