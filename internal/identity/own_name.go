package identity

import (
	"context"
	"fmt"
	"net/http"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/web"
)

// SetName gives whoever is signed in another name. An empty one takes it away.
func (s *Service) SetName(ctx context.Context, who actor.Actor, name string) error {
	if err := humanNeeded(who); err != nil {
		return err
	}
	clean, ok := cleanName(name)
	if !ok {
		const problem = "The name is longer than 100 characters or holds a control character."
		return fault.New(fault.Invalid, "name_invalid", fault.Public{Problem: problem, Next: "Correct this and try again.", Fields: []fault.Field{{Name: "name", Code: "name_invalid", Problem: problem}}})
	}
	var box []byte
	if clean != "" {
		var err error
		if box, err = s.seal(ctx, keyring.Person(who.ID), "identity_person.name", who.ID, []byte(clean)); err != nil {
			return err
		}
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, setOwnName, who.ID, box, stateActive)
		if err == nil && n != 1 { // erased meanwhile: nothing may be sealed for them again
			err = errEnded()
		}
		return NameChanged{Person: who.ID, Empty: clean == ""}, err
	})
	if err != nil {
		return fmt.Errorf("set own name: %w", err)
	}
	return nil
}

func (s *Service) postName(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	in, err := web.ReadJSON[nameIn](r)
	if err != nil {
		return err
	}
	if err := s.SetName(r.Context(), who, in.Name); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusNoContent, nil)
}

type nameIn struct {
	Name string `json:"name"`
}

const setOwnName = `UPDATE identity_person SET name = $2 WHERE id = $1 AND state = $3`
