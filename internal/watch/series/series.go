package series

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"writ/internal/ledger"
)

// Kind is what is done with the values of a meter.
type Kind int

// The kinds of meters.
const (
	Count  Kind = iota // how often
	Spread             // how much: values add up, and their quantiles are kept
	Gauge              // how high: the mean and the highest are kept
	Union              // how many different things: each counts once, in whatever span
)

// Whole is the dimension of everything together; its label is "".
const Whole = ""

// Other is the label under which stands what has no label of its own any more.
const Other = "other"

// The bounds.
const (
	mostLabels = 10_000          // live ones of a meter
	mostBytes  = 64              // of a label
	lateBy     = 5 * time.Minute // later events do not count any more
	mostLate   = 2 * time.Hour   // where a meter says otherwise
	lives      = 24 * time.Hour  // a label is live so long after its last event
	seconds    = 600             // in memory
	mostAtOnce = 128             // labels in one second of memory
	keepMinute = 35 * 24 * time.Hour
	keepHour   = 400 * 24 * time.Hour
	keepDay    = 5 * 365 * 24 * time.Hour
)

// Meter is one thing that is counted.
type Meter struct {
	Name       string
	Kind       Kind
	Source     string // whose absence makes a gap
	Unit       string // "", µs, bytes, %
	Scale      int64  // values are kept as whole numbers of 1/Scale; 0 = 1
	Says       string
	Dimensions []string      // beside Whole
	Late       time.Duration // by how much an event may be late and still counts; 0 = 5 minutes
}

func (m *Meter) scale() float64 { return float64(max(m.Scale, 1)) }

// Label is where an event belongs along a dimension.
type Label struct{ Dimension, Value string }

// Event is something that happened, or a level that was read.
type Event struct {
	At     time.Time
	Meter  string
	N      int64   // how often; 0 = once
	Value  float64 // of each, for Spread and Gauge
	Thing  string  // for Union; without it the event does not count
	Labels []Label // an empty value counts in no label
}

// Deps are what a Service is made of; all are needed.
type Deps struct {
	DB     *ledger.DB
	Meters []Meter
	Now    func() time.Time
	Log    *slog.Logger
}

// Service keeps series. It is safe for concurrent use.
type Service struct {
	Deps
	meters atomic.Pointer[map[string]*Meter] // never changed in place

	late, overflow, unknown atomic.Int64

	commit sync.RWMutex // held by Flush while pending minutes become rows; read by Range and Top
	pace   *Pace        // of Flush
	put    func(ctx context.Context, part *Batch) error
	writer string // names this process in what only it counted

	mu      sync.Mutex // guards all below
	loaded  bool
	live    map[string]map[key]int64 // meter → series → when last seen
	ids     map[key]int64
	newest  map[string]time.Time // by source
	pending *Batch
	spilled map[spilled]*tally
	ring    [seconds]second
	cover   map[string]*cover
}

// key names a series.
type key struct{ meter, dimension, label string }

// second is what went on in one of the last ten minutes' seconds.
type second struct {
	at     int64
	cells  map[key]*cell
	labels int
}

// New makes a Service.
func New(d Deps) (*Service, error) {
	if d.DB == nil || d.Now == nil || d.Log == nil || len(d.Meters) == 0 {
		return nil, errors.New("series: a dependency is missing")
	}
	s := &Service{Deps: d, live: map[string]map[key]int64{}, ids: map[key]int64{}, newest: map[string]time.Time{}, cover: map[string]*cover{}, pace: NewPace(atOnce, atLeast), writer: rand.Text(), spilled: map[spilled]*tally{}}
	s.put = s.putAll
	s.meters.Store(&map[string]*Meter{})
	for i := range d.Meters {
		if s.Meter(d.Meters[i].Name) != nil {
			return nil, errors.New("series: the meter " + d.Meters[i].Name + " stands twice")
		}
		if err := s.Declare(d.Meters[i]); err != nil {
			return nil, err
		}
	}
	s.pending = s.NewBatch()
	return s, nil
}

// Declare adds a meter to the catalogue, or changes what is said of it. Its kind, scale and
// dimensions are for good, because rows are kept in them.
func (s *Service) Declare(m Meter) error {
	if m.Name == "" || m.Source == "" || m.Late < 0 || m.Late > mostLate {
		return errors.New("series: the meter " + m.Name + " has no name, no source, or takes what is too late")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if was := s.Meter(m.Name); was != nil && (was.Kind != m.Kind || was.Scale != m.Scale || !slices.Equal(was.Dimensions, m.Dimensions)) {
		return errors.New("series: the meter " + m.Name + " is there, and is another")
	}
	all := maps.Clone(*s.meters.Load())
	all[m.Name] = &m
	s.meters.Store(&all)
	if s.live[m.Name] == nil {
		s.live[m.Name] = map[key]int64{}
	}
	return nil
}

// Meter finds a meter; nil where there is none.
func (s *Service) Meter(name string) *Meter { return (*s.meters.Load())[name] }

// Late is how many events came too late to count, since the start.
func (s *Service) Late() int64 { return s.late.Load() }

// Overflow is how many events counted under Other for want of room, since the start.
func (s *Service) Overflow() int64 { return s.overflow.Load() }

// Unknown is how many events no meter of the catalogue takes, since the start.
func (s *Service) Unknown() int64 { return s.unknown.Load() }

// Add counts an event in memory. It waits for no I/O.
func (s *Service) Add(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending.add(&e) {
		s.remember(&e)
	}
}

// Kept is a label as it is kept.
func Kept(label string) string { return clean(label) }

// clean makes a label fit to be kept.
func clean(label string) string {
	if len(label) > mostBytes {
		label = label[:mostBytes]
		for !utf8.ValidString(label) && label != "" {
			label = label[:len(label)-1]
		}
	}
	return strings.ToValidUTF8(strings.ReplaceAll(label, "\x00", ""), "")
}

// admit gives the label a place, or Other's where the meter has no more. The caller holds mu.
func (s *Service) admit(k key, at int64) key {
	live := s.live[k.meter]
	if seen, ok := live[k]; ok {
		live[k] = max(seen, at)
		return k
	}
	if k.dimension != Whole && k.label != Other && len(live) >= mostLabels {
		s.overflow.Add(1)
		return s.admit(key{k.meter, k.dimension, Other}, at)
	}
	live[k] = at
	return k
}

// remember counts an event in its second. The caller holds mu.
func (s *Service) remember(e *Event) {
	sec, m := s.second(e.At.Unix()), s.Meter(e.Meter)
	if sec == nil {
		return
	}
	for _, k := range m.keys(e) {
		sec.cell(k).add(m, e, false)
	}
}

// second is one of the last ten minutes' seconds, or nil. The caller holds mu.
func (s *Service) second(at int64) *second {
	if age := s.Now().Unix() - at; age < 0 || age >= seconds {
		return nil
	}
	sec := &s.ring[at%seconds]
	if sec.at != at {
		*sec = second{at: at, cells: map[key]*cell{}}
	}
	return sec
}

// cell finds the place of a series in a second, or that of Other.
func (x *second) cell(k key) *cell {
	if c := x.cells[k]; c != nil {
		return c
	}
	if k.dimension != Whole && k.label != Other {
		if x.labels >= mostAtOnce {
			k.label = Other
			return x.cell(k)
		}
		x.labels++
	}
	c := &cell{}
	x.cells[k] = c
	return c
}

// keys are the series in which an event counts.
func (m *Meter) keys(e *Event) []key {
	out := append(make([]key, 0, 1+len(e.Labels)), key{meter: m.Name})
	for _, l := range e.Labels {
		if l.Value != "" && slices.Contains(m.Dimensions, l.Dimension) {
			out = append(out, key{m.Name, l.Dimension, clean(l.Value)})
		}
	}
	return out
}

// Forget removes rows whose time is over, and lets labels go that nobody used for a day.
func (s *Service) Forget(ctx context.Context) error {
	now := s.Now()
	s.mu.Lock()
	for _, live := range s.live {
		for k, seen := range live {
			if now.UnixMicro()-seen > lives.Microseconds() {
				delete(live, k)
			}
		}
	}
	clear(s.ids) // so that each row of a series in use says so within the hour
	s.mu.Unlock()
	for query, age := range map[string]time.Duration{dropMinutes: keepMinute, dropHeavy: keepMinute, dropHours: keepHour, dropDays: keepDay, dropObserved: keepDay, dropSeries: keepDay} {
		if err := s.drop(ctx, query, now.Add(-age).UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) drop(ctx context.Context, query string, before int64) error {
	for gone := int64(someRows); gone == someRows; {
		err := s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) (err error) {
			gone, err = tx.Exec(ctx, query, before, someRows)
			return err
		})
		if err != nil {
			return err //nolint:wrapcheck // the ledger says what failed
		}
	}
	return nil
}

const someRows = 500 // in one change, whose time is limited
