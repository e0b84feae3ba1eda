// Package watch notices, and has somebody told who must then say what it was.
//
//	journal's entries ─► Follow ─► counts by rule, whom, minute ─┐
//	    └─ and access records ─► rules of one's own (sigma) ─────┤
//	requests ─► Meter ─┐                                         ├─► alarm ─► told by two ways, again
//	/proc, folders ────┼─► readings, each 10 s ─► thresholds ────┘            until acknowledged
//	pushed samples ────┼─► series, and bounds of one's own ─► thresholds
//	queue, certificate ┘                                                      ─► verdict
//	entries, requests, readings, letters ─► series ─► what is usual ─► readings ─► thresholds
//	requests of a person ─► habits ─► an entry of what was never seen of them ─► Follow
//
//	pending(for) ─► firing ─► acknowledged ─► cleared ─► closed(verdict)
//	                  ▲            │ expires     │
//	                  └────────────┴─ fires again within a quarter of an hour
//
//	draft ─► back-tested on what is stored ─► approved by a second person ─► enabled ─► retired
//	closed incident ─► what its alarms rest on, sealed ─► each change of such a rule is held against it
//
// Owns: the rules (pack.go: one table, each rule with what fires it), the versions of rules
// that a company writes itself (own.go), alarms, silences, what was read of the journal. Sends by the kit notify; never reads another module's tables.
// Whose turn it is to be told is kept by rota.
//
// Promises: mon.alarms (the rules are there from the first start, none can be switched off
// here, each is fired in a trial), mon.notify (two ways, and again until somebody
// acknowledges, by routes of the policy (route.go, and what becomes of an alarm by them in route_ask.go); once a month a page that somebody must acknowledge), mon.load (processor, memory, disks, latency, errors, queue), mon.abnormal
// (each minute is compared with what two weeks and more have taught; until then it says so),
// mon.drill-down (view.go: from a span to groups, and to the records behind them).
//
// Refuses: a silence without a reason, without an end, or of a rule that watches trust or watch
// itself; one of more than a day, or of more than a quarter of the rules, without a second
// person; hours of the week that leave no time for tickets; an acknowledgement
// by a mere look at a link (scanners of mail look); a route by fewer than two ways, or that nothing reaches; a verdict twice; a rule of one's own
// without a back-test, or that its author alone approves; a change of one after which an incident
// that is kept would be seen by none, or that cries wolf.
//
// Threats: an alarm that nobody hears (again, and wider, until somebody acknowledges); one
// that cries wolf (verdicts give each rule a precision, and a rule below its floor is an
// alarm itself); a source that falls silent (that is an alarm); a storm (alarms of one clause
// and part go into one message, and a rule has at most a hundred apart); the house's own
// canaries, which attack all day (what they leave in the journal counts for nothing); a file
// of a rule that cannot be read any more (it stops no other, and is an alarm).
//
// Where nothing is kept: words of people stand in the journal alone. Persons stand in labels
// under the journal's pseudonyms, in series of requests under those of access records. Their
// habits are sealed under their own keys, and die with them.
//
// What a crash takes: requests, and the sights of people in them, of the last minute, for they have no
// number to begin again from. Entries count in the change that moves the cursor, for one node alone; what is usual is
// learned from rows, up to a minute that is kept; what is new about somebody is an entry in the change
// that keeps their habits. So nothing counts twice.
//
// Several servers see the same people: what is known of somebody is a row with a version, and whoever finds
// another than they read joins both. What is new is said once, and what only both together show within the minute.
//
// BUG(node): readings are of this node, and so are counts of access records. BUG(crash): no
// rule of one's own is asked about the records of the last second before one.
// BUG(dead): that a lone server has died is seen by nobody on the same machine; somebody outside
// may be told each minute that it lives (beat.go).
//
// For: engineer, owner. Read watch.go, pack.go, rule.go; then follow.go, reading.go,
// alarm.go, step.go, tell.go, route.go, route_ask.go, beat.go; meters.go, gauge.go, sample.go, gate.go, learn.go, resume.go, habits.go, unusual.go, usual.go, view_usual.go; own.go, own_log.go, own_watch.go, backtest.go, lesson.go, regress.go, gated.go; monthly.go, silence.go, hide.go, mute.go, flap.go, link.go, slack.go, ground.go, bundle.go,
// trial.go, alertmanager.go, clauses.go.
package watch
