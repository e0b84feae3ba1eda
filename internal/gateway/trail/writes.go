package trail

import (
	"context"
	"errors"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Writes are the changes that the application acknowledged within a time, the oldest first, and
// whether every segment of it could be read. That somebody looked is recorded.
func (t *Trail) Writes(ctx context.Context, who actor.Actor, from, until time.Time) (out []Found, whole bool, err error) { // clause: inc.loss-restore
	if _, err := t.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return Searched{Of: "acknowledged changes", From: from, Until: until}, nil
	}); err != nil {
		return nil, false, err //nolint:wrapcheck // the ledger says what failed
	}
	err = t.walk(ctx, Query{From: from, Until: until, Status: 2}, false, func(fs []Found) error {
		for _, f := range fs {
			if f.acknowledges() {
				out = append(out, f)
			}
		}
		return nil
	})
	if errors.Is(err, fault.Unavailable) {
		return nil, false, nil
	}
	_, lost := t.Counts()
	return out, err == nil && lost == 0, err
}

// acknowledges reports whether a record is of a change that the application, and not a page of
// this server, said yes to.
func (f Found) acknowledges() bool {
	_, route, ok := strings.Cut(f.Route, " ")
	if !ok {
		route = f.Route
	}
	safe := f.Method == "GET" || f.Method == "HEAD" || f.Method == "OPTIONS" || f.Method == "TRACE"
	return !safe && f.Status >= 200 && f.Status < 300 && f.Code == "" && !strings.HasPrefix(route, "/-/") && !strings.HasPrefix(route, "/.well-known/")
}
