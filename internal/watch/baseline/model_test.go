package baseline_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"writ/internal/watch/baseline"
)

var (
	monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	utc    = baseline.Config{Zone: time.UTC, Days: 28}
	floor  = baseline.Floor{Least: 50, Times: 3}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// usual is a company's traffic: days, nights and weekends, with noise.
func usual(r *rand.Rand, t time.Time, size float64) float64 {
	v := size * (1.1 + math.Sin(2*math.Pi*(float64(t.Hour())+float64(t.Minute())/60-9)/24))
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		v *= 0.4
	}
	return max(0, math.Round(v+math.Sqrt(v)*r.NormFloat64()))
}

// learn gives a model some days.
func learn(m *baseline.Model, r *rand.Rand, from time.Time, days int, size float64) time.Time {
	until := from.Add(time.Duration(days) * 24 * time.Hour)
	for t := from; t.Before(until); t = t.Add(time.Minute) {
		m.Learn(t, usual(r, t, size), utc)
	}
	return until
}

// Whatever is usual stays within the band; three times of it, and a fifth of it, do not.
func TestBand(t *testing.T) {
	for _, size := range []float64{60, 2000} {
		r := rand.New(rand.NewPCG(1, 2))
		m := &baseline.Model{}
		at := learn(m, r, monday, 28, size)
		wrong, missed, n := 0, 0, 0
		for end := at.Add(7 * 24 * time.Hour); at.Before(end); at = at.Add(time.Minute) {
			b := m.Band(at, 6, utc)
			v := usual(r, at, size)
			if b.Above(v, 6, floor) > 1 || b.Below(v, 6, floor, 0.4) > 1 {
				wrong++
			}
			if b.Expected > 50 {
				n++
				if b.Above(4*v, 6, floor) <= 1 || b.Below(v/10, 6, floor, 0.4) <= 1 {
					missed++
				}
			}
			m.Learn(at, v, utc)
		}
		if wrong > 2 || missed > n/50 {
			t.Errorf("size %v: of a usual week %d minutes are unusual, and of %d unusual ones %d usual", size, wrong, n, missed)
		}
	}
}

// Before two weeks nothing is judged, and it says how far it is.
func TestLearningIsHonest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	m := &baseline.Model{}
	at := learn(m, r, monday, 13, 500)
	if days, enough := m.Learned(); days != 13 || enough {
		t.Errorf("%d days are enough: %v", days, enough)
	}
	if b := m.Band(at, 6, utc); b.Known || b.Above(1e6, 6, floor) != 0 || b.Below(0, 6, floor, 0.4) != 0 {
		t.Errorf("judged after 13 days: %+v", b)
	}
	at = learn(m, r, at, 1, 500)
	if b := m.Band(at.Add(12*time.Hour), 6, utc); !b.Known || b.Above(1e6, 6, floor) <= 1 {
		t.Errorf("not judged after 14 days: %+v", b)
	}
}

// Small numbers are no alarm, however many times of what is usual they are.
func TestFloor(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	m := &baseline.Model{}
	at := learn(m, r, monday, 21, 1)
	if b := m.Band(at, 6, utc); b.Above(49, 6, floor) != 0 || b.Above(60, 6, floor) <= 1 || b.Below(0, 6, floor, 0.4) != 0 {
		t.Errorf("%+v", b)
	}
}

// An attack of a day does not become what is usual.
func TestPoison(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	clean, poisoned := &baseline.Model{}, &baseline.Model{}
	at := learn(clean, r, monday, 28, 500)
	r = rand.New(rand.NewPCG(7, 8))
	learn(poisoned, r, monday, 28, 500)
	for range 24 * 60 {
		v := usual(r, at, 500)
		clean.Learn(at, v, utc)
		poisoned.Learn(at, 50*v, utc)
		at = at.Add(time.Minute)
	}
	a, b := clean.Band(at, 6, utc), poisoned.Band(at, 6, utc)
	if b.Expected > 1.5*a.Expected || b.Above(10*a.Expected, 6, floor) <= 1 {
		t.Errorf("after a day of an attack %v is expected instead of %v", b.Expected, a.Expected)
	}
}

// A ramp that is too slow for the band shows against the level of four weeks ago; usual growth
// does not; a person may say that it is the new normal.
func TestDrift(t *testing.T) {
	for _, c := range []struct {
		weekly float64
		drifts bool
	}{{1.02, false}, {1.25, true}} {
		r := rand.New(rand.NewPCG(9, 10))
		m := &baseline.Model{}
		at := learn(m, r, monday, 21, 300)
		size := 300.0
		for range 8 * 7 * 24 * 60 {
			size *= math.Pow(c.weekly, 1.0/(7*24*60))
			v := usual(r, at, size)
			if m.Band(at, 6, utc).Above(v, 6, floor) > 1 {
				t.Fatalf("growth of %v a week is a spike at %s", c.weekly, at)
			}
			m.Learn(at, v, utc)
			at = at.Add(time.Minute)
		}
		if d := m.Drift(); (d > 2) != c.drifts {
			t.Errorf("growth of %v a week has drifted by %v", c.weekly, d)
		}
	}
}

func TestAccept(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	m := &baseline.Model{}
	at := learn(m, r, monday, 28, 300)
	for range 3 * 60 { // a great customer came
		m.Learn(at, usual(r, at, 3000), utc)
		at = at.Add(time.Minute)
	}
	if b := m.Band(at, 6, utc); b.Above(usual(r, at, 3000), 6, floor) <= 1 {
		t.Errorf("usual by itself: %+v", b)
	}
	m.Accept()
	if b := m.Band(at, 6, utc); b.Above(usual(r, at, 3000), 6, floor) > 1 || b.Below(usual(r, at, 3000), 6, floor, 0.4) > 1 || m.Drift() > 1.01 {
		t.Errorf("not usual after it was accepted: %+v, drift %v", b, m.Drift())
	}
}

// What comes and goes may be silent for a while; what never rests may not. An outage teaches no
// patience.
func TestSilent(t *testing.T) {
	steady, bursts := &baseline.Model{}, &baseline.Model{}
	at := monday
	for i := range 15 * 24 * 60 {
		steady.Learn(at, 10, utc)
		v := 10.0
		if i%9 > 3 {
			v = 0
		}
		bursts.Learn(at, v, utc)
		at = at.Add(time.Minute)
	}
	if steady.Silent(2) > 1 || steady.Silent(3) <= 1 || bursts.Silent(15) > 1 || bursts.Silent(18) <= 1 {
		t.Errorf("patience of %v and %v", steady.Silent(1), bursts.Silent(1))
	}
	for range 60 {
		steady.Learn(at, 0, utc)
		at = at.Add(time.Minute)
	}
	steady.Learn(at, 10, utc)
	if steady.Silent(3) <= 1 {
		t.Error("an hour of silence became usual")
	}
}

// What comes and goes has no drift, and no band that leaves one half of it out.
func TestTwoHeaps(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	m := &baseline.Model{}
	at := monday
	for range 56 * 24 * 60 {
		v := 0.0
		if r.IntN(8) < 5 {
			v = 100 + float64(r.IntN(20))
		}
		m.Learn(at, v, utc)
		at = at.Add(time.Minute)
	}
	if d := m.Drift(); d > 1.5 || d < 0.67 {
		t.Errorf("a level that never moved has drifted by %v", d)
	}
	if b := m.Band(at, 6, utc); b.Low > 0 || b.High < 120 {
		t.Errorf("%+v", b)
	}
}

// Where the clocks change, nothing is learned, and the band is twice as wide.
func TestClocksChange(t *testing.T) {
	vienna, err := time.LoadLocation("Europe/Vienna")
	if err != nil {
		t.Skip("there is no table of time zones here")
	}
	c := baseline.Config{Zone: vienna, Days: 28}
	m := &baseline.Model{}
	change := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	learned := int64(0)
	for at := monday; at.Before(monday.Add(28 * 24 * time.Hour)); at = at.Add(time.Minute) {
		before, _ := m.MarshalBinary()
		m.Learn(at, 100, c)
		after, _ := m.MarshalBinary()
		if at.Sub(change).Abs() < time.Hour && bytes.Equal(before[9:17], after[9:17]) {
			learned++
		}
	}
	if learned != 119 {
		t.Errorf("of 119 minutes around the change %d were left out", learned)
	}
	usualBand, odd := m.Band(change.Add(-7*24*time.Hour), 6, c), m.Band(change, 6, c)
	if math.Abs(math.Log1p(odd.High)-math.Log1p(odd.Expected)-2*(math.Log1p(usualBand.High)-math.Log1p(usualBand.Expected))) > 0.02 {
		t.Errorf("%+v and %+v", usualBand, odd)
	}
}

// What is given again is not learned again, and what was kept goes on as if it had not been.
func TestReplay(t *testing.T) {
	whole, parts := &baseline.Model{}, &baseline.Model{}
	r := rand.New(rand.NewPCG(13, 14))
	var vs []float64
	at := func(i int) time.Time { return monday.Add(time.Duration(i) * time.Minute) }
	for i := range 20 * 24 * 60 {
		vs = append(vs, usual(r, at(i), 200))
		whole.Learn(at(i), vs[i], utc)
	}
	for to := 0; to < len(vs); {
		from := max(0, to-r.IntN(3000))
		to = min(to+r.IntN(4000), len(vs))
		for i := from; i < to; i++ {
			parts.Learn(at(i), vs[i], utc)
		}
		kept, err := parts.MarshalBinary()
		must(t, err)
		parts = &baseline.Model{}
		must(t, parts.UnmarshalBinary(kept))
	}
	a, _ := whole.MarshalBinary()
	b, _ := parts.MarshalBinary()
	if !bytes.Equal(a, b) {
		t.Error("a replay changes what was learned")
	}
}

func FuzzModel(f *testing.F) {
	m := &baseline.Model{}
	m.Learn(monday, 5, utc)
	b, _ := m.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var m baseline.Model
		if m.UnmarshalBinary(b) == nil {
			m.Learn(m.LastMinute().Add(time.Minute), 3, utc)
			if band := m.Band(m.LastMinute(), 6, utc); math.IsNaN(band.High) || math.IsNaN(m.Drift()) {
				t.Errorf("%+v", band)
			}
		}
	})
}

func BenchmarkLearn(b *testing.B) {
	m := &baseline.Model{}
	r := rand.New(rand.NewPCG(1, 2))
	at := learn(m, r, monday, 15, 500)
	for b.Loop() {
		m.Learn(at, 500, utc)
		at = at.Add(time.Minute)
	}
}
