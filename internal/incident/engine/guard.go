package engine

import (
	"slices"
	"strconv"
	"time"
)

// Facts are what is known about an incident at the moment when a step is wanted.
type Facts struct {
	Now        time.Time
	Reason     bool // was given with the step
	Categories []string
	Severity   int // 1 to 4; 0 = not decided
	Roles      map[Role]bool
	States     map[Region]string // of the regions that are open
	Waived     map[string]bool   // guards that two people have waived in this round, as WaiverOf writes them

	Green      bool      // nothing says that the impact lasts
	GreenSince time.Time // zero while it lasts
	Soak       time.Duration

	Public      bool // something was posted that nobody has taken back
	Monitoring  bool // the newest post says monitoring or resolved
	Estimate    bool // the post has an estimate, or says when the next one comes; or no estimate is asked for
	Leak        bool // the post holds what must not be public
	NextDue     time.Time
	AudienceOwe int  // of those affected, without a final message
	Audience    bool // who is affected was decided
	Subscribers int  // whose notice has no end yet; -1 = they are being looked for

	Author, Actor string // of what is to be approved, and who approves now
	ReviewSigned  bool
	Measures      bool      // there is a root cause, and each has an action that prevents it, with owner and date
	Expiry        time.Time // of the temporary fix
	LongestFix    time.Duration
	LastingOwned  bool
	Test          bool // a regression test is named

	Proved map[string]bool // guards of R and B that their own modules answer
}

// Lack is a guard that does not hold: which, in words, and who can mend it.
type Lack struct {
	Guard string `json:"guard"`
	Words string `json:"words"`
	Who   string `json:"who"`
}

// guard is one condition.
type guard struct {
	words string                // what is missing while it does not hold
	says  func(f *Facts) string // instead of words, where there is something to count; nil = nothing
	who   string                // who can mend it
	firm  bool                  // cannot be waived
	holds func(f *Facts) bool
}

// WaiverOf is how a waiver of a guard is written in Facts.Waived.
func WaiverOf(r Region, guard string) string { return string(r) + "/" + guard }

// Known reports whether a guard has this name, and whether two people may waive it.
func Known(name string) (known, waivable bool) {
	g, ok := guards[name]
	return ok, ok && !g.firm
}

// Words is what is missing while a guard does not hold; "" = there is no such guard, or it counts.
func Words(name string) string { return guards[name].words }

// Unmet lists the guards of a step that neither hold nor were waived.
func Unmet(r Region, s Step, f *Facts) (out []Lack) { // clause: inc.process
	for _, name := range s.Guards {
		g, known := guards[name]
		switch {
		case !known: // the walk of the tables finds it; here it only must not pass
			out = append(out, Lack{Guard: name, Words: "This guard is not known.", Who: "nobody"})
		case g.holds(f), !g.firm && f.Waived[WaiverOf(r, name)]:
		default:
			l := Lack{Guard: name, Words: g.words, Who: g.who}
			if g.says != nil {
				l.Words = g.says(f)
			}
			out = append(out, l)
		}
	}
	return out
}

// has is a guard that a role is taken.
func has(role Role, words string) guard {
	return guard{words: words, who: "anybody who may act in incidents", firm: true, holds: func(f *Facts) bool { return f.Roles[role] }}
}

// proved is a guard that another module answers for.
func proved(name, words, who string, firm bool) guard {
	return guard{words: words, who: who, firm: firm, holds: func(f *Facts) bool { return f.Proved[name] }}
}

// missing is a guard that another one is not answered yet: what is done is not done again.
func missing(name, words string) guard {
	return guard{words: words, who: "nobody: it is done", firm: true, holds: func(f *Facts) bool { return !f.Proved[name] }}
}

// ended reports whether a region is closed to further work, or never was opened.
func (f *Facts) ended(r Region) bool {
	at := f.States[r]
	if at == "" {
		return true
	}
	m, _ := Of(r)
	s, ok := m.State(at)
	return ok && s.Rest
}

// past reports whether a region is in one of the named states, or was not opened.
func (f *Facts) past(r Region, states ...string) bool {
	return f.States[r] == "" || slices.Contains(states, f.States[r])
}

// owed says of how many teams it is not known that they were told.
func owed(f *Facts) string {
	if !f.Audience {
		return "Who is affected is not decided yet."
	}
	return count(f.AudienceOwe, "team that is affected has", "teams that are affected have") + " no message in its final state."
}

// waiting says how many subscribers wait.
func waiting(f *Facts) string {
	if f.Subscribers < 0 {
		return "Those who subscribe to the status page are being looked for."
	}
	return count(f.Subscribers, "subscriber of the status page waits", "subscribers of the status page wait") + " for the newest update."
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

const (
	operator = "the recovery operator"
	officer  = "the privacy officer"
	two      = "two people"
	lead     = "the technical lead"
	comms    = "communications"
	everyone = "anybody who may act in incidents"
)

var guards = map[string]guard{
	"reason-given":  {words: "No reason is given.", who: "whoever takes the step", firm: true, holds: func(f *Facts) bool { return f.Reason }},
	"has-category":  {words: "No kind is decided.", who: everyone, firm: true, holds: func(f *Facts) bool { return len(f.Categories) > 0 }}, // clause: inc.categorise
	"has-severity":  {words: "No severity is decided.", who: everyone, firm: true, holds: func(f *Facts) bool { return f.Severity >= 1 && f.Severity <= 4 }},
	"has-commander": has(Commander, "Nobody commands."),
	"has-operator":  has(Recovery, "Nobody is recovery operator."),
	"has-officer":   has(Privacy, "Nobody is privacy officer."),
	"kind-decided":  {words: "The kind of incident is not decided yet, and nothing else starts before it.", who: everyone, firm: true, holds: func(f *Facts) bool { return f.past(L, "L2", "L3", "L4", "L5") && f.States[L] != "" }},
	"not-public":    {words: "Something was posted about it that nobody has taken back.", who: comms, firm: true, holds: func(f *Facts) bool { return !f.Public }},
	"was-public":    {words: "Nothing stands on the status page that could be taken back.", who: "nobody: there is nothing to do", firm: true, holds: func(f *Facts) bool { return f.Public }},
	"impact-over":   {words: "The impact is not over.", who: "the commander, who says so once it is seen", holds: func(f *Facts) bool { return f.Green }},
	"impact-back":   {words: "The incident is not active.", who: "the commander, by reopening it", firm: true, holds: func(f *Facts) bool { return f.States[L] == "L2" }},
	"fixed-or-up": {words: "No fix is in place or planned, and the application was not opened again.", who: lead, holds: func(f *Facts) bool {
		return slices.Contains([]string{"F3", "F4", "F5"}, f.States[F]) || slices.Contains([]string{"R10", "R11", "R12"}, f.States[R])
	}},
	"told-monitoring":  {words: "The status page does not say yet that the impact is over and is being watched.", who: comms, holds: func(f *Facts) bool { return f.States[C] == "" || f.Monitoring }},
	"soaked":           {words: "It has not been quiet long enough.", who: "time", holds: func(f *Facts) bool { return !f.GreenSince.IsZero() && f.Now.Sub(f.GreenSince) >= f.Soak }},
	"public-ended":     {words: "The status page does not say yet that it is resolved.", who: comms, holds: func(f *Facts) bool { return f.ended(C) }},
	"data-back":        {words: "The application is not up with its data restored.", who: operator, holds: func(f *Facts) bool { return f.past(R, "R10", "R11", "R12") }},
	"affected-told":    {says: owed, who: comms, holds: func(f *Facts) bool { return f.Audience && f.AudienceOwe == 0 }},                               // clause: inc.tell-affected
	"subscribers-told": {says: waiting, who: "time: each is told, refuses, or is suspended", holds: func(f *Facts) bool { return f.Subscribers == 0 }}, // clause: inc.tell-affected
	"review-approved":  {words: "The review is not approved by somebody who did not write it.", who: "anybody who may act and is not its author", firm: true, holds: func(f *Facts) bool { return f.ReviewSigned }},
	"measures":         {words: "A root cause has no action that prevents it, with an owner and a date.", who: "the author of the review", firm: true, holds: func(f *Facts) bool { return f.Measures }}, // clause: inc.learn
	"breach-ended":     {words: "The breach is not dealt with to its end.", who: officer, holds: func(f *Facts) bool { return f.ended(B) }},
	"fix-lasts":        {words: "The fix is a temporary one, without a lasting repair that has an owner and a date.", who: lead, holds: func(f *Facts) bool { return f.past(F, "F0", "F4", "F5") }},   // clause: inc.patch
	"estimate-given":   {words: "The text says neither when service returns nor when the next update comes.", who: "whoever writes it", firm: true, holds: func(f *Facts) bool { return f.Estimate }}, // clause: inc.eta
	"no-leak":          {words: "The text holds something that must not be public.", who: two, holds: func(f *Facts) bool { return !f.Leak }},
	"interval-over":    {words: "The next update is not late yet.", who: "time", firm: true, holds: func(f *Facts) bool { return !f.NextDue.IsZero() && !f.Now.Before(f.NextDue) }}, // clause: inc.updates
	"other-person":     {words: "Whoever proposed it does not approve it.", who: "anybody else who may act in incidents", firm: true, holds: func(f *Facts) bool { return f.Author != "" && f.Actor != "" && f.Author != f.Actor }},
	"expiry-set":       {words: "The temporary fix has no end, or a later one than the policy allows.", who: lead, firm: true, holds: func(f *Facts) bool { return f.Expiry.After(f.Now) && !f.Expiry.After(f.Now.Add(f.LongestFix)) }}, // clause: inc.patch
	"lasting-owned":    {words: "The lasting repair has no owner or no date.", who: lead, firm: true, holds: func(f *Facts) bool { return f.LastingOwned }},
	"regression-test":  {words: "No test is named that would fail if it came back.", who: lead, firm: true, holds: func(f *Facts) bool { return f.Test }},

	"gate-closed":        proved("gate-closed", "The gate is not closed on every node.", operator, true),
	"frozen-proved":      proved("frozen-proved", "It is not proved that nothing is written.", operator, true),
	"copy-kept":          proved("copy-kept", "The damaged state is not kept.", operator, false),
	"point-before-onset": proved("point-before-onset", "The point is not before the beginning of the incident.", operator, true),
	"plan-signed":        proved("plan-signed", "The plan is not signed by two people, or has changed since.", two, true),
	"rehearsal-green":    proved("rehearsal-green", "The rehearsal has not passed.", operator, false),
	"restored":           proved("restored", "The restore has not reached its point.", operator, true),
	"checks-green":       proved("checks-green", "A check of the restored data is not green.", operator, true),
	"dry-run-green":      proved("dry-run-green", "The dry run has not passed.", operator, true),
	"reconciled":         proved("reconciled", "Something that was revoked or erased may have come back.", operator, false),
	"staff-in":           proved("staff-in", "The application is not open to staff yet.", operator, true),
	"some-in":            proved("some-in", "The application is not open to a part of the teams yet.", operator, true),
	"all-in":             proved("all-in", "The application is not open to everybody yet.", operator, true),
	"some-out":           missing("some-in", "It is open to a part of the teams already."),
	"all-out":            missing("all-in", "It is open to everybody already."),
	"losses-listed":      proved("losses-listed", "It is not listed yet which writes are gone.", operator, true),
	"backup-owed":        missing("backup-proved", "A fresh backup is proved already."),
	"backup-proved":      proved("backup-proved", "The fresh backup is not proved by a restore.", operator, true),

	"dismissal-signed": proved("dismissal-signed", "Two people have not signed that no data was exposed.", two, true),
	"scope-saved":      proved("scope-saved", "It is not computed whose data it is, or the coverage is not stated.", officer, true),
	"scope-signed":     proved("scope-signed", "The list is not signed by two people.", two, true),
	"risk-signed":      proved("risk-signed", "The decision about the risk is not signed.", officer, true),
	"authority-told":   proved("authority-told", "There is no receipt of the authority, and no reason why it need not know.", officer, true),
	"letter-signed":    proved("letter-signed", "The letter is not signed by two people.", two, true),
	"letters-final":    proved("letters-final", "Somebody concerned has no final state and no second channel.", officer, true),
	"contained":        proved("contained", "What let the attacker in is not closed, or not tried again.", lead, true),
	"way-known":        proved("way-known", "The way in, the first and last access and the cause are not all recorded.", lead, true),
	"rule-fires":       proved("rule-fires", "No rule is written that fires on what happened.", lead, true),
	"measure-proved":   proved("measure-proved", "No measure has a test that failed before and passes now.", lead, true),
}
