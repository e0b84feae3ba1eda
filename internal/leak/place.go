package leak

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// place looks through what a path names. Symbolic links are named, not followed.
func (s *scan) place(ctx context.Context, root string) error {
	info, err := os.Stat(root) // the place itself may be one
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return s.file(ctx, root, filepath.Base(root))
	}
	var histories []func() error // after the work tree: what stands there today is told as that
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		rel, rerr := filepath.Rel(root, path)
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
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		s.unread(name)
		return nil
	}
	defer f.Close()
	err = s.any(ctx, where{file: name}, f, 0)
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == path {
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
	switch {
	case depth >= maxDepth:
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b, 8}):
		return s.gzip(ctx, w, b, depth)
	case len(head) == 512 && string(head[257:262]) == "ustar":
		return s.tar(ctx, w, b, depth)
	}
	return s.text(ctx, w, b)
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
	t := tar.NewReader(bounded{s, r})
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return s.damaged(w, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		in := where{file: w.file + "!" + strings.TrimPrefix(filepath.ToSlash(filepath.Clean("/"+h.Name)), "/")}
		if err := s.any(ctx, in, t, depth+1); err != nil {
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
