package ledger

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ncruces/go-sqlite3"
)

// native runs the writer's statements on its connection itself: database/sql, with its locks
// and its copies of arguments, costs a change more than what most of its statements do. It is
// for one goroutine at a time, as the connection is.
type native struct {
	conn  *sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

// exec runs one statement and returns how many rows it changed.
func (n *native) exec(ctx context.Context, text string, args []any) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s, kept := n.stmts[text]
	if !kept {
		var err error
		if s, err = n.prepare(text); err != nil {
			return 0, err
		}
		if kept = len(n.stmts) < maxTexts; kept {
			n.stmts[text] = s
		} else {
			defer s.Close()
		}
	}
	if err := bind(s, args); err != nil {
		return 0, errors.Join(err, s.ClearBindings())
	}
	old := n.conn.SetInterrupt(ctx)
	err := errors.Join(s.Exec(), s.ClearBindings())
	n.conn.SetInterrupt(old)
	if err != nil {
		return 0, err
	}
	return n.conn.Changes(), nil
}

func (n *native) prepare(text string) (*sqlite3.Stmt, error) {
	s, tail, err := n.conn.PrepareFlags(text, sqlite3.PREPARE_PERSISTENT)
	switch {
	case err != nil:
		return nil, err
	case s == nil || strings.TrimSpace(tail) != "":
		return nil, errors.Join(errors.New("not one statement"), s.Close())
	}
	return s, nil
}

// bind gives a statement its arguments, of the types that database/sql takes.
func bind(s *sqlite3.Stmt, args []any) error {
	if want := s.BindCount(); want != len(args) {
		return fmt.Errorf("%d arguments for %d", len(args), want)
	}
	for i, a := range args {
		if err := bindOne(s, i+1, a); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	return nil
}

func bindOne(s *sqlite3.Stmt, at int, a any) error {
	switch a := a.(type) {
	case nil:
		return s.BindNull(at)
	case int64:
		return s.BindInt64(at, a)
	case string:
		return s.BindText(at, a)
	case []byte:
		return s.BindBlob(at, a)
	case bool:
		return s.BindBool(at, a)
	case float64:
		return s.BindFloat(at, a)
	case time.Time:
		return s.BindTime(at, a, sqlite3.TimeFormatDefault)
	}
	v, err := sqldriver.DefaultParameterConverter.ConvertValue(a)
	if err != nil {
		return err
	}
	return bindOne(s, at, v)
}

func (n *native) close() error {
	var err error
	for _, s := range n.stmts {
		err = errors.Join(err, s.Close())
	}
	n.stmts = nil
	return err
}
