package merkle

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/fault"
)

// Hash is a SHA-256 hash of a leaf, a node or a tree.
type Hash = tlog.Hash

// HashReader reads stored hashes by index; see tlog.StoredHashIndex. A reader given
// to this package is always asked for distinct indexes in ascending order, and an
// answer of another length is refused.
type HashReader = tlog.HashReader

// HashReaderFunc makes a function a HashReader.
type HashReaderFunc = tlog.HashReaderFunc

// MaxSize is the greatest number of leaves: what canonical JSON can count.
const MaxSize = 1<<53 - 1

// MaxLeaf is the greatest length of a leaf in bytes: what an entry bundle can say.
const MaxLeaf = 1<<16 - 1

// EmptyRoot is the root of the tree without leaves: SHA-256 of nothing.
func EmptyRoot() Hash { return sha256.Sum256(nil) }

// LeafHash is the hash of one leaf (RFC 6962 §2.1).
func LeafHash(leaf []byte) Hash { return tlog.RecordHash(leaf) }

// StoredCount is how many hashes a tree of size leaves stores: the index that the
// first hash returned by the next Append gets.
func StoredCount(size int64) int64 { return tlog.StoredHashCount(size) }

// asker stands between tlog and a reader. A database answers in its own order and
// once per row, and a wrong order gives a wrong proof without any error.
type asker struct {
	r    HashReader
	size int64
}

// ReadHashes asks for each index once, in ascending order, and puts the answers
// back in the order they were asked for.
func (a asker) ReadHashes(indexes []int64) ([]Hash, error) {
	sorted := slices.Clone(indexes)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	if end := StoredCount(a.size); len(sorted) > 0 && (sorted[0] < 0 || sorted[len(sorted)-1] >= end) {
		return nil, fmt.Errorf("read hashes: an index is outside 0 to %d", end-1)
	}
	hashes, err := a.r.ReadHashes(sorted)
	if err != nil {
		return nil, fmt.Errorf("read hashes: %w", err)
	}
	if len(hashes) != len(sorted) {
		return nil, fmt.Errorf("read hashes: asked for %d, got %d", len(sorted), len(hashes))
	}
	out := make([]Hash, len(indexes))
	for i, x := range indexes {
		at, _ := slices.BinarySearch(sorted, x)
		out[i] = hashes[at]
	}
	return out, nil
}

// parseNumber reads a decimal number from 0 to MaxSize in its only spelling.
func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > MaxSize || strconv.FormatInt(n, 10) != s {
		return 0, errors.New("a number is not a plain decimal within 2^53-1")
	}
	return n, nil
}

// parseHash reads a hash in its only base64 spelling.
func parseHash(s string) (h Hash, err error) {
	b, err := decode64(s)
	if err != nil || len(b) != len(h) {
		return Hash{}, errors.New("a hash is not 32 bytes in base64")
	}
	return Hash(b), nil
}

// decode64 takes the one spelling only: the standard decoder would skip line ends
// and, unless strict, ignore set bits at the end.
func decode64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(b) != s {
		return nil, errors.New("a text is not plain base64")
	}
	return b, nil
}

func malformed(code, what string, err error) error {
	e := fault.Newf(fault.Malformed, code, "The %s cannot be read: %s.", what, err)
	e.Err = err
	return e
}

func proofFalse(what string, err error) error {
	return &fault.Error{Kind: fault.Invalid, Code: "proof_false", Err: fmt.Errorf("%s: %w", what, err),
		Public: fault.Public{Problem: "The " + what + " does not hold."}}
}
