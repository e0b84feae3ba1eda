package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal/verify"
	"writ/internal/ledger"
	"writ/internal/merkle"
)

// Finding is one difference between what was signed and what is stored.
type Finding struct {
	Kind string `json:"kind"` // altered, missing, reordered, truncated, forked, added, totals
	N    int64  `json:"n"`    // the entry, -1 where it is not one entry
	Says string `json:"says"`
}

// Report is what a check of the stored journal found.
type Report struct {
	At          time.Time     `json:"at"`
	Size        int64         `json:"size"` // entries that were signed
	Root        string        `json:"root"`
	Read        int64         `json:"read"`        // entries that were hashed again
	Checkpoints int           `json:"checkpoints"` // signed checkpoints that were compared
	Took        time.Duration `json:"took_ns"`
	Findings    []Finding     `json:"findings"`
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// Tampered is the error of a journal that does not hold what was signed.
type Tampered struct{ Findings []Finding }

// Unwrap gives the words for whoever asked for what cannot be vouched for.
func (t *Tampered) Unwrap() error {
	return fault.New(fault.Internal, "journal_changed", fault.Public{
		Problem:  "The journal does not hold what was signed: " + t.Findings[0].Says + ".",
		Expected: "Nothing is proved from a journal that was changed.",
		Next:     "Tell the owners of the policy; compare with the checkpoints and bundles that were handed out."})
}

// Error names the first finding.
func (t *Tampered) Error() string {
	return fmt.Sprintf("the journal was changed: %s (%d findings)", t.Findings[0].Says, len(t.Findings))
}

func tampered(f ...Finding) error { return &Tampered{f} }

func isTampered(err error) bool { _, ok := errors.AsType[*Tampered](err); return ok }

const (
	maxFindings = 100
	page        = 1000 // entries read in one statement: a long reader would make the log of SQLite grow
	tail        = 256  // entries hashed again before the first signature
)

// stop keeps the journal from signing and records why. The entry waits with the
// others until the journal is put right; the log says it now.
func (j *Journal) stop(ctx context.Context, t *Tampered) {
	j.mu.Lock()
	first := j.stopped == nil
	j.stopped = t
	j.mu.Unlock()
	j.log.Error("the journal does not hold what was signed: nothing is numbered or signed until it does", "findings", t.Findings)
	if first {
		j.recordCheck(ctx, self, "start", Report{Findings: t.Findings})
	}
}

func (j *Journal) recordCheck(ctx context.Context, who actor.Actor, kind string, r Report) {
	says := []string{}
	for _, f := range r.Findings[:min(len(r.Findings), 10)] {
		says = append(says, f.Kind+": "+f.Says)
	}
	_, err := j.db.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return SelfChecked{Kind: kind, OK: r.OK(), Size: r.Size, Findings: says}, nil
	})
	if err != nil {
		j.log.Error("record the check of the journal", "err", err)
	}
}

// nightly is the full check as a job.
func (j *Journal) nightly(ctx context.Context) error {
	r, err := j.Verify(ctx, nil)
	if err != nil {
		return err
	}
	j.recordCheck(ctx, self, "full", r)
	if !r.OK() {
		return &Tampered{r.Findings}
	}
	return nil
}

// LastReport is the newest full check of this process, nil before the first.
func (j *Journal) LastReport() *Report { return j.report.Load() }

// checkNote checks that the journal's key signed just this head.
func (j *Journal) checkNote(head Head) error {
	if head.Size == 0 && len(head.Note) == 0 && head.Root == merkle.EmptyRoot() {
		return nil
	}
	c, _, err := merkle.OpenCheckpoint(head.Note, j.verif)
	if err != nil || c.Size != head.Size || c.Root != head.Root {
		return tampered(Finding{Kind: "altered", N: -1, Says: "the head is not what this journal's key has signed"})
	}
	return nil
}

// startCheck compares what O(log n) reads can: edge, note, totals, the newest entries,
// the newest kept checkpoints.
func (j *Journal) startCheck(ctx context.Context) error {
	head, _, err := readHead(ctx, j.db, selectHead)
	if err != nil {
		return err
	}
	kept, err := j.keptCheckpoints(ctx, 3)
	if err != nil {
		return err
	}
	for _, c := range kept {
		if err := j.grown(ctx, j.db, head, c.Size, c.Root); err != nil {
			return err
		}
	}
	if _, err := j.readState(ctx, j.db, head); err != nil {
		return err
	}
	w := &walker{j: j, ctx: ctx, head: head, from: max(0, head.Size-tail)}
	if err := w.walk(nil); err != nil {
		return err
	}
	if len(w.findings) > 0 {
		return tampered(w.findings...)
	}
	return nil
}

// kept is a checkpoint that was kept, or a finding why it cannot be believed.
type kept struct {
	merkle.Checkpoint
	Note []byte
	At   time.Time
	Why  string
}

// keptCheckpoints reads the newest kept checkpoints, greatest first, and checks their
// signatures.
func (j *Journal) keptCheckpoints(ctx context.Context, most int) ([]kept, error) {
	if err := j.loadKey(ctx); err != nil {
		return nil, err
	}
	var out []kept
	err := j.db.Each(ctx, selectKept, func(scan ledger.Scan) error {
		var size, at int64
		var k kept
		var root []byte
		if err := scan(&size, &at, &k.Why, &root, &k.Note); err != nil {
			return err
		}
		c, _, err := merkle.OpenCheckpoint(k.Note, j.verif)
		if err != nil || c.Size != size || string(root) != string(c.Root[:]) {
			return tampered(Finding{Kind: "altered", N: -1, Says: fmt.Sprintf("the kept checkpoint of %d entries is not what this journal's key has signed", size)})
		}
		k.Checkpoint, k.At = c, time.UnixMicro(at).UTC()
		out = append(out, k)
		return nil
	}, most)
	return out, err
}

// Verify hashes every entry again and compares all that is stored with what was
// signed: leaves, places, stream numbers, hashes, kept checkpoints, totals, index. What
// differs is named. It reads in pages beside the running sequencer; progress, if not
// nil, is called after each.
func (j *Journal) Verify(ctx context.Context, progress func(done, of int64)) (Report, error) {
	began := time.Now()
	if err := j.loadKey(ctx); err != nil {
		if t, ok := errors.AsType[*Tampered](err); ok {
			return Report{At: j.now(), Findings: t.Findings}, nil
		}
		return Report{}, err
	}
	w := &walker{j: j, ctx: ctx}
	err := w.noted(w.prepare())
	if err == nil {
		err = w.noted(w.walk(progress))
	}
	if err != nil {
		return Report{}, err
	}
	r := Report{At: j.now(), Size: w.head.Size, Root: w.head.Root.String(), Read: w.read, Checkpoints: len(w.kept), Took: time.Since(began), Findings: w.findings}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	j.report.Store(&r)
	return r, nil
}

// walker hashes a part of the journal again.
type walker struct {
	j          *Journal
	ctx        context.Context
	head       Head
	from, read int64
	kept       map[int64]kept
	totalsAt   int64
	totals     map[string]int64

	leaves   *merkle.Edge // the tree that the stored leaves make
	stored   *merkle.Edge // the tree that the stored leaf hashes make
	counts   map[string]int64
	differ   []int64 // entries whose leaf and stored hash differ
	gap      int64   // first missing entry of a run, -1
	holes    bool
	good     int64 // greatest kept checkpoint that holds
	findings []Finding
}

func (w *walker) find(kind string, n int64, format string, a ...any) {
	if len(w.findings) < maxFindings {
		w.findings = append(w.findings, Finding{kind, n, fmt.Sprintf(format, a...)})
	}
}

// noted turns the error of a change into findings, so that the rest is still looked at.
func (w *walker) noted(err error) error {
	if t, ok := errors.AsType[*Tampered](err); ok {
		w.findings = append(w.findings, t.Findings...)
		return nil
	}
	return err
}

// prepare reads what was signed, for a check from the beginning.
func (w *walker) prepare() error {
	if err := w.j.loadKey(w.ctx); err != nil {
		return err
	}
	w.totals = map[string]int64{}
	err := w.j.db.Each(w.ctx, selectTotals, func(scan ledger.Scan) error { // one statement: one moment
		var name string
		var n int64
		if err := scan(&w.totalsAt, &name, &n); err != nil {
			return err
		}
		w.totals[name] = n
		return nil
	})
	if err != nil {
		return err
	}
	if w.head, _, err = readHead(w.ctx, w.j.db, selectHead); err != nil {
		return err
	}
	if err := w.j.checkNote(w.head); err != nil {
		w.findings = append(w.findings, err.(*Tampered).Findings...) //nolint:errorlint // checkNote gives nothing else
	}
	all, err := w.j.keptCheckpoints(w.ctx, 1<<20)
	w.kept = map[int64]kept{}
	for _, k := range all {
		w.kept[k.Size] = k
	}
	if len(all) > 0 && all[0].Size > w.head.Size {
		w.find("truncated", w.head.Size, "entries %d to %d are gone: a tree of %d entries was signed, the head has %d",
			w.head.Size, all[0].Size-1, all[0].Size, w.head.Size)
	}
	return err
}

// walk hashes the entries from w.from to the head.
func (w *walker) walk(progress func(done, of int64)) error {
	peaks, err := hashes(w.ctx, w.j.db).ReadHashes(merkle.EdgeIndexes(w.from))
	if err != nil {
		return err
	}
	if w.leaves, err = merkle.NewEdge(w.from, peaks); err != nil {
		return err
	}
	w.stored, w.counts, w.gap = w.leaves.Clone(), map[string]int64{}, -1
	for start := w.from; start < w.head.Size; start += page {
		end := min(start+page, w.head.Size)
		if err := w.page(start, end); err != nil {
			return err
		}
		if progress != nil {
			progress(end, w.head.Size)
		}
	}
	w.closeGap(w.head.Size)
	return w.conclude()
}

// page checks the entries start to end.
func (w *walker) page(start, end int64) error {
	have := map[int64]merkle.Hash{}
	err := w.j.db.Each(w.ctx, selectHashRange, func(scan ledger.Scan) error {
		var i int64
		var b []byte
		if err := scan(&i, &b); err != nil {
			return err
		}
		if len(b) == merkleHash {
			have[i] = merkle.Hash(b)
		}
		return nil
	}, merkle.StoredCount(start), merkle.StoredCount(end)-1)
	if err != nil {
		return err
	}
	next := start
	err = w.j.db.Each(w.ctx, selectPage, func(scan ledger.Scan) error {
		var r stored
		if err := r.scan(scan); err != nil {
			return err
		}
		for ; next < r.n; next++ {
			w.missing(next, have)
		}
		w.entry(r, have)
		next++
		return nil
	}, start, end)
	for ; err == nil && next < end; next++ {
		w.missing(next, have)
	}
	return err
}

// missing notes an entry that is not there; its stored hash stands in.
func (w *walker) missing(n int64, have map[int64]merkle.Hash) {
	if w.gap < 0 {
		w.gap, w.holes = n, true
	}
	h := have[merkle.StoredCount(n)]
	w.leaves.Append(h)
	w.stored.Append(h)
	w.milestone()
}

// closeGap names a run of missing entries that ended before n.
func (w *walker) closeGap(n int64) {
	if w.gap < 0 {
		return
	}
	kind, end := "missing", ""
	if n == w.head.Size {
		kind, end = "truncated", fmt.Sprintf(": the end of the journal was cut off; %d entries were signed", n)
	}
	if w.gap == n-1 {
		w.find(kind, w.gap, "entry %d is missing%s", w.gap, end)
	} else {
		w.find(kind, w.gap, "entries %d to %d are missing%s", w.gap, n-1, end)
	}
	w.gap = -1
}

// entry checks one stored entry.
func (w *walker) entry(r stored, have map[int64]merkle.Hash) {
	w.closeGap(r.n)
	w.read++
	at := merkle.StoredCount(r.n)
	h, ok := have[at]
	leafHash := merkle.LeafHash(r.leaf)
	l, err := verify.ParseLeaf(r.leaf)
	switch {
	case err != nil:
		w.find("altered", r.n, "entry %d was altered: it is no leaf any more", r.n)
	case l.N != r.n:
		w.find("reordered", r.n, "in the place of entry %d stands entry %d", r.n, l.N)
	case l.Text("id") != r.id || l.Stream != r.stream || l.SN != r.sn:
		w.find("altered", r.n, "the id, stream or number stored beside entry %d was altered", r.n)
	case r.index != [5]string{l.Stream, l.Text("object"), l.Text("clause"), l.Text("actor"), l.Text("subject")}:
		w.find("altered", r.n, "the search index of entry %d was altered", r.n)
	}
	if !ok {
		w.find("missing", r.n, "the stored hash of entry %d is missing", r.n)
		h = leafHash
	}
	if h != leafHash {
		w.differ = append(w.differ, r.n)
	}
	for k, x := range w.leaves.Append(leafHash) {
		if k > 0 && len(w.differ) == 0 && !w.holes && have[at+int64(k)] != x {
			w.find("altered", r.n, "stored hash %d, above entry %d, was altered", at+int64(k), r.n)
		}
	}
	w.stored.Append(h)
	if err == nil && l.N == r.n {
		w.number(r.n, l)
	}
	w.milestone()
}

// number checks the number within the stream.
func (w *walker) number(n int64, l verify.Leaf) {
	last, seen := w.counts[l.Stream]
	if l.SN != last+1 && (seen || w.from == 0) {
		w.find("missing", n, "%s: number %d follows number %d at entry %d", l.Stream, l.SN, last, n)
	}
	w.counts[l.Stream] = l.SN
}

// milestone compares with what is kept at this size.
func (w *walker) milestone() {
	size := w.leaves.Size()
	if k, ok := w.kept[size]; ok {
		if k.Root == w.leaves.Root() || k.Root == w.stored.Root() {
			w.good = size
		} else if !w.holes {
			w.find("forked", size-1, "an entry from %d to %d was rewritten: another tree of %d entries was signed", w.good, size-1, size)
		}
	}
	if size == w.totalsAt && w.totals != nil && !w.holes {
		for name, n := range w.totals {
			if w.counts[name] != n {
				w.find("totals", -1, "%s: the total says %d, the entries say %d", name, n, w.counts[name])
			}
		}
	}
}

// conclude compares the trees with the signed root, and looks beyond the end.
func (w *walker) conclude() error {
	byLeaves, byHashes := w.leaves.Root() == w.head.Root, w.stored.Root() == w.head.Root
	for _, n := range w.differ {
		if byLeaves {
			w.find("altered", n, "the stored hash of entry %d was altered", n)
		} else if !w.has(n) {
			w.find("altered", n, "entry %d was altered: its hash is not the one in the tree", n)
		}
	}
	if !byLeaves && !byHashes {
		w.find("forked", -1, "the entries from %d on do not give the signed root: one was rewritten together with its hash, or a hash is lost", w.good)
	}
	var last int64
	err := ledger.One(w.ctx, w.j.db, selectLast, []any{&last})
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	now, _, err := readHead(w.ctx, w.j.db, selectHead)
	if err == nil && last >= now.Size {
		w.find("added", last, "entry %d stands beyond the signed end at %d", last, now.Size)
	}
	return err
}

func (w *walker) has(n int64) bool {
	for _, f := range w.findings {
		if f.N == n && strings.HasPrefix(f.Kind, "altered") || f.N == n && f.Kind == "reordered" {
			return true
		}
	}
	return false
}

// stored is an entry with its index row.
type stored struct {
	n, sn      int64
	id, stream string
	leaf       []byte
	index      [5]string
}

func (r *stored) scan(scan ledger.Scan) error {
	return scan(&r.n, &r.id, &r.stream, &r.sn, &r.leaf, &r.index[0], &r.index[1], &r.index[2], &r.index[3], &r.index[4])
}

const (
	selectPage = `SELECT e.n, e.id, e.stream, e.sn, e.leaf,
		COALESCE(i.act, ''), COALESCE(i.object, ''), COALESCE(i.clause, ''), COALESCE(i.actor, ''), COALESCE(i.subject, '')
		FROM journal_entry e LEFT JOIN journal_index i ON i.n = e.n WHERE e.n >= $1 AND e.n < $2 ORDER BY e.n`
	selectTotals = `SELECT h.size, s.name, s.count FROM journal_head h CROSS JOIN journal_stream s`
	selectKept   = `SELECT size, at, why, root, note FROM journal_checkpoint ORDER BY size DESC LIMIT $1`
)
