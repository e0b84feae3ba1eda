package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The modes of the gate. Writ's own pages work in all of them.
const (
	Normal      = "normal"
	Frozen      = "frozen"      // the application may be read, and takes nothing that could change it
	Maintenance = "maintenance" // the application gets no request
	Staged      = "staged"      // it is opened again: to staff, and to a share of the teams
)

// modeState is a mode and since when.
type modeState struct {
	mode  string
	share int // of the teams, in per cent; only when staged
	since time.Time
	until time.Time // announced end, where holds alone have closed it; zero = otherwise
}

func closed(code, problem, expected, clause string) *refusal {
	r := refuse(clause, http.StatusServiceUnavailable, fault.Unavailable, code, fault.Public{Problem: problem, Expected: expected, Next: "Come back in a few minutes."})
	r.err.RetryAfter = 2 * time.Minute
	return r
}

const (
	lossMaintenance = "inc.loss-maintenance"
	lossFreeze      = "inc.loss-freeze"
)

var (
	refuseMaintenance = closed("maintenance", "This application is closed for maintenance.", "Nothing you saved is lost.", lossMaintenance)
	refuseFrozen      = closed("frozen", "This application can be read now, and nothing can be changed.", "GET, HEAD or OPTIONS.", lossFreeze)
	refuseStaged      = closed("staged", "This application opens again step by step, and is not open to your team yet.", "Nothing you saved is lost.", lossMaintenance)
)

// checkMode keeps requests from the application while the gate is closed, and before the
// mode is known. It is read once: a request keeps the mode it began with.
func (v *visit) checkMode() *refusal { // clause: inc.loss-maintenance
	if v.mode == nil {
		v.mode = v.g.mode.Load()
	}
	switch {
	case v.mode == nil || v.mode.mode == Maintenance:
		return refuseMaintenance
	case v.mode.mode == Frozen && v.changes(): // clause: inc.loss-freeze
		return refuseFrozen
	}
	return nil
}

// stillOpen asks again once the request is among those that are looked after: between the
// first question and now the gate may have been closed, and nobody would cut it.
func (v *visit) stillOpen() *refusal { // clause: inc.loss-freeze
	if v.mode == nil || v.mode == v.g.mode.Load() { // nil: a look of our own, without a mode
		return nil
	}
	v.mode = nil
	if ref := v.checkMode(); ref != nil {
		return ref
	}
	return v.checkStage()
}

// late reports whether the application took a change while the gate was closed to it, and
// what was under way had its time.
func (v *visit) late() bool { // clause: inc.loss-freeze
	if v.status < 200 || v.status >= 300 || v.r == nil || !v.changes() {
		return false
	}
	m := v.g.mode.Load()
	return m != nil && (m.mode == Frozen || m.mode == Maintenance) && v.g.now().Sub(m.since) > drain+streamLook*4
}

// checkStage keeps those out to whom the application is not open yet.
func (v *visit) checkStage() *refusal { // clause: inc.loss-maintenance
	if v.mode == nil {
		return refuseMaintenance
	}
	if v.mode.mode != Staged || v.who.TeamKind == staffTeam || InShare(v.who.Team, v.mode.share) {
		return nil
	}
	return refuseStaged
}

// InShare reports whether a team is among the first so many per cent that Staged lets in. A team that
// was let in stays in as the share grows; whoever is of no team comes last. The order of the teams
// never changes: by it a team reads, years later, for how long it was shut out.
func InShare(team string, share int) bool {
	if team == "" || share >= 100 {
		return share >= 100
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(team)) // a hash never fails
	return int(h.Sum32()%100) < share
}

// cuts says why a stream must end in this mode. What only speaks with an end of its own
// may come to it within half a minute.
func (m *modeState) cuts(x *stream, now time.Time) string { // clause: inc.loss-freeze
	if m == nil || m.mode == Normal {
		return ""
	}
	shut := m.mode == Maintenance || m.mode == Frozen && x.changes || m.mode == Staged && x.who.TeamKind != staffTeam && !InShare(x.who.Team, m.share)
	if !shut || !x.twoWay && now.Sub(m.since) < drain {
		return ""
	}
	return m.mode
}

// Mode returns the mode in force and since when; "" before Start.
func (g *Gateway) Mode() (mode string, since time.Time) {
	if m := g.mode.Load(); m != nil {
		return m.mode, m.since
	}
	return "", time.Time{}
}

// Wish is a mode to set. Share is for Staged alone: the per cent of the teams that may
// come beside staff. Epoch is the number of a server's try, greater than that of each that began
// before it; 0 = a person, whom nobody overtakes.
type Wish struct {
	Mode   string
	Share  int
	Reason string
	Epoch  int64
}

func (w Wish) check() error {
	switch {
	case w.Mode != Normal && w.Mode != Frozen && w.Mode != Maintenance && w.Mode != Staged:
		return fault.New(fault.Invalid, "mode", fault.Public{Problem: "There is no such mode.", Expected: "normal, frozen, maintenance or staged."})
	case w.Share < 0 || w.Share > 100 || w.Mode != Staged && w.Share != 0:
		return fault.New(fault.Invalid, "share", fault.Public{Problem: "The share of the teams is not one.", Expected: "A whole number from 0 to 100, with the mode staged alone."})
	case w.Epoch < 0:
		return fault.Newf(fault.Invalid, "epoch", "The number of a try is positive.")
	}
	return nil
}

// SetMode closes the gate, or opens it. What is under way has half a minute to end by
// itself; what is open to writes has none. Other nodes follow within two seconds. A server that was
// stopped, and wakes when a newer try has set the mode, gets fault.Conflict (epoch_over).
func (g *Gateway) SetMode(ctx context.Context, who actor.Actor, w Wish) error { // clause: inc.loss-maintenance
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/mode"); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	if err := w.check(); err != nil {
		return err
	}
	var from modeState
	r, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		err := newest(ctx, tx, w.Epoch)
		if err != nil {
			return nil, err
		}
		if from, err = storedMode(ctx, tx); err != nil {
			return nil, err
		}
		if from.mode == w.Mode && from.share == w.Share && from.until.IsZero() {
			return nil, errSameMode
		}
		if _, err := tx.Exec(ctx, endHolds, tx.Now().UnixMicro()); err != nil { // the mode is theirs who set it, and ends by no clock
			return nil, err
		}
		_, err = tx.Exec(ctx, updateMode, w.Mode, w.Share, tx.Now().UnixMicro(), 0)
		return ModeChanged{From: from.mode, To: w.Mode, Share: w.Share, reason: w.Reason}, err
	})
	if errors.Is(err, errSameMode) {
		return g.db.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error { return newest(ctx, tx, w.Epoch) }) //nolint:wrapcheck // the ledger says what failed
	}
	if err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	g.mode.Store(&modeState{mode: w.Mode, share: w.Share, since: r.At})
	return nil
}

// newest holds the mode for a try, where no newer one has set it.
func newest(ctx context.Context, tx *ledger.Tx, epoch int64) error { // clause: inc.loss-reopen
	if epoch == 0 {
		return nil
	}
	n, err := tx.Exec(ctx, setEpoch, epoch)
	if err == nil && n != 1 {
		err = fault.Newf(fault.Conflict, "epoch_over", "A newer try than %d has set the mode of the gate.", epoch)
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

var errSameMode = errors.New("gateway: that is the mode already")

// readMode takes up what another node has set.
func (g *Gateway) readMode(ctx context.Context) error {
	before := g.mode.Load()
	now, err := storedMode(ctx, g.db)
	if err != nil {
		return fmt.Errorf("read mode: %w", err)
	}
	if before != nil && before.mode == now.mode && before.share == now.share && before.since.UnixMicro() == now.since.UnixMicro() && before.until.Equal(now.until) {
		return nil
	}
	g.mode.CompareAndSwap(before, &now)
	return nil
}

const (
	selectMode = `SELECT mode, share, changed, until FROM gateway_mode WHERE one = 1`
	setEpoch   = `UPDATE gateway_mode SET epoch = $1 WHERE one = 1 AND epoch <= $1`
	updateMode = `UPDATE gateway_mode SET mode = $1, share = $2, changed = $3, until = $4 WHERE one = 1`
)
