package identity_test

import (
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/policy/policytest"
)

// breaks: access.roles
func TestRolesControlFails(t *testing.T) {
	w := open(t)
	w.staffer("ana", "owner")
	w.staffer("ben", "auditor")
	w.customer("carl")
	w.wants("identity.roles-signed", clause.Pass)
	for name, set := range map[string]string{
		"a role nobody signed":            `UPDATE identity_member SET roles = 'auditor wizard' WHERE person = $1`,
		"a role of customers among staff": `UPDATE identity_member SET roles = 'admin' WHERE person = $1`,
	} {
		w.exec(set, w.id("ben"))
		r, err := w.check("identity.roles-signed")
		if err != nil || r.Outcome != clause.Fail || !strings.Contains(r.Summary, "1 of") {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	w.exec(`UPDATE identity_member SET roles = 'auditor' WHERE person = $1`, w.id("ben"))
	// A revision drops the role: whoever holds it holds a right without a reason.
	w.roles(func(row []string) bool { return row[0] != "auditor" })
	w.wants("identity.roles-signed", clause.Fail)
}

// roles puts another table of roles in force.
func (w *world) roles(keep func(row []string) bool) {
	w.t.Helper()
	v := policytest.Values()
	var rows [][]string
	for _, row := range v["access.roles/roles"].([][]string) {
		row = append([]string{}, row...)
		if keep(row) {
			rows = append(rows, row)
		}
	}
	v["access.roles/roles"] = rows
	if err := w.access.Slots()[0].Set([]clause.Period{{Values: v}}); err != nil {
		w.t.Fatal(err)
	}
}

// A server that lets an auditor act is found out at its own door.
//
// breaks: access.roles
func TestAuditorActsControlFails(t *testing.T) {
	w := open(t)
	w.wants("identity.auditor-acts", clause.Pass)
	w.breakFront(swap(path("/people"), status(200, `{"people":[]}`)))
	w.wants("identity.auditor-acts", clause.Fail)
	w.breakFront(swap(path("/nothing"), status(200, ``)))
	// Where every role may act there is nothing to try, and that is no pass.
	w.roles(func(row []string) bool {
		if row[0] == "auditor" || row[0] == "engineer" || row[0] == "support" {
			row[2] = "none"
		}
		return true
	})
	if r, err := w.check("identity.auditor-acts"); err == nil {
		t.Errorf("nothing to try was judged: %+v", r)
	}
}

// breaks: access.need-ends
func TestLoanControlsFail(t *testing.T) {
	w := open(t)
	_, ana := w.staffer("ana", "owner")
	_, b := w.staffer("ben", "support")
	w.wants("identity.loans", clause.Pass)
	w.wants("identity.late-loan", clause.Pass)
	w.wants("identity.late-loan", clause.Pass) // what it ended does not stop the next run
	ana.api(201, "POST", "grants", map[string]any{"person": "ben", "role": "engineer", "for": "1h", "reason": "incident 12"})
	b.api(200, "GET", "grants", nil)
	w.wants("identity.loans", clause.Pass)
	// The row is over and memory does not know: the role counts without a reason.
	w.exec(`UPDATE identity_grant SET ended = asked, cause = 'time' WHERE person = $1`, w.id("ben"))
	w.wants("identity.loans", clause.Fail)
	if err := w.svc.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.wants("identity.loans", clause.Pass)
	// A membership that memory still has.
	w.exec(`UPDATE identity_member SET roles = 'auditor' WHERE person = $1`, w.id("ben"))
	w.wants("identity.loans", clause.Fail)
	w.exec(`UPDATE identity_member SET roles = 'support' WHERE person = $1`, w.id("ben"))
	// A row whose time is over and that nobody ended.
	w.exec(`UPDATE identity_grant SET ended = NULL, until = asked`)
	w.kit.Clock.Advance(6 * time.Minute)
	w.wants("identity.loans", clause.Fail)
	w.round()
	w.wants("identity.loans", clause.Pass)
	w.breakFront(swap(path("/grants"), status(200, `{"grants":[]}`)))
	w.wants("identity.late-loan", clause.Fail)
}

// breaks: access.least-privilege
func TestUnusedControlFails(t *testing.T) {
	w := open(t)
	w.wants("identity.unused-rights", clause.Pass)
	w.set(clause.Values{"access.review/every": 365 * 24 * time.Hour})
	w.staffer("ana", "owner")
	w.kit.Clock.Advance(91 * 24 * time.Hour)
	w.round() // puts it up
	w.wants("identity.unused-rights", clause.Pass)
	w.exec(`DELETE FROM identity_review_item`)
	w.wants("identity.unused-rights", clause.Fail)
}

// breaks: access.review
func TestReviewControlFails(t *testing.T) {
	w := open(t)
	w.wants("identity.reviews", clause.Pass) // nobody has a right
	_, ana := w.staffer("ana", "owner")
	w.staffer("ben", "support")
	r, err := w.check("identity.reviews")
	if err != nil || r.Outcome != clause.Unknown || !strings.Contains(r.Summary, "the first is due by") {
		t.Errorf("before the first review: %+v %v", r, err)
	}
	rv := ana.api(201, "POST", "reviews", map[string]any{})
	for _, it := range w.items(ana, rv["id"]) {
		if it["handle"] == "ben" {
			ana.api(200, "POST", "reviews/"+rv["id"].(string)+"/items/"+it["id"].(string), map[string]any{"decision": "keep", "reason": "helps every day"})
		}
	}
	w.kit.Clock.Advance(14 * 24 * time.Hour)
	w.round()
	w.wants("identity.reviews", clause.Pass)
	w.exec(`UPDATE identity_review_item SET reviewer = 'person/' || person WHERE role = 'support'`)
	w.wants("identity.reviews", clause.Fail)
	w.exec(`UPDATE identity_review_item SET reviewer = 'writ/x', decision = '' WHERE role = 'support'`)
	w.wants("identity.reviews", clause.Fail)
	w.exec(`UPDATE identity_review_item SET decision = 'keep'`)
	w.wants("identity.reviews", clause.Pass)
	w.exec(`UPDATE identity_review SET closed = opened - 7776000000001`)
	w.wants("identity.reviews", clause.Fail)
}
