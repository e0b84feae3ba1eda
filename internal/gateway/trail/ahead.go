package trail

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// ahead opens segments, one after the other, while somebody looks at what was found before.
//
//	file ─► a frame is opened, its records are read ─► picked ─► some 1000 ─► fn
//	        └────────── a goroutine, one for a segment ───────┘              └ who called
//
// Three lists of records go round between the two: one is filled, one waits, one is looked at.
// So memory is bounded by them, however slow fn is and however many segments there are.
type ahead struct {
	t    *Trail
	of   portion
	pick func(*line) bool

	n          int64 // records of the segment that were read, picked or not
	d          *decoder
	full, free chan []Found
	found      []Found // is filled
	at         []int   // of the frame's records: where they are in found; -1 = not picked
}

const (
	lists  = 3
	enough = 1024 // records in a list, and no more frames are opened for it
)

// errDefect is a fault of the program, and not of a file.
var errDefect = errors.New("trail: panic")

func (t *Trail) ahead(of portion, pick func(*line) bool) *ahead {
	a := &ahead{t: t, of: of, pick: pick, d: newDecoder(), free: make(chan []Found, lists)}
	for range lists {
		a.free <- nil
	}
	return a
}

// read gives what it picks of a segment, in the order in which it was written. A list is good until fn
// returns. heard is fn's error, which ends it; err is that of the segment, and comes when all
// before it was given. When read returns, its goroutine has ended. After heard, the end of ctx or a
// defect nothing more can be read.
func (a *ahead) read(ctx context.Context, id string, in io.Reader, fn func([]Found) error) (heard, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	a.full = make(chan []Found, 1)
	go func() {
		defer close(a.full)
		err = a.open(ctx, id, in)
	}()
	for fs := range a.full {
		if ctx.Err() != nil {
			continue
		}
		if heard = fn(fs); heard != nil {
			stop()
		}
		a.free <- fs[:0]
	}
	if heard == nil && err == nil {
		err = ctx.Err() // lists may be left that nobody got
	}
	return heard, err //nolint:wrapcheck // heard is the caller's own
}

// open fills lists. A fault of the program in it ends that read, and not the server: nobody above
// this goroutine would catch it.
func (a *ahead) open(ctx context.Context, id string, in io.Reader) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read access records of %s: %w: %v", id, errDefect, p)
		}
	}()
	a.found, a.n = <-a.free, 0
	err = a.t.frames(ctx, id, in, a.d, a.of, func(n int, _ []byte, ls []line, addrs []string) error {
		if n%2 == 1 {
			for i := range min(len(addrs), len(a.at)) {
				if a.at[i] >= 0 {
					a.found[a.at[i]].Address = addrs[i]
				}
			}
			if len(a.found) < enough {
				return nil
			}
			return a.hand(ctx)
		}
		a.at = a.at[:0]
		for i := range ls {
			n := -1
			if a.n++; a.pick(&ls[i]) {
				n = len(a.found)
				a.found = append(a.found, ls[i].found(id))
			}
			a.at = append(a.at, n)
		}
		return nil
	})
	if ctx.Err() == nil && len(a.found) > 0 {
		err = errors.Join(err, a.hand(ctx))
	}
	if ctx.Err() == nil {
		a.free <- a.found
	}
	return err
}

// hand gives a list to who looks, and takes an empty one.
func (a *ahead) hand(ctx context.Context) error {
	select {
	case a.full <- a.found:
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // read knows what it stopped
	}
	select {
	case a.found = <-a.free:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // read knows what it stopped
	}
}
