package console_test

import (
	"net/url"
	"strings"
	"testing"

	"writ/internal/identity"
)

// TestTeamsInTheConsole: an owner looks at teams, invites, takes back, renames, changes a
// role and removes; others of the staff look and change nothing.
func TestTeamsInTheConsole(t *testing.T) {
	w := newWorld(t)
	w.get("emil", "/-/console/teams").want(200, "Staff", "staff")
	staff := "/-/console/teams/staff"
	w.get("emil", staff).want(200, "Dev Patel", "engineer")
	if body := w.get("emil", staff).Body.String(); strings.Contains(body, "Invite somebody") || strings.Contains(body, "/members/") {
		t.Error("an auditor is offered what only owners do")
	}
	w.post("emil", staff+"/invite", url.Values{"email": {"x@example.test"}, "role": {"owner"}}).want(403)
	w.post("ana", staff+"/invite", url.Values{"email": {"x@"}, "role": {"captain"}}).want(422, "A role in this team is", "This is not an e-mail address")
	w.post("ana", staff+"/invite", url.Values{"email": {"gita@example.test"}, "role": {"support"}}).want(303)
	w.get("ana", staff).want(200, "gita@example.test", "as support", "Revoke")
	is, err := w.people.Invitations(t.Context(), operator, "staff", "")
	if err != nil || len(is) != 1 {
		t.Fatal(is, err)
	}
	w.post("ana", staff+"/invitations", url.Values{"invitation": {is[0].ID}, "act": {"resend"}}).want(303)
	w.post("ana", staff+"/invitations", url.Values{"invitation": {is[0].ID}, "act": {"revoke"}}).want(303)
	w.post("ana", staff+"/invitations", url.Values{"invitation": {is[0].ID}, "act": {"revoke"}}).want(303)
	w.get("ana", staff).want(200, "No invitation waits for its answer.")

	dev := staff + "/members/" + w.ids["dev"]
	w.get("ana", dev).want(200, "Dev Patel", "engineer", "Remove Dev Patel")
	w.post("ana", dev+"/role", url.Values{"role": {"captain"}}).want(422, "A role in this team is")
	w.post("ana", dev+"/role", url.Values{"role": {"auditor"}}).want(303)
	w.post("ana", dev+"/remove", url.Values{"handle": {"emil"}}).want(422, "Type exactly dev.")
	w.post("ana", dev+"/remove", url.Values{"handle": {"person/dev"}}).want(303)
	w.get("ana", dev).want(404)

	p, err := w.people.Show(t.Context(), operator, w.ids["cem"])
	if err != nil {
		t.Fatal(err)
	}
	team := "/-/console/teams/" + p.Team
	w.post("ana", team+"/name", url.Values{"name": {""}}).want(422, "1 to 60 characters")
	w.post("ana", team+"/name", url.Values{"name": {"Harbour Pilots"}}).want(303)
	w.get("ana", "/-/console/teams?q=harbour&kind="+identity.Customer).want(200, "Harbour Pilots", "1 team")
	w.post("ana", team+"/members/"+w.ids["cem"]+"/role", url.Values{"role": {"member"}}).want(409, "last admin")
}

// TestDemandInTheConsole: an owner sees whom a demand of the staff meets before it is
// saved; nobody else is offered it.
func TestDemandInTheConsole(t *testing.T) {
	w := newWorld(t)
	at := "/-/console/teams/staff/demand"
	w.post("emil", at, url.Values{"demand": {identity.DemandTwo}, "seen": {"yes"}}).want(403)
	w.post("ana", at, url.Values{"demand": {"everything"}}).want(422, "A team demands")
	w.get("ana", at+"?demand="+identity.DemandTwo).want(200, "Ask for two factors", "members")
	w.post("ana", at, url.Values{"demand": {identity.DemandTwo}}).want(303)
	if d, err := w.people.LookAtDemand(t.Context(), operator, "staff", identity.DemandNone); err != nil || d.Before != identity.DemandNone {
		t.Fatalf("saved before it was seen: %+v %v", d, err)
	}
	w.post("ana", at, url.Values{"demand": {identity.DemandTwo}, "seen": {"yes"}}).want(303)
	if d, err := w.people.LookAtDemand(t.Context(), operator, "staff", identity.DemandNone); err != nil || d.Before != identity.DemandTwo {
		t.Errorf("%+v %v", d, err)
	}
}
