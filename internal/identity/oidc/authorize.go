package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

const (
	atAuthorize  = "/-/oidc/authorize"
	flowColumn   = "identity_oidc_request.flow" // a place that no table has: it travels in the address
	requestURN   = "urn:ietf:params:oauth:request_uri:"
	maxFlowPath  = 2048 // what the sign-in page leads back to
	pushedColumn = "identity_oidc_request.box"
)

// unfit is a request that has nowhere to go back to.
func unfit(bad *refusal) error {
	return fault.New(fault.Malformed, bad.code, fault.Public{Problem: "The application sent you here with a request that cannot be answered: " + bad.text,
		Next: "Go back to the application and try again; if it happens again, tell whoever runs it."})
}

// getAuthorize begins or goes on with an authorisation.
func (s *Service) getAuthorize(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q, bad := single(r.URL.RawQuery)
	if bad != nil {
		return s.page(r.Context(), who, "", bad)
	}
	if q["flow"] != "" {
		return s.resume(w, r, who, q["flow"])
	}
	return s.begin(w, r, who, q)
}

// postAuthorize takes the request of another site's form. It changes nothing: the
// browser is led to the same request as an address of ours.
func (s *Service) postAuthorize(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	v, err := web.ReadForm(r)
	if err != nil {
		return err
	}
	q, bad := once(v)
	if bad == nil && r.URL.RawQuery != "" {
		bad = refuse("invalid_request", "The request is in the body and in the address.")
	}
	if bad != nil {
		return s.page(r.Context(), who, "", bad)
	}
	out := url.Values{}
	for k, one := range q {
		if k != "flow" { // ours
			out.Set(k, one)
		}
	}
	to := atAuthorize + "?" + out.Encode()
	if len(to) > maxFlowPath {
		return s.page(r.Context(), who, "", refuse("invalid_request", "The request is too long; push it instead."))
	}
	return web.Redirect(w, r, to)
}

// page records a refusal that has nowhere to go, and shows it.
func (s *Service) page(ctx context.Context, who actor.Actor, client string, bad *refusal) error {
	if err := s.refused(ctx, who, "authorize", client, bad); !errors.Is(err, bad) {
		return err
	}
	return unfit(bad)
}

// begin checks a request that has just arrived.
func (s *Service) begin(w http.ResponseWriter, r *http.Request, who actor.Actor, q map[string]string) error {
	ctx := r.Context()
	c, err := s.client(ctx, q["client_id"])
	if errors.Is(err, fault.NotFound) {
		return s.page(ctx, who, "", refuse("invalid_request", "The application is not registered here.").because("unknown-client"))
	}
	if err != nil {
		return err
	}
	var a asked
	if ref := q["request_uri"]; strings.HasPrefix(ref, requestURN) {
		var bad *refusal
		if a, bad, err = s.pushed(ctx, c, q); err != nil {
			return err
		}
		if bad != nil {
			return s.page(ctx, who, c.ID, bad)
		}
	} else {
		redirect, bad := aim(c, q)
		if bad != nil {
			return s.page(ctx, who, c.ID, bad)
		}
		a, bad = examine(c, q, s.Now())
		switch {
		case ref != "":
			bad = refuse("request_uri_not_supported", "Only a request_uri that was pushed to this server is taken.")
		case bad == nil && c.RequirePAR: // clause: auth.best-practice
			bad = refuse("invalid_request", "This application must push its requests.").because("not-pushed")
		}
		if bad != nil {
			return s.back(w, r, who, asked{Client: c.ID, Redirect: redirect, State: a.State}, bad, false)
		}
	}
	a.Session = who.Session
	return s.decide(w, r, who, c, a, false)
}

// resume goes on with a request after a sign-in, a step-up or a consent.
func (s *Service) resume(w http.ResponseWriter, r *http.Request, who actor.Actor, flow string) error {
	ctx := r.Context()
	stale := refuse("invalid_request", "The request has expired.").because("stale-flow")
	var a asked
	box, err := base64.RawURLEncoding.DecodeString(flow)
	if err == nil {
		err = s.unseal(ctx, flowColumn, "", box, &a)
	}
	if err != nil {
		if errors.Is(err, fault.Sealed) || errors.Is(err, fault.Unavailable) {
			return err
		}
		return s.page(ctx, who, "", stale)
	}
	c, err := s.client(ctx, a.Client)
	if errors.Is(err, fault.NotFound) {
		return s.page(ctx, who, "", refuse("invalid_request", "The application is not registered here any more.").because("unknown-client"))
	}
	if err != nil {
		return err
	}
	if s.Now().Sub(at(a.Begun)) > flowLife || !matches(c.Redirects, a.Redirect) {
		return s.page(ctx, who, c.ID, stale)
	}
	return s.decide(w, r, who, c, a, true)
}

// flow is the request as it travels through our own pages: sealed, so that nobody
// changes what was checked.
func (s *Service) flow(ctx context.Context, a asked) (string, error) {
	box, err := s.seal(ctx, flowColumn, "", a)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(box), nil
}

// decide asks what is still missing, in this order: who it is, how lately and how well
// they showed it, whether they may, whether they allow it. Then it gives the code.
func (s *Service) decide(w http.ResponseWriter, r *http.Request, who actor.Actor, c Client, a asked, resumed bool) error {
	ctx := r.Context()
	silent := a.prompts("none")
	x, signedIn, err := s.signedIn(ctx, who)
	if err != nil {
		return err
	}
	again := signedIn && !s.fresh(who, a)
	switch {
	case silent && (!signedIn || again || !s.hintFits(ctx, who, a)):
		return s.back(w, r, who, a, refuse("login_required", "Nobody is signed in as wanted."), resumed)
	case !signedIn || again:
		return s.toProof(w, r, who, a, again, resumed)
	case !s.hintFits(ctx, who, a):
		return s.back(w, r, who, a, refuse("login_required", "Somebody else is signed in."), resumed)
	case !c.admits(x.Kind): // clause: auth.best-practice
		return s.back(w, r, who, a, refuse("access_denied", "The application is not for this account.").because("audience"), resumed)
	case who.ACR < a.ACR:
		return s.raise(w, r, who, a, silent, resumed)
	}
	asks, err := s.mustAsk(ctx, who, c, a)
	switch {
	case err != nil:
		return err
	case asks && silent:
		return s.back(w, r, who, a, refuse("consent_required", "The person has not allowed this yet."), resumed)
	case asks:
		return s.askConsent(w, r, who, c, a)
	}
	code, err := s.authorise(ctx, who, x, c, a)
	if errors.Is(err, fault.Unauthenticated) { // it ended this moment
		return s.back(w, r, who, a, refuse("login_required", "The session has ended."), resumed)
	}
	if err != nil {
		return err
	}
	return s.deliver(w, r, a, url.Values{"code": {code.Reveal()}}, resumed)
}

// signedIn reads the session of a person; programs and strangers have none.
func (s *Service) signedIn(ctx context.Context, who actor.Actor) (identity.Session, bool, error) {
	if who.Kind != actor.Person || who.Session == "" {
		return identity.Session{}, false, nil
	}
	live, x, err := s.People.LiveSession(ctx, who.Session)
	if errors.Is(err, fault.Unauthenticated) {
		return identity.Session{}, false, nil
	}
	return x, err == nil && live.ID == who.ID, err
}

// fresh reports whether the last proof is as late as the client wants it. A sign-in
// asked for must come after the request.
func (s *Service) fresh(who actor.Actor, a asked) bool {
	begun := at(a.Begun)
	since := who.FactorAt.After(begun) || !who.FactorAt.Before(begun) && who.Session != a.Session
	if (a.prompts("login") || a.prompts("select_account")) && !since {
		return false
	}
	return a.MaxAge < 0 || since || s.Now().Sub(who.FactorAt) <= time.Duration(a.MaxAge)*time.Second && a.MaxAge > 0
}

func (s *Service) hintFits(ctx context.Context, who actor.Actor, a asked) bool {
	if a.Hint == "" {
		return true
	}
	h, client, ok := s.readHint(ctx, a.Hint)
	return ok && client == a.Client && h.Subject == who.ID
}

// toProof leads to where somebody shows who they are: a proof that is only too old is
// renewed within the session, anything else is a sign-in.
func (s *Service) toProof(w http.ResponseWriter, r *http.Request, who actor.Actor, a asked, again, resumed bool) error {
	if !again || s.Raise == nil || a.prompts("login") || a.prompts("select_account") {
		return s.toSignIn(w, r, who, a, again, resumed)
	}
	back, bad, err := s.backPath(r.Context(), a)
	if err != nil {
		return err
	}
	if bad == nil {
		if to, ok := s.Raise(r.Context(), who, max(a.ACR, 1), back); ok { // clause: auth.best-practice
			return web.Redirect(w, r, to)
		}
	}
	return s.toSignIn(w, r, who, a, again, resumed)
}

// toSignIn leads to the sign-in page, which leads back.
func (s *Service) toSignIn(w http.ResponseWriter, r *http.Request, who actor.Actor, a asked, again, resumed bool) error {
	back, bad, err := s.backPath(r.Context(), a)
	if err != nil {
		return err
	}
	if bad != nil {
		return s.back(w, r, who, a, bad, resumed)
	}
	v := url.Values{"to": {back}}
	if again {
		v.Set("again", "1")
	}
	return web.Redirect(w, r, "/-/sign-in?"+v.Encode())
}

// backPath is where our own pages lead back to.
func (s *Service) backPath(ctx context.Context, a asked) (string, *refusal, error) {
	a.Hint = s.keepHint(ctx, a)
	f, err := s.flow(ctx, a)
	if err != nil {
		return "", nil, err
	}
	to := atAuthorize + "?flow=" + f
	if len(to) > maxFlowPath {
		return "", refuse("invalid_request", "The request is too long."), nil
	}
	return to, nil, nil
}

// keepHint leaves out a hint that is as long as a token: it was looked at already, and
// after a sign-in the answer says who it is.
func (s *Service) keepHint(_ context.Context, a asked) string {
	if len(a.Hint) > 100 {
		return ""
	}
	return a.Hint
}

// raise leads to a higher level where there is one to be had.
func (s *Service) raise(w http.ResponseWriter, r *http.Request, who actor.Actor, a asked, silent, resumed bool) error {
	unmet := refuse("unmet_authentication_requirements", "The sign-in is not as strong as the application needs it.").because("acr")
	if s.Raise == nil || silent {
		return s.back(w, r, who, a, unmet, resumed)
	}
	back, bad, err := s.backPath(r.Context(), a)
	if err != nil {
		return err
	}
	to, ok := "", false
	if bad == nil {
		to, ok = s.Raise(r.Context(), who, a.ACR, back)
	}
	if !ok {
		return s.back(w, r, who, a, unmet, resumed)
	}
	return web.Redirect(w, r, to)
}

// back records a refusal and sends it to the client's redirect.
func (s *Service) back(w http.ResponseWriter, r *http.Request, who actor.Actor, a asked, bad *refusal, resumed bool) error {
	if err := s.refused(r.Context(), who, "authorize", a.Client, bad); !errors.Is(err, bad) {
		return err
	}
	return s.deliver(w, r, a, url.Values{"error": {bad.code}, "error_description": {bad.text}}, resumed)
}

// deliver answers at the redirect, with state and issuer (RFC 9207). After a form of ours a
// page goes between: browsers hold the policy of a form's page against every redirect
// that follows it, and that policy names no other site.
func (s *Service) deliver(w http.ResponseWriter, r *http.Request, a asked, v url.Values, resumed bool) error {
	if a.State != "" {
		v.Set("state", a.State)
	}
	v.Set("iss", s.Origin) // clause: auth.best-practice
	return s.leave(w, r, answerTo(a.Redirect, v), resumed)
}

// leave sends the browser to a registered address of a client.
func (s *Service) leave(w http.ResponseWriter, r *http.Request, to string, page bool) error {
	if !page {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	return s.set.Render(w, r, http.StatusOK, "leave", web.View{Title: "Back to the application", Frame: web.Plain, Data: leavePage{To: to}})
}

type leavePage struct {
	To     string
	Frames []string
}

// postPar takes a request before the browser brings it (RFC 9126).
func (s *Service) postPar(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	ctx := r.Context()
	c, q, err := s.caller(r, "par")
	if err != nil {
		return s.answerError(w, err)
	}
	bad := (*refusal)(nil)
	if q["request_uri"] != "" {
		bad = refuse("invalid_request", "A pushed request names no request_uri.")
	} else {
		_, bad = aim(c, q)
	}
	var a asked
	if bad == nil {
		a, bad = examine(c, q, s.Now())
	}
	if bad != nil {
		return s.answerError(w, s.refused(ctx, machine(c), "par", c.ID, bad))
	}
	if c.Kind == Public && !s.pushes.may(web.StrangerOf(r).ID, s.Now()) { // anybody can push for one that has no secret
		return s.answerError(w, fault.New(fault.Limited, "too_many", fault.Public{Problem: "Too many requests were pushed from this network.", Next: "Wait a minute."}))
	}
	ref := secret.RandomText(32)
	hash := sum(ref)
	box, err := s.seal(ctx, pushedColumn, hash, a)
	if err != nil {
		return s.answerError(w, err)
	}
	_, err = s.DB.Change(ctx, machine(c), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, insertPushed, hash, c.ID, box, us(tx.Now().Add(pushedLife)))
		return RequestPushed{Client: c.ID}, err
	})
	if err != nil {
		return s.answerError(w, err)
	}
	return web.WriteJSON(w, http.StatusCreated, pushedOut{RequestURI: requestURN + ref.Reveal(), ExpiresIn: int(pushedLife / time.Second)})
}

type pushedOut struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int    `json:"expires_in"`
}

// pushed takes up a pushed request. It works once.
func (s *Service) pushed(ctx context.Context, c Client, q map[string]string) (a asked, bad *refusal, err error) {
	for k := range q {
		if !slices.Contains([]string{"client_id", "request_uri"}, k) && !sameAnyway(k) {
			return a, refuse("invalid_request", "With a pushed request only client_id and request_uri are sent.").because("beside-pushed"), nil
		}
	}
	hash := sum(secret.NewText(strings.TrimPrefix(q["request_uri"], requestURN)))
	dead := refuse("invalid_request_uri", "The pushed request is unknown, has expired or was used.").because("dead-request")
	var box []byte
	err = s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error { // what is used is over; the authorisation that follows is recorded
		return ledger.One(ctx, tx, spendPushed, []any{&box}, hash, c.ID, us(tx.Now()))
	})
	if errors.Is(err, fault.NotFound) {
		return a, dead, nil
	}
	if err != nil {
		return a, nil, err
	}
	if err := s.unseal(ctx, pushedColumn, hash, box, &a); err != nil {
		return a, nil, err
	}
	a.Begun = us(s.Now())
	if !matches(c.Redirects, a.Redirect) {
		return a, dead, nil
	}
	return a, nil, nil
}

// sameAnyway are parameters that OpenID Connect wants in the address too; they are
// passed over, and the pushed ones count.
func sameAnyway(k string) bool { return k == "response_type" || k == "scope" }

const (
	insertPushed = `INSERT INTO identity_oidc_request (hash, client, box, expires, used) VALUES ($1, $2, $3, $4, NULL)`
	spendPushed  = `UPDATE identity_oidc_request SET used = $3 WHERE hash = $1 AND client = $2 AND used IS NULL AND expires > $3 RETURNING box`
)
