package series

import (
	"encoding/binary"
	"errors"
	"math"
)

// Accuracy is how far a quantile may be from the value, as a share of it.
const Accuracy = 0.01

const (
	gamma      = (1 + Accuracy) / (1 - Accuracy)
	most       = 1 << 52 // larger values count as this
	sketchForm = 1
	buckets    = 2048 // more than any value reaches: ln(2^52)/ln(gamma) is 1803
)

var logGamma = math.Log(gamma)

// Sketch is how values are spread: counts by buckets that grow with the value, as in DDSketch
// (Masson, Rim, Lee, VLDB 2019). Merging two is counting all of both. Values are whole numbers
// from 0 on. The zero Sketch is empty.
type Sketch struct {
	zeros  int64
	low    int     // index of counts[0]
	counts []int64 // dense between the lowest and the highest bucket in use
}

func bucketOf(v int64) int { return int(math.Ceil(math.Log(float64(min(v, most))) / logGamma)) }

// Add counts a value n times.
func (s *Sketch) Add(v, n int64) {
	if v <= 0 {
		s.zeros += n
		return
	}
	s.at(bucketOf(v), n)
}

func (s *Sketch) at(i int, n int64) {
	switch {
	case len(s.counts) == 0:
		s.low, s.counts = i, append(s.counts, 0)
	case i < s.low:
		s.counts = append(make([]int64, s.low-i, s.low-i+len(s.counts)), s.counts...)
		s.low = i
	case i >= s.low+len(s.counts):
		s.counts = append(s.counts, make([]int64, i-s.low-len(s.counts)+1)...)
	}
	s.counts[i-s.low] += n
}

// Merge adds all that another has.
func (s *Sketch) Merge(o *Sketch) {
	s.zeros += o.zeros
	for i, n := range o.counts {
		if n > 0 {
			s.at(o.low+i, n)
		}
	}
}

// Count is how many values there are.
func (s *Sketch) Count() int64 {
	n := s.zeros
	for _, c := range s.counts {
		n += c
	}
	return n
}

// Quantile is the value below which a share q of the values lies; 0 where there are none.
func (s *Sketch) Quantile(q float64) float64 {
	all := s.Count()
	if all == 0 {
		return 0
	}
	rank := int64(q * float64(all-1))
	if rank < s.zeros {
		return 0
	}
	seen := s.zeros
	for i, c := range s.counts {
		if seen += c; seen > rank {
			return 2 * math.Pow(gamma, float64(s.low+i)) / (gamma + 1)
		}
	}
	return 0
}

// MarshalBinary writes the buckets in use: for each the distance from the one before, and its count.
func (s *Sketch) MarshalBinary() ([]byte, error) {
	b := binary.AppendUvarint([]byte{sketchForm}, uint64(s.zeros))
	last := 0
	for i, n := range s.counts {
		if n > 0 {
			b = binary.AppendUvarint(b, uint64(s.low+i-last))
			b = binary.AppendUvarint(b, uint64(n))
			last = s.low + i
		}
	}
	return b, nil
}

var errSketch = errors.New("series: this is no sketch")

// UnmarshalBinary reads what MarshalBinary wrote.
func (s *Sketch) UnmarshalBinary(b []byte) error {
	*s = Sketch{}
	if len(b) == 0 || b[0] != sketchForm {
		return errSketch
	}
	b = b[1:]
	next := func() (int64, bool) {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > most {
			return 0, false
		}
		b = b[n:]
		return int64(v), true
	}
	var ok bool
	if s.zeros, ok = next(); !ok {
		return errSketch
	}
	for i := int64(0); len(b) > 0; {
		d, ok1 := next()
		n, ok2 := next()
		if i += d; !ok1 || !ok2 || i >= buckets || n == 0 {
			*s = Sketch{}
			return errSketch
		}
		s.at(int(i), n)
	}
	return nil
}
