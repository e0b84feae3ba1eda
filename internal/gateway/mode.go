package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The modes of the gate.
const (
	Normal      = "normal"
	Maintenance = "maintenance" // the application gets no request; Writ's own pages work
)

type modeState struct {
	mode  string
	since time.Time
}

var refuseMaintenance = func() *refusal {
	r := refuse("", http.StatusServiceUnavailable, fault.Unavailable, "maintenance", fault.Public{
		Problem: "This application is closed for maintenance.", Expected: "Nothing you saved is lost.", Next: "Come back in a few minutes."})
	r.err.RetryAfter = 2 * time.Minute
	return r
}()

// checkMode keeps requests from the application during maintenance, and before the
// mode is known.
func (v *visit) checkMode() *refusal {
	if m := v.g.mode.Load(); m == nil || m.mode != Normal {
		return refuseMaintenance
	}
	return nil
}

// Mode returns the mode in force and since when; "" before Start.
func (g *Gateway) Mode() (mode string, since time.Time) {
	if m := g.mode.Load(); m != nil {
		return m.mode, m.since
	}
	return "", time.Time{}
}

// SetMode closes the gate for maintenance or opens it. Requests under way end by
// themselves. Other nodes follow within two seconds.
func (g *Gateway) SetMode(ctx context.Context, who actor.Actor, mode, reason string) error {
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/mode"); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	if mode != Normal && mode != Maintenance {
		return fault.New(fault.Invalid, "mode", fault.Public{Problem: "There is no such mode.", Expected: "normal or maintenance."})
	}
	var from string
	r, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		from = ""
		if err := ledger.One(ctx, tx, selectMode, []any{&from, new(int64)}); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
		if from == mode {
			return nil, errSameMode
		}
		_, err := tx.Exec(ctx, updateMode, mode, tx.Now().UnixMicro())
		return ModeChanged{From: from, To: mode, reason: reason}, err
	})
	if errors.Is(err, errSameMode) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	g.mode.Store(&modeState{mode: mode, since: r.At})
	return nil
}

var errSameMode = errors.New("gateway: that is the mode already")

// readMode takes up what another node has set.
func (g *Gateway) readMode(ctx context.Context) error {
	before := g.mode.Load()
	var mode string
	var changed int64
	if err := ledger.One(ctx, g.db, selectMode, []any{&mode, &changed}); err != nil {
		return fmt.Errorf("read mode: %w", err)
	}
	if before != nil && before.mode == mode && before.since.UnixMicro() == changed {
		return nil
	}
	g.mode.CompareAndSwap(before, &modeState{mode: mode, since: time.UnixMicro(changed).UTC()})
	return nil
}

const (
	selectMode = `SELECT mode, changed FROM gateway_mode WHERE one = 1`
	updateMode = `UPDATE gateway_mode SET mode = $1, changed = $2 WHERE one = 1`
)
