// Package identity owns people, teams, addresses, passwords, sessions and one-time
// links: who may be said to act here, and how they prove it.
//
//	sign-up ─► attempt ─► job ─► letter ─► confirm ─► person, address, team, password
//	sign-in ─► throttle ─► gate ─► verify | dummy ─► session row ─► memory ─► cookie
//	invite  ─► job ─► letter ─► link ─► account or yes ─► member of the team
//	        └► flow ─► second factor ─► session; without one set up: factor pages alone
//	forgot  ─► job ─► letter ─► link ─► new password ─► all sessions and links end
//	new browser ─► letter ─► not me ─► everything ends, the password is locked until a reset
//	new address ─► password ─► both mailboxes agree ─► address
//	passkey ─► sealed question ─► device ─► judged by its record ─► question spent, session row
//	staff, reason, ticket ─► a look as one customer, an hour at most ─► letter, account page ─► receipt
//	person | operator, reason ─► copy: every table that names them, the journal, what is left out
//	directory ─► connection (one team) ─► person, roles by group; gone ─► all of the team ends
//	each request ─► Lookup (memory; idle and absolute by the clock) ─► actor.Actor
//	program ─► LookupToken (checksum, memory, owner's rights now, networks) ─► actor.Actor with Token and Scopes
//	another system ─► ImportRows ─► legacy ─► wrapped hash ─► renewed at the next sign-in
//	lend ─► (second person) ─► grant row ─► memory ─► ends by the clock, its need, a person
//	a role is gained ─► next request ─► new token, and the role; the former token: what was under way
//	leave ─► all of it, one change ─► counted again ─► receipt: how many of each kind, seconds to zero
//	proposal ─► Forecast (the same deciding functions, other rules) ─► counts, no names
//	shares ─► glass ─► SetEmergency ─► actor.BreakGlass, half an hour
//	clock ─► review ─► each right: keep | revoke, by others ─► undecided: the policy's answer
//
// Promises: auth.best-practice, auth.signup-email, auth.admin-invite, auth.unique-login,
// auth.unique-credentials, auth.no-cleartext, auth.one-way, auth.hash, auth.salt,
// auth.compare, auth.min-length, auth.banned, auth.change-needs-current,
// auth.reset-link, auth.reset-link-lifetime, auth.reset-sets-new,
// use.terms, use.need-to-see, access.roles,
// access.least-privilege, access.review, access.need-ends, access.mfa-by-technology,
// access.mfa-hosting (the decision is access's; that no provider's console is entered
// without a factor is carried by record).
//
// Refuses: access before the address is confirmed; a second login for an address; a
// password that is short, listed, or not the present one when it must be; a link that
// was used, replaced or is a moment too old; an invitation under another address; an act
// on a team one is not in; a sign-in beyond the throttle.
//
// Threats: a stranger who asks whether an address is known (same answer, same work,
// refusals held to one time); who guesses (throttle, slow hash, banned list); who
// keeps guessing so that the owner is locked out (known browsers are counted apart,
// and the reset keeps working); who tries one password on everybody (a network is held at
// its twentieth address in vain); who signs up with somebody else's address and waits
// (a password belongs to the attempt, never to the address); a mail scanner that
// opens links (GET changes nothing); a program's token found in a log or a repository
// (a shape that scanners know, scopes, an end, networks, no page and no account); a
// stolen table (tokens are hashes, personal
// columns are sealed under the person's key, hashes under a class key).
//
// Passkeys: package passkey judges them. A question travels sealed through the browser, so
// that strangers who ask write nothing here, and is spent in the change that its answer
// allows. The host name of the public address cannot change while there are passkeys.
//
// Order of truth: a change of a session is committed first, then made in memory, then
// answered. Memory has a bound (session_far.go): sessions beyond it come from their rows. Other
// nodes on PostgreSQL read changed sessions every half second, and once more before they say
// that a token is nobody's.
//
// Tables: see schema; each says who may export and erase it. A person takes a copy of
// everything (OwnData; a table that names people is in inCopy or notInCopy, or a test
// fails; child modules add theirs through Deps.Beside) and ends the account (Leave: 14 days to change one's mind). Erasure is
// Erase: rows go, then the person's key is destroyed; the journal keeps a pseudonym.
//
// Standards: what of OWASP ASVS 5.0 is tried stands in docs/asvs.md, by the names of the
// tests; where the owner chose less than a standard, identity.standards says it in the
// evidence of auth.best-practice. docs/sign-in.md tells people the limits, the words that
// passwords may not hold and the ways in; tests hold it against the code.
//
// BUG(tokens): whoever changes a right must call touchTokens in the same change; where it
// is forgotten a token keeps the former right until the rights are read again, every 20 s.
//
// BUG(folding): refusals beyond ten a minute from one network and of one kind are
// counted in memory and recorded as one entry when the minute is over; a crash loses
// the count of that minute.
//
// BUG(reviews): reviews and counts of uses look at the rights of staff; those of customers
// are their team's to look after.
//
// BUG(answers): the control that times answers keeps a day's times in memory; after a start
// it judges by the pairs since, eight at least.
//
// BUG(spraying): an address may be tried five times in the end of one hour of a network's
// counter and once more in the next; whoever owns n accounts can hide n addresses so.
//
// BUG(canary): two nodes that run the same control at the same moment plant the same
// row; one of the two runs ends without a result.
//
// Routes: Service.Routes, all under /-/api/v1/. Door of browsers: Service.Identify.
//
// For: customer users and staff (sign-in), the operator and owners (people). Read
// identity.go, rules.go, signin.go, need.go, demand.go, flow.go, factor.go, session.go, session_table.go, session_far.go; then signup.go, password.go,
// recovery.go, link.go, passkey_acts.go, passkey_question.go, factor_passkey.go, notme.go, address_change.go, person.go, own.go, own_rest.go, own_name.go, leave.go, erase.go, throttle.go;
// token_text.go, token.go, token_table.go, service.go are for programs, import.go for people
// brought over; team.go, member.go, switch.go, invitation.go, accept.go are teams;
// grant.go, lent.go, renew.go, loan_letters.go, unused.go and review.go are the rights; offboard.go and
// service_suspend.go are the ends; terms.go, support.go and
// support_session.go, receipt.go (looks); remember.go; connection.go, provision.go, provision_change.go and
// provision_group.go (scim is their wire); forecast.go counts what other rules would do;
// emergency.go is the way for package glass; http.go is the API, clauses.go the proofs.
package identity
