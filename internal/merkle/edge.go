package merkle

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Edge is the right edge of a tree: the roots of the complete subtrees that it
// falls into, greatest first, at most one a level. It is all that is needed to add
// leaves, so whoever keeps it reads no hashes at all. An Edge is not safe for
// concurrent use; its zero value is the empty tree.
type Edge struct {
	size  int64
	peaks []Hash // one for each set bit of size, from the highest down
}

// EdgeIndexes lists the stored-hash indexes that NewEdge needs for a tree of this
// size, in ascending order; none for the empty tree and for a size out of range.
func EdgeIndexes(size int64) []int64 {
	if size <= 0 || size > MaxSize {
		return nil
	}
	var indexes []int64
	for level := bits.Len64(uint64(size)) - 1; level >= 0; level-- {
		if size>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, size>>level-1))
		}
	}
	return indexes
}

// NewEdge makes the edge of a tree of this size from the stored hashes at
// EdgeIndexes(size), in that order. Compare Root with the root on record before
// trusting it: nothing else shows that the hashes are the right ones.
func NewEdge(size int64, hashes []Hash) (*Edge, error) {
	if size < 0 || size > MaxSize {
		return nil, fmt.Errorf("right edge: size %d is out of range", size)
	}
	if want := bits.OnesCount64(uint64(size)); len(hashes) != want {
		return nil, fmt.Errorf("right edge of size %d: want %d hashes, got %d", size, want, len(hashes))
	}
	return &Edge{size: size, peaks: slices.Clone(hashes)}, nil
}

// Size is the number of leaves.
func (e *Edge) Size() int64 { return e.size }

// Append adds a leaf by its hash and returns the hashes to store: the leaf's, then
// those of the subtrees that it completed. They take consecutive stored-hash
// indexes from StoredCount of the size before. It takes O(log n) and reads nothing;
// it panics beyond MaxSize.
func (e *Edge) Append(leaf Hash) (stored []Hash) {
	if e.size >= MaxSize {
		panic("merkle: the tree is full")
	}
	stored = append(make([]Hash, 0, 1+bits.TrailingZeros64(^uint64(e.size))), leaf)
	h := leaf
	for n := e.size; n&1 == 1; n >>= 1 {
		last := len(e.peaks) - 1
		h = tlog.NodeHash(e.peaks[last], h)
		e.peaks = e.peaks[:last]
		stored = append(stored, h)
	}
	e.peaks = append(e.peaks, h)
	e.size++
	return stored
}

// Root is the root of the whole tree (RFC 6962 §2.1).
func (e *Edge) Root() Hash {
	if e.size == 0 {
		return EmptyRoot()
	}
	last := len(e.peaks) - 1
	h := e.peaks[last]
	for i := last - 1; i >= 0; i-- {
		h = tlog.NodeHash(e.peaks[i], h)
	}
	return h
}

// Clone is an independent copy, so that a batch can be tried and forgotten.
func (e *Edge) Clone() *Edge { return &Edge{size: e.size, peaks: slices.Clone(e.peaks)} }
