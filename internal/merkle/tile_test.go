package merkle_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/fault"
	"writ/internal/merkle"
)

func TestTilePath(t *testing.T) {
	for _, c := range []struct {
		tile merkle.Tile
		path string
	}{
		{merkle.Tile{L: 0, N: 0, W: 256}, "tile/0/000"},
		{merkle.Tile{L: 0, N: 0, W: 1}, "tile/0/000.p/1"},
		{merkle.Tile{L: 1, N: 67, W: 255}, "tile/1/067.p/255"},
		{merkle.Tile{L: 63, N: 999, W: 256}, "tile/63/999"},
		{merkle.Tile{L: 0, N: 1000, W: 256}, "tile/0/x001/000"},
		{merkle.Tile{L: 2, N: 1234067, W: 9}, "tile/2/x001/x234/067.p/9"},
		{merkle.Tile{N: 1234067, W: 256, Entries: true}, "tile/entries/x001/x234/067"},
		{merkle.Tile{N: 5, W: 100, Entries: true}, "tile/entries/005.p/100"},
		{merkle.Tile{N: merkle.MaxSize / 256, W: 256}, "tile/0/x035/x184/x372/x088/831"},
	} {
		if got := merkle.TilePath(c.tile); got != c.path {
			t.Errorf("%+v: %s, want %s", c.tile, got, c.path)
		}
		if got, err := merkle.ParseTilePath(c.path); err != nil || got != c.tile {
			t.Errorf("%s: %+v, %v", c.path, got, err)
		}
	}
}

func TestParseTilePathRefuses(t *testing.T) {
	for _, path := range []string{
		"", "tile", "tile/", "tile/0", "tile/0/", "/tile/0/000", "tile/0/000/", "tile//000", "tiles/0/000", "Tile/0/000",
		"tile/64/000", "tile/00/000", "tile/01/000", "tile/-1/000", "tile/+1/000", "tile/0x1/000", "tile/data/000", "tile/entries", "tile/8/0/000",
		"tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/1000", "tile/0/+01", "tile/0/-01", "tile/0/0 1", "tile/0/abc", "tile/0/x001", "tile/0/x000/001", "tile/0/001/234", "tile/0/x001/x234", "tile/0/x01/234", "tile/0/x001//234", "tile/0/X001/234",
		"tile/0/x035/x184/x372/x088/832", "tile/0/x999/x999/x999/x999/x999/999", "tile/0/" + strings.Repeat("x999/", 20) + "999",
		"tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/+1", "tile/0/000.p/-1", "tile/0/000.p/1/", "tile/0/000.p/1.p/1", "tile/0/000.P/1", "tile/0/.p/1", "tile/0/x001.p/1/234",
		"tile/0/000?x", "tile/0/000\n", "tile/0/\uff10\uff10\uff10", "tile/0/../000", "tile/entries/000.p/256",
	} {
		if got, err := merkle.ParseTilePath(path); err == nil {
			t.Errorf("%q: taken as %+v", path, got)
		} else {
			wantCode(t, err, fault.NotFound, "no_such_tile")
		}
	}
}

// Tiles hold what the tile code of x/mod reads for the same place.
func TestTileHashes(t *testing.T) {
	const size = 70_000
	l := newLog(size)
	for _, tile := range []merkle.Tile{{L: 0, N: 0, W: 256}, {L: 0, N: 273, W: 112}, {L: 0, N: 5, W: 1}, {L: 1, N: 0, W: 256}, {L: 1, N: 1, W: 17}, {L: 2, N: 0, W: 1}} {
		if !tile.Within(size) {
			t.Fatalf("%+v is not within %d", tile, size)
		}
		want, err := tlog.ReadTileData(tlog.Tile{H: 8, L: tile.L, N: tile.N, W: tile.W}, l)
		if err != nil {
			t.Fatal(err)
		}
		indexes := tile.HashIndexes()
		if !slices.IsSorted(indexes) {
			t.Fatalf("%+v: indexes are not ascending", tile)
		}
		hashes, _ := l.ReadHashes(indexes)
		if got := bytes.Join(raw(hashes), nil); !bytes.Equal(got, want) {
			t.Errorf("%+v: other hashes", tile)
		}
	}
}

func TestTileWithin(t *testing.T) {
	for _, c := range []struct {
		tile merkle.Tile
		size int64
		want bool
	}{
		{merkle.Tile{W: 1}, 0, false}, {merkle.Tile{W: 1}, 1, true}, {merkle.Tile{W: 2}, 1, false}, {merkle.Tile{W: 256}, 255, false}, {merkle.Tile{W: 256}, 256, true},
		{merkle.Tile{L: 1, W: 1}, 255, false}, {merkle.Tile{L: 1, W: 1}, 256, true}, {merkle.Tile{L: 1, W: 2}, 511, false}, {merkle.Tile{N: 1, W: 1}, 256, false}, {merkle.Tile{N: 1, W: 1}, 257, true},
		{merkle.Tile{L: 63, W: 1}, merkle.MaxSize, false}, {merkle.Tile{L: 6, W: 31}, merkle.MaxSize, true}, {merkle.Tile{L: 6, W: 32}, merkle.MaxSize, false},
		{merkle.Tile{W: 0}, 9, false}, {merkle.Tile{W: 257}, 1000, false}, {merkle.Tile{L: -1, W: 1}, 9, false}, {merkle.Tile{N: -1, W: 1}, 9, false}, {merkle.Tile{N: 1 << 60, W: 1}, merkle.MaxSize, false}, {merkle.Tile{W: 1}, -1, false},
		{merkle.Tile{W: 3, Entries: true}, 3, true}, {merkle.Tile{W: 4, Entries: true}, 3, false},
	} {
		if got := c.tile.Within(c.size); got != c.want {
			t.Errorf("%+v in %d: %v", c.tile, c.size, got)
		}
	}
	if (merkle.Tile{W: 1, Entries: true}).HashIndexes() != nil || (merkle.Tile{L: 63, W: 1}).HashIndexes() != nil {
		t.Error("hash indexes for a tile without hashes")
	}
}

func TestEntryBundle(t *testing.T) {
	leaves := [][]byte{[]byte("a"), {}, []byte("bc")}
	b := merkle.EntryBundle(leaves)
	if string(b) != "\x00\x01a\x00\x00\x00\x02bc" {
		t.Fatalf("%q", b)
	}
	for _, n := range []int{1, 2, 255, 256} {
		in := make([][]byte, n)
		for i := range in {
			in[i] = make([]byte, rand.IntN(300))
		}
		in[n-1] = make([]byte, merkle.MaxLeaf)
		out, err := merkle.ParseEntryBundle(merkle.EntryBundle(in))
		if err != nil || !slices.EqualFunc(in, out, bytes.Equal) {
			t.Fatalf("%d leaves: %v", n, err)
		}
	}
	for name, bad := range map[string][]byte{"empty": nil, "one byte": {0}, "short leaf": {0, 2, 'a'}, "half length": {0, 1, 'a', 0}, "257 leaves": make([]byte, 2*257)} {
		if _, err := merkle.ParseEntryBundle(bad); err == nil {
			t.Errorf("%s: taken", name)
		} else {
			wantCode(t, err, fault.Malformed, "bundle_malformed")
		}
	}
	for name, in := range map[string][][]byte{"none": nil, "257": make([][]byte, 257), "long leaf": {make([]byte, merkle.MaxLeaf+1)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			merkle.EntryBundle(in)
		}()
	}
}

func FuzzTilePath(f *testing.F) {
	for _, s := range []string{"tile/0/000", "tile/2/x001/x234/067.p/9", "tile/entries/x001/234.p/255", "tile/0/x000/001", "tile/00/000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		tile, err := merkle.ParseTilePath(path)
		if err != nil {
			return
		}
		if merkle.TilePath(tile) != path || tile.L < 0 || tile.L > 63 || tile.N < 0 || tile.W < 1 || tile.W > 256 {
			t.Fatalf("%q was read as %+v", path, tile)
		}
		tile.Within(merkle.MaxSize)
		tile.HashIndexes()
	})
}

func FuzzEntryBundle(f *testing.F) {
	f.Add([]byte("\x00\x01a\x00\x00"))
	f.Add(merkle.EntryBundle([][]byte{fmt.Appendf(nil, "%0300d", 7), nil}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > merkle.MaxBundle {
			return
		}
		leaves, err := merkle.ParseEntryBundle(b)
		if err == nil && !bytes.Equal(merkle.EntryBundle(leaves), b) {
			t.Fatalf("%q became %q", b, leaves)
		}
	})
}
