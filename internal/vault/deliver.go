package vault

import (
	"context"
	"errors"
	"net/http"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/web"
)

// maxNamed bounds how many names one call reads, and one entry names.
const maxNamed = 200

type (
	valuesIn struct {
		Names  []string `json:"names"` // NAME, NAME:VERSION, NAME:LABEL
		Reason string   `json:"reason,omitzero"`
	}
	valuesOut struct {
		Values  []namedOut `json:"values"` // by the name that was asked for
		Missing []string   `json:"missing"`
	}
	namesIn struct {
		Names []string `json:"names"`
	}
	newestOut struct {
		Versions map[string]int64 `json:"versions"` // a name that is not there is left out
	}
)

// deliverRoutes are doors for what hands values on: files made of a template.
func (s *Service) deliverRoutes() []web.Route {
	on := func(pattern string, h web.Handler, d web.Doc) web.Route {
		d.Tag = "vault"
		return web.Route{Pattern: pattern, Who: web.SignedIn, Tokens: true, Limit: 512 << 10, Handle: h, Doc: d}
	}
	return []web.Route{
		on("POST /-/api/v1/vault/values", s.postValues, web.Doc{Summary: "Read several values in one recorded act; names that are not there are listed", In: valuesIn{}, Out: valuesOut{}, Errors: []string{"names_many", "outside_path"}}),
		on("POST /-/api/v1/vault/newest", s.postNewest, web.Doc{Summary: "The versions that names stand for now, without values", In: namesIn{}, Out: newestOut{}, Errors: []string{"names_many", "outside_path"}}),
	}
}

func (s *Service) postValues(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[valuesIn](r)
	if err != nil {
		return err
	}
	sels, err := s.selectors(r.Context(), who, access.VaultRead, in.Names)
	if err != nil {
		return err
	}
	found, missing, err := s.GetMany(r.Context(), who, sels, Read{Decrypt: true, Reason: in.Reason})
	if err != nil {
		return err
	}
	out := valuesOut{Values: []namedOut{}, Missing: []string{}}
	for _, v := range found {
		out.Values = append(out.Values, namedOut{v.Asked.Name + v.Asked.String(), v.Text.Reveal()})
	}
	for _, m := range missing {
		out.Missing = append(out.Missing, m.Name+m.String())
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// selectors reads names that somebody typed, for an act.
func (s *Service) selectors(ctx context.Context, who actor.Actor, action access.Action, names []string) ([]Selector, error) {
	var sels []Selector
	var bad []error
	for _, n := range names {
		sel, err := ParseSelector(n)
		sels, bad = append(sels, sel), append(bad, err)
	}
	if len(sels) == 0 || len(sels) > maxNamed {
		bad = append(bad, fault.Newf(fault.Invalid, "names_many", "One call names 1 to %d.", maxNamed))
	}
	if err := errors.Join(bad...); err != nil {
		return nil, errors.Join(s.may(ctx, who, action, "/"), err) // whoever may not act is told that first
	}
	return sels, nil
}

// Newest are the versions that selectors stand for now. No value is read.
func (s *Service) Newest(ctx context.Context, who actor.Actor, sels []Selector) (map[string]int64, error) {
	out := map[string]int64{}
	for _, sel := range sels {
		if err := s.may(ctx, who, access.VaultList, sel.Name); err != nil {
			return nil, err
		}
		p, err := readParam(ctx, s.DB, teamOf(who), sel.Name)
		if err == nil && sel.Label != "" {
			err = ledger.One(ctx, s.DB, versionOfLabel, []any{&p.Version}, p.ID, sel.Label)
		}
		if errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[sel.Name+sel.String()] = p.Version
		if sel.Version > 0 {
			out[sel.Name+sel.String()] = sel.Version
		}
	}
	return out, nil
}

func (s *Service) postNewest(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[namesIn](r)
	if err != nil {
		return err
	}
	sels, err := s.selectors(r.Context(), who, access.VaultList, in.Names)
	if err != nil {
		return err
	}
	vs, err := s.Newest(r.Context(), who, sels)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, newestOut{vs})
}
