package budget

import "strconv"

// Ahead is the level of a forecast: in nine of ten such months the plan will not do.
const Ahead = "forecast"

// Levels are where an alarm is raised, as hundredths of a percent of the plan, lowest first.
type Levels []int64

// Name writes a level as people say it: 80 for 80 %.
func Name(share int64) string { return strconv.FormatFloat(float64(share)/100, 'f', -1, 64) }

// Crossed lists the levels that an amount has reached, lowest first.
func (ls Levels) Crossed(actual, plan Amount) (out []string) {
	for _, l := range ls {
		if plan.Sign() > 0 && actual.Reaches(l, plan) {
			out = append(out, Name(l))
		}
	}
	return out
}
