package identity_test

import (
	"fmt"
	"testing"

	"writ/internal/actor"
	"writ/internal/fault"
)

// Whoever was disabled is let in again by two people, with a new password and without anything that
// ended.
func TestReadmit(t *testing.T) { // breaks: inc.breach-research
	w := open(t)
	w.staff("ana", "owner")
	eva, b, phone := w.staff("eva", "engineer")
	ctx := t.Context()
	owner := actor.Actor{Kind: actor.Person, ID: "second", Team: "staff", TeamKind: "staff", Roles: []string{"owner"}, Session: "s", ACR: 2, FactorAt: w.kit.Clock.Now(), Via: "https"}
	if err := w.svc.Readmit(ctx, owner, "eva", "first"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("who was not disabled: %v", err)
	}
	if err := w.svc.Disable(ctx, operator, "eva"); err != nil {
		t.Fatal(err)
	}
	engineer := owner
	engineer.Roles = []string{"engineer"}
	for name, err := range map[string]error{"alone": w.svc.Readmit(ctx, owner, "eva", "second"), "nobody asked": w.svc.Readmit(ctx, owner, "eva", ""), "the operator": w.svc.Readmit(ctx, operator, "eva", "first"), "an engineer": w.svc.Readmit(ctx, engineer, "eva", "first")} {
		if fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.api(401, "POST", "sign-in", map[string]any{"email": mailbox("eva"), "password": good})
	if err := w.svc.Readmit(ctx, owner, "eva", "first"); err != nil {
		t.Fatal(err)
	}
	b.api(401, "GET", "session", nil)
	b.api(401, "POST", "sign-in", map[string]any{"email": mailbox("eva"), "password": good})
	got := w.kit.Recorded("identity.person-readmitted")
	if len(got) != 1 || got[0].Object != "person/"+eva || fmt.Sprint(got[0].Fields["by"]) != "[first second]" {
		t.Errorf("recorded: %+v", got)
	}
	const fresh = "gravel pontoon mimic 42"
	in := b.api(200, "POST", "recovery/"+tokenOf(t, w.letterOf(mailbox("eva"), "reset").Text), map[string]any{"new": fresh})
	if in["next"] != "factor" {
		t.Fatalf("a mailbox alone is enough: %v", in)
	}
	b.api(200, "POST", "sign-in/factor", map[string]any{"flow": in["flow"], "kind": "totp", "code": phone.code()})
	b.signInWith(mailbox("eva"), fresh, phone)
}
