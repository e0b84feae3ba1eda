package watch

import (
	"time"

	"writ/internal/clause"
)

// Rules are what the policy says of watching.
type Rules struct {
	BuiltIn  int64      `clause:"mon.alarms/built_in"` // how many rules there are at least
	Bounds   [][]string `clause:"mon.alarms/bounds"`   // rows of bounds.go; none = as shipped
	Channels int64      `clause:"mon.notify/channels"` // ways by which an alarm goes out, at least
	Routes   [][]string `clause:"mon.notify/routes"`   // rows of route.go; none = everybody at work, by every way
	Groups   [][]string `clause:"mon.notify/groups"`   // rows of name and roles of staff, whom a route may tell
	Signals  []string   `clause:"mon.load/signals"`    // cpu, mem, disk, latency, errors, queue

	Baseline time.Duration `clause:"mon.abnormal/baseline"` // how long what was usual counts

	Coverage []string `clause:"mon.drill-down/coverage"` // the parts that have a view
}

// Slots are the rules that the policy drives.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }
