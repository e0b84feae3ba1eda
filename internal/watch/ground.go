package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"writ/internal/watch/baseline"
)

// ground is what an alarm of a reading rests on. It stands in the entry of the alarm, so that
// nobody can say later that something else was read.
type ground struct {
	Reading float64 `json:"reading"` // exactly, not as it is shown
	Usual   *usual  `json:"usual,omitempty"`
}

// usual is what was usual of a series at the minute that was compared.
type usual struct {
	Meter     string    `json:"meter"`
	Dimension string    `json:"dimension"`
	At        time.Time `json:"at"`
	Hourly    bool      `json:"hourly,omitempty"` // the value is of sixty minutes
	Value     float64   `json:"value"`
	Low       float64   `json:"low,omitempty"`
	Expected  float64   `json:"expected,omitempty"`
	High      float64   `json:"high"` // the edge
}

// text is the ground of a reading as it is kept.
func (rd *Reading) ground() (string, error) {
	b, err := json.Marshal(ground{finite(rd.Value), rd.usual})
	if err != nil {
		return "", fmt.Errorf("encode what an alarm rests on: %w", err)
	}
	return string(b), nil
}

// finite is what JSON can write.
func finite(v float64) float64 { return max(min(v, math.MaxFloat64), -math.MaxFloat64) }

// usually is what readings of a series carry along.
func (x *learned) usually() *usual {
	u := &usual{Meter: x.key.meter, Dimension: x.key.dimension, At: x.at.UTC(), Value: finite(x.value), Low: finite(x.band.Low), Expected: finite(x.band.Expected), High: finite(x.band.High)}
	if u.Hourly = x.usual != nil; u.Hourly {
		u.Value, u.High = x.past, x.past/x.above // compared: above is not 0
	}
	return u
}

// beyond compares once more: whether the value lies beyond the edge for this rule.
func (u *usual) beyond(rule string) error {
	all := expectations()
	i := slices.IndexFunc(all, func(e expectation) bool {
		return e.meter == u.Meter && slices.Contains(e.dimensions, u.Dimension) && (e.spike == rule || e.drop == rule) && e.hourly > 0 == u.Hourly
	})
	if i < 0 {
		return fmt.Errorf("%s compares nothing of %s", rule, u.Meter)
	}
	e := all[i]
	over := 0.0
	switch b := baseline.BandOf(u.Low, u.Expected, u.High, max(e.wide, 1)); {
	case u.Hourly && u.High > 0:
		over = u.Value / u.High
	case u.Hourly:
	case e.drop == rule:
		over = b.Below(u.Value, e.wide, dropFloor, dropShare)
	default:
		over = b.Above(u.Value, e.wide, e.floor)
	}
	if over <= 1 {
		return errors.New("the value lies within what was usual at that minute")
	}
	return nil
}

// form is what of a rule is compared with what is read and counted. Its conditions on single
// entries are code, of the program that asks them.
type form struct {
	ID      string        `json:"id"`
	Part    string        `json:"part"`
	Clause  string        `json:"clause"`
	Streams []string      `json:"streams,omitempty"`
	Ends    []string      `json:"ends,omitempty"`
	Over    int64         `json:"over,omitempty"`
	Within  time.Duration `json:"within,omitempty"` // ns
	Reads   string        `json:"reads,omitempty"`
	Above   float64       `json:"above"`
	Clear   float64       `json:"clear"`
	For     time.Duration `json:"for,omitempty"` // ns
}

func (r *Rule) form() form {
	return form{r.ID, r.Part, r.Clause, r.Streams, r.Ends, r.Over, r.Within, r.Reads, r.Above, r.Clear, r.For}
}

// version names what a rule said when it fired: the SHA-256 of its form, or of its text where a
// company wrote it.
func (r *Rule) version() string {
	if r.sha != "" {
		return r.sha
	}
	b, err := json.Marshal(r.form())
	if err != nil {
		panic("watch: a rule without a form: " + err.Error()) // strings and finite numbers of the pack
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
