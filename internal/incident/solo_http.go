package incident

import (
	"net/http"
	"time"

	"writ/internal/actor"
)

type (
	aloneIn struct {
		Guard  string `json:"guard"`
		Reason string `json:"reason"`
	}
	waiverOut struct {
		Region string `json:"region"`
		Guard  string `json:"guard"`
		Asked  string `json:"asked_by"`
		Agreed string `json:"agreed_by,omitempty"` // "" = waits for a second person
		Reason string `json:"reason"`
	}
	soloOut struct {
		Guard    string     `json:"guard"`
		Person   string     `json:"person"`
		Asked    time.Time  `json:"others_asked"`
		From     *time.Time `json:"may_pass_from,omitempty"`
		Answerer string     `json:"answered_by,omitempty"`
		Passed   *time.Time `json:"passed_alone,omitempty"`
		Reason   string     `json:"reason"`
	}
)

func (s *Service) postAlone(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in aloneIn) (Case, error) {
		return s.PassAlone(r.Context(), who, ref, in.Guard, in.Reason)
	})
}

func wireWaivers(v View) []waiverOut {
	out := []waiverOut{}
	for _, w := range v.Waivers {
		out = append(out, waiverOut{string(w.Region), w.Guard, w.Asker, w.Other, w.Reason})
	}
	return out
}

func wireSolos(v View) []soloOut {
	out := []soloOut{}
	for _, x := range v.Solos {
		out = append(out, soloOut{x.Guard, x.Name, x.Asked, known(x.From), x.Answerer, known(x.Passed), x.Reason})
	}
	return out
}
