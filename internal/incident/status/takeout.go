package status

import (
	"context"
	"maps"
	"net/http"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/web"
)

// Taken is a copy of the page as it is now, with what proves it.
type Taken struct {
	Files  map[string][]byte
	SHA256 string // of the sums, as in the entry
}

// Take makes a copy of the page now, for who may keep it.
func (s *Service) Take(ctx context.Context, who actor.Actor) (Taken, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/export"); err != nil {
		return Taken{}, err
	}
	if err := s.Refresh(ctx); err != nil {
		return Taken{}, err
	}
	files, err := s.shown.Load().world.portable()
	if err != nil {
		return Taken{}, err
	}
	sum, proof, err := s.proved(ctx, files)
	if err != nil {
		return Taken{}, err
	}
	maps.Copy(files, proof)
	out := Taken{Files: map[string][]byte{}, SHA256: sum}
	for name, f := range files {
		out.Files[name] = f.body
	}
	return out, nil
}

type takenOut struct {
	SHA256 string            `json:"sha256"`
	Files  map[string][]byte `json:"files"` // by their names; base64
}

func (s *Service) postExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	x, err := s.Take(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, takenOut{x.SHA256, x.Files})
}
