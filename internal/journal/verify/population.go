package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/canon"
	"writ/internal/merkle"
)

// population checks that nothing was left out, against the export's own entry.
func (b *bundle) population() {
	list, err := b.read("selection.txt")
	if err != nil {
		b.wrong("selection.txt", err.Error())
		return
	}
	totals := b.claims(list)
	var ns []int64
	for line := range strings.Lines(string(list)) {
		n, err := strconv.ParseInt(strings.TrimSuffix(line, "\n"), 10, 64)
		if err != nil || len(ns) > 0 && n <= ns[len(ns)-1] {
			b.wrong("selection.txt", "it is not a rising list of numbers")
			return
		}
		if _, ok := b.seen[n]; !ok {
			b.wrong(entry(n), "it belongs to the selection and is missing or not proved")
		}
		ns = append(ns, n)
	}
	switch b.Complete {
	case "range":
		from, to := b.number("from"), b.number("to")
		for i, n := range ns {
			if n != from+int64(i) {
				b.wrong(entry(from+int64(i)), "it is missing from the range")
				break
			}
		}
		if int64(len(ns)) != to-from {
			b.wrong("selection.txt", fmt.Sprintf("the range %d to %d has %d entries, not %d", from, to, to-from, len(ns)))
		}
		b.step("the range %d to %d is complete", from, to)
	case "stream":
		b.stream(ns, totals)
	default:
		b.step("a selection: the journal may hold other entries")
	}
}

// stream checks the numbers 1 to total of one stream, without a gap.
func (b *bundle) stream(ns []int64, totals map[string]int64) {
	name := b.text("stream")
	next := int64(1)
	for _, n := range ns {
		l, ok := b.seen[n]
		if !ok {
			continue
		}
		if l.Stream != name {
			b.wrong(entry(n), "it does not belong to the stream "+name)
			continue
		}
		if l.SN != next {
			b.wrong(fmt.Sprintf("%s numbers %d to %d", name, next, l.SN-1), "they are missing before entry "+strconv.FormatInt(n, 10))
		}
		next = l.SN + 1
	}
	if total := totals[name]; next-1 != total {
		b.wrong(fmt.Sprintf("%s number %d", name, next), fmt.Sprintf("it is missing: the journal counted %d", total))
	}
	b.step("%s is complete: numbers 1 to %d", name, next-1)
}

// claims compares the manifest, the selection and totals.json with what the export
// recorded about itself in the journal. It returns the recorded totals.
func (b *bundle) claims(selection []byte) map[string]int64 {
	if !b.receipts || b.receipt.Text("act") != "journal.exported" {
		b.wrong("manifest.json", "the export's own entry is missing: nothing says what the bundle should hold")
		return nil
	}
	sum := sha256.Sum256(selection)
	want := map[string]any{"selection": hex.EncodeToString(sum[:]), "complete": b.Complete, "leaves": b.number("leaves"),
		"from": b.number("from"), "to": b.number("to"), "as-of": b.number("asof"), "stream": b.text("stream")}
	for k, v := range want {
		if b.receipt.Field(k) != v {
			b.wrong("manifest.json", fmt.Sprintf("%s is %v; the export recorded %v", k, v, b.receipt.Field(k)))
		}
	}
	totals, lines := map[string]int64{}, []string{}
	recorded, _ := b.receipt.Field("totals").([]any)
	for _, x := range recorded {
		s, _ := x.(string)
		name, count, _ := strings.Cut(s, "=")
		totals[name], _ = strconv.ParseInt(count, 10, 64)
		lines = append(lines, s)
	}
	raw, err := b.read("totals.json")
	var v any
	if err == nil {
		v, err = canon.Parse(raw, 1<<20)
	}
	given, ok := v.(map[string]any)
	if err != nil || !ok {
		b.wrong("totals.json", fmt.Sprintf("it cannot be read: %v", err))
		return totals
	}
	var shown []string
	for name, count := range given {
		shown = append(shown, fmt.Sprintf("%s=%v", name, count))
	}
	slices.Sort(shown)
	if slices.Sort(lines); !slices.Equal(shown, lines) {
		b.wrong("totals.json", "it differs from the totals the export recorded")
	}
	return totals
}

// tiles serves hash tiles of the archive to tlog, which checks them against the root.
type tiles struct{ a *archive }

func (t *tiles) Height() int                     { return 8 }
func (t *tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t *tiles) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(want))
	for i, w := range want {
		b, err := t.a.read(merkle.TilePath(merkle.Tile{L: w.L, N: w.N, W: w.W}))
		if err != nil {
			return nil, err
		}
		if len(b) != w.W*tlog.HashSize {
			return nil, fmt.Errorf("tile %d/%d has %d bytes", w.L, w.N, len(b))
		}
		out[i] = b
	}
	return out, nil
}
