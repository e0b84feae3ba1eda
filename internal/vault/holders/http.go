package holders

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/seal"
	"writ/internal/web"
)

// Where the pages are.
const (
	atHolder  = "/-/vault/holder"
	consoleAt = "/-/console/holders"
)

// Routes are the JSON API, the page of a holder, and the page on which drills are done.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/"
	return append(s.door.Routes(), []web.Route{
		{Pattern: "GET " + v1 + "holders", Who: web.Staff, Handle: s.getState, Doc: web.Doc{Tag: "vault", Summary: "How the holding of the root key stands", Out: stateOut{}}},
		{Pattern: "POST " + v1 + "holders", Who: web.Staff, Handle: s.postAppoint, Doc: web.Doc{Tag: "vault", Summary: "Ask people to hold a share", In: appointIn{}, Out: stateOut{}, Status: http.StatusCreated, Errors: []string{"vault_holder", "step_up_required"}}},
		{Pattern: "DELETE " + v1 + "holders/{ref}", Who: web.Staff, Handle: s.deleteHolder, Doc: web.Doc{Tag: "vault", Summary: "Remove a holder; new shares are due then", Errors: []string{"no_holder", "last_but_one", "step_up_required"}}},
		{Pattern: "POST " + v1 + "holders/enrol", Who: web.Staff, Handle: s.postEnrol, Doc: web.Doc{Tag: "vault", Summary: "Hand in the line of one's own key file", In: enrolIn{}, Out: stateOut{}, Errors: []string{"no_holder", "holder_key", "key_taken", "step_up_required"}}},
		{Pattern: "POST " + v1 + "holders/question", Who: web.Staff, Handle: s.postQuestion, Doc: web.Doc{Tag: "vault", Summary: "What to ask a browser for a passkey that keeps a key", In: struct{}{}, Out: questionOut{}, Errors: []string{"no_holder", "no_passkeys", "step_up_required"}}},
		{Pattern: "POST " + v1 + "holders/reshare", Who: web.Staff, Handle: s.postReshare, Doc: web.Doc{Tag: "vault", Summary: "Make new shares; the old ones are void then", Out: stateOut{}, Errors: []string{"too_few_holders", "step_up_required"}}},
		{Pattern: "POST " + v1 + "holders/drill", Who: web.Staff, Handle: s.postDrill, Doc: web.Doc{Tag: "vault", Summary: "Begin a drill", Out: stateOut{}, Errors: []string{"no_shares", "step_up_required"}}},
		{Pattern: "DELETE " + v1 + "root-file", Who: web.Staff, Handle: s.deleteFile, Doc: web.Doc{Tag: "vault", Summary: "Remove root.key once it opens nothing any more", Errors: []string{"no_file", "root_needed", "step_up_required"}}},
		{Pattern: "POST " + v1 + "seal", Who: web.Staff, Handle: s.postSeal, Doc: web.Doc{Tag: "vault", Summary: "Seal the vault: holders open it again", In: sealIn{}, Errors: []string{"reason_missing", "no_shares", "step_up_required"}}},
		{Pattern: "GET /-/vault/holder", Who: web.Staff, Handle: s.page},
		{Pattern: "POST " + atHolder, Who: web.Staff, Handle: s.doEnrol},
		{Pattern: "POST " + atHolder + "/passkey", Who: web.Staff, Handle: s.doPasskey},
	}...)
}

type (
	appointIn struct {
		Holders []string `json:"holders"`
	}
	enrolIn struct {
		Line string `json:"line"` // writ-holder-1 …
	}
	sealIn struct {
		Reason string `json:"reason"`
	}
	questionOut struct {
		Options any    `json:"options"`
		Salt    []byte `json:"salt"`
	}
	holderWire struct {
		Person   string     `json:"person"`
		Name     string     `json:"name"`
		State    string     `json:"state"` // appointed, enrolled
		Kind     string     `json:"kind,omitempty"`
		Enrolled *time.Time `json:"enrolled,omitempty"`
		Holds    bool       `json:"holds"`
	}
	setWire struct {
		ID      string     `json:"id"`
		Need    int        `json:"need"`
		Of      int        `json:"of"`
		Began   time.Time  `json:"began"`
		Drilled *time.Time `json:"drilled,omitempty"`
	}
	stateOut struct {
		Set      *setWire     `json:"set,omitempty"`
		Holders  []holderWire `json:"holders"`
		Due      []string     `json:"due"` // why new shares are to be made
		NextTry  *time.Time   `json:"drill_due,omitempty"`
		Opens    string       `json:"opens"` // shares, or what the way of opening lacks
		RootFile bool         `json:"root_file"`
		Drill    string       `json:"drill,omitempty"` // how far one has come: 1 of 2
	}
)

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func wire(st State) stateOut {
	out := stateOut{Holders: []holderWire{}, Due: append([]string{}, st.Due...), NextTry: some(st.NextTry), RootFile: st.RootFile, Opens: "shares"}
	if !st.Alone {
		out.Opens = st.Weakness
	}
	for _, h := range st.Holders {
		out.Holders = append(out.Holders, holderWire{h.Person, h.Name, h.State, h.Kind, some(h.Enrolled), h.Holds})
	}
	if x := st.Set; x != nil {
		out.Set = &setWire{x.ID, x.Need, x.Of, x.Began, some(x.Drilled)}
	}
	if d := st.Drilling; d != nil {
		out.Drill = far(*d)
	}
	return out
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, status int) error {
	st, err := s.state(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, status, wire(st))
}

func (s *Service) getState(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	st, err := s.Stands(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wire(st))
}

func (s *Service) postAppoint(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[appointIn](r)
	if err != nil {
		return err
	}
	if _, err := s.Appoint(r.Context(), who, in.Holders); err != nil {
		return err
	}
	return s.answer(w, r, http.StatusCreated)
}

func (s *Service) deleteHolder(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Remove(r.Context(), who, r.PathValue("ref")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) postEnrol(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[enrolIn](r)
	if err != nil {
		return err
	}
	k, err := seal.ReadLine(in.Line)
	if err != nil {
		return err
	}
	if err := s.Enrol(r.Context(), who, k); err != nil {
		return err
	}
	return s.answer(w, r, http.StatusOK)
}

func (s *Service) postQuestion(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if _, err := web.ReadJSON[struct{}](r); err != nil {
		return err
	}
	options, salt, err := s.AskPasskey(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, questionOut{options, salt})
}

func (s *Service) postReshare(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if _, err := s.Reshare(r.Context(), who); err != nil {
		return err
	}
	return s.answer(w, r, http.StatusOK)
}

func (s *Service) postDrill(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if _, err := s.Drill(r.Context(), who); err != nil {
		return err
	}
	return s.answer(w, r, http.StatusOK)
}

func (s *Service) deleteFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.DropFile(r.Context(), who); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) postSeal(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[sealIn](r)
	if err != nil {
		return err
	}
	if err := s.Put(r.Context(), who, strings.TrimSpace(in.Reason)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func and(words []string) string { return web.And(slices.Clone(words)) }
