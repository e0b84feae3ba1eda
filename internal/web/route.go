package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"writ/internal/actor"
)

// Handler answers one request. An error is rendered as a refusal, unless the answer
// has begun; then the connection is cut so that nobody takes half an answer for a whole one.
type Handler func(w http.ResponseWriter, r *http.Request, who actor.Actor) error

// Who says who may come as far as the handler. Finer decisions are the handler's
// question to access.
type Who int

// The zero Who is Nobody, so that a route that forgot to say is closed.
const (
	Nobody    Who = iota // refused by Mount
	Anyone               // strangers too
	SignedIn             // a person, machine or break-glass session
	Staff                // signed in, of the staff team; or the operator
	Operator             // the server's own account at the socket, or a staff owner
	Enrolling            // signed in, or with a session that may only set up a second factor
	Agreeing             // signed in, or with a session that may only accept the terms
)

// Route is one entry of a module's route table.
type Route struct {
	Pattern string // Go mux pattern with its method: "GET /-/sign-in"
	Who     Who
	Handle  Handler
	Bearer  bool          // the handler judges the Authorization header by itself: it holds no token of ours; for Anyone only
	Tokens  bool          // programs with a token may come too; otherwise they are refused, or strangers where Anyone may come
	Support bool          // staff who look as a customer may come too; otherwise they are refused, even where Anyone may come
	Limit   int64         // bytes of body; 0 = 16 KiB; GET and HEAD have none
	Time    time.Duration // the handler's time; 0 = 30 s; negative = none, for streams
	Foreign bool          // forms of other sites may come: for protocols that want it, whose handlers only ask or lead on
	Doc     Doc           // for routes of the JSON API only

	// Refusal answers what is refused in the form of a foreign protocol; nil: a page or problem+json.
	Refusal func(w http.ResponseWriter, r *http.Request, p Problem) error
}

// Doc describes a JSON route for the OpenAPI document. In and Out are zero values of
// the wire types. A route whose pattern is not under /-/api/ is left out.
type Doc struct {
	Summary string
	Tag     string // groups endpoints; "" = the first path word after /-/api/v1/
	Query   []string
	In, Out any
	Status  int      // of the good answer; 0 = 200 with Out, 204 without
	Errors  []string // fault codes a client should expect
}

// Door says who stands behind a request. Identify returns a Stranger (see StrangerOf)
// when nobody is known; an error of kind Unauthenticated means the same to routes for
// Anyone and a refusal to all others.
type Door interface {
	Identify(*http.Request) (actor.Actor, error)
}

// Renewer is a Door that gives a browser another session cookie where its session has
// come to stand for more. The request then carries the new one, for the handlers.
type Renewer interface {
	Renew(w http.ResponseWriter, r *http.Request) (actor.Actor, error)
}

const (
	defaultLimit = 16 << 10
	defaultTime  = 30 * time.Second
	bodyTime     = 15 * time.Second // for the whole body, however long the handler may take
)

// split returns method and path of the pattern.
func (r Route) split() (method, path string) {
	method, path, ok := strings.Cut(r.Pattern, " ")
	if !ok {
		return "", r.Pattern
	}
	return method, strings.TrimSpace(path)
}

// reads reports whether the route's method must be without effect.
func (r Route) reads() bool {
	m, _ := r.split()
	return m == http.MethodGet || m == http.MethodHead
}

// api reports whether the path answers in JSON only.
func api(path string) bool { return strings.HasPrefix(path, "/-/api/") }

// check refuses a route that cannot be mounted, and tries its pattern on a mux.
func (r Route) check(mux *http.ServeMux) (err error) {
	method, path := r.split()
	switch {
	case method == "" || !strings.HasPrefix(path, "/"):
		return fmt.Errorf("mount %q: a pattern is METHOD /path", r.Pattern)
	case r.Bearer && (r.Who != Anyone || r.Tokens):
		return fmt.Errorf("mount %q: a handler that judges the Authorization header by itself is for anyone", r.Pattern)
	case r.Handle == nil:
		return fmt.Errorf("mount %q: no handler", r.Pattern)
	case r.Who <= Nobody || r.Who > Agreeing:
		return fmt.Errorf("mount %q: does not say who may come", r.Pattern)
	case r.reads() && r.Doc.In != nil:
		return fmt.Errorf("mount %q: a read takes no body", r.Pattern)
	}
	defer func() { // the mux reports malformed and conflicting patterns by panic
		if p := recover(); p != nil {
			err = fmt.Errorf("mount %q: %v", r.Pattern, p)
		}
	}()
	mux.HandleFunc(r.Pattern, func(http.ResponseWriter, *http.Request) {})
	return nil
}
