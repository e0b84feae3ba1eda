package incident

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// The limits of files.
const (
	maxFile   = 25 << 20
	mostFiles = 100
	mostBytes = 500 << 20 // of one incident
)

// File is something that belongs to an incident, such as a screenshot or a log.
type File struct {
	ID, Name, Kind, Hash, By string
	Size                     int64
	At                       time.Time
}

// Attach keeps a file with an incident, sealed. Its kind is what its bytes look like, and not what
// its name says. Errors: fault.TooLarge, fault.Invalid, fault.Limited.
func (s *Service) Attach(ctx context.Context, who actor.Actor, ref, name string, body []byte) (Case, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	name = path.Base(strings.ReplaceAll(strings.TrimSpace(name), "\\", "/"))
	bad := func(says string) error {
		return fault.New(fault.Invalid, "file_bad", fault.Public{Problem: says, Fields: []fault.Field{{Name: "file", Code: "file_bad", Problem: says}}})
	}
	switch {
	case len(body) > maxFile:
		return Case{}, fault.New(fault.TooLarge, "file_large", fault.Public{Problem: "The file is too large.", Expected: "At most 25 MiB."})
	case len(body) == 0:
		return Case{}, bad("The file is empty.")
	case name == "." || name == ".." || name == "/" || len(name) > 200 || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return Case{}, bad("The name of the file is empty, too long, or holds what does not show.")
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	f, err := s.fileOf(ctx, c, name, body)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) { return f.put(ctx, tx, who, *c) })
}

// sealed is a file that is ready to be written.
type sealed struct {
	id, kind, hash string
	size           int64
	name, box      []byte
}

func (s *Service) fileOf(ctx context.Context, c Case, name string, body []byte) (sealed, error) {
	id := s.DB.ID()
	k, err := s.Ring.Ensure(ctx, subject(c.ID))
	if err != nil {
		return sealed{}, fmt.Errorf("seal a file: %w", err)
	}
	h := sha256.Sum256(body)
	return sealed{id, http.DetectContentType(body), hex.EncodeToString(h[:]), int64(len(body)), k.Seal([]byte(name), boxed("incident_file.name", id)), k.Seal(body, boxed("incident_file.box", id))}, nil
}

// put writes it inside a change, while the incident has room.
func (f sealed) put(ctx context.Context, tx *ledger.Tx, who actor.Actor, c Case) (ledger.Event, error) {
	var n, size int64
	if err := ledger.One(ctx, tx, countFiles, []any{&n, &size}, c.ID); err != nil {
		return nil, err
	}
	if n >= mostFiles || size+f.size > mostBytes {
		return nil, fault.New(fault.Limited, "files_full", fault.Public{Problem: c.Ref() + " has no room for another file.", Expected: "At most 100 files, and 500 MiB."})
	}
	return f.write(ctx, tx, who, c)
}

func (f sealed) write(ctx context.Context, tx *ledger.Tx, who actor.Actor, c Case) (ledger.Event, error) {
	_, err := tx.Exec(ctx, insertFile, f.id, c.ID, f.kind, f.size, f.hash, by(who), us(tx.Now()), f.name, f.box)
	return FileAttached{Incident: c.ID, File: f.id, Kind: f.kind, Size: f.size, SHA256: f.hash}, err
}

// files are those of an incident, the oldest first.
func (s *Service) files(ctx context.Context, id string) ([]File, error) {
	var out []File
	var names [][]byte
	if err := s.DB.Each(ctx, filesOf, func(scan ledger.Scan) error {
		var f File
		var made int64
		var name []byte
		err := scan(&f.ID, &f.Kind, &f.Size, &f.Hash, &f.By, &made, &name)
		f.At = at(made)
		out, names = append(out, f), append(names, name)
		return err
	}, id); err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	var err error
	for i := range out {
		out[i].By = s.name(ctx, out[i].By)
		if out[i].Name, err = s.open(ctx, "incident_file.name", out[i].ID, names[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// file opens one of an incident.
func (s *Service) file(ctx context.Context, c Case, id string) (File, secret.Bytes, error) {
	f := File{ID: id}
	var name, box []byte
	err := ledger.One(ctx, s.DB, oneFile, []any{&f.Kind, &f.Size, &f.Hash, &name, &box}, id, c.ID)
	if fault.KindOf(err) == fault.NotFound {
		err = fault.Newf(fault.NotFound, "file_unknown", "%s has no such file.", c.Ref())
	}
	if err != nil {
		return File{}, secret.Bytes{}, err
	}
	if f.Name, err = s.open(ctx, "incident_file.name", id, name); err != nil {
		return File{}, secret.Bytes{}, err
	}
	body, err := keyring.OpenBox(ctx, s.Ring, boxed("incident_file.box", id), box)
	if err != nil {
		return File{}, secret.Bytes{}, fmt.Errorf("open a file: %w", err)
	}
	return f, body, nil
}

// Fetch gives a file back, to who may act; that is recorded.
func (s *Service) Fetch(ctx context.Context, who actor.Actor, ref, id string) (File, secret.Bytes, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return File{}, secret.Bytes{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return File{}, secret.Bytes{}, err
	}
	f, body, err := s.file(ctx, c, id)
	if err != nil {
		return File{}, secret.Bytes{}, err
	}
	_, err = s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return FileFetched{Incident: c.ID, File: id}, nil
	})
	return f, body, err
}

// FileAttached is a file that belongs to an incident from now on.
type FileAttached struct {
	Incident string `class:"public"`
	File     string `class:"public"`
	Kind     string `class:"public"`
	Size     int64  `class:"public"`
	SHA256   string `class:"public"`
}

// About implements ledger.Event.
func (e FileAttached) About() ledger.About {
	return ledger.About{Name: "incident.file-attached", Clause: "inc.process", Object: thing(e.Incident)}
}

// FileFetched is a file that somebody took.
type FileFetched struct {
	Incident string `class:"public"`
	File     string `class:"public"`
}

// About implements ledger.Event.
func (e FileFetched) About() ledger.About {
	return ledger.About{Name: "incident.file-fetched", Object: thing(e.Incident)}
}

const (
	countFiles = `SELECT COUNT(*), COALESCE(SUM(size), 0) FROM incident_file WHERE case_id = $1`
	insertFile = `INSERT INTO incident_file (id, case_id, kind, size, hash, person, at, name, box) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	filesOf    = `SELECT id, kind, size, hash, person, at, name FROM incident_file WHERE case_id = $1 ORDER BY at, id`
	oneFile    = `SELECT kind, size, hash, name, box FROM incident_file WHERE id = $1 AND case_id = $2`
)
