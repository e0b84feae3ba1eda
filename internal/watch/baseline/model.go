package baseline

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// The shape of a Model.
const (
	Seasons   = 168                 // hours of a week
	LearnDays = 14                  // two of each season
	Past      = 28 * 24 * time.Hour // how far back Drift looks
	fewest    = 60                  // residuals that make a band
	least     = 0.03                // of the deviation: nothing is steadier than this
	byLevel   = 0.02                // how much an hour moves the level
	byTrend   = 0.002
	bySeason  = 0.25
	afresh    = 1.0 / 30 // how much a minute moves the distance that Accept takes over
	day       = 24 * 60
	form      = 1
)

// Config is how a Model looks at time.
type Config struct {
	Zone *time.Location // of the organisation; its hours of the week are the seasons
	Days int            // how long residuals count, in days
}

// Floor keeps small numbers from being an alarm.
type Floor struct {
	Least float64 // below this it is none
	Times float64 // nor below so many times what is expected
}

// Model is what is usual of one series. The zero Model has learned nothing.
type Model struct{ state }

// state is of fixed size, so that it is kept as it is.
type state struct {
	Last    int64 // the newest minute that was learned, since 1970
	Minutes int64 // how many were
	Level   float64
	Trend   float64
	Far     float64 // smoothed distance from what was expected, not clipped
	Hour    int64   // that Sum and N are of
	Sum     float64
	N       int64
	Levels  [5]float64 // a week apart, the newest first
	Marked  int64      // the minute of Levels[0]
	Known   int64      // how many Levels there are
	Run     int64      // minutes in a row with nothing, up to Last
	Longest int64      // that were usual so far
	Season  [Seasons]float32
	Visits  [Seasons]uint8
	Resid   [Seasons]residuals
}

// Learned is how many whole days were observed, and whether that is enough.
func (m *Model) Learned() (days int, enough bool) {
	days = int(m.Minutes / day)
	return days, days >= LearnDays
}

// LastMinute is the newest minute that was learned.
func (m *Model) LastMinute() time.Time { return time.Unix(m.Last*60, 0).UTC() }

// season is the hour of the week, and how far into it.
func season(t time.Time, zone *time.Location) (hour int, part float64) {
	t = t.In(zone)
	return int(t.Weekday())*24 + t.Hour(), (float64(t.Minute()) + 0.5) / 60
}

// Shifting reports whether the clocks change within two hours of t.
func Shifting(t time.Time, zone *time.Location) bool {
	_, a := t.Add(-2 * time.Hour).In(zone).Zone()
	_, b := t.Add(2 * time.Hour).In(zone).Zone()
	return a != b
}

// expect is log(1+value) as it is expected, by the seasons' middles with straight lines between.
func (m *Model) expect(t time.Time, zone *time.Location) (y float64, known bool) {
	h, part := season(t, zone)
	other, share := (h+Seasons-1)%Seasons, 0.5-part
	if part > 0.5 {
		other, share = (h+1)%Seasons, part-0.5
	}
	if m.Visits[h] == 0 || m.Visits[other] == 0 {
		return 0, false
	}
	return m.Level + float64(m.Season[h])*(1-share) + float64(m.Season[other])*share, true
}

// Band is what is usual at a time.
type Band struct {
	Low, Expected, High float64
	Known               bool // enough was learned to say so

	middle, sigma, under float64 // of log(1+value); under: the deviation below
}

// Band is the one at t that is k deviations wide.
func (m *Model) Band(t time.Time, k float64, c Config) Band {
	y, known := m.expect(t, c.Zone)
	if !known {
		return Band{}
	}
	h, _ := season(t, c.Zone)
	med, sigma, under, n := spread(&m.Resid[(h+Seasons-1)%Seasons], &m.Resid[h], &m.Resid[(h+1)%Seasons])
	_, enough := m.Learned()
	b := Band{Expected: math.Expm1(max(y+med, 0)), Known: enough && n >= fewest, middle: y + med}
	b.sigma = max(sigma, 0.5/math.Sqrt(1+b.Expected), least)
	b.under = max(under, b.sigma)
	if Shifting(t, c.Zone) {
		b.sigma, b.under = 2*b.sigma, 2*b.under
	}
	b.Low, b.High = math.Expm1(max(b.middle-k*b.under, 0)), math.Expm1(max(b.middle+k*b.sigma, 0))
	return b
}

// BandOf is the band, k deviations wide, with these edges: it says of any value whether it lies
// beyond them, as the one that was drawn did.
func BandOf(low, expected, high, k float64) Band {
	y := math.Log1p(expected)
	return Band{Low: low, Expected: expected, High: high, Known: true, middle: y, sigma: (math.Log1p(high) - y) / k, under: (y - math.Log1p(low)) / k}
}

// Above is how far a value lies over what is expected: 1 at the edge of the band, 0 where it is
// no matter.
func (b Band) Above(v, k float64, f Floor) float64 {
	if !b.Known || v < f.Least || v < f.Times*b.Expected {
		return 0
	}
	return max(0, (math.Log1p(v)-b.middle)/(k*b.sigma))
}

// Below is how far a value lies under what is expected, where so much is expected that it
// matters, and no more than a share of it is left.
func (b Band) Below(v, k float64, f Floor, left float64) float64 {
	if !b.Known || b.Expected < f.Least || v > left*b.Expected {
		return 0
	}
	return max(0, (b.middle-math.Log1p(v))/(k*b.under))
}

const clipAt = 4 // deviations beyond which a value is not learned as it is

// Learn takes the value of a minute. A minute that it has learned, or that is older, is left.
func (m *Model) Learn(t time.Time, v float64, c Config) {
	at := t.Unix() / 60
	if at <= m.Last {
		return
	}
	if hour := at / 60; hour != m.Hour {
		m.closeHour(c)
		m.Hour, m.Sum, m.N = hour, 0, 0
	}
	m.Last = at
	if Shifting(t, c.Zone) {
		return
	}
	m.Minutes++
	m.rest(v)
	y := math.Log1p(max(v, 0))
	h, _ := season(t, c.Zone)
	if want, known := m.expect(t, c.Zone); known {
		b := m.Band(t, clipAt, c)
		m.Far += (y - want - m.Far) * afresh
		if b.Known {
			y = min(max(y, b.middle-clipAt*b.under), b.middle+clipAt*b.sigma)
		}
		m.Resid[h].add(y - want)
	}
	m.Sum, m.N = m.Sum+y, m.N+1
}

// rest learns how long there is usually nothing. What is far longer than ever is not learned.
func (m *Model) rest(v float64) {
	if v <= 0 {
		m.Run++
		return
	}
	if _, enough := m.Learned(); !enough || m.Run <= m.patience() {
		m.Longest = max(m.Longest, m.Run)
	}
	m.Run = 0
}

// patience is how many minutes in a row there may be nothing.
func (m *Model) patience() int64 { return 3*m.Longest + 2 }

// Silent is how far a run of minutes with nothing is beyond what is usual: above 1 it is.
func (m *Model) Silent(run int64) float64 { return float64(run) / float64(m.patience()) }

// closeHour learns an hour whose minutes are all there.
func (m *Model) closeHour(c Config) {
	if m.N == 0 {
		return
	}
	y, end := m.Sum/float64(m.N), time.Unix(m.Hour*3600, 0)
	h, _ := season(end, c.Zone)
	next, _ := season(end.Add(time.Hour), c.Zone)
	m.Resid[next].fade(1 - 7/float64(max(c.Days, LearnDays)))
	visits := m.Visits[h]
	if visits < math.MaxUint8 {
		m.Visits[h]++
	}
	if _, enough := m.Learned(); !enough { // plain means, which become level and seasons
		m.Season[h] += (float32(y) - m.Season[h]) / float32(visits+1)
		return
	}
	if m.Known == 0 {
		m.centre()
	}
	before := m.Level
	m.Level = byLevel*(y-float64(m.Season[h])) + (1-byLevel)*(m.Level+m.Trend)
	m.Trend = byTrend*(m.Level-before) + (1-byTrend)*m.Trend
	share := max(bySeason, 1/float64(visits+1))
	m.Season[h] += float32(share * (y - m.Level - float64(m.Season[h])))
	if m.Last-m.Marked >= 7*day {
		copy(m.Levels[1:], m.Levels[:])
		m.Levels[0], m.Marked, m.Known = m.Level, m.Last, min(m.Known+1, int64(len(m.Levels)))
	}
}

// centre splits the means of the first two weeks into a level and seasons around it.
func (m *Model) centre() {
	sum, n := 0.0, 0
	for h, v := range m.Visits {
		if v > 0 {
			sum, n = sum+float64(m.Season[h]), n+1
		}
	}
	m.Level = sum / float64(max(n, 1))
	for h := range m.Season {
		m.Season[h] -= float32(m.Level)
	}
	m.Levels[0], m.Marked, m.Known = m.Level, m.Last, 1
}

// Drift is by which factor the level has moved in four weeks; 1 before they are over.
func (m *Model) Drift() float64 {
	if m.Known < int64(len(m.Levels)) {
		return 1
	}
	return math.Exp(m.Level - m.Levels[len(m.Levels)-1])
}

// Accept makes where the values are now the level: a person has said that this is the new
// normal.
func (m *Model) Accept() {
	m.Level += m.Far
	m.Trend, m.Far = 0, 0
	for i := range m.Levels {
		m.Levels[i] = m.Level
	}
}

var errModel = errors.New("baseline: this is no model")

// MarshalBinary writes all of it.
func (m *Model) MarshalBinary() ([]byte, error) {
	return binary.Append([]byte{form}, binary.LittleEndian, &m.state) //nolint:wrapcheck // of fixed size
}

// UnmarshalBinary reads what MarshalBinary wrote.
func (m *Model) UnmarshalBinary(b []byte) error {
	var s state
	if len(b) == 0 || b[0] != form || len(b) != 1+binary.Size(&s) {
		return errModel
	}
	if _, err := binary.Decode(b[1:], binary.LittleEndian, &s); err != nil {
		return errModel
	}
	numbers := append([]float64{s.Level, s.Trend, s.Far, s.Sum}, s.Levels[:]...)
	for _, v := range s.Season {
		numbers = append(numbers, float64(v))
	}
	for _, v := range numbers {
		if math.IsNaN(v) || math.Abs(v) > 1e6 {
			return errModel
		}
	}
	if s.Last < 0 || s.Minutes < 0 || s.N < 0 || s.Known < 0 || s.Run < 0 || s.Longest < 0 || s.Longest > 1e9 || s.Run > 1e9 || s.Known > int64(len(s.Levels)) {
		return errModel
	}
	m.state = s
	return nil
}
