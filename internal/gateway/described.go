package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/openapi"
	"writ/internal/ledger"
)

// described are the descriptions of the application's interface, as writ.yaml names them.
type described struct {
	files []string
	api   atomic.Pointer[openapi.API] // nil: writ.yaml names none. A file that was never good: one without operations
	bad   atomic.Pointer[string]      // why what is there now is not in force

	mu     sync.Mutex // one adoption at a time; guards the rest
	stamps []stamp
	hash   string
	since  time.Time
}

type stamp struct {
	mod  time.Time
	size int64
}

const maxDescription = 4 << 20

// read returns the files, with the stamps they had.
func (d *described) read() ([]openapi.Source, error) {
	d.stamps = d.look()
	out := make([]openapi.Source, len(d.files))
	for i, name := range d.files {
		f, err := os.Open(name)
		if err != nil {
			return nil, &openapi.Fault{File: filepath.Base(name), Problem: "it cannot be opened"}
		}
		b, err := io.ReadAll(io.LimitReader(f, maxDescription+1))
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, &openapi.Fault{File: filepath.Base(name), Problem: "it cannot be read"}
		}
		out[i] = openapi.Source{Name: filepath.Base(name), Text: b}
	}
	return out, nil
}

func (d *described) look() []stamp {
	out := make([]stamp, len(d.files))
	for i, name := range d.files {
		if fi, err := os.Stat(name); err == nil {
			out[i] = stamp{fi.ModTime(), fi.Size()}
		}
	}
	return out
}

// sumOf is one hash of all files and their names.
func sumOf(files []openapi.Source) string {
	if len(files) == 0 {
		return ""
	}
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %s\n", f.Sum(), f.Name)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// describeAtStart puts the files in force, or what was adopted before when they are not
// good now: a description that was broken must not open the interface, nor keep the
// server from starting.
func (g *Gateway) describeAtStart(ctx context.Context) error {
	d := &g.described
	d.mu.Lock()
	defer d.mu.Unlock()
	err := g.adoptDescription(ctx, actor.System("gateway"))
	if err == nil || !errors.Is(err, fault.Invalid) {
		return err
	}
	g.sayBad(err)
	files, err := g.formerDescription(ctx)
	if err != nil {
		return err
	}
	api, err := openapi.Load(ctx, files...)
	if err != nil {
		g.log.Error("the description that was adopted before cannot be read any more; programs reach nothing", "err", err)
		api, files = &openapi.API{}, nil
	}
	d.hash = sumOf(files)
	d.api.Store(api)
	return nil
}

func (g *Gateway) sayBad(err error) {
	_, pub := fault.PublicOf(err)
	g.described.bad.Store(&pub.Problem)
	g.log.Error("the description of the interface was refused; the one before stays", "problem", pub.Problem)
}

// adoptDescription records the files, then puts them in force. The caller holds mu.
func (g *Gateway) adoptDescription(ctx context.Context, who actor.Actor) error { // clause: use.public-api
	d := &g.described
	files, err := d.read()
	if err != nil {
		return badDescription(err)
	}
	api, err := openapi.Load(ctx, files...)
	if err != nil {
		return badDescription(err)
	}
	hash, was := sumOf(files), ""
	var at int64
	if err := ledger.One(ctx, g.db, selectDescription, []any{&was, &at}); err != nil {
		return fmt.Errorf("read adopted description: %w", err)
	}
	if hash != was {
		r, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
			return g.storeDescription(ctx, tx, files, hash, api)
		})
		if err != nil {
			return fmt.Errorf("adopt description: %w", err)
		}
		at = r.At.UnixMicro()
	}
	d.hash, d.since = hash, time.UnixMicro(at).UTC()
	d.bad.Store(nil)
	if len(files) == 0 {
		api = nil
	}
	d.api.Store(api)
	return nil
}

func (g *Gateway) storeDescription(ctx context.Context, tx *ledger.Tx, files []openapi.Source, hash string, api *openapi.API) (ledger.Event, error) {
	e := DescriptionAdopted{Hash: hash, Files: len(files), Operations: api.Operations, Remarks: len(api.Lint)}
	if _, err := tx.Exec(ctx, deleteDescriptions); err != nil {
		return nil, err //nolint:wrapcheck // the ledger says what failed
	}
	for i, f := range files {
		if _, err := tx.Exec(ctx, insertDescription, i, f.Name, f.Text); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
	}
	_, err := tx.Exec(ctx, updateDescription, hash, tx.Now().UnixMicro())
	return e, err //nolint:wrapcheck // the ledger says what failed
}

func (g *Gateway) formerDescription(ctx context.Context) (files []openapi.Source, err error) {
	err = g.db.Each(ctx, selectDescriptions, func(scan ledger.Scan) error {
		var f openapi.Source
		err := scan(&f.Name, &f.Text)
		files = append(files, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read former description: %w", err)
	}
	return files, nil
}

func badDescription(err error) error {
	text := err.Error()
	if f, ok := errors.AsType[*openapi.Fault](err); ok {
		text = f.Error()
	}
	return fault.New(fault.Invalid, "description", fault.Public{
		Problem: strings.TrimSuffix(text, ".") + ".", Expected: "OpenAPI 3.0 or 3.1, as JSON or YAML, whole in its file.",
		Next: "Mend the file. A server keeps the description it adopted last; without one, programs reach nothing."})
}

// pollDescription adopts files that have changed. Run calls it every second.
func (g *Gateway) pollDescription(ctx context.Context) {
	d := &g.described
	if len(d.files) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.look()
	same := len(now) == len(d.stamps)
	for i := range now {
		same = same && now[i].size == d.stamps[i].size && now[i].mod.Equal(d.stamps[i].mod)
	}
	if same {
		return
	}
	err := g.adoptDescription(ctx, actor.System("description-file"))
	switch {
	case err == nil:
		g.log.Info("description of the interface adopted", "operations", d.api.Load().Operations)
	case errors.Is(err, fault.Invalid):
		g.sayBad(err)
	default:
		d.stamps = nil // look again in a second
		g.log.Error("the description of the interface could not be adopted; the one before stays", "err", err)
	}
}

// Description says what programs are held to, for pages and the CLI.
type Description struct {
	Files      []string         `json:"files"`
	Hash       string           `json:"hash"`
	Adopted    time.Time        `json:"adopted,omitzero"`
	Operations int              `json:"operations"`
	Problem    string           `json:"problem,omitempty"` // why the files are not in force as they are now
	Remarks    []openapi.Remark `json:"remarks,omitempty"`
}

// Description returns what is in force; nil when writ.yaml names no file.
func (g *Gateway) Description() *Description {
	d := &g.described
	api := d.api.Load()
	if api == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := &Description{Hash: d.hash, Adopted: d.since, Operations: api.Operations, Remarks: api.Lint}
	for _, f := range d.files {
		out.Files = append(out.Files, filepath.Base(f))
	}
	if p := d.bad.Load(); p != nil {
		out.Problem = *p
	}
	return out
}

const (
	selectDescription  = `SELECT hash, adopted FROM gateway_described WHERE one = 1`
	updateDescription  = `UPDATE gateway_described SET hash = $1, adopted = $2 WHERE one = 1`
	selectDescriptions = `SELECT name, body FROM gateway_description ORDER BY place`
	deleteDescriptions = `DELETE FROM gateway_description`
	insertDescription  = `INSERT INTO gateway_description (place, name, body) VALUES ($1, $2, $3)`
)
