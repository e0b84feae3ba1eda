package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Hold is a closure for a time: Name is of what closes the gate, such as window/7k2m9q4t8w1x.
type Hold struct {
	Name  string
	Until time.Time // announced end; whoever is kept out is told to come back then
}

// HoldClosed closes an open gate for maintenance until Release, once for each name: a mode that a person
// or an incident has set before, or sets meanwhile, is theirs and stays. Asked again, it moves the
// announced end of a hold that lasts, and does nothing else.
func (g *Gateway) HoldClosed(ctx context.Context, who actor.Actor, h Hold) error { // clause: inc.loss-maintenance
	if h.Name == "" || h.Until.IsZero() {
		return fault.New(fault.Invalid, "hold", fault.Public{Problem: "A closure of the gate needs a name and an announced end."})
	}
	return g.hold(ctx, who, h.Name, func(tx *ledger.Tx, from modeState) error {
		var until int64
		var ended *int64
		err := ledger.One(ctx, tx, selectHold, []any{&until, &ended}, h.Name)
		switch {
		case errors.Is(err, fault.NotFound):
			if from.mode != Normal && from.until.IsZero() {
				now := tx.Now().UnixMicro()
				ended = &now // it holds nothing
			}
			_, err = tx.Exec(ctx, insertHold, h.Name, tx.Now().UnixMicro(), h.Until.UnixMicro(), ended)
		case err == nil && (ended != nil || until == h.Until.UnixMicro()):
			err = errSameMode
		case err == nil:
			_, err = tx.Exec(ctx, moveHold, h.Name, h.Until.UnixMicro())
		}
		return err
	})
}

// Release ends a hold. The gate opens where nothing else holds it, and nobody has set a mode
// since. One that there is not, or that has ended, is no error.
func (g *Gateway) Release(ctx context.Context, who actor.Actor, name string) error { // clause: inc.loss-maintenance
	return g.hold(ctx, who, name, func(tx *ledger.Tx, _ modeState) error {
		n, err := tx.Exec(ctx, endHold, name, tx.Now().UnixMicro())
		if err == nil && n == 0 {
			err = errSameMode
		}
		return err
	})
}

// Holds names the holds that last.
func (g *Gateway) Holds(ctx context.Context) ([]string, error) {
	var out []string
	err := g.db.Each(ctx, lastingHolds, func(scan ledger.Scan) error {
		var name string
		err := scan(&name)
		out = append(out, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what holds the gate: %w", err)
	}
	return out, nil
}

// hold changes a hold, and brings the mode to what those that last ask for.
func (g *Gateway) hold(ctx context.Context, who actor.Actor, name string, change func(*ledger.Tx, modeState) error) error {
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/mode"); err != nil {
		return fmt.Errorf("hold the gate: %w", err)
	}
	var to modeState
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		from, err := storedMode(ctx, tx)
		if err == nil {
			err = change(tx, from)
		}
		if err != nil {
			return nil, err
		}
		var last int64
		if err := ledger.One(ctx, tx, lastHold, []any{&last}); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
		if to = from; last > 0 {
			to = modeState{mode: Maintenance, since: from.since, until: time.UnixMicro(last).UTC()}
		} else if !from.until.IsZero() {
			to = modeState{mode: Normal, since: from.since}
		}
		if to.mode != from.mode {
			to.since = tx.Now()
		}
		_, err = tx.Exec(ctx, updateMode, to.mode, to.share, to.since.UnixMicro(), micro(to.until))
		return ModeChanged{From: from.mode, To: to.mode, Share: to.share, Hold: name, Until: to.until}, err
	})
	if errors.Is(err, errSameMode) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold the gate: %w", err)
	}
	g.mode.Store(&to)
	return nil
}

// storedMode is the mode that is written down.
func storedMode(ctx context.Context, r ledger.Reader) (m modeState, err error) {
	var changed, until int64
	err = ledger.One(ctx, r, selectMode, []any{&m.mode, &m.share, &changed, &until})
	if m.since = time.UnixMicro(changed).UTC(); until > 0 {
		m.until = time.UnixMicro(until).UTC()
	}
	return m, err //nolint:wrapcheck // the ledger says what failed
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// comeBack is a refusal as it is while the gate is closed for a time that was announced: until
// then nobody need ask again.
func (m *modeState) comeBack(ref *refusal, now time.Time) *fault.Error {
	if ref != refuseMaintenance || m == nil || m.until.Sub(now) <= ref.err.RetryAfter {
		return ref.err
	}
	e := *ref.err
	e.RetryAfter = m.until.Sub(now)
	e.Public.Next = "It is announced to open again at " + m.until.Format("15:04 UTC on 2 January 2006") + "."
	return &e
}

const (
	selectHold   = `SELECT until, ended FROM gateway_hold WHERE name = $1`
	insertHold   = `INSERT INTO gateway_hold (name, since, until, ended) VALUES ($1, $2, $3, $4)`
	moveHold     = `UPDATE gateway_hold SET until = $2 WHERE name = $1`
	endHold      = `UPDATE gateway_hold SET ended = $2 WHERE name = $1 AND ended IS NULL`
	endHolds     = `UPDATE gateway_hold SET ended = $1 WHERE ended IS NULL`
	lastingHolds = `SELECT name FROM gateway_hold WHERE ended IS NULL ORDER BY name`
	lastHold     = `SELECT COALESCE(MAX(until), 0) FROM gateway_hold WHERE ended IS NULL`
)
