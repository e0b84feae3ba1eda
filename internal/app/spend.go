package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/journal"
	"writ/internal/watch"
	"writ/internal/watch/spend"
)

// Spend is the part that compares spending with plans, for the demo.
func (a *App) Spend() *spend.Service { return a.spend }

func (a *App) buildSpend() (err error) {
	a.spend, err = spend.New(spend.Deps{DB: a.db, Access: a.access, Series: a.watch.Series(), Meters: a.watch.Plannable, Alarms: a.watch, Triage: triage{a}, Rules: clause.NewLive[spend.Rules](a.now), Now: a.now, Log: a.log.With("module", "spend")})
	return err
}

// spending are the sources that budgets need: themselves, each minute, and how fast records grow.
func (a *App) spending() []watch.Source {
	logs := grown{dir: a.path("segments")}
	return []watch.Source{
		{Name: spend.Looked, Every: spend.Every, Read: func(ctx context.Context) ([]watch.Reading, error) { return a.spend.Look(ctx) }},
		{Name: "records", Every: 10 * spend.Every, Read: func(context.Context) ([]watch.Reading, error) { return logs.read() }},
	}
}

// grown tells how many bytes a folder gained since it was last looked at.
type grown struct {
	dir string

	mu    sync.Mutex
	known bool
	size  int64
}

func (g *grown) read() ([]watch.Reading, error) {
	var size int64
	err := filepath.WalkDir(g.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		i, err := d.Info()
		if err == nil {
			size += i.Size()
		}
		return err
	})
	if errors.Is(err, os.ErrNotExist) { // a record was swept meanwhile, or there is none yet
		err = nil
	}
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	more, known := size-g.size, g.known
	g.size, g.known = size, true
	if !known || more <= 0 { // records whose time is over go
		return nil, nil
	}
	return []watch.Reading{{Meter: "log.bytes", Value: float64(more)}}, nil
}

// triage tells budgets what incidents made of their signals.
type triage struct{ app *App }

// Item implements spend.Triage.
func (t triage) Item(ctx context.Context, entry string) (spend.Item, error) { // clause: mon.budget-is-signal
	cs, err := t.app.incident.OfSignal(ctx, actor.Actor{Kind: actor.Operator, ID: "spend", Via: "job"}, "entry/"+entry)
	if err != nil || len(cs) == 0 {
		return spend.Item{}, err
	}
	c := cs[0]
	out := spend.Item{Name: c.Ref(), Opened: c.Declared, Decided: c.Sorted}
	if out.Decided.IsZero() && !c.Open() { // it was cancelled: nothing was the matter
		out.Decided = c.Closed
	}
	return out, nil
}

// Begins implements spend.Triage.
func (t triage) Begins(ctx context.Context, e journal.Entry) (bool, error) {
	return t.app.incident.Begins(ctx, &e)
}
