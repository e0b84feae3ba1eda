package trail

import (
	"context"
	"errors"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Teams are the customers' teams of whom a request was recorded in a time, and whether every
// segment of it could be read. That somebody looked is recorded.
func (t *Trail) Teams(ctx context.Context, who actor.Actor, from, until time.Time) (teams []string, whole bool, err error) { // clause: inc.tell-affected
	if _, err := t.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return Searched{Of: "teams", From: from, Until: until}, nil
	}); err != nil {
		return nil, false, err //nolint:wrapcheck // the ledger says what failed
	}
	err = t.walk(ctx, Query{From: from, Until: until}, false, func(fs []Found) error {
		for _, f := range fs {
			if f.Team != "" && !f.Staff && !slices.Contains(teams, f.Team) {
				teams = append(teams, f.Team)
			}
		}
		return nil
	})
	if errors.Is(err, fault.Unavailable) {
		return nil, false, nil
	}
	_, lost := t.Counts()
	return teams, err == nil && lost == 0, err
}
