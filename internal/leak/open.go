package leak

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// ground is where a scan may read: a folder, out of which no link leads.
type ground struct {
	root *os.Root
	base string // its real path
}

var (
	errNoFile = errors.New("it is no regular file")
	errLarge  = errors.New("the file is large")
)

// tread opens the ground of a place, and says where the place really is.
func tread(place string) (*ground, string, error) {
	real, err := filepath.EvalSymlinks(place) // the place itself may be a link
	if err != nil {
		return nil, "", err
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, "", err
	}
	info, err := os.Stat(real)
	if err != nil {
		return nil, "", err
	}
	g := &ground{base: real}
	if !info.IsDir() {
		g.base = filepath.Dir(real)
	}
	g.root, err = os.OpenRoot(g.base)
	return g, real, err
}

// open opens a regular file. Of a pipe it waits for nobody, and a device it leaves alone.
func (g *ground) open(path string) (*os.File, int64, error) {
	f, err := g.door(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func (g *ground) door(path string) (*os.File, error) {
	name, err := filepath.Rel(g.base, path)
	if err != nil {
		return nil, err
	}
	return g.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// whole reads a file that has at most so many bytes.
func (g *ground) whole(path string, most int64) ([]byte, error) {
	f, _, err := g.open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return upTo(f, most)
}

// ReadList reads an ignore file: a regular one, and no link.
func ReadList(name string) (string, error) {
	f, err := os.OpenFile(filepath.Clean(name), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return "", err
	}
	b, err := upTo(f, maxIgnore)
	return string(b), err
}

func upTo(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, errLarge
	}
	return b, err
}

// list names what is in a folder; where there is none, nothing.
func (g *ground) list(dir string) ([]string, error) {
	f, err := g.door(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// within is the real path of a folder, if it lies in the place.
func (g *ground) within(dir string) (string, bool) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", false
	}
	rel, err := filepath.Rel(g.base, real)
	return real, err == nil && filepath.IsLocal(rel)
}
