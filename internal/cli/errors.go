package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"writ/internal/fault"
)

// The exit statuses: a surface. Scripts read them.
const (
	exitDone        = 0
	exitNo          = 1 // the answer is no
	exitUsage       = 2
	exitUnreachable = 3 // cannot reach the server, or it is sealed
)

// exit is an act's own status; a nil err prints nothing more.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// no is a negative answer that was printed already.
var no = &exit{code: exitNo}

// usageError is a command that cannot be understood.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

// problem is a refusal by the server (RFC 9457 with Writ's members).
type problem struct {
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Expected  string `json:"expected"`
	Next      string `json:"next"`
	RequestID string `json:"request_id"`
	Errors    []struct {
		Field  string `json:"field"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

func (p *problem) Error() string { return p.Detail }

// lines are what a person reads, one thought a line.
func (p *problem) lines() []string {
	out, expected := []string{p.Detail}, p.Expected
	for _, e := range p.Errors {
		if e.Detail != "" && e.Detail != p.Detail {
			line := e.Detail
			if e.Detail == p.Expected { // said of its field
				expected = ""
			}
			if e.Field != "" && !strings.Contains(e.Detail, e.Field) {
				line = e.Field + ": " + line
			}
			out = append(out, "  "+line)
		}
	}
	out = append(out, expected, p.Next)
	if p.Status >= http.StatusInternalServerError && p.RequestID != "" {
		out = append(out, "Request "+p.RequestID+".")
	}
	return out
}

func (p *problem) exit() int {
	switch {
	case p.Code == "sealed", p.Status == http.StatusBadGateway, p.Status == http.StatusServiceUnavailable, p.Status == http.StatusGatewayTimeout:
		return exitUnreachable
	}
	return exitNo
}

// unreachable is a server that gave no answer.
type unreachable struct {
	problem, next string
	err           error
}

func (u *unreachable) Error() string { return u.problem + ": " + u.err.Error() }
func (u *unreachable) Unwrap() error { return u.err }

// unreadable is a local file that was named and cannot be read: the command was wrong.
func unreadable(name string, err error) error {
	why := err.Error()
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		why = e.Err.Error()
	}
	return &exit{exitUsage, fmt.Errorf("the file %s cannot be read: %s", name, why)}
}

// asExit gives an act's error its status.
func asExit(err error) error {
	if e, ok := errors.AsType[*exit](err); ok {
		return e
	}
	if u, ok := errors.AsType[*usageError](err); ok {
		return u
	}
	if p, ok := errors.AsType[*problem](err); ok {
		return &exit{p.exit(), p}
	}
	if u, ok := errors.AsType[*unreachable](err); ok {
		return &exit{exitUnreachable, u}
	}
	switch fault.KindOf(err) {
	case fault.Sealed, fault.Unavailable:
		return &exit{exitUnreachable, err}
	}
	return &exit{exitNo, err}
}

// report prints an error and returns the exit status.
func (a *app) report(command string, err error) int {
	if err == nil {
		return exitDone
	}
	e, ok := errors.AsType[*exit](err)
	if !ok { // found by cobra or by us before the act
		fmt.Fprintf(a.err, "%s\nSee %s --help.\n", visible(sentence(err.Error())), command)
		return exitUsage
	}
	if e.err == nil {
		return e.code
	}
	for _, line := range lines(e.err) {
		if line != "" {
			fmt.Fprintln(a.err, visible(line))
		}
	}
	return e.code
}

// lines says an error in the words for a person: what was wrong, expected, next.
func lines(err error) []string {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.lines()
	}
	if u, ok := errors.AsType[*unreachable](err); ok {
		return []string{u.problem + ".", u.next}
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Public.Problem != "" {
		out := []string{f.Public.Problem}
		for _, x := range f.Public.Fields {
			if x.Problem != f.Public.Problem && x.Problem != f.Public.Expected { // said once is enough
				out = append(out, "  "+x.Problem)
			}
		}
		return append(out, f.Public.Expected, f.Public.Next)
	}
	if errors.Is(err, context.Canceled) {
		return []string{"Stopped."}
	}
	return []string{sentence(err.Error())}
}

// sentence makes a sentence of an error's text.
func sentence(s string) string {
	s = capital(s)
	if s == "" || strings.ContainsAny(s[len(s)-1:], ".?:\n") {
		return s
	}
	return s + "."
}

// capital begins a sentence, unless it begins with a name.
func capital(s string) string {
	word, _, _ := strings.Cut(s, " ")
	if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz,") != "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
