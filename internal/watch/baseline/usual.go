package baseline

import (
	"encoding/binary"
	"math"
)

// Usual is what one person or part usually comes to in an hour, where that is seldom anything:
// a mean and a deviation of log(1+sum) over hours with something in them, and the peak. The zero
// Usual has learned nothing.
type Usual struct{ sums }

type sums struct {
	Last  int64 // the newest minute
	First int64
	Sum   float64 // of the hour that Last lies in
	Mean  float32
	Dev   float32
	Peak  float32
	N     int32 // hours with something in them
}

const (
	someHours = 8      // that make a mean
	byHour    = 0.05   // how much an hour moves the mean
	fading    = 0.9985 // of the peak, an hour with something in it
	above     = 6      // deviations
	peaks     = 3      // times the peak
	unheardOf = 2      // times the floor, of whom nothing of the kind is known
	grows     = 1.5    // times the peak, at most, in an hour
	steadiest = 0.2    // deviation: no hours are steadier than this
)

// Learn adds what a minute came to. A minute that it has learned, or that is older, is left.
func (u *Usual) Learn(minute int64, v, floor float64) {
	if minute <= u.Last {
		return
	}
	if u.First == 0 {
		u.First = minute
	}
	if minute/60 != u.Last/60 {
		u.close(floor)
	}
	u.Last = minute
	u.Sum += v
}

// close learns the hour that is over. One that was an alarm counts as the highest usual one.
func (u *Usual) close(floor float64) {
	v := u.Sum
	if v > u.bound(floor) {
		v = max(floor, float64(u.Peak))
	}
	if u.N >= someHours { // or many small steps would make a great one usual
		v = min(v, max(floor, grows*float64(u.Peak)))
	}
	u.Sum = 0
	if v <= 0 {
		return
	}
	y := float32(math.Log1p(v))
	share := max(float32(byHour), 1/float32(u.N+1))
	off := y - u.Mean
	u.Mean += share * off
	u.Dev += share * (max(off, -off) - u.Dev)
	u.Peak = max(float32(v), u.Peak*fading)
	u.N = min(u.N+1, 1<<20)
}

func (u *Usual) bound(floor float64) float64 {
	if u.N < someHours {
		return unheardOf * max(floor, float64(u.Peak))
	}
	return max(floor, peaks*float64(u.Peak), math.Expm1(float64(u.Mean)+above*max(float64(u.Dev), steadiest)))
}

// Above is how far the sum of the hour in which minute lies is over what is usual: 1 at the
// bound. What was learned of that hour counts even where the caller has not seen it. since is the
// minute from which on there are records of the kind at all: before two weeks of them nothing is
// judged.
func (u *Usual) Above(minute, since int64, sum, floor float64) float64 {
	if since == 0 || minute-since < LearnDays*day {
		return 0
	}
	if u.Last/60 == minute/60 {
		sum = max(sum, u.Sum)
	}
	return sum / u.bound(floor)
}

// Accept makes the sum of the hour that is running the highest usual one.
func (u *Usual) Accept(sum float64) {
	u.Peak = max(u.Peak, float32(u.Sum), float32(sum))
	u.N = max(u.N, someHours)
}

// MarshalBinary writes all of it.
func (u *Usual) MarshalBinary() ([]byte, error) {
	return binary.Append([]byte{form}, binary.LittleEndian, &u.sums) //nolint:wrapcheck // of fixed size
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (u *Usual) UnmarshalBinary(b []byte) error {
	var s sums
	if len(b) == 0 || b[0] != form || len(b) != 1+binary.Size(&s) {
		return errModel
	}
	if _, err := binary.Decode(b[1:], binary.LittleEndian, &s); err != nil {
		return errModel
	}
	for _, v := range []float64{s.Sum, float64(s.Mean), float64(s.Dev), float64(s.Peak)} {
		if math.IsNaN(v) || v < 0 || v > 1e18 {
			return errModel
		}
	}
	if s.Last < 0 || s.N < 0 || s.N > 1<<20 {
		return errModel
	}
	u.sums = s
	return nil
}
