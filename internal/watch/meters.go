package watch

import (
	"slices"
	"strconv"
	"strings"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/watch/series"
)

// Whose absence makes a gap in a meter.
const (
	gate     = "requests" // what the gate answered
	record   = "journal"
	readings = "readings" // of this machine and its parts
	letters  = "mail"
)

// The dimensions along which meters are counted. A person is named as the source's records name
// them: requests by the pseudonym of access records, entries by that of the journal.
const (
	byRoute   = "route"
	byTeam    = "team"
	byPerson  = "person"
	byNetwork = "network"
	byAgent   = "agent"
	byRule    = "rule"
	byChannel = "channel"
	byKind    = "kind"
	byPart    = "of" // where a reading has several
)

// Meters is everything that is counted, in the order in which people read it.
func Meters() []series.Meter {
	level := func(name, unit, says string) series.Meter {
		return series.Meter{Name: name, Kind: series.Gauge, Source: readings, Unit: unit, Scale: 1000, Says: says, Dimensions: []string{byPart}}
	}
	count := func(name, source, says string, dimensions ...string) series.Meter {
		return series.Meter{Name: name, Kind: series.Count, Source: source, Says: says, Dimensions: dimensions}
	}
	spread := func(name, unit, says string, dimensions ...string) series.Meter {
		return series.Meter{Name: name, Kind: series.Spread, Source: gate, Unit: unit, Says: says, Dimensions: dimensions}
	}
	return []series.Meter{
		count("requests", gate, "Requests that the gate answered", byRoute, byTeam, byPerson, byNetwork, byAgent, byKind),
		count("requests.refused", gate, "Requests that the gate refused", byRoute, byTeam, byPerson, byNetwork, byKind),
		count("requests.failed", gate, "Answers of 500 and above", byRoute, byTeam),
		spread("latency", "µs", "How long answers took", byRoute, byTeam),
		spread("bytes.out", "bytes", "Bytes of answers", byRoute, byTeam, byPerson, byNetwork),
		spread("bytes.in", "bytes", "Bytes of requests", byRoute, byTeam),
		count("records", gate, "Records of the application that requests named", byRoute, byTeam, byPerson),
		series.Meter{Name: "people.different", Kind: series.Union, Source: gate, Says: "Different people whose requests were answered"},
		series.Meter{Name: "networks.different", Kind: series.Union, Source: gate, Says: "Different networks from which requests came"},
		series.Meter{Name: "teams.different", Kind: series.Union, Source: gate, Says: "Different teams whose requests were answered"},
		count("sign-ins", record, "Sign-ins", byPerson, byNetwork, byKind),
		count("sign-ins.refused", record, "Refused sign-ins", byNetwork),
		count("secret-reads", record, "Secrets that somebody was given", byPerson, byKind),
		count("staff-views", record, "Times that staff looked as a customer", byPerson, byTeam),
		count("exports", record, "Exports of the journal, of secrets and of a person's data", byPerson, byKind),
		count("refusals", record, "Refused acts", byPerson, byKind),
		count("detections", record, "Alarms that opened", byRule, byKind),
		count("deliveries", record, "Messages about alarms, by what became of them", byChannel, byKind),
		count("entries", record, "Entries of the journal", byKind, byTeam),
		count("mails", letters, "Letters that were handed over", byKind),
		series.Meter{Name: "storage", Kind: series.Gauge, Source: readings, Unit: "bytes", Says: "Bytes on the disks that hold data", Dimensions: []string{byPart}},
		series.Meter{Name: "cpu.seconds", Kind: series.Spread, Source: readings, Unit: "s", Scale: 1000, Says: "Seconds that the processors were busy", Dimensions: []string{byPart}},
		series.Meter{Name: "log.bytes", Kind: series.Spread, Source: readings, Unit: "bytes", Says: "Bytes of access records that were written", Dimensions: []string{byPart}},
		level("host.cpu", "%", "Time that the processors were busy"), level("host.pressure", "%", "Time that some task waited"), level("host.memory", "%", "Memory in use"),
		level("host.disk", "%", "Disks in use"), level("process.files", "%", "Open files of those this process may have"), level("process.tasks", "", "Tasks under way in this process"),
		level("db.connections", "%", "Connections in use, of the database, this process and the gate"), level("db.commit", "ms", "Within which 99 of 100 commits were done"), level("db.log", "bytes", "The database's log that waits to be moved into its file"),
		level(clockOff, "s", "How far the clock is from clocks elsewhere, at least"),
		level(lagOf, "s", "How far replicas are behind"), level(lagBytes, "bytes", "What replicas have not replayed"), level(archiveAge, "s", "Since the database's log was last archived"), level("db.waiting", "", "Locks that a change waits for"), level("db.dead", "%", "Dead rows of the table that has the most"),
		level("queue.overdue", "s", "How late queued work is"), level("journal.waiting", "s", "How long entries wait for their number"), level("watch.behind", "", "Entries that watch has not looked at"),
		level(latency, "ms", "How long a heartbeat takes from its reading to the end of an alarm's way"),
	}
}

// measured adds what an entry counts in the meters.
func measured(b *series.Batch, e *journal.Entry) {
	put := func(meter string, n int64, labels ...series.Label) {
		b.Add(series.Event{At: e.Happened, Meter: meter, N: n, Labels: labels})
	}
	whom := series.Label{Dimension: byPerson}
	if e.Kind == string(actor.Person) || e.Kind == string(actor.Machine) || e.Kind == string(actor.Support) {
		whom.Value = e.Actor
	}
	net := series.Label{Dimension: byNetwork}
	if e.Kind == string(actor.Stranger) {
		net.Value = e.Actor
	}
	kind := func(v string) series.Label { return series.Label{Dimension: byKind, Value: v} }
	put("entries", 1, kind(e.Stream), series.Label{Dimension: byTeam, Value: e.Team})
	switch e.Stream {
	case "identity.signed-in":
		put("sign-ins", 1, series.Label{Dimension: byPerson, Value: e.Subject}, net, kind(text(e, "method")))
	case "identity.sign-in-refused":
		put("sign-ins.refused", 1, net)
	case "identity.refusals-folded":
		if text(e, "of") == "identity.sign-in-refused" {
			put("sign-ins.refused", counted(e), net)
		}
	case "vault.param-read", "vault.item-revealed", "vault.item-checked-out", "vault.link-opened":
		put("secret-reads", counted(e), whom, kind(e.Stream))
	case "identity.impersonated":
		put("staff-views", 1, whom, series.Label{Dimension: byTeam, Value: text(e, "team")})
	case "journal.exported", "vault.export-taken", "identity.person-exported", "gateway.records-searched":
		if e.Stream != "gateway.records-searched" || exported(e) {
			put("exports", 1, whom, kind(e.Stream))
		}
	case "watch.alarm-opened":
		put("detections", 1, series.Label{Dimension: byRule, Value: text(e, "rule")}, kind(text(e, "severity")))
	case "notify.accepted", "notify.rejected", "notify.left-unknown":
		put("deliveries", 1, series.Label{Dimension: byChannel, Value: text(e, "channel")}, kind(strings.TrimPrefix(e.Stream, "notify.")))
	}
	if strings.HasSuffix(e.Stream, "-refused") || e.Stream == "access.refused" {
		put("refusals", counted(e), whom, kind(e.Stream))
	}
}

func exported(e *journal.Entry) bool { return text(e, "export") != "" }

// families are the agents that are told apart, by what stands in their header; the first that
// fits. Only these words are kept, never the header.
var families = [][2]string{
	{"Edg/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	{"curl/", "curl"}, {"Wget/", "Wget"}, {"Go-http-client/", "Go"}, {"python", "Python"}, {"Python", "Python"}, {"okhttp/", "OkHttp"}, {"Java/", "Java"}, {"node", "Node"}, {"axios/", "Node"}, {"PostmanRuntime/", "Postman"},
}

// systems are told apart the same way.
var systems = [][2]string{{"Android", "Android"}, {"iPhone", "iOS"}, {"iPad", "iOS"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"}}

// family is what kind of agent a header names: "Firefox on Linux".
func family(header string) string {
	find := func(in [][2]string) string {
		i := slices.IndexFunc(in, func(f [2]string) bool { return strings.Contains(header, f[0]) })
		if i < 0 {
			return ""
		}
		return in[i][1]
	}
	if header == "" {
		return ""
	}
	agent, system := find(families), find(systems)
	switch {
	case agent == "":
		return "another"
	case system == "":
		return agent
	}
	return agent + " on " + system
}

// class is the kind of an answer: 2xx.
func class(status int) string { return strconv.Itoa(status/100) + "xx" }
