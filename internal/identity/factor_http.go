package identity

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// flowMark keeps a flow cookie of a sign-in from serving a link, and the other way round.
const flowMark = "factor."

// factorRoutes are the second step of a sign-in and a person's own factors.
func (s *Service) factorRoutes() []web.Route {
	return []web.Route{
		{Pattern: "POST /-/api/v1/sign-in/factor", Who: web.Anyone, Handle: s.postFactor, Doc: web.Doc{Summary: "Show the second factor; sets the session cookie. Needs the flow cookie of the first step", Tag: "sign-in",
			In: factorIn{}, Out: signInOut{}, Errors: []string{"factor_refused", "flow_order", "too_many"}}},
		{Pattern: "POST /-/api/v1/step-up", Who: web.SignedIn, Handle: s.postStepUp, Doc: web.Doc{Summary: "Show a factor anew within the session; sets a new session cookie. kind is password where there is no factor",
			In: stepUpIn{}, Out: steppedOut{}, Errors: []string{"factor_refused", "flow_order", "too_many", "busy"}}},
		{Pattern: "GET /-/api/v1/factors", Who: web.Enrolling, Handle: s.getFactors, Doc: web.Doc{Summary: "My second factors", Out: factorsOut{}}},
		{Pattern: "POST /-/api/v1/factors/totp", Who: web.Enrolling, Handle: s.postTOTP, Doc: web.Doc{Summary: "Begin a code generator; it works once a code of it was confirmed", Out: generatorOut{}, Errors: []string{"too_many_factors"}}},
		{Pattern: "POST /-/api/v1/factors/totp/confirm", Who: web.Enrolling, Handle: s.postTOTPConfirm, Doc: web.Doc{Summary: "Confirm a code generator with a code; sets a new session cookie. With the first factor come recovery codes",
			In: confirmTOTPIn{}, Out: confirmedOut{}, Errors: []string{"factor_refused", "flow_order", "too_many"}}},
		{Pattern: "POST /-/api/v1/factors/recovery-codes", Who: web.SignedIn, Handle: s.postRecoveryCodes, Doc: web.Doc{Summary: "Make new recovery codes; the former ones are dead", Out: confirmedOut{}, Errors: []string{"flow_order"}}},
		{Pattern: "DELETE /-/api/v1/factors/{id}", Who: web.SignedIn, Handle: s.deleteFactorRoute, Doc: web.Doc{Summary: "Remove one of my factors", Errors: []string{"no_factor", "last_factor"}}},
	}
}

type (
	factorIn struct {
		Flow secret.Text `json:"flow"`
		Kind string      `json:"kind"` // passkey, totp, recovery
		Code secret.Text `json:"code"`

		Credential json.RawMessage `json:"credential,omitempty"` // of a passkey; flow is then that of its question
		Remember   bool            `json:"remember,omitempty"`   // let this browser skip the second factor, where the policy lets it
	}
	stepUpIn struct {
		Kind       string          `json:"kind"` // passkey, totp, recovery; password
		Code       secret.Text     `json:"code"`
		Flow       secret.Text     `json:"flow"`                 // of step-up/passkey
		Credential json.RawMessage `json:"credential,omitempty"` // of a passkey
	}
	steppedOut struct {
		ACR  int       `json:"acr"`
		Ends time.Time `json:"ends"`
	}
	factorWire struct {
		ID     string    `json:"id"`
		Kind   string    `json:"kind"`
		Name   string    `json:"name"`
		Added  time.Time `json:"added"`
		Used   time.Time `json:"used,omitzero"`
		Locked time.Time `json:"locked,omitzero"` // after too many wrong codes
	}
	factorsOut struct {
		Factors  []factorWire `json:"factors"`
		Recovery int64        `json:"recovery_codes"` // left
		Needed   bool         `json:"needed"`
		Level    int          `json:"level"`          // that is demanded: 1, 2, or 3 for a passkey
		Lacking  bool         `json:"lacking"`        // what was set up does not reach it
		Grace    time.Time    `json:"grace,omitzero"` // until when this account works without
	}
	generatorOut struct {
		ID     string `json:"id"`
		Secret string `json:"secret"`
		URI    string `json:"uri"`
	}
	confirmTOTPIn struct {
		ID   string      `json:"id"`
		Code secret.Text `json:"code"`
		Name string      `json:"name,omitempty"`
	}
	confirmedOut struct {
		Codes []string `json:"codes,omitempty"` // recovery codes, shown this once
	}
)

// flowCookie reads token and binding of the flow that this browser began.
func flowCookie(r *http.Request) (token, bind secret.Text) {
	rest, ok := strings.CutPrefix(web.Cookie(r, FlowCookie).Reveal(), flowMark)
	t, b, both := strings.Cut(rest, ".")
	if !ok || !both {
		return secret.Text{}, secret.Text{}
	}
	return secret.NewText(t), secret.NewText(b)
}

func (s *Service) postFactor(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[factorIn](r)
	if err != nil {
		return err
	}
	var as SignedInAs
	if in.Kind == FactorPasskey {
		as, err = s.passkeyFrom(w, r, in.Flow, in.Credential)
	} else {
		_, bind := flowCookie(r)
		as, err = s.proceedFrom(w, r, in.Flow, bind, Shown{Kind: in.Kind, Code: in.Code}, in.Remember)
	}
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireSignIn(as))
}

// proceedFrom takes the second step of whoever sends the request and sets the cookies;
// pages use it too.
func (s *Service) proceedFrom(w http.ResponseWriter, r *http.Request, token, bind secret.Text, sh Shown, remember bool) (SignedInAs, error) {
	who := web.StrangerOf(r)
	as, err := s.Proceed(r.Context(), who, Step{Flow: token, Bind: bind, Shown: sh, Remember: remember, Device: web.Cookie(r, DeviceCookie),
		Session: web.Cookie(r, SessionCookie), Network: who.ID, Agent: r.UserAgent()})
	if err != nil {
		return as, err
	}
	web.ClearCookie(w, FlowCookie)
	s.setCookies(w, as)
	return as, nil
}

func (s *Service) postStepUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[stepUpIn](r)
	if err != nil {
		return err
	}
	c, err := s.stepUpFrom(w, r, who, Shown{Kind: in.Kind, Code: in.Code, Question: in.Flow, Credential: in.Credential})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, steppedOut{c.Who.ACR, c.Ends})
}

// stepUpFrom steps up the session of the request and sets its new cookie; pages use it too.
func (s *Service) stepUpFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, sh Shown) (Confirmed, error) {
	c, err := s.StepUp(r.Context(), who, sh, askingFrom(r))
	if err != nil {
		return c, err
	}
	web.SetCookie(w, SessionCookie, c.Token, c.Ends.Sub(s.Now())) // clause: auth.best-practice
	return c, nil
}

func (s *Service) getFactors(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	fs, err := s.MyFactors(r.Context(), who)
	if err != nil {
		return err
	}
	out := factorsOut{Factors: []factorWire{}, Recovery: fs.Recovery, Needed: fs.Needed, Level: fs.Level, Lacking: fs.Lacking, Grace: fs.Grace}
	for _, f := range fs.Factors {
		out.Factors = append(out.Factors, factorWire(f))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postTOTP(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	g, err := s.BeginTOTP(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, generatorOut{g.ID, strings.ReplaceAll(g.Secret.Reveal(), " ", ""), g.URI.Reveal()})
}

func (s *Service) postTOTPConfirm(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[confirmTOTPIn](r)
	if err != nil {
		return err
	}
	c, err := s.confirmFrom(w, r, who, in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, confirmedOut{revealed(c.Codes)})
}

// confirmFrom confirms a generator and sets the new session cookie; pages use it too.
func (s *Service) confirmFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, in confirmTOTPIn) (Confirmed, error) {
	c, err := s.ConfirmTOTP(r.Context(), who, ConfirmTOTP{ID: in.ID, Code: in.Code, Name: in.Name, Network: web.StrangerOf(r).ID, Agent: r.UserAgent()})
	if err != nil {
		return c, err
	}
	web.SetCookie(w, SessionCookie, c.Token, c.Ends.Sub(s.Now())) // clause: auth.best-practice
	return c, nil
}

// revealed hands out codes that are shown this once.
func revealed(codes []secret.Text) []string {
	out := make([]string, len(codes))
	for i, c := range codes {
		out[i] = c.Reveal()
	}
	return out
}

func (s *Service) postRecoveryCodes(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	codes, err := s.NewRecoveryCodes(r.Context(), who, askingFrom(r))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, confirmedOut{revealed(codes)})
}

func askingFrom(r *http.Request) From {
	return From{Network: web.StrangerOf(r).ID, Agent: r.UserAgent()}
}

func (s *Service) deleteFactorRoute(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RemoveFactor(r.Context(), who, r.PathValue("id"), askingFrom(r)); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
