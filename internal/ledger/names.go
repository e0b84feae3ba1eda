package ledger

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Names are those of the database that this is, so that nothing restores over it: the file by
// its resolved path and by its inode, or the cluster of PostgreSQL by its system identifier.
// A cluster is restored whole: another database in it has the same name.
func (d *DB) Names(ctx context.Context) ([]string, error) { return d.engine.names(ctx) }

func (l *lite) names(context.Context) ([]string, error) { return FileNames(l.path) }

func (p *pg) names(ctx context.Context) ([]string, error) {
	var id string
	if err := p.read.QueryRowContext(ctx, `SELECT system_identifier::text FROM pg_control_system()`).Scan(&id); err != nil {
		return nil, fmt.Errorf("ask for the cluster's identifier: %w", err)
	}
	return []string{"postgres:" + id}, nil
}

// FileNames are the names of a database that is a file.
func FileNames(path string) ([]string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return nil, fmt.Errorf("find the database's file: %w", err)
	}
	out := []string{"file:" + real}
	i, err := os.Stat(real)
	if err != nil {
		return nil, fmt.Errorf("look at the database's file: %w", err)
	}
	if st, ok := i.Sys().(*syscall.Stat_t); ok {
		out = append(out, fmt.Sprintf("inode:%d:%d", st.Dev, st.Ino))
	}
	return out, nil
}
