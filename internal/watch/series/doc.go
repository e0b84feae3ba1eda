// Package series keeps how much went on, and when: counts, sums, levels and quantiles by
// meter, dimension and label.
//
//	Add (requests, readings) ─► pending minutes ─► Flush, each minute ─┐
//	Batch ─► Write, in the change that moves a follower's cursor ──────┼─► rows of a minute (35 days)
//	                                                                   ├─► rows of an hour (400 days)
//	                                                                   └─► rows of a day (5 years)
//	Seen, Lost ─► which minutes of a source were observed, and which have holes
//
// The surface: a Meter says what is counted and along which dimensions. Add counts an Event
// in memory; it never waits for the database. Flush writes the minutes that are over. A
// follower fills a Batch instead and writes it in the change that holds its cursor, so that
// entries that come again count nothing. Range gives the points of one series over a span,
// Top the labels of a dimension with the most, Minute everything of one minute.
//
//	points, err := s.Range(ctx, series.Query{Meter: "requests", Dimension: "route", Label: "/orders/{id}", From: a, Until: b, Step: time.Hour})
//	rows, err := s.Top(ctx, series.Query{Meter: "requests", Dimension: "team", From: a, Until: b}, 10)
//
// A point's Value is the sum (Count, Spread), the mean (Gauge), or how many there were (Union). Observed is the share of its
// minutes in which the source was there without a hole; where that is 0 the point is a gap:
// nobody knows, which is not zero. Steps under a minute come from memory, of this node alone,
// for the last ten minutes; steps from a minute on come from the finest rows that fit the step.
//
// Promises: a roll-up is the same numbers as its parts, in the same change. A quantile is within
// 1 % of the value (merging loses nothing). Events up to 5 minutes late count in their own
// minute; later ones are counted apart (Late). A meter has at most 10,000 live labels, then
// they count under Other (Overflow); a label is at most 64 bytes. Of what counts under Other, the
// labels with the most are known by the hour, each between bounds (package heavy), so that whoever
// has most stands in Top though ten thousand came before.
//
// Refuses: a meter or a dimension that is not in the catalogue (the event counts nothing, and
// Unknown says how many), more than 10,000 points at a time.
//
// Threats: labels that a stranger chooses (bounded, counted under Other); a clock that jumps
// (the minutes around it are not observed); two nodes that write the same minute (they add
// up, in one order of rows, so that neither waits for the other in a circle).
//
// Where nothing personal stands: persons and networks are labels under the journal's
// pseudonyms. Tables watch_series, watch_series_1m, _1h, _1d, watch_heavy and watch_observed are kept as
// long as said above; staff may export them; there is nothing to erase.
//
// BUG(heavy): a crash takes up to a minute of those bounds with it; the sum under Other is whole.
//
// BUG(node): seconds are of this node alone, and a minute in which one of two nodes was away
// counts as observed.
//
// For: engineer, owner. Read series.go, batch.go, write.go, read.go, spilled.go; then sketch.go, distinct.go, observed.go.
package series
