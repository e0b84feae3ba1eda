package console

import (
	"strings"
	"time"

	"writ/internal/policy"
)

// forecast is what a proposal would do, as the part of that name shows it.
type forecast struct {
	At     time.Time
	Lines  []foreseenLine
	Calm   string // values that were looked at and touch nobody
	Unseen string // values that nothing was counted for
	Failed []string
}

type foreseenLine struct{ Says, By string }

// foreseen is nil for a revision that holds already.
func foreseen(f *policy.Forecast) *forecast {
	if f == nil {
		return nil
	}
	out := &forecast{At: f.At, Unseen: strings.Join(f.Unseen, ", "), Calm: strings.Join(f.Calm(), ", "), Failed: f.Failed}
	for _, e := range f.Touching() {
		out.Lines = append(out.Lines, foreseenLine{Says: sentence(e.Says), By: strings.Join(e.Params, ", ")})
	}
	return out
}
