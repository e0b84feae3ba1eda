package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"writ/internal/app"
	"writ/internal/demo/rescue"
	"writ/internal/demo/sample"
)

// backupEvery is how often the sample's database is copied.
const backupEvery = 5 * time.Minute

// rehearse makes a copy of the sample that a drill may damage. Its past is short and made up:
// contacts, a backup, some later ones, and what a bad migration does.
func rehearse(ctx context.Context, dir string) (r app.Rehearsed, onset time.Time, err error) {
	file := filepath.Join(dir, "sample.db")
	_, err = os.Stat(file)
	fresh := errors.Is(err, fs.ErrNotExist)
	var past atomic.Int64 // how long ago it is for the sample
	now := func() time.Time { return time.Now().Add(-time.Duration(past.Load())) }
	a, err := sample.New(ctx, sample.Options{File: file, Now: now, Verifier: &sample.Verifier{}}) // nobody signs in there
	if err != nil {
		return app.Rehearsed{}, time.Time{}, err
	}
	if fresh {
		if onset, err = live(ctx, a.Store(), &past, now); err != nil {
			return app.Rehearsed{}, time.Time{}, errors.Join(err, a.Close())
		}
	}
	return app.Rehearsed{Handler: a, Recovery: rescue.New(a, time.Now), Close: a.Close}, onset, nil
}

func live(ctx context.Context, s *sample.Store, past *atomic.Int64, now func() time.Time) (time.Time, error) {
	at := func(ago time.Duration) { past.Store(int64(ago)) }
	add := func(team string, n int) error {
		for i := range n {
			if _, err := s.Add(ctx, sample.By{Team: team, Route: "POST /api/contacts"}, sample.Contact{Name: fmt.Sprintf("Contact %d of %s", i+1, team), Email: fmt.Sprintf("c%d@%s.example", i+1, team)}); err != nil {
				return err
			}
		}
		return nil
	}
	at(20 * time.Minute)
	if err := errors.Join(add("orchard", 8), add("harbour", 4)); err != nil {
		return time.Time{}, err
	}
	if _, err := s.Backup(ctx); err != nil {
		return time.Time{}, err
	}
	at(12 * time.Minute)
	if err := errors.Join(add("orchard", 2), s.Remove(ctx, sample.By{Team: "harbour", Route: "DELETE /api/contacts/{id}"}, 10)); err != nil {
		return time.Time{}, err
	}
	at(10 * time.Minute)
	onset := now()
	if _, err := s.Damage(ctx); err != nil {
		return time.Time{}, err
	}
	at(0)
	return onset, nil
}
