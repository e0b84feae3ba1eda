package rescue

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"writ/internal/demo/sample"
	"writ/internal/fault"
	"writ/internal/incident"
)

// margin is how long before the onset a copy must be that is restored as it is.
const margin = time.Minute

// Plan implements incident.Source.
func (r *Rescue) Plan(ctx context.Context, w incident.Wish) (incident.Plan, error) {
	names, err := r.Names(ctx)
	if err != nil {
		return incident.Plan{}, err
	}
	p := incident.Plan{Rule: w.Rule, Target: names[0], Kept: w.Kept, Expected: 1}
	if w.Rule == incident.Preserved {
		return r.planKept(ctx, w, p)
	}
	b, err := r.choose(w)
	if err != nil {
		return p, err
	}
	ws, err := r.store.Writes(b.Write)
	if err != nil {
		return p, err
	}
	p.Point, p.Hash, p.At, p.Position, p.Rows = b.ID, b.Hash, b.At, position(b.Write), b.Rows
	for _, x := range ws {
		switch {
		case w.Rule == incident.PITR && x.At.Before(w.Before):
			p.At, p.Position = x.At, position(x.N)
			p.Rows += map[string]int64{"add": 1, "remove": -1}[x.Act]
		case x.Act == "add":
			p.Lost++
		}
	}
	p.Expected += b.Bytes >> 25 // 32 MiB a second, read, checked and written
	p.Checks, err = r.before(b)
	return p, err
}

// choose is the newest backup that fits, or the one that is asked for.
func (r *Rescue) choose(w incident.Wish) (sample.Backup, error) {
	bs, err := r.store.Backups()
	if err != nil {
		return sample.Backup{}, err
	}
	for _, b := range bs {
		if w.Point == b.ID || w.Point == "" && b.At.Before(w.Before.Add(-margin)) {
			return b, nil
		}
	}
	says := "No backup is from before " + w.Before.UTC().Format("2 January 2006 at 15:04 UTC") + "."
	if w.Point != "" {
		says = fmt.Sprintf("There is no backup %q.", w.Point)
	}
	return sample.Backup{}, fault.New(fault.Conflict, "no_point", fault.Public{Problem: says, Expected: "A backup that was read back, a minute before the damage at the latest.", Next: "Look at the points, and at the time since which the data is damaged."})
}

// before is what is looked at before anybody signs.
func (r *Rescue) before(b sample.Backup) ([]incident.Check, error) {
	sum, _, err := sample.HashFile(r.store.BackupFile(b.ID))
	if err != nil {
		return nil, err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(r.store.File()), &disk); err != nil {
		return nil, fmt.Errorf("ask for free space: %w", err)
	}
	free, need := int64(disk.Bavail)*int64(disk.Bsize), b.Bytes*22/10 //nolint:gosec,unconvert // of one file system
	return []incident.Check{{Name: "backup", Good: sum == b.Hash, Says: "The backup " + b.ID + " is what it was when it was made, by its SHA-256."},
		{Name: "space", Good: free >= need, Says: fmt.Sprintf("%d MiB are free, and %d MiB are needed.", free>>20, need>>20)},
		{Name: "schema", Good: b.Version == sample.Version, Says: fmt.Sprintf("The backup has schema %d, and this program reads %d.", b.Version, sample.Version)}}, nil
}

// planKept puts the damaged state back.
func (r *Rescue) planKept(ctx context.Context, w incident.Wish, p incident.Plan) (incident.Plan, error) {
	hash, err := keptHash(r.keptFolder(w.Kept))
	if err != nil {
		return p, fault.New(fault.Conflict, "no_point", fault.Public{Problem: "The damaged state is not kept.", Next: "Take a backup."})
	}
	p.Point, p.Hash, p.At = "preserved", hash, r.now()
	side, err := r.layOut(ctx, p)
	if err != nil {
		return p, err
	}
	st, err := sample.Inspect(ctx, side)
	p.Position, p.Rows = position(st.Write), st.Rows
	return p, err
}
