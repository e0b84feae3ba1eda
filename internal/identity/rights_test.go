package identity_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger/ledgertest"
	"writ/internal/secret"
	"writ/internal/web"
)

// staffer is staff without the phone.
func (w *world) staffer(name string, roles ...string) (string, browser) {
	w.t.Helper()
	id, b, _ := w.staff(name, roles...)
	return id, b
}

// who is the actor of a browser's session.
func (w *world) who(b browser) actor.Actor {
	w.t.Helper()
	u, err := url.Parse(w.door.Base())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range b.HTTP.Jar.Cookies(u) {
		if c.Name == "__Host-writ" {
			who, err := w.svc.Lookup(w.t.Context(), secret.NewText(c.Value))
			if err != nil {
				w.t.Fatal(err)
			}
			return who
		}
	}
	w.t.Fatal("no session")
	return actor.Actor{}
}

// acts is who after one more request, which brings the token under which a gained role counts.
func (w *world) acts(b browser) actor.Actor {
	w.t.Helper()
	b.api(200, "GET", "session", nil)
	return w.who(b)
}

// A lent role counts from the next request, and ends by the clock alone.
//
// breaks: access.need-ends
func testLentRoleCountsAndEnds(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	ben, b := w.staffer("ben", "support")
	b.api(403, "GET", "grants", nil)
	g := ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "2h", "reason": "ticket queue is on fire"})
	b.api(200, "GET", "grants", nil)
	if who := w.who(b); !slices.Equal(who.Roles, []string{"support", "engineer"}) || !slices.Equal(who.Lent, []string{"engineer"}) || who.TeamKind != identity.Staff {
		t.Errorf("ben acts as %+v", who)
	}
	if n := len(w.kit.Recorded("identity.elevated")); n != 1 {
		t.Errorf("%d elevations recorded", n)
	}
	for range 3 { // a session of staff is idle after an hour
		w.kit.Clock.Advance(40*time.Minute - 20*time.Second)
		b.api(200, "GET", "grants", nil)
	}
	w.kit.Clock.Advance(time.Minute)
	b.api(403, "GET", "grants", nil)
	if who := w.who(b); !slices.Equal(who.Roles, []string{"support"}) || len(who.Lent) != 0 {
		t.Errorf("after the end ben acts as %+v", who)
	}
	w.round()
	if got := w.one(`SELECT cause FROM identity_grant WHERE id = $1`, g["id"]); got != "time" {
		t.Errorf("the row ended by %q", got)
	}
	if n := len(w.kit.Recorded("identity.role-ended")); n != 1 {
		t.Errorf("%d ends recorded", n)
	}
	_ = ben
}

// round does all housekeeping once.
func (w *world) round() { w.t.Helper(); w.housekeeping() }

// The end of what a role was lent for ends the role at once.
//
// breaks: access.need-ends
func TestNeedEndsGrants(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { needEndsGrants(t, with(t, kit)) }, jobs.Schema(), identity.Schema())
}

func needEndsGrants(t *testing.T, w *world) {
	_, ana := w.staffer("ana", "owner")
	_, b, phone := w.staff("ben", "support", "auditor")
	lend := func(status int, need, role string) map[string]any {
		return ana.api(status, "POST", "grants", map[string]any{"person": "ben", "role": role, "for": "240h", "need": need, "reason": "migration"})
	}
	lend(201, "ticket/OPS-7", "engineer")
	b.api(200, "DELETE", "people/ben/sessions", nil)
	b.signInWith(mailbox("ben"), good, phone)
	out := ana.api(200, "POST", "needs/end", map[string]any{"need": "ticket/OPS-7"})
	if out["ended"] != 1.0 {
		t.Errorf("ended %v grants", out["ended"])
	}
	b.api(403, "DELETE", "people/ana/sessions", nil)
	if lend(409, "ticket/OPS-7", "engineer")["code"] != "need_over" {
		t.Error("lent for a need that is over")
	}
	if lend(422, "role/owner", "engineer")["code"] != "need_not_held" {
		t.Error("bound to a role they do not hold")
	}
	// Bound to a role: when that is taken away, what hangs on it goes.
	lend(201, "role/auditor", "engineer")
	b.api(200, "GET", "session", nil)
	if who := w.who(b); !who.Has("engineer") {
		t.Fatalf("ben acts as %v", who.Roles)
	}
	rv := ana.api(201, "POST", "reviews", map[string]any{})
	for _, it := range w.items(ana, rv["id"]) {
		if it["handle"] == "ben" && it["role"] == "auditor" {
			ana.api(200, "POST", fmt.Sprintf("reviews/%s/items/%s", rv["id"], it["id"]), map[string]any{"decision": "revoke", "reason": "not needed"})
		}
	}
	if who := w.who(b); !slices.Equal(who.Roles, []string{"support"}) {
		t.Errorf("after the role went ben acts as %v", who.Roles)
	}
}

func (w *world) items(b browser, review any) []map[string]any {
	w.t.Helper()
	var out []map[string]any
	for _, x := range b.api(200, "GET", fmt.Sprint("reviews/", review), nil)["items"].([]any) {
		out = append(out, x.(map[string]any))
	}
	return out
}

// A loan for the moment is short, has a reason, is for somebody else, and never for more
// than the policy says.
//
// breaks: access.least-privilege
func TestLoansAreBounded(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, b := w.staffer("ben", "support")
	w.customer("carl")
	for name, c := range map[string]struct {
		in     map[string]any
		status int
		code   string
	}{
		"too long for the moment":   {map[string]any{"for": "8h1m"}, 422, "too_long"},
		"longer than two reviews":   {map[string]any{"for": "2161h", "need": "project/x"}, 422, "too_long"},
		"no time":                   {map[string]any{"for": "0s"}, 422, "too_long"},
		"time back":                 {map[string]any{"for": "-1h"}, 422, "too_long"},
		"no duration":               {map[string]any{"for": "soon"}, 422, "duration_text"},
		"no reason":                 {map[string]any{"reason": " "}, 422, "reason_missing"},
		"a role nobody signed":      {map[string]any{"role": "wizard"}, 422, "role_unknown"},
		"a role of customers":       {map[string]any{"role": "admin"}, 422, "role_unknown"},
		"a role they hold":          {map[string]any{"role": "support"}, 422, "role_held"},
		"a need in free words":      {map[string]any{"need": "because"}, 422, "need_text"},
		"to a customer":             {map[string]any{"person": mailbox("carl")}, 422, "not_staff"},
		"to nobody":                 {map[string]any{"person": "nobody"}, 404, "no_person"},
		"a reason of several lines": {map[string]any{"reason": "a\nb c"}, 422, "reason_missing"},
	} {
		in := map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "incident 12"}
		maps.Copy(in, c.in)
		if got := ana.api(c.status, "POST", "grants", in); got["code"] != c.code {
			t.Errorf("%s: %v, want %s", name, got["code"], c.code)
		}
	}
	if got := b.api(403, "POST", "grants", map[string]any{"person": "ana", "role": "engineer", "for": "1h", "reason": "mine"}); got["code"] != "denied" {
		t.Errorf("support lends: %v", got)
	}
	w.set(clause.Values{"access.least-privilege/lent": 30 * time.Minute})
	if got := ana.api(422, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "incident 12"}); got["code"] != "too_long" {
		t.Errorf("the limit of the policy: %v", got["code"])
	}
	if got := b.api(422, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "for myself"}); got["code"] != "too_long" {
		t.Errorf("the limit of the policy for who asks: %v", got["code"])
	}
	if n := w.one(`SELECT CAST(COUNT(*) AS TEXT) FROM identity_grant`); n != "0" {
		t.Errorf("%s grants came of refusals", n)
	}
}

// A role that needs two people counts only after a second one agreed.
//
// breaks: access.least-privilege
func TestTwoPeopleLendAnOwner(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, cid := w.staffer("cid", "owner")
	_, b := w.staffer("ben", "engineer")
	g := ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "owner", "for": "1h", "reason": "both away"})
	if g["state"] != "waits" {
		t.Errorf("state %v", g["state"])
	}
	manage := func() int {
		return b.ask("POST", "people", map[string]any{"email": "x", "roles": []string{"support"}}).Status
	}
	if manage() != 403 {
		t.Error("counts before the second person")
	}
	at := fmt.Sprintf("grants/%s/approve", g["id"])
	for name, x := range map[string]browser{"who asked": ana, "who gets it": b} {
		if got := x.api(403, "POST", at, map[string]any{}); got["code"] != "second_person" && got["code"] != "denied" {
			t.Errorf("%s: %v", name, got["code"])
		}
	}
	if _, err := w.svc.ApproveGrant(t.Context(), operator, g["id"].(string)); !errors.Is(err, fault.Denied) {
		t.Errorf("the operator agrees: %v", err)
	}
	cid.api(200, "POST", at, map[string]any{})
	if manage() != 422 {
		t.Error("does not count after the second person")
	}
	if got := cid.api(409, "POST", at, map[string]any{}); got["code"] != "grant_state" {
		t.Errorf("a second time: %v", got["code"])
	}
	b.api(403, "POST", "grants", map[string]any{"person": "cid", "role": "engineer", "for": "1h", "reason": "a lent owner lends"})
	b.api(204, "DELETE", fmt.Sprint("grants/", g["id"]), nil) // given back
	if manage() != 403 {
		t.Error("counts after it was given back")
	}
	ana.api(409, "DELETE", fmt.Sprint("grants/", g["id"]), nil)
	late := ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "owner", "for": "10m", "reason": "both away"})
	w.kit.Clock.Advance(10 * time.Minute)
	cid.api(409, "POST", fmt.Sprintf("grants/%s/approve", late["id"]), map[string]any{})
}

// What somebody asks for themselves counts for nothing until others agree: one, or two
// where the role is lent by two people.
//
// breaks: access.least-privilege
func TestAskForARole(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, cid := w.staffer("cid", "owner")
	_, b := w.staffer("ben", "support")
	ask := func(role string) string {
		g := b.api(201, "POST", "grants", map[string]any{"person": "ben", "role": role, "for": "1h", "reason": "on call tonight"})
		if g["state"] != "waits" || g["grantor"] != "" || w.who(b).Has(role) {
			t.Errorf("asked for %s: %v", role, g)
		}
		return fmt.Sprintf("grants/%s/approve", g["id"])
	}
	at := ask("engineer")
	b.api(403, "POST", at, map[string]any{})
	if got := ana.api(200, "POST", at, map[string]any{}); got["state"] != "counts" || !w.acts(b).Has("engineer") {
		t.Errorf("after one yes: %v", got)
	}
	at = ask("owner")
	if got := ana.api(200, "POST", at, map[string]any{}); got["state"] != "waits" || w.acts(b).Has("owner") {
		t.Errorf("after the first of two: %v", got)
	}
	if got := ana.api(403, "POST", at, map[string]any{}); got["code"] != "second_person" {
		t.Errorf("the first person again: %v", got)
	}
	if got := cid.api(200, "POST", at, map[string]any{}); got["state"] != "counts" || !w.acts(b).Has("owner") {
		t.Errorf("after the second: %v", got)
	}
	own := ana.api(201, "POST", "grants", map[string]any{"person": "ana", "role": "engineer", "for": "1h", "reason": "on call tonight"})
	if got := ana.api(403, "POST", fmt.Sprintf("grants/%s/approve", own["id"]), map[string]any{}); got["code"] != "second_person" {
		t.Errorf("an owner agrees with herself: %v", got)
	}
	if n := len(w.kit.Recorded("identity.right-refused")); n != 2 {
		t.Errorf("%d refusals recorded", n)
	}
}

// Whoever leaves loses what was lent, and comes back without it.
func TestGrantsEndWithThePerson(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	w.staffer("ben", "support")
	ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "incident 12"})
	ana.api(200, "POST", "people/ben/disable", map[string]any{})
	if got := w.one(`SELECT cause FROM identity_grant`); got != "disabled" {
		t.Errorf("ended by %q", got)
	}
	ana.api(201, "POST", "people", map[string]any{"email": mailbox("dora"), "handle": "dora", "roles": []string{"support"}})
	ana.api(201, "POST", "grants", map[string]any{"person": "dora", "role": "engineer", "for": "1h", "reason": "her own words"})
	ana.api(200, "POST", "people/dora/erase", map[string]any{"confirm": "dora"})
	if got := w.one(`SELECT cause || '/' || reason FROM identity_grant WHERE cause <> 'disabled'`); got != "erased/" {
		t.Errorf("after the erasure the row says %q", got)
	}
}

// A review asks about each right; nobody decides on their own; silence is answered by
// the policy.
//
// breaks: access.review
func TestReview(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { review(t, with(t, kit)) }, jobs.Schema(), identity.Schema())
}

func review(t *testing.T, w *world) {
	_, ana := w.staffer("ana", "owner")
	_, cid := w.staffer("cid", "owner")
	w.staffer("dan", "owner") // two are left when one goes
	_, b := w.staffer("ben", "engineer", "support")
	ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "auditor", "for": "200h", "need": "project/x", "reason": "audit of x"})
	rv := ana.api(201, "POST", "reviews", map[string]any{})
	if got := ana.api(409, "POST", "reviews", map[string]any{}); got["code"] != "review_open" {
		t.Errorf("a second review: %v", got["code"])
	}
	items := w.items(ana, rv["id"])
	if len(items) != 6 {
		t.Fatalf("%d rights: %v", len(items), items)
	}
	of := func(handle, role string) string {
		for _, it := range items {
			if it["handle"] == handle && it["role"] == role {
				return fmt.Sprintf("reviews/%s/items/%s", rv["id"], it["id"])
			}
		}
		t.Fatalf("no right %s of %s", role, handle)
		return ""
	}
	say := func(who browser, status int, at, decision, reason string) map[string]any {
		return who.api(status, "POST", at, map[string]any{"decision": decision, "reason": reason})
	}
	if got := say(ana, 403, of("ana", "owner"), "keep", "I need it"); got["code"] != "own_right" {
		t.Errorf("her own: %v", got["code"])
	}
	if got := say(b, 403, of("ana", "owner"), "revoke", "a coup"); got["code"] != "denied" {
		t.Errorf("an engineer reviews: %v", got["code"])
	}
	if _, err := w.svc.DecideRight(t.Context(), operator, identity.Decision{}); !errors.Is(err, fault.Denied) {
		t.Errorf("the operator reviews: %v", err)
	}
	say(ana, 422, of("ben", "engineer"), "keep", "")
	say(ana, 422, of("ben", "engineer"), "perhaps", "who knows")
	say(ana, 200, of("ben", "engineer"), "keep", "works on it daily")
	say(ana, 200, of("ben", "auditor"), "revoke", "x is done")
	if who := w.who(b); !slices.Equal(who.Roles, []string{"engineer", "support"}) {
		t.Errorf("ben acts as %v", who.Roles)
	}
	say(ana, 409, of("ben", "auditor"), "keep", "changed my mind")
	say(cid, 200, of("ana", "owner"), "keep", "signs with me")
	say(ana, 200, of("dan", "owner"), "keep", "signs with me")
	if got := ana.api(409, "POST", fmt.Sprintf("reviews/%s/close", rv["id"]), map[string]any{}); got["code"] != "review_undecided" {
		t.Errorf("closed early: %v", got["code"])
	}
	w.kit.Clock.Advance(14*24*time.Hour - time.Minute)
	w.round()
	if n := len(w.kit.Recorded("identity.review-closed")); n != 0 {
		t.Fatal("closed before its end")
	}
	w.kit.Clock.Advance(time.Minute)
	w.round()
	if n := len(w.kit.Recorded("identity.review-closed")); n != 1 {
		t.Fatalf("%d reviews closed", n)
	}
	// Undecided were ben's support and cid's owner: both are revoked.
	if got := w.one(`SELECT m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE p.handle = 'ben'`); got != "engineer" {
		t.Errorf("ben holds %q", got)
	}
	if got := w.one(`SELECT m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE p.handle = 'cid'`); got != "" {
		t.Errorf("cid holds %q", got)
	}
	cid.api(401, "POST", "sign-in", map[string]any{"email": mailbox("cid"), "password": good})
}

// Silence never takes the last owner away, and may be answered with keep.
func TestSilenceLeavesAnOwner(t *testing.T) {
	for _, answer := range []string{identity.Revoke, identity.Keep} {
		w := open(t)
		w.set(clause.Values{"access.review/undecided": answer})
		w.staffer("ana", "owner")
		w.staffer("ben", "support")
		if _, err := w.svc.OpenReview(t.Context(), operator); err != nil {
			t.Fatal(err)
		}
		w.kit.Clock.Advance(14 * 24 * time.Hour)
		w.round()
		want := map[string]string{identity.Revoke: "last-owner revoked", identity.Keep: "kept kept"}[answer]
		if got := w.one(`SELECT (SELECT outcome FROM identity_review_item WHERE role = 'owner') || ' ' || (SELECT outcome FROM identity_review_item WHERE role = 'support')`); got != want {
			t.Errorf("%s: %s, want %s", answer, got, want)
		}
	}
}

// The clock opens a review early enough that it is closed within the time.
//
// breaks: access.review
func TestReviewsOpenByTheClock(t *testing.T) {
	w := open(t)
	w.staffer("ana", "owner")
	w.round()
	w.kit.Clock.Advance(75 * 24 * time.Hour)
	w.round()
	if n := len(w.kit.Recorded("identity.review-opened")); n != 0 {
		t.Fatal("opened too early")
	}
	w.kit.Clock.Advance(24 * time.Hour)
	w.round()
	w.round()
	if n := len(w.kit.Recorded("identity.review-opened")); n != 1 {
		t.Fatalf("%d reviews opened", n)
	}
	w.kit.Clock.Advance(14 * 24 * time.Hour)
	w.round()
	if n := len(w.kit.Recorded("identity.review-closed")); n != 1 {
		t.Fatalf("%d reviews closed", n)
	}
}

// A role of which nothing was needed for long is put up for removal; one that is used,
// kept lately, or held for a short time is not.
//
// breaks: access.least-privilege
func TestUnusedRightsAreProposed(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) { unusedRightsAreProposed(t, with(t, kit)) }, jobs.Schema(), identity.Schema())
}

func unusedRightsAreProposed(t *testing.T, w *world) {
	w.set(clause.Values{"access.review/every": 365 * 24 * time.Hour}) // the other reviews stay out of the picture
	_, ana, phone := w.staff("ana", "owner")
	w.staffer("ben", "engineer", "auditor")
	w.staffer("eve", "support")
	unused := func() []string {
		var out []string
		for _, x := range ana.api(200, "GET", "rights?unused=true", nil)["rights"].([]any) {
			r := x.(map[string]any)
			out = append(out, fmt.Sprint(r["handle"], " ", r["role"], " ", r["proposed"]))
		}
		return out
	}
	if got := unused(); len(got) != 0 {
		t.Errorf("unused on the first day: %v", got)
	}
	for range 91 { // ben exports the journal each day, which engineers may not; ana opens a review
		w.kit.Clock.Advance(24 * time.Hour)
		_ = w.access.Allow(t.Context(), actor.Actor{Kind: actor.Person, ID: w.id("ben"), Session: "s", TeamKind: "staff", Roles: []string{"engineer", "auditor"}}, access.JournalExport, "")
		_ = w.access.Allow(t.Context(), actor.Actor{Kind: actor.Person, ID: w.id("ana"), Session: "s", TeamKind: "staff", Roles: []string{"owner"}}, access.ReviewOpen, "")
	}
	ana.signInWith(mailbox("ana"), good, phone)
	w.round() // the clock of jobs may have been here before
	if got := unused(); !slices.Equal(got, []string{"ben engineer true", "eve support true"}) {
		t.Fatalf("unused: %v", got)
	}
	w.round()
	if n := len(w.kit.Recorded("identity.review-opened")); n != 1 {
		t.Errorf("%d reviews opened", n)
	}
	rv := ana.api(200, "GET", "reviews", nil)["reviews"].([]any)[0].(map[string]any)
	for _, it := range w.items(ana, rv["id"]) {
		if it["why"] != "unused" {
			t.Errorf("why: %v", it["why"])
		}
		d := map[string]any{"ben": "revoke", "eve": "keep"}[it["handle"].(string)]
		ana.api(200, "POST", fmt.Sprintf("reviews/%s/items/%s", rv["id"], it["id"]), map[string]any{"decision": d, "reason": "as agreed"})
	}
	ana.api(200, "POST", fmt.Sprintf("reviews/%s/close", rv["id"]), map[string]any{})
	w.round()
	if got := unused(); !slices.Equal(got, []string{"eve support false"}) {
		t.Errorf("after the review: %v", got)
	}
	if n := len(w.kit.Recorded("identity.review-opened")); n != 1 {
		t.Error("a right that was kept is put up again at once")
	}
}

func (w *world) id(handle string) string {
	return w.one(`SELECT id FROM identity_person WHERE handle = $1`, handle)
}

// A restart knows what is lent.
func TestLoansSurviveARestart(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, b := w.staffer("ben", "support")
	ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "incident 12"})
	if err := w.svc.Load(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if who := w.acts(b); !who.Has("engineer") {
		t.Errorf("after a restart ben acts as %v", who.Roles)
	}
	// A need that another process ended, and whose loans it did not come to end.
	ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "auditor", "for": "1h", "need": "ticket/7", "reason": "incident 7"})
	w.exec(`INSERT INTO identity_need (need, ended) VALUES ('ticket/7', 1)`)
	if err := w.svc.Load(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	if who := w.acts(b); who.Has("auditor") || !who.Has("engineer") {
		t.Errorf("with a need that is over ben acts as %v", who.Roles)
	}
	w.wants("identity.loans", clause.Fail)
}

// What is lent, taken back or taken away on one node counts on another as soon as it
// follows, and on the same node at once.
//
// breaks: access.need-ends
func TestTwoNodesAgreeOnRights(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		a := with(t, kit)
		_, ana := a.staffer("ana", "owner")
		_, ben := a.staffer("ben", "support", "auditor")
		token := ben.cookie(t, "__Host-writ")
		b := with(t, kit)
		roles := func() []string {
			ben.api(200, "GET", "session", nil) // a role that is gained counts under the next token
			token = ben.cookie(t, "__Host-writ")
			b.housekeeping()
			who, err := b.svc.Lookup(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			return who.Roles
		}
		g := ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "incident 12"})
		if got := roles(); !slices.Equal(got, []string{"auditor", "support", "engineer"}) {
			t.Errorf("the other node after a loan: %v", got)
		}
		ana.api(204, "DELETE", fmt.Sprint("grants/", g["id"]), nil)
		if got := roles(); !slices.Equal(got, []string{"auditor", "support"}) {
			t.Errorf("the other node after it was taken back: %v", got)
		}
		rv := ana.api(201, "POST", "reviews", map[string]any{})
		for _, it := range a.items(ana, rv["id"]) {
			if it["role"] == "auditor" {
				ana.api(200, "POST", fmt.Sprintf("reviews/%s/items/%s", rv["id"], it["id"]), map[string]any{"decision": "revoke", "reason": "not needed"})
			}
		}
		if got := roles(); !slices.Equal(got, []string{"support"}) {
			t.Errorf("the other node after a review: %v", got)
		}
	}, jobs.Schema(), identity.Schema())
}

// Every role at every route of staff: refused exactly where the signed table says no.
//
// breaks: access.roles
func TestRolesAtRoutes(t *testing.T) {
	w := open(t)
	needs := map[string]access.Action{
		"GET teams": access.PeopleRead, "GET people": access.PeopleRead, "POST people": access.PeopleManage, "GET people/{ref}": access.PeopleRead, "POST people/{ref}/link": access.PeopleManage,
		"POST people/{ref}/disable": access.PeopleManage, "POST people/{ref}/erase": access.PeopleErase, "GET people/{ref}/browsers": access.PeopleRead, "POST people/{ref}/browsers/forget": access.SessionsEnd, "POST people/{ref}/export": access.PeopleExport, "POST people/{ref}/reset": access.PeopleManage, "GET people/{ref}/looks": access.PeopleRead,
		"GET people/{ref}/receipts": access.PeopleRead, "GET people/{ref}/sessions": access.PeopleRead, "DELETE people/{ref}/sessions": access.SessionsEnd,
		"GET grants": access.RightsRead, "POST grants": access.RoleGrant, "POST grants/{id}/approve": access.RoleGrant, "DELETE grants/{id}": access.RightsRead, "POST needs/end": access.RoleGrant,
		"GET rights": access.RightsRead, "GET reviews": access.RightsRead, "POST reviews": access.ReviewOpen, "GET reviews/{id}": access.RightsRead,
		"POST reviews/{id}/items/{item}": access.ReviewDecide, "POST reviews/{id}/close": access.ReviewOpen,
		"GET imports": access.PeopleRead, "POST imports": access.PeopleImport, "POST imports/{id}/rows": access.PeopleImport, "POST imports/{id}/end": access.PeopleImport,
	}
	who := map[string]browser{}
	for _, r := range identity.StaffRoles() {
		_, who[r] = w.staffer(r, r)
	}
	_, customer := w.customer("carl")
	who["admin"] = w.browser()
	who["admin"].signIn(customer, good)
	hole := regexp.MustCompile(`\{[^}]*\}`)
	seen := 0
	for _, rt := range w.svc.Routes() {
		if rt.Who != web.Staff {
			continue
		}
		method, path, _ := strings.Cut(strings.Replace(rt.Pattern, "/-/api/v1/", "", 1), " ")
		need, ok := needs[method+" "+path]
		if !ok {
			t.Errorf("%s: no action is noted for it", rt.Pattern)
			continue
		}
		seen++
		for role, b := range who {
			var body map[string]any
			if method == "POST" {
				body = map[string]any{}
				if path == "grants" {
					body["for"] = "1h"
				}
			}
			a := b.ask(method, hole.ReplaceAllString(path, "nothing"), body)
			row, _ := w.access.Role(role)
			if refused := a.Status == 403; refused == row.Has(need) || a.Status >= 500 {
				t.Errorf("%s as %s: %d %s, the table says %v of %s", rt.Pattern, role, a.Status, a.Body, row.Has(need), need)
			}
		}
	}
	if seen != len(needs) {
		t.Errorf("%d routes were asked, %d are noted", seen, len(needs))
	}
}

// Nobody is added with a role that the signed list does not have.
//
// breaks: access.roles
func TestAddedRolesAreSigned(t *testing.T) {
	w := open(t)
	w.roles(func(row []string) bool { return row[0] != "auditor" })
	_, err := w.svc.AddStaff(t.Context(), operator, identity.AddStaff{Email: mailbox("ben"), Roles: []string{"auditor"}})
	if code, _ := fault.PublicOf(err); code != "role_unknown" {
		t.Errorf("added: %v", err)
	}
}

// A right that is taken away is away for the person's tokens as well, at once and on
// every node; a lent role never reaches them.
//
// breaks: access.need-ends
func testTokensLoseRights(t *testing.T) {
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		w := with(t, kit)
		_, ana := w.staffer("ana", "owner")
		ben, b := w.staffer("ben", "auditor", "support")
		token, _ := b.issued(wish(map[string]any{"scopes": []string{"identity.read-people"}}))
		other := with(t, kit)
		roles := func() []string {
			other.housekeeping()
			here, err1 := w.lookup(token, "192.0.2.9")
			there, err2 := other.lookup(token, "192.0.2.9")
			if err := errors.Join(err1, err2); err != nil {
				return []string{err.Error()}
			}
			if !slices.Equal(here.Roles, there.Roles) {
				t.Errorf("here %v, there %v", here.Roles, there.Roles)
			}
			return here.Roles
		}
		ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "incident 12"})
		if got := roles(); !slices.Equal(got, []string{"auditor", "support"}) {
			t.Errorf("the token may be %v", got)
		}
		rv := ana.api(201, "POST", "reviews", map[string]any{})
		take := func(role string) {
			for _, it := range w.items(ana, rv["id"]) {
				if it["person"] == ben && it["role"] == role {
					ana.api(200, "POST", fmt.Sprintf("reviews/%s/items/%s", rv["id"], it["id"]), map[string]any{"decision": "revoke", "reason": "not needed"})
				}
			}
		}
		take("auditor")
		if got := roles(); !slices.Equal(got, []string{"support"}) {
			t.Errorf("after a role went the token may be %v", got)
		}
		w.wants("identity.loans", clause.Pass)
		take("support")
		if got := roles(); len(got) != 1 || !strings.Contains(got[0], "not good") {
			t.Errorf("after all roles went the token may be %v", got)
		}
		w.exec(`UPDATE identity_member SET roles = 'support' WHERE person = $1`, ben)
		other.housekeeping()
		if err := w.svc.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wants("identity.loans", clause.Pass)
		w.exec(`UPDATE identity_member SET roles = 'auditor' WHERE person = $1`, ben)
		w.wants("identity.loans", clause.Fail)
	}, jobs.Schema(), identity.Schema())
}
