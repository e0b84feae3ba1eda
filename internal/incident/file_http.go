package incident

import (
	"mime"
	"net/http"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// FileLimit is what a request with a file may have: its bytes, and what is around them.
const FileLimit = maxFile*4/3 + 64<<10

type (
	fileIn struct {
		Name    string `json:"name"`
		Content []byte `json:"content"` // base64
	}
	fileOut struct {
		ID   string    `json:"id"`
		Name string    `json:"name"`
		Kind string    `json:"kind"`
		Size int64     `json:"size"`
		Hash string    `json:"sha256"`
		By   string    `json:"by"`
		At   time.Time `json:"at"`
	}
)

func wireFiles(all []File) []fileOut {
	out := []fileOut{}
	for _, f := range all {
		out = append(out, fileOut{f.ID, f.Name, f.Kind, f.Size, f.Hash, f.By, f.At})
	}
	return out
}

func (s *Service) postFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return acted(w, r, func(ref string, in fileIn) (Case, error) { return s.Attach(r.Context(), who, ref, in.Name, in.Content) })
}

func (s *Service) getFile(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, body, err := s.Fetch(r.Context(), who, r.PathValue("ref"), r.PathValue("id"))
	if err != nil {
		return err
	}
	return WriteFile(w, f, body)
}

// WriteFile answers with a file as something to keep: whatever it is, no browser shows it.
func WriteFile(w http.ResponseWriter, f File, body secret.Bytes) error {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.Name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	_, err := w.Write(body.Reveal())
	return err
}

func (s *Service) getWhole(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ref := r.PathValue("ref")
	return s.Bundle(r.Context(), who, ref, web.Zip(w, "incident-"+strings.ToLower(ref)+".zip"))
}
