package watch

import (
	"math"
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

type (
	baselineWire struct {
		Series   string    `json:"series"`
		Unit     string    `json:"unit,omitzero"`
		Hourly   bool      `json:"hourly,omitzero"` // hours are compared, not minutes
		Days     int       `json:"days"`            // learned
		Known    bool      `json:"known"`           // enough to judge
		At       time.Time `json:"at"`
		Value    float64   `json:"value"`
		Low      float64   `json:"low"`
		Expected float64   `json:"expected"`
		High     *float64  `json:"high"`  // null: no bound
		Above    float64   `json:"above"` // 1 = the edge of what is usual
		Below    float64   `json:"below"`
		Drift    float64   `json:"drift"` // factor against four weeks ago
	}
	baselinesOut struct {
		Days      int            `json:"days"` // learned of the requests
		Need      int            `json:"need"` // before anything is judged
		NoRoom    int64          `json:"no_room"`
		People    int64          `json:"people"` // whose habits are in memory
		Unbound   []string       `json:"unbound"`
		Baselines []baselineWire `json:"baselines"`
	}
	acceptIn struct {
		Series string `json:"series"`
		Reason string `json:"reason"`
	}
)

func (s *Service) getBaselines(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	us, g, err := s.Usuals(r.Context(), who)
	if err != nil {
		return err
	}
	out := baselinesOut{Days: g.Days, Need: g.Need, NoRoom: g.Full, People: g.People, Unbound: g.Unbound, Baselines: []baselineWire{}}
	for _, u := range us {
		b := baselineWire{u.Series, u.Unit, u.Hourly, u.Days, u.Known, u.At, u.Value, u.Low, u.Expected, &u.High, u.Above, u.Below, u.Drift}
		if math.IsInf(u.High, 0) {
			b.High = nil
		}
		out.Baselines = append(out.Baselines, b)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postAccept(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[acceptIn](r)
	if err != nil {
		return err
	}
	if err := s.Access.Allow(r.Context(), who, access.WatchAct, "watch/usual"); err != nil { // before what is wrong with it
		return err
	}
	if err := s.AcceptUsual(r.Context(), who, in.Series, in.Reason); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
