package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/fault"
	"writ/internal/gateway/openapi"
	"writ/internal/secret"
)

// What programs may do here is what the descriptions of the interface say (OpenAPI); what
// people send to a described operation is held to them as well.

const (
	publicAPI  = "use.public-api"
	schemaStep = "schema"
)

// Programs are what programs are held to, as far as the machine settings say.
type Programs struct {
	Files  []string // OpenAPI descriptions of the application's interface
	Limits Limits
	// Plant makes a program with scopes for one run of a control, and what ends it again;
	// nil: controls cannot try as one.
	Plant func(ctx context.Context, door *canary.Door, control string, scopes []string) (secret.Text, func(), error)
	// Person finds somebody by address or handle, as they would be in a session; nil: nobody is
	// looked up.
	Person func(ctx context.Context, ref string) (actor.Actor, error)
}

// letIn counts what programs were let through with, for the control.
type letIn struct{ passed, judged atomic.Int64 }

func (s *letIn) count(v *visit) {
	if !v.who.ByToken() {
		return
	}
	s.passed.Add(1)
	if v.judged {
		s.judged.Add(1)
	}
}

var (
	refuseUndescribed = deny(publicAPI, fault.NotFound, "not_described", fault.Public{
		Problem: "The description of the interface has nothing at this address.", Expected: "An address that it names, as it is written there.", Next: "Look it up in the description; programs reach nothing else."})
	refuseMethodToo = refuse(publicAPI, http.StatusMethodNotAllowed, fault.Malformed, "method_not_described", fault.Public{
		Problem: "The description of the interface does not name that method for this address.", Next: "Use one of those in the header Allow."})
	refuseAccept = refuse(publicAPI, http.StatusNotAcceptable, fault.Malformed, "not_acceptable", fault.Public{
		Problem: "None of the media types that would be accepted is one that is answered here.", Next: "Send the header Accept with a media type of the description."})
	refuseKeyless = deny(publicAPI, fault.Unauthenticated, "key_needed", fault.Public{
		Problem: "Nobody is known to stand behind this call of the interface.", Expected: "Authorization: Bearer with a token, or a session.", Next: "Make a token and try again."})
	refuseUnjudged = deny(publicAPI, fault.Malformed, "unjudged", fault.Public{
		Problem: "The request could not be judged by the description of the interface. Nothing was done.", Next: "Tell the operator the request id."})
)

// describe looks the request up among the described operations. Nothing is decided yet.
func (v *visit) describe() {
	if a := v.g.described.api.Load(); a != nil {
		v.api, v.match = a, a.Find(v.r.Method, v.target.path)
	}
}

// scopedToo reports whether a token has what the operation itself asks for.
func (v *visit) scopedToo() bool { // clause: use.public-api
	return v.match.Op == nil || !v.who.ByToken() || v.match.Op.Scoped(v.who.Scopes)
}

// judge holds a request to the description.
func (v *visit) judge() *refusal { // clause: use.public-api
	if v.api == nil {
		return nil
	}
	m, program := &v.match, v.who.ByToken()
	switch {
	case program && (m.Path == nil || !m.Exact):
		return refuseUndescribed
	case program && m.Op == nil:
		v.w.Header().Set("Allow", m.Path.Allow)
		return refuseMethodToo
	case m.Op == nil:
		return nil // a page, for people
	case v.who.IsZero() && v.table.rules.APIKeys == required && !(m.Op.Public && v.table.isPublic(v.target.path)):
		return refuseKeyless
	case program && !m.Op.Gives(v.r.Header):
		return refuseAccept
	}
	r := openapi.Request{Query: v.target.query, Header: v.r.Header, Length: v.r.ContentLength, Program: program}
	if v.asked || v.dry { // there may be a body, which we do not see
		r.Length = openapi.Unseen
	}
	wrong, err := m.Check(r)
	if ref := v.verdict(wrong, err); ref != nil {
		return ref
	}
	if r.Length != 0 && r.Length != openapi.Unseen {
		if ref := v.judgeBody(); ref != nil {
			return ref
		}
	}
	v.judged = true
	return nil
}

// judgeBody reads the body whole where it can be judged; what is forwarded is the same bytes.
func (v *visit) judgeBody() *refusal { // clause: use.public-api
	md, params := v.match.Op.Media(v.r.Header)
	if md == nil {
		return deny(publicAPI, fault.Media, "media_not_described", fault.Public{
			Problem: "The description of the interface takes no body of that media type here.", Expected: "Content-Type, once, with one of: " + v.match.Op.Takes() + "; no Content-Encoding."})
	}
	if !md.Read() {
		return nil
	}
	body, ref := v.hold(v.need.judges(md.Most()))
	if ref != nil {
		return ref
	}
	wrong, err := md.Body(body, params)
	return v.verdict(wrong, err)
}

// mostJudged bounds what a route may have judged as a whole.
const mostJudged = 64 << 20

// judges is how much of a body is judged: what the description's media type has by itself,
// or what routes.yaml says for the route.
func (d *decision) judges(most int64) int64 {
	for _, r := range d.rules {
		if r != nil && r.body > 0 {
			return min(d.most(), mostJudged)
		}
	}
	return most
}

// verdict turns what is wrong into a refusal that names places and rules, no values.
func (v *visit) verdict(wrong []openapi.Wrong, err error) *refusal {
	switch {
	case errors.Is(err, openapi.ErrUnjudged):
		v.g.log.Error("a request could not be judged", "operation", v.match.Op.Method+" "+v.match.Op.Template)
		return refuseUnjudged
	case len(wrong) == 0:
		return nil
	}
	fields := make([]fault.Field, len(wrong))
	for i, w := range wrong {
		fields[i] = fault.Field{Name: w.Place(), Code: w.Keyword, Problem: w.Problem()}
	}
	problem := "The request is not as the description of the interface has it, in one place."
	if len(wrong) > 1 {
		problem = fmt.Sprintf("The request is not as the description of the interface has it, in %d places.", len(wrong))
	}
	return deny(publicAPI, fault.Invalid, "not_as_described", fault.Public{
		Problem: problem, Expected: "What the description says of " + v.match.Op.Method + " " + v.match.Op.Template + ".", Next: "Compare each place with the description.", Fields: fields})
}

// masks are the fields of an answer that the description marks with x-writ-mask.
func (v *visit) masks(status int, h http.Header) []openapi.Mask {
	if v.match.Op == nil {
		return nil
	}
	return v.match.Op.Masks(status, h.Get("Content-Type"))
}

// operation names the described operation, "" where there is none.
func (v *visit) operation() string {
	if v.match.Op == nil {
		return ""
	}
	return strings.Join([]string{v.match.Op.Method, v.match.Op.Template}, " ")
}
