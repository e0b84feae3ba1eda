// Package engine is the state machines of an incident as tables: the lifecycle and the
// regions beside it. It is pure: what is known about an incident is handed in as Facts, and
// the answer is the step that may be taken, or each guard that keeps it, in words.
//
//	Facts ─┐
//	table ─┴─► Find(state, event) ─► Unmet(step, facts) ─► none: the step │ else what, and who can mend it
//
//	L signal ► triage ► active ► mitigated ► resolved ► review ► closed     (cancelled)
//	C required ► drafted ► posted ► current ⇄ overdue ► final ► reviewed    public communication
//	F none ► proposed ► approved ► deployed ► lasting ► replaced            the fix
//	R suspected ► down ► frozen ► … ► up ► protected                        lost data
//	B suspected ► confirmed ► scoped ► … ► notified ► researched ► prevented  a breach
//
// Promises: inc.process (a step cannot be taken before its predecessors: the table has no
// other way), inc.categorise (nothing else starts before the kind is decided).
//
// Refuses: an event that the state does not have; a step whose guard does not hold, unless
// two people have waived that guard, and it is one that can be waived.
//
// Threats: a step skipped by a tired person (guards are asked in the same transaction that
// writes the step); a table that leads nowhere (a test walks every state); a drawing that
// tells something else than the code obeys (the SVG is drawn from the table).
//
// For: package incident. Read engine.go, guard.go; then life.go, region.go; draw.go.
package engine
