package baseline_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"writ/internal/watch/baseline"
	"writ/internal/watch/place"
)

// visits lets a person come on working days at nine, for so many days.
func visits(p *baseline.Person, from time.Time, days int, x baseline.Sight) time.Time {
	for range days {
		if d := from.Weekday(); d != time.Saturday && d != time.Sunday {
			for h := 9; h < 17; h += 2 {
				p.See(from.Add(time.Duration(h)*time.Hour), x, false, time.UTC)
			}
		}
		from = from.Add(24 * time.Hour)
	}
	return from
}

func TestFirstSeen(t *testing.T) {
	home := baseline.Sight{Network: "n1", Agent: "Firefox on Linux", Route: "/"}
	cases := map[string]struct {
		days  int
		after time.Duration
		x     baseline.Sight
		staff bool
		want  baseline.News
	}{
		"as ever":               {60, 9 * time.Hour, home, false, baseline.News{}},
		"another network":       {60, 9 * time.Hour, baseline.Sight{Network: "n2", Agent: home.Agent}, false, baseline.News{Network: true}},
		"another agent":         {60, 9 * time.Hour, baseline.Sight{Network: "n1", Agent: "curl"}, false, baseline.News{Agent: true}},
		"another route":         {60, 9 * time.Hour, baseline.Sight{Network: "n1", Agent: home.Agent, Route: "/x"}, false, baseline.News{}},
		"at night":              {60, 2 * time.Hour, home, false, baseline.News{Hour: true}},
		"an hour later":         {60, 18 * time.Hour, home, false, baseline.News{}},
		"at night, but young":   {20, 2 * time.Hour, home, false, baseline.News{}},
		"a young account":       {3, 9 * time.Hour, baseline.Sight{Network: "n2", Agent: "curl"}, false, baseline.News{}},
		"a young one of staff":  {3, 9 * time.Hour, baseline.Sight{Network: "n2", Agent: "curl"}, true, baseline.News{Network: true, Agent: true}},
		"the first one of all":  {0, 9 * time.Hour, home, true, baseline.News{}},
		"nothing that is known": {60, 9 * time.Hour, baseline.Sight{}, false, baseline.News{}},
	}
	for name, c := range cases {
		p := &baseline.Person{}
		at := visits(p, monday, c.days, home).Add(c.after)
		if at.Weekday() == time.Saturday {
			at = at.Add(48 * time.Hour)
		}
		b, err := p.MarshalBinary()
		must(t, err)
		kept := &baseline.Person{}
		must(t, kept.UnmarshalBinary(b))
		for i, p := range []*baseline.Person{p, kept} {
			if got := p.See(at, c.x, c.staff, time.UTC); got != c.want {
				t.Errorf("%s, kept %d times: %+v, want %+v", name, i, got, c.want)
			}
		}
		if got := p.See(at.Add(time.Minute), c.x, c.staff, time.UTC); got.Any() {
			t.Errorf("%s: new twice: %+v", name, got)
		}
	}
}

// What is kept can be told to whom it is about.
func TestTold(t *testing.T) {
	p := &baseline.Person{}
	visits(p, monday, 2, baseline.Sight{Network: "n1", Agent: "curl", Route: "/"})
	if got := fmt.Sprint(p.Networks.Known(), p.Agents.Known(), p.Routes.Known(), p.Times()); got != "[n1] [curl] [/] [Monday 09 Monday 11 Monday 13 Monday 15 Tuesday 09 Tuesday 11 Tuesday 13 Tuesday 15]" {
		t.Error(got)
	}
}

// After 64 networks nothing about them is new; after 90 days one is forgotten.
func TestManyAndForgotten(t *testing.T) {
	p := &baseline.Person{}
	at := visits(p, monday, 30, baseline.Sight{Network: "home", Agent: "a"})
	seen := 0
	for i := range 100 {
		if p.See(at.Add(time.Duration(i)*time.Hour), baseline.Sight{Network: fmt.Sprint(i), Agent: "a"}, false, time.UTC).Network {
			seen++
		}
	}
	if seen != 63 || p.Networks.Known()[0] != "many" || len(p.Networks.Values) != 0 {
		t.Errorf("%d of 100 networks were new; %+v", seen, p.Networks)
	}
	q := &baseline.Person{}
	at = visits(q, monday, 30, baseline.Sight{Network: "old", Agent: "a"})
	at = visits(q, at, 91, baseline.Sight{Network: "home", Agent: "a"})
	q.See(at, baseline.Sight{Network: "third", Agent: "a"}, false, time.UTC)
	if n := q.See(at, baseline.Sight{Network: "old", Agent: "a"}, false, time.UTC); !n.Network {
		t.Errorf("a network of 91 days ago is remembered: %+v", q.Networks)
	}
}

// Somebody with a telephone and a desk is one person; three networks and agents at once are not.
func TestShared(t *testing.T) {
	p := &baseline.Person{}
	at := visits(p, monday, 30, baseline.Sight{Network: "desk", Agent: "Firefox on Linux"}).Add(9 * time.Hour)
	for i := range 20 {
		if p.See(at.Add(time.Duration(i)*time.Minute), baseline.Sight{Network: []string{"desk", "mobile"}[i%2], Agent: []string{"Firefox on Linux", "Safari on iOS"}[i%2]}, false, time.UTC).Shared {
			t.Fatal("a telephone beside a desk is shared")
		}
	}
	if !p.See(at.Add(21*time.Minute), baseline.Sight{Network: "abroad", Agent: "Chrome on Windows"}, false, time.UTC).Shared {
		t.Error("three at once are one person")
	}
	q := &baseline.Person{}
	at = visits(q, monday, 30, baseline.Sight{Network: "desk", Agent: "Firefox on Linux"}).Add(9 * time.Hour)
	for i, x := range []baseline.Sight{{Network: "a", Agent: "A"}, {Network: "b", Agent: "B"}, {Network: "c", Agent: "C"}} {
		if q.See(at.Add(time.Duration(i)*31*time.Minute), x, false, time.UTC).Shared {
			t.Error("three one after the other are shared")
		}
	}
}

func TestUsual(t *testing.T) {
	const floor = 100
	u, minute := &baseline.Usual{}, monday.Unix()/60
	begin := minute
	day := func(n float64) {
		for h := int64(9); h < 17; h++ {
			for m := range int64(60) {
				u.Learn(minute+h*60+m, n/60, floor)
			}
		}
		minute += 24 * 60
	}
	for range 13 {
		day(120)
	}
	if u.Above(minute, begin, 1e6, floor) != 0 {
		t.Error("judged before two weeks")
	}
	day(120)
	at := minute + 10*60
	for v, want := range map[float64]bool{120: false, 300: false, 800: true} {
		if got := u.Above(at, begin, v, floor) > 1; got != want {
			t.Errorf("%v in an hour is unusual: %v", v, got)
		}
	}
	for i := range int64(630) { // an attack is clipped, or it would be usual
		u.Learn(at+i, 100_000, floor)
	}
	if u.Above(at+24*60, begin, 20_000, floor) <= 1 {
		t.Error("after an attack its like is usual")
	}
	for d := range int64(20) { // an attack in parts, each just under the bound
		for h := range int64(3) {
			u.Learn(at+(40+d*24+h)*60, 290, floor)
		}
	}
	if u.Above(at+60*24*60, begin, 20_000, floor) <= 1 {
		t.Error("small steps made a great one usual")
	}
	u.Accept(20_000)
	if u.Above(at+24*60, begin, 20_000, floor) > 1 {
		t.Error("not usual after it was accepted")
	}
	none := &baseline.Usual{}
	if none.Above(at, begin, 150, floor) > 1 || none.Above(at, begin, 250, floor) <= 1 {
		t.Error("of whom nothing is known, twice the floor is unusual")
	}
	b, err := u.MarshalBinary()
	must(t, err)
	kept := &baseline.Usual{}
	must(t, kept.UnmarshalBinary(b))
	if *kept != *u {
		t.Error("not kept as it was")
	}
}

func FuzzPerson(f *testing.F) {
	p := &baseline.Person{}
	visits(p, monday, 9, baseline.Sight{Network: "n", Agent: "a", Route: "/"})
	b, _ := p.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p, q baseline.Person
		if p.UnmarshalBinary(b) == nil {
			was := p
			q.See(monday, baseline.Sight{Network: "q", Agent: "r", Route: "s"}, false, time.UTC)
			p.See(monday, baseline.Sight{Network: "x", Agent: "y", Route: "z"}, false, time.UTC)
			p.Join(q, true)
			p.Join(was, true)
			joined, err := p.MarshalBinary()
			must(t, err)
			if err := q.UnmarshalBinary(joined); err != nil && len(joined) <= 64<<10 {
				t.Errorf("joined, it cannot be read: %v", err)
			}
		}
		var u baseline.Usual
		if u.UnmarshalBinary(b) == nil {
			u.Learn(u.Last+1, 1, 1)
		}
	})
}

// BenchmarkPeople prints what 100,000 people's habits take.
func BenchmarkPeople(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		people := make(map[string]*baseline.Person, n)
		for i := range n {
			p := &baseline.Person{}
			for k := range 12 {
				p.See(monday.Add(time.Duration(k)*26*time.Hour), baseline.Sight{Network: fmt.Sprintf("10.%d.%d.0/24", i%250, k%4), Agent: []string{"Firefox on Linux", "Safari on iOS"}[k%2], Route: fmt.Sprintf("/orders/%d", k)}, false, time.UTC)
			}
			people[fmt.Sprintf("%032x", i)] = p
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
		runtime.KeepAlive(people)
	}
}

// Somebody who is too far away too soon did not travel: it is told once of two places, across
// restarts, and never where nobody knows a place, or nearby.
func TestTravel(t *testing.T) { // breaks: mon.abnormal
	oslo, auckland, bergen := &place.Spot{Country: "NO", Latitude: 59.9, Longitude: 10.7}, &place.Spot{Country: "NZ", Latitude: -36.8, Longitude: 174.8}, &place.Spot{Country: "NO", Latitude: 60.4, Longitude: 5.3}
	p := &baseline.Person{}
	at := monday
	see := func(later time.Duration, network string, spot *place.Spot, want baseline.News) {
		t.Helper()
		b, err := p.MarshalBinary()
		must(t, err)
		p = &baseline.Person{}
		must(t, p.UnmarshalBinary(b))
		at = at.Add(later)
		got := p.See(at, baseline.Sight{Network: network, Agent: "Firefox", Spot: spot}, true, time.UTC)
		if got.Hour = false; got != want {
			t.Errorf("%s after %s: %+v, want %+v", network, later, got, want)
		}
	}
	see(0, "n1", oslo, baseline.News{})
	see(time.Hour, "n1", auckland, baseline.News{Country: true}) // the same network: the table was changed
	see(time.Hour, "n1", oslo, baseline.News{})
	see(time.Hour, "n2", bergen, baseline.News{Network: true}) // 300 km
	see(time.Hour, "n3", nil, baseline.News{Network: true})
	see(time.Minute, "n4", auckland, baseline.News{Network: true, Travel: true})
	see(time.Hour, "n2", bergen, baseline.News{}) // back: told already
	see(20*time.Hour, "n4", auckland, baseline.News{})
	see(time.Hour, "n1", oslo, baseline.News{Travel: true})
	see(91*24*time.Hour, "n4", auckland, baseline.News{Network: true, Agent: true, Country: true}) // long ago
	see(time.Hour, "n1", oslo, baseline.News{Network: true, Country: true, Travel: true})
	young := &baseline.Person{}
	young.See(monday, baseline.Sight{Network: "n1", Spot: oslo}, false, time.UTC)
	if n := young.See(monday.Add(time.Hour), baseline.Sight{Network: "n2", Spot: auckland}, false, time.UTC); n.Any() {
		t.Errorf("a young account: %+v", n)
	}
}
