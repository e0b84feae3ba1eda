package identity

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/web"
)

// ResetShown is a request as those see it who may manage people.
type ResetShown struct {
	FactorReset
	Handle   string
	Reason   string // how it is known that the person asks; empty once they are erased
	AgreedBy string // person id or operator/UID; empty = nobody yet, or the wait was over
	Ended    time.Time
	Cause    string // of the end: done, withdrawn, superseded, …
}

// FactorResets lists requests, those that wait first, then the newest: of everybody, or
// of one person. It takes access.PeopleManage, because the reasons are about people.
func (s *Service) FactorResets(ctx context.Context, who actor.Actor, person string) ([]ResetShown, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleManage, ""); err != nil {
		return nil, err
	}
	var out []ResetShown
	var boxes [][]byte
	err := s.DB.Each(ctx, resetsShown, func(scan scanner) error {
		var x ResetShown
		var asked int64
		var ended *int64
		var box []byte
		var staff bool
		if err := scan(&x.ID, &x.Person, &x.Handle, &x.AskedBy, &box, &asked, &x.AgreedBy, &ended, &x.Cause, &staff); err != nil {
			return err
		}
		if x.Asked = at(asked); !staff {
			x.Waits = x.Asked.Add(resetWait)
		}
		if ended != nil {
			x.Ended = at(*ended)
		}
		out, boxes = append(out, x), append(boxes, box)
		return nil
	}, person)
	if err != nil {
		return nil, fmt.Errorf("list resets of factors: %w", err)
	}
	for i := range out {
		if out[i].Reason, err = s.text(ctx, "identity_factor_reset.reason", out[i].ID, boxes[i]); err != nil && !errors.Is(err, fault.Gone) {
			return nil, fmt.Errorf("open the reason of a reset: %w", err)
		}
	}
	return out, nil
}

type (
	resetWire struct {
		ID       string    `json:"id"`
		Person   string    `json:"person"`
		Handle   string    `json:"handle"`
		Reason   string    `json:"reason,omitempty"`
		Asked    time.Time `json:"asked"`
		AskedBy  string    `json:"asked_by"`
		Waits    time.Time `json:"waits,omitzero"`
		AgreedBy string    `json:"agreed_by,omitempty"`
		Ended    time.Time `json:"ended,omitzero"`
		Cause    string    `json:"cause,omitempty"`
	}
	resetsOut struct {
		Resets []resetWire `json:"resets"`
	}
)

func (s *Service) getFactorResets(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	rs, err := s.FactorResets(r.Context(), who, "")
	if err != nil {
		return err
	}
	out := resetsOut{Resets: []resetWire{}}
	for _, x := range rs {
		out.Resets = append(out.Resets, resetWire{ID: x.ID, Person: x.Person, Handle: x.Handle, Reason: x.Reason, Asked: x.Asked, AskedBy: x.AskedBy, Waits: x.Waits, AgreedBy: x.AgreedBy, Ended: x.Ended, Cause: x.Cause})
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

const resetsShown = `SELECT r.id, r.person, p.handle, r.asked_by, r.reason, r.asked, r.agreed_by, r.ended, r.cause,
	EXISTS (SELECT 1 FROM identity_member m JOIN identity_team t ON t.id = m.team WHERE m.person = r.person AND t.kind = 'staff')
	FROM identity_factor_reset r JOIN identity_person p ON p.id = r.person WHERE ($1 = '' OR r.person = $1)
	ORDER BY CASE WHEN r.ended IS NULL THEN 0 ELSE 1 END, r.asked DESC, r.id DESC LIMIT 200`
