package merkle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/fault"
)

const (
	// TileWidth is the number of hashes, or of leaves, in a full tile (height 8).
	TileWidth = 256

	maxTileLevel = 63
	maxTileIndex = MaxSize / TileWidth

	// MaxBundle is the greatest length of an entry bundle in bytes.
	MaxBundle = TileWidth * (2 + MaxLeaf)
)

// Tile names a tile of hashes or a bundle of leaves (C2SP tlog-tiles). A hash tile
// at level L holds the hashes of tree level 8·L from number 256·N on.
type Tile struct {
	L       int   // 0 to 63; 0 for a bundle
	N       int64 // from the left
	W       int   // 1 to 256; 256 is a full tile
	Entries bool  // a bundle of leaves
}

// TilePath is the path under the log's prefix: tile/0/x001/234, tile/entries/067.p/12.
func TilePath(t Tile) string {
	var b strings.Builder
	b.WriteString("tile/")
	if t.Entries {
		b.WriteString("entries/")
	} else {
		b.WriteString(strconv.Itoa(t.L) + "/")
	}
	groups := fmt.Sprintf("%03d", t.N%1000)
	for n := t.N / 1000; n > 0; n /= 1000 {
		groups = fmt.Sprintf("x%03d/", n%1000) + groups
	}
	b.WriteString(groups)
	if t.W != TileWidth {
		b.WriteString(".p/" + strconv.Itoa(t.W))
	}
	return b.String()
}

// ParseTilePath reads such a path. What TilePath would not write is refused with
// fault.NotFound, code no_such_tile.
func ParseTilePath(path string) (Tile, error) {
	t, ok := parseTile(path)
	if !ok || TilePath(t) != path {
		return Tile{}, fault.Newf(fault.NotFound, "no_such_tile", "There is no tile of this name.")
	}
	return t, nil
}

// parseTile is lax about signs and zeros in front: ParseTilePath compares.
func parseTile(path string) (t Tile, ok bool) {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 64 {
		return t, false
	}
	level, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return t, false
	}
	if t.Entries = level == "entries"; !t.Entries {
		if t.L, ok = small(level, 0, maxTileLevel); !ok {
			return t, false
		}
	}
	t.W = TileWidth
	if before, width, partial := strings.Cut(rest, ".p/"); partial {
		if t.W, ok = small(width, 1, TileWidth-1); !ok {
			return t, false
		}
		rest = before
	}
	groups := strings.Split(rest, "/")
	for i, g := range groups {
		if i < len(groups)-1 {
			if g, ok = strings.CutPrefix(g, "x"); !ok {
				return t, false
			}
		}
		n, err := strconv.Atoi(g)
		if err != nil || n < 0 || len(g) != 3 {
			return t, false
		}
		if t.N = t.N*1000 + int64(n); t.N > maxTileIndex {
			return t, false
		}
	}
	return t, true
}

func small(s string, least, most int) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= least && n <= most
}

// Within reports whether a tree of size leaves can serve the tile: all its hashes
// or leaves are there.
func (t Tile) Within(size int64) bool {
	if t.L < 0 || t.L > maxTileLevel || t.N < 0 || t.N > maxTileIndex || t.W < 1 || t.W > TileWidth || size < 0 || size > MaxSize {
		return false
	}
	have := size
	if !t.Entries {
		have = size >> min(8*t.L, 63)
	}
	return t.N*TileWidth+int64(t.W) <= have
}

// HashIndexes lists the stored-hash indexes whose hashes make up a hash tile, in
// its order, which is ascending. It is nil for a bundle and for a tile that no
// tree can hold.
func (t Tile) HashIndexes() []int64 {
	if t.Entries || !t.Within(MaxSize) {
		return nil
	}
	indexes := make([]int64, t.W)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(8*t.L, t.N*TileWidth+int64(i))
	}
	return indexes
}

// EntryBundle writes 1 to 256 leaves, each with its length before it as a
// big-endian uint16. It panics on another number and on a leaf over MaxLeaf: both
// are refused long before.
func EntryBundle(leaves [][]byte) []byte {
	if len(leaves) < 1 || len(leaves) > TileWidth {
		panic(fmt.Sprintf("merkle: a bundle of %d leaves", len(leaves)))
	}
	n := 0
	for _, l := range leaves {
		n += 2 + len(l)
	}
	b := make([]byte, 0, n)
	for _, l := range leaves {
		if len(l) > MaxLeaf {
			panic(fmt.Sprintf("merkle: a leaf of %d bytes", len(l)))
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(l)))
		b = append(b, l...)
	}
	return b
}

// ParseEntryBundle reads a bundle; the leaves are parts of b. A bundle that
// EntryBundle would not write is refused with fault.Malformed, code bundle_malformed.
func ParseEntryBundle(b []byte) ([][]byte, error) {
	if len(b) == 0 {
		return nil, malformed("bundle_malformed", "entry bundle", errors.New("it is empty"))
	}
	var leaves [][]byte
	for len(b) > 0 {
		if len(leaves) == TileWidth {
			return nil, malformed("bundle_malformed", "entry bundle", fmt.Errorf("it has more than %d leaves", TileWidth))
		}
		if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
			return nil, malformed("bundle_malformed", "entry bundle", errors.New("it ends within a leaf"))
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		leaves = append(leaves, b[2:end:end])
		b = b[end:]
	}
	return leaves, nil
}
