// Package spend compares what is used and spent with what was planned, each minute, and says so
// while there is time to act.
//
//	bills, prices, series ─► totals of days ─► this month: actual, forecast ─┐
//	budgets (plan a month) ──────────────────────────────────────────────────┴─► level reached, once a month
//	    ─► entry watch.budget-crossed ─► rules of watch: an alarm ─► people
//	                                 └─► incident: a signal ─► somebody decides what it is
//
// Owns: budgets, bills, prices, levels that were reached; their routes. Whoever watches reads
// this as a source, each minute, so that its silence is an alarm too.
//
// Promises: mon.budget (levels of the policy, and half of the plan; the forecast; the age of the
// last cost), mon.budget-is-signal (each level that is reached is an entry that begins a triage,
// with what grew around it; hints are ranked and say why, and none is a verdict).
//
// Refuses: a bill in another currency than the month has already; a budget of money without a
// currency; a plan that is not above zero.
//
// Threats: a bill that is brought twice (it counts once); an attack that shows as cost only (it
// is a signal, not a line in a report); a plan that somebody raises to hide it (that is an
// entry, and the levels of the new plan are looked at anew).
//
// For: engineer, owner. Read plan.go, bill.go, month.go, cross.go, around.go; clauses.go, http.go.
package spend
