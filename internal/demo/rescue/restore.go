package rescue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"writ/internal/demo/sample"
	"writ/internal/incident"
)

// Rehearse implements incident.Restorer.
func (r *Rescue) Rehearse(ctx context.Context, p incident.Plan) ([]incident.Check, error) {
	return r.onTheSide(ctx, p)
}

// Restore implements incident.Restorer. Made again it lays out the same and puts it there anew.
func (r *Rescue) Restore(ctx context.Context, p incident.Plan, epoch incident.Epoch) (reached string, err error) {
	err = r.newest(ctx, restores, epoch, func() (err error) {
		reached, err = r.restore(ctx, p)
		return err
	})
	return reached, err
}

func (r *Rescue) restore(ctx context.Context, p incident.Plan) (string, error) {
	side, err := r.layOut(ctx, p)
	if bad, ok := errors.AsType[notGood](err); ok {
		return string(bad), nil
	}
	if err != nil {
		return "", err
	}
	if err := r.store.Replace(ctx, side); err != nil {
		return "", fmt.Errorf("put it in its place: %w", err)
	}
	n, err := r.store.Position(ctx)
	return position(n), err
}

// Verify implements incident.Restorer.
func (r *Rescue) Verify(ctx context.Context, p incident.Plan) ([]incident.Check, error) {
	checks, err := r.checkFile(ctx, r.store.File(), p)
	if err != nil || p.Rule == incident.Preserved || p.Kept == "" {
		return checks, err
	}
	back, err := r.cameBack(ctx, p)
	return append(checks, back), err
}

// cameBack counts the rows that the damaged state had lost and that are there again.
func (r *Rescue) cameBack(ctx context.Context, p incident.Plan) (incident.Check, error) {
	from := filepath.Join(r.keptFolder(p.Kept), filepath.Base(r.store.File()))
	dir := r.store.File() + ".damaged"
	defer func() { _ = os.RemoveAll(dir) }() // a copy of a copy
	copied := filepath.Join(dir, "damaged.db")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700), sample.CopyFile(from, copied)); err != nil {
		return incident.Check{}, err
	}
	if err := sample.CopyFile(from+"-wal", copied+"-wal"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return incident.Check{}, err
	}
	if err := sample.Apply(ctx, copied, nil); err != nil {
		return incident.Check{Name: "damage", Good: true, Says: "The damaged copy cannot be read, so nothing of it can be compared."}, nil //nolint:nilerr // it is damaged
	}
	had, err := sample.IDs(ctx, copied)
	if err != nil {
		return incident.Check{}, err
	}
	has, err := sample.IDs(ctx, r.store.File())
	if err != nil {
		return incident.Check{}, err
	}
	back := slices.DeleteFunc(has, func(id int) bool { return slices.Contains(had, id) })
	return incident.Check{Name: "damage", Good: len(back) > 0, Says: fmt.Sprintf("%d rows that the damaged state had lost are there again.", len(back))}, nil
}

// DryRun implements incident.Restorer: on the private path, where nobody comes from outside.
func (r *Rescue) DryRun(ctx context.Context, p incident.Plan) ([]incident.Check, error) {
	var out []incident.Check
	for _, x := range []struct {
		path string
		want int
	}{{"/", http.StatusOK}, {"/pricing", http.StatusOK}, {"/api/openapi.json", http.StatusOK}, {"/api/contacts", http.StatusUnauthorized}} {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, x.path, nil)
		if err != nil {
			return nil, err
		}
		w := &heard{header: http.Header{}, status: http.StatusOK}
		r.app.ServeHTTP(w, req)
		out = append(out, incident.Check{Name: "GET " + x.path, Good: w.status == x.want, Says: fmt.Sprintf("It answers %d, expected %d.", w.status, x.want)})
	}
	err := r.store.TryWrite(ctx)
	k := incident.Check{Name: "write", Good: err == nil, Says: "A contact was written and taken back."}
	if err != nil {
		k.Says = "A contact cannot be written: " + err.Error()
	}
	return append(out, k), nil
}

// heard is an answer of which the status alone matters.
type heard struct {
	header http.Header
	status int
}

func (h *heard) Header() http.Header         { return h.header }
func (h *heard) Write(b []byte) (int, error) { return len(b), nil }
func (h *heard) WriteHeader(status int)      { h.status = status }

// Reconcile implements incident.Restorer: contacts that were erased since the point are erased
// again, and nobody's id stands at a contact who was erased.
func (r *Rescue) Reconcile(ctx context.Context, p incident.Plan, since []incident.Tombstone, epoch incident.Epoch) (n int64, checks []incident.Check, err error) {
	err = r.newest(ctx, restores, epoch, func() (err error) {
		n, checks, err = r.reconcile(ctx, p, since)
		return err
	})
	return n, checks, err
}

func (r *Rescue) reconcile(ctx context.Context, p incident.Plan, since []incident.Tombstone) (int64, []incident.Check, error) {
	ws, err := r.store.Writes(writeOf(p.Position))
	if err != nil {
		return 0, nil, err
	}
	var gone []int
	for _, w := range ws {
		if w.Act == "remove" {
			gone = append(gone, w.ID)
		}
	}
	var people []string
	for _, t := range since {
		if id, ok := strings.CutPrefix(t.Object, "person/"); ok && t.Act == "identity.person-erased" {
			people = append(people, id)
		}
	}
	n, err := r.store.Erase(ctx, gone, people)
	if err != nil {
		return 0, nil, fmt.Errorf("erase again: %w", err)
	}
	ids, err := sample.IDs(ctx, r.store.File())
	if err != nil {
		return 0, nil, err
	}
	back := slices.DeleteFunc(ids, func(id int) bool { return !slices.Contains(gone, id) })
	named, err := r.store.People(ctx)
	if err != nil {
		return 0, nil, err
	}
	named = slices.DeleteFunc(named, func(p string) bool { return !slices.Contains(people, p) })
	return n, []incident.Check{{Name: "erased contacts", Good: len(back) == 0, Says: fmt.Sprintf("%d contacts were erased since the point; back are: %s.", len(gone), orNone(joined(back)))},
		{Name: "erased people", Good: len(named) == 0, Says: fmt.Sprintf("%d people were erased since the point; named are %d of them.", len(people), len(named))}}, nil
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Lost implements incident.Restorer: what was added since the point, is not there, and was not
// erased by its team.
func (r *Rescue) Lost(ctx context.Context, p incident.Plan) ([]incident.Write, error) {
	ws, err := r.store.Writes(writeOf(p.Position))
	if err != nil {
		return nil, err
	}
	here, err := sample.IDs(ctx, r.store.File())
	if err != nil {
		return nil, err
	}
	var out []incident.Write
	for _, w := range ws {
		erased := slices.ContainsFunc(ws, func(x sample.Write) bool { return x.Act == "remove" && x.ID == w.ID })
		if w.Act == "add" && !erased && !slices.Contains(here, w.ID) {
			out = append(out, incident.Write{At: w.At, Team: w.Team, Person: w.Person, Route: w.Route, Record: fmt.Sprintf("contact %d", w.ID), Hash: w.Hash})
		}
	}
	return out, nil
}
