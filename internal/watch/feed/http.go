package feed

import (
	"context"
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// Standing is how it stands with a receiver. It holds no address: that may name what is secret.
type Standing struct {
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`
	Taken   int64     `json:"taken"`   // entries
	Dropped int64     `json:"dropped"` // that it refused for good
	Next    int64     `json:"next"`    // the number of the entry that comes next
	At      time.Time `json:"at,omitzero"`
	Waits   time.Time `json:"waits_since,omitzero"` // of the oldest entry that was not taken
	Problem string    `json:"problem,omitempty"`
}

// Standings lists the receivers.
func (s *Service) Standings(ctx context.Context) ([]Standing, error) {
	out := []Standing{}
	for _, t := range s.targets {
		r, err := t.row(ctx)
		if err != nil {
			return nil, err
		}
		st := Standing{Name: t.Name, Kind: t.Kind, Taken: r.taken, Dropped: r.dropped, Next: r.next, At: r.at}
		if r.at.UnixMicro() == 0 {
			st.At = time.Time{}
		}
		t.mu.Lock()
		st.Waits, st.Problem = t.waits, t.problem
		t.mu.Unlock()
		out = append(out, st)
	}
	return out, nil
}

type exportsOut struct {
	Exports []Standing `json:"exports"`
}

// Routes are the doors of the feed.
func (s *Service) Routes() []web.Route {
	return []web.Route{{Pattern: "GET /-/api/v1/watch/exports", Who: web.Staff, Tokens: true, Handle: s.getExports,
		Doc: web.Doc{Summary: "Where entries and measurements are sent, and how far", Tag: "watch", Out: exportsOut{}, Errors: []string{"denied"}}}}
}

func (s *Service) getExports(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Access.Allow(r.Context(), who, access.WatchRead, "watch/exports"); err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	out, err := s.Standings(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, exportsOut{out})
}
