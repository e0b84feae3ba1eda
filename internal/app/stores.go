package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"writ/internal/gateway"
	"writ/internal/journal"
)

const (
	storedEntries = 1000     // of the journal, the newest
	storedLetters = 1000     // likewise
	storedLetter  = 64 << 10 // bytes of one
)

// stores are what this server itself keeps as text that others may have had a hand in.
func (a *App) stores() []gateway.Store {
	all := []gateway.Store{{Name: "journal", Each: a.eachEntry}, {Name: "route file", Each: func(_ context.Context, look func([]byte)) error {
		return eachFile([]string{a.path("routes.yaml")}, look)
	}}}
	if u, err := url.Parse(a.config.Mail.URL); err == nil && u.Scheme == "file" {
		all = append(all, gateway.Store{Name: "folder of letters", Each: func(_ context.Context, look func([]byte)) error {
			names, err := filepath.Glob(filepath.Join(u.Path, "*.eml"))
			if err != nil {
				return fmt.Errorf("list letters: %w", err)
			}
			slices.Sort(names) // their names begin with the time
			return eachFile(names[max(0, len(names)-storedLetters):], look)
		}})
	}
	return all
}

func (a *App) eachEntry(ctx context.Context, look func([]byte)) error {
	es, err := a.journal.List(ctx, journal.Query{Limit: storedEntries})
	if err != nil {
		return err
	}
	for _, e := range es {
		look(e.Leaf)
	}
	return nil
}

func eachFile(names []string, look func([]byte)) error {
	for _, name := range names {
		b, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", strings.TrimSpace(filepath.Base(name)), err)
		}
		look(b[:min(len(b), storedLetter)])
	}
	return nil
}
