package heavy

import (
	"container/heap"
	"hash/maphash"
	"math"
)

// The shape of Hitters.
const (
	Kept  = 2048 // labels
	rows  = 4
	width = 2048
)

// mostTotal is where counts stay, so that none overflows.
const mostTotal = math.MaxInt64 / 4

// Hitters are the labels with the most so far. The zero Hitters has seen none.
type Hitters struct {
	seed maphash.Seed
	grid [][width]int64
	at   map[string]*place
	heap places
	full bool // a label was not kept, or gave way
}

// place is a label that is kept.
type place struct {
	label      string
	most, over int64 // over: how much of it may be another's
	i          int
}

// Add counts n of a label; less than one counts nothing.
func (h *Hitters) Add(label string, n int64) {
	if n < 1 {
		return
	}
	if h.at == nil {
		h.seed, h.grid, h.at = maphash.MakeSeed(), make([][width]int64, rows), map[string]*place{}
	}
	most := h.raise(label, n)
	if p := h.at[label]; p != nil {
		p.most = capped(p.most, n)
		heap.Fix(&h.heap, p.i)
		return
	}
	if len(h.heap) < Kept {
		p := &place{label: label, most: min(n, mostTotal)}
		h.at[label] = p
		heap.Push(&h.heap, p)
		return
	}
	h.full = true
	least := h.heap[0]
	if most = min(most, capped(least.most, n)); most <= least.most {
		return
	}
	delete(h.at, least.label)
	h.at[label] = least
	least.label, least.most, least.over = label, most, max(most-n, 0)
	heap.Fix(&h.heap, 0)
}

// Has reports whether a label is kept.
func (h *Hitters) Has(label string) bool { return h.at[label] != nil }

// raise adds to the grid, and gives the most that it has of the label.
func (h *Hitters) raise(label string, n int64) int64 {
	sum := maphash.String(h.seed, label)
	a, b := uint32(sum), uint32(sum>>32)|1 //nolint:gosec // the two halves
	most := int64(mostTotal)
	for i := range uint32(rows) {
		most = min(most, h.grid[i][(a+i*b)%width])
	}
	most = capped(most, n)
	for i := range uint32(rows) {
		c := &h.grid[i][(a+i*b)%width]
		*c = max(*c, most)
	}
	return most
}

func capped(a, b int64) int64 { return min(a, mostTotal) + min(b, mostTotal-min(a, mostTotal)) }

// floor is what a label that is not kept has at most.
func (h *Hitters) floor() int64 {
	if !h.full {
		return 0
	}
	return h.heap[0].most
}

// places are a heap, the least first.
type places []*place

func (p places) Len() int           { return len(p) }
func (p places) Less(i, j int) bool { return p[i].most < p[j].most }
func (p places) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].i, p[j].i = i, j
}

// Push implements heap.Interface.
func (p *places) Push(x any) {
	n := x.(*place) //nolint:forcetypeassert // nothing else is pushed
	n.i = len(*p)
	*p = append(*p, n)
}

// Pop implements heap.Interface; nothing is ever taken out.
func (p *places) Pop() any {
	n := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return n
}
