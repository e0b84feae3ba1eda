// Package incident leads people from the first signal to a closed review, without letting
// them leave out what the policy promises. It decides and records; others act.
//
//	declare ─► L0 ─ I take it ─► L1 ─ kind, severity, commander ─► L2 active ─► L3 ─► L4 ─► L5 review ─► L6
//	                                                                ├─► C  status page, updates, letters
//	                                                                ├─► F  temporary fix, lasting repair
//	                                                                ├─► R  lost data     (package recovery acts)
//	                                                                └─► B  breach: the set, times of the law, letters one by one
//	alarm, spending ─► entry ─► follower ─► the open one of its kind │ a new one; cancelled ─► verdict false
//	report from outside ─► the same; its words for who may act ─► a letter with the reference, an answer
//	file of another tool ─► each line good, or none ─► a signal each, once
//	gate's meter ─► threshold ─► parts of the page turn, an incident hears of it, C opens
//	text of the kind and the word ─► places filled, or left open ─► seen on each channel ─► update
//	update ─► a row and a job for each account elsewhere ─► posted │ rejected, unknown: a person posts and pastes
//	step ─► facts from the rows ─► engine.Unmet ─► nothing: one change, one entry │ else 409 with each guard in words
//	signal ─► a named point, backups kept, charts copied; severity 1 or 2 ─► nothing is deployed; resolved ─► all is free
//	row of a deadline ─► looked at each second ─► late: an entry, letters, ten minutes later the commander
//	red while watched ─► active again, by itself; the time of watching anew
//	told ─► what it did to each team ─► its account, for its admins; a zip that proves it
//	closed ─► what its alarms and its breach rest on ─► the rules that must see the next one
//	act of the server ─► row with a key ─► job ─► done once, resumed after a crash; an overtaken try is refused
//
// Promises: inc.process, inc.categorise, inc.tell-affected, inc.learn, inc.public-notice,
// inc.updates, inc.eta, inc.patch, inc.prepared, inc.loss-maintenance, inc.loss-freeze,
// inc.loss-restore, inc.loss-reopen, inc.breach-scope, inc.breach-third-party,
// inc.breach-notify, inc.breach-research, inc.breach-prevent, host.bcp.
//
// Refuses: a step before its predecessors; anything before the kind is decided; an approval
// by whoever wrote it, or of another text than stands now; a waiver by one person; a second
// click on what is done (409 says where it stands); to change or remove a line of the timeline.
//
// Threats: a step left out at three in the morning (the tables have no other way); two
// commanders at once (the row is locked, the second learns what the first did); a server
// killed in the middle (state and entry are one change; what the server does has a key and a
// row); a server that was stopped and wakes when another has gone on (the gate and the recovery
// obey no older try than they have obeyed); a deadline that dies with the process (deadlines are rows); a text that tells
// too much (package status); a drill that reaches customers (a drill has no page and no
// letters, because nothing of that is given to it); an account of a team that tells of a breach
// before its letters went out, or of another team (as long as a letter is to be sent, or nobody
// knows yet which teams it is about, no account has anything of that version; a class that nobody
// was told of never; no request names the team, it is the one that whoever is signed in acts in).
//
// BUG(recovery): the database of an application is restored by this server only where it is
// given a Recovery; in this build that is the demo's sample. Elsewhere people do it, and two of
// them record it.
//
// Tables: incident_*; the schema says who may export and erase each.
//
// For: engineers, owners; a customer's team admins read their account. Read engine, status; then incident.go, case.go, step.go, facts.go;
// declare.go, alarm.go, report.go, bring.go, sheet.go, impact.go, relapse.go, sort.go, role.go, link.go, note.go, file.go, keep.go, freeze.go, bundle.go,
// text.go, draft.go, public.go, publish.go, fix.go, fix_review.go, review.go, similar.go, lesson.go, waive.go, solo.go, deviation.go; clock.go,
// told.go, work.go; http.go, clauses.go. Of lost data: loss.go and the files beside it; drill.go,
// drill_play.go, rehearse.go (a past incident once more). Of a breach: breach.go, breach_scope.go, breach_clock.go, breach_paper.go,
// breach_letter.go, breach_send.go; breach_whose.go, breach_audit.go, breach_public.go, breach_rows.go, own.go.
// Of a team's account: account.go, account_place.go, account_proof.go, account_http.go.
package incident
