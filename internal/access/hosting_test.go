package access_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
	"writ/internal/web"
)

// Rights of a hosting role count with a second factor up to its age, and a moment later
// no longer; what another role gives is not touched.
func TestHostingRole(t *testing.T) { // breaks: access.mfa-hosting
	now := time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)
	k := ledgertest.Open(t)
	a := policytest.Access(k.DB, func() time.Time { return now })
	with := func(age time.Duration, acr int, roles ...string) actor.Actor {
		who := at(person(roles...), now.Add(-age))
		who.ACR = acr
		return who
	}
	lent := with(13*time.Hour, 2, "support", "engineer")
	lent.Lent = []string{"engineer"}
	token := with(13*time.Hour, 0, "engineer")
	token.Token, token.Via, token.Scopes = "t", "token", []string{string(access.GateMaintain)}
	never := with(0, 2, "engineer")
	never.FactorAt = time.Time{}
	cases := map[string]struct {
		who  actor.Actor
		want bool
		step bool // shown anew it would be a yes
	}{
		"just shown":                     {with(0, 2, "engineer"), true, false},
		"within its time":                {with(12*time.Hour-time.Second, 2, "engineer"), true, false},
		"at the end of its time":         {with(12*time.Hour, 2, "engineer"), false, true},
		"a passkey at the end of it":     {with(12*time.Hour, 3, "engineer"), false, true},
		"one factor, just shown":         {with(0, 1, "engineer"), false, true},
		"never shown":                    {never, false, true},
		"shown tomorrow":                 {with(-24*time.Hour, 2, "engineer"), false, true},
		"the same right by another role": {with(13*time.Hour, 1, "engineer", "owner"), true, false},
		"a role that was lent":           {lent, false, true},
		"no such right at all":           {with(13*time.Hour, 2, "auditor"), false, false},
		"a token enters nothing":         {token, true, false},
	}
	for name, c := range cases {
		if got := a.May(c.who, access.GateMaintain); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		err := a.Allow(t.Context(), c.who, access.GateMaintain, "")
		up, is := errors.AsType[*web.StepUp](err)
		switch {
		case (err == nil) != c.want, is != c.step:
			t.Errorf("%s: %v", name, err)
		case is && (up.ACR != 2 || up.MaxAge != 12*time.Hour || !errors.Is(err, fault.Denied)):
			t.Errorf("%s: acr %d, max age %s", name, up.ACR, up.MaxAge)
		}
	}
	refused := 0
	for _, r := range k.Recorded("access.refused") {
		if r.Clause == "access.mfa-hosting" {
			refused++
		}
	}
	if want := 6; refused != want {
		t.Errorf("%d refusals recorded under the clause, want %d", refused, want)
	}
	for _, u := range a.TakeUses() {
		if u.Late != 0 {
			t.Errorf("an allowed act counts as late: %+v", u)
		}
	}
}

// A table of before there were tags tags every role of staff.
func TestTableWithoutTags(t *testing.T) { // breaks: access.mfa-hosting
	now := time.Now()
	a := access.New(access.Deps{Log: ledgertest.Open(t).DB, Now: func() time.Time { return now }})
	v := policytest.Values()
	var rows [][]string
	for _, row := range v[key].([][]string) {
		rows = append(rows, slices.Clone(row[:3]))
	}
	v[key] = rows
	if err := a.Slots()[0].Check(v); err != nil {
		t.Fatal(err)
	}
	if err := a.Slots()[0].Set([]clause.Period{{Values: v}}); err != nil {
		t.Fatal(err)
	}
	if !a.May(person("auditor"), access.PolicyRead) || a.May(at(person("auditor"), now.Add(-13*time.Hour)), access.PolicyRead) {
		t.Error("an old factor counts, or a fresh one does not")
	}
}

// An error in the rule is a no, also where a fresh factor would be a yes.
func TestHostingErrorIsNo(t *testing.T) { // breaks: access.mfa-hosting
	a := policytest.Access(ledgertest.Open(t).DB, time.Now)
	a.Spoil()
	err := a.Allow(t.Context(), person("engineer"), access.GateMaintain, "")
	if _, step := errors.AsType[*web.StepUp](err); err == nil || step {
		t.Errorf("%v", err)
	}
}

// A table that lost the condition is found by the count of what it allowed.
func TestLateUsesAreCounted(t *testing.T) { // breaks: access.mfa-hosting
	now := time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)
	a := policytest.Access(ledgertest.Open(t).DB, func() time.Time { return now })
	a.Unhost()
	for _, age := range []time.Duration{time.Hour, 13 * time.Hour} {
		if err := a.Allow(t.Context(), at(person("engineer"), now.Add(-age)), access.GateMaintain, ""); err != nil {
			t.Fatal(err)
		}
	}
	us := a.TakeUses()
	if len(us) != 1 || us[0].Count != 2 || us[0].Late != 1 {
		t.Errorf("%+v", us)
	}
	a.GiveBack(us)
	if us = a.TakeUses(); len(us) != 1 || us[0].Late != 1 {
		t.Errorf("given back: %+v", us)
	}
}
