package watch

import (
	"slices"
	"time"

	"writ/internal/journal"
	"writ/internal/notify"
)

const (
	alarms      = "mon.alarms"
	notified    = "mon.notify"
	load        = "mon.load"
	signIn      = "auth.best-practice"
	automation  = "use.no-automation"
	tampering   = "log.tamper-evident"
	roles       = "access.roles"
	leastRights = "access.least-privilege"
	secrets     = "vault.access-logged"

	lagOf, lagBytes, archiveAge = "db.lag", "db.lag-bytes", "db.archive"
	clockOff                    = "host.clock-off"
)

// Pack is the rules that are there from the first start, in the order in which people read
// them. A rule is one entry here, with what fires it.
func Pack() []Rule {
	return slices.Concat(loadRules(), serviceRules(), abuseRules(), dataRules(), trustRules(), unusualRules(), costRules(), metaRules())
}

func loadRules() []Rule { // clause: mon.load
	const m = time.Minute
	return []Rule{
		{ID: "cpu-high", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "cpu", Title: "The processors are busy", Says: "More than 90 % busy for a quarter of an hour",
			Next: "See which process it is (top), and what visitors ask for (Gate, Requests). More machines, or a limit on the busiest route.", Reads: "host.cpu", Above: 90, Clear: 75, For: 15 * m, fire: reads("")},
		{ID: "cpu-pressure", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "cpu", Title: "Work waits for a processor", Says: "Some task waited more than 60 % of the time for a quarter of an hour",
			Next: "The machine is too small for what runs on it, or something runs wild: look at top.", Reads: "host.pressure", Above: 60, Clear: 40, For: 15 * m, fire: reads("cpu")},
		{ID: "mem-high", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "mem", Title: "Memory is nearly used up", Says: "More than 92 % in use for ten minutes",
			Next: "See which process grew (top, sorted by memory); restart it, or give the machine more.", Reads: "host.memory", Above: 92, Clear: 85, For: 10 * m, fire: reads("")},
		{ID: "oom-kill", Part: Load, Severity: notify.Page, Clause: load, Signal: "mem", Title: "A process was killed for memory", Says: "The system ended a process because memory ran out",
			Next: "dmesg says which one. If it was the database, look at its log before anything else.", Reads: "host.oom", Above: 0.5, Clear: 0.5, fire: reads("")},
		{ID: "disk-full-soon", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "disk", Title: "A disk is filling up", Says: "More than 90 % of a disk that holds data is used",
			Next: "See what grew (du -xh --max-depth=2); move backups away, or enlarge the disk.", Reads: "host.disk", Above: 90, Clear: 85, For: m, fire: reads("data")},
		{ID: "disk-filling", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "disk", Title: "A disk will be full within a day", Says: "At the pace of the last hours the room on a disk that holds data lasts less than 24 hours",
			Next: "See what grows (du -xh --max-depth=2, twice), and stop it or make room before tomorrow.", Reads: "host.disk-left", Above: -24, Clear: -48, For: 10 * m, fire: reads("data")},
		{ID: "disk-full", Part: Load, Severity: notify.Page, Clause: load, Signal: "disk", Title: "A disk is almost full", Says: "More than 97 % of a disk that holds data is used",
			Next: "Make room now: when it is full, changes are refused.", Reads: "host.disk", Above: 97, Clear: 95, For: m, fire: reads("data")},
		{ID: "inode-high", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "disk", Title: "A disk runs out of files", Says: "More than 90 % of the files that a disk can hold are there",
			Next: "Find the folder with very many small files, and what makes them.", Reads: "host.inodes", Above: 90, Clear: 85, For: m, fire: reads("data")},
		{ID: "fd-high", Part: Load, Severity: notify.Ticket, Clause: load, Title: "Too many files and connections are open", Says: "More than 80 % of the descriptors this process may have",
			Next: "Look at the number of connections; raise LimitNOFILE of the unit if they are wanted.", Reads: "process.files", Above: 80, Clear: 70, For: m, fire: reads("")},
		{ID: "goroutine-leak", Part: Load, Severity: notify.Ticket, Clause: load, Title: "This process has too much under way", Says: "More than 20,000 tasks for ten minutes",
			Next: "Many visitors at once, or a fault of Writ: restart in a quiet moment, and report it.", Reads: "process.tasks", Above: 20_000, Clear: 10_000, For: 10 * m, fire: reads("")},
		{ID: "fsync-slow", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "disk", Title: "The database is slow to keep what it is given", Says: "One commit in a hundred takes more than 100 ms, for five minutes",
			Next: "See what else writes to that disk (iostat -x 1), and whether the disk is failing (dmesg, smartctl). Every change waits for it.", Reads: "db.commit", Above: 100, Clear: 50, For: 5 * m, fire: reads("")},
		{ID: "conn-saturation", Part: Load, Severity: notify.Ticket, Clause: load, Title: "Connections are nearly used up", Says: "More than 80 % of those that the database, this process's pool of them or the gate takes, for a minute",
			Next: "The label says which. server: see who holds them (pg_stat_activity). pool: see what is slow. gate: see who holds connections open (Gate).", Reads: "db.connections", Above: 80, Clear: 70, For: m, fire: reads("server")},
		{ID: "replication-lag", Part: Load, Severity: notify.Ticket, Clause: "host.auto-recovery", Title: "A replica is behind", Says: "More than 10 seconds behind the database, for a minute",
			Next: "The label names the replica: see its load, its disk and the line to it. Until it has caught up a fail-over loses what it lacks.", Reads: lagOf, Above: 10, Clear: 5, For: m, fire: reads("replica")},
		{ID: "replication-far", Part: Load, Severity: notify.Ticket, Clause: "host.auto-recovery", Title: "A replica lacks much", Says: "More than 64 MiB that it has not replayed, for a minute",
			Next: "The label names the replica. If it cannot catch up (pg_stat_replication), it has to be made anew.", Reads: lagBytes, Above: 64 << 20, Clear: 16 << 20, For: m, fire: reads("replica")},
		{ID: "replication-late", Part: Load, Severity: notify.Page, Clause: "host.auto-recovery", Title: "A replica is a minute behind", Says: "More than 60 seconds behind the database",
			Next: "A fail-over now would lose a minute of changes: mend the replica before anything else is done to the database.", Reads: lagOf, Above: 60, Clear: 10, fire: reads("replica")},
		{ID: "wal-archive-late", Part: Recovery, Severity: notify.Ticket, Clause: "rec.backups", Title: "The database's log is not archived", Says: "No segment was archived for five minutes",
			Next: "pg_stat_archiver says what failed last. With archive_timeout = 60s a segment goes out each minute, also while little is written.", Reads: archiveAge, Above: 300, Clear: 120, fire: reads("")},
		{ID: "queue-age", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "queue", Title: "Queued work is late", Says: "Work such as a letter is overdue by more than ten minutes",
			Next: "See what waits and why (Mail in the console); often the mail server is away.", Reads: "queue.overdue", Above: 600, Clear: 120, For: m, fire: reads("")},
		{ID: "queue-failed", Part: Load, Severity: notify.Ticket, Clause: load, Signal: "queue", Title: "Queued work was given up", Says: "Work failed for good, and lies in the queue to be seen",
			Next: "The queue (Mail in the console) says of each why.", Reads: "queue.failed", Above: 0.5, Clear: 0.5, For: m, fire: reads("")},
		{ID: "journal-waiting", Part: Load, Severity: notify.Page, Clause: tampering, Signal: "queue", Title: "Entries wait for the journal", Says: "An entry has waited for its number for more than a minute",
			Next: "writ journal verify says whether the journal stands still; while it does, changes will be refused soon.", Reads: "journal.waiting", Above: 60, Clear: 10, For: m, fire: reads("")},
	}
}

func serviceRules() []Rule {
	const m = time.Minute
	return []Rule{
		{ID: "errors-burn", Part: Traffic, Severity: notify.Page, Clause: load, Signal: "errors", Title: "Many requests fail", Says: "More than 14.4 % of requests end with 500 or above, over five minutes and over an hour",
			Next: "See which route fails (Gate, Requests, answer 5) and what was changed last.", Reads: "requests.failed-fast", Above: 14.4, Clear: 5, fire: reads("")},
		{ID: "errors-slow-burn", Part: Traffic, Severity: notify.Ticket, Clause: load, Signal: "errors", Title: "Some requests fail all the time", Says: "More than 6 % of requests end with 500 or above, over half an hour and over six hours",
			Next: "See which route fails (Gate, Requests, answer 5).", Reads: "requests.failed-slow", Above: 6, Clear: 3, fire: reads("")},
		{ID: "latency-burn", Part: Traffic, Severity: notify.Page, Clause: load, Signal: "latency", Title: "Answers take very long", Says: "More than 14.4 % of answers take over two seconds, over five minutes and over an hour",
			Next: "Look at the application and its database first: the gate adds microseconds.", Reads: "requests.late-fast", Above: 14.4, Clear: 5, fire: reads("")},
		{ID: "latency-slow-burn", Part: Traffic, Severity: notify.Ticket, Clause: load, Signal: "latency", Title: "Some answers take long all the time", Says: "More than 6 % of answers take over two seconds, over half an hour and over six hours",
			Next: "See which route is slow (Gate, Requests).", Reads: "requests.late-slow", Above: 6, Clear: 3, fire: reads("")},
		{ID: "5xx-new-route", Part: Traffic, Severity: notify.Ticket, Clause: load, Signal: "errors", Title: "A route fails that never did", Says: "The first answer of 500 or above of a route in 35 days",
			Next: "The label names the route: see what was changed there last, and the request (Gate, Requests, answer 5).", Streams: []string{"watch.route-failed"}, By: byField("route"), Quiet: 6 * time.Hour, fire: seen("watch.route-failed", "route", "GET /orders/{id}")},
		{ID: "upstream-down", Part: Traffic, Severity: notify.Page, Clause: "host.auto-recovery", Title: "The application does not answer", Says: "A place of the application failed its look, or its requests",
			Next: "See which place (Gate), and look at the application there. Others take its requests meanwhile.", Streams: []string{"gateway.upstream-failed"}, By: byObject, Quiet: 6 * time.Hour, Ends: []string{"gateway.upstream-recovered"}, fire: seen("gateway.upstream-failed", "cause", "health")},
		{ID: "cert-expiry", Part: Traffic, Severity: notify.Ticket, Clause: "crypto.certificates", Title: "A certificate ends soon", Says: "Less than 14 days are left",
			Next: "See why it was not renewed (Gate), and put a new one in place.", Reads: "certificate.used", Above: -14, Clear: -15, For: m, fire: reads("https")},
		{ID: "cert-ending", Part: Traffic, Severity: notify.Page, Clause: "crypto.certificates", Title: "A certificate is about to end", Says: "Less than 3 days are left",
			Next: "Put a new certificate in place now: browsers turn everybody away when it ends.", Reads: "certificate.used", Above: -3, Clear: -4, For: m, fire: reads("https")},
		{ID: "cert-refused", Part: Traffic, Severity: notify.Ticket, Clause: "crypto.certificates", Title: "A certificate was not renewed", Says: "The authority refused to issue it",
			Next: "The entry says why; the present one is in use until it ends.", Streams: []string{"gateway.certificate-refused"}, By: byObject, Quiet: 24 * time.Hour, Ends: []string{"gateway.certificate-renewed"}, fire: seen("gateway.certificate-refused")},
		{ID: pushedRule, Part: Traffic, Severity: notify.Ticket, Clause: alarms, Title: "Another system raised an alert", Says: "An alert was pushed by Prometheus, Grafana or amtool",
			Next: "Its labels say what it is about.", Reads: "pushed", Above: 0, Clear: 0, Quiet: 5 * m, fire: reads("")},
		{ID: "clock-offset", Part: Traffic, Severity: notify.Ticket, Clause: alarms, Title: "The clock is wrong", Says: "More than a second apart from a clock elsewhere, for two minutes: that of the database's machine, or of whoever is told outside",
			Next: "The label says whose clock it was compared with. See whether time is kept by a server (timedatectl), here and there; links, codes and sessions end by this clock.", Reads: clockOff, Above: 1, Clear: 0.5, For: 2 * m, fire: reads("database")},
		{ID: "clock-step", Part: Traffic, Severity: notify.Ticket, Clause: alarms, Title: "The clock jumped", Says: "The clock moved by more than two seconds against the time that went by",
			Next: "See whether time is kept by a server (timedatectl); links and sessions end by this clock.", Reads: "host.clock", Above: 2, Clear: 1, fire: reads("")},
	}
}

func abuseRules() []Rule {
	const m = time.Minute
	code := func(want ...string) func(*journal.Entry) int64 {
		return only(func(e *journal.Entry) bool { return slices.Contains(want, text(e, "code")) })
	}
	status := func(want ...int64) func(*journal.Entry) int64 {
		return only(func(e *journal.Entry) bool { return slices.Contains(want, number(e, "status")) })
	}
	return []Rule{
		{ID: "signin-failures-network", Part: Abuse, Severity: notify.Ticket, Clause: signIn, Title: "One network tries passwords", Says: "30 refused sign-ins of one network in ten minutes",
			Next: "It is slowed down already. If it goes on, block the network before the gate.", Streams: []string{"identity.sign-in-refused"}, By: byWhom, Over: 30, Within: 10 * m, fire: often("identity.sign-in-refused")},
		{ID: "signin-failures-all", Part: Abuse, Severity: notify.Page, Clause: signIn, Title: "Passwords are tried from everywhere", Says: "400 refused sign-ins in ten minutes, from anywhere",
			Next: "Likely lists of stolen passwords. See who got in meanwhile (People), and ask for a second factor.", Over: 400, Within: 10 * m, fire: often("identity.sign-in-refused"),
			Streams: []string{"identity.sign-in-refused", "identity.refusals-folded"}, If: only(func(e *journal.Entry) bool {
				return e.Stream != "identity.refusals-folded" || text(e, "of") == "identity.sign-in-refused"
			})},
		{ID: "password-spray", Part: Abuse, Severity: notify.Page, Clause: signIn, Title: "One password is tried on many accounts", Says: "One network tried many accounts, few times each",
			Next: "See who signed in from it meanwhile (Record), and end those sessions.", Streams: []string{"identity.spraying-seen"}, By: byWhom, Quiet: time.Hour, fire: seen("identity.spraying-seen", "addresses", 25)},
		{ID: "sign-ins-throttled", Part: Abuse, Severity: notify.Ticket, Clause: signIn, Title: "Many sign-ins are slowed down", Says: "30 throttles in ten minutes",
			Next: "An attack, or a program with an old password: see where they come from (Record).", Streams: []string{"identity.sign-ins-throttled"}, Over: 30, Within: 10 * m, fire: often("identity.sign-ins-throttled", "door", "sign-in")},
		{ID: "factor-failures", Part: Abuse, Severity: notify.Ticket, Clause: signIn, Title: "Somebody fails at a second factor", Says: "10 refused codes about one person or from one network in ten minutes",
			Next: "The password is likely known to somebody else: ask the person, and have it changed.", Streams: []string{"identity.factor-refused"}, By: bySubject, Over: 10, Within: 10 * m, fire: often("identity.factor-refused", "kind", "totp")},
		{ID: "sign-in-disowned", Part: Abuse, Severity: notify.Ticket, Clause: signIn, Title: "Somebody says a sign-in was not theirs", Says: "The link in the letter about a sign-in was used",
			Next: "All of theirs has ended, and the password is locked already. See what the stranger did meanwhile (Record, by the session), and how they had the password.", Streams: []string{"identity.sign-in-disowned"}, By: bySubject, Quiet: time.Hour, fire: seen("identity.sign-in-disowned", "sessions", 1)},
		{ID: "mfa-fatigue", Part: Abuse, Severity: notify.Ticket, Clause: signIn, Title: "Somebody is asked for a second factor again and again", Says: "5 times in ten minutes that one person was asked for a second factor after a right password",
			Next: "Somebody has the password and hopes for a tired yes: ask the person not to agree, have the password changed, and see from where it was (Record).", Streams: []string{"identity.factor-asked"}, By: bySubject, Over: 5, Within: 10 * m, fire: often("identity.factor-asked", "need", 2)},
		{ID: "factor-locked", Part: Abuse, Severity: notify.Ticket, Clause: signIn, Title: "A second factor was locked", Says: "Too many wrong codes for one person",
			Next: "Ask the person whether it was them. If not, their password is known.", Streams: []string{"identity.factor-locked"}, By: bySubject, Quiet: time.Hour, fire: seen("identity.factor-locked", "kind", "totp")},
		{ID: "reset-flood", Part: Abuse, Severity: notify.Ticket, Clause: "auth.reset-link", Title: "Many password resets are asked for", Says: "60 in ten minutes, from anywhere",
			Next: "Somebody fills mailboxes or looks for accounts; answers do not tell which exist.", Streams: []string{"identity.reset-requested"}, Over: 60, Within: 10 * m, fire: often("identity.reset-requested")},
		{ID: "signup-burst", Part: Abuse, Severity: notify.Ticket, Clause: "auth.signup-email", Title: "Many accounts are asked for", Says: "100 sign-ups in ten minutes",
			Next: "See whether they are confirmed (People); a campaign confirms, a robot does not.", Streams: []string{"identity.sign-up-requested"}, Over: 100, Within: 10 * m, fire: often("identity.sign-up-requested")},
		{ID: "credential-replayed", Part: Abuse, Severity: notify.Page, Clause: signIn, Title: "A used credential came back", Says: "A refresh token or code was used twice, or a passkey was copied",
			Next: "Two hold what one should. The family is ended already: ask its owner, and look at their device.", Streams: []string{"identity.refresh-reuse-refused", "identity.code-reuse-refused", "identity.passkey-clone-seen"}, By: byObject, Quiet: time.Hour,
			fire: seen("identity.refresh-reuse-refused", "family", "f")},
		{ID: "token-failures", Part: Abuse, Severity: notify.Ticket, Clause: automation, Title: "Bad tokens come from one network", Says: "60 refused tokens of one network in ten minutes",
			Next: "A program with an ended token, or somebody who guesses: see where from (Record).", Streams: []string{"identity.token-refused"}, By: byWhom, Over: 60, Within: 10 * m, fire: often("identity.token-refused", "cause", "unknown")},
		{ID: "enumeration", Part: Abuse, Severity: notify.Ticket, Clause: automation, Title: "Somebody tries addresses one by one", Says: "300 requests of one caller that may not, or that nothing is at, in ten minutes",
			Next: "See what they asked for (Gate, Requests); end the session or token if it is one.", Streams: []string{"gateway.request-refused"}, If: status(401, 403, 404), By: byWhom, Over: 300, Within: 10 * m, fire: often("gateway.request-refused", "status", 404, "code", "not_found")},
		{ID: "unknown-endpoint", Part: Abuse, Severity: notify.Ticket, Clause: automation, Title: "A program asks outside the interface", Says: "50 requests of one caller to what is not described, in ten minutes",
			Next: "Ask its owner. What it asked for is in the entries; it was refused.", Streams: []string{"gateway.request-refused"}, If: code("not_described", "method_not_described", "not_as_described"), By: byWhom, Over: 50, Within: 10 * m, fire: often("gateway.request-refused", "code", "not_described")},
		{ID: "rate-limited", Part: Abuse, Severity: notify.Notice, Clause: automation, Title: "One caller asks far too often", Says: "500 requests of one caller over the limit, in ten minutes",
			Next: "They were refused. If it is a good customer, talk about a higher limit.", Streams: []string{"gateway.request-refused"}, If: status(429), By: byWhom, Over: 500, Within: 10 * m, fire: often("gateway.request-refused", "status", 429)},
		{ID: "waf-burst", Part: Abuse, Severity: notify.Ticket, Clause: automation, Title: "Attacks on the application", Says: "60 requests of one caller that look like attacks, in ten minutes",
			Next: "See what they tried (Gate, Finds). Refused ones did nothing.", Streams: []string{"gateway.waf-matched"}, By: byWhom, Over: 60, Within: 10 * m, fire: often("gateway.waf-matched", "mode", "block")},
		{ID: "malformed-burst", Part: Abuse, Severity: notify.Notice, Clause: automation, Title: "Much that is no request", Says: "1,000 connections in ten minutes whose bytes are no request",
			Next: "A scanner. Nothing of it reached the application.", Streams: []string{"gateway.malformed"}, Over: 1000, Within: 10 * m, fire: often("gateway.malformed")},
		{ID: "rights-refused", Part: Abuse, Severity: notify.Ticket, Clause: roles, Title: "Somebody tries what they may not", Says: "25 acts of one person that their role does not allow, in ten minutes",
			Next: "Ask the person. If it was not them, end their sessions (People).", Streams: []string{"access.refused"}, By: byWhom, Over: 25, Within: 10 * m, fire: often("access.refused", "action", "policy.approve")},
	}
}

func dataRules() []Rule {
	const m = time.Minute
	return []Rule{
		{ID: "leak-guard-hit", Part: Data, Severity: notify.Ticket, Clause: "data.no-card", Title: "Sensitive data was stopped", Says: "50 requests or answers with numbers of cards in an hour",
			Next: "See the route (Gate, Finds): a form that asks for too much, or a page that shows too much.", Streams: []string{"gateway.sensitive-data-stopped"}, Over: 50, Within: time.Hour, fire: often("gateway.sensitive-data-stopped", "class", "card")},
		{ID: "bulk-read", Part: Data, Severity: notify.Page, Clause: secrets, Title: "One caller reads very many secrets", Says: "1,000 reads of parameters by one caller in an hour",
			Next: "If it is not a roll-out, end the access key now (Secrets) and replace what it read.", Streams: []string{"vault.param-read"}, By: byWhom, Over: 1000, Within: time.Hour, fire: often("vault.param-read", "param", "p")},
		{ID: "secret-reads-refused", Part: Data, Severity: notify.Ticket, Clause: secrets, Title: "Secrets are asked for in vain", Says: "40 refused reads by one caller in ten minutes",
			Next: "A program with an ended key, or somebody who guesses names: the entries say which.", Streams: []string{"vault.read-refused", "vault.reads-refused", "vault.value-refused"}, By: byWhom, Over: 40, Within: 10 * m, fire: often("vault.read-refused", "code", "key_ended")},
		{ID: "secret-found", Part: Data, Severity: notify.Ticket, Clause: "vault.secret-home", Title: "A secret lies where it should not", Says: "A scan found a credential in a repository, an image or a file",
			Next: "See what and where (Parameters, Where secrets should not be); replace the value first, then remove it.", Streams: []string{"vault.scan-finished"}, If: func(e *journal.Entry) int64 { return number(e, "hits") }, By: byObject, Quiet: 24 * time.Hour, fire: seen("vault.scan-finished", "hits", 2)},
		{ID: "export-taken", Part: Data, Severity: notify.Notice, Clause: secrets, Title: "Data was taken out", Says: "An export of the journal, of secrets or of a person's data",
			Next: "Know who did it and why: the entry names both.", Streams: []string{"journal.exported", "vault.export-taken", "identity.person-exported"}, By: byWhom, Quiet: time.Hour, fire: seen("vault.export-taken")},
		{ID: "mass-delete", Part: Data, Severity: notify.Page, Clause: "data.crypto-erase", Title: "Very much is deleted", Says: "30 people erased, or parameters or items deleted, by one actor in an hour",
			Next: "If nobody meant it, close the gate (writ gateway freeze on) and see what is gone before more goes.", Streams: []string{"identity.person-erased", "vault.param-deleted", "vault.item-erased", "vault.item-deleted"}, By: byWhom, Over: 30, Within: time.Hour, fire: often("vault.param-deleted")},
		{ID: "staff-view-without-reason", Part: Data, Severity: notify.Page, Clause: "use.need-to-see", Title: "Staff looked at a customer without a reason", Says: "A look began without the reason that the policy wants, or without a ticket",
			Next: "No such look can begin: somebody went around what refuses it. End the sessions of who looked, ask what for, and tell the customer.", Streams: []string{"identity.impersonated"}, If: only(unexplained), By: byObject, Quiet: 24 * time.Hour, fire: seen("identity.impersonated", "asks", "required", "ticket", "T-1")},
		{ID: "canary-secret-read", Part: Data, Severity: notify.Page, Clause: secrets, Title: "Somebody read a secret that nobody should", Says: "A planted parameter was read: no program needs it, so whoever asks for it looks around",
			Next: "The entry says who, and by which access key: end the key and the sessions now (Secrets, People), then see what else they read (Record).", Streams: []string{"vault.planted-read"}, By: byWhom, Quiet: time.Hour, fire: seen("vault.planted-read", "param", "p")},
		{ID: "rotation-failed", Part: Recovery, Severity: notify.Ticket, Clause: "crypto.key-rotation", Title: "A secret was not replaced", Says: "A step of a rotation failed; the former value is in use",
			Next: "writ vault rotation list says what to do.", Streams: []string{"vault.rotation-failed"}, By: byObject, Quiet: 24 * time.Hour, Ends: []string{"vault.secret-rotated"}, fire: seen("vault.rotation-failed", "code", "unreachable")},
	}
}

// unexplained reports whether a look has no ticket, or not the reason that the policy wants. What
// the reason says is hidden here; that there is one is not.
func unexplained(e *journal.Entry) bool { // clause: use.need-to-see
	reason := slices.ContainsFunc(e.Fields, func(f journal.Field) bool { return f.Name == "reason" })
	return text(e, "ticket") == "" || !reason && text(e, "asks") != "optional"
}

func trustRules() []Rule {
	isOwner := func(e *journal.Entry) bool {
		if text(e, "role") == "owner" {
			return true
		}
		for _, name := range []string{"to", "roles"} {
			v, _ := e.Field(name)
			if rs, ok := v.([]any); ok && slices.Contains(rs, any("owner")) {
				return true
			}
		}
		return false
	}
	return []Rule{
		{ID: "journal-broken", Part: Trust, Severity: notify.Page, Clause: tampering, Title: "The journal does not hold", Says: "A check found that it was altered, or it stands still",
			Next: "Touch nothing. writ journal verify names the place; keep a copy of the folder before anything is restarted.", Reads: "journal.broken", Above: 0.5, Clear: 0.5, fire: reads("")},
		{ID: "journal-check-failed", Part: Trust, Severity: notify.Page, Clause: tampering, Title: "A check of the journal failed", Says: "The nightly check, or one that was asked for, found a difference",
			Next: "Touch nothing. The entry says what was found; keep a copy of the folder.", Streams: []string{"journal.self-checked"}, If: only(func(e *journal.Entry) bool { v, ok := e.Field("ok"); return ok && v == false }), Quiet: 24 * time.Hour, fire: seen("journal.self-checked", "ok", false)},
		{ID: "checkpoint-late", Part: Trust, Severity: notify.Page, Clause: tampering, Title: "The journal is not signed in time", Says: "The last signature is older than twice what the policy allows",
			Next: "The log says why (module journal): the key, the disk or the database. What was recorded is there, and nobody can prove its order yet.", Reads: "journal.unsigned", Above: 2, Clear: 1, fire: reads("")},
		{ID: "lease-flap", Part: Trust, Severity: notify.Ticket, Clause: tampering, Title: "The lead changes hands too often", Says: "Three times in an hour that another process began to number the journal",
			Next: "The entries name the nodes: see whether one is starved or restarts, or whether the line to the database breaks.", Streams: []string{"journal.sequencer-elected"}, Over: 3, Within: time.Hour, fire: often("journal.sequencer-elected", "epoch", 1)},
		{ID: "records-lost", Part: Trust, Severity: notify.Page, Clause: "inc.breach-scope", Title: "Records of access are missing", Says: "Records were dropped or damaged, or the log of the seal was altered or lost lines",
			Next: "See which (Record): the disk was too slow, the process died, or somebody was at the files.", Streams: []string{"gateway.records-dropped", "gateway.records-damaged", "vault.seal-log-altered", "vault.seal-lines-lost"}, Quiet: 24 * time.Hour, fire: seen("gateway.records-damaged", "segment", "s")},
		{ID: "break-glass-used", Part: Trust, Severity: notify.Page, Clause: leastRights, Title: "Somebody broke the glass", Says: "An emergency session was opened with shares, or used",
			Next: "Know who and why. If nobody did: end it (writ user sessions), and hand out new shares.", Streams: []string{"identity.breakglass-granted", "identity.breakglass-used"}, By: byObject, Quiet: 2 * time.Hour, fire: seen("identity.breakglass-used")},
		{ID: "vault-sealed", Part: Trust, Severity: notify.Page, Clause: "people.no-sole-holder", Title: "The vault was sealed", Says: "Somebody put the keys away",
			Next: "If it was meant, holders open it again. If not: find out what they feared.", Streams: []string{"vault.sealed"}, Quiet: time.Hour, Ends: []string{"vault.unsealed", "vault.auto-unsealed"}, fire: seen("vault.sealed")},
		{ID: "policy-changed", Part: Trust, Severity: notify.Notice, Clause: "gov.owners", Title: "Another policy is in force", Says: "A revision was adopted",
			Next: "Read what changed (Revisions).", Streams: []string{"policy.adopted"}, By: byObject, Quiet: time.Hour, fire: seen("policy.adopted", "version", "2.0")},
		{ID: "owner-added", Part: Trust, Severity: notify.Page, Clause: roles, Title: "There is another owner", Says: "Somebody was given the role owner, for a while or for good",
			Next: "Know who it is and who agreed. If nobody did, take it back now (Rights).", Streams: []string{"identity.role-granted", "identity.roles-changed", "identity.person-added"}, Quiet: time.Hour, By: byObject,
			If: only(func(e *journal.Entry) bool { return e.Kind != "operator" && e.Kind != "writ" && isOwner(e) }), fire: seen("identity.role-granted", "role", "owner")},
		{ID: "operator-added-owner", Part: Trust, Severity: notify.Page, Clause: roles, Title: "The machine's account made an owner", Says: "Somebody at the server's own account added an owner, later than on the first day",
			Next: "Whoever is root on the machine did this. Know who; if nobody did, the machine is not yours alone.", Streams: []string{"identity.person-added", "identity.roles-changed"}, Quiet: time.Hour, By: byObject,
			If: only(func(e *journal.Entry) bool { return e.Kind == "operator" && e.N > firstDay && isOwner(e) }), fire: func(*Rule) trial {
				e := entry("identity.person-added", "roles", []any{"owner"})
				e.Kind, e.N = "operator", firstDay+1
				return trial{entries: []journal.Entry{e}}
			}},
		{ID: "wrote-while-closed", Part: Trust, Severity: notify.Page, Clause: "inc.loss-freeze", Title: "Something was written while the gate was closed", Says: "The application took a change during maintenance",
			Next: "That change may be lost by a restore: see which (Gate, Requests) and tell its author.", Streams: []string{"gateway.wrote-while-closed"}, Quiet: 6 * time.Hour, fire: seen("gateway.wrote-while-closed")},
	}
}

// firstDay is how many entries belong to setting a server up.
const firstDay = 200

func metaRules() []Rule { // clause: mon.alarms
	const m = time.Minute
	return []Rule{
		{ID: "source-silent", Part: Meta, Severity: notify.Ticket, Clause: alarms, Title: "A source fell silent", Says: "Nothing was read of it for three times its interval",
			Next: "The label names the source; the log says why it cannot be read.", Reads: "source.silent", Above: 3, Clear: 2, fire: reads("host")},
		{ID: "watch-behind", Part: Meta, Severity: notify.Page, Clause: alarms, Title: "Watch is behind the journal", Says: "More than 5,000 entries were not looked at for two minutes",
			Next: "Alarms are late. The log says whether it fails; load passes by itself.", Reads: "watch.behind", Above: 5000, Clear: 500, For: 2 * m, fire: reads("")},
		{ID: "heartbeat-missing", Part: Meta, Severity: notify.Page, Clause: alarms, Title: "The heartbeat of watch is missing", Says: "Three heartbeats in a row, one each ten seconds, did not arrive",
			Next: "Alarms may not go out. The label names the node: see whether it runs, and what its log says.", Reads: missing, Above: 29, Clear: 15, fire: reads("node")},
		{ID: "events-dropped", Part: Meta, Severity: notify.Page, Clause: alarms, Title: "Watch lost some of what it counts", Says: "Requests, or records that rules of your own are about, came faster than they could be looked at",
			Next: "The minute is marked as incomplete, and nothing is learned from it. See what the load was (Gate, Requests).", Streams: []string{"watch.events-dropped"}, By: byField("source"), Quiet: time.Hour, fire: seen("watch.events-dropped", "source", "requests")},
		{ID: "rule-error", Part: Meta, Severity: notify.Ticket, Clause: alarms, Title: "A rule cannot be evaluated", Says: "Looking at an entry ended in an error",
			Next: "A fault of Writ: the log has the place. The other rules go on.", Reads: "watch.errors", Above: 0.5, Clear: 0.5, fire: reads("")},
		{ID: "own-rules-missed", Part: Meta, Severity: notify.Ticket, Clause: alarms, Title: "Rules of your own missed something", Says: "Records came faster than they were looked at, or more counted towards a correlation than is kept",
			Next: "Narrow the rule that matches so much, or group it by fewer values; the records themselves are kept.", Reads: "watch.dropped", Above: 0.5, Clear: 0.5, fire: reads("")},
		{ID: "notify-failing", Part: Meta, Severity: notify.Page, Clause: notified, Title: "People are not reached", Says: "A message was rejected or came back, or nobody knows whether it arrived",
			Next: "writ watch deliveries says which and why. While one way is broken, alarms have only the other.", Streams: []string{"notify.rejected", "notify.left-unknown", "notify.bounced"}, By: byField("channel"), Quiet: 6 * time.Hour, fire: seen("notify.rejected", "channel", "ops")},
		{ID: "oncall-gap", Part: Meta, Severity: notify.Ticket, Clause: notified, Title: "Somebody on call cannot be told", Says: "Within two weeks it is the turn of nobody, of somebody who has left, or of one person twice; or a channel took no test this week",
			Next: "See who is on call (Alarms, Who is on call) and set the rota anew; until then engineers are told, and owners with them.", Reads: "oncall.gap", Above: 0.5, Clear: 0.5, fire: reads("first")},
		{ID: pageTest, Part: Meta, Severity: notify.Page, Clause: notified, Title: "The monthly test page", Says: "Once a month a page goes out, and somebody acknowledges it",
			Next: "Acknowledge it: that ends the test. Nothing is the matter.", Reads: "page.owed", Above: 0.5, Clear: 0.5, drill: true, fire: reads("")},
		{ID: "export-behind", Part: Meta, Severity: notify.Ticket, Clause: alarms, Title: "Another system no longer takes entries", Says: "An entry has waited for more than ten minutes to be taken",
			Next: "writ watch exports says why. Nothing is lost: it goes on where it stopped.", Reads: "export.behind", Above: 10, Clear: 1, fire: reads("siem")},
		{ID: "status-behind", Part: Meta, Severity: notify.Ticket, Clause: alarms, Title: "A copy of the status page is old", Says: "A place that the page is published to was not brought up to date for more than ten minutes",
			Next: "The label names the place; the log says why it cannot be written. The page itself answers.", Reads: "status.behind", Above: 10, Clear: 6, fire: reads("folder")},
		{ID: "export-dropped", Part: Meta, Severity: notify.Ticket, Clause: alarms, Title: "Another system refused entries for good", Says: "A receiver answered that it will never take an entry",
			Next: "The entries are in the journal still; the receiver's own log says what it dislikes.", Streams: []string{"watch.export-dropped"}, By: byField("to"), Quiet: 6 * time.Hour, fire: seen("watch.export-dropped", "to", "siem")},
		{ID: "rule-imprecise", Part: Meta, Severity: notify.Ticket, Clause: alarms, Title: "A rule cries wolf", Says: "Of the last 20 verdicts on it fewer than 80 % were true or benign",
			Next: "See what it fired on; its bounds do not fit this company.", Reads: "watch.imprecise", Above: 0.5, Clear: 0.5, fire: reads("cpu-high")},
	}
}
