package heavy

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const (
	summed    = 256 // labels of a Summary
	mostLabel = 64  // bytes
	mostBytes = 32 << 10
	form      = 1
)

// Hit is a label with what it had at least, and at most.
type Hit struct {
	Label       string
	Least, Most int64
}

// Summary is the labels with the most, those that surely had it first. The zero Summary is of nothing.
type Summary struct {
	Hits  []Hit
	Floor int64 // any other label had no more than this
}

// Summary is what there is to say at this moment: at most 256 labels.
func (h *Hitters) Summary() Summary {
	s := Summary{Floor: h.floor()}
	for _, p := range h.heap {
		s.Hits = append(s.Hits, Hit{p.label, p.most - p.over, p.most})
	}
	s.cut()
	return s
}

// cut leaves the first ones; what the others may have had is the floor.
func (s *Summary) cut() {
	slices.SortFunc(s.Hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Least, a.Least), cmp.Compare(b.Most, a.Most), cmp.Compare(a.Label, b.Label))
	})
	if len(s.Hits) <= summed {
		return
	}
	for _, x := range s.Hits[summed:] {
		s.Floor = max(s.Floor, x.Most)
	}
	s.Hits = slices.Clip(s.Hits[:summed])
}

// Join is what is known of several streams together. It keeps all labels of the parts.
func Join(parts ...Summary) Summary {
	var out Summary
	at := map[string]*Hit{}
	for _, p := range parts {
		for _, x := range p.Hits {
			if at[x.Label] == nil {
				at[x.Label] = &Hit{Label: x.Label}
			}
			h := at[x.Label]
			// All the floors are added below; this part's own is known better.
			h.Least, h.Most = capped(h.Least, x.Least), capped(h.Most, x.Most)-p.Floor
		}
		out.Floor = capped(out.Floor, p.Floor)
	}
	for _, h := range at {
		h.Most = max(capped(h.Most, out.Floor), h.Least)
		out.Hits = append(out.Hits, *h)
	}
	slices.SortFunc(out.Hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(b.Least, a.Least), cmp.Compare(b.Most, a.Most), cmp.Compare(a.Label, b.Label))
	})
	return out
}

// MarshalBinary writes it.
func (s *Summary) MarshalBinary() ([]byte, error) {
	b := binary.AppendUvarint([]byte{form}, uint64(s.Floor)) //nolint:gosec // never negative
	for _, h := range s.Hits {
		b = append(binary.AppendUvarint(b, uint64(len(h.Label))), h.Label...)
		b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(h.Least)), uint64(h.Most-h.Least)) //nolint:gosec // likewise
	}
	if len(s.Hits) > summed || len(b) > mostBytes {
		return nil, fmt.Errorf("heavy: a summary of %d labels and %d bytes is too long", len(s.Hits), len(b))
	}
	return b, nil
}

var errSummary = errors.New("heavy: this is no summary")

// UnmarshalBinary reads what MarshalBinary wrote.
func (s *Summary) UnmarshalBinary(b []byte) error {
	if len(b) < 2 || len(b) > mostBytes || b[0] != form {
		return errSummary
	}
	b = b[1:]
	bad := false
	number := func(most uint64) int64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > most {
			bad, b = true, nil
			return 0
		}
		b = b[n:]
		return int64(v) //nolint:gosec // bounded above
	}
	out, seen := Summary{Floor: number(mostTotal)}, map[string]bool{}
	for len(b) > 0 && len(out.Hits) < summed {
		n := number(mostLabel)
		if int(n) > len(b) {
			return errSummary
		}
		h := Hit{Label: string(b[:n])}
		b = b[n:]
		h.Least = number(mostTotal)
		h.Most = h.Least + number(mostTotal-uint64(h.Least)) //nolint:gosec // never negative
		if seen[h.Label] {
			return errSummary
		}
		seen[h.Label] = true
		out.Hits = append(out.Hits, h)
	}
	if bad || len(b) > 0 {
		return errSummary
	}
	*s = out
	return nil
}
