package heavy_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"writ/internal/watch/heavy"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stream counts a stream both ways.
type stream struct {
	h     heavy.Hitters
	truth map[string]int64
	total int64
}

func (s *stream) add(label string, n int64) {
	s.h.Add(label, n)
	s.truth[label] += n
	s.total += n
}

// zipf adds n labels as people and networks are spread, the second half as often as the first.
func (s *stream) zipf(seed uint64, exponent float64, labels uint64, n int) {
	r := rand.New(rand.NewPCG(seed, 3))
	z := rand.NewZipf(r, exponent, 1, labels-1)
	for range n {
		s.add(fmt.Sprint("z", z.Uint64()), 1+r.Int64N(3))
	}
}

// holds compares a summary with the truth.
func holds(t *testing.T, sum heavy.Summary, truth map[string]int64, total int64) {
	t.Helper()
	kept := map[string]bool{}
	for _, x := range sum.Hits {
		kept[x.Label] = true
		if n := truth[x.Label]; n < x.Least || n > x.Most {
			t.Errorf("%s has %d, which is not within %d and %d", x.Label, n, x.Least, x.Most)
		}
		if x.Most-x.Least > total/heavy.Kept {
			t.Errorf("%s lies within %d and %d: more than %d apart", x.Label, x.Least, x.Most, total/heavy.Kept)
		}
	}
	for label, n := range truth {
		if !kept[label] && n > sum.Floor {
			t.Errorf("%s has %d, and no other label should have more than %d", label, n, sum.Floor)
		}
	}
}

// Against exact counts of streams from even to steep, in one and in parts: each count lies within its
// bounds, the bounds are as narrow as they are promised, and what has most is there and first.
func TestBounds(t *testing.T) {
	for _, exponent := range []float64{1.01, 1.2, 1.6, 2.5} {
		t.Run(fmt.Sprint(exponent), func(t *testing.T) {
			var parts []heavy.Summary
			truth, total := map[string]int64{}, int64(0)
			for seed := range uint64(3) {
				s := &stream{truth: map[string]int64{}}
				s.zipf(seed, exponent, 200_000, 100_000)
				sum := s.h.Summary()
				if len(sum.Hits) > 256 {
					t.Fatalf("%d labels", len(sum.Hits))
				}
				holds(t, sum, s.truth, s.total)
				parts = append(parts, sum)
				for label, n := range s.truth {
					truth[label] += n
				}
				total += s.total
			}
			whole := heavy.Join(parts...)
			for i, x := range whole.Hits {
				if n := truth[x.Label]; n < x.Least || n > x.Most {
					t.Errorf("together %s has %d, which is not within %d and %d", x.Label, n, x.Least, x.Most)
				}
				if i < 3 && x.Label != fmt.Sprint("z", i) {
					t.Errorf("%s is at place %d", x.Label, i)
				}
			}
			for label, n := range truth {
				if n > whole.Floor && !has(whole, label) {
					t.Errorf("together %s has %d, and is not among %d", label, n, len(whole.Hits))
				}
			}
		})
	}
}

func has(s heavy.Summary, label string) bool {
	for _, x := range s.Hits {
		if x.Label == label {
			return true
		}
	}
	return false
}

// Few labels are counted exactly.
func TestFewAreExact(t *testing.T) {
	s := &stream{truth: map[string]int64{}}
	for i := range 10_000 {
		s.add(fmt.Sprint(i%200), int64(i%7))
	}
	sum := s.h.Summary()
	holds(t, sum, s.truth, 0)
	if len(sum.Hits) != 200 || sum.Floor != 0 {
		t.Errorf("%d labels, and others up to %d", len(sum.Hits), sum.Floor)
	}
}

// A flood of labels that are seen once, before, between and after, does not push out those with
// more, and none of the flood stands before them.
func TestFlood(t *testing.T) {
	s := &stream{truth: map[string]int64{}}
	r := rand.New(rand.NewPCG(4, 4))
	flood := func(n int) {
		for range n {
			s.add(fmt.Sprint("f", r.Uint64()), 1)
		}
	}
	flood(20_000)
	for i := range 100 * 400 {
		s.add(fmt.Sprint("true", i%100), 1)
		if i%4 == 0 {
			flood(10)
		}
	}
	flood(400_000)
	sum := s.h.Summary()
	holds(t, sum, s.truth, s.total)
	for i := range 100 {
		if x := sum.Hits[i]; x.Label[0] != 't' || x.Least < 300 {
			t.Errorf("at place %d stands %+v", i, x)
		}
	}
}

// The grid lets a flood pass by that would push out labels with less than the 2,048th part of all.
func TestFloodPassesBy(t *testing.T) {
	s := &stream{truth: map[string]int64{}}
	for i := range 100 * 150 {
		s.add(fmt.Sprint("true", i%100), 1)
	}
	for i := range 500_000 {
		s.add(fmt.Sprint("f", i), 1)
	}
	if s.total/heavy.Kept < 200 {
		t.Fatal("it is no flood")
	}
	sum := s.h.Summary()
	holds(t, sum, s.truth, s.total)
	for i := range 100 {
		if x := sum.Hits[i]; x.Label[0] != 't' || x.Least != 150 || x.Most != 150 {
			t.Errorf("at place %d stands %+v", i, x)
		}
	}
}

// Counts that would overflow stay where they are.
func TestHuge(t *testing.T) {
	var h heavy.Hitters
	for range 20 {
		h.Add("x", 1<<62)
		h.Add("y", -5)
	}
	sum := h.Summary()
	if len(sum.Hits) != 1 || sum.Hits[0].Least <= 1<<59 || sum.Hits[0].Most < sum.Hits[0].Least {
		t.Errorf("%+v", sum)
	}
	if j := heavy.Join(sum, sum, sum, sum, sum, sum); j.Hits[0].Least < sum.Hits[0].Least || j.Hits[0].Most < j.Hits[0].Least {
		t.Errorf("%+v", j)
	}
}

// What is kept comes back as it was; what is no summary is refused.
func TestKept(t *testing.T) {
	s := &stream{truth: map[string]int64{}}
	s.zipf(1, 1.1, 50_000, 50_000)
	sum := s.h.Summary()
	b, err := sum.MarshalBinary()
	must(t, err)
	var back heavy.Summary
	must(t, back.UnmarshalBinary(b))
	if fmt.Sprint(back) != fmt.Sprint(sum) {
		t.Error("it came back as another")
	}
	for name, b := range map[string][]byte{"nothing": nil, "another form": {2, 0}, "a label cut off": {1, 0, 9, 'x'}, "no bounds": {1, 0, 1, 'x'}, "a label twice": {1, 0, 1, 'x', 1, 0, 1, 'x', 1, 0}, "too long": append(b, make([]byte, 40<<10)...), "one too many": append(append([]byte{}, b...), 1, 'q', 1, 0)} {
		if err := back.UnmarshalBinary(b); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func FuzzSummary(f *testing.F) {
	var h heavy.Hitters
	h.Add("a", 3)
	h.Add("b", 5)
	sum := h.Summary()
	b, _ := sum.MarshalBinary()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var s heavy.Summary
		if s.UnmarshalBinary(b) != nil {
			return
		}
		again, err := s.MarshalBinary()
		must(t, err)
		var back heavy.Summary
		must(t, back.UnmarshalBinary(again))
		twice, err := back.MarshalBinary()
		must(t, err)
		if !bytes.Equal(again, twice) {
			t.Error("not kept as it was read")
		}
		for _, x := range heavy.Join(s, s).Hits {
			if x.Least < 0 || x.Most < x.Least {
				t.Errorf("%+v", x)
			}
		}
	})
}

// BenchmarkAdd prints what a label costs: of a steep stream, and of a flood of new ones.
func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	z := rand.NewZipf(r, 1.2, 1, 200_000)
	steep, flood := make([]string, 1<<16), make([]string, 1<<20)
	for i := range steep {
		steep[i] = fmt.Sprint(z.Uint64())
	}
	for i := range flood {
		flood[i] = fmt.Sprint(r.Uint64())
	}
	for name, labels := range map[string][]string{"steep": steep, "flood": flood} {
		b.Run(name, func(b *testing.B) {
			var h heavy.Hitters
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				h.Add(labels[i%len(labels)], 1)
			}
		})
	}
}
