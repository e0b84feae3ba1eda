package baseline

import (
	"cmp"
	"slices"
)

// Join adds what is known of the same person elsewhere: the values of both, each with the day it was
// last seen, within the bounds of See. It says what is new only now: what neither of the two could
// see without the other. Joined again, the same is not.
func (p *Person) Join(q Person, staff bool) (n News) {
	p.Last = max(p.Last, q.Last)
	if p.First == 0 || q.First > 0 && q.First < p.First {
		p.First = q.First
	}
	today := int32(p.Last / day)
	n.Network = p.Networks.join(q.Networks, today)
	n.Agent = p.Agents.join(q.Agents, today)
	p.Routes.join(q.Routes, today)
	n.Country = p.Countries.join(q.Countries, today)
	p.Trips.join(q.Trips, today)
	n.Travel = p.joinSpot(q.Spot, today)
	p.joinHours(q)
	n.Shared = p.joinRecent(q.Recent)
	return p.grown(n, staff)
}

// join reports whether the two had nothing in common, though each had something: then one of them
// began with what was new to the other.
func (s *Set) join(o Set, today int32) (apart bool) {
	if s.Many || o.Many {
		*s = Set{Many: true}
		return false
	}
	live := func(v Value) bool { return !v.forgotten(today) }
	apart = slices.ContainsFunc(s.Values, live) && slices.ContainsFunc(o.Values, live)
	all := Set{Values: slices.Clone(o.Values)}
	for _, v := range s.Values {
		i := all.find(v.V)
		if i < 0 {
			all.Values = append(all.Values, v)
			continue
		}
		if live(v) && live(all.Values[i]) {
			apart = false
		}
		all.Values[i].Day = max(all.Values[i].Day, v.Day)
	}
	if len(all.Values) > mostValues {
		all.Values = slices.DeleteFunc(all.Values, func(v Value) bool { return !live(v) })
	}
	if len(all.Values) > mostValues {
		all, apart = Set{Many: true}, false
	}
	*s = all
	return apart
}

// joinSpot takes the later place as the last, and reports whether nobody gets there from the other.
func (p *Person) joinSpot(o *spot, today int32) bool {
	from, to := o, p.Spot
	if from != nil && to != nil && from.Minute > to.Minute || to == nil {
		from, to = to, from
	}
	p.Spot = to
	return p.flew(from, to, today)
}

func (p *Person) joinHours(q Person) {
	turn := max(p.Turn, q.Turn)
	p.turnTo(turn)
	q.turnTo(turn)
	for i := range p.Hours {
		for k := range p.Hours[i] {
			p.Hours[i][k] |= q.Hours[i][k]
		}
	}
}

// joinRecent reports whether only the places of both are too many for one person.
func (p *Person) joinRecent(o []sight) bool {
	all, last := slices.Clone(o), int64(0)
	for _, s := range p.Recent {
		if i := slices.IndexFunc(all, s.same); i >= 0 {
			all[i].Minute = max(all[i].Minute, s.Minute)
			continue
		}
		all = append(all, s)
	}
	for _, s := range all {
		last = max(last, s.Minute)
	}
	all = slices.DeleteFunc(all, func(s sight) bool { return last-s.Minute > together })
	slices.SortStableFunc(all, func(a, b sight) int { return cmp.Compare(a.Minute, b.Minute) })
	all = slices.Clone(all[max(0, len(all)-mostRecent):])
	told := crowd(p.Recent) || crowd(o)
	p.Recent = all
	return !told && crowd(all)
}
