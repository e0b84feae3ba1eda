package leak

import (
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const gitFolder = ".git"

func isFlate(err error) bool {
	_, ok := errors.AsType[flate.CorruptInputError](err)
	return ok
}

// isRepo reports whether a folder is the store of a repository, with or without work tree.
func isRepo(dir string) bool {
	for _, name := range []string{"HEAD", "objects", "refs"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// worktree is a file that says where the store is: of a second work tree, or a submodule.
func (s *scan) worktree(ctx context.Context, file, name string) error {
	b, err := s.whole(file, maxList)
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(b)), "gitdir: ")
	if err != nil || !ok {
		s.unread(name)
		return nil
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(file), dir)
	}
	dir, ok = s.within(dir) // another's repository is not what was asked about
	if common, err := s.whole(filepath.Join(dir, "commondir"), maxList); ok && err == nil {
		dir, ok = s.within(filepath.Join(dir, strings.TrimSpace(string(common))))
	}
	if !ok || !isRepo(dir) {
		s.unread(name)
		return nil
	}
	return s.history(ctx, dir, name)
}

// history reads every object of a repository: what was removed from the work tree is there
// still, and what no branch reaches as well.
func (s *scan) history(ctx context.Context, dir, name string) error {
	for _, f := range []string{"config", "packed-refs"} { // an address with a password stands here
		if _, err := os.Lstat(filepath.Join(dir, f)); err == nil {
			if err := s.file(ctx, filepath.Join(dir, f), path.Join(name, f)); err != nil {
				return err
			}
		}
	}
	if err := s.objects(ctx, dir, name); err != nil {
		return fmt.Errorf("history in %s: %w", name, err)
	}
	return nil
}

func (s *scan) objects(ctx context.Context, dir, name string) error {
	store, err := s.openStore(dir, name)
	if err != nil {
		return err
	}
	defer store.close()
	at, err := store.locate(ctx)
	if err != nil {
		return err
	}
	base := path.Dir(name)
	return store.each(ctx, func(o object) error {
		w, ok := at[o.id]
		switch {
		case o.big && !ok:
			s.unread(name + "/" + o.hex())
			return nil
		case o.big:
			s.unread(path.Join(base, w.file))
			return nil
		case o.kind == kindCommit || o.kind == kindTag:
			w = where{file: name + "/" + o.kind.String(), commit: o.hex()}
		case o.kind != kindBlob:
			return nil
		case !ok:
			w = where{file: name + "/unreachable/" + o.hex(), commit: o.hex()}
		default:
			w.file = path.Join(base, w.file)
		}
		return s.any(ctx, w, bytes.NewReader(o.data), 0)
	})
}

// commit is one of a history.
type commit struct {
	id, tree string
	when     int64
}

// locate finds for each blob the oldest commit that has it, and its path there. Each tree
// is walked once.
func (r *store) locate(ctx context.Context) (map[string]where, error) {
	var commits []commit
	err := r.each(ctx, func(o object) error {
		if o.kind == kindCommit {
			c, err := r.parseCommit(o)
			if err != nil {
				return err
			}
			commits = append(commits, c)
		}
		return nil
	}, kindCommit)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(commits, func(a, b commit) int { return cmp.Or(cmp.Compare(a.when, b.when), cmp.Compare(a.id, b.id)) })
	at, walked := map[string]where{}, map[string]bool{}
	for _, c := range commits {
		if err := r.walk(ctx, c, c.tree, "", at, walked, 0); err != nil {
			return nil, err
		}
	}
	return at, nil
}

func (r *store) parseCommit(o object) (commit, error) {
	c := commit{id: o.id}
	for line := range bytes.Lines(o.data) {
		line = bytes.TrimRight(line, "\n")
		if len(line) == 0 {
			break
		}
		if t, ok := bytes.CutPrefix(line, []byte("tree ")); ok {
			c.tree = unhex(string(t))
		}
		if t, ok := bytes.CutPrefix(line, []byte("committer ")); ok {
			if parts := bytes.Fields(t); len(parts) > 1 {
				c.when, _ = strconv.ParseInt(string(parts[len(parts)-2]), 10, 64) // of a strange commit: the first
			}
		}
	}
	if len(c.tree) != r.size {
		return c, fmt.Errorf("commit %s names no tree", o.hex())
	}
	return c, nil
}

// maxTree bounds how deep folders lie.
const maxTree = 200

func (r *store) walk(ctx context.Context, c commit, tree, dir string, at map[string]where, walked map[string]bool, depth int) error {
	if walked[tree] || depth > maxTree {
		return nil
	}
	walked[tree] = true
	if err := ctx.Err(); err != nil {
		return err
	}
	o, err := r.object(ctx, tree)
	if errors.Is(err, errNoObject) {
		return nil // a shallow or partial copy
	}
	if err != nil {
		return err
	}
	for b := o.data; len(b) > 0; {
		mode, rest, ok := bytes.Cut(b, []byte(" "))
		name, rest, named := bytes.Cut(rest, []byte{0})
		if !ok || !named || len(rest) < r.size {
			return fmt.Errorf("tree %s is cut off", o.hex())
		}
		id := string(rest[:r.size])
		b = rest[r.size:]
		full := path.Join(dir, string(name))
		switch string(mode) {
		case "40000":
			if err := r.walk(ctx, c, id, full, at, walked, depth+1); err != nil {
				return err
			}
		case "160000": // a submodule: another repository
		default:
			if _, known := at[id]; !known {
				at[id] = where{file: full, commit: object{id: c.id}.hex()}
			}
		}
	}
	return nil
}
