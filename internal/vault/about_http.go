package vault

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// aboutRoutes are what is said about names, the search, and what compares and goes back.
func aboutRoutes(s *Service, on func(string, web.Handler, web.Doc) web.Route) []web.Route {
	const v1 = "/-/api/v1/vault/"
	return []web.Route{
		on("GET "+v1+"about", s.getAbout, web.Doc{Summary: "What holds for a name or a path: owner, clause, rotation, critical, sensitive", Query: []string{"name"}, Out: aboutOut{}, Errors: []string{"path_invalid"}}),
		on("POST "+v1+"about", s.postAbout, web.Doc{Summary: "Say something about a name, or about all names below a path", In: saidIn{}, Out: aboutOut{}, Errors: []string{"plain_below", "owner_unknown", "clause_form", "rotation_days"}}),
		on("GET "+v1+"search", s.getSearch, web.Doc{Summary: "Look for parameters by everything but their values",
			Query: []string{"path", "name", "type", "tag", "owner", "clause", "critical", "sensitive", "due", "unchanged_days", "changed_days", "older_days", "newer_days", "unread_days", "read_days", "after"}, Out: searchOut{}, Errors: []string{"search_form", "type_unknown"}}),
		on("GET "+v1+"diff", s.getDiff, web.Doc{Summary: "Compare two versions without showing their values; the comparison is recorded", Query: []string{"name", "from", "to"}, Out: diffOut{}, Errors: []string{"param_unknown", "version_unknown"}}),
		on("POST "+v1+"rollback-path", s.postRollbackPath, web.Doc{Summary: "Make all values under a path those of a time, in one change", In: rollbackPathIn{}, Out: rollbackPathOut{}, Errors: []string{"time_future", "version_dropped", "path_wide"}}),
	}
}

type (
	saidIn struct {
		Name      string  `json:"name"`
		Owner     *string `json:"owner,omitzero"` // kind/id; "" = nobody
		Clause    *string `json:"clause,omitzero"`
		Rotation  *int64  `json:"rotation_days,omitzero"` // 0 = never
		Critical  *bool   `json:"critical,omitzero"`
		Sensitive *bool   `json:"sensitive,omitzero"`
	}
	aboutOut struct {
		Name      string `json:"name"`
		Owner     string `json:"owner,omitempty"`
		Clause    string `json:"clause,omitempty"`
		Rotation  int64  `json:"rotation_days,omitempty"`
		Critical  bool   `json:"critical"`
		Sensitive bool   `json:"sensitive"`
	}
	foundWire struct {
		paramWire
		Owner     string    `json:"owner,omitempty"`
		Clause    string    `json:"clause,omitempty"`
		Critical  bool      `json:"critical"`
		Sensitive bool      `json:"sensitive"`
		Made      time.Time `json:"made"`
		Due       time.Time `json:"due,omitzero"`
		Read      time.Time `json:"read,omitzero"` // when it was last given to anybody
	}
	searchOut struct {
		Params []foundWire `json:"params"`
		Next   string      `json:"next,omitempty"`
	}
	diffOut struct {
		Name      string   `json:"name"`
		From      int64    `json:"from"`
		To        int64    `json:"to"`
		Same      bool     `json:"same"`
		FromBytes int      `json:"from_bytes"`
		ToBytes   int      `json:"to_bytes"`
		Changed   []string `json:"changed"` // besides the value
	}
	rollbackPathIn struct {
		Path string    `json:"path"`
		To   time.Time `json:"to"`
	}
	returnedWire struct {
		Name    string `json:"name"`
		From    int64  `json:"from"`
		Version int64  `json:"version"`
	}
	rollbackPathOut struct {
		Changed []returnedWire `json:"changed"`
		Same    int            `json:"same"`
		Newer   []string       `json:"newer"` // made since; they stay
	}
)

func wireAbout(a About) aboutOut {
	return aboutOut(a)
}

func (s *Service) getAbout(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	a, err := s.AboutOf(r.Context(), who, r.URL.Query().Get("name"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireAbout(a))
}

func (s *Service) postAbout(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[saidIn](r)
	if err != nil {
		return err
	}
	a, err := s.SetAbout(r.Context(), who, in.Name, AboutChange{in.Owner, in.Clause, in.Rotation, in.Critical, in.Sensitive})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, wireAbout(a))
}

// readSearch reads what is looked for out of a query.
func readSearch(q url.Values, now time.Time) (Search, error) {
	f := Search{Path: q.Get("path"), Name: q.Get("name"), Types: q["type"], Owner: q.Get("owner"), Clause: q.Get("clause"), Tags: map[string]string{}}
	for _, t := range q["tag"] {
		name, value, _ := strings.Cut(t, "=")
		f.Tags[name] = value
	}
	bad := func(field string) error {
		return fault.New(fault.Invalid, "search_form", fault.Public{Problem: field + " is not readable.", Expected: "true for yes, and a number of days from 1 to 36500."})
	}
	for field, to := range map[string]*bool{"critical": &f.Critical, "sensitive": &f.Sensitive, "due": &f.Due} {
		if v := q.Get(field); v != "" && v != "true" && v != "false" {
			return Search{}, bad(field)
		}
		*to = q.Get(field) == "true"
	}
	for field, to := range map[string]*time.Time{"unchanged_days": &f.ChangedBefore, "changed_days": &f.ChangedAfter, "older_days": &f.MadeBefore, "newer_days": &f.MadeAfter, "unread_days": &f.ReadBefore, "read_days": &f.ReadAfter} {
		if !q.Has(field) {
			continue
		}
		n, err := strconv.Atoi(q.Get(field))
		if err != nil || n < 1 || n > 36500 {
			return Search{}, bad(field)
		}
		*to = now.AddDate(0, 0, -n)
	}
	return f, nil
}

func (s *Service) getSearch(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	f, err := readSearch(r.URL.Query(), s.Now())
	if err != nil {
		return err
	}
	ds, next, err := s.Search(r.Context(), who, f, Page{After: r.URL.Query().Get("after"), Max: maxPage})
	if err != nil {
		return err
	}
	out := searchOut{Params: []foundWire{}, Next: next}
	for _, d := range ds {
		out.Params = append(out.Params, foundWire{wireParam(d.Param), d.Owner, d.Clause, d.Critical, d.Sensitive, d.Made, d.Due, d.Read})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getDiff(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := r.URL.Query()
	var vs [2]int64
	for i, field := range []string{"from", "to"} {
		n, err := strconv.ParseInt("0"+q.Get(field), 10, 64)
		if err != nil {
			n = -1 // Diff says what is wrong with it, after the right was asked for
		}
		vs[i] = n
	}
	d, err := s.Diff(r.Context(), who, q.Get("name"), vs[0], vs[1])
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, diffOut{d.Name, d.From, d.To, d.Same, d.FromLen, d.ToLen, slices.Concat([]string{}, d.Changed)})
}

func (s *Service) postRollbackPath(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[rollbackPathIn](r)
	if err != nil {
		return err
	}
	b, err := s.RollbackPath(r.Context(), who, in.Path, in.To)
	if err != nil {
		return err
	}
	out := rollbackPathOut{[]returnedWire{}, b.Same, slices.Concat([]string{}, b.Newer)}
	for _, c := range b.Changed {
		out.Changed = append(out.Changed, returnedWire(c))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}
