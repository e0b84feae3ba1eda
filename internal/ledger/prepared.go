package ledger

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// prepared keeps one prepared statement per text.
type prepared struct {
	mu  sync.RWMutex
	m   map[string]*sql.Stmt
	new func(ctx context.Context, text string) (*sql.Stmt, error)
}

// get returns a statement, and whether it is kept: one that is not must be closed.
func (p *prepared) get(text string) (s *sql.Stmt, kept bool, err error) {
	p.mu.RLock()
	s, ok := p.m[text]
	p.mu.RUnlock()
	if ok {
		return s, true, nil
	}
	// Not under the caller's ctx: the statement outlives the call.
	if s, err = p.new(context.Background(), text); err != nil {
		return nil, false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.m == nil {
		p.m = map[string]*sql.Stmt{}
	}
	if _, ok := p.m[text]; ok || len(p.m) >= maxTexts {
		return s, false, nil
	}
	p.m[text] = s
	return s, true, nil
}

func (p *prepared) query(ctx context.Context, text string, args []any) (*sql.Rows, error) {
	s, kept, err := p.get(text)
	if err != nil {
		return nil, err
	}
	if !kept {
		defer s.Close() // database/sql keeps it open until the rows are closed
	}
	return s.QueryContext(ctx, args...)
}

// close ends all statements; SQLite does not close a connection before.
func (p *prepared) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	for _, s := range p.m {
		err = errors.Join(err, s.Close())
	}
	p.m = nil
	return err
}
