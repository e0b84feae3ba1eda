package leak

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"

	"writ/internal/envelope"
	"writ/internal/secret"
)

// made is one object of a pack that no git wrote; on is what a delta changes.
type made struct {
	id   string
	kind kind
	on   string
	data []byte
}

func name(c byte) string { return strings.Repeat(string(c), 20) }

// bare is a repository without objects.
func bare(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "x.git")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "objects", "pack"), 0o700), os.MkdirAll(filepath.Join(dir, "objects", "info"), 0o700), os.Mkdir(filepath.Join(dir, "refs"), 0o700), os.WriteFile(filepath.Join(dir, "HEAD"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writePack puts a pack into a repository.
func writePack(t *testing.T, dir, file string, objects ...made) {
	t.Helper()
	pack := bytes.NewBufferString("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
	var places []byte
	var names, sums string
	for _, o := range objects {
		places = binary.BigEndian.AppendUint32(places, uint32(pack.Len())) //nolint:gosec // a small one
		names, sums = names+o.id, sums+"sums"
		size, head := len(o.data)>>4, []byte{byte(o.kind)<<4 | byte(len(o.data)&15)}
		for ; size > 0; size >>= 7 {
			head[len(head)-1] |= 0x80
			head = append(head, byte(size&0x7f))
		}
		pack.Write(head)
		pack.WriteString(o.on)
		z := zlib.NewWriter(pack)
		if _, err := z.Write(o.data); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
	}
	index := "\xfftOc\x00\x00\x00\x02" + strings.Repeat("\x00", 255*4) + string(binary.BigEndian.AppendUint32(nil, uint32(len(objects)))) + names + sums + string(places) //nolint:gosec // a few
	base := filepath.Join(dir, "objects", "pack", file)
	if err := errors.Join(os.WriteFile(base+".idx", []byte(index), 0o600), os.WriteFile(base+".pack", pack.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// A delta on itself ends the scan, after one look.
func TestDeltaOnItself(t *testing.T) {
	dir := bare(t)
	writePack(t, dir, "a", made{id: name('a'), kind: refDelta, on: name('a'), data: make([]byte, 64<<10)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Scan(t.Context(), dir, Options{})
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "a chain without end") {
		t.Errorf("%v", err)
	}
	if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 64 {
		t.Errorf("%d MiB were read", n)
	}
}

// Deltas on each other in two packs end the scan, and not the process.
func TestDeltasOverPacks(t *testing.T) {
	dir := bare(t)
	writePack(t, dir, "a", made{id: name('y'), kind: refDelta, on: name('x')})
	writePack(t, dir, "b", made{id: name('x'), kind: refDelta, on: name('y')})
	if _, err := Scan(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "over several packs") {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	g, real, err := tread(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&scan{ground: g}).openStore(real, ".")
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, err := r.object(ctx, name('x')); !errors.Is(err, context.Canceled) {
		t.Errorf("a chain goes on when nobody waits: %v", err)
	}
}

// What a chain holds is bounded; an object beyond it is named as unread.
func TestDeltasThatAreHeld(t *testing.T) {
	dir := bare(t)
	large := make([]byte, 20<<20)
	objects := []made{{id: name('a'), kind: kindBlob, data: []byte("hello")}}
	for i := range 5 {
		objects = append(objects, made{id: name(byte('b' + i)), kind: refDelta, on: name(byte('a' + i)), data: large})
	}
	writePack(t, dir, "a", objects...)
	g, real, err := tread(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&scan{ground: g}).openStore(real, ".")
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, err := r.object(t.Context(), name('f')); !errors.Is(err, errBig) || r.held != 0 || r.depth != 0 {
		t.Errorf("%v, %d bytes are held", err, r.held)
	}
}

// A pipe, a device, and what lies outside are no part of a repository: they are named.
func TestOddFiles(t *testing.T) { // breaks: vault.secret-home
	dir, other := bare(t), bare(t)
	link := func(to, name string) error { return os.Symlink(to, filepath.Join(dir, name)) }
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "config"), 0o600), link("/dev/zero", "packed-refs"),
		os.WriteFile(filepath.Join(dir, "objects", "info", "alternates"), []byte(other+"/objects\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r, err := Scan(t.Context(), dir, Options{})
	if err != nil || len(r.Unread) != 3 || r.Unread[0] != "config" || r.Unread[1] != "packed-refs" || !strings.Contains(r.Unread[2], other) {
		t.Errorf("%q %v", r.Unread, err)
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, "objects", "info", "alternates")), link("/dev/zero", "objects/info/alternates")); err != nil {
		t.Fatal(err)
	}
	if r, err := Scan(t.Context(), dir, Options{}); err != nil || len(r.Unread) != 3 {
		t.Errorf("%q %v", r.Unread, err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "objects", "pack", "a.idx"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Scan(t.Context(), dir, Options{}); !errors.Is(err, errNoFile) {
		t.Errorf("a pipe for an index: %+v %v", r, err)
	}
	tree := t.TempDir()
	if err := os.WriteFile(filepath.Join(tree, gitFolder), []byte("gitdir: "+other+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Scan(t.Context(), tree, Options{}); err != nil || !slices.Equal(r.Unread, []string{gitFolder}) {
		t.Errorf("%q %v", r.Unread, err)
	}
}

func tarOf(t *testing.T, kind byte, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), Typeflag: kind, Format: tar.FormatUSTAR}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is not opened is named as unread, and what is text in another dress is read.
func TestNothingPassesUnseen(t *testing.T) { // breaks: vault.secret-home
	token := "gh" + "p_" + "0aA1bB2cC3dD4eE5fF6gG7hH8iI9jJ0kK1lL"
	deep := token
	for range maxDepth + 1 {
		deep = tarOf(t, tar.TypeReg, "in", deep)
	}
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := w.Write([]byte(deep)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	wide := func(order binary.AppendByteOrder) string {
		var b []byte
		for _, u := range utf16.Encode([]rune("\ufeff" + token + "\n𝄞\n")) {
			b = order.AppendUint16(b, u)
		}
		return string(b)
	}
	for what, c := range map[string]struct {
		text string
		hits int
	}{
		"zip": {"PK\x03\x04" + token, 0}, "xz": {"\xfd7zXZ\x00" + token, 0}, "zstd": {"\x28\xb5\x2f\xfd" + token, 0}, "bzip2": {"BZh91AY&SY" + token, 0},
		"archives too deep": {deep, 0}, "packed, too deep": {gz.String(), 0},
		"little": {wide(binary.LittleEndian), 1}, "big": {wide(binary.BigEndian), 1}, "marked": {"\xef\xbb\xbf" + token, 1}, "a word on bees": {"BZh is no archive " + token, 1},
		"continuous": {tarOf(t, tar.TypeCont, "in", token), 1}, "of a maker": {tarOf(t, 'Z', "in", token), 1},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Scan(t.Context(), dir, Options{})
		if err != nil || len(r.Hits) != c.hits || len(r.Unread) != 1-c.hits {
			t.Errorf("%s: %d hits, unread %q, %v", what, len(r.Hits), r.Unread, err)
		}
	}
	dir := bare(t)
	var loose bytes.Buffer
	z := zlib.NewWriter(&loose)
	fmt.Fprintf(z, "blob %d\x00", maxObject+1)
	if err := errors.Join(z.Close(), os.Mkdir(filepath.Join(dir, "objects", "aa"), 0o700), os.WriteFile(filepath.Join(dir, "objects", "aa", strings.Repeat("a", 38)), loose.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	if r, err := Scan(t.Context(), dir, Options{}); err != nil || !slices.Equal(r.Unread, []string{"./" + strings.Repeat("a", 40)}) {
		t.Errorf("a large object: %+v %v", r, err)
	}
}

// none keeps values, of which no text has any but one.
type none struct {
	key  envelope.Key
	mark Mark
	most int
	of   *scan
}

func (n *none) Key() envelope.Key { return n.key }

func (n *none) Which(context.Context, []Mark) (map[Mark]string, error) {
	n.most = max(n.most, len(n.of.pending))
	return map[Mark]string{n.mark: "/shop/a"}, nil
}

// However many words there are, about a million are remembered, and those of values stay.
func TestWordsAreBound(t *testing.T) {
	key, err := envelope.NewKey("scan", secret.Random(envelope.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	s := &scan{seen: map[[32]byte]int{}, words: map[Mark]*word{}}
	n := &none{key: key, mark: MarkOf(key, "tangerine7boat"), of: s}
	s.o = Options{Known: n, Rules: Shipped()}
	var text strings.Builder
	for i := range 30_000 {
		fmt.Fprintf(&text, "word%08d\n", i)
	}
	if err := s.piece(t.Context(), where{file: "a"}, []byte("tangerine7boat\n"+text.String()), 1); err != nil {
		t.Fatal(err)
	}
	for i := range maxWords {
		s.words[Mark{1, byte(i >> 16), byte(i >> 8), byte(i)}] = &word{asked: true}
	}
	if err := s.ask(t.Context()); err != nil || len(s.words) != 1 || s.words[n.mark].name != "/shop/a" {
		t.Errorf("%d words, %v", len(s.words), err)
	}
	if n.most > batch {
		t.Errorf("%d words waited", n.most)
	}
	if err := s.piece(t.Context(), where{file: "b"}, []byte("tangerine7boat\n"), 1); err != nil || len(s.found) != 2 {
		t.Errorf("%d hits, %v", len(s.found), err)
	}
}
