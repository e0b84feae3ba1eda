package transfer

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// Routes are the doors for bringing values in and out.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/"
	on := func(pattern string, limit int64, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.SignedIn, Limit: limit, Handle: h, Doc: d}
	}
	return []web.Route{
		on("POST "+v1+"imports", 3*maxFile, s.postImport, web.Doc{Summary: "Bring the values of a file in, all or none; or say what that would do", In: importIn{}, Out: importOut{}, Errors: []string{"import_file", "import_form", "import_many"}}),
		on("GET "+v1+"exports", 0, s.getExports, web.Doc{Summary: "Exports that were asked for", Out: exportsOut{}}),
		on("POST "+v1+"exports", 0, s.postExport, web.Doc{Summary: "Ask for the values under a path; another person must agree", In: askIn{}, Out: exportWire{}, Status: http.StatusCreated, Errors: []string{"export_reason", "path_not_rooted"}}),
		on("POST "+v1+"exports/{id}/approve", 0, s.postAgree, web.Doc{Summary: "Agree to somebody else's export", In: struct{}{}, Errors: []string{"export_unknown", "own_export", "export_over", "person_needed"}}),
		on("POST "+v1+"exports/{id}/take", 0, s.postTake, web.Doc{Summary: "Take the values, once", In: struct{}{}, Out: takenOut{}, Errors: []string{"export_unknown", "not_agreed", "export_over"}}),
	}
}

type (
	importIn struct {
		Form      string      `json:"form"`
		Path      string      `json:"path,omitzero"`
		Text      secret.Text `json:"text"`
		Overwrite bool        `json:"overwrite,omitzero"`
		Plain     bool        `json:"plain,omitzero"`
		Dry       bool        `json:"dry_run,omitzero"`
	}
	rowWire struct {
		Key     string `json:"key"`
		Name    string `json:"name,omitempty"`
		Does    string `json:"does"` // new, version, refused
		Version int64  `json:"version,omitempty"`
		Problem string `json:"problem,omitempty"`
	}
	importOut struct {
		Rows []rowWire `json:"rows"`
		Done bool      `json:"done"` // false: nothing was written
	}
	exportWire struct {
		ID       string    `json:"id"`
		Path     string    `json:"path"`
		Reason   string    `json:"reason"`
		Asker    string    `json:"asker"`
		Approver string    `json:"approver,omitempty"`
		Asked    time.Time `json:"asked"`
		Approved time.Time `json:"approved,omitzero"`
		Taken    time.Time `json:"taken,omitzero"`
	}
	exportsOut struct {
		Exports []exportWire `json:"exports"`
	}
	askIn struct {
		Path   string `json:"path"`
		Reason string `json:"reason"`
	}
	namedWire struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	takenOut struct {
		Values []namedWire `json:"values"`
	}
)

func (s *Service) postImport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[importIn](r)
	if err != nil {
		return err
	}
	rows, done, err := s.Import(r.Context(), who, Import(in))
	if err != nil {
		return err
	}
	out := importOut{Rows: []rowWire{}, Done: done}
	for _, x := range rows {
		out.Rows = append(out.Rows, rowWire(x))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getExports(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	es, err := s.Exports(r.Context(), who)
	if err != nil {
		return err
	}
	out := exportsOut{Exports: []exportWire{}}
	for _, e := range es {
		out.Exports = append(out.Exports, wireExport(e))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func wireExport(e Export) exportWire {
	return exportWire(e)
}

func (s *Service) postExport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[askIn](r)
	if err != nil {
		return err
	}
	e, err := s.Ask(r.Context(), who, in.Path, in.Reason)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireExport(e))
}

func (s *Service) postAgree(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Agree(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) postTake(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	vs, err := s.Take(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	out := takenOut{Values: []namedWire{}}
	for _, v := range vs {
		out.Values = append(out.Values, namedWire{v.Name, v.Value.Reveal()})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
