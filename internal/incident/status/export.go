package status

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// exportEvery is how old files in the folder get while nothing changes.
const exportEvery = 5 * time.Minute

// export writes everything as files, for a place that outlives this server: after each
// change, and every five minutes. A reader never sees half a file.
func (s *Service) export(context.Context) error {
	x := s.shown.Load()
	if s.Folder == "" || x == nil || x.turn == s.exportedTurn.Load() && x.made.Sub(s.Exported()) < exportEvery {
		return nil
	}
	files, err := x.world.files(folder)
	if err != nil {
		return err
	}
	var errs []error
	for name, f := range files {
		switch {
		case name == "":
			name = "index.html"
		case strings.HasPrefix(name, "incidents/"):
			name += folder.ext
		}
		errs = append(errs, put(filepath.Join(s.Folder, filepath.FromSlash(name)), f.body))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("export the status page: %w", err)
	}
	s.exported.Store(us(x.made))
	s.exportedTurn.Store(x.turn)
	return nil
}

func put(name string, body []byte) error {
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, body) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // a page for everybody
		return err
	}
	tmp := name + ".new"
	if err := os.WriteFile(tmp, body, 0o644); err != nil { //nolint:gosec // a page for everybody
		return err
	}
	return os.Rename(tmp, name)
}

// Exported is when the folder was last filled; zero = never, or there is none.
func (s *Service) Exported() time.Time {
	if n := s.exported.Load(); n != 0 {
		return at(n)
	}
	return time.Time{}
}
