package access_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/policy/policytest"
)

const key = "access.roles/roles"

func person(roles ...string) actor.Actor {
	return actor.Actor{Kind: actor.Person, ID: "x", Session: "s", TeamKind: "staff", Roles: roles, ACR: 2, FactorAt: time.Now()}
}

// at is somebody whose second factor was shown at a moment.
func at(who actor.Actor, t time.Time) actor.Actor {
	who.FactorAt = t
	return who
}

// breaks: access.roles
func TestTable(t *testing.T) {
	a := policytest.Access(ledgertest.Open(t).DB, time.Now)
	lent := func(standing string, role string) actor.Actor {
		who := person(standing, role)
		who.Lent = []string{role}
		return who
	}
	in := func(kind string, roles ...string) actor.Actor {
		who := person(roles...)
		who.TeamKind = kind
		return who
	}
	glass := actor.Actor{Kind: actor.BreakGlass, ID: "g", Session: "g", TeamKind: "staff", Roles: []string{"owner"}}
	token := person("owner")
	token.Via, token.Session = "token", ""
	cases := map[string]struct {
		who    actor.Actor
		action access.Action
		want   bool
	}{
		"owner approves":                     {person("owner"), access.PolicyApprove, true},
		"engineer does not approve":          {person("engineer"), access.PolicyApprove, false},
		"operator never approves":            {actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.PolicyApprove, false},
		"operator never signs":               {actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.RecordSign, false},
		"operator never decides on rights":   {actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.ReviewDecide, false},
		"operator closes the gate":           {actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.GateMaintain, true},
		"a person with the role operator":    {person("operator"), access.GateMaintain, false},
		"customer admin":                     {person("admin", "member"), access.JournalRead, false},
		"stranger":                           {actor.Actor{Kind: actor.Stranger, ID: "203.0.113.0/24", Roles: []string{"owner"}}, access.PolicyRead, false},
		"nobody":                             {actor.Actor{}, access.PolicyRead, false},
		"break-glass has the owner's row":    {glass, access.PeopleManage, true},
		"break-glass signs nothing":          {glass, access.PolicyApprove, false},
		"break-glass lends nothing":          {glass, access.RoleGrant, false},
		"break-glass makes no token":         {glass, access.ServicesManage, false},
		"break-glass looks as no customer":   {glass, access.SupportLook, false},
		"break-glass exports nothing":        {glass, access.JournalExport, false},
		"break-glass prepares no other":      {glass, access.GlassPrepare, false},
		"break-glass without a role":         {actor.Actor{Kind: actor.BreakGlass, TeamKind: "staff"}, access.PolicyRead, false},
		"break-glass with a customer's role": {actor.Actor{Kind: actor.BreakGlass, TeamKind: "customer", Roles: []string{"owner"}}, access.PolicyRead, false},
		"an owner prepares break-glass":      {person("owner"), access.GlassPrepare, true},
		"an engineer does not":               {person("engineer"), access.GlassPrepare, false},
		"an action nobody listed":            {person("owner"), "policy.rewrite-history", false},
		"operator and an action not listed":  {actor.Actor{Kind: actor.Operator}, "policy.rewrite-history", false},
		"the server itself":                  {actor.System("jobs"), access.SessionsEnd, true},
		"auditor exports":                    {person("auditor"), access.JournalExport, true},
		"auditor changes nothing":            {person("auditor"), access.GateMaintain, false},
		"support cannot end others sessions": {person("support"), access.SessionsEnd, false},
		"a machine by its roles":             {actor.Actor{Kind: actor.Machine, ID: "m", Roles: []string{"auditor"}}, access.JournalRead, true},
		"a role of staff in a customer team": {in("customer", "owner"), access.PolicyRead, false},
		"a lent role does the work":          {lent("support", "engineer"), access.GateMaintain, true},
		"beside the standing one":            {lent("support", "engineer"), access.RecordSign, true},
		"a lent role signs nothing":          {lent("support", "owner"), access.PolicyApprove, false},
		"a lent role lends nothing":          {lent("support", "owner"), access.RoleGrant, false},
		"a token reads":                      {token, access.PolicyRead, true},
		"a token signs nothing":              {token, access.PolicyApprove, false},
		"a token grants nothing":             {token, access.RoleGrant, false},
	}
	for name, c := range cases {
		if got := a.May(c.who, c.action); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Every role and every action: the answer is what the signed table says, and nothing else.
//
// breaks: access.roles
func TestAnswersAreTheTable(t *testing.T) {
	a := policytest.Access(ledgertest.Open(t).DB, time.Now)
	says := map[string][]string{}
	for _, row := range policytest.Values()[key].([][]string) {
		says[row[0]] = strings.Fields(row[2])
	}
	if len(says) != 6 || len(access.Actions()) < 20 {
		t.Fatalf("%d roles, %d actions", len(says), len(access.Actions()))
	}
	roles := slices.Sorted(maps.Keys(says))
	for i := range 1 << len(roles) { // every set of roles
		var held []string
		union := map[string][]string{} // by kind of team
		for j, r := range roles {
			if i&(1<<j) == 0 {
				continue
			}
			held = append(held, r)
			of := "customer"
			if slices.Contains(access.StaffRoles(), r) {
				of = "staff"
			}
			for _, kind := range []string{of, "canary"} { // a role of staff counts in no customer's team, nor the other way round
				union[kind] = append(union[kind], says[r]...)
			}
		}
		for _, kind := range []string{"staff", "customer", "canary"} {
			who := person(held...)
			who.TeamKind = kind
			for _, action := range access.Actions() {
				if got, want := a.May(who, action), slices.Contains(union[kind], string(action)); got != want {
					t.Errorf("%v in a team of kind %s may %s: %v, the table says %v", held, kind, action, got, want)
				}
			}
		}
	}
}

// A change of the table counts for the next request.
//
// breaks: access.roles
// A session that shares opened may what the owner's row has of the list, and nothing else:
// the signed table is asked, so that a revision which takes something from the owner takes
// it from these sessions too.
// breaks: access.least-privilege
func TestEmergencyIsWithinTheOwnersRow(t *testing.T) {
	now := time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)
	a := access.New(access.Deps{Log: ledgertest.Open(t).DB, Now: func() time.Time { return now }})
	later := now.Add(time.Hour)
	if err := a.Slots()[0].Set([]clause.Period{{From: now, Values: policytest.Values()}, {From: later, Values: table(func(row []string) {
		if row[0] == "owner" {
			row[2] = strings.ReplaceAll(row[2], "identity.manage-people ", "")
		}
	})}}); err != nil {
		t.Fatal(err)
	}
	who := actor.Actor{Kind: actor.BreakGlass, ID: "g", Session: "g", TeamKind: "staff", Roles: []string{"owner"}}
	owner, _ := a.Role("owner")
	for _, action := range access.Actions() {
		if got, want := a.May(who, action), owner.Has(action) && slices.Contains(access.InEmergency(), action); got != want {
			t.Errorf("%s: %v, want %v", action, got, want)
		}
	}
	now = later
	if a.May(who, access.PeopleManage) || !a.May(who, access.PeopleRead) {
		t.Error("a revision of the owner's row does not count for break-glass")
	}
}

func TestRevisionTakesEffectAtOnce(t *testing.T) {
	now := time.Date(2026, 11, 2, 6, 0, 0, 0, time.UTC)
	a := access.New(access.Deps{Log: ledgertest.Open(t).DB, Now: func() time.Time { return now }})
	if a.May(person("owner"), access.PolicyRead) || a.May(actor.Actor{Kind: actor.Operator}, access.PolicyRead) || a.May(actor.System("x"), access.PolicyRead) || len(a.Roles()) != 0 {
		t.Error("somebody may something before a policy is in force")
	}
	if err := a.Allow(t.Context(), person("owner"), access.PolicyRead, ""); !errors.Is(err, fault.Denied) {
		t.Errorf("before a policy is in force: %v", err)
	}
	change := now.Add(time.Hour)
	err := a.Slots()[0].Set([]clause.Period{{From: now, Values: policytest.Values()}, {From: change, Values: table(func(row []string) {
		if row[0] == "engineer" {
			row[2] = "policy.read"
		}
	})}})
	if err != nil {
		t.Fatal(err)
	}
	if !a.May(at(person("engineer"), now), access.GateMaintain) {
		t.Error("an engineer may not close the gate before the change")
	}
	now = change
	if a.May(at(person("engineer"), now), access.GateMaintain) || !a.May(at(person("engineer"), now), access.PolicyRead) {
		t.Error("the change does not count from its moment on")
	}
	if r, ok := a.Role("engineer"); !ok || len(r.Actions) != 1 || !r.Has(access.PolicyRead) || !r.Staff {
		t.Errorf("the row of engineer: %+v", r)
	}
}

// table is the shipped values with another table of roles.
func table(edit func(row []string)) clause.Values {
	v := policytest.Values()
	var rows [][]string
	for _, row := range v[key].([][]string) {
		row = slices.Clone(row)
		edit(row)
		if row[0] != "" {
			rows = append(rows, row)
		}
	}
	v[key] = rows
	return v
}

// What this build could not obey, or nobody could mend, is refused when proposed.
//
// breaks: access.roles
func TestTablesThatAreRefused(t *testing.T) {
	slot := access.New(access.Deps{Log: ledgertest.Open(t).DB, Now: time.Now}).Slots()[0]
	of := func(role string, edit func(row []string)) clause.Values {
		return table(func(row []string) {
			if row[0] == role {
				edit(row)
			}
		})
	}
	values := func(key string, v any) clause.Values {
		out := policytest.Values()
		out[key] = v
		return out
	}
	old := policytest.Values()
	var two [][]string
	for _, row := range old[key].([][]string) {
		two = append(two, row[:2])
	}
	old[key] = two
	for name, c := range map[string]struct {
		v    clause.Values
		says string
	}{
		"an unknown action":         {of("auditor", func(r []string) { r[2] += " policy.rewrite-history" }), `no action "policy.rewrite-history"`},
		"an unknown role":           {of("auditor", func(r []string) { r[0] = "inspector" }), `no role "inspector"`},
		"an action twice":           {of("auditor", func(r []string) { r[2] += " journal.read" }), "stands twice"},
		"a customer with staff's":   {of("admin", func(r []string) { r[2] = "journal.read" }), "only actions that begin with team."},
		"no owner":                  {of("owner", func(r []string) { r[0] = "" }), "owner lacks policy.approve"},
		"an owner who cannot sign":  {of("owner", func(r []string) { r[2] = strings.ReplaceAll(r[2], "policy.approve ", "") }), "owner lacks policy.approve"},
		"an owner without a key":    {of("owner", func(r []string) { r[2] = strings.ReplaceAll(r[2], "policy.register-key", "") }), "owner lacks policy.register-key"},
		"a table without actions":   {old, "2 columns and this build reads four"},
		"a tag nobody knows":        {of("support", func(r []string) { r[3] = "cloud" }), `tags are "cloud"`},
		"a customer's hosting role": {of("admin", func(r []string) { r[3] = "hosting" }), `tags are "hosting"`},
		"engineers without the tag": {of("engineer", func(r []string) { r[3] = "none" }), "tags no role engineer"},
		"nobody is an engineer":     {values("access.mfa-hosting/who", []string{}), "who must hold engineers"},
		"a role that has no tag":    {values("access.mfa-hosting/who", []string{"auditors", "engineers"}), "tags no role auditor"},
		"a factor of last week":     {values("access.mfa-hosting/max_age", 7*24*time.Hour), "not within 15m and 24h"},
		"a cell that says nothing":  {of("member", func(r []string) { r[2] = " " }), "no actions"},
		"none beside something":     {of("support", func(r []string) { r[2] = "none policy.read" }), `no action "none"`},
		"an action of another case": {of("support", func(r []string) { r[2] = "Policy.read" }), `no action "Policy.read"`},
	} {
		err := slot.Check(c.v)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if err := slot.Check(of("support", func(r []string) { r[2] = "none" })); err != nil {
		t.Errorf("a role that may nothing: %v", err)
	}
}

// Every no is recorded before it is given; without a record there is another no.
func TestRefusalsAreRecorded(t *testing.T) {
	k := ledgertest.With(t, "sqlite", func(c *ledger.Config) { c.Seam.Disk = &ledger.Disk{} })
	a := policytest.Access(k.DB, time.Now)
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

// A yes to a person is counted, by action and day; what could not be kept is not lost.
//
// breaks: access.least-privilege
func TestUsesAreCounted(t *testing.T) {
	now := time.Date(2026, 11, 2, 23, 59, 0, 0, time.UTC)
	a := policytest.Access(ledgertest.Open(t).DB, func() time.Time { return now })
	ask := func(who actor.Actor, action access.Action) { _ = a.Allow(t.Context(), who, action, "") } // the count tells
	who := person("owner")
	ask(who, access.PolicyRead)
	ask(who, access.PolicyRead)
	ask(person("auditor"), access.PolicyApprove) // refused
	a.May(who, access.PolicyApprove)             // only looked at
	ask(actor.Actor{Kind: actor.Operator, ID: "uid-0"}, access.PolicyRead)
	ask(actor.Actor{Kind: actor.Person, ID: "ana", TeamKind: "staff", Roles: []string{"owner"}, Via: "canary"}, access.PolicyRead) // a rehearsal
	now = now.Add(2 * time.Minute)
	ask(who, access.PolicyRead)
	us := a.TakeUses()
	slices.SortFunc(us, func(x, y access.Use) int { return x.Day.Compare(y.Day) })
	day := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	want := []access.Use{{Person: "x", Action: access.PolicyRead, Day: day, Count: 2}, {Person: "x", Action: access.PolicyRead, Day: day.AddDate(0, 0, 1), Count: 1}}
	if !slices.Equal(us, want) {
		t.Errorf("counted %v, want %v", us, want)
	}
	a.GiveBack(us[:1])
	if us := a.TakeUses(); len(us) != 1 || us[0].Count != 2 {
		t.Errorf("given back: %v", us)
	}
	if us := a.TakeUses(); len(us) != 0 {
		t.Errorf("taken twice: %v", us)
	}
}

// Cedar skips a rule that cannot be evaluated. A skipped prohibition would be a yes.
//
// breaks: access.roles
func TestAnyErrorIsNo(t *testing.T) {
	a := policytest.Access(ledgertest.Open(t).DB, time.Now)
	if !a.May(person("owner"), access.PolicyRead) {
		t.Fatal("an owner may not read")
	}
	a.Spoil()
	for _, who := range []actor.Actor{person("owner"), actor.System("x"), {Kind: actor.Operator, ID: "uid-0"}} {
		if a.May(who, access.PolicyRead) {
			t.Errorf("%s may, although a rule could not be evaluated", who)
		}
	}
}

// Whatever a cell holds, either it is refused or it names known actions, each once.
func FuzzActions(f *testing.F) {
	for _, s := range []string{"none", "policy.read journal.read", "policy.read policy.read", "", "none none", "policy.read\u00a0journal.read", "team."} {
		f.Add(s)
	}
	slot := access.New(access.Deps{Log: ledgertest.Open(f).DB, Now: time.Now}).Slots()[0]
	f.Fuzz(func(t *testing.T, cell string) {
		v := table(func(row []string) {
			if row[0] == "support" {
				row[2] = cell
			}
		})
		if slot.Check(v) != nil {
			return
		}
		a := access.New(access.Deps{Log: refuser{}, Now: time.Now})
		if err := a.Slots()[0].Set([]clause.Period{{Values: v}}); err != nil {
			t.Fatal(err)
		}
		r, ok := a.Role("support")
		if !ok {
			t.Fatal("the role is gone")
		}
		for _, action := range access.Actions() {
			if a.May(person("support"), action) != r.Has(action) {
				t.Errorf("%q: %s", cell, action)
			}
		}
		if len(r.Actions) == 0 && strings.TrimSpace(cell) != access.None {
			t.Errorf("%q was taken as nothing", cell)
		}
	})
}

type refuser struct{}

func (refuser) Refuse(_ context.Context, _ actor.Actor, _ ledger.Event, err error) error { return err }
