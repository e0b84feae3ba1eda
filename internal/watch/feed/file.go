package feed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"writ/internal/journal"
	"writ/internal/watch/export"
)

// lines writes events of OCSF into the file of the day. What a process that died wrote and
// did not write down is cut off first, so that no event stands there twice.
func (t *target) lines(r *row, es []journal.Entry) (sent, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for i := range es {
		v := export.Event(&es[i], t.s.Rule)
		if v == nil {
			continue
		}
		if err := e.Encode(v); err != nil {
			return sent{}, fmt.Errorf("write an event: %w", err)
		}
	}
	if err := os.MkdirAll(t.Address, 0o700); err != nil {
		return sent{}, fmt.Errorf("make the folder of events: %w", err)
	}
	if r.file != "" {
		if err := shorten(filepath.Join(t.Address, r.file), r.size); err != nil {
			return sent{}, err
		}
	}
	name := "writ-" + t.s.Now().UTC().Format("2006-01-02") + ".jsonl"
	if b.Len() == 0 {
		return sent{done: len(es)}, nil
	}
	size, err := appendTo(filepath.Join(t.Address, name), b.Bytes())
	if err != nil {
		return sent{}, err
	}
	r.file, r.size = name, size
	return sent{done: len(es)}, nil
}

// shorten cuts a file to what was written down. One that is gone was taken away by somebody.
func shorten(name string, size int64) error {
	fi, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && fi.Size() > size {
		err = os.Truncate(name, size)
	}
	if err != nil {
		return fmt.Errorf("tidy the file of events: %w", err)
	}
	return nil
}

// appendTo writes at the end, and waits for the disk.
func appendTo(name string, b []byte) (size int64, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fmt.Errorf("open the file of events: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size, err = f.Seek(0, io.SeekEnd); err != nil {
		return 0, fmt.Errorf("write events: %w", err)
	}
	if _, err := f.Write(b); err != nil {
		return 0, fmt.Errorf("write events: %w", err)
	}
	return size + int64(len(b)), f.Sync() //nolint:wrapcheck // says which file
}
