package keys

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/keyring"
	"writ/internal/web"
)

// Routes are the JSON API of keys and of their end.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/encryption"
	on := func(pattern string, h web.Handler, d web.Doc) web.Route {
		d.Tag = "encryption"
		return web.Route{Pattern: pattern, Who: web.Staff, Handle: h, Doc: d}
	}
	return []web.Route{
		on("GET "+v1, s.getState, web.Doc{Summary: "How the keys stand that data rests under", Out: stateOut{}}),
		on("POST "+v1+"/rotate", s.postRotate, web.Doc{Summary: "Replace the key-encryption key now", In: rotateIn{}, Out: stateOut{}, Errors: []string{"keys_two_roots", "reason_missing"}}),
		on("GET "+v1+"/backups", s.getBackups, web.Doc{Summary: "Backups of the keys, with the day on which each ends", Out: backupsOut{}, Errors: []string{"backups_shared"}}),
		on("POST "+v1+"/backups", s.postBackup, web.Doc{Summary: "Back the keys up now", Out: backupWire{}, Status: http.StatusCreated, Errors: []string{"backups_shared"}}),
		on("GET "+v1+"/shreds", s.getShreds, web.Doc{Summary: "Destructions of keys, asked for and done", Out: shredsOut{}}),
		on("POST "+v1+"/shreds", s.postShred, web.Doc{Summary: "Ask for the destruction of a key", In: targetIn{}, Out: shredWire{}, Status: http.StatusCreated,
			Errors: []string{"target_invalid", "reason_missing", "held", "key_needed", "nothing_sealed", "shred_asked"}}),
		on("POST "+v1+"/shreds/{id}/agree", s.postAgree, web.Doc{Summary: "Agree to a destruction that somebody else asked for; the last one needed does it", Out: shredWire{},
			Errors: []string{"no_shred", "person_needed", "agreed_already", "held", "shred_over", "step_up_required"}}),
		on("DELETE "+v1+"/shreds/{id}", s.deleteShred, web.Doc{Summary: "Refuse a destruction that waits", Errors: []string{"no_shred", "shred_over"}}),
		on("GET "+v1+"/shreds/{id}/certificate", s.getCertificate, web.Doc{Summary: "The certificate of a destruction, with its proof", Out: Certified{}, Errors: []string{"no_certificate", "no_entry_yet"}}),
		on("GET "+v1+"/holds", s.getHolds, web.Doc{Summary: "Legal holds", Out: holdsOut{}}),
		on("POST "+v1+"/holds", s.postHold, web.Doc{Summary: "Keep something from being destroyed", In: targetIn{}, Out: holdWire{}, Status: http.StatusCreated, Errors: []string{"target_invalid", "reason_missing"}}),
		on("DELETE "+v1+"/holds/{id}", s.deleteHold, web.Doc{Summary: "Ask for the end of a hold; a second person ends it", Out: endedOut{}, Errors: []string{"no_hold", "hold_ended", "hold_alone", "person_needed", "step_up_required"}}),
	}
}

type (
	kekWire struct {
		ID        string     `json:"id"`
		Version   int        `json:"version"`
		Made      time.Time  `json:"made"`
		Retired   *time.Time `json:"retired,omitempty"`
		Destroyed *time.Time `json:"destroyed,omitempty"`
		Keys      int        `json:"keys"` // sealed under it
	}
	stateOut struct {
		Store    string    `json:"store"`
		RootFrom string    `json:"root_from"` // file, given
		RootID   string    `json:"root_id"`
		Roots    int       `json:"roots"`
		Keys     int       `json:"keys"`
		Left     int       `json:"left"` // that lie under a former key-encryption key
		Every    int       `json:"every_days"`
		Due      time.Time `json:"due"`
		KEKs     []kekWire `json:"keks"`
		Erased   int       `json:"erased"`
		Pending  int       `json:"pending"`

		Resealing int   `json:"resealing"` // keys whose values are being sealed anew after an exposure
		Resealed  int64 `json:"resealed"`  // values of those so far
	}
	rotateIn struct {
		Exposed bool   `json:"exposed,omitzero"`
		Reason  string `json:"reason,omitzero"` // needed with exposed
	}
	targetIn struct {
		Target string `json:"target"` // person/HANDLE, team/ID, class/NAME, stranger/2026-11, backup/NAME; of a hold also everything
		Reason string `json:"reason"`
	}
	shredWire struct {
		ID      string    `json:"id"`
		Kind    string    `json:"kind"`
		What    string    `json:"what"`
		Reason  string    `json:"reason,omitempty"`
		State   string    `json:"state"` // asked, intended, done, refused, lapsed
		Given   int       `json:"given"`
		Need    int       `json:"need"`
		Asked   time.Time `json:"asked"`
		AskedBy string    `json:"asked_by"`
		Until   time.Time `json:"until"`
	}
	shredsOut struct {
		Shreds []shredWire `json:"shreds"`
	}
	holdWire struct {
		ID     string     `json:"id"`
		Target string     `json:"target"`
		Reason string     `json:"reason"`
		Made   time.Time  `json:"made"`
		MadeBy string     `json:"made_by"`
		Asked  *time.Time `json:"end_asked,omitempty"`
		Ended  *time.Time `json:"ended,omitempty"`
	}
	holdsOut struct {
		Holds []holdWire `json:"holds"`
	}
	endedOut struct {
		Ended bool `json:"ended"`
	}
)

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func wireState(st State) stateOut {
	out := stateOut{Store: st.Store, RootFrom: st.RootFrom, RootID: st.RootID, Roots: st.Roots, Keys: st.Keys, Left: st.Left, Every: int(st.Every.Hours() / 24), Due: st.Due,
		KEKs: []kekWire{}, Erased: st.Erased, Pending: st.Pending, Resealing: st.Resealing, Resealed: st.Resealed}
	for _, k := range st.KEKs {
		out.KEKs = append(out.KEKs, wireKEK(k))
	}
	return out
}

func wireKEK(k keyring.KEK) kekWire {
	return kekWire{k.ID, k.Version, k.Made, some(k.Retired), some(k.Destroyed), k.Users}
}

func wireShred(x Shred) shredWire {
	return shredWire{x.ID, x.Kind, x.Label, x.Reason, x.State, x.Given, x.Need, x.Asked, x.AskedBy, x.Until}
}

func wireHold(h Hold) holdWire {
	return holdWire{h.ID, h.Target, h.Reason, h.Made, h.MadeBy, some(h.Ask), some(h.Ended)}
}

func (s *Service) getState(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	st, err := s.Stands(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireState(st))
}

func (s *Service) postRotate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[rotateIn](r)
	if err != nil {
		return err
	}
	st, err := s.Rotate(r.Context(), who, Exposure{in.Exposed, in.Reason})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireState(st))
}

func (s *Service) getShreds(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	xs, err := s.Shreds(r.Context(), who)
	if err != nil {
		return err
	}
	out := shredsOut{Shreds: []shredWire{}}
	for _, x := range xs {
		out.Shreds = append(out.Shreds, wireShred(x))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postShred(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[targetIn](r)
	if err != nil {
		return err
	}
	x, err := s.Ask(r.Context(), who, in.Target, in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireShred(x))
}

func (s *Service) postAgree(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	x, err := s.Agree(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireShred(x))
}

func (s *Service) deleteShred(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Refuse(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) getCertificate(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.Certificate(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, c)
}

func (s *Service) getHolds(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	hs, err := s.Holds(r.Context(), who)
	if err != nil {
		return err
	}
	out := holdsOut{Holds: []holdWire{}}
	for _, h := range hs {
		out.Holds = append(out.Holds, wireHold(h))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postHold(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[targetIn](r)
	if err != nil {
		return err
	}
	h, err := s.Hold(r.Context(), who, in.Target, in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireHold(h))
}

func (s *Service) deleteHold(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ended, err := s.EndHold(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, endedOut{ended})
}
