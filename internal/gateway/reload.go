package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// routesFile is DIR/routes.yaml as it was last seen.
type routesFile struct {
	name string
	mu   sync.Mutex // one adoption at a time; guards the rest
	mod  time.Time
	size int64
}

// Reload reads the route file and puts it in force. A file that is malformed or looser
// than the policy is refused with fault.Invalid, and the routes before stay. Requests
// under way keep the routes they began with; none is dropped.
func (g *Gateway) Reload(ctx context.Context, who actor.Actor) error {
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/routes"); err != nil {
		return fmt.Errorf("reload routes: %w", err)
	}
	g.files.mu.Lock()
	defer g.files.mu.Unlock()
	if err := g.adopt(ctx, who, false); err != nil {
		return err
	}
	g.described.mu.Lock()
	defer g.described.mu.Unlock()
	return g.adoptDescription(ctx, who)
}

// adoptAtStart takes a file that was adopted before as it is, clamped to the policy:
// a revision that became tighter must not keep the server from starting.
func (g *Gateway) adoptAtStart(ctx context.Context) error {
	g.files.mu.Lock()
	defer g.files.mu.Unlock()
	return g.adopt(ctx, actor.System("gateway"), true)
}

// adopt records the file, then puts it in force. The caller holds files.mu.
func (g *Gateway) adopt(ctx context.Context, who actor.Actor, known bool) error {
	b, err := g.files.read()
	if err != nil {
		return err
	}
	f := &routeFile{}
	if b != nil {
		if f, err = parseRoutes(b); err != nil {
			return err
		}
	}
	var adopted string
	if err := ledger.One(ctx, g.db, selectRoutes, []any{&adopted}); err != nil {
		return fmt.Errorf("read adopted routes: %w", err)
	}
	rules := g.rules.Get()
	t, err := newTable(rules, f, g.tally.counter, g.hsts(rules), known && f.hash == adopted)
	if err != nil {
		return err
	}
	if f.hash != adopted {
		_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
			_, err := tx.Exec(ctx, updateRoutes, f.hash, tx.Now().UnixMicro())
			return RoutesAdopted{Hash: f.hash, Count: len(f.routes)}, err
		})
		if err != nil {
			return fmt.Errorf("adopt routes: %w", err)
		}
	}
	if len(t.loose) > 0 {
		g.log.Warn("the policy has become tighter than these routes; the policy holds", "routes", t.loose)
	}
	g.table.Store(t)
	return nil
}

// pollRoutes adopts the file when it has changed. Run calls it every second.
func (g *Gateway) pollRoutes(ctx context.Context) {
	g.files.mu.Lock()
	defer g.files.mu.Unlock()
	mod, size := g.files.look()
	if mod.Equal(g.files.mod) && size == g.files.size {
		return
	}
	err := g.adopt(ctx, actor.System("routes-file"), false)
	switch {
	case err == nil:
		g.log.Info("routes adopted", "count", len(g.table.Load().file.routes))
	case errors.Is(err, fault.Invalid):
		_, pub := fault.PublicOf(err)
		g.log.Error("the new routes were refused; those before stay", "problem", pub.Problem)
	default:
		g.files.mod = time.Time{} // look again in a second
		g.log.Error("routes could not be adopted; those before stay", "err", err)
	}
}

func (f *routesFile) look() (time.Time, int64) {
	fi, err := os.Stat(f.name)
	if err != nil {
		return time.Time{}, -1
	}
	return fi.ModTime(), fi.Size()
}

// read returns the file's bytes, nil when there is none, and notes its stamp.
func (f *routesFile) read() ([]byte, error) {
	f.mod, f.size = f.look()
	file, err := os.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open routes: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxRouteFile+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// Table describes the routes in force, for pages and the CLI.
type Table struct {
	Hash   string   `json:"hash"`  // of routes.yaml, "" when there is none
	Least  string   `json:"least"` // what the policy asks for where no route matches
	Public []string `json:"public_paths"`
	Routes []Route  `json:"routes"`
	Loose  []string `json:"clamped,omitempty"` // routes the policy has become tighter than: the policy holds
}

// Table returns the routes in force.
func (g *Gateway) Table() Table {
	t := g.current()
	return Table{Hash: t.file.hash, Least: t.rules.Ceiling, Public: t.rules.PublicPaths, Routes: t.file.routes, Loose: t.loose}
}

const (
	selectRoutes = `SELECT hash FROM gateway_routes WHERE one = 1`
	updateRoutes = `UPDATE gateway_routes SET hash = $1, adopted = $2 WHERE one = 1`
)
