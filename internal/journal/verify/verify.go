package verify

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/canon"
	"writ/internal/merkle"
)

// Options are what the auditor brings.
type Options struct {
	Keys  []string // verifier keys got by another way; none = the bundle's own, shown as self-asserted
	Since []byte   // a signed checkpoint the auditor kept: the journal must be a continuation of it

	// Alarm asks the rule of an alarm once more about the entries that it rests on; nil = nobody
	// here knows the rules, and a bundle of an alarm is true, and incomplete.
	Alarm func(a Alarm) (says string, err error)
}

// Alarm is what the bundle of one holds, all of it proved.
type Alarm struct {
	Files map[string][]byte             // under alarm/, by their names in it
	Leaf  func(n int64) ([]byte, error) // an entry as it was hashed
}

// ErrNotAsked is what Options.Alarm says of a rule that cannot be asked from the bundle alone.
var ErrNotAsked = errors.New("the rule is not asked again")

// The codes of a report, which are the exit statuses of writ verify. 4 is kept for a
// quorum of witnesses.
const (
	True       = 0 // all that the bundle claims is proved
	False      = 1 // something is false; Problems names it
	Unreadable = 2 // not a bundle
	Incomplete = 5 // true, and the bundle itself says that something is left out
)

// Report is what was found.
type Report struct {
	Code         int       `json:"code"`
	Origin       string    `json:"origin"`
	Size         int64     `json:"size"` // of the tree that everything is proved in
	Root         string    `json:"root"`
	Key          string    `json:"key"`           // the verifier key that held
	SelfAsserted bool      `json:"self_asserted"` // nobody but the bundle vouches for the key
	Leaves       int64     `json:"leaves"`        // proved
	Opened       int64     `json:"opened"`        // leaves whose hidden fields were compared
	Complete     string    `json:"complete"`      // range, stream or selection; see the README of a bundle
	Steps        []string  `json:"steps"`         // what was checked, in words
	Problems     []Problem `json:"problems"`

	Erasure *Erasure `json:"erasure,omitempty"` // of a certificate that is true
}

// Text is the report for a person.
func (r Report) Text() string {
	var b strings.Builder
	for _, s := range r.Steps {
		b.WriteString("  " + s + "\n")
	}
	for _, p := range r.Problems {
		b.WriteString("FALSE  " + p.What + ": " + p.Says + "\n")
	}
	if r.SelfAsserted && r.Key != "" {
		b.WriteString("note: only the bundle itself names the key " + r.Key + " (self-asserted); compare it with one you got by another way\n")
	}
	b.WriteString(map[int]string{True: "true", False: "false", Unreadable: "not a bundle that can be read", Incomplete: "true, and declared incomplete"}[r.Code] + "\n")
	return b.String()
}

// Problem is one thing that is false.
type Problem struct {
	What string `json:"what"` // a file, an entry, a stream
	Says string `json:"says"`
}

// maxProblems bounds a report of a bundle that is wrong throughout.
const maxProblems = 100

// bundle is one bundle under examination.
type bundle struct {
	*archive
	Report
	manifest map[string]any
	verifier note.Verifier
	head     merkle.Checkpoint
	headNote []byte
	reader   tlog.HashReader // of hashes in tiles that were proved against head
	seen     map[int64]Leaf  // envelopes of the proved leaves, without bodies
	receipt  Leaf
	receipts bool
	told     map[string][]any // what entries say of files, by the folder
	unasked  bool
	lastName string // the entry bundle that was read last, for again
	last     [][]byte
}

// Bundle examines an evidence zip. It never fails: what goes wrong is in the report.
func Bundle(r io.ReaderAt, size int64, opt Options) Report {
	b := &bundle{seen: map[int64]Leaf{}, told: map[string][]any{}}
	if err := b.run(r, size, opt); err != nil {
		b.Code = Unreadable
		b.Problems = append(b.Problems, Problem{"bundle", err.Error()})
		return b.Report
	}
	switch incomplete, _ := b.manifest["incomplete"].(bool); {
	case len(b.Problems) > 0:
		b.Code = False
	case incomplete, b.unasked:
		b.Code = Incomplete
	}
	return b.Report
}

func (b *bundle) run(r io.ReaderAt, size int64, opt Options) (err error) {
	if b.archive, err = openArchive(r, size); err != nil {
		return err
	}
	if err := b.sums(b.wrong); err != nil {
		return err
	}
	if err := b.rebuilt(r); err != nil {
		b.wrong("archive", err.Error())
	}
	b.step("%d files compared with SHA256SUMS", len(b.names))
	if err := b.openManifest(); err != nil {
		return err
	}
	if !b.trust(opt.Keys) {
		return nil
	}
	b.leaves()
	b.history(opt.Since)
	b.openings()
	b.population()
	b.beside("incident/")
	if b.beside("alarm/") {
		b.alarm(opt)
	}
	return nil
}

func (b *bundle) wrong(what, says string) {
	if len(b.Problems) < maxProblems {
		b.Problems = append(b.Problems, Problem{what, says})
	}
}

func (b *bundle) step(format string, a ...any) {
	b.Steps = append(b.Steps, fmt.Sprintf(format, a...))
}

func (b *bundle) number(key string) int64 { n, _ := b.manifest[key].(int64); return n }
func (b *bundle) text(key string) string  { s, _ := b.manifest[key].(string); return s }

func (b *bundle) openManifest() error {
	raw, err := b.read("manifest.json")
	if err != nil {
		return err
	}
	v, err := canon.Parse(raw, 1<<20)
	if err != nil {
		return fmt.Errorf("manifest.json: %w", err)
	}
	m, ok := v.(map[string]any)
	if version, _ := m["v"].(int64); !ok || version != 1 {
		return errors.New("manifest.json is not of version 1")
	}
	b.manifest = m
	b.Complete, b.Origin = b.text("complete"), b.text("origin")
	return nil
}

// trust finds the key under which the bundle's checkpoint holds: one of the auditor's,
// else the bundle's own.
func (b *bundle) trust(keys []string) bool {
	if b.SelfAsserted = len(keys) == 0; b.SelfAsserted {
		own, err := b.read("key.txt")
		if err != nil {
			b.wrong("key.txt", err.Error())
			return false
		}
		keys = []string{strings.TrimSpace(string(own))}
	}
	var err error
	if b.headNote, err = b.read("checkpoint"); err != nil {
		b.wrong("checkpoint", err.Error())
		return false
	}
	last := errors.New("no key was given")
	for _, k := range keys {
		v, err := note.NewVerifier(strings.TrimSpace(k))
		if err != nil {
			last = err
			continue
		}
		if b.head, _, last = merkle.OpenCheckpoint(b.headNote, v); last == nil {
			b.verifier, b.Key = v, strings.TrimSpace(k)
			break
		}
	}
	if b.verifier == nil {
		b.wrong("checkpoint", "it is not signed by a key that was given: "+last.Error())
		return false
	}
	if b.head.Origin != b.Origin || b.head.Size != b.number("size") {
		b.wrong("manifest.json", "it names another journal or size than the checkpoint")
	}
	b.Size, b.Root = b.head.Size, base64.StdEncoding.EncodeToString(b.head.Root[:])
	b.reader = tlog.TileHashReader(tlog.Tree{N: b.head.Size, Hash: b.head.Root}, &tiles{b.archive})
	b.step("checkpoint of %d entries is signed by %s", b.Size, b.verifier.Name())
	return true
}

// leaves proves each leaf: in leaves/ with a proof of its own or by hash tiles, or in
// an entry bundle by hash tiles.
func (b *bundle) leaves() {
	tiled := b.text("form") == "tiles"
	var batch []int64
	var hashes []merkle.Hash
	flush := func() {
		b.compare(batch, hashes)
		batch, hashes = batch[:0], hashes[:0]
	}
	for _, name := range b.under("leaves/") {
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(name, "leaves/"), ".json"), 10, 64)
		raw, rerr := b.read(name)
		if err = errors.Join(err, rerr); err != nil {
			b.wrong(name, err.Error())
			continue
		}
		if !b.leaf(name, n, raw) {
			continue
		}
		if !tiled {
			b.single(n, raw)
			continue
		}
		if batch, hashes = append(batch, n), append(hashes, merkle.LeafHash(raw)); len(batch) == merkle.TileWidth {
			flush()
		}
	}
	flush()
	for _, name := range b.under("tile/entries/") {
		t, err := merkle.ParseTilePath(name)
		raw, rerr := b.read(name)
		var all [][]byte
		if err = errors.Join(err, rerr); err == nil {
			all, err = merkle.ParseEntryBundle(raw)
		}
		if err != nil || len(all) != t.W {
			b.wrong(name, fmt.Sprintf("it is not a bundle of entries: %v", err))
			continue
		}
		for i, raw := range all {
			if n := t.N*merkle.TileWidth + int64(i); b.leaf(name, n, raw) {
				batch, hashes = append(batch, n), append(hashes, merkle.LeafHash(raw))
			}
		}
		flush()
	}
	b.Leaves = int64(len(b.seen))
	b.step("%d entries stand where they say in the tree of %d", b.Leaves, b.Size)
}

// leaf reads one leaf and notes its envelope; the hash is compared by the caller.
func (b *bundle) leaf(file string, n int64, raw []byte) bool {
	l, err := ParseLeaf(raw)
	switch {
	case err != nil:
		b.wrong(entry(n), file+": "+err.Error())
	case l.N != n:
		b.wrong(entry(n), fmt.Sprintf("in its place stands entry %d", l.N))
	default:
		if n == b.number("receipt") {
			b.receipt, b.receipts = l, true
		}
		if folder := bundled[l.Stream]; folder != "" {
			b.told[folder] = append(b.told[folder], l.Field("files"))
		}
		l.Body = nil
		b.seen[n] = l
		return true
	}
	return false
}

func entry(n int64) string { return fmt.Sprintf("entry %d", n) }

// single checks a leaf by its own proof file.
func (b *bundle) single(n int64, raw []byte) {
	name := fmt.Sprintf("proofs/%d.tlog-proof", n)
	pb, err := b.read(name)
	var p merkle.Proof
	if err == nil {
		p, err = merkle.ParseProof(pb)
	}
	if err == nil {
		_, err = p.Verify(raw, b.verifier)
	}
	if err == nil && (p.Index != n || string(p.Checkpoint) != string(b.headNote)) {
		err = errors.New("the proof is for another entry or checkpoint")
	}
	if err != nil {
		b.unproved(n, err)
	}
}

// compare checks leaf hashes against the hash tiles.
func (b *bundle) compare(ns []int64, hashes []merkle.Hash) {
	if len(ns) == 0 {
		return
	}
	indexes := make([]int64, len(ns))
	for i, n := range ns {
		if n >= b.Size {
			b.unproved(n, errors.New("it lies beyond the checkpoint"))
			return
		}
		indexes[i] = tlog.StoredHashIndex(0, n)
	}
	got, err := b.reader.ReadHashes(indexes)
	for i, n := range ns {
		switch {
		case err != nil:
			b.unproved(n, err)
		case got[i] != hashes[i]:
			b.unproved(n, errors.New("it was altered: its hash is not the one in the tree"))
		}
	}
}

func (b *bundle) unproved(n int64, err error) {
	delete(b.seen, n)
	b.wrong(entry(n), err.Error())
}

// history checks that each former checkpoint, and the auditor's, begins this one.
func (b *bundle) history(since []byte) {
	old := map[int64]merkle.Checkpoint{}
	for _, name := range b.under("checkpoints/") {
		raw, err := b.read(name)
		var c merkle.Checkpoint
		if err == nil {
			c, _, err = merkle.OpenCheckpoint(raw, b.verifier)
		}
		if err == nil {
			err = b.continues(c)
		}
		if err != nil {
			b.wrong(name, err.Error())
			continue
		}
		old[c.Size] = c
	}
	b.step("%d former checkpoints are beginnings of this one", len(old))
	if len(since) == 0 {
		return
	}
	c, _, err := merkle.OpenCheckpoint(since, b.verifier)
	if err == nil {
		if own, ok := old[c.Size]; ok && own.Root != c.Root {
			err = fmt.Errorf("two trees of %d entries were signed", c.Size)
		} else {
			err = b.continues(c)
		}
	}
	if err != nil {
		b.wrong("the checkpoint you kept", err.Error())
		return
	}
	b.step("the checkpoint you kept, of %d entries, is a beginning of this one", c.Size)
}

// continues checks that the tree of c is the beginning of the bundle's tree.
func (b *bundle) continues(c merkle.Checkpoint) error {
	var proof []merkle.Hash
	if c.Size > 0 && c.Size < b.Size {
		raw, err := b.read(fmt.Sprintf("consistency/%d.json", c.Size))
		if err != nil {
			return fmt.Errorf("nothing proves that the tree of %d entries begins this one (a bundle exported with --since %d does): %w", c.Size, c.Size, err)
		}
		v, err := canon.Parse(raw, 16<<10)
		if err != nil {
			return err
		}
		list, _ := v.([]any)
		for _, x := range list {
			s, _ := x.(string)
			h, err := tlog.ParseHash(s)
			if err != nil {
				return fmt.Errorf("proof of consistency: %w", err)
			}
			proof = append(proof, h)
		}
	}
	return merkle.CheckConsistency(c, b.head, proof)
}

// openings compares opened fields with the commitments of their leaves.
func (b *bundle) openings() {
	names := slices.Clone(b.under("opened/"))
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)) }) // by number
	for _, name := range names {
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(name, "opened/"), ".json"), 10, 64)
		if _, proved := b.seen[n]; err != nil || !proved {
			b.wrong(name, "its entry is not proved")
			continue
		}
		l, err := b.again(n)
		var raw []byte
		if err == nil {
			raw, err = b.read(name)
		}
		var opened []Opening
		if err == nil {
			opened, err = ParseOpened(raw)
		}
		if err == nil {
			err = l.Check(opened)
		}
		if err != nil {
			b.wrong(entry(n), "opened: "+err.Error())
			continue
		}
		b.Opened++
	}
	b.step("the opened fields of %d entries match their commitments", b.Opened)
}

// again reads a leaf a second time, with its body.
func (b *bundle) again(n int64) (Leaf, error) {
	raw, err := b.raw(n)
	if err != nil {
		return Leaf{}, err
	}
	return ParseLeaf(raw)
}

// raw is a leaf as it was hashed.
func (b *bundle) raw(n int64) ([]byte, error) {
	if name := fmt.Sprintf("leaves/%d.json", n); b.files[name] != nil {
		return b.read(name)
	}
	t := merkle.Tile{N: n / merkle.TileWidth, W: int(min(merkle.TileWidth, b.Size-n/merkle.TileWidth*merkle.TileWidth)), Entries: true}
	if name := merkle.TilePath(t); name != b.lastName {
		raw, err := b.read(name)
		if err != nil {
			return nil, err
		}
		if b.last, err = merkle.ParseEntryBundle(raw); err != nil || len(b.last) != t.W {
			b.lastName = ""
			return nil, fmt.Errorf("%s is not a bundle of %d entries", name, t.W)
		}
		b.lastName = name
	}
	return b.last[n%merkle.TileWidth], nil
}
