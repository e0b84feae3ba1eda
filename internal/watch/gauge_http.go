package watch

import (
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

type (
	boundWire struct {
		Way      string  `json:"way"` // above, below
		At       float64 `json:"at"`
		Clear    float64 `json:"clear"`
		For      string  `json:"for,omitzero"`      // 5m; empty = at once
		Severity string  `json:"severity,omitzero"` // page, ticket, notice; empty = ticket
	}
	gaugeWire struct {
		Name   string      `json:"name"`
		Kind   string      `json:"kind"`
		Unit   string      `json:"unit"`
		Says   string      `json:"says"`
		Every  string      `json:"every"`
		Bounds []boundWire `json:"bounds"`
		Last   time.Time   `json:"last,omitzero"` // when the newest sample came
	}
	gaugesOut struct {
		Meters []gaugeWire `json:"meters"`
	}
	gaugeIn struct {
		Kind   string      `json:"kind"` // count, spread, level
		Unit   string      `json:"unit,omitzero"`
		Says   string      `json:"says"`
		Every  string      `json:"every"` // 1m
		Bounds []boundWire `json:"bounds,omitzero"`
	}
)

func wireGauge(g *Gauge) gaugeWire {
	out := gaugeWire{g.Name, g.Kind, g.Unit, g.Says, g.Every.String(), []boundWire{}, g.Last}
	for _, b := range g.Bounds {
		out.Bounds = append(out.Bounds, boundWire{b.Way, b.At, b.Clear, b.For.String(), b.Severity})
	}
	return out
}

// gaugeRoutes are the doors of the meters of one's own and their samples.
func (s *Service) gaugeRoutes(on func(string, bool, web.Handler, web.Doc) web.Route) []web.Route {
	const at = "/-/api/v1/watch/meters/own"
	push := on("POST /-/api/v1/samples", true, s.postSamples, web.Doc{Summary: "Push samples of meters that are declared: all are taken, or none", In: samplesIn{}, Out: samplesOut{}, Status: http.StatusAccepted, Errors: []string{"meter_unknown", "sample_value", "sample_at", "sample_of", "samples_too_many", "samples_too_fast"}})
	push.Limit = sampleBytes
	return []web.Route{push,
		on("GET "+at, true, s.getGauges, web.Doc{Summary: "Meters that you declared", Out: gaugesOut{}}),
		on("PUT "+at+"/{name}", false, s.putGauge, web.Doc{Summary: "Declare a meter, or change its interval and bounds", In: gaugeIn{}, Out: gaugeWire{}, Errors: []string{"watch_name", "watch_kind", "watch_unit", "watch_says", "watch_every", "watch_bounds", "meter_other", "meters_full"}}),
		on("DELETE "+at+"/{name}", false, s.deleteGauge, web.Doc{Summary: "Remove such a meter; what was counted stays", Errors: []string{"meter_unknown"}}),
	}
}

func (s *Service) getGauges(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	gs, err := s.Gauges(r.Context(), who)
	if err != nil {
		return err
	}
	out := gaugesOut{Meters: []gaugeWire{}}
	for i := range gs {
		out.Meters = append(out.Meters, wireGauge(&gs[i]))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) putGauge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchManage, gaugeThing(r.PathValue("name"))); err != nil { // before what is wrong with it
		return err
	}
	in, err := web.ReadJSON[gaugeIn](r)
	if err != nil {
		return err
	}
	g := Gauge{Name: r.PathValue("name"), Kind: in.Kind, Unit: in.Unit, Says: in.Says}
	if g.Every, err = time.ParseDuration(in.Every); err != nil {
		return bad("every", "The interval cannot be read.", "A time such as 1m.")
	}
	for _, b := range in.Bounds {
		x := Bound{Way: b.Way, At: b.At, Clear: b.Clear, Severity: b.Severity}
		if b.For != "" {
			if x.For, err = time.ParseDuration(b.For); err != nil {
				return bad("bounds", "How long a bound holds cannot be read.", "A time such as 5m.")
			}
		}
		g.Bounds = append(g.Bounds, x)
	}
	g, err = s.SetGauge(r.Context(), who, g)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireGauge(&g))
}

func (s *Service) deleteGauge(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.RemoveGauge(r.Context(), who, r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
