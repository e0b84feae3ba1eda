package rescue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"writ/internal/demo/sample"
	"writ/internal/fault"
	"writ/internal/incident"
	"writ/internal/ledger"
)

// Rescue restores one sample application. It implements incident.Recovery.
type Rescue struct {
	store *sample.Store
	app   http.Handler
	now   func() time.Time
}

var _ incident.Recovery = (*Rescue)(nil)

// New makes a Rescue of an application.
func New(app *sample.App, now func() time.Time) *Rescue {
	return &Rescue{store: app.Store(), app: app, now: now}
}

// Names implements incident.Source.
func (r *Rescue) Names(context.Context) ([]string, error) { return ledger.FileNames(r.store.File()) }

// Points implements incident.Source: a backup is one once it was read back.
func (r *Rescue) Points(context.Context) ([]incident.Point, error) {
	bs, err := r.store.Backups()
	out := make([]incident.Point, 0, len(bs))
	for _, b := range bs {
		out = append(out, pointOf(b))
	}
	return out, err
}

func pointOf(b sample.Backup) incident.Point {
	return incident.Point{ID: b.ID, At: b.At, Position: position(b.Write), Hash: b.Hash, Rows: b.Rows}
}

func position(n int64) string { return fmt.Sprintf("write %d", n) }

func writeOf(position string) (n int64) {
	_, _ = fmt.Sscanf(position, "write %d", &n) // 0 where it is none
	return n
}

// Onsets implements incident.Source: between two copies rows are gone that nobody erased.
func (r *Rescue) Onsets(ctx context.Context) ([]incident.Onset, error) {
	bs, err := r.store.Backups()
	if err != nil {
		return nil, err
	}
	ws, err := r.store.Writes(0)
	if err != nil {
		return nil, err
	}
	now, err := sample.Inspect(ctx, r.store.File())
	if err != nil {
		return []incident.Onset{{From: r.now(), To: r.now(), Says: "the database cannot be read: " + err.Error()}}, nil
	}
	later := sample.Backup{At: r.now(), State: now}
	var out []incident.Onset
	for _, b := range bs {
		want := b.Rows
		for _, w := range ws {
			if w.N > b.Write && w.N <= later.Write {
				want += map[string]int64{"add": 1, "remove": -1}[w.Act]
			}
		}
		if later.Rows < want {
			out = append(out, incident.Onset{From: b.At, To: later.At, Says: fmt.Sprintf("%d rows are gone that nobody erased", want-later.Rows)})
		}
		later = b
	}
	return out, nil
}

// Shut implements incident.Keeper.
func (r *Rescue) Shut(ctx context.Context, shut bool, epoch incident.Epoch) error {
	return r.newest(ctx, restores, epoch, func() error {
		r.store.Shut(shut)
		if shut {
			return r.Hold(ctx, true, epoch)
		}
		return nil
	})
}

// Hold implements incident.Keeper.
func (r *Rescue) Hold(ctx context.Context, on bool, epoch incident.Epoch) error {
	err := r.newest(ctx, holds, epoch, func() error { return r.store.Hold(on) })
	if !errors.Is(err, fault.Conflict) {
		return err
	}
	if held, herr := r.store.Held(); herr != nil || held != on {
		return errors.Join(err, herr)
	}
	return nil // the newer one wants the same
}

// Mark implements incident.Keeper: each write is in the log of the store before it is
// acknowledged, so that its number is a point to go back to.
func (r *Rescue) Mark(context.Context, string) (string, error) {
	return position(r.store.Last()), nil
}

// Still implements incident.Keeper.
func (r *Rescue) Still(ctx context.Context) (string, error) { return r.store.Still(ctx) }

func (r *Rescue) keptFolder(name string) string {
	return filepath.Join(r.store.File()+".preserved", filepath.Base(name))
}

// Preserve implements incident.Keeper: the folder appears whole, and is not written to again.
func (r *Rescue) Preserve(_ context.Context, name string) (string, error) {
	to := r.keptFolder(name)
	if _, err := os.Stat(to); err == nil {
		return keptHash(to)
	}
	tmp := to + ".new"
	if err := errors.Join(os.RemoveAll(tmp), os.MkdirAll(tmp, 0o700)); err != nil {
		return "", err
	}
	names, err := r.store.Copy(tmp)
	if err != nil {
		return "", fmt.Errorf("copy the damaged database: %w", err)
	}
	for _, n := range names {
		if err := os.Chmod(filepath.Join(tmp, n), 0o400); err != nil {
			return "", err
		}
	}
	if err := os.Rename(tmp, to); err != nil {
		return "", err
	}
	return keptHash(to)
}

// keptHash is over the names and hashes of what was kept.
func keptHash(dir string) (string, error) {
	es, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, e := range es {
		sum, _, err := sample.HashFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %s\n", e.Name(), sum)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Protect implements incident.Keeper.
func (r *Rescue) Protect(ctx context.Context) (incident.Point, []incident.Check, error) {
	b, err := r.store.Backup(ctx)
	if err != nil {
		return incident.Point{}, nil, err
	}
	p := pointOf(b)
	checks, err := r.onTheSide(ctx, incident.Plan{Rule: incident.Literal, Point: b.ID, Hash: b.Hash, Position: p.Position, Rows: b.Rows})
	return p, checks, err
}

// onTheSide lays out what a plan says, checks it and removes it.
func (r *Rescue) onTheSide(ctx context.Context, p incident.Plan) ([]incident.Check, error) {
	side, err := r.layOut(ctx, p)
	if err != nil {
		if bad, ok := errors.AsType[notGood](err); ok {
			return []incident.Check{{Name: "copy", Says: string(bad)}}, nil
		}
		return nil, err
	}
	defer func() { _ = os.RemoveAll(filepath.Dir(side)) }() // it was a try
	return r.checkFile(ctx, side, p)
}

// notGood is what is wrong with a copy: no trouble of the machine, so it is not tried again.
type notGood string

func (n notGood) Error() string { return string(n) }

// layOut puts the database that a plan describes into a folder of its own.
func (r *Rescue) layOut(ctx context.Context, p incident.Plan) (string, error) {
	dir := r.store.File() + ".side"
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return "", err
	}
	to := filepath.Join(dir, "side.db")
	if p.Rule == incident.Preserved {
		return to, r.layOutKept(ctx, p, to)
	}
	if err := sample.CopyFile(r.store.BackupFile(p.Point), to); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", notGood("The backup " + p.Point + " is not there any more.")
		}
		return "", err
	}
	if sum, _, err := sample.HashFile(to); err != nil || sum != p.Hash {
		return "", errors.Join(err, notGood("The backup "+p.Point+" is not what it was: its SHA-256 is "+sum+"."))
	}
	if p.Rule != incident.PITR {
		return to, nil
	}
	st, err := sample.Inspect(ctx, to)
	if err != nil {
		return "", notGood(err.Error())
	}
	ws, err := r.store.Writes(st.Write)
	if err != nil {
		return "", err
	}
	for i, w := range ws {
		if w.N > writeOf(p.Position) {
			ws = ws[:i]
			break
		}
	}
	return to, sample.Apply(ctx, to, ws)
}

func (r *Rescue) layOutKept(ctx context.Context, p incident.Plan, to string) error {
	from := r.keptFolder(p.Kept)
	if sum, err := keptHash(from); err != nil || sum != p.Hash {
		return errors.Join(err, notGood("The copy of the damaged state is not what it was."))
	}
	name := filepath.Join(from, filepath.Base(r.store.File()))
	if err := sample.CopyFile(name, to); err != nil {
		return err
	}
	if err := sample.CopyFile(name+"-wal", to+"-wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return sample.Apply(ctx, to, nil) // folds the log into the file
}

// checkFile holds a database against its plan.
func (r *Rescue) checkFile(ctx context.Context, file string, p incident.Plan) ([]incident.Check, error) {
	st, err := sample.Inspect(ctx, file)
	if err != nil {
		return []incident.Check{{Name: "integrity", Says: "It cannot be read whole: " + err.Error()}}, nil
	}
	check := func(name string, good bool, format string, a ...any) incident.Check {
		return incident.Check{Name: name, Good: good, Says: fmt.Sprintf(format, a...)}
	}
	out := []incident.Check{check("integrity", true, "SQLite finds each page and each reference whole."),
		check("schema", st.Version == sample.Version, "Its schema is version %d; this program reads version %d.", st.Version, sample.Version),
		check("position", position(st.Write) == p.Position, "It stands at %s; the plan says %s.", position(st.Write), p.Position),
		check("rows", st.Rows == p.Rows, "It has %d rows; the plan says %d.", st.Rows, p.Rows)}
	if p.Rule == incident.Literal {
		bs, err := r.store.Backups()
		if err != nil {
			return nil, err
		}
		for _, b := range bs {
			if b.ID == p.Point {
				out = append(out, check("content", st.Sum == b.Sum, "Each row is compared with what it was when the backup was made."))
			}
		}
	}
	return out, nil
}

func joined(ids []int) string {
	var out []string
	for _, id := range ids {
		out = append(out, fmt.Sprint(id))
	}
	return strings.Join(out, ", ")
}
