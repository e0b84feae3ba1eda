package watch

import (
	"net/http"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

type (
	muteWire struct {
		Name   string   `json:"name"`
		Days   []string `json:"days"`
		From   string   `json:"from"`
		To     string   `json:"to"`
		Zone   string   `json:"zone"`
		MadeBy string   `json:"made_by"`
	}
	mutesOut struct {
		Mutes []muteWire `json:"mutes"`
	}
	muteIn struct {
		Days   []string `json:"days,omitzero"` // empty: every day
		From   string   `json:"from"`
		To     string   `json:"to"`
		Zone   string   `json:"zone,omitzero"`
		Reason string   `json:"reason"`
	}
)

func wireMute(m *Mute) muteWire {
	return muteWire{m.Name, m.DayNames(), minuteText(m.From), minuteText(m.To), m.Zone, m.MadeBy}
}

func (s *Service) getMutes(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ms, err := s.Mutes(r.Context(), who)
	if err != nil {
		return err
	}
	out := mutesOut{Mutes: []muteWire{}}
	for i := range ms {
		out.Mutes = append(out.Mutes, wireMute(&ms[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) putMute(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchManage, "watch/mutes"); err != nil { // before what is wrong with it
		return err
	}
	in, err := web.ReadJSON[muteIn](r)
	if err != nil {
		return err
	}
	m, err := s.SetMute(r.Context(), who, MuteWish{Name: r.PathValue("name"), Days: in.Days, From: in.From, To: in.To, Zone: in.Zone, Reason: in.Reason})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireMute(&m))
}

func (s *Service) deleteMute(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RemoveMute(r.Context(), who, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
