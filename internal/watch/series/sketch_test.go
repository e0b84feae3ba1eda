package series_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"writ/internal/watch/series"
)

// Quantiles of a merged sketch are those of all values together, within the bound.
func TestSketchMerges(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for range 50 {
		var all []int64
		whole, merged := &series.Sketch{}, &series.Sketch{}
		for range 1 + r.IntN(5) {
			part := &series.Sketch{}
			for range r.IntN(400) {
				v := int64(math.Exp(r.Float64()*30)) - 1
				n := 1 + r.Int64N(3)
				part.Add(v, n)
				whole.Add(v, n)
				for range n {
					all = append(all, v)
				}
			}
			merged.Merge(read(t, part))
		}
		if !bytes.Equal(written(t, whole), written(t, merged)) {
			t.Fatal("merged parts are not the whole")
		}
		slices.Sort(all)
		if merged.Count() != int64(len(all)) {
			t.Fatalf("%d values of %d", merged.Count(), len(all))
		}
		for _, q := range []float64{0, 0.1, 0.5, 0.95, 0.99, 1} {
			if len(all) == 0 {
				break
			}
			want := float64(all[int(q*float64(len(all)-1))])
			if got := merged.Quantile(q); math.Abs(got-want) > series.Accuracy*want+1e-6 {
				t.Errorf("quantile %v of %d values: %v, want %v", q, len(all), got, want)
			}
		}
	}
}

func written(t *testing.T, s *series.Sketch) []byte {
	t.Helper()
	b, err := s.MarshalBinary()
	must(t, err)
	return b
}

func read(t *testing.T, s *series.Sketch) *series.Sketch {
	t.Helper()
	out := &series.Sketch{}
	must(t, out.UnmarshalBinary(written(t, s)))
	return out
}

// Whatever is read as a sketch is written the same way again, and takes little memory.
func FuzzSketch(f *testing.F) {
	s := &series.Sketch{}
	s.Add(0, 3)
	s.Add(1, 1)
	s.Add(250_000, 9)
	b, _ := s.MarshalBinary()
	f.Add(b)
	f.Add([]byte{1})
	f.Add([]byte{1, 0, 255, 255, 255, 255, 15, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var x, y series.Sketch
		if x.UnmarshalBinary(b) != nil {
			return
		}
		w, _ := x.MarshalBinary()
		if err := y.UnmarshalBinary(w); err != nil || y.Quantile(0.5) != x.Quantile(0.5) || len(w) > len(b) {
			t.Errorf("%x was read, and written as %x: %v", b, w, err)
		}
	})
}
