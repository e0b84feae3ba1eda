package merkle_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/fault"
	"writ/internal/merkle"
)

// log is a whole tree in memory: the leaves and the stored hashes.
type log struct {
	edge   merkle.Edge
	leaves [][]byte
	stored []merkle.Hash
	roots  []merkle.Hash // by size
	asked  [][]int64
}

func newLog(n int) *log {
	l := &log{roots: []merkle.Hash{merkle.EmptyRoot()}}
	for i := range n {
		leaf := fmt.Appendf(nil, "leaf %d", i)
		l.leaves = append(l.leaves, leaf)
		l.stored = append(l.stored, l.edge.Append(merkle.LeafHash(leaf))...)
		l.roots = append(l.roots, l.edge.Root())
	}
	return l
}

func (l *log) at(size int64) merkle.Checkpoint {
	return merkle.Checkpoint{Origin: origin, Size: size, Root: l.roots[size]}
}

// ReadHashes answers, and keeps what it was asked.
func (l *log) ReadHashes(indexes []int64) ([]merkle.Hash, error) {
	l.asked = append(l.asked, indexes)
	var out []merkle.Hash
	for _, i := range indexes {
		out = append(out, l.stored[i])
	}
	return out, nil
}

// naive is RFC 6962 §2.1 word for word.
func naive(leaves [][]byte) [32]byte {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	a, b := naive(leaves[:k]), naive(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, a[:]...), b[:]...))
}

func TestRootsAreRFC6962(t *testing.T) {
	l := newLog(600)
	for n := range 601 {
		if l.roots[n] != naive(l.leaves[:n]) {
			t.Fatalf("root of size %d differs", n)
		}
		got, err := tlog.TreeHash(int64(n), l)
		if err != nil || got != l.roots[n] {
			t.Fatalf("size %d: the stored hashes give another root: %v", n, err)
		}
		if merkle.StoredCount(int64(n)) > int64(len(l.stored)) {
			t.Fatalf("size %d: too few stored hashes", n)
		}
	}
	if int64(len(l.stored)) != merkle.StoredCount(600) {
		t.Fatalf("%d stored hashes, want %d", len(l.stored), merkle.StoredCount(600))
	}
}

// The roots of the eight-leaf tree known from Certificate Transparency's tests.
func TestKnownRoots(t *testing.T) {
	leaves := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	want := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var e merkle.Edge
	for i, w := range want {
		if r := e.Root(); hex.EncodeToString(r[:]) != w {
			t.Errorf("root of %d leaves is %x", i, r)
		}
		if i < len(leaves) {
			b, _ := hex.DecodeString(leaves[i])
			e.Append(merkle.LeafHash(b))
		}
	}
}

// An edge rebuilt from the stored hashes at any size goes on like the one that
// never stopped.
func TestEdgeRebuilt(t *testing.T) {
	const most = 100_000
	l := newLog(most)
	r := rand.New(rand.NewPCG(3, 4))
	sizes := []int64{0, 1, 2, 3, 255, 256, 257, 65535, 65536, 65537, most}
	for range 300 {
		sizes = append(sizes, r.Int64N(most))
	}
	for _, n := range sizes {
		indexes := merkle.EdgeIndexes(n)
		if !slices.IsSorted(indexes) {
			t.Fatalf("size %d: indexes are not ascending", n)
		}
		hashes, _ := l.ReadHashes(indexes)
		e, err := merkle.NewEdge(n, hashes)
		if err != nil || e.Root() != l.roots[n] || e.Size() != n {
			t.Fatalf("size %d: rebuilt edge has another root: %v", n, err)
		}
		for i := n; i < min(n+20, most); i++ {
			stored, at := e.Append(merkle.LeafHash(l.leaves[i])), merkle.StoredCount(i)
			if !slices.Equal(stored, l.stored[at:at+int64(len(stored))]) || at+int64(len(stored)) != merkle.StoredCount(i+1) {
				t.Fatalf("size %d: stored hashes of leaf %d differ", n, i)
			}
			want, err := tlog.StoredHashes(i, l.leaves[i], l)
			if err != nil || !slices.Equal(stored, want) {
				t.Fatalf("leaf %d: tlog stores other hashes: %v", i, err)
			}
			if e.Root() != l.roots[i+1] {
				t.Fatalf("size %d: root after leaf %d differs", n, i)
			}
		}
	}
}

func TestEdgeRefuses(t *testing.T) {
	l := newLog(7)
	three, _ := l.ReadHashes(merkle.EdgeIndexes(7))
	for name, c := range map[string]struct {
		size   int64
		hashes []merkle.Hash
	}{"negative": {-1, nil}, "too large": {merkle.MaxSize + 1, three}, "too few": {7, three[:2]}, "too many": {6, three}, "none": {1, nil}} {
		if _, err := merkle.NewEdge(c.size, c.hashes); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	slices.Reverse(three)
	e, err := merkle.NewEdge(7, three)
	if err != nil || e.Root() == l.roots[7] {
		t.Error("hashes in the wrong order give the right root")
	}
	if merkle.EdgeIndexes(-1) != nil || merkle.EdgeIndexes(0) != nil || merkle.EdgeIndexes(merkle.MaxSize+1) != nil {
		t.Error("indexes for a size without an edge")
	}
}

func TestEdgeClone(t *testing.T) {
	for n := range 70 {
		l := newLog(n)
		a, b := l.edge.Clone(), l.edge.Clone()
		for range 5 {
			a.Append(merkle.LeafHash([]byte("a")))
		}
		b.Append(merkle.LeafHash([]byte("b")))
		if l.edge.Root() != l.roots[n] || l.edge.Size() != int64(n) {
			t.Fatalf("size %d: appending to a clone changed the original", n)
		}
		if want := naive(append(slices.Clone(l.leaves), []byte("b"))); b.Root() != want {
			t.Fatalf("size %d: one clone changed the other", n)
		}
	}
}

func raw(hashes []merkle.Hash) [][]byte {
	var out [][]byte
	for _, h := range hashes {
		out = append(out, h[:])
	}
	return out
}

// flips calls f with each proof that has one random bit changed, one hash more or less.
func flips(r *rand.Rand, p []merkle.Hash, f func(name string, bad []merkle.Hash)) {
	for i := range p {
		bad := slices.Clone(p)
		bit := r.IntN(256)
		bad[i][bit/8] ^= 1 << (bit % 8)
		f(fmt.Sprintf("hash %d bit %d", i, bit), bad)
	}
	if len(p) > 0 {
		f("one less", p[:len(p)-1])
	}
	f("one more", append(slices.Clone(p), merkle.Hash{}))
}

func TestInclusionAgainstForeignVerifier(t *testing.T) {
	const most = 5000
	l, r := newLog(most), rand.New(rand.NewPCG(5, 6))
	try := func(size, index int64) {
		p, err := merkle.InclusionProof(size, index, l)
		if err != nil {
			t.Fatal(err)
		}
		leaf, root := merkle.LeafHash(l.leaves[index]), l.roots[size]
		if err := merkle.CheckInclusion(l.at(size), index, leaf, p); err != nil {
			t.Fatalf("%d in %d: %v", index, size, err)
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf[:], raw(p), root[:]); err != nil {
			t.Fatalf("%d in %d, foreign: %v", index, size, err)
		}
		flips(r, p, func(name string, bad []merkle.Hash) {
			if err := merkle.CheckInclusion(l.at(size), index, leaf, bad); fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%d in %d with %s: %v", index, size, name, err)
			}
			if proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(size), leaf[:], raw(bad), root[:]) == nil {
				t.Fatalf("%d in %d with %s: the foreign verifier took it", index, size, name)
			}
		})
		if merkle.CheckInclusion(l.at(size), index, merkle.LeafHash([]byte("other")), p) == nil {
			t.Fatalf("%d in %d: another leaf was taken", index, size)
		}
		if size > 1 && merkle.CheckInclusion(l.at(size), (index+1)%size, leaf, p) == nil {
			t.Fatalf("%d in %d: another index was taken", index, size)
		}
	}
	for size := int64(1); size <= 70; size++ {
		for index := range size {
			try(size, index)
		}
	}
	for range 2000 {
		size := 1 + r.Int64N(most)
		try(size, r.Int64N(size))
	}
}

func TestConsistencyAgainstForeignVerifier(t *testing.T) {
	const most = 5000
	l, r := newLog(most), rand.New(rand.NewPCG(7, 8))
	try := func(older, newer int64) {
		p, err := merkle.ConsistencyProof(older, newer, l)
		if err != nil {
			t.Fatal(err)
		}
		a, b := l.at(older), l.at(newer)
		if err := merkle.CheckConsistency(a, b, p); err != nil {
			t.Fatalf("%d to %d: %v", older, newer, err)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(older), uint64(newer), raw(p), a.Root[:], b.Root[:]); err != nil {
			t.Fatalf("%d to %d, foreign: %v", older, newer, err)
		}
		flips(r, p, func(name string, bad []merkle.Hash) {
			if err := merkle.CheckConsistency(a, b, bad); fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%d to %d with %s: %v", older, newer, name, err)
			}
		})
		if older > 0 {
			forged := a
			forged.Root[r.IntN(32)] ^= 1
			if merkle.CheckConsistency(forged, b, p) == nil {
				t.Fatalf("%d to %d: another older root was taken", older, newer)
			}
			forged = b
			forged.Root[r.IntN(32)] ^= 1
			if merkle.CheckConsistency(a, forged, p) == nil {
				t.Fatalf("%d to %d: another newer root was taken", older, newer)
			}
		}
	}
	for newer := range int64(60) {
		for older := range newer + 1 {
			try(older, newer)
		}
	}
	for range 2000 {
		newer := 1 + r.Int64N(most)
		try(r.Int64N(newer+1), newer)
	}
}

func TestConsistencyRefuses(t *testing.T) {
	l := newLog(10)
	p, _ := merkle.ConsistencyProof(4, 10, l)
	other := l.at(10)
	other.Origin = "other.test/journal"
	fakeEmpty := l.at(0)
	fakeEmpty.Root = merkle.Hash{}
	huge := l.at(10)
	huge.Size = merkle.MaxSize + 1
	twoRoots := l.at(10)
	twoRoots.Root = l.roots[9]
	for name, err := range map[string]error{
		"other origin":    merkle.CheckConsistency(l.at(4), other, p),
		"shrunk":          merkle.CheckConsistency(l.at(10), l.at(4), p),
		"false empty":     merkle.CheckConsistency(fakeEmpty, l.at(10), nil),
		"hashes on empty": merkle.CheckConsistency(l.at(0), l.at(10), p),
		"two roots":       merkle.CheckConsistency(twoRoots, l.at(10), nil),
		"huge":            merkle.CheckConsistency(l.at(4), huge, p),
		"leaf outside":    merkle.CheckInclusion(l.at(4), 4, merkle.LeafHash(l.leaves[4]), nil),
		"negative leaf":   merkle.CheckInclusion(l.at(4), -1, merkle.LeafHash(l.leaves[0]), nil),
	} {
		if fe, ok := errors.AsType[*fault.Error](err); !ok || fe.Kind != fault.Invalid || fe.Code != "proof_false" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]func() ([]merkle.Hash, error){
		"beyond the tree": func() ([]merkle.Hash, error) { return merkle.InclusionProof(5, 5, l) },
		"negative":        func() ([]merkle.Hash, error) { return merkle.InclusionProof(5, -1, l) },
		"older is larger": func() ([]merkle.Hash, error) { return merkle.ConsistencyProof(6, 5, l) },
		"older negative":  func() ([]merkle.Hash, error) { return merkle.ConsistencyProof(-1, 5, l) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: proved", name)
		}
	}
}

// Readers are asked for distinct ascending indexes, and short, long or failing
// answers never become a proof.
func TestReaders(t *testing.T) {
	l := newLog(1000)
	for range 200 {
		size := 2 + rand.Int64N(998)
		if _, err := merkle.InclusionProof(size, rand.Int64N(size), l); err != nil {
			t.Fatal(err)
		}
		if _, err := merkle.ConsistencyProof(1+rand.Int64N(size-1), size, l); err != nil {
			t.Fatal(err)
		}
	}
	for _, asked := range l.asked {
		if !slices.IsSorted(asked) || len(slices.Compact(slices.Clone(asked))) != len(asked) {
			t.Fatalf("asked for %v", asked)
		}
	}
	broken := errors.New("disk")
	for name, r := range map[string]merkle.HashReaderFunc{
		"short": func(i []int64) ([]merkle.Hash, error) { h, _ := l.ReadHashes(i); return h[:len(h)-1], nil },
		"long":  func(i []int64) ([]merkle.Hash, error) { h, _ := l.ReadHashes(i); return append(h, h[0]), nil },
		"none":  func([]int64) ([]merkle.Hash, error) { return nil, nil },
		"fails": func([]int64) ([]merkle.Hash, error) { return nil, broken },
	} {
		_, err1 := merkle.InclusionProof(1000, 3, r)
		_, err2 := merkle.ConsistencyProof(3, 1000, r)
		if err1 == nil || err2 == nil || name == "fails" && !errors.Is(err1, broken) {
			t.Errorf("%s: %v, %v", name, err1, err2)
		}
	}
}

func TestAppendAllocatesLittle(t *testing.T) {
	l := newLog(1 << 12)
	e, h := l.edge.Clone(), merkle.LeafHash(nil)
	if n := testing.AllocsPerRun(1000, func() { e.Append(h) }); n > 3 {
		t.Errorf("%v allocations a leaf", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	var e merkle.Edge
	h := merkle.LeafHash([]byte("x"))
	for b.Loop() {
		e.Append(h)
	}
}
