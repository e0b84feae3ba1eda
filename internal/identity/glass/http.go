package glass

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// Where the pages are.
const (
	atGlass   = "/-/break-glass"
	atShare   = atGlass + "/share"
	consoleAt = "/-/console/break-glass"
)

// Routes are the JSON API and the pages.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/break-glass"
	return []web.Route{
		{Pattern: "POST " + v1, Who: web.Anyone, Handle: s.postGive, Doc: web.Doc{Summary: "Give a share: begin an opening or a drill, join one, or complete it", In: giveIn{}, Out: gatheringOut{},
			Errors: []string{"share_text", "reason_missing", "share_refused", "share_twice", "opening_over", "too_many"}}},
		{Pattern: "GET " + v1, Who: web.Staff, Handle: s.getState, Doc: web.Doc{Summary: "How break-glass stands: sets, holders, drills", Out: stateOut{}}},
		{Pattern: "POST " + v1 + "/sets", Who: web.Staff, Handle: s.postSet, Doc: web.Doc{Summary: "Prepare a set of shares; each holder picks theirs up on a page", In: newSetIn{}, Out: setWire{}, Status: http.StatusCreated,
			Errors: []string{"glass_holder", "glass_need", "step_up_required"}}},
		{Pattern: "DELETE " + v1 + "/sets", Who: web.Staff, Handle: s.deleteSets, Doc: web.Doc{Summary: "Withdraw the shares that are out", Errors: []string{"no_set", "step_up_required"}}},
		{Pattern: "DELETE " + v1 + "/uses/{id}", Who: web.Staff, Handle: s.deleteUse, Doc: web.Doc{Summary: "End an opening, or its session", Errors: []string{"no_session"}}},
		{Pattern: "GET " + atGlass, Who: web.Anyone, Handle: s.page},
		{Pattern: "POST " + atGlass, Who: web.Anyone, Handle: s.doGive},
		{Pattern: "GET " + atGlass + "/enter/{token}", Who: web.Anyone, Handle: s.enterPage},
		{Pattern: "POST " + atGlass + "/enter/{token}", Who: web.Anyone, Handle: s.doEnter},
		{Pattern: "POST " + atGlass + "/end", Who: web.SignedIn, Handle: s.doEnd},
		{Pattern: "GET " + atShare, Who: web.SignedIn, Handle: s.sharePage},
		{Pattern: "POST " + atShare, Who: web.SignedIn, Handle: s.doPickUp},
	}
}

type (
	giveIn struct {
		Share  secret.Text `json:"share"`
		Code   string      `json:"code,omitempty"`
		Reason string      `json:"reason,omitempty"`
		Drill  bool        `json:"drill,omitempty"`
	}
	gatheringOut struct {
		ID    string    `json:"id"`
		Code  string    `json:"code"`
		Drill bool      `json:"drill"`
		Given int       `json:"given"`
		Need  int       `json:"need"`
		Until time.Time `json:"until"`
		Done  bool      `json:"done"`
		URL   string    `json:"url,omitempty"` // opens the session in a browser, once
	}
	newSetIn struct {
		Holders []string `json:"holders"`
		Need    int      `json:"need,omitempty"`
	}
	shareWire struct {
		Place  int        `json:"place"`
		Holder string     `json:"holder"`
		Name   string     `json:"name"`
		Picked *time.Time `json:"picked_up,omitempty"`
		Left   bool       `json:"left,omitempty"`
	}
	setWire struct {
		ID     string      `json:"id"`
		Number int         `json:"number"`
		Need   int         `json:"need"`
		State  string      `json:"state"`
		Made   time.Time   `json:"made"`
		Began  *time.Time  `json:"began,omitempty"`
		Renew  string      `json:"renew,omitempty"`
		Shares []shareWire `json:"shares"`
	}
	useWire struct {
		ID      string     `json:"id"`
		Drill   bool       `json:"drill"`
		AskedBy string     `json:"asked_by"`
		Reason  string     `json:"reason,omitempty"`
		Asked   time.Time  `json:"asked"`
		Given   int        `json:"given"`
		Granted *time.Time `json:"granted,omitempty"`
		Entered *time.Time `json:"entered,omitempty"`
		Ended   *time.Time `json:"ended,omitempty"`
		Cause   string     `json:"cause,omitempty"`
	}
	stateOut struct {
		Live    *setWire   `json:"live,omitempty"`
		Waiting *setWire   `json:"waiting,omitempty"`
		Uses    []useWire  `json:"uses"`
		Drilled *time.Time `json:"drilled,omitempty"`
		Due     *time.Time `json:"drill_due,omitempty"`
	}
)

func some(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func wireSet(x Set) setWire {
	out := setWire{ID: x.ID, Number: x.Number, Need: x.Need, State: x.State, Made: x.Made, Began: some(x.Began), Renew: x.Renew, Shares: []shareWire{}}
	for _, y := range x.Shares {
		out.Shares = append(out.Shares, shareWire{Place: y.Place, Holder: y.Holder, Name: y.Name, Picked: some(y.Picked), Left: y.Left})
	}
	return out
}

func (s *Service) postGive(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[giveIn](r)
	if err != nil {
		return err
	}
	g, err := s.Give(r.Context(), who, Give{Share: in.Share, Code: in.Code, Reason: in.Reason, Drill: in.Drill, Network: web.StrangerOf(r).ID})
	if err != nil {
		return err
	}
	out := gatheringOut{ID: g.Use, Code: g.Code, Drill: g.Drill, Given: g.Given, Need: g.Need, Until: g.Until, Done: g.Done}
	if !g.Enter.IsZero() {
		out.URL = s.Origin + atGlass + "/enter/" + g.Enter.Reveal()
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getState(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	st, err := s.Stands(r.Context(), who)
	if err != nil {
		return err
	}
	out := stateOut{Uses: []useWire{}, Drilled: some(st.Drilled), Due: some(st.Due)}
	for _, x := range []struct {
		from *Set
		to   **setWire
	}{{st.Live, &out.Live}, {st.Waiting, &out.Waiting}} {
		if x.from != nil {
			wire := wireSet(*x.from)
			*x.to = &wire
		}
	}
	for _, u := range st.Uses {
		out.Uses = append(out.Uses, useWire{ID: u.ID, Drill: u.Drill, AskedBy: u.AskedBy, Reason: u.Reason, Asked: u.Asked, Given: u.Given, Granted: some(u.Granted), Entered: some(u.Entered), Ended: some(u.Ended), Cause: u.Cause})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postSet(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[newSetIn](r)
	if err != nil {
		return err
	}
	x, err := s.Prepare(r.Context(), who, NewSet(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireSet(x))
}

func (s *Service) deleteSets(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Withdraw(r.Context(), who); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

func (s *Service) deleteUse(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndUse(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}
