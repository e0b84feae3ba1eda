package trail_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger/ledgertest"
)

// counting keys say how many boxes were opened, and fail from one on.
type counting struct {
	trail.Keys
	opened atomic.Int64
	fails  int64 // from this one on; 0 = never
	with   error
}

func (c *counting) ByID(ctx context.Context, id string) (envelope.Key, error) {
	if n := c.opened.Add(1); c.fails > 0 && n >= c.fails {
		return envelope.Key{}, c.with
	}
	return c.Keys.ByID(ctx, id)
}

// chunks writes so many chunks of a thousand records to one segment, and counts what is opened of it.
// The bytes of each record's body are its number.
func (w *world) chunks(n int) (keys *counting, begin time.Time) {
	w.t.Helper()
	begin = w.kit.Clock.Now()
	for i := range n * 1000 {
		w.kit.Clock.Advance(time.Millisecond)
		w.Add(trail.Record{At: w.kit.Clock.Now(), Who: person("ana"), Route: "/contacts/", Method: "GET", Status: 200, Out: int64(i)})
		if i%1000 == 999 {
			w.must(w.Flush(w.t.Context()))
		}
	}
	w.must(w.Close(w.t.Context()))
	keys = &counting{Keys: w.Keys}
	w.Keys = keys
	return keys, begin
}

// ways are the ways to read records one by one, the oldest first.
func (w *world) ways(begin time.Time) map[string]func(ctx context.Context, fn func(*trail.Found) error) error {
	return map[string]func(context.Context, func(*trail.Found) error) error{
		"scan": func(ctx context.Context, fn func(*trail.Found) error) error {
			_, _, err := w.Scan(ctx, actor.System("incident"), begin, w.kit.Clock.Now(), fn)
			return err
		},
		"since": func(ctx context.Context, fn func(*trail.Found) error) error {
			return w.Since(ctx, auditor, "a back-test", begin, func(fs []trail.Found) error {
				if len(fs) > 1024+8192 {
					return fmt.Errorf("%d records are in memory at once", len(fs))
				}
				for i := range fs {
					if err := fn(&fs[i]); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// until waits for something that comes by itself.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			w.t.Fatalf("after 30 s not: %s", what)
		}
	}
}

// ended waits until nobody opens frames any more.
func (w *world) ended() {
	w.t.Helper()
	w.until("the goroutine ended", func() bool {
		b := make([]byte, 4<<20)
		return !bytes.Contains(b[:runtime.Stack(b, true)], []byte("trail.(*ahead).open"))
	})
}

// What is opened before anybody looked at it is three lists, however slow who looks is and however
// long the segment: with a thousand records in a chunk two chunks make a list, and four boxes two chunks.
func TestScanReadsAheadSoFar(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	keys, begin := w.chunks(30)
	for name, read := range w.ways(begin) {
		keys.opened.Store(0)
		n := 0
		w.must(read(t.Context(), func(f *trail.Found) error {
			if f.BytesOut != int64(n) {
				t.Fatalf("%s: record %d comes as number %d", name, f.BytesOut, n)
			}
			if n == 0 {
				w.until("three lists are opened", func() bool { return keys.opened.Load() >= 12 })
			}
			if opened := keys.opened.Load(); opened > int64(n/2000*4+12) {
				t.Fatalf("%s: %d boxes are opened at record %d", name, opened, n)
			}
			n++
			return nil
		}))
		if n != 30_000 || keys.opened.Load() != 60 {
			t.Errorf("%s: %d records of %d boxes", name, n, keys.opened.Load())
		}
	}
}

// Who stops looking, by an error, by the context or by a panic, ends what is opened ahead: no goroutine
// stays, and the rest of the segment is not opened.
func TestScanStops(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	keys, begin := w.chunks(30)
	enough := errors.New("enough")
	for name, read := range w.ways(begin) {
		for what, c := range map[string]struct {
			stop func(cancel func()) error
			want error
		}{
			"an error":  {func(func()) error { return enough }, enough},
			"a context": {func(cancel func()) error { cancel(); return nil }, context.Canceled},
			"a panic":   {func(func()) error { panic(enough) }, enough},
		} {
			keys.opened.Store(0)
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			err := func() (err error) {
				defer func() {
					if p := recover(); p != nil {
						err = p.(error)
					}
				}()
				return read(ctx, func(*trail.Found) error {
					if n++; n == 1500 {
						return c.stop(cancel)
					}
					return nil
				})
			}()
			cancel()
			if !errors.Is(err, c.want) || n > 2000 {
				t.Errorf("%s, %s: %d records, %v", name, what, n, err)
			}
			w.ended()
			if opened := keys.opened.Load(); opened > 12 {
				t.Errorf("%s, %s: %d boxes of 60 were opened", name, what, opened)
			}
		}
	}
}

// A context that ends before the last list was looked at is told, and no scan seems whole that is not.
func TestScanStopsAtTheEnd(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	keys, begin := w.chunks(4)
	for name, read := range w.ways(begin) {
		keys.opened.Store(0)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		err := read(ctx, func(*trail.Found) error {
			if n++; n == 1 {
				w.until("all is opened", func() bool { return keys.opened.Load() == 8 })
			}
			if n == 2000 {
				cancel()
			}
			return nil
		})
		if cancel(); !errors.Is(err, context.Canceled) || n != 2000 {
			t.Errorf("%s: %d records, %v", name, n, err)
		}
	}
}

// What cannot be opened is told when all records before it were given, and none behind it is.
func TestScanFailsInOrder(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	keys, begin := w.chunks(5)
	sealed := fault.New(fault.Sealed, "sealed", fault.Public{Problem: "It is sealed."})
	given := func(read func(context.Context, func(*trail.Found) error) error) (n int, err error) {
		keys.opened.Store(0)
		err = read(t.Context(), func(f *trail.Found) error {
			if f.BytesOut != int64(n) {
				t.Fatalf("record %d comes as number %d", f.BytesOut, n)
			}
			n++
			return nil
		})
		return n, err
	}
	keys.fails, keys.with = 7, sealed // the records of the fourth chunk
	for name, read := range w.ways(begin) {
		if n, err := given(read); n != 3000 || fault.KindOf(err) != fault.Sealed {
			t.Errorf("%s: %d records, %v", name, n, err)
		}
	}
	keys.fails = 0
	whole, err := os.ReadFile(w.files()[0])
	w.must(err)
	for frame, want := range []int{0, 1000, 1000, 2000, 2000, 3000, 3000, 4000, 4000, 5000} { // addresses are opened too
		b := slices.Clone(whole)
		at := 0
		for range frame {
			at += 4 + int(binary.BigEndian.Uint32(b[at:]))
		}
		b[at+4+int(binary.BigEndian.Uint32(b[at:]))-1] ^= 1
		w.must(os.WriteFile(w.files()[0], b, 0o600))
		n := 0
		parts, _, err := w.Scan(t.Context(), actor.System("incident"), begin, w.kit.Clock.Now(), func(*trail.Found) error { n++; return nil })
		if err != nil || n != want || len(parts) != 1 || parts[0].Broken != "was altered" || parts[0].Read != int64(want) {
			t.Errorf("frame %d: %d records, %+v, %v", frame, n, parts, err)
		}
		if n, err := given(w.ways(begin)["since"]); n != want || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("frame %d", frame)) {
			t.Errorf("frame %d: %d records since, %v", frame, n, err)
		}
	}
}

// A scan gives each part of a record as it was, whatever is in it.
func TestScanGivesWhatWasWritten(t *testing.T) { // breaks: inc.breach-scope
	w := with(t, ledgertest.Open(t, gateway.Schema()))
	begin := w.kit.Clock.Now()
	records := []trail.Record{{Method: "GET", Status: 200, In: -1, Out: -1}, {Method: "PUT", Status: 500, In: 1 << 62, Out: -1 << 62, Took: 1 << 60}}
	for _, s := range []string{"plain", `quo"ted`, `back\slash\`, "new\nline\x00", "<script>&", "Grüße, 世界 \U0001f600", "\u2028", strings.Repeat("long ", 100), `{"t":1}`, "]\n"} {
		who := actor.Actor{Kind: actor.Support, ID: "eva", For: s, Team: s, TeamKind: "staff", Session: s, Token: s}
		records = append(records, trail.Record{Who: who, Route: s, Method: s, Status: 404, Code: s, Clause: s, In: 1, Out: 2, Resource: []string{s, "a=b", s}, Teams: []string{s}, Rows: 7})
	}
	for i := range 5000 { // more texts than are remembered
		records = append(records, trail.Record{Who: person(fmt.Sprint(i)), Route: "/" + fmt.Sprint(i%7), Method: "GET", Status: 200, Resource: []string{fmt.Sprint("contact=", i)}})
	}
	for i := range records {
		w.kit.Clock.Advance(time.Millisecond)
		records[i].At = w.kit.Clock.Now()
		w.Add(records[i])
		if i < 2 { // numbers as long as these are not read at sight, and nothing beside them
			w.must(w.Flush(t.Context()))
		}
	}
	w.must(w.Close(t.Context()))
	for name, read := range w.ways(begin) {
		n := 0
		w.must(read(t.Context(), func(f *trail.Found) error {
			want := w.Show(&records[n])
			want.Segment = f.Segment
			if !reflect.DeepEqual(*f, want) {
				t.Fatalf("%s: record %d is\n%+v, want\n%+v", name, n, *f, want)
			}
			n++
			return nil
		}))
		if n != len(records) {
			t.Errorf("%s: %d records of %d", name, n, len(records))
		}
	}
}

// Each field that a line can have is known at sight, and read as it is: one more that is not would
// make a scan as slow as encoding/json is.
func TestLinesAreKnownAtSight(t *testing.T) {
	b, err := json.Marshal(trail.Lines())
	if err != nil {
		t.Fatal(err)
	}
	seen, known, want, err := trail.Read(append(b, '\n'))
	if err != nil || !known || !reflect.DeepEqual(seen, want) || !reflect.DeepEqual(seen, any(trail.Lines())) {
		t.Errorf("known %v, %v:\n%+v, want\n%+v", known, err, seen, want)
	}
}

// FuzzLines: what is known at sight is what encoding/json reads, and nothing is that it refuses.
func FuzzLines(f *testing.F) {
	b, err := json.Marshal(trail.Lines())
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(b) + "\n", string(b), "[]\n", "null\n", "[{}]\n", "[{\"y\":tru", "[{\"t\":01}]\n", "[{\"t\":-0}]\n", "[{\"t\":9223372036854775808}]\n", "[{\"t\":1e3}]\n", "[{\"x\":[]}]\n", "[{\"x\":[\"a\"],\"x\":[\"b\",\"c\"]}]\n",
		"[{\"k\":\"\\ud800\"}]\n", "[{\"k\":\"\xff\"}]\n", "[{\"k\":\"\\q\"}]\n", "[{\"k\":\"a\tb\"}]\n", "[{\"k\":null}]\n", "[{\"K\":\"a\"}]\n", "[{\"t\":1},{\"t\":2}]\n", "[{\"t\":1}]\n[", "[ {\"t\":1}]\n", "[{\"k\":\"\\"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		seen, known, want, err := trail.Read(b)
		if known && (err != nil || !reflect.DeepEqual(seen, want)) {
			t.Errorf("%q: %v\n%+v, want\n%+v", b, err, seen, want)
		}
	})
}
