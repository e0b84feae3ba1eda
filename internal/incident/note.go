package incident

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

const maxNote = 64 << 10

// Note is a line that a person wrote. It is never changed: a correction is a new one that
// points to it.
type Note struct {
	ID       string
	By       string
	Name     string
	At       time.Time
	Text     string
	Corrects string
}

// Write adds a note to the timeline. Errors: fault.TooLarge, fault.Invalid.
func (s *Service) Write(ctx context.Context, who actor.Actor, ref, text, corrects string) (Case, error) {
	text = strings.TrimSpace(text)
	switch {
	case len(text) > maxNote:
		return Case{}, fault.New(fault.TooLarge, "note_large", fault.Public{Problem: "The note is too large.", Expected: "At most 64 KiB."})
	case text == "" || !utf8.ValidString(text):
		return Case{}, fault.New(fault.Invalid, "note_empty", fault.Public{Problem: "The note is empty.", Fields: []fault.Field{{Name: "text", Code: "note_empty", Problem: "Write what happened, or what was decided."}}})
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	id := s.DB.ID()
	box, err := s.seal(ctx, c.ID, "incident_note.box", id, text)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if corrects != "" {
			if err := ledger.One(ctx, tx, noteIn, []any{new(string)}, corrects, c.ID); err != nil {
				return nil, fault.Newf(fault.NotFound, "note_unknown", "There is no such line to correct.")
			}
		}
		hash := digest(text)
		_, err := tx.Exec(ctx, insertNote, id, c.ID, corrects, by(who), us(tx.Now()), hash, box)
		return Noted{Incident: c.ID, Note: id, TextHash: hash, Corrects: corrects}, err
	})
}

func (s *Service) notes(ctx context.Context, id string) ([]Note, error) {
	var out []Note
	var boxes [][]byte
	err := s.DB.Each(ctx, notesOf, func(scan ledger.Scan) error {
		var n Note
		var written int64
		var box []byte
		err := scan(&n.ID, &n.Corrects, &n.By, &written, &box)
		n.At = at(written)
		out, boxes = append(out, n), append(boxes, box)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	for i := range out {
		out[i].Name = s.name(ctx, out[i].By)
		if out[i].Text, err = s.open(ctx, "incident_note.box", out[i].ID, boxes[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

const (
	noteIn     = `SELECT id FROM incident_note WHERE id = $1 AND case_id = $2`
	insertNote = `INSERT INTO incident_note (id, case_id, corrects, written, at, hash, box) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	notesOf    = `SELECT id, corrects, written, at, box FROM incident_note WHERE case_id = $1 ORDER BY at, id`
)
