package journal

import (
	"context"
	"errors"
	"sort"
	"time"
)

// Past reads the entries that were numbered from a time on, in order, some at a time. It
// ends with the last one that was there when it began.
func (j *Journal) Past(ctx context.Context, t time.Time, fn func([]Entry) error) error {
	h, err := j.Head(ctx)
	if err != nil {
		return err
	}
	from := int64(sort.Search(int(h.Size), func(n int) bool { // times rise with numbers
		e, readErr := j.Entry(ctx, int64(n))
		err = errors.Join(err, readErr)
		return readErr != nil || !e.At.Before(t)
	}))
	for err == nil && from < h.Size {
		var es []Entry
		if es, err = j.between(ctx, from, min(followBatch, int(h.Size-from))); err != nil || len(es) == 0 {
			break
		}
		from = es[len(es)-1].N + 1
		err = fn(es)
	}
	return err
}
