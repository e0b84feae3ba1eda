package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"writ/internal/parcel"
	"writ/internal/secret"
)

// notes are what a machine keeps beside its key: the latest time it has seen, uses of
// bundles that the server was not told yet, and bundles that it must not open any more.
type notes struct {
	Seen    time.Time `json:"seen"`
	Uses    []use     `json:"uses"`
	Revoked []string  `json:"revoked"`
}

// use is one opening of a bundle.
type use struct {
	Bundle string    `json:"bundle"`
	At     time.Time `json:"at"`
	Path   string    `json:"path"`
	Count  int       `json:"count"`
	Host   string    `json:"host,omitempty"`
}

// The bounds of notes.
const (
	maxKeyFile = 4 << 10
	maxNotes   = 4 << 20
	maxBundle  = 8 << 20
	usesACall  = 100
)

// machine is this machine's key, locked, with its notes.
type machine struct {
	f     *os.File
	key   parcel.Key
	notes notes
}

// openMachine takes the key for itself until it is closed. A key that others may read is
// no key of this machine alone.
func openMachine(name string) (_ *machine, err error) {
	f, err := os.Open(filepath.Clean(name))
	if err != nil {
		return nil, unreadable(name, err)
	}
	m := &machine{f: f}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if i, err := f.Stat(); err != nil || i.Mode().Perm()&0o377 != 0 {
		return nil, &exit{exitUsage, fmt.Errorf("the key %s is open to more than its owner's reading. Set it with: chmod 0400 %s", name, name)}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil { // two programs that start must not lose each other's notes
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	b, err := readAll(f, name, maxKeyFile)
	if err != nil {
		return nil, err
	}
	if m.key, err = parcel.ParseKey(secret.NewText(string(b))); err != nil {
		return nil, err
	}
	clear(b)
	b, err = os.ReadFile(m.state())
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err == nil && len(b) > maxNotes {
		err = errors.New("it is too large")
	}
	if err == nil {
		err = json.Unmarshal(b, &m.notes)
	}
	if err != nil { // without it the last seen clock is not known
		return nil, &exit{exitNo, fmt.Errorf("the notes %s cannot be read: %w", m.state(), err)}
	}
	return m, nil
}

func (m *machine) state() string { return m.f.Name() + ".state" }

func (m *machine) close() error { return m.f.Close() }

// keep writes the notes whole, to the disk, before anything depends on them.
func (m *machine) keep(now time.Time) error {
	if now.After(m.notes.Seen) {
		m.notes.Seen = now
	}
	b, err := json.MarshalIndent(m.notes, "", " ")
	if err != nil {
		return err
	}
	return target{path: m.state(), mode: 0o600, uid: -1, gid: -1}.write(b)
}

// away reports whether an error means that the server cannot be reached.
func away(err error) bool {
	e, ok := errors.AsType[*exit](asExit(err))
	return ok && e.code == exitUnreachable
}

// fromBundle opens the bundle and notes the use, before a value is in anybody's hands.
func (s *source) fromBundle() (_ map[string]string, err error) {
	m, err := openMachine(s.in.key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	text, err := s.a.readFile(s.in.bundle, maxBundle)
	if err != nil {
		return nil, err
	}
	b, err := parcel.Parse(text)
	if err != nil {
		return nil, err
	}
	if slices.Contains(m.notes.Revoked, b.Head.ID) {
		return nil, &exit{exitNo, errors.New("the bundle is revoked. Make a new one when the server can be reached")}
	}
	now := s.a.now()
	all, err := b.Open(m.key, now, m.notes.Seen)
	if err != nil {
		return nil, err
	}
	var vs []pair
	for _, v := range all {
		if p := strings.TrimSuffix(s.path, "/"); strings.HasPrefix(v.Name, p+"/") {
			vs = append(vs, pair{v.Name, v.Text.Reveal()})
		}
	}
	env, err := variables(vs)
	if err != nil {
		return nil, err
	}
	m.notes.Uses = append(m.notes.Uses, use{b.Head.ID, now.UTC(), s.path, len(vs), hostname()})
	if err := m.keep(now); err != nil {
		return nil, fmt.Errorf("note the use of the bundle: %w", err)
	}
	fmt.Fprintf(s.a.err, "The server cannot be reached. %s from the bundle of %s, which ends %s.\n", count(len(vs), "value", "values"), s.a.date(b.Head.Issued), s.a.date(b.Head.Ends))
	return env, nil
}

// report tells the server of uses that it does not know, and learns what is revoked.
func (s *source) report(ctx context.Context, conn *client) (err error) {
	m, err := openMachine(s.in.key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	for {
		some := m.notes.Uses[:min(usesACall, len(m.notes.Uses))]
		var out struct{ Revoked []string }
		if err := conn.post(ctx, "vault/bundles/uses", map[string]any{"uses": append([]use{}, some...)}, &out); err != nil {
			return err
		}
		m.notes.Uses, m.notes.Revoked = m.notes.Uses[len(some):], out.Revoked
		if err := m.keep(s.a.now()); err != nil {
			return err
		}
		if len(m.notes.Uses) == 0 {
			return nil
		}
	}
}
