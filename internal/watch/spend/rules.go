package spend

import (
	"slices"
	"time"

	"writ/internal/clause"
	"writ/internal/watch/budget"
)

const (
	spending = "mon.budget"
	signal   = "mon.budget-is-signal"
)

// Rules are what the policy says of spending. Shares are hundredths of a percent.
type Rules struct {
	Plan   string        `clause:"mon.budget/plan"` // monthly
	Warn   int64         `clause:"mon.budget/at_warn"`
	Full   int64         `clause:"mon.budget/at_plan"`
	Over   int64         `clause:"mon.budget/at_over"`
	Route  string        `clause:"mon.budget-is-signal/route"` // incident-triage, notice-only
	Decide time.Duration `clause:"mon.budget-is-signal/decide_within"`
}

// half is the level at which a month is looked at for the first time.
const half = 50_00

// levels are where an alarm is raised, lowest first.
func (r *Rules) levels() budget.Levels {
	ls := budget.Levels{half, r.Warn, r.Full, r.Over}
	slices.Sort(ls)
	return slices.Compact(ls)
}

// Slots are the rules that the policy drives.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }
