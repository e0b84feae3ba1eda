package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"writ/internal/fault"
)

// Limits on PostgreSQL.
const (
	pgWriters   = 16               // transactions at a time; the rest wait in the pool
	pgReaders   = 16               // a pool of its own: a closure that reads outside its Tx must not wait for writers
	pgTries     = 4                // the first try and three more after 40001 or 40P01
	pgChange    = 15 * time.Second // one attempt, from BEGIN to COMMIT
	pgIdleConns = 4
)

// pg is the PostgreSQL engine: plain concurrent transactions, READ COMMITTED.
// Nothing is numbered in them and nothing notified: both would make commits queue.
type pg struct {
	db          *DB
	write, read *sql.DB
}

func openPostgres(ctx context.Context, d *DB, url string, schemas []Schema) (engine, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Code: "database_url", Err: errors.New("parse database address"),
			Public: fault.Public{Problem: "The database address cannot be read.",
				Expected: "postgres://user:password@host:5432/name?sslmode=verify-full"}}
	}
	for k, v := range map[string]string{"application_name": "writ", "timezone": "UTC", "statement_timeout": "5s",
		"idle_in_transaction_session_timeout": "10s", "default_transaction_isolation": "read committed",
		"synchronous_commit": "on"} {
		if k == "synchronous_commit" && cfg.RuntimeParams[k] != "" {
			continue // remote_apply and the like are the operator's choice
		}
		cfg.RuntimeParams[k] = v
	}
	migrating := cfg.Copy()
	migrating.RuntimeParams["statement_timeout"] = "0"
	m := stdlib.OpenDB(*migrating)
	if err := errors.Join(migrate(ctx, m, "postgres", schemas), m.Close()); err != nil {
		return nil, err
	}
	reading := cfg.Copy()
	reading.RuntimeParams["default_transaction_read_only"] = "on" // nobody writes past Change
	p := &pg{db: d, write: stdlib.OpenDB(*cfg), read: stdlib.OpenDB(*reading)}
	p.write.SetMaxOpenConns(pgWriters)
	p.write.SetMaxIdleConns(pgWriters)
	p.write.SetConnMaxIdleTime(time.Minute)
	p.read.SetMaxOpenConns(pgReaders)
	p.read.SetMaxIdleConns(pgIdleConns)
	p.read.SetConnMaxIdleTime(time.Minute)
	return p, nil
}

func (p *pg) name() string { return "postgres" }

func (p *pg) close() error { return errors.Join(p.write.Close(), p.read.Close()) }

func (p *pg) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	return p.read.QueryContext(ctx, query, args...)
}

// run tries again after a serialisation failure or a deadlock, which PostgreSQL
// answers by undoing the transaction, and where the session turned out to be dead.
func (p *pg) run(ctx context.Context, attempt func(*Tx) error) error {
	for try := 1; ; try++ {
		err := p.once(ctx, attempt)
		if err == nil || try == pgTries || !retryable(err) {
			return err
		}
		select {
		case <-time.After(time.Duration(1+rand.IntN(10<<try)) * time.Millisecond): // jitter, no secret
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, "cancelled", ctx.Err())
		}
	}
}

// errNotBegun marks a session that had died in the pool: nothing was done on it.
var errNotBegun = errors.New("the transaction did not begin")

func retryable(err error) bool {
	if errors.Is(err, errNotBegun) {
		return true
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "40001" || e.Code == "40P01")
}

// once is one transaction. A cancelled ctx counts only while it waits for a connection.
func (p *pg) once(ctx context.Context, attempt func(*Tx) error) (err error) {
	conn, err := p.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", mapError(err))
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pgChange)
	defer cancel()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", errors.Join(mapError(err), errNotBegun))
	}
	committed := false
	defer func() { // also when the closure panics or its goroutine ends
		if !committed {
			if rerr := tx.Rollback(); rerr != nil && !errors.Is(rerr, sql.ErrTxDone) && err == nil {
				err = fmt.Errorf("roll back: %w", mapError(rerr))
			}
		}
	}()
	t := p.db.newTx(pgSession{ctx, tx})
	t.lend(attempt)
	if t.outcome != nil {
		return t.outcome
	}
	began := p.db.commits.begin()
	if err := p.db.seam.commit(); err != nil {
		return fmt.Errorf("commit: %w", mapError(err))
	}
	err = tx.Commit()
	p.db.commits.timed(began)
	committed = true
	if err == nil {
		err = p.db.seam.committed()
	}
	if err != nil {
		return p.settle(ctx, t.xid, err)
	}
	return nil
}

// settle finds out what became of a COMMIT whose answer was lost: whoever is told
// "nothing was changed" must be able to rely on it. The transaction's number came
// back with the insertion of its entry.
func (p *pg) settle(ctx context.Context, xid string, cause error) error {
	if e, ok := errors.AsType[*pgconn.PgError](cause); ok && e.Code[:2] != "08" && e.Code[:2] != "57" {
		return fmt.Errorf("commit: %w", mapError(cause))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer cancel()
	for xid != "" && ctx.Err() == nil {
		var status sql.NullString
		err := p.read.QueryRowContext(ctx, xactStatus, xid).Scan(&status)
		switch {
		case err == nil && status.String == "committed":
			return nil
		case err == nil && status.String == "aborted":
			return fmt.Errorf("commit: %w", storeAway(cause))
		}
		select {
		case <-time.After(50 * time.Millisecond): // the server is away, or still busy with it
		case <-ctx.Done():
		}
	}
	return outcomeUnknown(fmt.Errorf("commit: %w", cause))
}

const (
	settleWithin = 5 * time.Second
	xactStatus   = `SELECT pg_xact_status($1::text::xid8)`
)

type pgSession struct {
	ctx context.Context
	tx  *sql.Tx
}

func (s pgSession) exec(query string, args []any) (int64, error) {
	res, err := s.tx.ExecContext(s.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// insert adds an entry and learns the transaction's number on the way.
func (s pgSession) insert(args []any) (xid string, err error) {
	err = s.tx.QueryRowContext(s.ctx, insertPending+` RETURNING pg_current_xact_id()::text`, args...).Scan(&xid)
	return xid, err
}

func (s pgSession) query(query string, args []any) (*sql.Rows, error) {
	return s.tx.QueryContext(s.ctx, query, args...)
}
