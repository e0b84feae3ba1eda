package leak

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// place looks through what a path names. Symbolic links are named, not followed.
func (s *scan) place(ctx context.Context, root string) error {
	g, real, err := tread(root)
	if err != nil {
		return err
	}
	defer g.root.Close()
	s.ground = g
	if real != g.base {
		return s.file(ctx, real, filepath.Base(root))
	}
	var histories []func() error // after the work tree: what stands there today is told as that
	err = filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		rel, rerr := filepath.Rel(real, path)
		if rerr != nil {
			return rerr
		}
		name := filepath.ToSlash(rel)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone while we look
			return nil
		case err != nil:
			s.unread(name)
			return nil
		case d.IsDir() && isRepo(path):
			histories = append(histories, func() error { return s.history(ctx, path, name) })
			return fs.SkipDir
		case d.Name() == gitFolder && d.Type().IsRegular():
			histories = append(histories, func() error { return s.worktree(ctx, path, name) })
		case d.Type().IsRegular():
			return s.file(ctx, path, name)
		}
		return nil
	})
	for i := 0; err == nil && i < len(histories); i++ {
		err = histories[i]()
	}
	return err
}

func (s *scan) unread(name string) {
	if len(s.rep.Unread) < maxUnread {
		s.rep.Unread = append(s.rep.Unread, name)
	}
}

// file reads one; what cannot be read is noted, because it may hold anything.
func (s *scan) file(ctx context.Context, path, name string) error {
	f, _, err := s.open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		s.unread(name)
		return nil
	}
	defer f.Close()
	err = s.any(ctx, where{file: name}, f, 0)
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == f.Name() {
		s.unread(name)
		return nil
	}
	return err
}

// maxDepth of archives within archives: a saved image has three.
const maxDepth = 5

var errGrows = errors.New("its archives unpack to more than 16 GiB")

// any reads what may be an archive, by its first bytes and not by its name.
func (s *scan) any(ctx context.Context, w where, r io.Reader, depth int) error {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	zipped, tarred := bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}), len(head) == 512 && string(head[257:262]) == "ustar"
	switch {
	case closed(head), (zipped || tarred) && depth >= maxDepth:
		s.rep.Files++
		s.unread(w.file)
		return nil
	case zipped:
		return s.gzip(ctx, w, b, depth)
	case tarred:
		return s.tar(ctx, w, b, depth)
	}
	for mark, order := range map[string]binary.ByteOrder{"\xff\xfe": binary.LittleEndian, "\xfe\xff": binary.BigEndian, "\xef\xbb\xbf": nil} {
		if !bytes.HasPrefix(head, []byte(mark)) {
			continue
		}
		if _, err := b.Discard(len(mark)); err != nil {
			return err
		}
		if order != nil {
			return s.text(ctx, w, &wide{r: b, order: order})
		}
		break
	}
	return s.text(ctx, w, b)
}

// closed reports whether bytes begin an archive whose form is not opened here: zip, xz,
// zstd, bzip2.
func closed(head []byte) bool {
	return slices.ContainsFunc([]string{"PK\x03\x04", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd", "BZh"}, func(magic string) bool {
		return bytes.HasPrefix(head, []byte(magic)) && (magic != "BZh" || len(head) > 9 && string(head[4:10]) == "1AY&SY")
	})
}

// wide reads UTF-16 as UTF-8.
type wide struct {
	r     io.Reader
	order binary.ByteOrder
	out   []byte
	high  rune // the first half of a pair
}

// Read implements io.Reader.
func (d *wide) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		var in [4096]byte
		n, err := io.ReadFull(d.r, in[:])
		for i := 0; i+1 < n; i += 2 {
			c := rune(d.order.Uint16(in[i:]))
			if c >= 0xd800 && c < 0xdc00 {
				d.high = c
				continue
			}
			if c >= 0xdc00 && c < 0xe000 {
				c = utf16.DecodeRune(d.high, c)
			}
			d.out = utf8.AppendRune(d.out, c)
		}
		if n == 0 {
			return 0, err
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, err
		}
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// bounded counts what archives unpack.
type bounded struct {
	s *scan
	r io.Reader
}

func (b bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.s.left -= int64(n); b.s.left < 0 {
		return n, errGrows
	}
	return n, err
}

func (s *scan) gzip(ctx context.Context, w where, r io.Reader, depth int) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		s.unread(w.file)
		return nil
	}
	return s.damaged(w, s.any(ctx, w, bounded{s, z}, depth+1))
}

func (s *scan) tar(ctx context.Context, w where, r io.Reader, depth int) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return s.damaged(w, err)
		}
		switch h.Typeflag {
		case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo: // have no data
			continue
		}
		in := where{file: w.file + "!" + strings.TrimPrefix(filepath.ToSlash(filepath.Clean("/"+h.Name)), "/")}
		if err := s.any(ctx, in, bounded{s, t}, depth+1); err != nil {
			return s.damaged(w, err)
		}
	}
}

// damaged notes an archive that ends early or is none after all.
func (s *scan) damaged(w where, err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || isFlate(err) {
		s.unread(w.file)
		return nil
	}
	return err
}
