package incident

import (
	"net/http"
	"time"

	"writ/internal/actor"
)

type (
	forecastOut struct { // minutes from declared to resolved; 0 = too little history
		Kinds  []string   `json:"kinds"`
		Past   int        `json:"past"` // closed incidents and drills of the kind, of the last 200
		Enough bool       `json:"enough"`
		Median float64    `json:"median_minutes"`
		From   float64    `json:"from_minutes"` // eight of ten: from
		To     float64    `json:"to_minutes"`   // to
		Back   *time.Time `json:"back,omitempty"`
		Says   string     `json:"says"`
	}
	linkIn struct {
		Kind   string `json:"kind"`
		To     string `json:"to"`
		Reason string `json:"reason,omitempty"`
	}
	linkOut struct {
		Kind  string `json:"kind"` // caused-by, causes, related
		Ref   string `json:"ref"`
		Title string `json:"title"`
		State string `json:"state"`
	}
	similarOut struct {
		Ref   string   `json:"ref"`
		Title string   `json:"title"`
		State string   `json:"state"`
		Why   []string `json:"why"`
	}
)

// wirePast says what came of other incidents, as far as it concerns this one.
func (out *viewOut) wirePast(v View) {
	out.Past = wireRehearsal(v.Past)
	for _, l := range v.Links {
		out.Links = append(out.Links, linkOut{l.Kind, l.Case.Ref(), l.Case.Title, l.Case.State()})
	}
	for _, x := range v.Similar {
		out.Similar = append(out.Similar, similarOut{x.Case.Ref(), x.Case.Title, x.Case.State(), x.Why})
	}
	if f := v.Forecast; len(f.Kinds) > 0 {
		out.Forecast = &forecastOut{f.Kinds, f.Past, f.Enough(), f.Median.Minutes(), f.From.Minutes(), f.To.Minutes(), known(f.Back), f.Says()}
	}
}

func (s *Service) postLink(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in linkIn) (Case, error) {
		return s.Bind(r.Context(), who, ref, in.Kind, in.To, in.Reason)
	})
}
