package identity

import (
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/identity/legacy"
	"writ/internal/secret"
	"writ/internal/web"
)

// importRoutes bring people over. Rows hold hashes: they are in the body alone, are kept
// by nobody, and no token reaches these routes.
func (s *Service) importRoutes() []web.Route {
	const v1 = "/-/api/v1/"
	rs := []web.Route{
		{Pattern: "GET " + v1 + "imports", Handle: s.getImports, Doc: web.Doc{Summary: "By format, how many people still have a hash from another system", Out: burnDownOut{}}},
		{Pattern: "POST " + v1 + "imports", Handle: s.postImport, Doc: web.Doc{Summary: "Begin to bring people over; a template is proved by the test pair, or found from it", In: importIn{}, Out: importOut{}, Status: 201,
			Errors: []string{"template", "pair_needed", "pair_weak", "pair_wrong", "template_unproved", "template_unknown", "template_ambiguous", "team_unknown"}}},
		{Pattern: "POST " + v1 + "imports/{id}/rows", Handle: s.postImportRows, Limit: 1 << 20, Time: 10 * time.Minute, Doc: web.Doc{Summary: "Bring up to 200 rows over; with dry_run say what would come of them", In: rowsIn{}, Out: rowsOut{},
			Errors: []string{"too_many_rows", "no_import", "import_ended"}}},
		{Pattern: "POST " + v1 + "imports/{id}/end", Handle: s.postImportEnd, Doc: web.Doc{Summary: "End the run and record its counts", Out: importOut{}, Errors: []string{"no_import", "import_ended"}}},
	}
	for i := range rs {
		rs[i].Who = web.Staff
	}
	return rs
}

type (
	pairIn struct {
		Password secret.Text `json:"password"`
		Hash     secret.Text `json:"hash"`
		Salt     secret.Text `json:"salt,omitzero"`
	}
	importIn struct {
		Template string `json:"template,omitzero"` // {SALT}{PASSWORD}, with separators
		Salt     string `json:"salt,omitzero"`     // utf8, hex, base64
		Digest   string `json:"digest,omitzero"`   // hex, base64
		Pair     pairIn `json:"pair,omitzero"`
		Team     string `json:"team,omitzero"`
	}
	importOut struct {
		ID      string    `json:"id"`
		Spec    string    `json:"spec,omitempty"`
		Team    string    `json:"team,omitempty"`
		Begun   time.Time `json:"begun"`
		Ended   time.Time `json:"ended,omitzero"`
		Made    int64     `json:"made"`
		Reset   int64     `json:"reset"`
		Known   int64     `json:"known"`
		Refused int64     `json:"refused"`
	}
	rowIn struct {
		Line  int         `json:"line"`
		Email string      `json:"email"`
		Name  string      `json:"name,omitzero"`
		Hash  secret.Text `json:"hash,omitzero"`
		Salt  secret.Text `json:"salt,omitzero"`
	}
	rowsIn struct {
		Rows   []rowIn `json:"rows"`
		DryRun bool    `json:"dry_run,omitzero"`
	}
	rowWire struct {
		Line    int    `json:"line"`
		Outcome string `json:"outcome"` // made, reset, known, refused
		Format  string `json:"format,omitempty"`
		Code    string `json:"code,omitempty"`
		Problem string `json:"problem,omitempty"`
	}
	rowsOut struct {
		Rows []rowWire `json:"rows"`
	}
	burnDownWire struct {
		Format  string `json:"format"`
		People  int64  `json:"people"`
		Waiting int64  `json:"waiting"`
		Direct  int64  `json:"direct"`
		Expired int64  `json:"expired"`
		Reset   int64  `json:"reset"`
	}
	burnDownOut struct {
		Formats []burnDownWire `json:"formats"`
	}
)

func wireImport(im Import) importOut {
	return importOut(im)
}

func (s *Service) getImports(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	bs, err := s.BurnDowns(r.Context(), who)
	if err != nil {
		return err
	}
	out := burnDownOut{Formats: []burnDownWire{}}
	for _, b := range bs {
		out.Formats = append(out.Formats, burnDownWire(b))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postImport(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[importIn](r)
	if err != nil {
		return err
	}
	im, err := s.BeginImport(r.Context(), who, NewImport{Template: in.Template, SaltWay: in.Salt, DigestWay: in.Digest, Pair: legacy.Pair(in.Pair), Team: in.Team})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, wireImport(im))
}

func (s *Service) postImportRows(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[rowsIn](r)
	if err != nil {
		return err
	}
	rows := make([]ImportRow, len(in.Rows))
	for i, x := range in.Rows {
		rows[i] = ImportRow(x)
	}
	rs, err := s.ImportRows(r.Context(), who, r.PathValue("id"), rows, in.DryRun)
	if err != nil {
		return err
	}
	out := rowsOut{Rows: make([]rowWire, len(rs))}
	for i, x := range rs {
		out.Rows[i] = rowWire(x)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postImportEnd(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	im, err := s.EndImport(r.Context(), who, r.PathValue("id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireImport(im))
}
