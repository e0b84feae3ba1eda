// Package rota says who is told of alarms first, and who after them.
//
//	rotas (first, second), a week each ─┐
//	turns that somebody took over ──────┴─► whose turn it is ─► Told(level) ─► alarms of watch
//	                                          │    0 first · 1 and second · 2 and the owners
//	                                          ├─► the turn changes: a letter to both
//	                                          └─► nobody who can be told: the reading oncall.gap
//
// Owns: the two rotas, overrides and swaps, their routes. Whoever watches reads this as a source,
// each minute, so that its silence is an alarm too.
//
// Promises: mon.notify, with watch: somebody in particular is told first, and knows it; a turn that
// nobody can be told in is an alarm two weeks before it comes. Without a rota, and where the one
// whose turn it is cannot be told, everybody is told who would be without one.
//
// Refuses: a turn handed to somebody without the consent of both; a span that holds the turns of
// two; people who are told of no alarms (neither engineer nor owner, left, or with an address that
// nobody confirmed).
//
// Threats: an alarm that goes to somebody who has left (whoever is told is asked of the people there
// are, each time); a turn that is pushed to a colleague who does not know (both say so, each for
// themselves); a change of the clocks (hand-overs are at an hour of the wall, in the rota's zone).
//
// For: engineer, owner. Read turn.go, rota.go, override.go, look.go; events.go, http.go.
package rota
