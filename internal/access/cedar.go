package access

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

// The types of Cedar's entities. A person or program is in a Role for each role they
// hold, and in a Lent beside it for one they hold for a while only.
const (
	typePerson   types.EntityType = "Person"
	typeProgram  types.EntityType = "Program"
	typeOperator types.EntityType = "Operator"
	typeServer   types.EntityType = "Server"
	typeRole     types.EntityType = "Role"
	typeLent     types.EntityType = "Lent"
	typeAction   types.EntityType = "Action"
	typeThing    types.EntityType = "Thing"
)

// schemaHead is the part of the schema that does not name actions. A factor never shown
// is as old as a Long can say.
const schemaHead = `
entity Role, Lent, Thing, Operator, Server;
entity Person, Program in [Role, Lent];
type Ask = { acr: Long, factor_age: Long, via: String, grant: Bool, team: String, entered: Bool };
action %s appliesTo { principal: [Person, Program, Operator, Server], resource: Thing, context: Ask };
`

// book is a table of roles as Cedar decides by it.
type book struct {
	rules   map[right]rule    // of a role, and of a lent one
	general map[Action][]rule // for everybody
	actions map[Action]types.EntityUID
	roles   []Role
	age     time.Duration // of the second factor behind a hosting role

	mu      sync.Mutex
	decided map[question]bool // of callers whose second factor has no time, as programs have none
}

// question is all that Cedar is told about such a caller: the answer holds as long as the book.
type question struct {
	kind                  actor.Kind
	id, roles, lent, team string
	acr                   int
	via                   string
	entered               bool
	action                Action
	object                string
}

// maxDecided bounds what a book remembers; all of it goes when there is more.
const maxDecided = 4096

// right is what one rule is about. A rule for each keeps Cedar from reading a row's whole
// set of actions at every question.
type right struct {
	in     types.EntityUID
	action Action
}

type rule struct {
	id     cedar.PolicyID
	policy *cedar.Policy
}

// about are the rules that can match a principal and an action: a rule of a role it is not
// in, or of another action, could not. So an answer costs the same however long the table is.
type about struct {
	*book
	in     types.EntityUIDSet
	action Action
}

// All implements cedar.PolicyIterator.
func (a about) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range a.general[a.action] {
			if !yield(r.id, r.policy) {
				return
			}
		}
		for role := range a.in.All() {
			if r, ok := a.rules[right{role, a.action}]; ok && !yield(r.id, r.policy) {
				return
			}
		}
	}
}

// Role is a row of the signed table.
type Role struct {
	Name    string
	May     string // in the policy's words
	Staff   bool
	Actions []Action
	Hosting bool // its rights count only with a second factor that is fresh enough
}

// Has reports whether the role's row names the action.
func (r *Role) Has(a Action) bool { return slices.Contains(r.Actions, a) }

// compile makes Cedar's policies of the table and holds them against the schema.
func compile(r *Rules) (*book, error) {
	check, err := validator()
	if err != nil {
		return nil, err
	}
	b := &book{rules: map[right]rule{}, general: map[Action][]rule{}, actions: map[Action]types.EntityUID{}, age: r.HostingAge}
	for a := range known {
		b.actions[a] = uid(typeAction, string(a))
	}
	var errs []error
	add := func(id string, p *ast.Policy) rule {
		out := rule{cedar.PolicyID(id), cedar.NewPolicyFromAST(p)}
		errs = append(errs, check(id, out.policy))
		return out
	}
	for _, row := range r.Roles {
		actions, err := actionsIn(row[2])
		if err != nil {
			return nil, err
		}
		role := Role{Name: row[0], May: row[1], Staff: slices.Contains(staffRoles, row[0]), Actions: actions, Hosting: tagged(row)}
		b.roles = append(b.roles, role)
		elsewhere := ast.Context().Access("team").Equal(ast.String("customer"))
		if !role.Staff {
			elsewhere = ast.Context().Access("team").Equal(ast.String("staff"))
		}
		for _, a := range actions {
			in := uid(typeRole, role.Name)
			b.rules[right{in, a}] = add("role "+role.Name+" "+string(a), b.hosted(role, ast.Permit().PrincipalIn(in).ActionEq(b.actions[a]).Unless(elsewhere)))
			if slices.Contains(personal, a) {
				continue
			}
			in = uid(typeLent, role.Name)
			b.rules[right{in, a}] = add("lent "+role.Name+" "+string(a), b.hosted(role, ast.Permit().PrincipalIn(in).ActionEq(b.actions[a]).When(ast.Context().Access("grant")).Unless(elsewhere)))
		}
	}
	server := add("server", ast.Permit().PrincipalIs(typeServer))
	for a, is := range b.actions {
		b.general[a] = []rule{server}
		if OperatorMay(a) {
			b.general[a] = append(b.general[a], add("operator "+string(a), ast.Permit().PrincipalIs(typeOperator).ActionEq(is)))
		}
		if slices.Contains(personal, a) {
			b.general[a] = append(b.general[a], add("no token "+string(a), ast.Forbid().ActionEq(is).When(ast.Context().Access("via").Equal(ast.String("token")))))
		}
	}
	return b, errors.Join(errs...)
}

// hosted ties the rights of a hosting role to a second factor that is fresh enough. It
// asks it of people who enter: a token enters nothing, was issued on a fresh proof and
// reaches no more than its scopes.
func (b *book) hosted(role Role, p *ast.Policy) *ast.Policy { // clause: access.mfa-hosting
	if !role.Hosting {
		return p
	}
	age := ast.Context().Access("factor_age")
	fresh := ast.Context().Access("acr").GreaterThanOrEqual(ast.Long(2)).And(age.LessThan(ast.Long(int64(b.age / time.Second)))).And(age.GreaterThanOrEqual(ast.Long(-int64(clockSlack / time.Second))))
	return p.When(ast.Not(ast.Context().Access("entered")).Or(fresh))
}

// clockSlack is how far ahead the clock of whoever wrote a time may be.
const clockSlack = 5 * time.Minute

// entered reports a person who came in with a session, and not a program.
func entered(who actor.Actor) bool {
	return who.Kind == actor.Person && !who.ByToken() && who.Via != "token"
}

// fresher is the actor as they would be after showing a second factor now.
func fresher(who actor.Actor, now time.Time) actor.Actor {
	who.ACR, who.FactorAt = max(who.ACR, 2), now
	return who
}

// late reports an act that only a hosting role allows, by somebody whose second factor is
// too old for it. It reads the table and not Cedar's answer, so that it counts what Cedar
// should have refused.
func (b *book) late(who actor.Actor, action Action, now time.Time) bool {
	old := who.ACR < 2 || now.Sub(who.FactorAt) >= b.age || who.FactorAt.After(now.Add(clockSlack))
	if !entered(who) || !old {
		return false
	}
	hosting := false
	for _, r := range b.roles {
		if !r.Has(action) || !slices.Contains(who.Roles, r.Name) {
			continue
		}
		if !r.Hosting {
			return false
		}
		hosting = true
	}
	return hosting
}

// validator checks policies against the schema of this build.
func validator() (func(id string, p *cedar.Policy) error, error) {
	var quoted []string
	for _, a := range Actions() {
		quoted = append(quoted, fmt.Sprintf("%q", string(a)))
	}
	var s schema.Schema
	if err := s.UnmarshalCedar(fmt.Appendf(nil, schemaHead, strings.Join(quoted, ", "))); err != nil {
		return nil, fmt.Errorf("read the schema of rights: %w", err)
	}
	resolved, err := s.Resolve()
	if err != nil {
		return nil, fmt.Errorf("resolve the schema of rights: %w", err)
	}
	v := validate.New(resolved)
	return func(id string, p *cedar.Policy) error {
		if err := v.Policy(id, (*xast.Policy)(p.AST())); err != nil {
			return fmt.Errorf("the rule %q does not fit the schema: %w", id, err)
		}
		return nil
	}, nil
}

func uid(t types.EntityType, id string) types.EntityUID {
	return types.NewEntityUID(t, types.String(id))
}

// decide answers from memory, where time has no part in the answer, or asks Cedar.
func (b *book) decide(who actor.Actor, action Action, object string, now time.Time) bool {
	if !who.FactorAt.IsZero() {
		return b.ask(who, action, object, now)
	}
	q := question{who.Kind, who.ID, strings.Join(who.Roles, "\x00"), strings.Join(who.Lent, "\x00"), who.TeamKind, int(who.ACR), who.Via, entered(who), action, object}
	b.mu.Lock()
	yes, ok := b.decided[q]
	b.mu.Unlock()
	if ok {
		return yes
	}
	yes = b.ask(who, action, object, now)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.decided == nil || len(b.decided) >= maxDecided {
		b.decided = map[question]bool{}
	}
	b.decided[q] = yes
	return yes
}

// ask asks Cedar. Entities are made of the actor that a door made, never of what a
// client sent. A rule that cannot be evaluated makes the answer no: Cedar itself would
// skip it, and a skipped forbid is a yes.
func (b *book) ask(who actor.Actor, action Action, object string, now time.Time) bool {
	act, ok := b.actions[action]
	if !ok {
		return false
	}
	me, ok := principal(who)
	if !ok {
		return false
	}
	decision, diag := cedar.Authorize(about{b, me.Parents, action}, single(me), cedar.Request{Principal: me.UID, Action: act, Resource: uid(typeThing, object), Context: asked(who, now)})
	return decision == cedar.Allow && len(diag.Errors) == 0 // clause: access.roles
}

// principal is the actor as Cedar sees it.
func principal(who actor.Actor) (types.Entity, bool) {
	var t types.EntityType
	switch who.Kind {
	case actor.Person, actor.BreakGlass:
		t = typePerson
	case actor.Machine:
		t = typeProgram
	case actor.Operator:
		return types.Entity{UID: uid(typeOperator, who.ID)}, true
	case actor.Writ:
		return types.Entity{UID: uid(typeServer, who.ID)}, true
	default:
		return types.Entity{}, false
	}
	in := make([]types.EntityUID, 0, len(who.Roles))
	for _, r := range who.Roles {
		kind := typeRole
		if who.Kind == actor.BreakGlass || slices.Contains(who.Lent, r) { // shares lend, for half an hour
			kind = typeLent
		}
		in = append(in, uid(kind, r))
	}
	return types.Entity{UID: uid(t, who.ID), Parents: types.NewEntityUIDSet(in...)}, true
}

// asked is the typed context of one question.
func asked(who actor.Actor, now time.Time) types.Record {
	age := int64(math.MaxInt64)
	if !who.FactorAt.IsZero() {
		age = int64(now.Sub(who.FactorAt) / time.Second)
	}
	return types.NewRecord(types.RecordMap{
		"acr": types.Long(who.ACR), "factor_age": types.Long(age), "via": types.String(who.Via),
		"grant": types.Boolean(len(who.Lent) > 0 || who.Kind == actor.BreakGlass), "team": types.String(who.TeamKind), "entered": types.Boolean(entered(who)),
	})
}

// single is the one entity of a question: the actor with the roles it is in.
type single types.Entity

// Get implements cedar.EntityGetter.
func (s single) Get(u types.EntityUID) (types.Entity, bool) {
	if u == s.UID {
		return types.Entity(s), true
	}
	return types.Entity{}, false
}
