package baseline_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"writ/internal/watch/baseline"
	"writ/internal/watch/place"
)

// sorted is a person with their values in an order of their own.
func sorted(t *testing.T, p baseline.Person) string {
	t.Helper()
	for _, s := range []*baseline.Set{&p.Networks, &p.Agents, &p.Routes, &p.Countries, &p.Trips} {
		s.Values = slices.Clone(s.Values)
		slices.SortFunc(s.Values, func(a, b baseline.Value) int { return cmp.Compare(a.V, b.V) })
	}
	p.Recent = slices.Clone(p.Recent)
	rank := func(x any) string { b, err := json.Marshal(x); must(t, err); return string(b) }
	for i := range p.Recent {
		for k := range i {
			if rank(p.Recent[i]) < rank(p.Recent[k]) {
				p.Recent[i], p.Recent[k] = p.Recent[k], p.Recent[i]
			}
		}
	}
	return rank(p)
}

// Two that see the same person, and join what they know with what is kept whenever it may be, know in
// the end what one knows that saw all of it.
func TestJoinedAsOne(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 5))
		var two [2]baseline.Person
		var row, all baseline.Person
		at := monday
		for range 2000 {
			i := r.IntN(2)
			switch r.IntN(9) {
			case 0:
				two[i].Join(row, false)
				row = two[i]
				continue
			case 1: // hours go by
				for i := range two {
					two[i].Join(row, false)
					row = two[i]
				}
				at = at.Add(time.Duration(r.IntN(50)) * time.Hour)
			}
			at = at.Add(time.Duration(r.IntN(60)) * time.Second)
			x := baseline.Sight{Network: fmt.Sprint("n", r.IntN(6)), Agent: fmt.Sprint("a", r.IntN(3)), Route: fmt.Sprint("/", r.IntN(20))}
			two[i].See(at, x, false, time.UTC)
			all.See(at, x, false, time.UTC)
		}
		at = at.Add(time.Minute)
		last := baseline.Sight{Network: "n1", Agent: "a1", Route: "/"} // of both, so that both know which half hour it is
		all.See(at, last, false, time.UTC)
		for i := range two {
			two[i].See(at, last, false, time.UTC)
			two[i].Join(row, false)
			row = two[i]
		}
		two[0].Join(row, false)
		for i := range two {
			if got, want := sorted(t, two[i]), sorted(t, all); got != want {
				t.Fatalf("seed %d, the %dth: known as\n%s, by one that saw all as\n%s", seed, i, got, want)
			}
		}
	}
}

// What was copied before a sight, or before a joining, is as it was.
func TestCopiesStay(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	p, other := baseline.Person{}, baseline.Person{}
	at := monday
	other.See(at, baseline.Sight{Network: "o", Agent: "o", Route: "/o"}, true, time.UTC)
	for range 3000 {
		was := p
		before, err := was.MarshalBinary()
		must(t, err)
		at = at.Add(time.Duration(r.IntN(60)) * time.Second)
		if r.IntN(200) == 0 {
			at = at.Add(time.Duration(r.IntN(100)) * 24 * time.Hour)
		}
		spot := place.Spot{Country: fmt.Sprint("c", r.IntN(9)), Latitude: float64(r.IntN(90))}
		p.See(at, baseline.Sight{Network: fmt.Sprint("n", r.IntN(90)), Agent: fmt.Sprint("a", r.IntN(9)), Route: fmt.Sprint("/", r.IntN(50)), Spot: &spot}, true, time.UTC)
		if r.IntN(50) == 0 {
			p.Join(other, true)
		}
		after, err := was.MarshalBinary()
		must(t, err)
		if string(before) != string(after) {
			t.Fatalf("what was copied as\n%s is now\n%s", before, after)
		}
	}
}

// What neither of two could see without the other is new when they join, once.
func TestJoinTells(t *testing.T) { // breaks: mon.abnormal
	oslo, auckland := &place.Spot{Country: "NO", Latitude: 59.9, Longitude: 10.7}, &place.Spot{Country: "NZ", Latitude: -36.8, Longitude: 174.8}
	type sight struct {
		who int // 0: both, before they parted
		at  time.Duration
		x   baseline.Sight
	}
	home := sight{0, 0, baseline.Sight{Network: "home", Agent: "Firefox"}}
	cases := map[string]struct {
		sights   []sight
		customer bool
		want     baseline.News
	}{
		"nothing":                              {[]sight{home}, false, baseline.News{}},
		"what each told by itself":             {[]sight{home, {1, time.Hour, baseline.Sight{Network: "n1", Agent: "Firefox"}}, {2, time.Hour, baseline.Sight{Network: "n2", Agent: "Firefox"}}}, false, baseline.News{}},
		"both the same, for the first time":    {[]sight{{1, 0, home.x}, {2, 0, home.x}}, false, baseline.News{}},
		"each another one, for the first time": {[]sight{{1, 0, home.x}, {2, 0, baseline.Sight{Network: "n2", Agent: "curl"}}}, false, baseline.News{Network: true, Agent: true}},
		"one network, two agents":              {[]sight{{1, 0, home.x}, {2, 0, baseline.Sight{Network: "home", Agent: "curl"}}}, false, baseline.News{Agent: true}},
		"a young customer":                     {[]sight{{1, 0, home.x}, {2, 0, baseline.Sight{Network: "n2", Agent: "curl"}}}, true, baseline.News{}},
		"one has forgotten":                    {[]sight{home, {1, 89 * 24 * time.Hour, home.x}, {2, 91 * 24 * time.Hour, baseline.Sight{Network: "n2", Agent: "Firefox"}}}, false, baseline.News{Network: true}},
		"two and one make a crowd":             {[]sight{home, {1, 1 * time.Minute, baseline.Sight{Network: "n1", Agent: "Chrome"}}, {2, 20 * time.Minute, baseline.Sight{Network: "n2", Agent: "curl"}}}, false, baseline.News{Shared: true}},
		"one after the other":                  {[]sight{home, {1, 1 * time.Minute, baseline.Sight{Network: "n1", Agent: "Chrome"}}, {2, 40 * time.Minute, baseline.Sight{Network: "n2", Agent: "curl"}}}, false, baseline.News{}},
		"a crowd that was told":                {[]sight{home, {1, 1 * time.Minute, baseline.Sight{Network: "n1", Agent: "Chrome"}}, {1, 2 * time.Minute, baseline.Sight{Network: "n2", Agent: "curl"}}, {2, 3 * time.Minute, baseline.Sight{Network: "n3", Agent: "Firefox"}}}, false, baseline.News{}},
		"here, and there":                      {[]sight{home, {1, time.Hour, baseline.Sight{Network: "n1", Spot: oslo}}, {2, 2 * time.Hour, baseline.Sight{Network: "n2", Spot: auckland}}}, false, baseline.News{Travel: true, Country: true}},
		"there, and here":                      {[]sight{home, {2, time.Hour, baseline.Sight{Network: "n1", Spot: oslo}}, {1, 2 * time.Hour, baseline.Sight{Network: "n2", Spot: auckland}}}, false, baseline.News{Travel: true, Country: true}},
		"a day later":                          {[]sight{home, {1, time.Hour, baseline.Sight{Network: "n1", Spot: oslo}}, {2, 26 * time.Hour, baseline.Sight{Network: "n2", Spot: auckland}}}, false, baseline.News{Country: true}},
		"a trip that was told":                 {[]sight{home, {0, time.Hour, baseline.Sight{Network: "n1", Spot: oslo}}, {0, 2 * time.Hour, baseline.Sight{Network: "n2", Spot: auckland}}, {1, 3 * time.Hour, baseline.Sight{Network: "n1", Spot: oslo}}, {2, 4 * time.Hour, baseline.Sight{Network: "n2", Spot: auckland}}}, false, baseline.News{}},
	}
	for name, c := range cases {
		var two [2]baseline.Person
		for _, s := range c.sights {
			for i := range two {
				if s.who == 0 || s.who == i+1 {
					two[i].See(monday.Add(s.at), s.x, true, time.UTC)
				}
			}
		}
		for _, order := range [][2]int{{0, 1}, {1, 0}} {
			p, q := two[order[0]], two[order[1]]
			if got := p.Join(q, !c.customer); got != c.want {
				t.Errorf("%s, %v: %+v, want %+v", name, order, got, c.want)
			}
			for range 2 {
				if got := q.Join(p, !c.customer); got.Any() {
					t.Errorf("%s, %v: %+v is said twice", name, order, got)
				}
			}
			if got, want := sorted(t, q), sorted(t, p); got != want {
				t.Errorf("%s, %v: %s is not %s", name, order, got, want)
			}
		}
	}
}

// What is joined keeps the bounds: 64 values of a kind, of 90 days, and hours of two times 45 days.
func TestJoinBounds(t *testing.T) {
	sees := func(p *baseline.Person, at time.Time, from, until int) {
		for i := from; i < until; i++ {
			p.See(at, baseline.Sight{Network: fmt.Sprint("n", i)}, true, time.UTC)
		}
	}
	for name, c := range map[string]struct {
		old   time.Duration // how long before q's p's are
		until int           // of q's, which begin at 20
		many  bool
		n     int
	}{
		"room":          {0, 64, false, 64},
		"no room":       {0, 65, true, 0},
		"all recent":    {90 * 24 * time.Hour, 65, true, 0},
		"some are old":  {91 * 24 * time.Hour, 65, false, 45},
		"old, but room": {91 * 24 * time.Hour, 64, false, 64},
	} {
		var p, q baseline.Person
		sees(&p, monday, 0, 20)
		sees(&q, monday.Add(c.old), 20, c.until)
		p.Join(q, true)
		if p.Networks.Many != c.many || len(p.Networks.Values) != c.n {
			t.Errorf("%s: %v, %d values", name, p.Networks.Many, len(p.Networks.Values))
		}
		b, err := p.MarshalBinary()
		must(t, err)
		must(t, q.UnmarshalBinary(b))
	}
	for later, want := range map[time.Duration]string{0: "[Monday 09 Monday 11]", 45 * 24 * time.Hour: "[Monday 09 Thursday 11]", 90 * 24 * time.Hour: "[Sunday 11]"} {
		var two [2]baseline.Person
		two[0].See(monday.Add(9*time.Hour), baseline.Sight{}, true, time.UTC)
		two[1].See(monday.Add(later+11*time.Hour), baseline.Sight{}, true, time.UTC)
		for i, p := range two {
			p.Join(two[1-i], true)
			if got := fmt.Sprint(p.Times()); got != want || p.First*60 != monday.Add(9*time.Hour).Unix() || p.Last*60 != monday.Add(later+11*time.Hour).Unix() {
				t.Errorf("%s later: %s, want %s; from %d to %d", later, got, want, p.First, p.Last)
			}
		}
	}
}

// A server whose clock is a moment behind does not make the hours forgotten at the end of 45 days.
func TestTurnOfTwo(t *testing.T) {
	const turn = 45 * 24 * time.Hour
	edge := time.Unix(0, 0).UTC().Add((monday.Sub(time.Unix(0, 0))/turn + 1) * turn)
	var p baseline.Person
	for h := range 5 {
		p.See(edge.Add(-time.Duration(3+h)*time.Hour), baseline.Sight{}, true, time.UTC)
	}
	p.See(edge, baseline.Sight{}, true, time.UTC)
	p.See(edge.Add(-time.Second), baseline.Sight{}, true, time.UTC)
	p.See(edge.Add(time.Second), baseline.Sight{}, true, time.UTC)
	if got := len(p.Times()); got != 7 {
		t.Errorf("%d hours are known, want 7: %v", got, p.Times())
	}
}
