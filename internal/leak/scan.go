package leak

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Options are what a scan needs. Rules are Shipped() where there are none.
type Options struct {
	Rules    *Rules
	Known    Known // nil: rules alone
	Ignore   *Ignore
	Progress func(Progress)
}

// Progress is how far a scan has come.
type Progress struct {
	Files, Bytes, Hits int64
	At                 string
}

// Report is what one scan of a place saw.
type Report struct {
	Place   string   `json:"place"`
	Files   int64    `json:"files"` // files, entries of archives and objects of histories
	Bytes   int64    `json:"bytes"`
	Skipped int64    `json:"skipped"` // of no text
	Unread  []string `json:"unread"`  // what could not be read: it may hold anything
	Known   bool     `json:"known"`   // the marks of kept values were compared too
	Rules   int      `json:"rules"`
	Hits    []Hit    `json:"hits"`
}

// Open are the hits that the ignore file does not take out.
func (r Report) Open() []Hit {
	return slices.DeleteFunc(slices.Clone(r.Hits), Hit.Excepted)
}

// The bounds of a scan.
const (
	maxHits     = 10_000
	maxUnread   = 1000
	maxUnpacked = 16 << 30 // of all archives together
	piece       = 1 << 20  // of a file at a time
	overlap     = 16 << 10 // of two pieces
	batch       = 4096     // marks that are asked about together
	maxSpots    = 20       // places of one mark that are remembered until it is answered
	maxWords    = 1 << 20  // marks whose answer is remembered
)

// scan is one that goes on.
type scan struct {
	*ground
	o       Options
	rep     Report
	found   []raw
	seen    map[[32]byte]int // a secret in a file on a line → its place in found
	words   map[Mark]*word
	pending []Mark
	left    int64 // that archives may still unpack
}

// raw is a hit with its secret. It never leaves this package.
type raw struct {
	rule, says, file, commit, name, secret string
	line                                   int
}

// word is one whose mark was made.
type word struct {
	name  string
	asked bool
	spots []raw
}

// where is what is being read.
type where struct{ file, commit string }

// KnownRule is the rule of values that are kept.
const KnownRule = "known-value"

// Scan looks through a file or a folder.
func Scan(ctx context.Context, path string, o Options) (Report, error) {
	if o.Rules == nil {
		o.Rules = Shipped()
	}
	s := &scan{o: o, rep: Report{Place: path, Unread: []string{}, Hits: []Hit{}, Known: o.Known != nil, Rules: o.Rules.Len()},
		seen: map[[32]byte]int{}, words: map[Mark]*word{}, left: maxUnpacked}
	if err := s.place(ctx, path); err != nil {
		return Report{}, fmt.Errorf("scan %s: %w", path, err)
	}
	if err := s.ask(ctx); err != nil {
		return Report{}, fmt.Errorf("scan %s: %w", path, err)
	}
	for _, f := range s.found {
		h := hit(f.rule, f.says, f.file, f.secret)
		h.Line, h.Commit, h.Name = f.line, f.commit, f.name
		o.Ignore.apply(&h)
		s.rep.Hits = append(s.rep.Hits, h)
	}
	slices.SortFunc(s.rep.Hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.ID, b.ID))
	})
	return s.rep, nil
}

var errTooMany = errors.New("there are more than 10,000 hits: leave out what is no source, or scan parts of it")

// text reads one file, entry or object in pieces that overlap.
func (s *scan) text(ctx context.Context, w where, r io.Reader) error {
	s.rep.Files++
	if s.o.Progress != nil {
		s.o.Progress(Progress{s.rep.Files, s.rep.Bytes, int64(len(s.found)), w.file})
	}
	buf := make([]byte, 0, piece)
	line, first := 1, true
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		s.rep.Bytes += int64(n)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		if first && noText(buf) {
			s.rep.Skipped++
			return nil
		}
		if n > 0 {
			if err := s.piece(ctx, w, buf, line); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		first = false
		cut := len(buf) - overlap
		line += bytes.Count(buf[:cut], []byte("\n"))
		copy(buf, buf[cut:])
		buf = buf[:overlap]
	}
}

func (s *scan) piece(ctx context.Context, w where, text []byte, line int) error {
	var err error
	s.o.Rules.search(w.file, text, func(h Hit, secret string, at int) {
		err = errors.Join(err, s.add(raw{rule: h.Rule, says: h.Says, file: w.file, commit: w.commit, secret: secret, line: line + bytes.Count(text[:at], []byte("\n"))}))
	})
	if err != nil || s.o.Known == nil {
		return err
	}
	key := s.o.Known.Key()
	words(text, func(one string, at int) {
		if err != nil {
			return
		}
		m := MarkOf(key, one)
		k := s.words[m]
		if k == nil {
			k = &word{}
			s.words[m] = k
			s.pending = append(s.pending, m)
		}
		spot := raw{rule: KnownRule, says: "A value that the vault keeps", file: w.file, commit: w.commit, secret: one, name: k.name}
		switch {
		case k.asked && k.name != "":
			spot.line = line + bytes.Count(text[:at], []byte("\n"))
			err = s.add(spot)
		case !k.asked && len(k.spots) < maxSpots:
			spot.line = line + bytes.Count(text[:at], []byte("\n"))
			k.spots = append(k.spots, spot)
		}
		if err == nil && len(s.pending) >= batch {
			err = s.ask(ctx)
		}
	})
	return err
}

// ask has the marks compared that were not yet.
func (s *scan) ask(ctx context.Context) error {
	for len(s.pending) > 0 {
		some := s.pending[:min(batch, len(s.pending))]
		s.pending = s.pending[len(some):]
		names, err := s.o.Known.Which(ctx, some)
		if err != nil {
			return err
		}
		for _, m := range some {
			k := s.words[m]
			k.asked, k.name = true, names[m]
			for _, spot := range k.spots {
				if spot.name = k.name; k.name != "" {
					if err := s.add(spot); err != nil {
						return err
					}
				}
			}
			k.spots = nil
		}
	}
	if s.pending = nil; len(s.words) > maxWords { // those that are no value are asked about again
		maps.DeleteFunc(s.words, func(_ Mark, k *word) bool { return k.name == "" })
	}
	return nil
}

// add notes a hit. The same secret in the same file and line, or found in a history where
// the file has it today, is one; that its name is known tells more than a rule.
func (s *scan) add(f raw) error {
	for _, line := range []int{f.line, -1} {
		if line < 0 && f.commit == "" {
			break
		}
		if i, twice := s.seen[keyOf(f, line)]; twice {
			if f.name != "" && s.found[i].name == "" {
				s.found[i].name, s.found[i].rule, s.found[i].says = f.name, f.rule, f.says
			}
			return nil
		}
	}
	if len(s.found) >= maxHits {
		return errTooMany
	}
	s.seen[keyOf(f, f.line)] = len(s.found)
	s.seen[keyOf(f, -1)] = len(s.found)
	s.found = append(s.found, f)
	return nil
}

func keyOf(f raw, line int) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%d\x00%s\x00%s", line, f.file, f.secret))
}
