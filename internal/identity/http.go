package identity

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/secret"
	"writ/internal/web"
)

// The cookies of this module, without their __Host- prefix.
const (
	SessionCookie = "writ"
	DeviceCookie  = "writ-device"
	FlowCookie    = "writ-flow"
)

// deviceLife is how long a browser stays known.
const deviceLife = 400 * 24 * time.Hour

// Routes is the JSON API. The pages have their own table.
func (s *Service) Routes() []web.Route {
	v1 := func(p string) string { return strings.Replace(p, " ", " /-/api/v1/", 1) }
	anyone := []web.Route{
		{Pattern: v1("POST sign-up"), Handle: s.postSignUp, Doc: web.Doc{Summary: "Sign up with an address, which accepts the terms in force; answered alike whether it is known or not", In: signUpIn{}, Out: signedUpOut{}, Status: 202,
			Errors: []string{"email_invalid", "domain_closed", "password_too_short", "password_too_long", "password_banned", "password_text", "too_many", "busy"}}},
		{Pattern: v1("POST confirm"), Handle: s.postConfirm, Doc: web.Doc{Summary: "Confirm the address with the token of the letter", In: confirmIn{}, Out: nextOut{},
			Errors: []string{"link_dead", "password_needed", "current_password_wrong", "too_many", "busy"}}},
		{Pattern: v1("POST sign-in"), Handle: s.postSignIn, Doc: web.Doc{Summary: "Sign in; sets the session cookie, or says which step comes next", In: signInIn{}, Out: signInOut{}, Errors: []string{"sign_in_refused", "too_many", "busy"}}},
		{Pattern: v1("POST sign-out"), Handle: s.postSignOut, Doc: web.Doc{Summary: "End this session", Tag: "sign-in"}},
		{Pattern: v1("POST recovery"), Handle: s.postRecovery, Doc: web.Doc{Summary: "Ask for a link to set a new password; answered alike for every address", In: recoveryIn{}, Out: nextOut{}, Status: 202}},
		{Pattern: v1("POST recovery/{token}"), Handle: s.postRecoveryUse, Doc: web.Doc{Summary: "Set a new password with the token of the letter, or say that a factor must be shown first", In: newIn{}, Out: signInOut{},
			Errors: []string{"link_dead", "password_too_short", "password_too_long", "password_banned", "password_text", "password_same", "busy"}}},
		{Pattern: v1("POST invitations/{token}/accept"), Handle: s.postAccept, Doc: web.Doc{Summary: "Accept an invitation to a team, or set the first password with the link an operator handed over", In: acceptIn{}, Out: nextOut{},
			Errors: []string{"link_dead", "sign_in_needed", "invite_other_address", "name_invalid", "too_many", "password_too_short", "password_too_long", "password_banned", "password_text", "busy"}}},
	}
	for i := range anyone {
		anyone[i].Who = web.Anyone
		anyone[i].Support = anyone[i].Pattern == v1("POST sign-out")
	}
	own := []web.Route{
		{Pattern: v1("GET session"), Handle: s.getSession, Doc: web.Doc{Summary: "Who is signed in", Out: sessionOut{}}},
		{Pattern: v1("GET sessions"), Handle: s.getSessions, Doc: web.Doc{Summary: "My sessions, newest first", Out: sessionsOut{}}},
		{Pattern: v1("GET sessions/{id}"), Handle: s.getOneSession, Doc: web.Doc{Summary: "One of my sessions", Out: sessionWire{}, Errors: []string{"no_session"}}},
		{Pattern: v1("DELETE sessions"), Handle: s.deleteSessions, Doc: web.Doc{Summary: "End all my sessions, this one too; needs a fresh proof", Out: endedOut{}, Errors: []string{"step_up_required"}}},
		{Pattern: v1("DELETE sessions/{id}"), Handle: s.deleteSession, Doc: web.Doc{Summary: "End one of my sessions; another than this one needs a fresh proof", Errors: []string{"no_session", "step_up_required"}}},
		{Pattern: v1("POST password"), Handle: s.postPassword, Doc: web.Doc{Summary: "Change my password; sets a new session cookie", In: passwordIn{}, Out: endedOut{},
			Errors: []string{"current_password_wrong", "password_too_short", "password_too_long", "password_banned", "password_text", "password_same", "too_many", "busy"}}},
	}
	for i := range own {
		own[i].Who = web.SignedIn
	}
	return slices.Concat(anyone, own,
		s.peopleRoutes(),
		s.ownRoutes(),
		s.tokenRoutes(),
		s.importRoutes(),
		s.factorRoutes(),
		s.supportRoutes(),
		s.rightsRoutes(),
		s.passkeyRoutes(),
		s.teamRoutes(),
		s.provisioningRoutes(),
		s.resetRoutes(),
		s.browserRoutes(),
		s.careRoutes(),
	)
}

// Identify implements web.Door for browsers: the session of the cookie, else a stranger
// from the network of the connection.
func (s *Service) Identify(r *http.Request) (actor.Actor, error) {
	if bearer, given := web.Bearer(r); given { // a cookie beside it counts for nothing
		return s.LookupToken(r.Context(), web.StrangerOf(r), bearer, web.RemoteIP(r))
	}
	token := web.Cookie(r, SessionCookie)
	if token.IsZero() {
		return web.StrangerOf(r), nil
	}
	return s.Lookup(r.Context(), token)
}

type (
	signUpIn struct {
		Email    string      `json:"email"`
		Password secret.Text `json:"password"`
		Name     string      `json:"name"`
	}
	confirmIn struct {
		Token    secret.Text `json:"token"`
		Password secret.Text `json:"password"`
	}
	signInIn struct {
		Email    string      `json:"email"`
		Password secret.Text `json:"password"`
	}
	recoveryIn struct {
		Email string `json:"email"`
	}
	newIn struct {
		New secret.Text `json:"new"`
	}
	acceptIn struct {
		Name     string      `json:"name"`
		Password secret.Text `json:"password"`
	}
	passwordIn struct {
		Current secret.Text `json:"current"`
		New     secret.Text `json:"new"`
	}
	// nextOut says what comes next: confirm, sign-in.
	nextOut struct {
		Next string `json:"next"`
	}
	// signedUpOut names the version of the terms that the sign-up accepts.
	signedUpOut struct {
		Next  string `json:"next"`
		Terms int    `json:"terms"`
	}
	signInOut struct {
		Next    string    `json:"next"` // done; factor: show one at sign-in/factor; enrol: set one up
		Person  string    `json:"person,omitempty"`
		Team    string    `json:"team,omitempty"`
		Roles   []string  `json:"roles,omitempty"`
		Ends    time.Time `json:"ends,omitzero"`
		Flow    string    `json:"flow,omitempty"`
		Factors []string  `json:"factors,omitempty"` // kinds that can be shown
	}
	endedOut struct {
		Ended int64 `json:"ended"` // sessions
	}
	sessionWire struct {
		ID       string    `json:"id"`
		Current  bool      `json:"current"`
		ACR      int       `json:"acr"`
		AMR      []string  `json:"amr"`
		Started  time.Time `json:"started"`
		Seen     time.Time `json:"seen"`
		IdleEnds time.Time `json:"idle_ends"`
		Ends     time.Time `json:"ends"`
		Network  string    `json:"network,omitempty"`
		Browser  string    `json:"browser,omitempty"`
	}
	sessionsOut struct {
		Sessions []sessionWire `json:"sessions"`
	}
	sessionOut struct {
		Session sessionWire `json:"session"`
		Person  meWire      `json:"person"`
		Team    teamWire    `json:"team"`
	}
	meWire struct {
		ID     string `json:"id"`
		Handle string `json:"handle"`
		Name   string `json:"name"`
		Email  string `json:"email"`
	}
	teamWire struct {
		ID    string   `json:"id"`
		Name  string   `json:"name"`
		Roles []string `json:"roles"`
	}
)

func (s *Service) postSignUp(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[signUpIn](r)
	if err != nil {
		return err
	}
	who := web.StrangerOf(r)
	flow, err := s.SignUp(r.Context(), who, SignUp{Email: in.Email, Password: in.Password, Name: in.Name, Network: who.ID, Agent: r.UserAgent()})
	if err != nil {
		return err
	}
	web.SetCookie(w, FlowCookie, flow, s.Rules.Get().ConfirmTTL)
	return web.WriteJSON(w, http.StatusAccepted, signedUpOut{"confirm", s.Rules.Get().Terms})
}

func (s *Service) postConfirm(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[confirmIn](r)
	if err != nil {
		return err
	}
	if err := s.Confirm(r.Context(), web.StrangerOf(r), Confirm{Token: in.Token, Password: in.Password, Flow: web.Cookie(r, FlowCookie)}); err != nil {
		return err
	}
	web.ClearCookie(w, FlowCookie)
	return web.WriteJSON(w, http.StatusOK, nextOut{"sign-in"})
}

func (s *Service) postSignIn(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[signInIn](r)
	if err != nil {
		return err
	}
	as, err := s.SignInFrom(w, r, in.Email, in.Password)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireSignIn(as))
}

// SignInFrom signs in whoever sends the request and sets the cookies; pages use it too.
func (s *Service) SignInFrom(w http.ResponseWriter, r *http.Request, email string, password secret.Text) (SignedInAs, error) {
	who := web.StrangerOf(r)
	as, err := s.SignIn(r.Context(), who, SignIn{Email: email, Password: password, Device: web.Cookie(r, DeviceCookie),
		Session: web.Cookie(r, SessionCookie), Network: who.ID, Agent: r.UserAgent()})
	if err != nil {
		return as, err
	}
	s.setCookies(w, as)
	return as, nil
}

// setCookies hands a browser what a step of a sign-in led to.
func (s *Service) setCookies(w http.ResponseWriter, as SignedInAs) {
	if as.Next == NextFactor {
		web.SetCookie(w, FlowCookie, secret.NewText(flowMark+as.Flow.Reveal()+"."+as.Bind.Reveal()), flowLife)
		return
	}
	if as.Next == NextSignIn {
		web.ClearCookie(w, SessionCookie)
	} else {
		web.SetCookie(w, SessionCookie, as.Token, as.Ends.Sub(s.Now())) // clause: auth.best-practice
	}
	if !as.Device.IsZero() {
		web.SetCookie(w, DeviceCookie, as.Device, deviceLife)
	}
}

func wireSignIn(as SignedInAs) signInOut {
	return signInOut{Next: as.Next, Person: as.Who.ID, Team: as.Who.Team, Roles: as.Who.Roles, Ends: as.Ends, Flow: as.Flow.Reveal(), Factors: as.Factors}
}

func (s *Service) postSignOut(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.SignOut(r.Context(), who); err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	web.ClearCookie(w, SessionCookie)
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postRecovery(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[recoveryIn](r)
	if err != nil {
		return err
	}
	who := web.StrangerOf(r)
	if err := s.RequestRecovery(r.Context(), who, Forgotten{Email: in.Email, Network: who.ID, Agent: r.UserAgent()}); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusAccepted, nextOut{"letter"})
}

func (s *Service) postRecoveryUse(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[newIn](r)
	if err != nil {
		return err
	}
	return s.setFrom(w, r, ResetLink, in.New)
}

func (s *Service) setFrom(w http.ResponseWriter, r *http.Request, kind LinkKind, password secret.Text) error {
	as, err := s.SetPasswordFrom(w, r, kind, secret.NewText(r.PathValue("token")), password)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireSignIn(as))
}

// SetPasswordFrom uses a link for whoever sends the request and makes the browser
// known; pages use it too. The session of the request, if any, is over.
func (s *Service) SetPasswordFrom(w http.ResponseWriter, r *http.Request, kind LinkKind, token, password secret.Text) (SignedInAs, error) {
	who := web.StrangerOf(r)
	as, err := s.SetPassword(r.Context(), who, SetByLink{Kind: kind, Token: token, New: password, Network: who.ID, Agent: r.UserAgent()})
	if err == nil {
		s.setCookies(w, as)
	}
	return as, err
}

func (s *Service) getSession(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	who, x, err := s.Session(r.Context(), web.Cookie(r, SessionCookie))
	if err != nil {
		return err
	}
	p, err := s.Me(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, sessionOut{Session: wireSession(x, who), Person: meWire{p.ID, p.Handle, p.Name, p.Email},
		Team: teamWire{who.Team, s.TeamName(r.Context(), who.Team), who.Roles}})
}

func wireSession(x Session, who actor.Actor) sessionWire {
	out := sessionWire{ID: x.ID, Current: x.ID == who.Session, ACR: x.ACR, AMR: x.AMR, Started: x.Started, Seen: x.Seen, IdleEnds: x.IdleEnds, Ends: x.Ends, Network: x.Network}
	if x.Agent != "" {
		out.Browser = browser(x.Agent)
	}
	return out
}

func (s *Service) getSessions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.Sessions(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireSessions(xs, who))
}

func wireSessions(xs []Session, who actor.Actor) sessionsOut {
	out := sessionsOut{Sessions: []sessionWire{}}
	for _, x := range xs {
		out.Sessions = append(out.Sessions, wireSession(x, who))
	}
	return out
}

func (s *Service) getOneSession(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.Sessions(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	for _, x := range xs {
		if x.ID == r.PathValue("id") {
			return web.WriteJSON(w, http.StatusOK, wireSession(x, who))
		}
	}
	return fault.Newf(fault.NotFound, "no_session", "There is no such session, or it has ended.")
}

func (s *Service) deleteSessions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	n, err := s.EndSessions(r.Context(), who, who.ID)
	if err != nil {
		return err
	}
	web.ClearCookie(w, SessionCookie)
	return web.WriteJSON(w, http.StatusOK, endedOut{n})
}

func (s *Service) deleteSession(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndSession(r.Context(), who, who.ID, r.PathValue("id")); err != nil {
		return err
	}
	if r.PathValue("id") == who.Session {
		web.ClearCookie(w, SessionCookie)
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) postPassword(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[passwordIn](r)
	if err != nil {
		return err
	}
	n, err := s.ChangePasswordFrom(w, r, who, in.Current, in.New)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, endedOut{n})
}

// ChangePasswordFrom changes the password of whoever sends the request, sets the new
// session cookie and says how many other sessions ended; pages use it too.
func (s *Service) ChangePasswordFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, current, fresh secret.Text) (int64, error) {
	_, x, err := s.Session(r.Context(), web.Cookie(r, SessionCookie))
	if err != nil {
		return 0, err
	}
	c, err := s.ChangePassword(r.Context(), who, Change{Current: current, New: fresh, Network: web.StrangerOf(r).ID, Agent: r.UserAgent()})
	if err != nil {
		return 0, err
	}
	web.SetCookie(w, SessionCookie, c.Token, x.Ends.Sub(s.Now()))
	return c.Ended, nil
}
