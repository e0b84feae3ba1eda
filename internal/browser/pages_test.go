package browser

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// sheet is one page in one state.
type sheet struct {
	name    string       // of the test and of the picture
	route   string       // the mounted pattern it shows, for the list to be whole
	path    string       // what is opened; or
	show    func(b *tab) // how to get there
	words   string       // something that stands on it
	refused bool         // its status is one of refusal
	picture bool         // of the main pages: a picture of each
}

const nobody = ""

// strangers are the pages of people who are not signed in, each in its states.
func strangers(h *house, t *testing.T) []sheet {
	submit := func(path, form string) func(b *tab) {
		return func(b *tab) { // past the browser's own checks
			b.open(path)
			eval[bool](b, `window.left = true`)
			eval[bool](b, `(() => { const f = document.querySelector("main form"); for (const [k, v] of Object.entries(`+form+`)) f.elements[k].value = v; f.submit(); return true })()`)
			b.arrive(path)
		}
	}
	dead := strings.Repeat("A", 43)
	confirm := ""
	return []sheet{
		{name: "sign-in", route: "GET /-/sign-in", path: "/-/sign-in", words: "I forgot my password", picture: true},
		{name: "sign-in-wrong", show: submit("/-/sign-in", `{email: "nobody@orchard.example", password: "wrong password"}`), words: "not right", refused: true, picture: true},
		{name: "sign-up", route: "GET /-/sign-up", path: "/-/sign-up", words: "Your name", picture: true},
		{name: "sign-up-wrong", show: submit("/-/sign-up", `{email: "nobody", password: "short"}`), words: "2 fields", refused: true, picture: true},
		{name: "sign-up-sent", route: "GET /-/sign-up/sent", show: submit("/-/sign-up", `{email: "pages@orchard.example", name: "Pia", password: "`+aPassword+`"}`), words: "pages@orchard.example", picture: true},
		{name: "confirm", route: "GET /-/confirm/{token}", show: func(b *tab) { confirm = h.letter(b.t, "pages@orchard.example", 1); b.open(confirm) }, words: "It was not me", picture: true},
		{name: "confirm-elsewhere", show: func(b *tab) { b.forgetMe(); b.open(confirm) }, words: "not the browser that signed up", picture: true},
		{name: "confirm-dead", path: "/-/confirm/" + dead, words: "does not work", refused: true},
		{name: "forgot", route: "GET /-/forgot", path: "/-/forgot", words: "We send a link", picture: true},
		{name: "forgot-wrong", show: submit("/-/forgot", `{email: "nobody"}`), words: "address", refused: true},
		{name: "forgot-sent", route: "GET /-/forgot/sent", show: submit("/-/forgot", `{email: "`+shopper+`"}`), words: "If there is an account", picture: true},
		{name: "recover", route: "GET /-/recover/{token}", show: func(b *tab) { b.open(h.letter(b.t, shopper, 1)) }, words: "Set a new password", picture: true},
		{name: "recover-wrong", route: "GET /-/recover", show: submit("/-/recover", `{new: "short"}`), words: "One field", refused: true},
		{name: "recover-dead", path: "/-/recover/" + dead, words: "does not work", refused: true, picture: true},
		{name: "recover-lost", show: func(b *tab) { b.forgetMe(); b.open("/-/recover") }, words: "does not work", refused: true},
		{name: "invite", route: "GET /-/invite/{token}", show: func(b *tab) { b.open(h.staff(b.t, "invited@example.test", "Ines Maro")) }, words: "Choose a password", picture: true},
		{name: "invite-again", route: "GET /-/invite", path: "/-/invite", words: "Choose a password"},
		{name: "invite-dead", path: "/-/invite/" + dead, words: "does not work", refused: true},
		{name: "not-me-dead", route: "GET /-/not-me/{token}", path: "/-/not-me/" + dead, words: "does not work", refused: true, picture: true},
		{name: "not-me-lost", route: "GET /-/not-me", show: func(b *tab) { b.forgetMe(); b.open("/-/not-me") }, words: "does not work", refused: true},
		{name: "address-dead", route: "GET /-/address/{token}", path: "/-/address/" + dead, words: "does not work", refused: true},
		{name: "address-lost", route: "GET /-/address", show: func(b *tab) { b.forgetMe(); b.open("/-/address") }, words: "does not work", refused: true},
		{name: "status", route: "GET /-/status", path: "/-/status", words: "Parts of the service", picture: true},
		{name: "status-incident", route: "GET /-/status/incidents/{id}", path: "/-/status/incidents/" + h.filled(t).incident, words: "Sign-in fails for some people", picture: true},
		{name: "status-subscribe", route: "GET /-/status/subscribe", path: "/-/status/subscribe", words: "Send me updates", picture: true},
		{name: "status-webhook", route: "GET /-/status/subscribe/webhook", path: "/-/status/subscribe/webhook", words: "Send updates there", picture: true},
		{name: "status-confirm", route: "GET /-/status/confirm/{token}", path: "/-/status/confirm/none", words: "Yes, send them"},
		{name: "status-unsubscribe", route: "GET /-/status/unsubscribe/{token}", path: "/-/status/unsubscribe/none", words: "End them"},
		{name: "status-report", route: "GET /-/status/report", path: "/-/status/report", words: "Send the report", picture: true},
		{name: "status-manage", route: "GET /-/status/manage/{token}", path: "/-/status/manage/none", words: "This link works no more", refused: true},
		{name: "break-glass", path: "/-/break-glass", words: "Break the glass", picture: true},
		{name: "break-glass-drill", path: "/-/break-glass?drill=yes", words: "Practise"},
		{name: "once", route: "GET /-/once/{token}", show: func(b *tab) { b.open(h.filled(b.t).once) }, words: "shares a secret with you", picture: true},
		{name: "once-dead", path: "/-/once/" + dead, words: "not known", refused: true},
		{name: "acknowledge-dead", route: "GET /-/watch/acknowledge/{token}", path: "/-/watch/acknowledge/" + dead, words: "does not work", refused: true},
		{name: "trust", route: "GET /-/trust", path: "/-/trust", words: "How to check this yourself", picture: true},
		{name: "erased", route: "GET /-/erased", path: "/-/erased", words: "Check an erasure", picture: true},
		{name: "erased-wrong", show: submit("/-/erased", `{certificate: "hello"}`), words: "no certificate of an erasure", refused: true},
		{name: "erased-of-a-letter", show: func(b *tab) { b.open("/-/erased?person=" + h.erasedPerson(b.t)) }, words: "Check it"},
		{name: "erased-true", show: func(b *tab) { b.press("Check it") }, words: "What this proves", picture: true},
		{name: "erased-forged", show: func(b *tab) {
			b.open("/-/erased?person=" + h.erasedPerson(b.t))
			eval[bool](b, `(() => { const f = document.querySelector("main form"); f.elements.certificate.value = f.elements.certificate.value.replace("person-erased", "person-eraser"); return true })()`)
			b.press("Check it")
		}, words: "Do not rely on it", picture: true},
		{name: "not-found", path: "/-/no-such-page", words: "Request", refused: true, picture: true},
		{name: "sample-home", path: "/", words: "Create an account", picture: true},
		{name: "sample-pricing", path: "/pricing", words: "One price"},
		{name: "enrol", route: "GET /-/account/factors", show: func(b *tab) { h.newcomer(b) }, words: "nothing else opens", picture: true},
		{name: "totp", show: func(b *tab) { b.press("Set up an app") }, words: "No camera?", picture: true},
		{name: "totp-wrong", show: func(b *tab) { b.fill("code", "000000"); b.press("Turn it on") }, words: "not right", refused: true},
		{name: "codes", show: func(b *tab) {
			p := b.seedOn()
			b.fill("code", p.code(b.t))
			b.press("Turn it on")
			b.keepCodes(latecomer, p)
		}, words: "not shown again", picture: true},
		{name: "factor", route: "GET /-/sign-in/factor", show: func(b *tab) { b.forgetMe(); b.typePassword(latecomer) }, words: "One more step", picture: true},
		{name: "factor-wrong", show: func(b *tab) { b.fill("code", "000000"); b.press("Go on") }, words: "not right", refused: true, picture: true},
		{name: "factor-recovery", show: func(b *tab) { b.follow("Use a recovery code") }, words: "Recovery code"},
	}
}

// customers are the pages of a signed-in customer.
func customers(h *house, t *testing.T) []sheet {
	f := h.filled(t)
	return []sheet{
		{name: "contacts", path: "/contacts", words: "Ilse Brandt", picture: true},
		{name: "contacts-wrong", show: func(b *tab) {
			b.open("/contacts")
			eval[bool](b, `window.left = true`)
			eval[bool](b, `(() => { const f = document.querySelector("main form"); f.elements.name.value = "X"; f.elements.email.value = "none"; f.submit(); return true })()`)
			b.arrive("contacts")
		}, words: "not complete", refused: true},
		{name: "billing", path: "/billing", words: "Card ending", picture: true},
		{name: "account", route: "GET /-/account", path: "/-/account", words: "Needs your attention", picture: true},
		{name: "account-sessions", route: "GET /-/account/sessions", path: "/-/account/sessions", words: "this session", picture: true},
		{name: "account-access", route: "GET /-/account/access", path: "/-/account/access", words: "Applications", picture: true},
		{name: "account-data", route: "GET /-/account/data", path: "/-/account/data", words: "Get a copy", picture: true},
		{name: "account-incidents", route: "GET /-/account/incidents", path: "/-/account/incidents", words: "Sign-in fails for some people", picture: true},
		{name: "account-incident", route: "GET /-/account/incidents/{ref}", path: "/-/account/incidents/" + f.ref, words: "is not decided yet", picture: true},
		{name: "account-profile", route: "GET /-/account/profile", path: "/-/account/profile", words: "Both mailboxes", picture: true},
		{name: "account-security", route: "GET /-/account/security", path: "/-/account/security", words: "Remembered browsers", picture: true},
		{name: "account-factors", path: "/-/account/factors", words: "Set up an app"},
		{name: "account-tokens", route: "GET /-/account/tokens", path: "/-/account/tokens", words: "Make a token"},
		{name: "account-wrong", show: func(b *tab) {
			b.open("/-/account/security")
			b.fill("current", "not the password")
			b.fill("new", anotherPassword)
			b.press("Change the password")
		}, words: "password", refused: true, picture: true},
		{name: "team", route: "GET /-/team", path: "/-/team", words: "Orchard", picture: true},
		{name: "team-member", route: "GET /-/team/members/{person}", path: "/-/team/members/" + f.people[shopper], words: "Maria Ferro", picture: true},
		{name: "team-require", route: "GET /-/team/require", path: "/-/team/require?demand=none", words: "Leave it as it is", picture: true},
		{name: "terms", route: "GET /-/terms", path: "/-/terms", words: "terms", picture: true},
		{name: "applications", route: "GET /-/account/applications", path: "/-/account/applications", words: "No application signs you in", picture: true},
		{name: "consent", route: "GET /-/oidc/authorize", path: f.authorize(), words: "Harvest diary", picture: true},
		{name: "leave", route: "GET /-/oidc/logout", path: "/-/oidc/logout", words: "Stay signed in", picture: true},
		{name: "sign-out", route: "GET /-/sign-out", path: "/-/sign-out", words: "Stay signed in", picture: true},
		{name: "denied", path: "/-/console", words: "Request", refused: true, picture: true},
	}
}

const (
	oneClause = "auth.reset-link-lifetime"
	desk      = "/-/console"
)

// council are the pages of the console, as an owner sees them.
func council(h *house, t *testing.T) []sheet {
	f := h.filled(t)
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqDUbVKt3ZmkMXH1sLJCz1MZqs3qnEGgFZLBqJ3DKPb"
	return []sheet{
		{name: "policy", route: "GET " + desk, path: desk, words: "Information security", picture: true},
		{name: "policy-broken", path: desk + "?show=broken", words: "broken"},
		{name: "policy-unproved", path: desk + "?show=unproved", words: "unproved", picture: true},
		{name: "policy-none", path: desk + "?show=stale", words: "stale"},
		{name: "clause", route: "GET " + desk + "/clauses/{id}", path: desk + "/clauses/" + oneClause, words: "What looks at it", picture: true},
		{name: "clause-broken", path: desk + "/clauses/log.tamper-evident", words: "broken", picture: true},
		{name: "clause-two-controls", path: desk + "/clauses/gov.signed-dated", words: "What looks at it"},
		{name: "clause-record", path: desk + "/clauses/gov.contact", words: "Records"},
		{name: "clause-unproved", path: desk + "/clauses/gov.owner-leaves", words: "About this clause", picture: true},
		{name: "clause-proved", show: func(b *tab) { b.open(desk + "/clauses/" + oneClause); b.press("Prove now") }, words: "The last proof", picture: true},
		{name: "clause-missing", path: desk + "/clauses/no.such", words: "", refused: true},
		{name: "revisions", route: "GET " + desk + "/revisions", path: desk + "/revisions", words: "1.0", picture: true},
		{name: "revision", route: "GET " + desk + "/revisions/{version}", path: desk + "/revisions/1.0", words: "Signatures", picture: true},
		{name: "revision-open", path: desk + "/revisions/" + f.proposal, words: "What it changes", picture: true},
		{name: "propose", route: "GET " + desk + "/propose", path: desk + "/propose", words: "", picture: true},
		{name: "propose-value", path: desk + "/propose?param=" + oneClause + "/ttl", words: "", picture: true},
		{name: "keys", route: "GET " + desk + "/keys", path: desk + "/keys", words: "SHA256:", picture: true},
		{name: "keys-new", path: desk + "/keys?key=" + strings.ReplaceAll(key, " ", "+"), words: ""},
		{name: "findings", route: "GET " + desk + "/findings", path: desk + "/findings", words: "", picture: true},
		{name: "exceptions", route: "GET " + desk + "/exceptions", path: desk + "/exceptions", words: "", picture: true},
		{name: "exception", route: "GET " + desk + "/exceptions/{id}", path: desk + "/exceptions/" + f.exception, words: "delayed by their filter", picture: true},
		{name: "exception-held", path: desk + "/exceptions/" + f.held, words: "migration", picture: true},
		{name: "exception-new", route: "GET " + desk + "/exceptions/new", path: desk + "/exceptions/new?param=" + oneClause + "/ttl", words: "", picture: true},
		{name: "exception-new-bare", path: desk + "/exceptions/new", words: "Request", refused: true},
		{name: "records", route: "GET " + desk + "/records", path: desk + "/records", words: "Records", picture: true},
		{name: "attest", route: "GET " + desk + "/attest", path: desk + "/attest?clause=gov.contact", words: "", picture: true},
		{name: "attest-sign", path: desk + "/attest?clause=gov.contact&statement=It+was+answered+in+time.", words: ""},
		{name: "journal", route: "GET " + desk + "/journal", path: desk + "/journal", words: "", picture: true},
		{name: "journal-filtered", path: desk + "/journal?stream=nothing.like-this", words: ""},
		{name: "entry", route: "GET " + desk + "/journal/{n}", path: desk + "/journal/60", words: "Leaf hash", picture: true},
		{name: "people", route: "GET " + desk + "/people", path: desk + "/people", words: "Emil Haas", picture: true},
		{name: "people-add", route: "GET " + desk + "/people/add", path: desk + "/people/add", words: "", picture: true},
		{name: "tokens", route: "GET " + desk + "/people/tokens", path: desk + "/people/tokens", words: "Services of the staff"},
		{name: "brought-over", route: "GET " + desk + "/people/brought-over", path: desk + "/people/brought-over", words: "Nobody was brought over"},
		{name: "person", route: "GET " + desk + "/people/{id}", path: desk + "/people/" + f.people[shopper], words: "Maria Ferro", picture: true},
		{name: "person-staff", path: desk + "/people/" + f.people[engineer], words: "Emil Haas"},
		{name: "factor-resets", route: "GET " + desk + "/factor-resets", path: desk + "/factor-resets", words: "Ask for a reset", picture: true},
		{name: "incidents", route: "GET " + desk + "/incidents", path: desk + "/incidents", words: "Nobody can sign in", picture: true},
		{name: "incident", route: "GET " + desk + "/incidents/{ref}", path: desk + "/incidents/" + h.filled(t).ref, words: "How it stands", picture: true},
		{name: "notice", route: "GET " + desk + "/incidents/{ref}/notice", path: desk + "/incidents/" + h.filled(t).ref + "/notice?state=identified", words: "Begin with another text", picture: true},
		{name: "notice-seen", show: func(b *tab) {
			b.open(desk + "/incidents/" + h.filled(t).ref + "/notice?state=identified")
			b.press("Show how it will stand")
		}, words: "Letter to subscribers", picture: true},
		{name: "incident-loss", path: desk + "/incidents/" + h.filled(t).loss, words: "Lost data", picture: true},
		{name: "incident-map", route: "GET " + desk + "/incidents/{ref}/map", path: desk + "/incidents/" + h.filled(t).ref + "/map", words: "drawn from the same tables", picture: true},
		{name: "breach", route: "GET " + desk + "/incidents/{ref}/breach", path: desk + "/incidents/" + h.filled(t).breach + "/breach", words: "Times of the law", picture: true},
		{name: "breach-set", route: "GET " + desk + "/incidents/{ref}/breach/set", path: desk + "/incidents/" + h.filled(t).breach + "/breach/set", words: "Whom it concerns", picture: true},
		{name: "breach-letters", route: "GET " + desk + "/incidents/{ref}/breach/letters", path: desk + "/incidents/" + h.filled(t).breach + "/breach/letters", words: "No letter is made yet", picture: true},
		{name: "breach-report", route: "GET " + desk + "/incidents/{ref}/breach/report", path: desk + "/incidents/" + h.filled(t).breach + "/breach/report", words: "Not legal advice", picture: true},
		{name: "console-break-glass", route: "GET " + desk + "/break-glass", path: desk + "/break-glass", words: "Break-glass", picture: true},
		{name: "console-holders", route: "GET " + desk + "/holders", path: desk + "/holders", words: "Nobody holds a share", picture: true},
		{name: "rights", route: "GET " + desk + "/rights", path: desk + "/rights", words: "Emil Haas", picture: true},
		{name: "reviews", route: "GET " + desk + "/reviews", path: desk + "/reviews", words: "Review", picture: true},
		{name: "review", route: "GET " + desk + "/reviews/{id}", path: desk + "/reviews/" + f.review, words: "Emil Haas", picture: true},
		{name: "teams", route: "GET " + desk + "/teams", path: desk + "/teams", words: "Orchard", picture: true},
		{name: "team-staff", route: "GET " + desk + "/teams/{team}", path: desk + "/teams/staff", words: "Emil Haas", picture: true},
		{name: "team-staff-demand", route: "GET " + desk + "/teams/{team}/demand", path: desk + "/teams/staff/demand?demand=phishing-resistant", words: "passkey", picture: true},
		{name: "team-staff-member", route: "GET " + desk + "/teams/{team}/members/{person}", path: desk + "/teams/staff/members/" + f.people[engineer], words: "Emil Haas", picture: true},
		{name: "provisioning", path: desk + "/provisioning", words: "", picture: true},
		{name: "support", route: "GET /-/support", path: "/-/support", words: "Begin to look", picture: true},
		{name: "items", route: "GET " + desk + "/items", path: desk + "/items", words: "Domain registrar", picture: true},
		{name: "items-none", path: desk + "/items?q=nothing", words: "No item fits"},
		{name: "items-deleted", path: desk + "/items?deleted=1", words: "erased after 30 days"},
		{name: "item-new", route: "GET " + desk + "/items/new", path: desk + "/items/new?kind=login", words: "One-time codes", picture: true},
		{name: "item-wrong", show: func(b *tab) {
			b.open(desk + "/items/new?kind=note")
			b.fill("title", "Card")
			b.fill("v-text", "4111 1111 1111 1111")
			b.press("Keep it")
		}, words: "payment card", refused: true, picture: true},
		{name: "item", route: "GET " + desk + "/items/{id}", path: desk + "/items/" + f.item, words: "everybody who is engineer", picture: true},
		{name: "item-asked", show: func(b *tab) { b.open(desk + "/items/" + f.item); b.press("Reveal of Password") }, words: "Why", refused: true, picture: true},
		{name: "item-shown", show: func(b *tab) { b.fill("reason", "ticket 42"); b.press("Reveal it") }, words: "correct horse plum 71", picture: true},
		{name: "item-edit", route: "GET " + desk + "/items/{id}/edit", path: desk + "/items/" + f.item + "/edit", words: "Empty: it stays as it is", picture: true},
		{name: "item-report", route: "GET " + desk + "/items/report", path: desk + "/items/report", words: "weak", picture: true},
		{name: "item-left", route: "GET " + desk + "/items/left", path: desk + "/items/left?who=" + f.people[engineer], words: "leaves", picture: true},
		{name: "item-import", route: "GET " + desk + "/items/import", path: desk + "/items/import", words: "Try it", picture: true},
		{name: "item-password", route: "GET " + desk + "/items/password", path: desk + "/items/password", words: "Made of"},
		{name: "item-made", show: func(b *tab) { b.open(desk + "/items/password"); b.press("Make it") }, words: "bits of chance", picture: true},
		{name: "gate-explain", route: "GET " + desk + "/gate/explain", path: desk + "/gate/explain?method=GET&path=%2Fapi%2Fcontacts%3Fx%3D1&as=stranger&scopes=contacts%3Aread", words: "refused", picture: true},
		{name: "gate", route: "GET " + desk + "/gate", path: desk + "/gate", words: "Routes", picture: true},
		{name: "requests", route: "GET " + desk + "/gate/requests", path: desk + "/gate/requests?from=2h", words: "Requests, the newest first", picture: true},
		{name: "finds", route: "GET " + desk + "/gate/finds", path: desk + "/gate/finds", words: "What the rules found", picture: true},
		{name: "find-except", route: "GET " + desk + "/gate/finds/except", path: desk + "/gate/finds/except?rule=942100&route=%2Fnotes&field=ARGS%3Atext", words: "at most 90 days", picture: true},
		{name: "egress", route: "GET " + desk + "/gate/egress", path: desk + "/gate/egress", words: "The way out", picture: true},
		{name: "egress-new", route: "GET " + desk + "/gate/egress/new", path: desk + "/gate/egress/new", words: "at most a year ahead", picture: true},
		{name: "blocks", route: "GET " + desk + "/gate/blocks", path: desk + "/gate/blocks", words: "Blocked networks", picture: true},
		{name: "block-new", route: "GET " + desk + "/gate/blocks/new", path: desk + "/gate/blocks/new", words: "kept out from the next request on", picture: true},
		{name: "alarms", route: "GET " + desk + "/watch", path: desk + "/watch", words: "What goes on", picture: true},
		{name: "views", route: "GET " + desk + "/watch/views", path: desk + "/watch/views", words: "Own health", picture: true},
		{name: "view", route: "GET " + desk + "/watch/views/{id}", path: desk + "/watch/views/endpoints", words: "Which routes are asked for", picture: true},
		{name: "alarm", route: "GET " + desk + "/watch/{id}", path: desk + "/watch/" + f.alarm, words: "I look at it", picture: true},
		{name: "budgets", route: "GET " + desk + "/watch/budgets", path: desk + "/watch/budgets", words: "This month", picture: true},
		{name: "budget", route: "GET " + desk + "/watch/budgets/{name}", path: desk + "/watch/budgets/cloud", words: "Show figures", picture: true},
		{name: "watch-rules", route: "GET " + desk + "/watch/rules", path: desk + "/watch/rules", words: "The processors are busy", picture: true},
		{name: "routes", route: "GET " + desk + "/watch/routes", path: desk + "/watch/routes?rule=cpu-high", words: "until somebody acknowledges", picture: true},
		{name: "usual", route: "GET " + desk + "/watch/usual", path: desk + "/watch/usual", words: "What is compared", picture: true},
		{name: "own-rules", route: "GET " + desk + "/watch/own", path: desk + "/watch/own", words: "Keep it as a draft", picture: true},
		{name: "meters", route: "GET " + desk + "/watch/meters", path: desk + "/watch/meters", words: "Jobs that wait", picture: true},
		{name: "status-parts", route: "GET " + desk + "/status", path: desk + "/status", words: "Announce maintenance", picture: true},
		{name: "mutes", route: "GET " + desk + "/watch/mutes", path: desk + "/watch/mutes", words: "Let tickets wait then", picture: true},
		{name: "notice-texts", route: "GET " + desk + "/status/texts", path: desk + "/status/texts", words: "Places in braces are filled", picture: true},
		{name: "notice-text", route: "GET " + desk + "/status/texts/{kind}/{state}", path: desk + "/status/texts/usability/identified", words: "Begin notices with this", picture: true},
		{name: "lessons", route: "GET " + desk + "/watch/lessons", path: desk + "/watch/lessons", words: "What each closed incident rested on", picture: true},
		{name: "own-rule", route: "GET " + desk + "/watch/own/{id}", path: desk + "/watch/own/" + ownRule, words: "What it would have fired on", picture: true},
		{name: "on-call", route: "GET " + desk + "/watch/oncall", path: desk + "/watch/oncall", words: "The weeks ahead", picture: true},
		{name: "silences", route: "GET " + desk + "/watch/silences", path: desk + "/watch/silences", words: "Silence them", picture: true},
		{name: "silence", route: "GET " + desk + "/watch/silences/{id}", path: desk + "/watch/silences/" + f.silence, words: "It kept nothing quiet", picture: true},
		{name: "deliveries", route: "GET " + desk + "/watch/deliveries", path: desk + "/watch/deliveries", words: "Ways by which people are told", picture: true},
		{name: "mail", route: "GET " + desk + "/mail", path: desk + "/mail", words: "", picture: true},
		{name: "find", route: "GET " + desk + "/find", path: desk + "/find?q=reset", words: "", picture: true},
		{name: "console-applications", route: "GET " + desk + "/applications", path: desk + "/applications", words: "Harvest diary", picture: true},
		{name: "application", route: "GET " + desk + "/applications/{id}", path: desk + "/applications/" + f.app, words: "Redirects", picture: true},
		{name: "application-add", route: "GET " + desk + "/applications/add", path: desk + "/applications/add", words: "For whom", picture: true},
		{name: "parameters", route: "GET " + desk + "/secrets", path: desk + "/secrets", words: "/shop/db/password", picture: true},
		{name: "access-keys", route: "GET " + desk + "/secrets/keys", path: desk + "/secrets/keys", words: "of Emil Haas", picture: true},
		{name: "grants", route: "GET " + desk + "/secrets/grants", path: desk + "/secrets/grants", words: "may read under", picture: true},
		{name: "seen", route: "GET " + desk + "/secrets/seen", path: desk + "/secrets/seen?who=person/" + f.people[engineer], words: "/shop/db/password", picture: true},
		{name: "encryption", route: "GET " + desk + "/encryption", path: desk + "/encryption", words: "Encryption keys", picture: true},
		{name: "scans", route: "GET " + desk + "/secrets/scans", path: desk + "/secrets/scans", words: "production.env", picture: true},
		{name: "bundles", route: "GET " + desk + "/secrets/bundles", path: desk + "/secrets/bundles", words: "/shop/db/password", picture: true},
		{name: "kms", route: "GET " + desk + "/secrets/kms", path: desk + "/secrets/kms", words: "alias/shop", picture: true},
		{name: "kms-key", route: "GET " + desk + "/secrets/kms/{id}", path: desk + "/secrets/kms/" + f.kms, words: "Make another version", picture: true},
		{name: "find-nothing", path: desk + "/find?q=zzzz", words: "Nothing"},
		{name: "step-up", route: "GET /-/step-up", path: "/-/step-up?to=/-/account", words: "fresh proof", picture: true},
		{name: "factors", path: "/-/account/factors", words: "Recovery codes", picture: true},
		{name: "factor-remove", route: "GET /-/account/factors/remove", show: func(b *tab) { b.open("/-/account/factors"); b.leave(`//td/a[starts-with(., "Remove")]`) }, words: "Keep it", picture: true},
		{name: "account-owner", path: "/-/account", words: "Ana Sousa"},
	}
}

// engineers are the pages of whoever may read and write what others only list.
func engineers(h *house, t *testing.T) []sheet {
	return []sheet{
		{name: "parameter-new", route: "GET " + desk + "/secrets/new", path: desk + "/secrets/new", words: "In levels", picture: true},
		{name: "scan-hit", route: "GET " + desk + "/secrets/scans/hit", path: h.filled(t).hit, words: "Say what became of it", picture: true},
		{name: "parameter-rotation", route: "GET " + desk + "/secrets/show", path: desk + "/secrets/show?name=/robot/writ-key", words: "It replaces itself", picture: true},
		{name: "rotation-new", route: "GET " + desk + "/secrets/rotation/new", path: desk + "/secrets/rotation/new?name=/shop/db/password", words: "Begin", picture: true},
		{name: "rotation-new-role", path: desk + "/secrets/rotation/new?kind=postgres", words: "First role", picture: true},
		{name: "parameter", route: "GET " + desk + "/secrets/show", path: desk + "/secrets/show?name=/shop/db/password", words: "Look at it", picture: true},
		{name: "parameter-shown", show: func(b *tab) {
			b.open(desk + "/secrets/show?name=/shop/db/password")
			b.fill("reason", "ticket 42")
			b.press("Show the value")
		}, words: "on this page alone", picture: true},
	}
}

// noPage are the mounted GET routes that answer with something else than a page.
var noPage = map[string]string{
	"GET /-/account/browsers":                     "leads to /-/account/security",
	"GET /-/account/name":                         "leads to /-/account/profile",
	"GET /-/account/looks":                        "leads to /-/account/data",
	"GET /-/account/export":                       "leads to /-/account/data",
	"GET /-/account/password":                     "leads to /-/account/security",
	"GET /-/account/address":                      "leads to /-/account/profile",
	"GET /-/account/leave":                        "leads to /-/account/data",
	"GET /-/account/team":                         "leads to /-/account/profile",
	"GET /-/team/invite":                          "leads to /-/team",
	"GET /-/team/invitations":                     "leads to /-/team",
	"GET /-/team/leave":                           "leads to /-/team",
	"GET /-/team/name":                            "leads to /-/team",
	"GET /-/account/factors/totp":                 "leads to /-/account/factors",
	"GET /-/account/factors/totp/confirm":         "leads to /-/account/factors",
	"GET /-/account/factors/codes":                "leads to /-/account/factors",
	"GET /-/account/factors/picture/{name}":       "a picture, once",
	"GET /.well-known/change-password":            "leads to /-/account/security",
	"GET /-/console/encryption/certificates/{id}": "a file",
	"GET /-/console/incidents/{ref}/files/{id}":   "a file",
	"GET /-/console/sessions":                     "leads to /-/account",
	"GET /-/console/policy.yaml":                  "a file",
	"GET /-/console/revisions/{version}/text":     "a text to sign",
	"GET /-/console/exceptions/{id}/text":         "a text to sign",
	"GET /-/console/attest/text":                  "a text to sign",
	"GET /-/console/keys/text":                    "a text to sign",
	"GET /-/console/look/{name}":                  "a style sheet",
	"GET /-/assets/{hash}/{name}":                 "assets",
	"GET /-/trust.json":                           "JSON",
	"GET /.well-known/writ":                       "JSON",
	"GET /.well-known/security.txt":               "text",
	"GET /-/status/status.css":                    "a style sheet",
	"GET /-/status/icon.svg":                      "a picture",
	"GET /-/status/history.atom":                  "a feed",
	"GET /-/status/history.rss":                   "a feed",
	"GET /-/status/feed.json":                     "a feed",
	"GET /-/status/maintenance.ics":               "a calendar",
	"GET /-/status/api/v2/{name...}":              "JSON",
	"GET /-/jwks":                                 "JSON",
	"GET /-/console/watch/evidence/{id}":          "a zip",
	"GET /-/metrics":                              "text",
	"GET /-/alertmanager/api/v2/status":           "JSON",
	"GET /-/alertmanager/api/v2/receivers":        "JSON",
	"GET /-/alertmanager/api/v2/alerts":           "JSON",
	"GET /-/alertmanager/api/v2/alerts/groups":    "JSON",
	"GET /-/alertmanager/api/v2/silences":         "JSON",
	"GET /-/alertmanager/api/v2/silence/{id}":     "JSON",
	"GET /-/livez":                                "JSON",
	"GET /-/readyz":                               "JSON",
	"GET /-/journal/checkpoint":                   "text",
	"GET /-/journal/tile/{path...}":               "bytes",
	"GET /-/journal/proof":                        "text",
	"GET /-/journal/consistency":                  "text",
	"GET /.well-known/openid-configuration":       "JSON",
	"GET /-/oidc/jwks":                            "JSON",
	"GET /-/oidc/userinfo":                        "JSON",
	"GET /-/upstream/{name}":                      "leads to another provider; mounted with one only",
	"GET /-/upstream/{name}/callback":             "leads on; mounted with a provider only",
	"GET /-/account/sign-in":                      "mounted with a provider only; looked at in TestLinks of upstream",
	"GET /-/maintenance":                          "looked at in TestMaintenance",
	"GET /-/unseal":                               "looked at in TestCeremony",
	"GET /-/vault/holder":                         "looked at in TestCeremony",
	"GET /-/account/passkeys":                     "looked at in TestPasskeys",
	"GET /-/account/passkeys/{id}":                "looked at in TestPasskeys",
}

// Every page that a module mounts is among those looked at.
func TestEveryRouteIsLookedAt(t *testing.T) {
	h := theHouse(t)
	known := map[string]bool{}
	for _, s := range slices.Concat(strangers(h, t), customers(h, t), council(h, t), engineers(h, t)) {
		known[s.route] = true
	}
	mounted := routes(t)
	if len(mounted) < 50 {
		t.Fatalf("found only %d routes", len(mounted))
	}
	for _, r := range mounted {
		if !known[r] && noPage[r] == "" {
			t.Errorf("%s is mounted and nobody looks at it: add it to pages_test.go", r)
		}
	}
	for r := range noPage {
		if !slices.Contains(mounted, r) {
			t.Errorf("noPage has %s, which is not mounted", r)
		}
	}
	for r := range known {
		if r != "" && !slices.Contains(mounted, r) {
			t.Errorf("%s is looked at and not mounted", r)
		}
	}
}

// routes reads the patterns of GET routes from the modules' source, without the API's.
func routes(t *testing.T) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"demo", "browser", "e2e", "testdata"}, d.Name()) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, b, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			s, err := strconv.Unquote(lit.Value)
			if err == nil && (strings.HasPrefix(s, "GET /-/") || strings.HasPrefix(s, "GET /.well-known/")) && !strings.HasPrefix(s, "GET /-/api/") {
				out = append(out, s)
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestPages looks at every page in both themes, wide, narrow and at 200 %.
func TestPages(t *testing.T) {
	t.Parallel()
	h := theHouse(t)
	source := theAxe(t)
	h.filled(t)
	for _, set := range []struct {
		name, who, lands string
		list             func(*house, *testing.T) []sheet
	}{{"stranger", nobody, "", strangers}, {"customer", shopper, "/contacts", customers}, {"owner", owners[0].address, desk, council}, {"engineer", engineer, desk, engineers}} {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			b := h.tab(t)
			if set.who != nobody {
				b.signIn(set.who, aPassword, set.lands)
			}
			for _, s := range set.list(h, t) {
				b.look(source, s)
			}
		})
	}
}

// The widths: a desk, a phone, and a desk at 200 %.
var widths = []int64{1280, 320, 640}

const heaviest = 60_000 // bytes of a page with what it loads, as sent

// look holds one page to all that is promised of a page.
func (b *tab) look(source string, s sheet) {
	b.t.Helper()
	fault := func(format string, args ...any) {
		b.t.Helper()
		b.t.Errorf("%s: %s", s.name, fmt.Sprintf(format, args...))
	}
	b.view(light, 1280)
	if s.show != nil {
		s.show(b)
	} else {
		b.open(s.path)
	}
	if text := b.text(); !strings.Contains(text, s.words) {
		fault("does not say %q:\n%s", s.words, cut(text))
	}
	if shift := eval[moved](b, shifted); shift.Sum > 0.01 {
		fault("the page moves while it loads: %.3f, by %v", shift.Sum, shift.By)
	}
	if n := eval[int](b, weight); n > heaviest {
		fault("weighs %d bytes", n)
	}
	for _, v := range b.axe(source, every) {
		fault("light, 1280: %v", v)
	}
	b.keyboard(fault)
	eval[bool](b, unfold) // what is folded keeps the same promises
	for _, w := range widths {
		b.view(light, w)
		if got := eval[int64](b, `document.documentElement.scrollWidth`); got > w {
			fault("is %d px wide on a screen of %d: %s", got, w, eval[string](b, widest))
		}
	}
	b.view(light, 320)
	for _, v := range b.axe(source, every) {
		fault("light, 320: %v", v)
	}
	for _, w := range widths[:2] {
		b.view(dark, w)
		for _, v := range b.axe(source, colours) {
			fault("dark, %d: %v", w, v)
		}
	}
	for _, c := range b.complaints(s.refused) {
		fault("the browser complains: %s", c)
	}
	if dir := os.Getenv("WRIT_SHOTS"); dir != "" && s.picture {
		eval[bool](b, refold)
		b.picture(dir, s.name)
	}
}

const (
	// shifted is the sum of layout shifts since the page began, and what moved.
	shifted = `new Promise(done => { let sum = 0, by = []; new PerformanceObserver(l => { for (const e of l.getEntries()) if (!e.hadRecentInput) { sum += e.value; for (const s of e.sources) by.push((s.node && s.node.outerHTML || String(s.node && s.node.textContent)).slice(0, 120) + " " + [s.previousRect.x, s.previousRect.y, s.previousRect.width, s.previousRect.height] + " to " + [s.currentRect.x, s.currentRect.y, s.currentRect.width, s.currentRect.height]); } }).observe({type: "layout-shift", buffered: true}); setTimeout(() => done({sum, by}), 30); })`
	// weight is what page, styles, scripts and pictures have as they are sent.
	weight = `performance.getEntriesByType("navigation").concat(performance.getEntriesByType("resource")).reduce((n, e) => n + e.encodedBodySize, 0)`
	// widest names what reaches furthest to the right.
	widest = `(() => { let worst = null, x = document.documentElement.clientWidth; for (const e of document.body.querySelectorAll("*")) { const r = e.getBoundingClientRect().right; if (r > x + 1) { x = r; worst = e; } } return worst ? worst.outerHTML.slice(0, 200) : "" })()`
	// unfold opens all that is folded; refold closes that again.
	unfold = `(() => { window.folded = [...document.querySelectorAll("details:not([open])")]; for (const d of window.folded) d.open = true; return true })()`
	refold = `(() => { for (const d of window.folded) d.open = false; return true })()`
	// here tells what has the focus and whether the eye sees it.
	here = `(() => { const e = document.activeElement; if (!e || e === document.body) return null; const s = getComputedStyle(e), r = e.getBoundingClientRect(); return {name: e.outerHTML.slice(0, 120), primary: e.matches(".primary, main .button"), seen: r.width > 1 && r.height > 1 && s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1}; })()`
)

type moved struct {
	Sum float64
	By  []string
}

type focus struct {
	Name          string
	Primary, Seen bool
}

// keyboard presses Tab until the page's one act is reached, or a while where it has none.
func (b *tab) keyboard(fault func(string, ...any)) {
	b.t.Helper()
	wanted := eval[int](b, `[...document.querySelectorAll(".primary, main .button")].filter(e => e.checkVisibility()).length`)
	eval[bool](b, `document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); window.scrollTo(0, 0); true`)
	steps := 15
	if wanted > 0 {
		steps = 150
	}
	for range steps {
		b.do("press Tab", chromedp.KeyEvent("\t"))
		f := eval[*focus](b, here)
		if f == nil {
			break
		}
		if !f.Seen {
			fault("the focus is not seen on %s", f.Name)
		}
		if f.Primary {
			return
		}
	}
	if wanted > 0 {
		fault("Tab does not reach the page's act")
	}
}
