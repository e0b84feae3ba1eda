package web

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
)

// Brand is the customer-facing name on every page. It is the company's, not Writ's.
type Brand struct {
	Company string // "Example Ltd"
	Logo    string // address on this site of an SVG or PNG; "" shows the name alone
	Home    string // where the name links to; "" = "/"
	Help    string // address or mailto: of help on the plain frame; "" for none
}

// Deps is what a Server needs. Log, Now and Brand are required.
type Deps struct {
	Brand   func() Brand // read at each page, because a revision may change the name
	Log     *slog.Logger
	Now     func() time.Time
	Staff   func(actor.Actor) bool // nil: the roles owner, engineer, support and auditor
	Body    time.Duration          // in which a whole body must arrive; 0 = 15 s
	Title   string                 // of the OpenAPI document; "" = "Writ"
	Version string
}

// Server holds the routes. Mount everything, then open Handlers.
type Server struct {
	deps   Deps
	assets *assets
	routes []Route
	beyond map[string]bool // mounted paths that are not under /-/
	trial  *http.ServeMux  // finds conflicts at Mount
	cross  *http.CrossOriginProtection
	pages  *Pages // error pages
	chrome atomic.Pointer[func(context.Context, actor.Actor) Chrome]
	banner atomic.Pointer[func(context.Context, actor.Actor) (Banner, bool)]
}

// assetsPattern is the one route whose answers caches share.
const assetsPattern = "GET /-/assets/{hash}/{name}"

// New makes a Server with Writ's own routes: the assets and the OpenAPI document.
func New(d Deps) (*Server, error) {
	if d.Brand == nil || d.Log == nil || d.Now == nil {
		return nil, errors.New("web: Brand, Log and Now are required")
	}
	if d.Staff == nil {
		d.Staff = staffByRole
	}
	if d.Body <= 0 {
		d.Body = bodyTime
	}
	if d.Title == "" {
		d.Title = "Writ"
	}
	own, err := fs.Sub(shared, "templates/own")
	if err != nil {
		return nil, err
	}
	pages, err := NewPages(own, Funcs{Now: d.Now})
	if err != nil {
		return nil, err
	}
	s := &Server{deps: d, assets: newAssets(), beyond: map[string]bool{}, trial: http.NewServeMux(), cross: http.NewCrossOriginProtection(), pages: pages}
	if err := s.assets.add(shared, "assets"); err != nil {
		return nil, err
	}
	return s, s.Mount(
		Route{Pattern: assetsPattern, Who: Anyone, Handle: s.assets.serve},
		Route{Pattern: "GET /-/api/v1/openapi.json", Who: Anyone, Handle: s.serveOpenAPI},
	)
}

// Mount adds routes. It refuses the whole list at the first that is malformed or conflicts.
func (s *Server) Mount(routes ...Route) error {
	for _, r := range routes {
		if err := r.check(s.trial); err != nil {
			return err
		}
	}
	s.routes = append(s.routes, routes...)
	for _, r := range routes {
		if _, path := r.split(); !under(path) {
			s.beyond[path] = true
		}
	}
	return nil
}

// AddAssets serves the files in dir of fsys beside the shared ones, under their base
// names. A name that is there already is refused.
func (s *Server) AddAssets(fsys fs.FS, dir string) error { return s.assets.add(fsys, dir) }

// SetChrome gives the console frame its rail and top line. Without it the frame is bare.
func (s *Server) SetChrome(f func(context.Context, actor.Actor) Chrome) { s.chrome.Store(&f) }

// SetBanner says what stands above every page that some actors open, whatever its frame.
func (s *Server) SetBanner(f func(context.Context, actor.Actor) (Banner, bool)) { s.banner.Store(&f) }

// Owns reports whether a request is Writ's own rather than the app's: everything
// under /-/, and each mounted path elsewhere (/.well-known/…).
func (s *Server) Owns(r *http.Request) bool {
	return under(r.URL.Path) || s.beyond[r.URL.Path]
}

func under(path string) bool { return strings.HasPrefix(path, "/-/") || path == "/-" }

// Handler opens a door on the routes mounted so far.
func (s *Server) Handler(door Door) http.Handler {
	mux, bare := http.NewServeMux(), http.NewServeMux()
	for _, rt := range s.routes {
		h := s.route(rt, door)
		mux.Handle(rt.Pattern, h)
		bare.Handle(rt.Pattern, h)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, unmatched(w, r, bare)) })
	return s.frame(mux)
}

// Fail renders err for a request outside the mounted routes, such as one of the app's
// that the gateway refuses, with the same headers and words.
func (s *Server) Fail(w http.ResponseWriter, r *http.Request, err error) {
	s.frame(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.fail(w, r, err) })).ServeHTTP(w, r)
}

// frame is the outer part of the order: request id, recover, headers.
func (s *Server) frame(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := r.Context().Value(siteKey{}).(*site)
		if !ok || id.server != s {
			id = &site{server: s, id: secret.RandomText(9).Reveal()}
			r = r.WithContext(context.WithValue(r.Context(), siteKey{}, id))
		}
		a := &answer{ResponseWriter: w}
		setHeaders(w.Header(), id.id)
		defer s.recovered(a, r)
		next.ServeHTTP(a, r)
	})
}

// recovered turns a panic into a logged 500; if the answer has begun it cuts the connection.
func (s *Server) recovered(a *answer, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // the sentinel of net/http is compared, not wrapped
		panic(p)
	}
	s.deps.Log.Error("panic in handler", "request_id", RequestID(r.Context()), "route", r.Pattern, "panic", p, "stack", string(debug.Stack()))
	s.fail(a, r, fault.New(fault.Internal, "internal", fault.Public{}))
}

// route is the inner part of the order, for one route.
func (s *Server) route(rt Route, door Door) http.Handler {
	_, path := rt.split()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted(r).Route = path
		if err := s.admit(rt, door, w, r); err != nil {
			s.failAs(w, r, err, rt.Refusal)
		}
	})
}

// admit examines the request and runs the handler.
func (s *Server) admit(rt Route, door Door, w http.ResponseWriter, r *http.Request) error {
	if err := limitBody(rt, s.deps.Body, w, r); err != nil {
		return err
	}
	if err := s.cross.Check(r); err != nil && !rt.Foreign {
		return fault.New(fault.Denied, "cross_origin", fault.Public{
			Problem:  "The request came from another site.",
			Expected: "Changes are accepted only from this site's own pages and from programs.",
			Next:     "Open the page here and try again."})
	}
	who, err := s.identify(rt, door, w, r)
	if err != nil {
		return err
	}
	noted(r).Who = who
	if who, err = withToken(rt, who, r); err != nil {
		return err
	}
	if err := s.may(rt, who); err != nil {
		return err
	}
	if st, ok := r.Context().Value(siteKey{}).(*site); ok {
		st.who = who
	}
	if d := handlerTime(rt.Time); d > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), d)
		defer cancel()
		r = r.WithContext(ctx)
	}
	return rt.Handle(w, r, who)
}

func handlerTime(d time.Duration) time.Duration {
	if d == 0 {
		return defaultTime
	}
	return d
}

// identify asks the door. A route for Anyone goes on as a stranger when the door cannot
// say: a dead cookie or a sealed server must not hide the sign-in and unseal pages.
func (s *Server) identify(rt Route, door Door, w http.ResponseWriter, r *http.Request) (actor.Actor, error) {
	if rt.Bearer {
		return StrangerOf(r), nil
	}
	who, err := identified(rt, door, w, r)
	if err == nil && who.IsZero() {
		return StrangerOf(r), nil
	}
	if err == nil {
		return who, nil
	}
	_, token := Bearer(r) // whoever brings one is judged by it: a wrong one is refused everywhere, and never taken for nobody
	if !token && (rt.Who == Anyone || errors.Is(err, fault.Unauthenticated)) {
		s.deps.Log.Debug("not identified", "request_id", RequestID(r.Context()), "route", r.Pattern, "err", err)
		return StrangerOf(r), nil
	}
	return actor.Actor{}, err
}

// identified asks a door in the way that the route allows: what caches may keep for
// everybody carries no cookie.
func identified(rt Route, door Door, w http.ResponseWriter, r *http.Request) (actor.Actor, error) {
	if d, ok := door.(Renewer); ok && rt.Pattern != assetsPattern {
		return d.Renew(w, r)
	}
	return door.Identify(r)
}

// may decides the route's coarse Who.
func (s *Server) may(rt Route, who actor.Actor) error {
	if who.Kind == actor.Support { // clause: use.need-to-see
		if rt.Support {
			return nil
		}
		return SupportOnly
	}
	need := rt.Who
	operator := who.Kind == actor.Operator
	staff := operator || who.SignedIn() && s.deps.Staff(who)
	ok := map[Who]bool{
		Anyone:   true,
		SignedIn: who.SignedIn() || operator,
		Staff:    staff,
		Operator: operator || staff && who.Has("owner"),
		// clause: access.mfa-by-technology
		Enrolling: who.SignedIn() || operator || who.Kind == actor.Enrolling,
		// clause: use.terms
		Agreeing: who.SignedIn() || operator || who.Kind == actor.Agreeing,
	}[need]
	switch {
	case ok:
		return nil
	case who.Kind == actor.Enrolling:
		return Enrol(who)
	case who.Kind == actor.Agreeing:
		return TermsFirst
	case !who.SignedIn() && !operator:
		return fault.New(fault.Unauthenticated, "sign_in_needed", fault.Public{
			Problem: "Nobody is signed in.", Expected: "This needs a session.", Next: "Sign in and try again."})
	}
	return fault.New(fault.Denied, "not_allowed", fault.Public{
		Problem: "Your account may not open this.", Next: "Ask an owner if you need it."})
}

// EnrolFirst refuses a session that may only set up a second factor.
var EnrolFirst = fault.New(fault.Denied, "enrol_required", fault.Public{
	Problem: "This account needs a second factor before it can be used.", Expected: "A second factor, such as an app that shows codes.",
	Next: "Set one up at /-/account/factors."})

// EnrolPasskey refuses a session of somebody who must set up a passkey first, whatever
// other factor there is.
var EnrolPasskey = fault.New(fault.Denied, EnrolFirst.Code, fault.Public{
	Problem: "This account needs a passkey before it can be used.", Expected: "A passkey. A code from an app or a recovery code is not enough here.",
	Next: "Set one up at /-/account/passkeys."})

// Enrol is which of the two who is refused with.
func Enrol(who actor.Actor) *fault.Error {
	if who.Needs > 2 {
		return EnrolPasskey
	}
	return EnrolFirst
}

func staffByRole(who actor.Actor) bool {
	return who.Has("owner") || who.Has("engineer") || who.Has("support") || who.Has("auditor")
}

// TermsFirst refuses a session that may only accept the terms.
var TermsFirst = fault.New(fault.Denied, "terms_required", fault.Public{
	Problem: "The terms have a version that you have not accepted yet.", Expected: "The terms accepted in the version in force.",
	Next: "Read and accept them at /-/terms."})

// SupportOnly refuses staff who look as a customer everything but the application.
var SupportOnly = fault.New(fault.Denied, "support_closed", fault.Public{
	Problem: "You look as a customer: accounts, and every other page of this server, are closed to you until you end the look.", Next: "End it at /-/support."})

// beforeAnything says where a browser goes that must do something first.
var beforeAnything = map[string]string{
	EnrolFirst.Code: "/-/account/factors",
	TermsFirst.Code: "/-/terms",
}
