// Package access answers one question: may this actor do this to that? Every
// handler and command asks it before it acts; nothing else in the tree compares
// roles. The answer is no unless a rule says yes, and each no is recorded before
// it is given, so that an attempt leaves a trace even when nothing happened.
//
//	policy, table access.roles/roles ─► Rules ─► Cedar policies, checked against a schema
//	actor, action, object ─► entities and context ─► Cedar ─► yes (counted) | no (recorded)
//
// The document is the configuration: which role of people may do what stands in the
// signed table and nowhere else, and a revision changes it for the next request. What
// the operator may do is no right of a person; it stands in actions.go with the reason.
//
// Promises: access.roles, access.mfa-hosting (rights of a role tagged hosting count only
// with a second factor that is fresh enough), access.least-privilege (every yes to a person is counted by
// day, so that rights nobody uses can be found).
//
// Refuses: everything until a policy is in force; an action that this build does not
// know; a rule that cannot be evaluated; a table that names an unknown role or action,
// or leaves no owner able to sign the next revision.
//
// Threats: a role name accepted from outside (roles come only from identity's tables); a
// failing rule that Cedar would skip (any error is a no); a lent role that outlives its
// loan by signing or lending on (personal acts do not come with a loan); a stolen token
// that signs (never); a customer's team with a role of staff (such roles do not count
// there, nor those of customers in the team of staff).
//
// For: owner, engineer, support, auditor. Read access.go, actions.go, rules.go, cedar.go, use.go.
package access

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/web"
)

// Recorder is what access needs of the ledger.
type Recorder interface {
	Refuse(ctx context.Context, who actor.Actor, ev ledger.Event, reason error) error
}

// Deps are what an Access is made of; all are needed.
type Deps struct {
	Log Recorder // where refusals are recorded
	Now func() time.Time
}

// Access decides and records refusals. It is safe for concurrent use. Until its Slots
// are set it refuses everything.
type Access struct {
	log   Recorder
	now   func() time.Time
	rules *slot
	made  atomic.Pointer[made]
	proof atomic.Pointer[func(context.Context, actor.Actor) error]
	uses  uses
}

// made is the book of the rules that were in force when it was last asked for.
type made struct {
	of   *Rules
	book *book
}

// New makes an Access that records its refusals.
func New(d Deps) *Access {
	if d.Log == nil || d.Now == nil {
		panic("access: a dependency is missing")
	}
	return &Access{log: d.Log, now: d.Now, rules: &slot{Live: clause.NewLive[Rules](d.Now)}}
}

// Slots are the rules that the policy drives.
func (a *Access) Slots() []clause.Slot { return []clause.Slot{a.rules} }

// book is the table in force, as Cedar decides by it; nil while there is none.
func (a *Access) book() *book {
	if !a.rules.set.Load() {
		return nil
	}
	r := a.rules.Get()
	if m := a.made.Load(); m != nil && m.of == r {
		return m.book
	}
	b, err := compile(r)
	if err != nil {
		b = nil // Validate refuses such a table; if one came past it, nobody may anything
	}
	a.made.Store(&made{r, b})
	return b
}

// May reports the answer without recording or counting anything. Pages use it to leave
// out what the reader cannot do; it never replaces Allow.
func (a *Access) May(who actor.Actor, action Action) bool { return a.may(who, action, "") }

func (a *Access) may(who actor.Actor, action Action, object string) bool {
	if who.ByToken() && !tokenMay(who, action) {
		return false
	}
	if who.Kind == actor.BreakGlass && !emergencyMay(action) {
		return false
	}
	b := a.book()
	return b != nil && b.decide(who, action, object, a.now())
}

// Allow returns nil when who may do action to object ("kind/id", or "" for the
// whole), else fault.Denied, recorded. Not recordable is fault.Unavailable.
func (a *Access) Allow(ctx context.Context, who actor.Actor, action Action, object string) error {
	if a.may(who, action, object) { // clause: access.roles
		if err := a.proved(ctx, who, action, object); err != nil {
			return err
		}
		a.uses.note(who, action, a.now(), a.late(who, action))
		return nil
	}
	if !who.SignedIn() && who.Kind != actor.Operator {
		return fault.New(fault.Unauthenticated, "session_ended", fault.Public{Problem: "Nobody is signed in.", Next: "Sign in and try again."})
	}
	if up := a.hosting(who, action, object); up != nil {
		return a.log.Refuse(ctx, who, Refused{Action: string(action), On: object, Factor: true}, up)
	}
	f := fault.New(fault.Denied, "denied", fault.Public{
		Problem:  "Your role does not allow this.",
		Expected: "Needed: " + string(action) + ".",
		Next:     "Ask an owner of the policy if you need it.",
	})
	if !a.rules.set.Load() {
		f = fault.New(fault.Denied, "denied", fault.Public{Problem: "No policy is in force yet, so nobody may do anything.", Expected: "Needed: " + string(action) + ".", Next: "Wait until the server is ready."})
	}
	return a.log.Refuse(ctx, who, Refused{Action: string(action), On: object}, f)
}

// hosting is what would make a no a yes: a second factor shown anew, where a hosting role
// allows the act and the last proof is too old for it; nil where nothing would.
func (a *Access) hosting(who actor.Actor, action Action, object string) *web.StepUp { // clause: access.mfa-hosting
	b := a.book()
	if b == nil || !entered(who) || !a.may(fresher(who, a.now()), action, object) {
		return nil
	}
	return web.NeedStepUp(2, b.age)
}

func (a *Access) late(who actor.Actor, action Action) bool {
	b := a.book()
	return b != nil && b.late(who, action, a.now())
}

// HostingAge is how old the second factor of somebody may be who has nothing but hosting
// roles among some; 0 where another of their roles is among them, or none is.
func (a *Access) HostingAge(who actor.Actor, among []string) time.Duration {
	b := a.book()
	if b == nil || !entered(who) {
		return 0
	}
	var age time.Duration
	for _, r := range b.roles {
		if !slices.Contains(among, r.Name) || !slices.Contains(who.Roles, r.Name) {
			continue
		}
		if !r.Hosting {
			return 0
		}
		age = b.age
	}
	return age
}

// RequireFresh gives the question whether a person has shown a factor shortly before. The
// acts that want one ask it each time; its refusal is recorded.
func (a *Access) RequireFresh(ask func(context.Context, actor.Actor) error) { a.proof.Store(&ask) }

func (a *Access) proved(ctx context.Context, who actor.Actor, action Action, object string) error { // clause: auth.best-practice
	ask := a.proof.Load()
	if ask == nil || !slices.Contains(fresh, action) {
		return nil
	}
	if err := (*ask)(ctx, who); err != nil {
		return a.log.Refuse(ctx, who, Refused{Action: string(action), On: object}, err)
	}
	return nil
}

// Roles is the table in force, in its order; empty while there is none.
func (a *Access) Roles() []Role {
	b := a.book()
	if b == nil {
		return nil
	}
	return slices.Clone(b.roles)
}

// Role is one row of the table in force.
func (a *Access) Role(name string) (Role, bool) {
	rs := a.Roles()
	i := slices.IndexFunc(rs, func(r Role) bool { return r.Name == name })
	if i < 0 {
		return Role{}, false
	}
	return rs[i], true
}

// Refused is the entry of a refused act.
type Refused struct {
	Action string `class:"public"`
	On     string `class:"public"`
	Factor bool   `class:"public"` // a second factor shown anew would allow it
}

// About implements ledger.Event.
func (e Refused) About() ledger.About {
	of := "access.roles"
	if e.Factor {
		of = "access.mfa-hosting"
	}
	return ledger.About{Name: "access.refused", Clause: of, Object: "action/" + e.Action, Subject: keyring.Subject{}}
}
