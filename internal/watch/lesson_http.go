package watch

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/web"
)

type (
	lessonWire struct {
		Incident string    `json:"incident"`
		Name     string    `json:"name"`
		Kept     time.Time `json:"kept"`
		From     time.Time `json:"from,omitzero"` // of its events
		Until    time.Time `json:"until,omitzero"`
		Events   int64     `json:"events"`
		Missed   int64     `json:"missed,omitzero"` // that found no room
		SHA256   string    `json:"sha256"`
		Erased   bool      `json:"erased,omitzero"`
		Told     []string  `json:"told"` // rules whose alarms told of it
		Seen     []string  `json:"seen"` // rules of one's own that fire on it today
	}
	lessonsOut struct {
		Lessons []lessonWire `json:"lessons"`
	}
)

func (s *Service) getLessons(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ls, err := s.Lessons(r.Context(), who)
	if err != nil {
		return err
	}
	out := lessonsOut{Lessons: []lessonWire{}}
	for i := range ls {
		l := &ls[i]
		x := lessonWire{l.Incident, l.Name, l.At, l.From, l.Until, l.Events, l.Missed, l.SHA256, l.Erased, append([]string{}, l.Alarms...), []string{}}
		for _, r := range l.Seen {
			x.Seen = append(x.Seen, r.ID)
		}
		out.Lessons = append(out.Lessons, x)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
