package rota

import (
	"cmp"
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// Routes are the doors of rotas.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/watch/oncall"
	on := func(pattern string, tokens bool, h web.Handler, d web.Doc) web.Route {
		d.Tag = "watch"
		return web.Route{Pattern: pattern, Who: web.Staff, Tokens: tokens, Limit: 16 << 10, Handle: h, Doc: d}
	}
	return []web.Route{
		on("GET "+v1, true, s.getBoard, web.Doc{Summary: "Who is on call, and who will be", Out: boardOut{}}),
		on("PUT "+v1+"/{rota}", false, s.putRota, web.Doc{Summary: "Set who takes turns, a week each; the first has the turn that goes on", In: rotaIn{}, Out: boardOut{}, Errors: []string{"oncall_rota", "oncall_people", "oncall_zone", "oncall_day", "oncall_at"}}),
		on("DELETE "+v1+"/{rota}", false, s.deleteRota, web.Doc{Summary: "Remove a rota; without one engineers are told first, and owners with them", Errors: []string{"rota_unknown"}}),
		on("POST "+v1+"/{rota}/overrides", false, s.postOverride, web.Doc{Summary: "Ask that somebody takes over a turn, and perhaps another in return", In: overrideIn{}, Out: overrideWire{}, Status: http.StatusCreated, Errors: []string{"rota_unknown", "oncall_by", "oncall_from", "oncall_until", "oncall_back_from", "oncall_back_until", "overrides_full"}}),
		on("POST "+v1+"/overrides/{id}/agree", false, s.postAgree, web.Doc{Summary: "Agree, as one of the two", Out: overrideWire{}, Errors: []string{"override_unknown", "override_theirs", "override_settled", "override_moved"}}),
		on("POST "+v1+"/overrides/{id}/decline", false, s.postDecline, web.Doc{Summary: "Decline what does not stand yet", Errors: []string{"override_unknown", "override_theirs", "override_settled"}}),
	}
}

type (
	rotaWire struct {
		Rota      string    `json:"rota"`
		People    []string  `json:"people"`
		Zone      string    `json:"zone"`
		Day       string    `json:"day"`
		At        string    `json:"at"`
		Changed   time.Time `json:"changed"`
		ChangedBy string    `json:"changed_by"`
	}
	turnWire struct {
		Person  string `json:"person"`
		Instead string `json:"instead_of,omitzero"`
	}
	shiftWire struct {
		From   time.Time `json:"from"`
		Until  time.Time `json:"until"`
		First  turnWire  `json:"first"`
		Second turnWire  `json:"second"`
	}
	overrideWire struct {
		ID        string    `json:"id"`
		Rota      string    `json:"rota"`
		From      time.Time `json:"from"`
		Until     time.Time `json:"until"`
		BackFrom  time.Time `json:"back_from,omitzero"`
		BackUntil time.Time `json:"back_until,omitzero"`
		Of        string    `json:"of"`
		By        string    `json:"by"`
		OfAgreed  bool      `json:"of_agreed"`
		ByAgreed  bool      `json:"by_agreed"`
		Stands    bool      `json:"stands"`
	}
	gapWire struct {
		Rota   string    `json:"rota"`
		From   time.Time `json:"from"`
		Person string    `json:"person,omitzero"`
		Why    string    `json:"why"` // left, same, none
	}
	boardOut struct {
		Rotas     []rotaWire     `json:"rotas"`
		Ahead     []shiftWire    `json:"ahead"` // now first
		Overrides []overrideWire `json:"overrides"`
		Gaps      []gapWire      `json:"gaps"`
		Owners    []string       `json:"owners"`   // told after the second
		Channels  []string       `json:"channels"` // that took no test this week
	}
	rotaIn struct {
		People []string `json:"people"` // handles, addresses or ids
		Zone   string   `json:"zone,omitzero"`
		Day    string   `json:"day"`
		At     string   `json:"at"`
	}
	overrideIn struct {
		By        string `json:"by"`
		From      string `json:"from,omitzero"`
		Until     string `json:"until"`
		BackFrom  string `json:"back_from,omitzero"`
		BackUntil string `json:"back_until,omitzero"`
	}
)

// names of people as they are written: the handle, else the id of whoever has left.
type names []Person

func (n names) of(id string) string {
	for _, p := range n {
		if p.ID == id {
			return cmp.Or(p.Handle, p.ID)
		}
	}
	return id
}

func (n names) turn(t Turn) turnWire { return turnWire{n.of(t.Person), n.of(t.Instead)} }

func (n names) override(o *Override) overrideWire {
	return overrideWire{o.ID, o.Rota, o.From, o.Until, o.BackFrom, o.BackUntil, n.of(o.Of), n.of(o.By), !o.OfAgreed.IsZero(), !o.ByAgreed.IsZero(), o.Stands()}
}

func wire(b *Board) boardOut {
	n := names(b.People)
	out := boardOut{Rotas: []rotaWire{}, Ahead: []shiftWire{}, Overrides: []overrideWire{}, Gaps: []gapWire{}, Owners: []string{}, Channels: append([]string{}, b.Channels...)}
	for i := range b.Rotas {
		r := &b.Rotas[i]
		x := rotaWire{Rota: r.Name, Zone: r.Zone, Day: days[r.Day], At: r.Clock(), Changed: r.Changed, ChangedBy: r.ChangedBy}
		for _, id := range r.People {
			x.People = append(x.People, n.of(id))
		}
		out.Rotas = append(out.Rotas, x)
	}
	for _, s := range b.Ahead {
		out.Ahead = append(out.Ahead, shiftWire{s.From, s.Until, n.turn(s.First), n.turn(s.Second)})
	}
	for i := range b.Overrides {
		out.Overrides = append(out.Overrides, n.override(&b.Overrides[i]))
	}
	for _, g := range b.Gaps {
		out.Gaps = append(out.Gaps, gapWire{g.Rota, g.From, n.of(g.Person), g.Why})
	}
	for _, p := range b.People {
		if p.Owner {
			out.Owners = append(out.Owners, n.of(p.ID))
		}
	}
	return out
}

func (s *Service) getBoard(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	b, err := s.Board(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wire(&b))
}

func (s *Service) putRota(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchManage, object(r.PathValue("rota"))); err != nil { // before what is wrong with it
		return err
	}
	in, err := web.ReadJSON[rotaIn](r)
	if err != nil {
		return err
	}
	if err := s.Set(r.Context(), who, Wish{Rota: r.PathValue("rota"), People: in.People, Zone: in.Zone, Day: in.Day, At: in.At}); err != nil {
		return err
	}
	return s.getBoard(w, r, who)
}

func (s *Service) deleteRota(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Remove(r.Context(), who, r.PathValue("rota")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) postOverride(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, object(r.PathValue("rota"))); err != nil { // before what is wrong with it
		return err
	}
	in, err := web.ReadJSON[overrideIn](r)
	if err != nil {
		return err
	}
	o, err := s.Override(r.Context(), who, Ask{Rota: r.PathValue("rota"), By: in.By, From: in.From, Until: in.Until, BackFrom: in.BackFrom, BackUntil: in.BackUntil})
	return s.answer(w, r, &o, http.StatusCreated, err)
}

func (s *Service) postAgree(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	o, err := s.Agree(r.Context(), who, r.PathValue("id"))
	return s.answer(w, r, &o, http.StatusOK, err)
}

func (s *Service) answer(w http.ResponseWriter, r *http.Request, o *Override, status int, err error) error {
	if err != nil {
		return err
	}
	all, err := s.People(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, status, names(all).override(o))
}

func (s *Service) postDecline(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Decline(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
