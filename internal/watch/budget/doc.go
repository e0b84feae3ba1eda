// Package budget is the arithmetic of spending: exact amounts, bills as the clouds write them,
// a list of prices, and how a month will end. It does no I/O beyond the reader it is given and
// knows no clock.
//
//	AWS CUR 2.0 ─┐
//	FOCUS 1.x ───┼─► Read ─► statements: source × month ─► lines: day × service ─► totals of days ─► Foresee ─► 80 % interval
//	own CSV ─────┘                                                                        ▲
//	units of a meter ─► Prices ───────────────────────────────────────────────────────────┘
//
// Promises (mon.budget): amounts add up exactly, to the last digit of the bill; a statement takes
// the place of the one of its source and month, or line by line with the own CSV, so that a bill
// read twice counts once; credits stand apart and hide no spending; two currencies are never
// added; a forecast says that it is learning before it knows three whole days.
//
// Refuses: what is not understood, with line, column and what was expected there; files that
// unpack to more than 256 MiB; a line over 1 MiB; more than 24 months or 1,000 services.
//
// Threats: a bill that unpacks without end; a number that grows without end by its exponent.
//
// For: engineer, owner. Read amount.go, bill.go, price.go, forecast.go, level.go, hint.go.
package budget
