package breach

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Span is a part of the record that the journal knows of: a segment of access records.
type Span struct {
	ID     string    `json:"id"`
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Count  int64     `json:"count"` // of its records, as its entry in the journal says
	SHA256 string    `json:"sha256"`
	Read   int64     `json:"read"`             // how many were read
	Broken string    `json:"broken,omitempty"` // why it cannot be relied on
}

// Hole is a time of which the record does not tell everything.
type Hole struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	Why   string    `json:"why"`
}

// Coverage is what a set rests on.
type Coverage struct {
	Spans []Span `json:"spans,omitempty"`
	Holes []Hole `json:"holes,omitempty"` // beside those that the spans show
	Size  int64  `json:"size"`            // of the journal when it was read
}

// holes are all that lie within a time, in order.
func (c *Coverage) holes(from, until time.Time) (out []Hole) { // clause: inc.breach-scope
	all := slices.Clone(c.Holes)
	for _, s := range c.Spans {
		switch {
		case s.Broken != "":
			all = append(all, Hole{s.From, s.Until, "segment " + s.ID + " " + s.Broken})
		case s.Read != s.Count:
			all = append(all, Hole{s.From, s.Until, fmt.Sprintf("segment %s has %d records, and %d were sealed", s.ID, s.Read, s.Count)})
		}
	}
	for _, h := range all {
		if h.From.After(until) || h.Until.Before(from) {
			continue
		}
		if h.From.Before(from) {
			h.From = from
		}
		if h.Until.After(until) {
			h.Until = until
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Hole) int {
		return cmp.Or(a.From.Compare(b.From), a.Until.Compare(b.Until), cmp.Compare(a.Why, b.Why))
	})
	return out
}

// Unknown is what nobody can know, each in a sentence.
func (r *Result) Unknown() (out []string) {
	const form = "2 January 2006 at 15:04:05 UTC"
	for _, h := range r.Holes {
		out = append(out, fmt.Sprintf("From %s to %s the record is not whole: %s.", h.From.UTC().Format(form), h.Until.UTC().Format(form), h.Why))
	}
	for _, u := range r.Selector.Unlogged {
		out = append(out, "No record is kept of: "+u+".")
	}
	if r.Unasked > 0 {
		out = append(out, fmt.Sprintf("The application did not say whose %d of the records are.", r.Unasked))
	}
	return out
}
