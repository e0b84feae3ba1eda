package access_test

import (
	"errors"
	"testing"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
)

// breaks: access.roles
func TestMatrix(t *testing.T) {
	person := func(roles ...string) actor.Actor { return actor.Actor{Kind: actor.Person, ID: "x", Roles: roles} }
	cases := map[string]struct {
		who    actor.Actor
		action access.Action
		want   bool
	}{
		"owner approves":                     {person("owner"), access.PolicyApprove, true},
		"engineer does not approve":          {person("engineer"), access.PolicyApprove, false},
		"operator never approves":            {actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.PolicyApprove, false},
		"operator never signs":               {actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.RecordSign, false},
		"operator closes the gate":           {actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.GateMaintain, true},
		"a person with the role operator":    {person("operator"), access.GateMaintain, false},
		"customer admin":                     {person("admin", "member"), access.JournalRead, false},
		"stranger":                           {actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24", Roles: []string{"owner"}}, access.PolicyRead, false},
		"nobody":                             {actor.Actor{}, access.PolicyRead, false},
		"an action nobody listed":            {person("owner"), "policy.rewrite-history", false},
		"operator and an action not listed":  {actor.Actor{Kind: actor.Operator}, "policy.rewrite-history", false},
		"auditor exports":                    {person("auditor"), access.JournalExport, true},
		"auditor changes nothing":            {person("auditor"), access.GateMaintain, false},
		"support cannot end others sessions": {person("support"), access.SessionsEnd, false},
	}
	for name, c := range cases {
		if got := access.May(c.who, c.action); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	for _, a := range access.Actions() {
		if access.May(person("admin", "member"), a) {
			t.Errorf("a customer may %s", a)
		}
	}
}

// Every no is recorded before it is given; without a record there is another no.
func TestRefusalsAreRecorded(t *testing.T) {
	k := ledgertest.With(t, "sqlite", func(c *ledger.Config) { c.Seam.Disk = &ledger.Disk{} })
	a := access.New(k.DB)
	who := actor.Actor{Kind: actor.Operator, ID: "uid-7"}
	if err := a.Allow(t.Context(), who, access.GateMaintain, ""); err != nil {
		t.Fatal(err)
	}
	if n := len(k.Recorded("access.refused")); n != 0 {
		t.Fatalf("a yes was recorded as refused %d times", n)
	}
	if err := a.Allow(t.Context(), who, access.PolicyApprove, "revision/1.1"); !errors.Is(err, fault.Denied) {
		t.Fatalf("got %v, want denied", err)
	}
	if n := len(k.Recorded("access.refused")); n != 1 {
		t.Fatalf("%d refusals recorded, want 1", n)
	}
	if err := a.Allow(t.Context(), actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24"}, access.PolicyRead, ""); !errors.Is(err, fault.Unauthenticated) {
		t.Fatalf("a stranger got %v, want unauthenticated", err)
	}
	k.Seam.Disk.Broken.Store(true)
	defer k.Seam.Disk.Broken.Store(false)
	if err := a.Allow(t.Context(), who, access.PolicyApprove, ""); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("not recordable gave %v, want unavailable", err)
	}
}
