package breach

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Input is what a set is computed from. Each source is read as often as memory asks for, and
// must give the same in the same order each time.
type Input struct {
	Version  int
	Selector Selector                                                       // checked
	Data     map[string][]string                                            // "METHOD route", "route", or what a description leaves open → categories that a person gave it
	Tagged   func(method, route string) Told                                // what a description says; nil = nothing
	People   func(ctx context.Context, fn func(subject string) error) error // everybody who may be concerned
	Former   func(ctx context.Context, fn func(Line) error) error           // of the version before; nil = none
	Records  func(ctx context.Context, fn func(*Record) error) (Coverage, error)
	Whose    map[string][]string // TEAM/NAME=VALUE of a record → subjects that it is about, none = they are gone; nil = nobody was asked
	Keep     func(*Record) error // gets each record that matches, once, in order; nil = nobody wants them
}

// Result is a set without its lines.
type Result struct {
	Format   int                 `json:"format"`
	Version  int                 `json:"version"`
	Selector Selector            `json:"selector"`
	Data     map[string][]string `json:"data,omitempty"`
	Tags     map[string][]string `json:"tags,omitempty"`   // "METHOD route" → categories of its description
	Fields   map[string][]string `json:"fields,omitempty"` // "METHOD route" → what its description gives no category
	Coverage Coverage            `json:"coverage"`
	Holes    []Hole              `json:"holes,omitempty"`
	Records  int64               `json:"records"`           // that match
	Inputs   string              `json:"inputs"`            // hash of them
	Open     []string            `json:"open,omitempty"`    // routes and fields without a category
	Whose    string              `json:"whose,omitempty"`   // hash of whose the records are, where the application was asked
	Unasked  int64               `json:"unasked,omitempty"` // records of which it did not say that
	Gone     int64               `json:"gone,omitempty"`    // records that are about nobody who can be named any more
	Counts   map[Class]int64     `json:"counts"`
	Lines    string              `json:"lines"` // hash of the lines
	Hash     string              `json:"hash"`  // of all of this
}

const format = 1

// Whole reports whether the record tells everything about the selected time.
func (r *Result) Whole() bool { return len(r.Holes) == 0 && len(r.Selector.Unlogged) == 0 }

// Told is what a description said of a route when the set was computed.
func (r *Result) Told(method, route string) Told {
	key := method + " " + route
	return Told{r.Tags[key], r.Fields[key]}
}

// Must reports whether something about it must be stated before it is frozen.
func (r *Result) Must() bool { return !r.Whole() || len(r.Open) > 0 || r.Unasked > 0 }

// seal is the hash of a result: of its JSON without the hash itself.
func (r Result) seal() (string, error) {
	r.Hash = ""
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode a set: %w", err)
	}
	sum := sha256.Sum256(append([]byte("writ/breach/set/1\n"), b...))
	return hex.EncodeToString(sum[:]), nil
}

// Most is how many subjects are in memory at once.
const Most = 500_000

// errChanged is a source that did not give the same twice.
var errChanged = errors.New("breach: the record changed while it was read")

// Compute computes a set, and gives its lines in their order: that of a hash of the subject.
func Compute(ctx context.Context, in Input, out func(Line) error) (Result, error) {
	return compute(ctx, in, Most, out)
}

// recordMark begins a subject that is a record of the application.
var recordMark = []byte("record/")

// Named are the records of the application that a set would name, TEAM/NAME=VALUE in their order, at
// most so many: whose they are can be asked before it is computed. Keep and Whose are not used.
func Named(ctx context.Context, in Input, most int) ([]string, error) {
	m, seen := in.Selector.matcher(), map[string]bool{}
	var key []byte
	if _, err := in.Records(ctx, func(r *Record) error {
		if !m.match(r) || classOf(r) == 0 {
			return nil
		}
		key = r.subjects(key, func(s []byte) {
			if record, ok := bytes.CutPrefix(s, recordMark); ok && len(seen) < most {
				seen[string(record)] = true
			}
		})
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read the record: %w", err)
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// total is what is known of one subject.
type total struct {
	hash        uint64
	class       Class
	data        uint8
	hits        int64
	before      int64 // hits in the version before
	first, last int64 // µs; 0 = none
}

// pass goes once through everything and keeps the subjects whose hash lies in a part.
type pass struct {
	in     *Input
	lo, hi uint64 // hi is within
	most   int
	all    map[string]*total
	inputs hash.Hash
	n      int64
	routes map[string]uint8 // "METHOD route" → categories
	tags   map[string][]string
	fields map[string][]string
	buf    []byte
	key    []byte
}

func compute(ctx context.Context, in Input, most int, out func(Line) error) (Result, error) { // clause: inc.breach-scope
	r := Result{Format: format, Version: in.Version, Selector: in.Selector, Data: in.Data, Counts: map[Class]int64{}}
	lines := sha256.New()
	if in.Whose != nil {
		b, err := json.Marshal(in.Whose) // its keys are sorted
		if err != nil {
			return Result{}, fmt.Errorf("encode whose records are: %w", err)
		}
		sum := sha256.Sum256(b)
		r.Whose = hex.EncodeToString(sum[:])
	}
	for lo := uint64(0); ; {
		p := &pass{in: &in, lo: lo, hi: math.MaxUint64, most: most, all: map[string]*total{}, inputs: sha256.New(), routes: map[string]uint8{}, tags: map[string][]string{}, fields: map[string][]string{}}
		cover, err := p.run(ctx, lo == 0)
		if err != nil {
			return Result{}, err
		}
		sum := hex.EncodeToString(p.inputs.Sum(nil))
		if lo == 0 {
			r.Coverage, r.Inputs, r.Records, r.Open, r.Tags, r.Fields = cover, sum, p.n, p.open(), p.tags, p.fields
			r.Holes = cover.holes(in.Selector.From, in.Selector.Until)
		} else if sum != r.Inputs {
			return Result{}, errChanged
		}
		if err := p.emit(&r, lines, out); err != nil {
			return Result{}, err
		}
		if p.hi == math.MaxUint64 {
			break
		}
		lo = p.hi + 1
	}
	r.Lines = hex.EncodeToString(lines.Sum(nil))
	var err error
	r.Hash, err = r.seal()
	return r, err
}

func (p *pass) run(ctx context.Context, first bool) (Coverage, error) {
	if err := p.in.People(ctx, func(s string) error { p.add([]byte(s), total{class: Cleared}); return nil }); err != nil {
		return Coverage{}, fmt.Errorf("read who may be concerned: %w", err)
	}
	if p.in.Former != nil {
		if err := p.in.Former(ctx, func(l Line) error {
			p.add([]byte(l.Subject), total{class: l.Class, data: bits(l.Data), before: l.Hits, first: micro(l.First), last: micro(l.Last)})
			return nil
		}); err != nil {
			return Coverage{}, fmt.Errorf("read the version before: %w", err)
		}
	}
	m := p.in.Selector.matcher()
	cover, err := p.in.Records(ctx, func(r *Record) error {
		if !m.match(r) {
			return nil
		}
		p.n++
		p.buf = r.append(p.buf[:0])
		_, _ = p.inputs.Write(p.buf) // a hash never fails
		if first && p.in.Keep != nil {
			if err := p.in.Keep(r); err != nil {
				return err
			}
		}
		class := classOf(r)
		if class == 0 {
			return nil
		}
		t := r.At.UnixMicro()
		hit := total{class: class, data: p.data(r), hits: 1, first: t, last: t}
		p.key = r.subjects(p.key, func(s []byte) {
			p.add(s, hit)
			if record, ok := bytes.CutPrefix(s, recordMark); ok {
				for _, person := range p.in.Whose[string(record)] {
					p.add([]byte(person), hit)
				}
			}
		})
		return nil
	})
	if err != nil {
		return Coverage{}, fmt.Errorf("read the record: %w", err)
	}
	return cover, nil
}

// data are the categories of what a record's route gives: those that a person gave the route, else
// those of its description, with what a person said of fields that it leaves open.
func (p *pass) data(r *Record) uint8 { // clause: inc.breach-scope
	key := r.Method + " " + r.Route
	if b, ok := p.routes[key]; ok {
		return b
	}
	b, known := p.given(key, r.Route)
	if !known && p.in.Tagged != nil {
		t := p.in.Tagged(r.Method, r.Route)
		if b, known = bits(t.Data), len(t.Data) > 0; known {
			if p.tags[key] = words(b); b == 0 {
				p.tags[key] = []string{None}
			}
		}
		if len(t.Open) > 0 {
			p.fields[key], known = t.Open, true
		}
		for _, f := range t.Open {
			said, is := p.given(f)
			if b |= said; !is {
				b |= unclassified
			}
		}
	}
	if !known {
		b = unclassified
	}
	p.routes[key] = b
	return b
}

// given is what a person said under these names, and whether anybody said anything.
func (p *pass) given(names ...string) (b uint8, is bool) {
	for _, n := range names {
		b, is = b|bits(p.in.Data[n]), is || len(p.in.Data[n]) > 0
	}
	return b, is
}

// open is what nobody has given a category: routes, and of routes that are described the fields.
func (p *pass) open() (out []string) {
	for key, b := range p.routes {
		switch {
		case b&unclassified == 0:
		case len(p.fields[key]) == 0:
			out = append(out, key)
		default:
			for _, f := range p.fields[key] {
				if _, is := p.given(f); !is {
					out = append(out, f)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// add lays something on what is known of a subject: the strongest class stays.
func (p *pass) add(subject []byte, t total) {
	t.hash = hashOf(subject)
	if t.hash < p.lo || t.hash > p.hi {
		return
	}
	have := p.all[string(subject)]
	if have == nil {
		p.all[string(subject)] = &t
		p.narrow()
		return
	}
	have.class = max(have.class, t.class)
	have.data |= t.data
	have.hits += t.hits
	have.before = max(have.before, t.before)
	if have.first == 0 || t.first != 0 && t.first < have.first {
		have.first = t.first
	}
	have.last = max(have.last, t.last)
}

// narrow halves the part while more subjects are in memory than may be. The rest is for the
// next pass.
func (p *pass) narrow() {
	for len(p.all) > p.most && p.hi > p.lo {
		p.hi = p.lo + (p.hi-p.lo)/2
		for s, t := range p.all {
			if t.hash > p.hi {
				delete(p.all, s)
			}
		}
	}
}

func (p *pass) emit(r *Result, lines hash.Hash, out func(Line) error) error {
	type of struct {
		subject string
		*total
	}
	all := make([]of, 0, len(p.all))
	for s, t := range p.all {
		all = append(all, of{s, t})
	}
	slices.SortFunc(all, func(a, b of) int { // no look into the map: it costs more than all the rest
		if c := cmp.Compare(a.hash, b.hash); c != 0 {
			return c
		}
		return cmp.Compare(a.subject, b.subject)
	})
	for _, x := range all {
		s, t := x.subject, x.total
		l := Line{Subject: s, Class: t.class, Data: words(t.data), Hits: max(t.hits, t.before), First: moment(t.first), Last: moment(t.last)}
		if l.Class == Cleared && !r.Whole() { // a hole may hold anything
			l.Class = Possibly
		}
		r.Counts[l.Class]++
		if record, ok := strings.CutPrefix(s, string(recordMark)); ok && p.in.Whose != nil {
			switch people, known := p.in.Whose[record]; {
			case !known:
				r.Unasked++
			case len(people) == 0:
				r.Gone++
			}
		}
		b, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("encode a line: %w", err)
		}
		_, _ = lines.Write(append(b, '\n')) // a hash never fails
		if err := out(l); err != nil {
			return err
		}
	}
	return nil
}

// hashOf is FNV-1a with its bits stirred, so that near names lie apart.
func hashOf(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
