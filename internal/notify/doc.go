// Package notify tells people, and keeps a ledger of what was sent to whom, by which way
// and with what answer. Modules that must reach somebody queue a message inside the change
// that causes it; a job sends it.
//
//	Prepare (seals) ─► Queue in a Change ─► queued ─► claimed ─► sent ─► accepted
//	                                          ▲                    ├───► rejected
//	                                          └──── deferred ◄─────┤
//	                                                               └───► unknown
//	accepted ─► delivered │ bounced, by a notice of a mail server (RFC 3464)
//
// Ways: mail (the house's own server), webhook (Standard Webhooks, signed), slack (Slack,
// Mattermost, Rocket.Chat, Discord under /slack), teams, pagerduty, ntfy, gotify, a long tail of
// one request each (tail.go: telegram, matrix, signal, google-chat, opsgenie, pushover, zulip), command
// (a program that the machine's settings name), file (a folder, to try things out).
//
// Promises: mon.notify, with watch. A message is queued once however often it is asked for.
// Whether it was taken is known or it is unknown; unknown is never called failed, and is
// sent again by itself only where the message says that it may be repeated. Each try is kept.
//
// Refuses: an address of ours (loopback, private, link-local, shared, metadata) unless the
// machine's settings allow it; redirects; a notice about no letter of ours, or about another
// receiver of it; a line break in anything that becomes a header; a
// message of more than 64 KiB.
//
// Threats: a webhook that leads inside (the address that was checked is the one that is
// dialled, so a name that changes its mind gains nothing); a stolen database (addresses,
// secrets and texts are sealed); a process that dies between sending and writing it down
// (unknown), two nodes (an epoch fences each try); a slow receiver (10 s, 64 KiB, two at a time
// of each channel, which hold no other's hands); one that is away (after five tries in vain it
// rests, and one try looks whether it is back), or that asks to be left alone.
//
// Tables: see schema/. Read notify.go, channel.go, delivery.go, send.go, rest.go; then guard.go, webhook.go,
// ways.go, tail.go, command.go, follow.go; report.go, bounce.go, intake.go, inbox.go.
//
// For: owners and engineers, who are told; every module with something to tell.
package notify
