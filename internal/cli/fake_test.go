package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"writ/internal/cli"
	"writ/internal/policy/document"
	"writ/internal/policy/template"
)

// fake is a server on a unix socket that answers as a test says.
type fake struct {
	t   *testing.T
	dir string
	mux *http.ServeMux

	mu   sync.Mutex
	seen []string // METHOD path?query body
	in   string   // standard input
}

// serve starts a fake in a folder whose name is short enough for a socket.
func serve(t *testing.T) *fake {
	t.Helper()
	dir, err := os.MkdirTemp("", "writ")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, dir: dir, mux: http.NewServeMux()}
	f.listen(filepath.Join(dir, "writ.sock"))
	return f
}

func (f *fake) listen(path string) {
	f.t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		f.t.Fatal(err)
	}
	s := &http.Server{Handler: f}
	go s.Serve(l)
	f.t.Cleanup(func() { s.Close(); os.RemoveAll(f.dir) })
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	f.seen = append(f.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(b)))
	f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(b))
	f.mux.ServeHTTP(w, r)
}

// on answers a pattern under /-/api/v1/ with JSON: a string as it is, else encoded.
func (f *fake) on(pattern string, answer any) {
	f.onDo(pattern, func(*http.Request) any { return answer })
}

// refusal is an answer that is a problem.
type refusal struct {
	status int
	body   string
}

func (f *fake) onDo(pattern string, do func(*http.Request) any) {
	method, path, _ := strings.Cut(pattern, " ")
	f.mux.HandleFunc(method+" /-/api/v1/"+path, func(w http.ResponseWriter, r *http.Request) {
		switch v := do(r).(type) {
		case refusal:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(v.status)
			io.WriteString(w, v.body)
		case nil:
			w.WriteHeader(http.StatusNoContent)
		case string:
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, v)
		default:
			w.Header().Set("Content-Type", "application/json")
			if err := json.NewEncoder(w).Encode(v); err != nil {
				f.t.Error(err)
			}
		}
	})
}

// asked reports whether a request was seen that has this beginning and holds all parts.
func (f *fake) asked(begin string, parts ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
next:
	for _, s := range f.seen {
		if !strings.HasPrefix(s, begin) {
			continue
		}
		for _, p := range parts {
			if !strings.Contains(s, p) {
				continue next
			}
		}
		return true
	}
	return false
}

// run runs a command on the fake's folder.
func (f *fake) run(args ...string) (status int, out, errs string) {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	status = cli.Main(context.Background(), append(args, "--dir", f.dir), strings.NewReader(f.in), &stdout, &stderr, cli.Server{Version: "test"})
	return status, stdout.String(), stderr.String()
}

// must runs a command that must end with a status and hold the words on stdout.
func (f *fake) must(status int, args []string, words ...string) string {
	f.t.Helper()
	got, out, errs := f.run(args...)
	if got != status {
		f.t.Fatalf("writ %s: exit status %d, want %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), got, status, out, errs)
	}
	for _, w := range words {
		if !strings.Contains(out+errs, w) {
			f.t.Errorf("writ %s: says nothing of %q\nstdout: %s\nstderr: %s", strings.Join(args, " "), w, out, errs)
		}
	}
	return out
}

// shipped is the template, with literals changed.
func shipped(t *testing.T, edits map[string]string) *document.Policy {
	t.Helper()
	p, ps := document.Load(template.YAML(), document.Shipped())
	if p == nil {
		t.Fatal(ps)
	}
	change := map[string]document.Literal{}
	for k, v := range edits {
		change[k] = document.Word(v)
	}
	q, ps := document.Apply(p, change)
	if q == nil {
		t.Fatal(ps)
	}
	return q
}

func hash(p *document.Policy) string { return fmt.Sprintf("%x", p.BodyHash()) }

// lawOf is GET policy's answer for a body.
func lawOf(id, version, state string, p *document.Policy) map[string]any {
	values := map[string]any{}
	for c, a := range p.Params() {
		values[c.Key(a.Name)] = a.Words(a.Value)
	}
	return map[string]any{"at": "2026-03-01T10:00:00Z", "title": p.Title, "owners": p.Owners, "author": p.Author, "contact": p.Contact, "values": values,
		"exceptions": []any{}, "canonical": json.RawMessage(p.Canonical()), "yaml": string(document.Print(p)),
		"revision": map[string]any{"id": id, "version": version, "state": state, "policy": p.ID, "body_sha256": hash(p), "needs": 2, "approvals": []any{}}}
}
