package verify

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// The limits of a bundle.
const (
	maxTotal = 2 << 30   // bytes unpacked
	maxRatio = 200       // unpacked to archive
	maxFile  = 64 << 20  // bytes of one file
	maxFiles = 2_500_000 // files
)

const sumsName = "SHA256SUMS"

// bundleTime is that of every file, so that times say nothing and differ in nothing.
var bundleTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// Store writes one file of a bundle: not packed, and with nothing in its header that
// could be otherwise, so that whoever has the files can make the archive again, byte for byte.
func Store(z *zip.Writer, name string, content []byte) error {
	h := &zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE(content),
		CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content))}
	//lint:ignore SA1019 Modified would add a field that a raw header does not write
	h.SetModTime(bundleTime)
	w, err := z.CreateRaw(h)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := w.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// archive is a zip that was found safe to read.
type archive struct {
	files map[string]*zip.File
	names []string // sorted
	order []*zip.File
	total int64 // bytes of the archive itself
}

// openArchive refuses what could harm or confuse before anything is unpacked.
func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("it is not a zip: %w", err)
	}
	if len(z.File) > maxFiles {
		return nil, fmt.Errorf("it has more than %d files", maxFiles)
	}
	a := &archive{files: map[string]*zip.File{}, total: size}
	var unpacked uint64
	type span struct{ from, to int64 }
	var spans []span
	for _, f := range z.File {
		if err := checkName(f); err != nil {
			return nil, err
		}
		if a.files[f.Name] != nil {
			return nil, fmt.Errorf("%q stands twice", f.Name)
		}
		from, err := f.DataOffset()
		if err != nil || f.CompressedSize64 > uint64(size) {
			return nil, fmt.Errorf("%q does not lie within the archive", f.Name)
		}
		if f.UncompressedSize64 > maxFile {
			return nil, fmt.Errorf("%q is larger than %d bytes", f.Name, maxFile)
		}
		unpacked += f.UncompressedSize64
		spans = append(spans, span{from, from + int64(f.CompressedSize64)})
		a.files[f.Name], a.names = f, append(a.names, f.Name)
	}
	if unpacked > maxTotal || unpacked > uint64(size)*maxRatio {
		return nil, fmt.Errorf("it would unpack to %d bytes: more than %d, or than %d times its size", unpacked, int64(maxTotal), maxRatio)
	}
	slices.SortFunc(spans, func(x, y span) int { return int(min(max(x.from-y.from, -1), 1)) })
	for i := 1; i < len(spans); i++ {
		if spans[i].from < spans[i-1].to {
			return nil, errors.New("two files share bytes of the archive")
		}
	}
	slices.Sort(a.names)
	a.order = z.File
	return a, nil
}

// rebuilt makes the archive again from its files and compares each byte: a changed byte
// between or around the files changes no file, and must still not pass for the original.
// An archive that somebody packed anew with compression is judged by its files alone.
func (a *archive) rebuilt(r io.ReaderAt) error {
	for _, f := range a.order {
		if f.Method != zip.Store {
			return nil
		}
	}
	same := &comparer{want: bufio.NewReaderSize(io.NewSectionReader(r, 0, a.total), 1<<16)}
	z := zip.NewWriter(same)
	for _, f := range a.order {
		b, err := a.read(f.Name)
		if err != nil {
			return err
		}
		if err := Store(z, f.Name, b); err != nil {
			return errAltered
		}
	}
	if z.Close() != nil || same.at != a.total {
		return errAltered
	}
	return nil
}

var errAltered = errors.New("bytes between its files were changed")

// comparer is a writer that fails at the first byte that is not the wanted one.
type comparer struct {
	want *bufio.Reader
	at   int64
}

// Write implements io.Writer.
func (c *comparer) Write(b []byte) (int, error) {
	got := make([]byte, len(b))
	if _, err := io.ReadFull(c.want, got); err != nil || !bytes.Equal(got, b) {
		return 0, errAltered
	}
	c.at += int64(len(b))
	return len(b), nil
}

// checkName refuses folders, links and names that leave the folder they are unpacked to.
func checkName(f *zip.File) error {
	n := f.Name
	if n == "" || len(n) > 200 || !fs.ValidPath(n) || path.Clean(n) != n || strings.ContainsAny(n, "\\:\x00") || f.NonUTF8 {
		return fmt.Errorf("%.60q is not a plain name", n)
	}
	if !f.Mode().IsRegular() {
		return fmt.Errorf("%.60q is not a plain file", n)
	}
	if f.Flags&1 != 0 || f.Method != zip.Store && f.Method != zip.Deflate {
		return fmt.Errorf("%.60q is packed in a way that is not read", n)
	}
	return nil
}

// read unpacks one file, never more than it announced.
func (a *archive) read(name string) ([]byte, error) {
	f := a.files[name]
	if f == nil {
		return nil, fmt.Errorf("%s is missing", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, int64(f.UncompressedSize64)+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if uint64(len(b)) != f.UncompressedSize64 {
		return nil, fmt.Errorf("%s: it does not have the length it announced", name)
	}
	return b, nil
}

// sums compares every file with SHA256SUMS and names each that differs.
func (a *archive) sums(differs func(name, says string)) error {
	list, err := a.read(sumsName)
	if err != nil {
		return err
	}
	want := map[string]string{}
	for line := range strings.Lines(string(list)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 64 || want[name] != "" {
			return errors.New("SHA256SUMS is not a list of sums and names")
		}
		want[name] = sum
		if a.files[name] == nil {
			differs(name, "it is missing")
		}
	}
	for _, name := range a.names {
		if name == sumsName {
			continue
		}
		b, err := a.read(name)
		sum := sha256.Sum256(b)
		switch {
		case err != nil:
			differs(name, err.Error())
		case want[name] == "":
			differs(name, "it is not listed in SHA256SUMS")
		case want[name] != hex.EncodeToString(sum[:]):
			differs(name, "it was changed: its SHA-256 differs")
		}
	}
	return nil
}

// under lists the names in a folder, sorted.
func (a *archive) under(folder string) []string {
	i, _ := slices.BinarySearch(a.names, folder)
	j := i
	for j < len(a.names) && strings.HasPrefix(a.names[j], folder) {
		j++
	}
	return a.names[i:j]
}
