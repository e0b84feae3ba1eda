package trail

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// A segment is a file of frames: length (4 bytes, big endian) and a sealed box, which is
// bound to the segment and to its place in it. Frames come in pairs: records, and the
// whole addresses of those records.
type segment struct {
	id          string
	file        *os.File
	sum         hash.Hash
	size, count int64
	frames      int
	from, until time.Time
}

const (
	suffix   = ".trail"
	maxFrame = 32 << 20
)

// class is the key of records; week that of addresses.
var class = keyring.Class("gateway.records")

func week(t time.Time) keyring.Subject {
	y, w := t.UTC().ISOWeek()
	return keyring.Class(fmt.Sprintf("gateway.addresses-%04d-%02d", y, w))
}

func place(id string, frame int) envelope.AAD {
	return envelope.AAD{Table: "gateway_segment", Column: "frame", Row: id, Version: frame}
}

func (t *Trail) path(id string) string { return filepath.Join(t.Dir, id+suffix) }

// chunk writes records to the open segment, or to a new one. The caller holds write.
func (t *Trail) chunk(ctx context.Context, rs []Record) error {
	now := t.Now()
	key, err := t.Keys.Ensure(ctx, class)
	if err != nil {
		return fmt.Errorf("key of access records: %w", err)
	}
	of, err := t.Keys.Ensure(ctx, week(now))
	if err != nil {
		return fmt.Errorf("key of addresses: %w", err)
	}
	lines, addrs := make([]line, len(rs)), make([]string, len(rs))
	for i := range rs {
		lines[i] = t.line(&rs[i])
		if rs[i].Addr.IsValid() {
			addrs[i] = rs[i].Addr.Unmap().String()
		}
	}
	a, err := pack(lines)
	if err != nil {
		return err
	}
	b, err := pack(addrs)
	if err != nil {
		return err
	}
	if t.open == nil {
		if t.open, err = t.begin(rs[0].At); err != nil {
			return err
		}
	}
	s := t.open
	frames := append(frame(key.Seal(a, place(s.id, s.frames))), frame(of.Seal(b, place(s.id, s.frames+1)))...)
	if _, err := s.file.WriteAt(frames, s.size); err != nil { // a half frame of a try before is written over
		return fmt.Errorf("write access records: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("write access records: %w", err)
	}
	_, _ = s.sum.Write(frames) // a hash never fails
	s.size, s.frames, s.count = s.size+int64(len(frames)), s.frames+2, s.count+int64(len(rs))
	s.until = rs[len(rs)-1].At
	return nil
}

func frame(box []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(box))), box...)
}

func (t *Trail) begin(from time.Time) (*segment, error) {
	id := t.DB.ID()
	f, err := os.OpenFile(t.path(id), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin a segment: %w", err)
	}
	return &segment{id: id, file: f, sum: sha256.New(), from: from}, nil
}

// shut closes the open segment and makes its hash an entry. The caller holds write.
func (t *Trail) shut(ctx context.Context, recovered bool) error {
	s := t.open
	if s == nil {
		return nil
	}
	if err := s.file.Truncate(s.size); err != nil { // what a failed write left behind
		return fmt.Errorf("close a segment: %w", err)
	}
	sum := hex.EncodeToString(s.sum.Sum(nil))
	_, err := t.DB.Change(ctx, actor.System("gateway"), func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, insertSegment, s.id, t.folder, s.from.UnixMicro(), s.until.UnixMicro(), s.count, s.size, sum); err != nil {
			return nil, err
		}
		return Sealed{Segment: s.id, From: s.from, Until: s.until, Count: s.count, Bytes: s.size, SHA256: sum, Recovered: recovered}, nil
	})
	if err != nil {
		return fmt.Errorf("record a segment: %w", err)
	}
	t.open = nil
	t.names.Clear()
	return s.file.Close()
}

// Recover takes up segments that a former process left open: what is whole of them is
// closed, half a frame at the end is cut off.
func (t *Trail) Recover(ctx context.Context) error {
	t.write.Lock()
	defer t.write.Unlock()
	known := map[string]bool{}
	if err := t.each(ctx, time.Time{}, time.Time{}, func(s row) error { known[s.id] = true; return nil }); err != nil {
		return err
	}
	files, err := os.ReadDir(t.Dir)
	if err != nil {
		return fmt.Errorf("read the folder of access records: %w", err)
	}
	for _, f := range files {
		id, ours := strings.CutSuffix(f.Name(), suffix)
		if !ours || known[id] || t.open != nil && t.open.id == id {
			continue
		}
		if err := t.takeUp(ctx, id); errors.Is(err, errDamaged) {
			err = t.layAside(ctx, id, err)
			if err != nil {
				return err
			}
		} else if err != nil {
			return fmt.Errorf("take up the segment %s: %w", id, err)
		}
	}
	return nil
}

func (t *Trail) takeUp(ctx context.Context, id string) error {
	f, err := os.OpenFile(t.path(id), os.O_RDWR, 0)
	if err != nil {
		return err //nolint:wrapcheck // the caller's words
	}
	s := &segment{id: id, file: f, sum: sha256.New()}
	err = t.frames(ctx, id, bufio.NewReader(f), newDecoder(), everything, func(_ int, box []byte, ls []line, _ []string) error {
		b := frame(box)
		_, _ = s.sum.Write(b) // a hash never fails
		s.size += int64(len(b))
		s.frames++
		for _, l := range ls {
			if at := time.UnixMicro(l.At).UTC(); s.count == 0 {
				s.from, s.until = at, at
			} else {
				s.until = at
			}
			s.count++
		}
		return nil
	})
	if err != nil && !errors.Is(err, errTorn) {
		return errors.Join(err, f.Close())
	}
	if s.count == 0 {
		return errors.Join(f.Close(), os.Remove(t.path(id)))
	}
	before := t.open
	t.open = s
	err = t.shut(ctx, true)
	t.open = before
	return err
}

// layAside keeps a damaged segment from being taken for a good one. That it is damaged is an
// entry, and the control of access records fails as long as the file is there; the server
// starts all the same.
func (t *Trail) layAside(ctx context.Context, id string, cause error) error { // clause: inc.breach-scope
	t.Log.Error("a segment of access records is damaged and was laid aside", "segment", id, "err", cause)
	size := int64(0)
	if i, err := os.Stat(t.path(id)); err == nil {
		size = i.Size()
	}
	_, err := t.DB.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) { return Damaged{Segment: id, Bytes: size}, nil })
	if err != nil {
		return fmt.Errorf("record a damaged segment: %w", err)
	}
	if err := os.Rename(t.path(id), t.path(id)+damaged); err != nil {
		return fmt.Errorf("lay a damaged segment aside: %w", err)
	}
	return nil
}

const damaged = ".damaged"

// errDamaged is a file that is not as it was written.
var errDamaged = errors.New("trail: the file is damaged")

// errTorn is a file that ends within a frame.
var errTorn = errors.New("trail: the file ends within a frame")

// frames reads a segment. fn gets each box with what is in it: lines, or addresses, which
// are nil once their key was destroyed; the box and the lines are good until it returns, and its
// error ends it. Anything that is not as it was written is an error. Where addresses are of no
// use their boxes are opened all the same, and what was in them is not looked at.
func (t *Trail) frames(ctx context.Context, id string, in io.Reader, d *decoder, of portion, fn func(n int, box []byte, ls []line, addrs []string) error) error {
	var box []byte
	for n := 0; ; n++ {
		if err := ctx.Err(); err != nil {
			return err //nolint:wrapcheck // the caller knows what it stopped
		}
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return errTorn
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > maxFrame {
			return fmt.Errorf("%w: a frame is longer than one may be", errDamaged)
		}
		box = slices.Grow(box[:0], int(size))[:size]
		if _, err := io.ReadFull(in, box); err != nil {
			return errTorn
		}
		plain, err := keyring.OpenBox(ctx, t.Keys, place(id, n), box)
		var ls []line
		var addrs []string
		switch odd := n%2 == 1; {
		case odd && errors.Is(err, fault.Gone):
			err = nil
		case err != nil && (fault.KindOf(err) == fault.Sealed || ctx.Err() != nil): // not the file's fault
			return fmt.Errorf("open frame %d: %w", n, err)
		case err != nil:
			return fmt.Errorf("%w: frame %d: %w", errDamaged, n, err)
		case !odd:
			ls, err = d.records(plain.Reveal())
		case of == everything:
			addrs, err = d.addresses(plain.Reveal())
		}
		if err == nil {
			err = fn(n, box, ls, addrs)
		}
		if err != nil {
			return err
		}
	}
}

// portion is what is read of a segment.
type portion int

const (
	everything portion = iota
	recordsAlone
)

// row is a closed segment as the table knows it.
type row struct {
	id, sum     string
	from, until time.Time
	count, size int64
}

// each goes through closed segments that have records of a time, the newest first; zero =
// without an end.
func (t *Trail) each(ctx context.Context, from, until time.Time, fn func(row) error) error {
	lo, hi := int64(0), int64(1)<<62
	if !from.IsZero() {
		lo = from.UnixMicro()
	}
	if !until.IsZero() {
		hi = until.UnixMicro()
	}
	var all []row
	err := t.DB.Each(ctx, selectSegments, func(scan ledger.Scan) error {
		var r row
		var a, b int64
		if err := scan(&r.id, &a, &b, &r.count, &r.size, &r.sum); err != nil {
			return err
		}
		r.from, r.until = time.UnixMicro(a).UTC(), time.UnixMicro(b).UTC()
		all = append(all, r)
		return nil
	}, t.folder, lo, hi)
	if err != nil {
		return fmt.Errorf("read segments: %w", err)
	}
	for _, r := range all {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// Sweep removes segments whose time is over, and destroys the keys of addresses. While a
// legal hold stands it does neither.
func (t *Trail) Sweep(ctx context.Context) error {
	now := t.Now()
	if held, err := t.held(ctx); held || err != nil {
		return err
	}
	var old []string
	if err := t.each(ctx, time.Time{}, now.Add(-keep), func(r row) error {
		if r.until.Before(now.Add(-keep)) {
			old = append(old, r.id)
		}
		return nil
	}); err != nil {
		return err
	}
	for len(old) > 0 {
		part := old[:min(len(old), 100)]
		old = old[len(part):]
		if held, err := t.held(ctx); held || err != nil { // one may begin at any time
			return err
		}
		for _, id := range part {
			if err := os.Remove(t.path(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("remove a segment: %w", err)
			}
		}
		_, err := t.DB.Change(ctx, actor.System("gateway"), func(tx *ledger.Tx) (ledger.Event, error) {
			for _, id := range part {
				if _, err := tx.Exec(ctx, deleteSegment, id); err != nil {
					return nil, err
				}
			}
			return Expired{Segments: part}, nil
		})
		if err != nil {
			return fmt.Errorf("record that segments are over: %w", err)
		}
	}
	if held, err := t.held(ctx); held || err != nil {
		return err
	}
	for back := range 4 { // a server that was off for a month has kept none of the weeks before
		if err := t.forget(ctx, week(now.Add(-keepAddress-time.Duration(7*(back+1))*24*time.Hour)), now); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trail) held(ctx context.Context) (bool, error) { // clause: inc.breach-research
	if t.Held == nil {
		return false, nil
	}
	held, err := t.Held(ctx)
	if err != nil {
		return true, fmt.Errorf("ask whether a legal hold stands: %w", err)
	}
	return held, nil
}

// forget destroys the key of a week's addresses, and records it the first time.
func (t *Trail) forget(ctx context.Context, of keyring.Subject, now time.Time) error {
	d, err := t.Keys.Erase(ctx, of)
	if errors.Is(err, fault.NotFound) || err == nil && d.At.Before(now) {
		return nil // it never had one, or has none any more
	}
	if err != nil {
		return fmt.Errorf("destroy the key of addresses: %w", err)
	}
	_, err = t.DB.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) { return Expired{Week: of.ID}, nil })
	if err != nil {
		return fmt.Errorf("record the end of addresses: %w", err)
	}
	return nil
}

const (
	insertSegment  = `INSERT INTO gateway_segment (id, folder, began, ended, records, bytes, sha256) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	selectSegments = `SELECT id, began, ended, records, bytes, sha256 FROM gateway_segment WHERE folder = $1 AND ended >= $2 AND began <= $3 ORDER BY began DESC, id DESC`
	deleteSegment  = `DELETE FROM gateway_segment WHERE id = $1`
)
