package app

import (
	"bytes"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// broken is a folder in which one file cannot be opened.
type broken struct {
	fstest.MapFS
	name string
	err  error
}

func (b broken) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: b.err}
	}
	return b.MapFS.Open(name)
}

// What could not be read is never "not found".
func TestSearch(t *testing.T) {
	needle := []byte("planted-secret")
	files := fstest.MapFS{"writ.db": {Data: append(bytes.Repeat([]byte("x"), 1<<20-5), needle...)}, // across two pieces
		"mail/a.eml": {Data: []byte("planted-secret, planted-secret")}, "keys.db": {Data: []byte("nothing")}}
	n, places, err := search(t.Context(), files, needle)
	if err != nil || n != 3 || strings.Join(places, " ") != "mail/a.eml writ.db" {
		t.Errorf("%d in %v, %v", n, places, err)
	}
	if _, _, err := search(t.Context(), broken{files, "keys.db", fs.ErrPermission}, needle); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("an unreadable file was passed over: %v", err)
	}
	if n, _, err := search(t.Context(), broken{files, "keys.db", fs.ErrNotExist}, needle); err != nil || n != 3 {
		t.Errorf("a file that vanished: %d, %v", n, err)
	}
}
