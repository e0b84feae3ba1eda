package watch

import (
	"time"

	"writ/internal/journal"
	"writ/internal/notify"
)

const (
	abnormal = "mon.abnormal"
	travels  = "impossible-travel"
)

// needPlaces are the rules that see nothing without a table of places.
var needPlaces = []string{travels, "new-country"}

const noPlaces = "Unbound: writ.yaml names no table of places (watch.locations). With one: "

// unusualRules compare with what was learned. A reading of 1 is the edge of what is usual.
func unusualRules() []Rule { // clause: mon.abnormal
	const m = time.Minute
	beyond := func(id, part, severity, title, says, next string, lasts time.Duration) Rule {
		return Rule{ID: id, Part: part, Severity: severity, Clause: abnormal, Title: title, Says: says, Next: next, Reads: unusual + id, Above: 1, Clear: 0.8, For: lasts, fire: reads("")}
	}
	const since = " This is known after two weeks."
	rules := []Rule{
		beyond("traffic-drop", Traffic, notify.Page, "Far fewer requests than usual", "Less than two fifths of what is usual at this hour of the week, for three minutes",
			"See whether people reach the application: the way in (DNS, network), then the application itself. If it is a holiday, close it as benign."+since, 3*m),
		beyond("traffic-spike", Traffic, notify.Ticket, "Far more requests than usual", "Three to four times what is usual at this hour of the week, for three minutes",
			"See who asks (Gate, Requests): one caller is limited or blocked, many are a campaign or an attack."+since, 3*m),
		beyond("latency-unusual", Traffic, notify.Ticket, "Answers take far longer than usual", "One in twenty answers takes four times as long as usual at this hour, for five minutes",
			"See which route it is and what was changed last; then the application's database."+since, 5*m),
		beyond("refusals-spike", Abuse, notify.Ticket, "Far more refusals than usual", "Five times as many refused requests as usual at this hour of the week, for three minutes",
			"See who is refused what (Gate, Requests): somebody tries addresses, or a program was changed."+since, 3*m),
		beyond("signins-refused-unusual", Abuse, notify.Ticket, "Far more failed sign-ins than usual", "Five times as many as usual at this hour of the week, for three minutes",
			"Passwords are tried, slowly enough for each network to stay under its limit. See who got in meanwhile (People)."+since, 3*m),
		beyond("signins-unusual", Abuse, notify.Ticket, "Far more sign-ins than usual", "Four times as many as usual at this hour of the week, for three minutes",
			"A release that ended sessions, a campaign, or stolen passwords that fit: see whose they are (Record)."+since, 3*m),
		beyond("egress-anomaly", Data, notify.Ticket, "Far more data goes out than usual", "Of a person in an hour, or of a team or all of it in a minute: many times what is usual, and much",
			"See what is fetched (Gate, Requests, by the label). If nobody meant it, end the session or the token now."+since, 0),
		beyond("bulk-records", Data, notify.Ticket, "Somebody reads very many records", "Three times the records of the application that this person ever read in an hour, and 300 or more",
			"Ask the person. If it was not them, end their sessions (People) and see which records it were."+since, 0),
		beyond("secret-read-anomaly", Data, notify.Ticket, "Somebody reads more secrets than usual", "Three times what this person or program ever read in an hour, and 30 or more",
			"If it is not a roll-out, end the access key now (Secrets) and replace what it read."+since, 0),
		beyond("export-spike", Data, notify.Ticket, "More is exported than usual", "Three times the exports there ever were in an hour, and three or more",
			"Know who did it and why: each entry names both."+since, 0),
		beyond("staff-views-unusual", Data, notify.Ticket, "Somebody of staff looks at many customers", "Three times the looks that this person ever took in an hour, and six or more",
			"Read their reasons (Record): a wave of support is known to the team."+since, 0),
		{ID: "series-silent", Part: Meta, Severity: notify.Ticket, Clause: abnormal, Title: "Something that never rests is silent", Says: "Nothing for three minutes, or three times as long as there ever was nothing",
			Next: "The label says of what. See whether it still happens and is only not seen, or does not happen any more.", Reads: unusual + "series-silent", Above: 1, Clear: 0.3, fire: reads("requests")},
		{ID: "baseline-drift", Part: Meta, Severity: notify.Ticket, Clause: abnormal, Title: "What is usual has moved far", Says: "The level is twice what it was four weeks ago, or half",
			Next: "See the series (Alarms, What is usual). If it grew, accept it there with a reason; if not, somebody may be moving slowly enough not to be seen.", Reads: unusual + "baseline-drift", Above: 2, Clear: 1.8, fire: reads("requests")},
	}
	return append(rules, personRules()...)
}

// personRules are of what was never seen of somebody before.
func personRules() []Rule { // clause: mon.abnormal
	of := func(what string) func(*journal.Entry) int64 {
		return only(func(e *journal.Entry) bool { return text(e, "what") == what })
	}
	first := func(id, severity, what, title, says, next string) Rule {
		return Rule{ID: id, Part: Abuse, Severity: severity, Clause: abnormal, Title: title, Says: says, Next: next, Streams: []string{"watch.first-seen"}, If: of(what), By: bySubject, Quiet: 12 * time.Hour, fire: seen("watch.first-seen", "what", what)}
	}
	const ask = "Ask the person, not by mail. If it was not them, end their sessions (People) and have the password changed."
	return []Rule{
		first("new-place", notify.Ticket, "place", "Somebody comes from a new place by a new device", "A network and a browser that this person never used in 90 days, at once", ask),
		first(travels, notify.Ticket, "travel", "Somebody was in two places too far apart", "A person in one place, and 500 km or more away sooner than an airliner gets there; of two networks once in 90 days", ask+" If one of the two is a tunnel of theirs, close it as benign."),
		first("new-country", notify.Ticket, "country", "Somebody of staff comes from a new country", "One that this person was not in for 90 days", ask),
		first("new-network", notify.Notice, "network", "Somebody of staff comes from a new network", "One that this person was not in for 90 days", ask),
		first("new-agent", notify.Notice, "agent", "Somebody of staff uses another browser", "A kind of browser or program that this person did not use for 90 days", ask),
		first("new-hour", notify.Notice, "hour", "Somebody of staff comes at an hour they never do", "On no day within three hours of it, for as long as they are known", ask),
		first("shared-account", notify.Ticket, "shared", "Several people use one account", "One person in three networks with three browsers within half an hour", "An account is one person's: find out who they are, and invite the others. If the owner knows nothing, the password is stolen."),
	}
}
