package vault

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/secret"
	"writ/internal/web"
)

// Routes are the vault's own doors for people and programs; the wire of other clients is
// package ssm.
func (s *Service) Routes() []web.Route {
	const v1 = "/-/api/v1/vault/"
	on := func(pattern string, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.SignedIn, Tokens: true, Limit: 64 << 10, Handle: h, Doc: d}
	}
	key := func(r web.Route) web.Route {
		r.Tokens = false
		return r
	}
	return slices.Concat(s.deliverRoutes(), aboutRoutes(s, on), plantRoutes(s, on), []web.Route{
		on("GET "+v1+"params", s.getParams, web.Doc{Summary: "Names under a path, without values", Query: []string{"path", "after"}, Out: paramsOut{}, Errors: []string{"path_invalid", "outside_path"}}),
		on("POST "+v1+"params", s.postParam, web.Doc{Summary: "Write a new version of a parameter", In: paramIn{}, Out: doneOut{}, Status: 201,
			Errors: []string{"param_exists", "type_needed", "type_changed", "value_empty", "value_long", "pattern_mismatch"}}),
		on("POST "+v1+"read", s.postRead, web.Doc{Summary: "Read a value; the read is recorded before it is answered", In: readIn{}, Out: valueOut{}, Errors: []string{"param_unknown", "version_unknown", "outside_path"}}),
		on("POST "+v1+"run", s.postRun, web.Doc{Summary: "Read all values under a path, for a program that starts", In: runIn{}, Out: runOut{}, Errors: []string{"path_invalid", "path_wide", "outside_path"}}),
		on("GET "+v1+"versions", s.getVersions, web.Doc{Summary: "The versions of a parameter, without values", Query: []string{"name"}, Out: versionsOut{}, Errors: []string{"param_unknown"}}),
		on("POST "+v1+"rollback", s.postRollback, web.Doc{Summary: "Make an earlier version the newest", In: rollbackIn{}, Out: doneOut{}, Errors: []string{"param_unknown", "version_unknown"}}),
		on("DELETE "+v1+"params", s.deleteParam, web.Doc{Summary: "Remove a parameter with all its versions", Query: []string{"name"}, Errors: []string{"param_unknown"}}),
		on("GET "+v1+"seen", s.getSeen, web.Doc{Summary: "What somebody saw and what has not changed since", Query: []string{"who"}, Out: seenOut{}, Errors: []string{"seen_who"}}),
		key(on("GET "+v1+"grants", s.getGrants, web.Doc{Summary: "The live grants of paths to people", Out: grantsOut{}})),
		key(on("POST "+v1+"grants", s.postGrant, web.Doc{Summary: "Let a person read or write under a path until an end", In: grantIn{}, Out: grantWire{}, Status: 201, Errors: []string{"path_invalid", "rights_unknown", "reason_needed", "grant_life", "own_grant", "other_team"}})),
		key(on("DELETE "+v1+"grants/{id}", s.deleteGrant, web.Doc{Summary: "Take a grant back at once", Errors: []string{"grant_unknown"}})),
		key(on("GET "+v1+"keys", s.getKeys, web.Doc{Summary: "The access keys of the team", Out: keysOut{}})),
		key(on("POST "+v1+"keys", s.postKey, web.Doc{Summary: "Make an access key; its secret is shown this once", In: keyIn{}, Out: issuedOut{}, Status: 201, Errors: []string{"path_invalid", "key_life", "person_needed"}})),
		key(on("DELETE "+v1+"keys/{id}", s.deleteKey, web.Doc{Summary: "End an access key at once", Errors: []string{"key_unknown"}})),
	})
}

type (
	paramWire struct {
		Name        string    `json:"name"`
		Type        string    `json:"type"`
		Version     int64     `json:"version"`
		Tier        string    `json:"tier"`
		Description string    `json:"description,omitempty"`
		Labels      []string  `json:"labels,omitempty"`
		Changed     time.Time `json:"changed"`
		By          string    `json:"by"`
	}
	paramsOut struct {
		Params []paramWire `json:"params"`
		Next   string      `json:"next,omitempty"`
	}
	paramIn struct {
		Name        string      `json:"name"`
		Value       secret.Text `json:"value"`
		Type        string      `json:"type,omitzero"` // of a new name: String, StringList, SecureString
		Overwrite   bool        `json:"overwrite,omitzero"`
		Description *string     `json:"description,omitzero"`
		Pattern     *string     `json:"pattern,omitzero"`

		Policies *[]Lifecycle `json:"policies,omitzero"` // what shall happen by itself, in the wire's form
	}
	doneOut struct {
		Name    string `json:"name"`
		Version int64  `json:"version"`
	}
	readIn struct {
		Name   string `json:"name"` // NAME, NAME:VERSION, NAME:LABEL
		Reason string `json:"reason,omitzero"`
	}
	valueOut struct {
		Name    string `json:"name"`
		Type    string `json:"type"`
		Version int64  `json:"version"`
		Value   string `json:"value"`
	}
	runIn struct {
		Path   string `json:"path"`
		Reason string `json:"reason,omitzero"`
		Host   string `json:"host,omitzero"` // where the program starts
	}
	namedOut struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	runOut struct {
		Values []namedOut `json:"values"`
	}
	versionsOut struct {
		Versions []paramWire `json:"versions"`
	}
	rollbackIn struct {
		Name    string `json:"name"`
		Version int64  `json:"version"`
	}
	keyIn struct {
		Path     string `json:"path"`
		ReadOnly bool   `json:"read_only,omitzero"`
		Owner    string `json:"owner,omitzero"`   // kind/id; "" = whoever asks
		Days     int    `json:"days,omitzero"`    // 0 = 90
		Session  bool   `json:"session,omitzero"` // with a session token, for hours
		Hours    int    `json:"hours,omitzero"`   // of a session; 0 = 1
	}
	keyWire struct {
		ID       string    `json:"id"`
		Owner    string    `json:"owner"`
		Path     string    `json:"path"`
		ReadOnly bool      `json:"read_only"`
		Issued   time.Time `json:"issued"`
		Ends     time.Time `json:"ends"`
		Seen     time.Time `json:"seen,omitzero"` // to the hour
		Ended    bool      `json:"ended"`
	}
	keysOut struct {
		Keys []keyWire `json:"keys"`
	}
	issuedOut struct {
		ID     string  `json:"access_key_id"`
		Secret string  `json:"secret_access_key"` // shown this once
		Token  string  `json:"session_token,omitempty"`
		About  keyWire `json:"about"`
	}
)

func wireParam(p Param) paramWire {
	return paramWire{Name: p.Name, Type: string(p.Type), Version: p.Version, Tier: p.Tier, Description: p.Description, Changed: p.Changed, By: p.ChangedBy}
}

func wireKey(k AccessKey) keyWire {
	return keyWire{k.ID, k.Owner, k.Path, k.Reads, k.Issued, k.Expires, k.Seen, k.Ended}
}

func (s *Service) getParams(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	q := Query{Path: r.URL.Query().Get("path"), Recursive: true}
	if q.Path == "" {
		q.Path = "/"
	}
	ps, next, err := s.List(r.Context(), who, q, Page{After: r.URL.Query().Get("after"), Max: maxPage})
	if err != nil {
		return err
	}
	out := paramsOut{Params: []paramWire{}, Next: next}
	for _, p := range ps {
		out.Params = append(out.Params, wireParam(p))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postParam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[paramIn](r)
	if err != nil {
		return err
	}
	done, err := s.Put(r.Context(), who, Put{Name: in.Name, Value: in.Value, New: Type(in.Type), Overwrite: in.Overwrite, Description: in.Description, Pattern: in.Pattern, Lifecycle: in.Policies, Tier: Intelligent})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, doneOut{in.Name, done.Version})
}

func (s *Service) postRead(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[readIn](r)
	if err != nil {
		return err
	}
	sel, err := ParseSelector(in.Name)
	if err != nil {
		return errors.Join(s.may(r.Context(), who, access.VaultRead, "/"), err)
	}
	v, err := s.Get(r.Context(), who, sel, Read{Decrypt: true, Reason: in.Reason})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, valueOut{v.Name, string(v.Type), v.Version, v.Text.Reveal()})
}

func (s *Service) postRun(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[runIn](r)
	if err != nil {
		return err
	}
	vs, err := s.Everything(r.Context(), who, in.Path, in.Reason)
	if err != nil {
		return err
	}
	if err := s.started(r.Context(), who, in, len(vs)); err != nil {
		return err
	}
	out := runOut{Values: []namedOut{}}
	for _, v := range vs {
		out.Values = append(out.Values, namedOut{v.Name, v.Value.Reveal()})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) getVersions(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	vs, err := s.Versions(r.Context(), who, r.URL.Query().Get("name"))
	if err != nil {
		return err
	}
	out := versionsOut{Versions: []paramWire{}}
	for _, v := range vs {
		p := wireParam(v.Param)
		p.Labels = v.Labels
		out.Versions = append(out.Versions, p)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postRollback(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[rollbackIn](r)
	if err != nil {
		return err
	}
	done, err := s.Rollback(r.Context(), who, in.Name, in.Version)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, doneOut{in.Name, done.Version})
}

func (s *Service) deleteParam(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Delete(r.Context(), who, r.URL.Query().Get("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Service) getKeys(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	ks, err := s.AccessKeys(r.Context(), who)
	if err != nil {
		return err
	}
	out := keysOut{Keys: []keyWire{}}
	for _, k := range ks {
		out.Keys = append(out.Keys, wireKey(k))
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

func (s *Service) postKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[keyIn](r)
	if err != nil {
		return err
	}
	life := time.Duration(in.Days)*24*time.Hour + time.Duration(in.Hours)*time.Hour
	k, err := s.IssueKey(r.Context(), who, NewKey{Path: in.Path, Reads: in.ReadOnly, Owner: in.Owner, Life: life, Session: in.Session})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusCreated, issuedOut{k.ID, k.Secret.Reveal(), k.Token.Reveal(), wireKey(k.AccessKey)})
}

func (s *Service) deleteKey(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.EndKey(r.Context(), who, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
