package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
)

// follower is one reader with a saved cursor.
type follower struct {
	name string
	fn   func(context.Context, []Entry) error
}

// Follow gives fn every entry from the first one on, in order, at least once, in
// batches of at most 256; hidden values stay closed, see Open. The cursor is saved after
// fn has returned nil; after an error the same entries come again, with growing pauses.
// It runs on the sequencer's node inside Run, beside the other followers and never in
// the way of numbering. Call it before Run; the name is kept for ever.
func (j *Journal) Follow(name string, fn func(context.Context, []Entry) error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.running {
		panic("journal: Follow after Run")
	}
	j.followers = append(j.followers, &follower{name, fn})
}

const followBatch = 256

func (j *Journal) follow(ctx context.Context, f *follower) {
	pause := tick
	for ctx.Err() == nil {
		news := j.news()
		n, err := j.feed(ctx, f)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			j.log.Error("a follower of the journal failed and will get the same entries again", "follower", f.name, "err", err)
			sleep(ctx, pause+rand.N(pause/4+1))
			pause = min(2*pause, 30*time.Second)
		case n == 0:
			pause = tick
			select {
			case <-ctx.Done():
			case <-news:
			case <-time.After(time.Second):
			}
		default:
			pause = tick
		}
	}
}

// feed gives one batch and saves the cursor.
func (j *Journal) feed(ctx context.Context, f *follower) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	var from int64
	err = ledger.One(ctx, j.db, selectCursor, []any{&from}, f.name)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return 0, err
	}
	entries, err := j.between(ctx, from, followBatch)
	if err != nil || len(entries) == 0 {
		return 0, err
	}
	if err := f.fn(ctx, entries); err != nil {
		return 0, err
	}
	to := entries[len(entries)-1].N + 1
	err = j.db.Quiet(ctx, ledger.Cursor, func(t *ledger.Tx) error {
		_, err := t.Exec(ctx, saveCursor, f.name, to)
		return err
	})
	return len(entries), err
}

// Cursor is the number of entries that a follower has been through.
func (j *Journal) Cursor(ctx context.Context, name string) (int64, error) {
	var n int64
	err := ledger.One(ctx, j.db, selectCursor, []any{&n}, name)
	if errors.Is(err, fault.NotFound) {
		return 0, nil
	}
	return n, err
}

const (
	selectCursor = `SELECT n FROM journal_cursor WHERE name = $1`
	saveCursor   = `INSERT INTO journal_cursor (name, n) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET n = CASE WHEN excluded.n > journal_cursor.n THEN excluded.n ELSE journal_cursor.n END`
)
