package rotate

import (
	"net/http"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

// Routes are the doors of rotations.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/rotations"
	on := func(pattern string, tokens bool, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.SignedIn, Tokens: tokens, Limit: 64 << 10, Handle: h, Doc: d}
	}
	return []web.Route{
		on("GET "+v1, true, s.getRotations, web.Doc{Summary: "Values that are replaced by themselves, and how far that is", Query: []string{"name"}, Out: rotationsOut{}, Errors: []string{"rotation_unknown"}}),
		on("POST "+v1, false, s.postRotation, web.Doc{Summary: "Have a value replaced by itself", In: rotationIn{}, Out: rotationWire{}, Status: http.StatusCreated,
			Errors: []string{"rotation_kind", "rotation_days", "rotation_grace", "rotation_exists", "role_form", "template", "value_foreign", "admin_refused", "unreachable", "token_scopes", "token_bound"}}),
		on("POST "+v1+"/now", true, s.postNow, web.Doc{Summary: "Replace a value before it is due", In: nowIn{}, Out: rotationWire{}, Errors: []string{"rotation_unknown", "rotation_busy"}}),
		on("POST "+v1+"/known", true, s.postKnown, web.Doc{Summary: "Replace what somebody knows, as far as it can be", In: knownIn{}, Out: knownOut{}, Errors: []string{"seen_who", "rotation_busy"}}),
		on("DELETE "+v1, true, s.deleteRotation, web.Doc{Summary: "Have a value replaced by hand again", Query: []string{"name"}, Errors: []string{"rotation_unknown", "rotation_going", "rotation_busy"}}),
	}
}

type (
	rotationWire struct {
		ID      string    `json:"id"`
		Name    string    `json:"name"`
		Kind    string    `json:"kind"`
		From    Spec      `json:"from"`
		Days    int64     `json:"days,omitzero"`
		Grace   float64   `json:"grace_hours"`
		By      string    `json:"by"`
		State   string    `json:"state"`
		Cause   string    `json:"cause,omitzero"`
		Slot    string    `json:"slot,omitzero"`
		Fresh   string    `json:"fresh,omitzero"` // role, access key or token that the value is of, or is about to be
		Old     string    `json:"old,omitzero"`
		Version int64     `json:"version,omitzero"`
		Until   time.Time `json:"until,omitzero"` // of the grace
		Last    time.Time `json:"last,omitzero"`
		Due     time.Time `json:"due"`
		Problem *stillOut `json:"problem,omitzero"`
	}
	stillOut struct {
		Code  string    `json:"code"`
		Says  string    `json:"says"`
		Next  string    `json:"next"`
		Again time.Time `json:"again,omitzero"`
	}
	rotationsOut struct {
		Rotations []rotationWire `json:"rotations"`
	}
	rotationIn struct {
		Name  string   `json:"name"`
		Kind  string   `json:"kind"` // postgres, access-key, token
		From  Spec     `json:"from"`
		Days  int64    `json:"days,omitzero"`
		Grace *float64 `json:"grace_hours,omitzero"`
	}
	nowIn struct {
		Name    string `json:"name"`
		Exposed bool   `json:"exposed,omitzero"` // the former value ends without a grace
	}
	knownIn struct {
		Who string `json:"who"` // kind/id
	}
	knownOut struct {
		Replaced []string `json:"replaced"`
		Failed   []string `json:"failed"`
		Left     []string `json:"left"` // by hand
	}
)

func wireRotation(r Rotation) rotationWire {
	out := rotationWire{r.ID, r.Name, r.Kind, r.Spec, r.Days, r.Grace.Hours(), r.MadeBy, r.State, r.Cause, r.Slot, r.Fresh, r.Old, r.Version, time.Time{}, r.Done, r.Due, nil}
	if r.State == promoted {
		out.Until = r.Until
	}
	if r.Problem != "" {
		out.Problem = &stillOut{r.Problem, r.Says.Problem, r.Says.Next, r.Again}
	}
	return out
}

func (s *Service) getRotations(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	var rs []Rotation
	var err error
	if name := r.URL.Query().Get("name"); name != "" {
		rs = make([]Rotation, 1)
		rs[0], err = s.Of(r.Context(), who, name)
	} else {
		rs, err = s.Rotations(r.Context(), who)
	}
	if err != nil {
		return err
	}
	out := rotationsOut{Rotations: []rotationWire{}}
	for _, r := range rs {
		out.Rotations = append(out.Rotations, wireRotation(r))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postRotation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[rotationIn](r)
	if err != nil {
		return err
	}
	wish := Wish{Name: in.Name, Kind: in.Kind, Spec: in.From, Days: in.Days}
	if in.Grace != nil {
		if *in.Grace < 0 || *in.Grace > mostGrace.Hours() {
			*in.Grace = -1 // Add says what is wrong with it, after the right was asked for
		}
		grace := time.Duration(*in.Grace * float64(time.Hour))
		wish.Grace = &grace
	}
	made, err := s.Add(r.Context(), who, wish)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireRotation(made))
}

func (s *Service) postNow(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[nowIn](r)
	if err != nil {
		return err
	}
	now, err := s.Replace(r.Context(), who, in.Name, in.Exposed)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireRotation(now))
}

func (s *Service) postKnown(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[knownIn](r)
	if err != nil {
		return err
	}
	k, err := s.ReplaceKnown(r.Context(), who, in.Who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, knownOut{slices.Concat([]string{}, k.Replaced), slices.Concat([]string{}, k.Failed), slices.Concat([]string{}, k.Left)})
}

func (s *Service) deleteRotation(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.End(r.Context(), who, r.URL.Query().Get("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
