package incident

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

type (
	drillIn struct {
		Kind string `json:"kind"`
		With string `json:"with,omitempty"`
		Play bool   `json:"play,omitempty"`
	}
	playedOut struct {
		caseOut
		Says  string `json:"says"`
		Waits bool   `json:"waits"`
		Done  bool   `json:"done"`
	}
	scoredOut struct {
		Ref   string    `json:"ref"`
		Ended time.Time `json:"ended"`
		Score
	}
	scoresOut struct {
		Drills []scoredOut `json:"drills"`
	}
)

func (s *Service) postDrill(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[drillIn](r)
	if err != nil {
		return err
	}
	c, err := s.Drill(r.Context(), who, NewDrill(in))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireCase(c))
}

func (s *Service) postPlay(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := s.Play(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, playedOut{wireCase(p.Case), p.Says, p.Waits, p.Done})
}

func (s *Service) postFollowed(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	c, err := s.Followed(r.Context(), who, r.PathValue("ref"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireCase(c))
}

func (s *Service) getDrills(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	all, err := s.Scores(r.Context(), who)
	if err != nil {
		return err
	}
	out := scoresOut{Drills: []scoredOut{}}
	for _, x := range all {
		out.Drills = append(out.Drills, scoredOut(x))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
