// Package gateway is the gate between the public and the private application. It
// decides about every request in one visible list of steps and forwards what passes:
//
//	admit ─► mode ─► route ─► rate-address ─► caller ─► stage ─► allow ─► rate-caller ─► body ─► browser ─► schema ─► guard-in ─► cache ─► upstream
//	canonical  open?   longest   how much     who is    open to   level,    how much      bounds   a form    as it is   cards      public  signed assertion
//	form, host         match     of one       signed    this      roles,    of one                 shown     described             files   on, what a client
//	                             network      in        team?     scopes    caller                                               forged off; answers: cards masked
//
// Each step lets the request go on or refuses it with a clause, a status and words for
// the reader. What was authorised is byte for byte what is forwarded, but for digits that the
// policy wants masked in queries and bodies (data.no-card: redact). A browser that asks whether
// another site's page may make a request (CORS) is answered from the routes before the caller is
// looked for.
//
// Promises: use.no-automation (nothing passes that policy and routes do not allow;
// routes can only tighten the policy), crypto.tls-in-transit, crypto.current-public,
// crypto.certificates, crypto.payment-pages, net.edge-tls, net.private, inc.loss-maintenance
// and inc.loss-freeze (a closed gate lets nothing through, and what is under way ends),
// use.public-api (programs reach what a description of the interface names, within limits),
// host.cdn (public files from memory, nothing private kept), net.gateway-only and
// use.no-private-use (private services go out to listed names alone: egress.go and its kin),
// host.two-zones and host.auto-recovery (as far as the application's places go: zones.go),
// data.no-card, data.card-summary, data.no-ssn and data.no-phi (guardin.go, guardout.go).
//
// What an answer shows, the application may say: Writ-Team (whose data), Writ-Record (which
// records) and Writ-Rows (how many). It stands in the access record and does not reach the client.
// Staff see no team's data but that of their look, and more than 500 rows or 5 MiB in an answer,
// or more than 50 teams on a day, when a second person has agreed (shown.go: use.need-to-see).
// A cookie under a name of ours that the application sets is dropped, which is an entry
// (cookies.go).
//
// A route tagged browser takes changes from forms alone that the gate has put its fields into
// (browser.go), and a network that behaves like a program nobody asked for has a narrower limit
// by address (bots.go); both for use.no-automation.
//
// Where a route is tagged notice, a short text that names the data nobody wants stands before
// the first form of its pages, and programs read the same in the header Writ-Notice. The text is
// a plain paragraph with the role of a note: no style, no script, no cookie, nothing that the
// strictest content policy would refuse or that moves with the page's own code, and it is there
// before the first key is pressed. A banner, a page between or a script would each do more to
// the page than the sentence needs. Other pages are not touched.
//
// Refuses: a target that two readers could read differently (400, never repaired), a
// host that is not ours (421), a method no route lists (405), a stranger (401, or the
// sign-in page for a browser), a missing role (403), what nobody described (404, 405, 406,
// 415, 422), what is too much (429), the
// number of a card where the policy says block (422), an answer of text that cannot be looked
// into (502: of another packing than gzip, growing a hundredfold, or a part of it), what a closed gate keeps out (503), a plain connection
// to a public address. Refusals and totals are entries of the ledger; making them costs the
// request nothing (record.go).
//
// Threats: path confusion between gate and application; forged identity and proxy
// headers, also by underscore, in trailers and by Connection; a stolen assertion (60
// seconds, one session, route and method; where the route says exact, one path and query); rules that race with a reload (a request
// keeps the table it began with); an application name that later points elsewhere
// (the address is checked at every dial); bytes beside an answer that would become the
// answer to somebody else's request (such a connection is not used again).
//
// It owns no accounts: it asks Sessions, and keeps no answer. Tables gateway_mode and
// gateway_routes are public, as those of the description and of the nodes; nothing in them
// belongs to a person. gateway_quota counts by a token's id, for two days. Access records are
// kept by the child trail, public files by cache, places of the application by pool, and the
// certificate that an authority issues by acme. gateway_purge holds paths and tags.
//
// The step waf takes what is let in so far through the rules of package gateway/waf; what
// they find is counted (waf_finds.go), may be excepted (waf_except.go: table
// gateway_waf_exception; gateway_waf_seen is what is reviewed), and where the machine's
// settings or the route say so it is refused with 403 and nothing else.
//
// For: customer users (who never notice it), engineer, owner, auditor.
//
// Read gateway.go (the steps), target.go, routes.go, caller.go, body.go, upstream.go with
// headers.go, assertion.go and direct.go; streams.go, which cuts what may not go on;
// programs.go with described.go and shadow.go, limits.go with limits_store.go, bots.go, browser.go; then
// record.go, note.go, mode.go, reload.go, explain.go, clauses.go; guardin.go, guardout.go, sights.go and
// the child guard, guard_clauses.go; unseen.go and shown.go, which mask and withhold what staff do not see; waf.go and
// its kin; cache.go with cache_controls.go, and zones.go with zones_clauses.go; egress.go with egress_list.go,
// egress_moves.go and the child egress; tickets.go, which turns the keys of shorter handshakes; own.go, which keeps records of our own pages.
//
// BUG(looks): how many teams a member of staff looked at on a day is counted by each node for
// itself, and a restart forgets it.
//
// BUG(quota): several nodes learn of each other's use of a day's quota every other second;
// so much may pass beyond it, on each of them.
//
// BUG(guard): a piece of a number that ends an event is given away after 250 ms; if the rest
// follows later, only that is masked. A body over 64 KiB is looked at as it goes by, so the
// application may have the beginning of a request that is then broken off; the number it has
// not. Digests announced for the trailer of a masked answer do not fit it.
//
// BUG(record): counters of the current minute, not refusals' first entries, are lost
// when the process is killed.
package gateway
