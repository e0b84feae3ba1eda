package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
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

// RunStarted is a program that was given the values under a path, to start with.
type RunStarted struct {
	Path  string `class:"public"`
	Count int64  `class:"public"`
	Host  string `class:"personal"`
}

// About implements ledger.Event.
func (e RunStarted) About() ledger.About {
	return ledger.About{Name: "vault.run-started", Clause: "vault.secret-home"}
}

// started records the start of a program; that its values were read is an entry already.
func (s *Service) started(ctx context.Context, who actor.Actor, in runIn, n int) error {
	host := in.Host
	if len(host) > 100 {
		host = host[:100]
	}
	if _, err := s.change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return RunStarted{Path: in.Path, Count: int64(n), Host: host}, nil
	}); err != nil {
		return fmt.Errorf("record the start of a program: %w", err)
	}
	return nil
}

// EachSecret hands over the newest value of every parameter of a team, to be compared with
// something. It is the server's own look: whoever calls it lets no value out.
func (s *Service) EachSecret(ctx context.Context, team string, fn func(name string, kind Type, v secret.Bytes) error) error {
	type row struct {
		id, name string
		kind     Type
		version  int64
		box      []byte
	}
	var rows []row
	err := s.DB.Each(ctx, newestBoxes, func(scan ledger.Scan) error {
		var r row
		err := scan(&r.id, textInto{&r.name}, (*string)(&r.kind), &r.version, &r.box)
		rows = append(rows, r)
		return err
	}, team)
	if err != nil {
		return fmt.Errorf("read the newest values: %w", err)
	}
	for _, r := range rows {
		b, err := s.open(ctx, valueAt(team, r.id, r.version), r.box)
		if err != nil {
			return err
		}
		err = fn(r.name, r.kind, b)
		b.Wipe()
		if err != nil {
			return err
		}
	}
	return nil
}

const newestBoxes = `SELECT p.id, p.name, p.type, p.version, v.value FROM vault_param p JOIN vault_version v ON v.param = p.id AND v.version = p.version WHERE p.team = $1 ORDER BY p.id`
