package identity

import (
	"encoding/json"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// passkeyRoutes ask for passkeys and take them; what they prove goes to sign-in/factor
// and step-up, as every factor.
func (s *Service) passkeyRoutes() []web.Route {
	return []web.Route{
		{Pattern: "POST /-/api/v1/sign-in/passkey", Who: web.Anyone, Handle: s.postAskPasskey, Doc: web.Doc{Tag: "sign-in",
			Summary: "Ask for a passkey: any of this site, or with the flow of a sign-in one of that person's. Send flow and answer to sign-in/factor",
			In:      askPasskeyIn{}, Out: askedOut{}, Errors: []string{"flow_order", "no_passkey", "passkey_host"}}},
		{Pattern: "POST /-/api/v1/step-up/passkey", Who: web.SignedIn, Handle: s.postAskStepUp, Doc: web.Doc{Tag: "step-up",
			Summary: "Ask for one of my passkeys. Send flow and answer to step-up", Out: askedOut{}, Errors: []string{"no_passkey", "passkey_host"}}},
		{Pattern: "POST /-/api/v1/factors/passkey/options", Who: web.Enrolling, Handle: s.postAskToAdd, Doc: web.Doc{
			Summary: "Ask my browser to make a passkey", Out: askedOut{}, Errors: []string{"passkey_limit", "passkey_host", "step_up_required"}}},
		{Pattern: "POST /-/api/v1/factors/passkey", Who: web.Enrolling, Handle: s.postAddPasskey, Doc: web.Doc{
			Summary: "Set up the passkey that my browser made; sets a new session cookie. With the first factor come recovery codes",
			In:      addPasskeyIn{}, Out: addedPasskeyOut{}, Errors: []string{"passkey_refused", "passkey_taken", "passkey_limit", "flow_order", "name_invalid", "step_up_required"}}},
		{Pattern: "GET /-/api/v1/factors/passkey", Who: web.Enrolling, Handle: s.getPasskeys, Doc: web.Doc{Summary: "My passkeys, oldest first", Out: passkeysOut{}}},
		{Pattern: "POST /-/api/v1/factors/passkey/{id}", Who: web.SignedIn, Handle: s.postRenamePasskey, Doc: web.Doc{
			Summary: "Give one of my passkeys another name", In: renamePasskeyIn{}, Errors: []string{"no_passkey", "name_invalid"}}},
	}
}

type (
	askPasskeyIn struct {
		Flow secret.Text `json:"flow"` // of a sign-in whose password was right
	}
	askedOut struct {
		Flow    string          `json:"flow"`    // to send back with the answer
		Options json.RawMessage `json:"options"` // for PublicKeyCredential.parse…OptionsFromJSON
	}
	addPasskeyIn struct {
		Flow       secret.Text     `json:"flow"`
		Name       string          `json:"name,omitempty"`
		Credential json.RawMessage `json:"credential"` // PublicKeyCredential.toJSON
	}
	addedPasskeyOut struct {
		ID    string   `json:"id"`
		Name  string   `json:"name"`
		Codes []string `json:"codes,omitempty"` // recovery codes, shown this once
	}
	renamePasskeyIn struct {
		Name string `json:"name"`
	}
	passkeyWire struct {
		ID     string    `json:"id"`
		Name   string    `json:"name"`
		Added  time.Time `json:"added"`
		Used   time.Time `json:"used,omitzero"`
		Copied bool      `json:"copied"` // kept in an account, so that several devices have it
	}
	passkeysOut struct {
		Passkeys []passkeyWire `json:"passkeys"`
	}
)

func writeAsked(w http.ResponseWriter, a Asked, err error) error {
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, askedOut{a.Flow.Reveal(), a.Options})
}

func (s *Service) postAskPasskey(w http.ResponseWriter, r *http.Request, _ actor.Actor) error {
	in, err := web.ReadJSON[askPasskeyIn](r)
	if err != nil {
		return err
	}
	_, bind := flowCookie(r)
	a, err := s.AskPasskey(r.Context(), web.StrangerOf(r), in.Flow, bind)
	return writeAsked(w, a, err)
}

func (s *Service) postAskStepUp(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	a, err := s.AskToStepUp(r.Context(), who)
	return writeAsked(w, a, err)
}

func (s *Service) postAskToAdd(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	a, err := s.AskToAdd(r.Context(), who)
	return writeAsked(w, a, err)
}

func (s *Service) postAddPasskey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[addPasskeyIn](r)
	if err != nil {
		return err
	}
	a, err := s.AddPasskeyFrom(w, r, who, AddPasskey{Flow: in.Flow, Credential: in.Credential, Name: in.Name})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, addedPasskeyOut{a.ID, a.Name, revealed(a.Codes)})
}

// AddPasskeyFrom sets up a passkey for whoever sends the request and sets the new session
// cookie; pages use it too.
func (s *Service) AddPasskeyFrom(w http.ResponseWriter, r *http.Request, who actor.Actor, in AddPasskey) (AddedPasskey, error) {
	in.Network, in.Agent = web.StrangerOf(r).ID, r.UserAgent()
	a, err := s.AddPasskey(r.Context(), who, in)
	if err != nil {
		return a, err
	}
	web.SetCookie(w, SessionCookie, a.Token, a.Ends.Sub(s.Now())) // clause: auth.best-practice
	return a, nil
}

func (s *Service) getPasskeys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	list, err := s.PasskeysOf(r.Context(), who)
	if err != nil {
		return err
	}
	out := passkeysOut{Passkeys: []passkeyWire{}}
	for _, k := range list {
		out.Passkeys = append(out.Passkeys, passkeyWire{ID: k.ID, Name: k.Name, Added: k.Created, Used: k.Used, Copied: k.Copied})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postRenamePasskey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[renamePasskeyIn](r)
	if err != nil {
		return err
	}
	if err := s.RenamePasskey(r.Context(), who, r.PathValue("id"), in.Name); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

// passkeyFrom takes the answer of a passkey from whoever sends the request: a sign-in of
// its own, or the second step of one. Pages use it too.
func (s *Service) passkeyFrom(w http.ResponseWriter, r *http.Request, token secret.Text, credential []byte) (SignedInAs, error) {
	q, err := s.posed(r.Context(), token, toShow)
	if err == nil && q.Flow != "" {
		_, bind := flowCookie(r)
		return s.proceedFrom(w, r, secret.NewText(q.Flow), bind, Shown{Kind: FactorPasskey, Question: token, Credential: credential}, false)
	}
	who := web.StrangerOf(r)
	as, err := s.SignInByPasskey(r.Context(), who, PasskeySignIn{Flow: token, Credential: credential, Device: web.Cookie(r, DeviceCookie),
		Session: web.Cookie(r, SessionCookie), Network: who.ID, Agent: r.UserAgent()})
	if err != nil {
		return as, err
	}
	s.setCookies(w, as)
	return as, nil
}
