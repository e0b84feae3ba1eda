package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/openapi"
)

// Explain takes a request that nobody sent through the same steps as any other, with a
// caller who is given, and tells what each said. Nothing is counted, charged, recorded or
// forwarded.

// Question is what somebody wants to know.
type Question struct {
	Method string
	Path   string // with its query, as it stands in an address
	Person string // an address or handle: as them
	Role   string // as somebody of that role
	Scopes []string
	// Of these at most one is said; none = as a stranger.
}

// Explanation is what became of it.
type Explanation struct {
	Method  string      `json:"method"`
	Path    string      `json:"path"`
	As      string      `json:"as"`
	Through bool        `json:"through"` // as far as it can be told without a body
	Steps   []Explained `json:"steps"`
}

// Explained is one step's word.
type Explained struct {
	Step     string   `json:"step"`
	Clause   string   `json:"clause,omitempty"`
	Outcome  string   `json:"outcome"` // passed, refused, or not reached
	Notes    []string `json:"notes,omitempty"`
	Status   int      `json:"status,omitempty"` // of a refusal
	Code     string   `json:"code,omitempty"`
	Problem  string   `json:"problem,omitempty"`
	Expected string   `json:"expected,omitempty"`
	Next     string   `json:"next,omitempty"`
	Places   []string `json:"places,omitempty"`
}

// The outcomes of a step.
const (
	StepPassed  = "passed"
	StepRefused = "refused"
	StepNot     = "not reached"
)

// Explain tells whether a request would be let through, step by step. The error is
// fault.Denied, or fault.Invalid for a question that cannot be put.
func (g *Gateway) Explain(ctx context.Context, who actor.Actor, q Question) (Explanation, error) {
	if err := g.access.Allow(ctx, who, access.GateRead, "gateway/explain"); err != nil {
		return Explanation{}, fmt.Errorf("explain a request: %w", err)
	}
	as, name, err := g.stand(ctx, who, q)
	if err != nil {
		return Explanation{}, err
	}
	q.Method = strings.ToUpper(strings.TrimSpace(q.Method))
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	if !strings.HasPrefix(q.Path, "/") || strings.ContainsAny(q.Path, " \t\r\n") {
		return Explanation{}, fault.New(fault.Invalid, "explain_path", fault.Public{Problem: "That is no path.", Expected: "A path as it stands in an address, such as /orders/1?page=2."})
	}
	if q.Path == "/-" || strings.HasPrefix(q.Path, "/-/") {
		return Explanation{}, fault.New(fault.Invalid, "explain_own", fault.Public{Problem: "Below /-/ lie Writ's own pages: they do not reach the application, and have rules of their own."})
	}
	return g.dryRun(ctx, q, as, name), nil
}

var goodAs = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// stand makes the caller that is asked about.
func (g *Gateway) stand(ctx context.Context, who actor.Actor, q Question) (as actor.Actor, name string, err error) {
	bad := func(problem string) error {
		return fault.New(fault.Invalid, "explain_caller", fault.Public{Problem: problem, Expected: "One of: a person, a role, scopes of a token; none is a stranger."})
	}
	switch said := countTrue(q.Person != "", q.Role != "", len(q.Scopes) > 0); {
	case said > 1:
		return as, "", bad("More than one caller is named.")
	case q.Person != "":
		if err := g.access.Allow(ctx, who, access.PeopleRead, "gateway/explain"); err != nil {
			return as, "", fmt.Errorf("explain as a person: %w", err)
		}
		if g.programs.Person == nil {
			return as, "", bad("People cannot be looked up here.")
		}
		as, err = g.programs.Person(ctx, q.Person)
		return as, "person " + q.Person, err
	case q.Role != "":
		if !goodAs.MatchString(q.Role) {
			return as, "", bad("That is no role's name.")
		}
		return actor.Actor{Kind: actor.Person, ID: "explained", Team: "explained", Roles: []string{q.Role}, Session: "explained", ACR: 2, FactorAt: g.now(), Via: "https"}, "somebody with the role " + q.Role, nil
	case len(q.Scopes) > 0:
		for _, s := range q.Scopes {
			if !goodScope.MatchString(s) {
				return as, "", bad("That is no scope.")
			}
		}
		return actor.Actor{Kind: actor.Machine, ID: "explained", Team: "explained", Roles: []string{"member"}, Token: "explained", Scopes: q.Scopes, Via: "token"}, "a token with " + strings.Join(q.Scopes, ", "), nil
	}
	return as, "a stranger", nil
}

func countTrue(all ...bool) (n int) {
	for _, b := range all {
		if b {
			n++
		}
	}
	return n
}

// dryRun is ServeHTTP up to the step that reads bodies, without its consequences.
func (g *Gateway) dryRun(ctx context.Context, q Question, as actor.Actor, name string) Explanation {
	e := Explanation{Method: q.Method, Path: q.Path, As: name}
	r := (&http.Request{Method: q.Method, URL: &url.URL{Path: "/"}, RequestURI: q.Path, Host: g.origin.Host, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: http.Header{}, Body: http.NoBody, RemoteAddr: "192.0.2.1:0"}).WithContext(ctx)
	v := g.newVisit()
	v.w, v.r, v.table, v.dry, v.as = &recorder{header: http.Header{}}, r, g.current(), true, as
	stopped := false
	for i := range g.steps[:len(g.steps)-1] {
		s := &g.steps[i]
		x := Explained{Step: s.name, Clause: s.clause, Outcome: StepNot}
		if !stopped {
			v.notes = nil
			x.refused(s.run(v))
			x.Notes = append(v.notes, v.tells(s.name)...)
			stopped = x.Outcome == StepRefused
		}
		e.Steps = append(e.Steps, x)
		if s.name == schemaStep { // what comes after it looks into bodies and answers
			break
		}
	}
	e.Through = !stopped
	return e
}

func (x *Explained) refused(ref *refusal) {
	x.Outcome = StepPassed
	if ref == nil {
		return
	}
	x.Outcome, x.Status, x.Code = StepRefused, ref.status, ref.err.Code
	p := ref.err.Public
	x.Problem, x.Expected, x.Next = p.Problem, p.Expected, p.Next
	if ref.clause != "" {
		x.Clause = ref.clause
	}
	for _, f := range p.Fields {
		x.Places = append(x.Places, f.Name+": "+f.Problem)
	}
}

// note is a step's own word in a dry run.
func (v *visit) note(format string, a ...any) { v.notes = append(v.notes, fmt.Sprintf(format, a...)) }

// tells says what a step found, in the words of whoever wrote the rules.
func (v *visit) tells(step string) (out []string) {
	say := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	switch step {
	case "admit":
		if v.target.raw != "" {
			say("The path that rules are matched against is %s.", v.target.path)
		}
	case "route":
		v.tellRoute(say)
	case "caller":
		switch {
		case v.who.IsZero():
			say("Nobody is known to stand behind it.")
		case v.who.ByToken():
			say("A program with the scopes %s.", strings.Join(v.who.Scopes, ", "))
		default:
			say("Somebody with the roles %s.", listed(v.who.Roles))
		}
	case schemaStep:
		switch {
		case v.api == nil:
			say("No description of the interface is in force.")
		case v.match.Op == nil:
			say("No described operation; that is a matter of programs only.")
		default:
			say("It is the operation %s.", v.operation())
			if v.match.Op.HasBody() {
				say("A body would be judged as well: %s.", v.match.Op.Takes())
			}
		}
	}
	return out
}

func listed(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func (v *visit) tellRoute(say func(string, ...any)) {
	if v.need.node == nil {
		return
	}
	if v.need.node.pattern == "*" {
		say("No route matches: the policy asks for %s.", levelName(v.need.need))
	} else {
		say("The route %s counts: it asks for %s.", v.need.node.pattern, levelName(v.need.need))
	}
	if v.table.isPublic(v.target.path) {
		say("The policy lists the path as public.")
	}
	for _, r := range v.need.rules {
		if r == nil {
			continue
		}
		if len(r.roles) > 0 {
			say("One of the roles %s.", strings.Join(r.roles, ", "))
		}
		if len(r.scopes) > 0 {
			say("A token comes with %s.", strings.Join(r.scopes, " and "))
		}
		if r.stepUp > 0 {
			say("A proof of who comes that is at most %s old.", short(r.stepUp))
		}
		if r.browser {
			say("What is sent here comes from a form that a browser shows, or with a token.")
		}
		if !r.limit.IsZero() {
			say("At most %s of one caller.", r.limit)
		}
		if r.quota > 0 {
			say("At most %d a day of one token.", r.quota)
		}
	}
	if op := v.match.Op; op != nil {
		for _, alt := range op.Scopes() {
			if len(alt) > 0 {
				say("The operation asks a token for %s.", strings.Join(alt, " and "))
			}
		}
	}
}

func short(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}

func levelName(l level) string {
	for name, x := range levels {
		if x == l {
			return name
		}
	}
	return ""
}

// operations lists what is described, for the table.
func (g *Gateway) operations() (out []Operation) {
	api := g.described.api.Load()
	if api == nil {
		return nil
	}
	api.Each(func(p *openapi.Path, op *openapi.Operation) {
		o := Operation{Method: op.Method, Path: p.Template, Public: op.Public, Takes: op.Takes()}
		for _, alt := range op.Scopes() {
			if len(alt) > 0 {
				o.Scopes = append(o.Scopes, strings.Join(alt, " "))
			}
		}
		out = append(out, o)
	})
	return out
}

// Operation is one that a description names.
type Operation struct {
	Method string   `json:"method"`
	Path   string   `json:"path"`
	Scopes []string `json:"scopes,omitempty"` // a token needs all of one line
	Public bool     `json:"public,omitempty"` // the description asks for nobody
	Takes  string   `json:"takes,omitempty"`  // media types of bodies
}
