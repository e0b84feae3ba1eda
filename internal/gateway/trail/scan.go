package trail

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Part is a closed segment as it was read, held against what is known of it.
type Part struct {
	ID          string
	From, Until time.Time
	Count, Read int64 // records that were sealed, and that were found
	SHA256      string
	Broken      string // why it is not as it was closed; "" = it is
}

// Scan gives every record of a time, the oldest segment first, and tells of each segment
// whether it is as it was closed. What is open is closed before, so that all of it has its
// hash in the journal. A segment that is missing or broken ends nothing: it is told of. The
// record that fn gets is good until it returns. That somebody looked is an entry, which comes
// after those of all segments: entry is its id.
func (t *Trail) Scan(ctx context.Context, who actor.Actor, from, until time.Time, fn func(*Found) error) (parts []Part, entry string, err error) { // clause: inc.breach-scope
	if err := t.Close(ctx); err != nil {
		return nil, "", err
	}
	r, err := t.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return Searched{Of: "everything, for an incident", From: from, Until: until}, nil
	})
	if err != nil {
		return nil, "", err //nolint:wrapcheck // the ledger says what failed
	}
	var rows []row
	if err := t.each(ctx, from, until, func(r row) error { rows = append(rows, r); return nil }); err != nil {
		return nil, "", err
	}
	slices.Reverse(rows)
	a := t.ahead(recordsAlone, func(l *line) bool { return l.At >= from.UnixMicro() && l.At <= until.UnixMicro() })
	for _, x := range rows {
		p, err := t.scan(ctx, a, x, fn)
		if err != nil {
			return nil, "", err
		}
		parts = append(parts, p)
	}
	return parts, r.ID, nil
}

// scan reads one segment. What cannot be read of it is in the part that it returns; an error
// is of whoever listens, or of a key that is not there now.
func (t *Trail) scan(ctx context.Context, a *ahead, r row, fn func(*Found) error) (Part, error) {
	p := Part{ID: r.id, From: r.from, Until: r.until, Count: r.count, SHA256: r.sum}
	f, err := os.Open(t.path(r.id))
	if errors.Is(err, fs.ErrNotExist) {
		p.Broken = "is missing"
		return p, nil
	}
	if err != nil {
		return Part{}, fmt.Errorf("read access records: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	heard, err := a.read(ctx, r.id, io.TeeReader(bufio.NewReaderSize(f, 64<<10), sum), func(fs []Found) error {
		for i := range fs {
			if err := fn(&fs[i]); err != nil {
				return err
			}
		}
		return nil
	})
	p.Read = a.n
	switch {
	case heard != nil:
		return Part{}, heard
	case ctx.Err() != nil || err != nil && (fault.KindOf(err) == fault.Sealed || errors.Is(err, errDefect)):
		return Part{}, errors.Join(ctx.Err(), err)
	case err != nil || hex.EncodeToString(sum.Sum(nil)) != r.sum:
		p.Broken = "was altered"
	}
	return p, nil
}
