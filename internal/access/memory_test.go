package access_test

import (
	"fmt"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

// What is remembered of one caller is never the answer to another one, who differs in one
// thing alone: an Access that was asked about all of them says what one asked first says.
//
// breaks: access.roles
func TestRememberedIsOnesOwn(t *testing.T) {
	kit := ledgertest.Open(t)
	asked := policytest.Access(kit.DB, time.Now)
	one := actor.Actor{Kind: actor.Person, ID: "x", Session: "s", TeamKind: "staff", Roles: []string{"engineer", "owner"}, ACR: 2}
	who := []actor.Actor{one}
	for _, change := range []func(*actor.Actor){
		func(a *actor.Actor) { a.Kind = actor.Machine },
		func(a *actor.Actor) { a.Kind = actor.BreakGlass },
		func(a *actor.Actor) { a.TeamKind = "customer" },
		func(a *actor.Actor) { a.Roles = []string{"engineer"} },
		func(a *actor.Actor) { a.Roles = nil },
		func(a *actor.Actor) { a.Lent = []string{"owner"} },
		func(a *actor.Actor) { a.Via = "token" },
		func(a *actor.Actor) { a.Roles, a.ACR = []string{"engineer"}, 1 },
	} {
		w := one
		change(&w)
		who = append(who, w)
	}
	want := map[string]bool{}
	for range 2 {
		for _, w := range who {
			for _, act := range []access.Action{access.PolicyApprove, access.PolicyRead, access.RecordSign} {
				key := fmt.Sprintf("%#v %s", w, act)
				if _, ok := want[key]; !ok {
					want[key] = policytest.Access(kit.DB, time.Now).May(w, act)
				}
				if got := asked.May(w, act); got != want[key] {
					t.Errorf("%s: %v, but asked first %v", key, got, want[key])
				}
			}
		}
	}
}
