// Package fault says what went wrong in words that a caller can test and a person
// can act on. An error has a Kind, tested with errors.Is; and, where a person will
// read it, a Public part: what was wrong, what was expected, what to do next.
// Everything else in the error's text is for the log and never leaves the server.
//
//	return fault.New(fault.Gone, "link_dead", fault.Public{
//		Problem: "The link has expired.", Expected: "It worked for 24 hours.",
//		Next: "Ask for a new one."})
//
// Kind → HTTP status and exit status live here and nowhere else.
package fault

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Kind is what sort of failure it was. A Kind is itself an error, so that callers
// write errors.Is(err, fault.Denied).
type Kind string

// The kinds. An error without one is Internal.
const (
	Invalid         Kind = "invalid"         // the value was refused; asking again unchanged will not help
	Malformed       Kind = "malformed"       // the request could not be read at all
	Unauthenticated Kind = "unauthenticated" // nobody is signed in, or the sign-in was refused
	Denied          Kind = "denied"          // known who asks; not allowed
	NotFound        Kind = "not-found"
	Gone            Kind = "gone"     // it was there once: a used or expired link
	Conflict        Kind = "conflict" // the state changed underneath, or it exists already
	Limited         Kind = "limited"  // too many or too much; see RetryAfter
	TooLarge        Kind = "too-large"
	Media           Kind = "media"       // wrong media type
	Sealed          Kind = "sealed"      // the keys are not there
	Unavailable     Kind = "unavailable" // a thing this depends on is away; nothing was changed
	Internal        Kind = "internal"
)

// Error makes a Kind an error.
func (k Kind) Error() string { return string(k) }

// Status is the HTTP status of the kind.
func (k Kind) Status() int {
	switch k {
	case Invalid:
		return http.StatusUnprocessableEntity
	case Malformed:
		return http.StatusBadRequest
	case Unauthenticated:
		return http.StatusUnauthorized
	case Denied:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Gone:
		return http.StatusGone
	case Conflict:
		return http.StatusConflict
	case Limited:
		return http.StatusTooManyRequests
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case Media:
		return http.StatusUnsupportedMediaType
	case Sealed, Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Public is what a person reads.
type Public struct {
	Problem  string  // what was wrong, one sentence
	Expected string  // what was expected, one sentence; may be empty
	Next     string  // what to do, one sentence; may be empty
	Fields   []Field // for forms: which field, why
}

// Field is one refused form field.
type Field struct{ Name, Code, Problem string }

// Error is a failure with a kind, a stable code and a public part.
type Error struct {
	Kind       Kind
	Code       string // snake_case, stable; API clients switch on it
	Public     Public
	RetryAfter time.Duration // for Limited and Unavailable
	Err        error         // cause, for the log only
}

// New makes an Error.
func New(k Kind, code string, p Public) *Error { return &Error{Kind: k, Code: code, Public: p} }

// Newf makes an Error whose public problem is formatted. Use it where one sentence says all.
func Newf(k Kind, code, format string, a ...any) *Error {
	return New(k, code, Public{Problem: fmt.Sprintf(format, a...)})
}

// Wrap gives err a kind and a code. The text of err stays private.
func Wrap(k Kind, code string, err error) *Error { return &Error{Kind: k, Code: code, Err: err} }

// Error is the private text, for logs.
func (e *Error) Error() string {
	s := string(e.Kind) + ": " + e.Code
	if e.Public.Problem != "" {
		s += ": " + e.Public.Problem
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Is matches the kind.
func (e *Error) Is(t error) bool { k, ok := t.(Kind); return ok && k == e.Kind }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of err, Internal when it has none and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if k, ok := errors.AsType[Kind](err); ok {
		return k
	}
	return Internal
}

// PublicOf returns code and public part of err; for an error without one, words
// that say nothing of the inside.
func PublicOf(err error) (code string, p Public) {
	if e, ok := errors.AsType[*Error](err); ok && e.Public.Problem != "" {
		return e.Code, e.Public
	}
	switch k := KindOf(err); k {
	case Internal:
		return "internal", Public{Problem: "Something inside went wrong. Nothing was changed.", Next: "Try again; if it stays, tell the operator the request id."}
	case Unavailable:
		return "unavailable", Public{Problem: "A part this depends on is away. Nothing was changed.", Next: "Try again in a minute."}
	case Sealed:
		return "sealed", Public{Problem: "The server is sealed: its keys are not present.", Next: "An operator must unseal it."}
	case NotFound:
		return "not_found", Public{Problem: "There is nothing at this address."}
	default:
		return string(k), Public{Problem: "The request was refused: " + string(k) + "."}
	}
}
