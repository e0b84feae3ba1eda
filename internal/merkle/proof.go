package merkle

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// InclusionProof proves that the tree of size leaves holds the leaf at index: the
// hashes beside its path, from the leaf's sibling up.
func InclusionProof(size, index int64, r HashReader) ([]Hash, error) {
	if size < 0 || size > MaxSize || index < 0 || index >= size {
		return nil, fmt.Errorf("prove inclusion: leaf %d is not in a tree of %d", index, size)
	}
	p, err := tlog.ProveRecord(size, index, asker{r, size})
	if err != nil {
		return nil, fmt.Errorf("prove inclusion of leaf %d in %d: %w", index, size, err)
	}
	return p, nil
}

// ConsistencyProof proves that the tree of older leaves is the beginning of the
// tree of newer leaves. From the empty tree, and between equal sizes, it is empty.
func ConsistencyProof(older, newer int64, r HashReader) ([]Hash, error) {
	if older < 0 || newer > MaxSize || older > newer {
		return nil, fmt.Errorf("prove consistency: no tree of %d begins one of %d", older, newer)
	}
	if older == 0 || older == newer {
		return []Hash{}, nil
	}
	p, err := tlog.ProveTree(newer, older, asker{r, newer})
	if err != nil {
		return nil, fmt.Errorf("prove consistency of %d and %d: %w", older, newer, err)
	}
	return p, nil
}

// CheckInclusion checks that the tree of c holds a leaf of this hash at index. What
// does not hold gives fault.Invalid, code proof_false.
func CheckInclusion(c Checkpoint, index int64, leaf Hash, proof []Hash) error {
	const what = "proof of inclusion"
	if err := c.checkTree(); err != nil {
		return proofFalse(what, err)
	}
	if index < 0 || index >= c.Size {
		return proofFalse(what, fmt.Errorf("leaf %d is not in a tree of %d", index, c.Size))
	}
	if want := inclusionLen(c.Size, index); len(proof) != want {
		return proofFalse(what, fmt.Errorf("want %d hashes, got %d", want, len(proof)))
	}
	if err := tlog.CheckRecord(proof, c.Size, c.Root, index, leaf); err != nil {
		return proofFalse(what, err)
	}
	return nil
}

// CheckConsistency checks that the log of older became the log of newer by adding
// leaves only. What does not hold, and two origins, give fault.Invalid, code
// proof_false.
func CheckConsistency(older, newer Checkpoint, proof []Hash) error {
	const what = "proof of consistency"
	if err := errors.Join(older.checkTree(), newer.checkTree()); err != nil {
		return proofFalse(what, err)
	}
	switch {
	case older.Origin != newer.Origin:
		return proofFalse(what, fmt.Errorf("origins %q and %q", older.Origin, newer.Origin))
	case older.Size > newer.Size:
		return proofFalse(what, fmt.Errorf("the log went from %d leaves to %d", older.Size, newer.Size))
	case older.Size == 0 || older.Size == newer.Size:
		if len(proof) != 0 {
			return proofFalse(what, fmt.Errorf("want no hashes, got %d", len(proof)))
		}
		if older.Size == newer.Size && older.Root != newer.Root {
			return proofFalse(what, errors.New("two roots for one size"))
		}
		return nil
	}
	if err := tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root); err != nil {
		return proofFalse(what, err)
	}
	return nil
}

// inclusionLen is the length of the proof of inclusion: one hash a level while the
// path lies inside complete subtrees, then one for each subtree to its left.
func inclusionLen(size, index int64) int {
	inner := bits.Len64(uint64(index ^ (size - 1)))
	return inner + bits.OnesCount64(uint64(index)>>inner)
}
