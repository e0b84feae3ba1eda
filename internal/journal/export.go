package journal

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/actor"
	"writ/internal/canon"
	"writ/internal/fault"
	"writ/internal/journal/verify"
	"writ/internal/ledger"
	"writ/internal/merkle"
)

// Limits of an export.
const (
	maxExport  = 1_000_000 // entries; a longer selection is cut there and says so
	maxSingle  = 1000      // entries with a proof file each; above, hash tiles prove them
	maxHistory = 200       // former checkpoints in a bundle
)

// Evidence says what a bundle shall hold.
type Evidence struct {
	Query  Query  // Before is the end of the range; Limit is not used
	Reason string // why; recorded
	Closed bool   // leave hidden values closed
	Since  int64  // size of a checkpoint the receiver kept: prove that it is a beginning

	Also   []int64           // numbers of entries that are in it whatever the query finds; then it is a selection
	Beside map[string][]byte // further files, under incident/ or alarm/; an entry that is in it too has the sums
}

// complete says what the bundle can prove to be complete: every entry of a range,
// every entry of a stream, or neither.
func (e Evidence) complete() string {
	q := e.Query
	switch {
	case len(e.Also) > 0:
		return "selection"
	case q.Clause == "" && q.Object == "" && q.Actor == "" && q.Subject == "" && q.Act == "":
		return "range"
	case q.Act != "" && q.Clause == "" && q.Object == "" && q.Actor == "" && q.Subject == "" && q.From == 0 && q.Before == 0:
		return "stream"
	}
	return "selection"
}

// export is one bundle being written.
type export struct {
	*Journal
	Evidence
	Exported
	who     actor.Actor
	ns      []int64
	totals  map[string]int64
	cut     bool
	head    Head
	receipt int64
	out     *bundleWriter
	tiles   *tileRecorder
	opened  int64
	gone    int64
}

// Export writes an evidence bundle: a zip that verify.Bundle, and so anyone, can check
// without this server. The export is an entry first; that entry, with its proof, tells
// the verifier what the bundle must hold. Everything is checked while it is written.
func (j *Journal) Export(ctx context.Context, who actor.Actor, ev Evidence, w io.Writer) error {
	if err := errors.Join(ev.check(), j.loadKey(ctx)); err != nil {
		return err
	}
	if who.ByToken() && !ev.Closed {
		return errByToken()
	}
	x := &export{Journal: j, Evidence: ev, who: who, out: &bundleWriter{z: zip.NewWriter(w)}}
	if err := x.choose(ctx); err != nil {
		return fmt.Errorf("choose the entries of an export: %w", err)
	}
	if err := x.record(ctx); err != nil {
		return fmt.Errorf("record an export: %w", err)
	}
	if err := x.write(ctx); err != nil {
		return fmt.Errorf("write an export: %w", err)
	}
	return nil
}

// choose finds the entries at one size of the journal.
func (x *export) choose(ctx context.Context) error {
	x.totals = map[string]int64{}
	err := x.db.Each(ctx, selectTotals, func(scan ledger.Scan) error {
		var name string
		var n int64
		if err := scan(&x.AsOf, &name, &n); err != nil {
			return err
		}
		x.totals[name] = n
		return nil
	})
	if err != nil {
		return err
	}
	x.Complete = x.complete()
	if x.Evidence.Query.Before == 0 || x.Evidence.Query.Before > x.AsOf {
		x.Evidence.Query.Before = x.AsOf
	}
	x.From, x.To = max(min(x.Evidence.Query.From, x.Evidence.Query.Before), 0), x.Evidence.Query.Before
	if x.Complete == "range" {
		x.ns = make([]int64, 0, min(x.To-x.From, maxExport))
		for n := x.From; n < x.To && len(x.ns) < maxExport; n++ {
			x.ns = append(x.ns, n)
		}
		if x.cut = int64(len(x.ns)) < x.To-x.From; x.cut {
			x.To = x.From + maxExport
		}
	} else if err := x.search(ctx); err != nil {
		return err
	}
	return x.describe()
}

func (x *export) search(ctx context.Context) error {
	where, args, err := x.where(ctx, x.Evidence.Query)
	if err != nil {
		return err
	}
	err = x.db.Each(ctx, `SELECT i.n FROM journal_index i WHERE `+where+` ORDER BY i.n LIMIT `+strconv.Itoa(maxExport+1), func(scan ledger.Scan) error {
		var n int64
		err := scan(&n)
		x.ns = append(x.ns, n)
		return err
	}, args...)
	if err != nil {
		return err
	}
	if x.cut = len(x.ns) > maxExport; x.cut {
		x.ns, x.Complete = x.ns[:maxExport], "selection"
	}
	if len(x.Also) > 0 {
		x.ns = append(x.ns, x.Also...)
		slices.Sort(x.ns)
		x.ns = slices.Compact(x.ns)
	}
	if x.Complete == "stream" {
		if x.Stream = x.Evidence.Query.Act; int64(len(x.ns)) != x.totals[x.Stream] {
			return tampered(Finding{Kind: "missing", N: -1, Says: fmt.Sprintf("%s: the total says %d entries, %d are there", x.Stream, x.totals[x.Stream], len(x.ns))})
		}
	}
	return nil
}

// describe fills the entry that the export makes.
func (x *export) describe() error {
	x.Leaves = int64(len(x.ns))
	sum := sha256.Sum256(x.selection())
	x.Selection = hex.EncodeToString(sum[:])
	for name, n := range x.totals { // a selection is proved by none, and may go to a customer, whom it is not for to know how much others do
		if x.Complete == "range" || name == x.Stream {
			x.Totals = append(x.Totals, fmt.Sprintf("%s=%d", name, n))
		}
	}
	slices.Sort(x.Totals)
	q, err := json.Marshal(x.Evidence.Query)
	x.Exported.Query, x.Exported.reason, x.Exported.Opened = string(q), x.Reason, !x.Closed
	return err
}

func (x *export) selection() []byte {
	var b []byte
	for _, n := range x.ns {
		b = strconv.AppendInt(b, n, 10)
		b = append(b, '\n')
	}
	return b
}

// record makes the entry and waits until a signed checkpoint holds it.
func (x *export) record(ctx context.Context) error {
	r, err := x.db.Change(ctx, x.who, func(*ledger.Tx) (ledger.Event, error) { return x.Exported, nil })
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	e, err := x.Wait(ctx, r.ID)
	if err != nil {
		return err
	}
	x.receipt = e.N
	if x.head, err = x.Head(ctx); err != nil {
		return err
	}
	return x.keep(ctx, x.head, "export")
}

func (x *export) write(ctx context.Context) error {
	for _, f := range []struct{ name, text string }{{"README.txt", readme}, {"key.txt", x.vkey + "\n"},
		{"checkpoint", string(x.head.Note)}, {"selection.txt", string(x.selection())}} {
		x.out.add(f.name, []byte(f.text))
	}
	for _, name := range slices.Sorted(maps.Keys(x.Beside)) {
		x.out.add(name, x.Beside[name])
	}
	totals := map[string]any{}
	for _, t := range x.Totals {
		name, count, _ := strings.Cut(t, "=")
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil {
			return err
		}
		totals[name] = n
	}
	x.out.add("totals.json", canon.MustEncode(totals))
	form := "proofs"
	if len(x.ns) > maxSingle {
		form = "tiles"
		x.tiles = &tileRecorder{ctx: ctx, j: x.Journal, seen: map[merkle.Tile][]byte{}}
	}
	if err := x.entries(ctx); err != nil {
		return err
	}
	if err := x.history(ctx); err != nil {
		return err
	}
	for _, t := range x.tiles.sorted() {
		x.out.add(merkle.TilePath(t), x.tiles.seen[t])
	}
	manifest := map[string]any{"v": int64(1), "origin": x.origin, "made": x.now().UnixMicro(), "by": x.who.String(), "reason": x.Reason,
		"query": x.Exported.Query, "revision": x.rev(), "size": x.head.Size, "asof": x.AsOf, "from": x.From, "to": x.To,
		"leaves": x.Leaves, "opened": x.opened, "redacted": x.gone, "complete": x.Complete, "stream": x.Stream,
		"form": form, "receipt": x.receipt, "incomplete": x.cut}
	b, err := canon.Encode(manifest)
	if err != nil {
		return err
	}
	x.out.add("manifest.json", b)
	return x.out.close()
}

// entries writes leaves, proofs and opened values, the export's own entry last.
func (x *export) entries(ctx context.Context) error {
	ns := x.ns
	if !slices.Contains(ns, x.receipt) {
		ns = append(slices.Clone(ns), x.receipt)
	}
	bundled := x.tiles != nil && x.Complete == "range"
	for at := 0; at < len(ns); at += merkle.TileWidth {
		part := ns[at:min(at+merkle.TileWidth, len(ns))]
		found, err := x.fetch(ctx, part)
		if err != nil {
			return err
		}
		for _, e := range found {
			if !bundled || e.n == x.receipt {
				x.out.add(fmt.Sprintf("leaves/%d.json", e.n), e.leaf)
			}
			if err := x.open(ctx, e); err != nil {
				return err
			}
		}
		if err := x.prove(ctx, found); err != nil {
			return err
		}
	}
	if !bundled {
		return nil
	}
	for n := x.From / merkle.TileWidth; n*merkle.TileWidth < x.To; n++ {
		t := merkle.Tile{N: n, W: int(min(merkle.TileWidth, x.head.Size-n*merkle.TileWidth)), Entries: true}
		b, err := x.Tile(ctx, t)
		if err != nil {
			return err
		}
		x.out.add(merkle.TilePath(t), b)
		if err := x.tiles.cover(x.head, n*merkle.TileWidth); err != nil {
			return err
		}
	}
	return nil
}

// sealedEntry is an entry with its payload.
type sealedEntry struct {
	n    int64
	id   string
	leaf []byte
}

// fetch reads entries by number; each must be there.
func (x *export) fetch(ctx context.Context, ns []int64) ([]sealedEntry, error) {
	width := 1
	for width < len(ns) {
		width *= 2
	}
	marks, args := make([]string, width), make([]any, width)
	for i := range width {
		marks[i], args[i] = fmt.Sprintf("$%d", i+1), ns[min(i, len(ns)-1)]
	}
	var out []sealedEntry
	err := x.db.Each(ctx, `SELECT n, id, leaf FROM journal_entry WHERE n IN (`+strings.Join(marks, ", ")+`) ORDER BY n`, func(scan ledger.Scan) error {
		var e sealedEntry
		err := scan(&e.n, &e.id, &e.leaf)
		out = append(out, e)
		return err
	}, args...)
	if err != nil {
		return nil, err
	}
	sorted := slices.Sorted(slices.Values(ns))
	for i, n := range sorted {
		if i >= len(out) || out[i].n != n {
			return nil, tampered(Finding{Kind: "missing", N: n, Says: fmt.Sprintf("entry %d is missing", n)})
		}
	}
	return out, nil
}

// open writes what the reader may see of the hidden values, if it still matches.
func (x *export) open(ctx context.Context, e sealedEntry) error {
	if x.Closed {
		return nil
	}
	plain, state, err := x.payload(ctx, e.n, e.id)
	if err != nil || state == Hidden {
		return err
	}
	if state == Redacted {
		x.gone++
		return nil
	}
	l, err := verify.ParseLeaf(e.leaf)
	var opened []verify.Opening
	if err == nil && state == Shown {
		if opened, err = verify.ParseOpened(plain); err == nil {
			err = l.Check(opened)
		}
	}
	if err != nil || state == Damaged {
		return tampered(Finding{Kind: "altered", N: e.n, Says: fmt.Sprintf("the sealed values of entry %d were altered", e.n)})
	}
	x.opened++
	x.out.add(fmt.Sprintf("opened/%d.json", e.n), plain)
	return nil
}

// prove writes a proof file for each entry, or the tiles that prove them all.
func (x *export) prove(ctx context.Context, es []sealedEntry) error {
	if x.tiles != nil {
		indexes := make([]int64, len(es))
		for i, e := range es {
			indexes[i] = tlog.StoredHashIndex(0, e.n)
		}
		hs, err := tlog.TileHashReader(tlog.Tree{N: x.head.Size, Hash: x.head.Root}, x.tiles).ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, e := range es {
			if hs[i] != merkle.LeafHash(e.leaf) {
				return tampered(Finding{Kind: "altered", N: e.n, Says: fmt.Sprintf("entry %d was altered", e.n)})
			}
		}
		return nil
	}
	for _, e := range es {
		p, _, err := x.proofAt(ctx, x.head, e.n)
		if err != nil {
			return err
		}
		x.out.add(fmt.Sprintf("proofs/%d.tlog-proof", e.n), p)
	}
	return nil
}

// history writes former checkpoints, each with the proof that it is a beginning.
func (x *export) history(ctx context.Context) error {
	all, err := x.keptCheckpoints(ctx, maxHistory)
	if err != nil {
		return err
	}
	sizes := map[int64]bool{}
	for _, k := range all {
		if k.Size > 0 && k.Size < x.head.Size {
			sizes[k.Size] = true
			x.out.add(fmt.Sprintf("checkpoints/%d", k.Size), k.Note)
		}
	}
	if x.Since > 0 && x.Since < x.head.Size {
		sizes[x.Since] = true
	}
	for size := range sizes {
		proof, err := merkle.ConsistencyProof(size, x.head.Size, hashes(ctx, x.db))
		if err != nil {
			return err
		}
		list := make([]any, len(proof))
		for i, h := range proof {
			list[i] = h.String()
		}
		x.out.add(fmt.Sprintf("consistency/%d.json", size), canon.MustEncode(list))
	}
	return nil
}

// tileRecorder serves hash tiles to tlog and remembers which were needed, so that the
// bundle holds just those.
type tileRecorder struct {
	ctx  context.Context //nolint:containedctx // tlog's interface has none
	j    *Journal
	seen map[merkle.Tile][]byte
}

// Height implements tlog.TileReader.
func (r *tileRecorder) Height() int { return 8 }

// SaveTiles implements tlog.TileReader.
func (r *tileRecorder) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles implements tlog.TileReader.
func (r *tileRecorder) ReadTiles(want []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(want))
	for i, w := range want {
		t := merkle.Tile{L: w.L, N: w.N, W: w.W}
		b, ok := r.seen[t]
		if !ok {
			var err error
			if b, err = r.j.hashTile(r.ctx, t); err != nil {
				return nil, err
			}
			r.seen[t] = b
		}
		out[i] = b
	}
	return out, nil
}

// cover notes the tiles that prove entry n.
func (r *tileRecorder) cover(h Head, n int64) error {
	_, err := tlog.TileHashReader(tlog.Tree{N: h.Size, Hash: h.Root}, r).ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
	return err
}

func (r *tileRecorder) sorted() []merkle.Tile {
	if r == nil {
		return nil
	}
	var ts []merkle.Tile
	for t := range r.seen {
		ts = append(ts, t)
	}
	slices.SortFunc(ts, func(a, b merkle.Tile) int { return strings.Compare(merkle.TilePath(a), merkle.TilePath(b)) })
	return ts
}

// bundleWriter writes files with one time and their sums; the first error stays.
type bundleWriter struct {
	z    *zip.Writer
	sums []string
	err  error
}

func (b *bundleWriter) add(name string, content []byte) {
	if b.err != nil {
		return
	}
	b.err = verify.Store(b.z, name, content)
	sum := sha256.Sum256(content)
	b.sums = append(b.sums, hex.EncodeToString(sum[:])+"  "+name)
}

func (b *bundleWriter) close() error {
	slices.SortFunc(b.sums, func(x, y string) int { return strings.Compare(x[64:], y[64:]) })
	b.add("SHA256SUMS", []byte(strings.Join(b.sums, "\n")+"\n"))
	return errors.Join(b.err, b.z.Close())
}

// check refuses an export nobody could read.
func (e Evidence) check() error {
	if len(e.Reason) > 500 || len(e.Also) > 10_000 || e.Query.From < 0 || e.Query.Before < 0 || e.Since < 0 {
		return fault.Newf(fault.Invalid, "bad_query", "Numbers are not negative and a reason has at most 500 bytes.")
	}
	return nil
}

const readme = `Evidence from a journal.

Check it:  writ verify FILE --key KEY        (no server, no network is needed)

KEY is the journal's verifier key. Get it by another way than this file: key.txt is
what the bundle says of itself, and a verifier shows it as self-asserted.

checkpoint        what the journal's key signed: name, number of entries, root of the tree
leaves/N.json     entry N as it was hashed. {"c": …} is a commitment to a hidden value
proofs/N…         proof that entry N stands in that tree (C2SP tlog-proof); in large
                  bundles the tiles under tile/ prove it (C2SP tlog-tiles)
opened/N.json     hidden values with the salts that open their commitments. A value that
                  is not here was not shown, is secret, or was erased
checkpoints/      former checkpoints; consistency/ proves each a beginning of this one
selection.txt     the numbers this bundle must hold
totals.json       how many entries each stream had when the search was made: all of them
                  with a range, its own with a stream, none with a selection
manifest.json     what was searched, by whom and why. The entry named "receipt" is the
                  export's own; it stands in the journal and fixes selection and totals

complete "range":     every entry from "from" up to "to" is here
complete "stream":    every entry of the stream is here, numbers 1 to the total
complete "selection": others may exist; that these are in the journal is proved
`
