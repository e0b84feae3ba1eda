package watch

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/watch/series"
	"writ/internal/web"
)

type (
	pointWire struct {
		At       time.Time `json:"at"`
		Value    float64   `json:"value"` // a sum, or a mean of levels
		Count    int64     `json:"count"`
		High     float64   `json:"high,omitzero"`
		P50      float64   `json:"p50,omitzero"`
		P95      float64   `json:"p95,omitzero"`
		P99      float64   `json:"p99,omitzero"`
		Observed float64   `json:"observed"` // the share of its time in which anybody looked
	}
	groupWire struct {
		Label string  `json:"label"`
		Value float64 `json:"value"`
		Count int64   `json:"count"`
		High  float64 `json:"high,omitzero"`
		P50   float64 `json:"p50,omitzero"`
		P95   float64 `json:"p95,omitzero"`
		P99   float64 `json:"p99,omitzero"`
		Error float64 `json:"error,omitzero"` // value is at least what it says, and at most so much more
	}
	seriesOut struct {
		Meter  string      `json:"meter"`
		Kind   string      `json:"kind"` // count, spread, level
		Unit   string      `json:"unit,omitempty"`
		By     string      `json:"by,omitempty"`
		Label  string      `json:"label,omitempty"`
		From   time.Time   `json:"from"`
		Until  time.Time   `json:"until"`
		Step   string      `json:"step"`
		Points []pointWire `json:"points"`
		Groups []groupWire `json:"groups"`
	}
	meterWire struct {
		Name       string   `json:"name"`
		Kind       string   `json:"kind"`
		Unit       string   `json:"unit,omitempty"`
		Says       string   `json:"says"`
		Dimensions []string `json:"dimensions"`
	}
	metersOut struct {
		Meters []meterWire `json:"meters"`
	}
)

var kindWords = map[series.Kind]string{series.Count: "count", series.Spread: "spread", series.Gauge: "level", series.Union: "different"}

func (s *Service) getSeries(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q, err := QuestionOf(r.URL.Query(), s.Now())
	if err != nil {
		return err
	}
	a, err := s.Look(r.Context(), who, q)
	if err != nil {
		return err
	}
	out := seriesOut{a.Meter, kindWords[a.Of.Kind], a.Of.Unit, a.By, a.Label, a.From, a.Until, a.Step.String(), []pointWire{}, []groupWire{}}
	for _, p := range a.Points {
		out.Points = append(out.Points, pointWire{p.At, p.Value, p.Count, p.High, p.P50, p.P95, p.P99, p.Observed})
	}
	for _, g := range a.Groups {
		out.Groups = append(out.Groups, groupWire{g.Label, g.Value, g.Count, g.High, g.P50, g.P95, g.P99, g.Error})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getMeters(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchRead, "watch/series"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	out := metersOut{}
	for _, m := range s.Catalogue() {
		out.Meters = append(out.Meters, meterWire{m.Name, kindWords[m.Kind], m.Unit, m.Says, m.Dimensions})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
