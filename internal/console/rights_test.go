package console_test

import (
	"net/url"
	"slices"
	"testing"

	"writ/internal/identity"
)

// TestLendAndTakeBack goes through the forms of the page of rights.
func TestLendAndTakeBack(t *testing.T) {
	w := newWorld(t)
	form := func(over ...string) url.Values {
		v := url.Values{"person": {"suna"}, "role": {"engineer"}, "for": {"2h"}, "reason": {"Watches a deployment."}}
		for i := 0; i+1 < len(over); i += 2 {
			v.Set(over[i], over[i+1])
		}
		return v
	}
	w.post("ana", "/-/console/rights/lend", form("for", "soon")).want(422, "written as 90m or 8h")
	w.post("ana", "/-/console/rights/lend", form("for", "9h")).want(422, "From 1 minute to 8h0m0s")
	w.post("ana", "/-/console/rights/lend", form("reason", "")).want(422, "Say why")
	w.post("ana", "/-/console/rights/lend", form("person", "nobody")).want(404, "no such person")
	w.post("dev", "/-/console/rights/lend", form("person", "", "role", "support")).want(303)
	w.get("dev", "/-/console/rights").want(200, "Ask for a role", "waits for somebody's yes", "nobody yet, asked for by its holder")
	asked, err := w.people.Grants(t.Context(), w.as("dev"), identity.GrantFilter{})
	if err != nil || len(asked) != 1 {
		t.Fatalf("%d grants, %v", len(asked), err)
	}
	w.post("dev", "/-/console/rights/revoke", url.Values{"grant": {asked[0].ID}}).want(303)
	w.post("dev", "/-/console/rights/lend", form()).want(403)
	w.post("ana", "/-/console/rights/lend", form("role", "owner")).want(303)
	w.post("ana", "/-/console/rights/lend", form("need", "ticket/OPS-7")).want(303)
	w.get("emil", "/-/console/rights").want(200, "waits for a second person", "for ticket/OPS-7", "lent by Ana Lind")
	gs, err := w.people.Grants(t.Context(), w.as("ana"), identity.GrantFilter{})
	if err != nil || len(gs) != 2 {
		t.Fatalf("%d grants, %v", len(gs), err)
	}
	i := slices.IndexFunc(gs, func(g identity.Grant) bool { return g.Role == "owner" })
	w.post("ana", "/-/console/rights/approve", url.Values{"grant": {gs[i].ID}}).want(403, "second person")
	w.post("ben", "/-/console/rights/approve", url.Values{"grant": {gs[i].ID}}).want(303)
	w.post("ben", "/-/console/rights/revoke", url.Values{"grant": {gs[i].ID}}).want(303)
	w.post("ana", "/-/console/rights/need", url.Values{"over": {"OPS-7"}}).want(422, "ticket/NAME or project/NAME")
	w.post("ana", "/-/console/rights/need", url.Values{"over": {"ticket/OPS-7"}}).want(303)
	w.get("ana", "/-/console/rights").want(200, "Nothing is lent right now")
	w.get("ana", "/-/console/rights?ended=true").want(200, "taken back", "its need was over")
}

// TestReviewOnThePage goes through the forms of a review.
func TestReviewOnThePage(t *testing.T) {
	w := newWorld(t)
	w.get("emil", "/-/console/reviews").want(200, "No review yet")
	w.post("dev", "/-/console/reviews", nil).want(403)
	at := w.post("ana", "/-/console/reviews", nil).want(303).Header().Get("Location")
	w.post("ana", "/-/console/reviews", nil).want(409)
	rv, items, err := w.people.ShowReview(t.Context(), w.as("ana"), at[len("/-/console/reviews/"):])
	if err != nil || rv.Items != int64(len(staff)) {
		t.Fatalf("%+v %v", rv, err)
	}
	decide := func(who, handle, decision, reason string) page {
		i := slices.IndexFunc(items, func(it identity.ReviewItem) bool { return it.Handle == handle })
		return w.post(who, at+"/decide", url.Values{"item": {items[i].ID}, "decision": {decision}, "reason": {reason}})
	}
	w.get("ana", at).want(200, "your own: others decide", "0 of 6")
	decide("ana", "ana", "keep", "I need it.").want(403, "Nobody decides on their own right")
	decide("ana", "suna", "revoke", "").want(422, "Say why")
	decide("emil", "suna", "revoke", "not for an auditor").want(403)
	decide("ana", "suna", "revoke", "Moved to another team.").want(303)
	if p, err := w.people.Show(t.Context(), w.as("ana"), "suna"); err != nil || len(p.Roles) != 0 {
		t.Errorf("suna holds %v, %v", p.Roles, err)
	}
	for _, h := range []string{"ben", "chiara", "dev", "emil"} {
		decide("ana", h, "keep", "Uses it every week.").want(303)
	}
	w.post("ana", at+"/close", nil).want(409, "1 of 6 rights are not decided on")
	decide("ben", "ana", "keep", "Signs with me.").want(303)
	w.get("ana", at).want(200, "Close the review", "6 of 6", "revoked", "Ana Lind, 2 November 2026: Moved to another team.")
	w.post("ana", at+"/close", nil).want(303)
	w.get("emil", "/-/console/reviews").want(200, "closed 2 November 2026")
}
