package watch

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/watch/series"
	"writ/internal/web"
)

// Sample is a value of a meter of one's own.
type Sample struct {
	Meter string    `json:"meter"`
	Value float64   `json:"value"`       // of a count: how often since the last one
	At    time.Time `json:"at,omitzero"` // zero = now
	Of    string    `json:"of,omitzero"` // what it is of, where there are several; at most 64 bytes, and nobody's name
}

// The bounds of a request, and of the time of a sample.
const (
	mostSamples = 1000
	sampleAge   = time.Hour
	sampleAhead = 5 * time.Minute
	sampleBytes = 256 << 10
	mostPushes  = 120 // a minute and token
	mostPushers = 10_000
)

// rate is how often somebody pushed in a minute.
type rate struct {
	minute time.Time
	n      int
}

// Push takes samples of meters that are declared: all of them, or none. They are written within
// the minute; one that is no older than three intervals is compared with the bounds of its meter.
//
// Errors: fault.NotFound (the meter), fault.Malformed (a value or a time), fault.TooLarge (more
// than 1,000 samples), fault.Limited (more than 120 requests in a minute, with RetryAfter). Each
// refusal is an entry; of those for going too fast, the first in a minute.
func (s *Service) Push(ctx context.Context, who actor.Actor, in []Sample) error { // clause: mon.alarms
	if err := s.Access.Allow(ctx, who, access.WatchPush, "watch/samples"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	now := s.Now()
	wait, first := s.gauges.tooFast(who, now)
	var err error
	switch {
	case wait > 0:
		f := fault.New(fault.Limited, "samples_too_fast", fault.Public{Problem: "Samples come in too many requests.", Expected: fmt.Sprintf("At most %d requests in a minute, of up to %d samples each.", mostPushes, mostSamples), Next: "Send more samples in fewer requests."})
		f.RetryAfter = wait
		if err = f; !first {
			return err
		}
	default:
		err = s.checkSamples(ctx, in, now)
	}
	if err != nil {
		code, _ := fault.PublicOf(err)
		if code == "" {
			return err
		}
		return s.DB.Refuse(ctx, who, SamplesRefused{Code: code, Samples: int64(len(in))}, err) //nolint:wrapcheck // a fault for the reader
	}
	return s.Judge(ctx, s.takeSamples(in, now))
}

// tooFast says how long somebody has to wait, and whether that is the first refusal of the minute.
func (g *gauges) tooFast(who actor.Actor, now time.Time) (wait time.Duration, first bool) {
	key := who.Token
	if key == "" {
		key = who.String()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rates == nil || len(g.rates) >= mostPushers {
		g.rates = map[string]*rate{}
	}
	r := g.rates[key]
	if minute := now.Truncate(time.Minute); r == nil || !r.minute.Equal(minute) {
		r = &rate{minute: minute}
		g.rates[key] = r
	}
	if r.n++; r.n <= mostPushes {
		return 0, false
	}
	return max(r.minute.Add(time.Minute).Sub(now), time.Second), r.n == mostPushes+1
}

// checkSamples says what is wrong with the first that is not good.
func (s *Service) checkSamples(ctx context.Context, in []Sample, now time.Time) error {
	if len(in) > mostSamples {
		return fault.New(fault.TooLarge, "samples_too_many", fault.Public{Problem: fmt.Sprintf("There are %d samples in one request.", len(in)), Expected: fmt.Sprintf("At most %d.", mostSamples), Next: "Send them in several requests."})
	}
	if len(in) == 0 {
		return malformedSample(0, "samples", "There is no sample.", "At least one.")
	}
	loaded := false
	for i := range in {
		x := &in[i]
		g := s.gauges.find(x.Meter)
		if g == nil && !loaded { // another node may have declared it
			if err := s.loadGauges(ctx); err != nil {
				return err
			}
			g, loaded = s.gauges.find(x.Meter), true
		}
		if g == nil {
			return unknownGauge()
		}
		if err := x.check(i, g, now); err != nil {
			return err
		}
	}
	return nil
}

func (g *gauges) find(name string) *Gauge {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.known[name]
}

func malformedSample(i int, field, problem, want string) error {
	return fault.New(fault.Malformed, "sample_"+field, fault.Public{Problem: problem, Expected: want, Fields: []fault.Field{{Name: fmt.Sprintf("/samples/%d/%s", i, field), Code: "sample_" + field, Problem: want}}})
}

func (x *Sample) check(i int, g *Gauge, now time.Time) error {
	from, until := now.Add(-sampleAge), now.Add(sampleAhead)
	switch {
	case math.IsNaN(x.Value) || math.IsInf(x.Value, 0):
		return malformedSample(i, "value", "The value of a sample is no number.", "A finite number.")
	case math.Abs(x.Value) > mostValue:
		return malformedSample(i, "value", "The value of a sample is too large.", "At most a million million, either way; declare a meter with a larger unit.")
	case g.Kind != "level" && x.Value < 0:
		return malformedSample(i, "value", "A "+g.Kind+" cannot be below zero.", "Zero or more; only a level may be below.")
	case g.Kind == "count" && x.Value != math.Trunc(x.Value):
		return malformedSample(i, "value", "A count is a whole number.", "How often it happened since the last sample.")
	case len(x.Of) > 64 || strings.ContainsFunc(x.Of, notPrinted):
		return malformedSample(i, "of", "What a sample is of is not good.", "At most 64 bytes of text.")
	case !x.At.IsZero() && (x.At.Before(from) || x.At.After(until)):
		return malformedSample(i, "at", "The time of a sample is out of range.", "From "+from.UTC().Format(time.RFC3339)+" until "+until.UTC().Format(time.RFC3339)+".")
	}
	return nil
}

// takeSamples counts them, and gives the newest of each meter and part.
func (s *Service) takeSamples(in []Sample, now time.Time) (out []Reading) {
	type of struct{ meter, part string }
	newest := map[of]*Sample{}
	for i := range in {
		x := &in[i]
		if x.At.IsZero() {
			x.At = now
		}
		g := s.gauges.find(x.Meter)
		if g == nil { // removed meanwhile
			continue
		}
		e := series.Event{At: x.At, Meter: x.Meter, Value: x.Value, Labels: []series.Label{{Dimension: byPart, Value: x.Of}}}
		if g.Kind == "count" {
			e.N, e.Value = int64(x.Value), 0
		}
		if g.Kind != "count" || e.N > 0 {
			s.series.Add(e)
		}
		s.gauges.note(x.Meter, now)
		s.series.Seen(pushedFrom + x.Meter)
		if k := (of{x.Meter, x.Of}); now.Sub(x.At) <= silentAfter*g.Every && (newest[k] == nil || !x.At.Before(newest[k].At)) {
			newest[k] = x
		}
	}
	for k, x := range newest {
		out = append(out, Reading{Meter: k.meter, Label: k.part, Value: x.Value})
	}
	return out
}

func (g *gauges) note(name string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen == nil {
		g.seen = map[string]time.Time{}
	}
	g.seen[name] = now
}

type (
	samplesIn struct {
		Samples []Sample `json:"samples"`
	}
	samplesOut struct {
		Accepted int `json:"accepted"`
	}
)

// ReadSamples reads the body of a request. Errors: fault.Media, fault.Malformed, fault.TooLarge.
func ReadSamples(r *http.Request) ([]Sample, error) {
	in, err := web.ReadJSON[samplesIn](r)
	return in.Samples, err //nolint:wrapcheck // a fault for the reader
}

func (s *Service) postSamples(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchPush, "watch/samples"); err != nil { // before what is wrong with it
		return err //nolint:wrapcheck // a fault for the reader
	}
	in, err := ReadSamples(r)
	if err != nil {
		return err
	}
	if err := s.Push(r.Context(), who, in); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusAccepted, samplesOut{len(in)})
}
