package ledger

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/ncruces/go-sqlite3"

	"writ/internal/fault"
)

// ErrCutOff is in the chain of the error of a change that held the writer too long
// and was undone. The sequencer makes its batch smaller when it sees it.
var ErrCutOff = errors.New("ledger: change was cut off")

// Programmer errors.
var (
	errNoEvent    = errors.New("ledger: a change without an event")
	errNested     = errors.New("ledger: a change inside a change")
	errInRow      = errors.New("ledger: a statement inside a row callback: collect the rows first")
	errEnded      = errors.New("ledger: the transaction has ended")
	errAbandoned  = errors.New("ledger: the closure did not return")
	errNoActor    = errors.New("ledger: a change without an actor")
	errQuietAlso  = errors.New("ledger: housekeeping records no event")
	errEscape     = errors.New("ledger: a statement that would end or escape the transaction")
	errNotReading = errors.New("ledger: a statement outside a change that does not read")
	errClosed     = errors.New("ledger: closed")
)

// unavailable is a store that cannot work now. Nothing was changed.
func unavailable(code, problem, next string, err error) *fault.Error {
	return &fault.Error{Kind: fault.Unavailable, Code: code, Err: err, RetryAfter: time.Second,
		Public: fault.Public{Problem: problem, Expected: "Nothing was changed.", Next: next}}
}

func storeAway(err error) error {
	return unavailable("store_unavailable", "The database cannot be used at the moment.",
		"Try again in a minute; if it stays, tell the operator.", err)
}

func diskFull(err error) error {
	return unavailable("disk_full", "The database has no room left on its disk.",
		"The operator must make room; no restart is needed.", err)
}

func cutOff(limit time.Duration) error {
	return unavailable("cut_off", "The change took too long and was undone.", "Try again.",
		fmt.Errorf("%w after %v", ErrCutOff, limit))
}

// outcomeUnknown is a COMMIT of which nobody can say whether it will last.
func outcomeUnknown(err error) error {
	return &fault.Error{Kind: fault.Unavailable, Code: "outcome_unknown", Err: err, Public: fault.Public{
		Problem:  "The connection to the database, or its disk, broke while the change was being saved.",
		Expected: "It was saved whole, with its record, or not at all; which of the two is not known.",
		Next:     "Look at the present state before trying again."}}
}

func conflict(code string, err error) error {
	return &fault.Error{Kind: fault.Conflict, Code: code, Err: err, Public: fault.Public{
		Problem: "This exists already, or was changed by somebody else.",
		Next:    "Look at its present state and try again."}}
}

func sealed(err error) error { return fault.Wrap(fault.Sealed, "sealed", err) }

func defect(err error) error { return fault.Wrap(fault.Internal, "defect", err) }

// mapError gives a driver's error its kind. Errors that have one keep it.
func mapError(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return mapPostgres(e, err)
	}
	if code, ok := sqliteCode(err); ok {
		return mapSQLite(code, err)
	}
	switch _, isNet := errors.AsType[net.Error](err); {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.Wrap(fault.Unavailable, "cancelled", err)
	case isNet, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), pgconn.SafeToRetry(err):
		return storeAway(err)
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || strings.Contains(err.Error(), "conn closed") {
		return storeAway(err)
	}
	return defect(err)
}

// sqliteCode finds the code in errors of statements and in bare codes.
func sqliteCode(err error) (sqlite3.ExtendedErrorCode, bool) {
	if e, ok := errors.AsType[*sqlite3.Error](err); ok {
		return e.ExtendedCode(), true
	}
	if e, ok := errors.AsType[sqlite3.ExtendedErrorCode](err); ok {
		return e, true
	}
	if e, ok := errors.AsType[sqlite3.ErrorCode](err); ok {
		return e.ExtendedCode(), true
	}
	return 0, false
}

func mapSQLite(code sqlite3.ExtendedErrorCode, err error) error {
	switch code {
	case sqlite3.CONSTRAINT_UNIQUE, sqlite3.CONSTRAINT_PRIMARYKEY, sqlite3.CONSTRAINT_ROWID:
		return conflict("exists", err)
	case sqlite3.CONSTRAINT_FOREIGNKEY:
		return conflict("reference", err)
	case sqlite3.IOERR_BADKEY:
		return sealed(err)
	}
	switch code.Code() {
	case sqlite3.FULL:
		return diskFull(err)
	case sqlite3.IOERR, sqlite3.CANTOPEN, sqlite3.CORRUPT, sqlite3.NOTADB, sqlite3.READONLY,
		sqlite3.BUSY, sqlite3.LOCKED, sqlite3.PROTOCOL, sqlite3.NOMEM, sqlite3.INTERRUPT, sqlite3.ABORT:
		return storeAway(err)
	}
	return defect(err)
}

func mapPostgres(e *pgconn.PgError, err error) error {
	switch e.Code {
	case "23505":
		return conflict("exists", err)
	case "23503":
		return conflict("reference", err)
	case "53100":
		return diskFull(err)
	case "57014", "25P03", "25P02", "55P03", "40001", "40P01":
		return storeAway(err)
	}
	switch e.Code[:2] {
	case "08", "53", "57", "58", "XX":
		return storeAway(err)
	}
	return defect(err)
}
