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

		From  string `json:"from,omitempty"`
		Speed int64  `json:"speed,omitempty"`
	}
	playedOut struct {
		caseOut
		Says  string `json:"says"`
		Waits bool   `json:"waits"`
		Done  bool   `json:"done"`
	}
	factOut struct {
		After int64  `json:"after_seconds"` // it was declared, then
		Kind  string `json:"kind"`          // signal, note, public
		Says  string `json:"says"`
	}
	rehearsalOut struct {
		Of    string    `json:"of"`
		Speed int64     `json:"speed"`
		Known []factOut `json:"known"` // by now
		More  int       `json:"to_come"`
		Next  int64     `json:"next_in_seconds,omitempty"`

		Compared []Compared `json:"compared,omitempty"` // once it is scored
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

func wireRehearsal(x *Rehearsal) *rehearsalOut {
	if x == nil {
		return nil
	}
	out := &rehearsalOut{Of: x.Of, Speed: x.Speed, Known: []factOut{}, More: x.More, Next: int64(x.Next / time.Second), Compared: x.Compared}
	for _, f := range x.Known {
		out.Known = append(out.Known, factOut{int64(f.After / time.Second), f.Kind, f.Says})
	}
	return out
}
