package vault

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/web"
)

// plantedTag marks a parameter that nobody needs, so that whoever reads it looks around. No call
// sets, takes or shows a tag that begins like that.
const plantedTag = "aws:writ-planted"

// plantedSigns are in the value of a parameter that is made to be planted.
const plantedSigns = 40

// Plant marks a parameter as one that nobody should read: each read of it, sealed or open, is an
// entry of its own (vault.planted-read), which watch pages about. Where there is no such parameter
// it is made, as a SecureString of random signs. Lists show it like any other.
func (s *Service) Plant(ctx context.Context, who actor.Actor, name string) error { // clause: vault.access-logged
	name, err := s.named(ctx, who, access.VaultKeys, name)
	if err != nil {
		return err
	}
	_, err = s.putAt(ctx, who, name, Put{Type: SecureString, Value: secret.RandomText(plantedSigns)})
	if code, _ := fault.PublicOf(err); err != nil && code != "param_exists" {
		return err
	}
	return s.plant(ctx, who, name, `INSERT INTO vault_tag (param, name, value) VALUES ($1, $2, '') ON CONFLICT (param, name) DO NOTHING`, false)
}

// Unplant takes the mark away; the parameter stays.
func (s *Service) Unplant(ctx context.Context, who actor.Actor, name string) error {
	name, err := s.named(ctx, who, access.VaultKeys, name)
	if err != nil {
		return err
	}
	return s.plant(ctx, who, name, `DELETE FROM vault_tag WHERE param = $1 AND name = $2`, true)
}

func (s *Service) plant(ctx context.Context, who actor.Actor, name, statement string, removed bool) error {
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		p, err := readParam(ctx, tx, teamOf(who), name)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, statement, p.ID, plantedTag)
		return ParamPlanted{Param: p.ID, Name: name, Removed: removed}, err
	})
	if err != nil {
		return fmt.Errorf("plant a parameter: %w", err)
	}
	return nil
}

// Planted lists the names of parameters that nobody should read, for whoever may plant them.
func (s *Service) Planted(ctx context.Context, who actor.Actor) ([]string, error) {
	if err := s.may(ctx, who, access.VaultKeys, "/"); err != nil {
		return nil, err
	}
	names := []string{}
	err := s.DB.Each(ctx, `SELECT p.name FROM vault_tag t JOIN vault_param p ON p.id = t.param WHERE p.team = $1 AND t.name = $2 ORDER BY p.name LIMIT 1000`, func(scan ledger.Scan) error {
		var name string
		err := scan(textInto{&name})
		names = append(names, name)
		return err
	}, teamOf(who), plantedTag)
	if err != nil {
		return nil, fmt.Errorf("list planted parameters: %w", err)
	}
	return names, nil
}

// plantedReads are the entries of a read of values of which some are planted.
func plantedReads(who actor.Actor, vs []Value) (out []PlantedRead) {
	for _, v := range vs {
		ev := PlantedRead{Param: v.ID, Name: v.Name, Via: who.Via}
		if k, ok := keyOf(who); ok {
			ev.AccessKey = k.id
		}
		if v.planted && !slices.Contains(out, ev) { // of several versions, one
			out = append(out, ev)
		}
	}
	return out
}

type (
	plantIn struct {
		Name string `json:"name"`
	}
	plantedOut struct {
		Names []string `json:"names"`
	}
)

func plantRoutes(s *Service, on func(string, web.Handler, web.Doc) web.Route) []web.Route {
	const at = "/-/api/v1/vault/planted"
	return []web.Route{
		on("GET "+at, s.getPlanted, web.Doc{Summary: "Parameters that nobody should read, whose reads page", Out: plantedOut{}}),
		on("POST "+at, s.postPlanted, web.Doc{Summary: "Plant a parameter that nobody should read; one that is not there is made, with a random value", In: plantIn{}, Out: plantedOut{}, Errors: []string{"path_invalid"}}),
		on("DELETE "+at, s.deletePlanted, web.Doc{Summary: "Take the mark from a planted parameter; it stays", Query: []string{"name"}, Out: plantedOut{}, Errors: []string{"param_unknown"}}),
	}
}

func (s *Service) getPlanted(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	names, err := s.Planted(r.Context(), who)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, plantedOut{names})
}

func (s *Service) postPlanted(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[plantIn](r)
	if err == nil {
		err = s.Plant(r.Context(), who, in.Name)
	}
	if err != nil {
		return err
	}
	return s.getPlanted(w, r, who)
}

func (s *Service) deletePlanted(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	if err := s.Unplant(r.Context(), who, r.URL.Query().Get("name")); err != nil {
		return err
	}
	return s.getPlanted(w, r, who)
}
