// Package sigma reads detection rules in the public Sigma format (2.1) and says which events
// they take. It knows nothing of where events come from; it reads no clock and no disk.
//
//	file ─► Load ─► rules, correlations, filters, or an Error: file, line, column, rule, what
//	rules ─► New ─► by log source ─► texts that must occur ─► few rules are asked about an event
//	                                                  └─► correlations: points in a window ─► Hit
//
// Owns: the format, what a match is, the state of correlations.
//
// A match: letters count alike unless cased; a field that is not there has no value, so no
// value is its value; null is a field that is not there, or null; a number is itself and its
// text; of a list, any part may match. An expression (re) is RE2, finds anywhere, and tells
// upper from lower case unless it says i. neq is the opposite of its value, of absence too.
//
// Refuses: files over 256 KiB, 200 selections, 10,000 values, expressions over 1 KiB, windows
// over a day; YAML with aliases, anchors, tags or deep nesting; counts behind a pipe, as rules
// of long ago have them; modifiers that are not of the format. One bad rule stops no other.
//
// Threats: a file made to fill memory or time (bounds before anything is built; expressions
// take linear time); events made to fill the state of a correlation (100,000 groups, a million
// points; what is beyond is not counted, and that is told: Lost).
//
// A percentile is of the numbers in a window where the condition names one (percentile: 95).
// Where it does not, the event's value is compared by its share of all values, in percent.
//
// For: engineer, who writes rules. Read load.go, value.go, glob.go, condition.go; then
// engine.go, literals.go, correlate.go, state.go; yaml.go.
package sigma
