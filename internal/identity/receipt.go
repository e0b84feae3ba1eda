package identity

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/journal"
)

// receipts are those somebody takes: each is an entry of its own.
var receipts = limit{name: "receipts", max: 60, window: time.Hour}

// Receipt is the proof of a look for who was looked at: an evidence bundle with the
// entries about it as they stand in the journal, their proofs and the checkpoint that was
// signed, with the reason opened. writ verify checks it without this server. That it was
// taken is an entry too. A look of somebody else is fault.NotFound.
func (s *Service) Receipt(ctx context.Context, who actor.Actor, look string) ([]byte, error) {
	if err := humanNeeded(who); err != nil {
		return nil, err
	}
	ls, err := s.looks(ctx, `g.id = $1 AND g.person = $2`, look, who.ID) // clause: use.need-to-see
	switch {
	case err != nil:
		return nil, err
	case len(ls) != 1:
		return nil, noLook()
	case s.Proof == nil:
		return nil, fault.Newf(fault.Unavailable, "no_proof", "There is no journal here that could prove it.")
	}
	object := "support/" + look
	if es, err := s.Record.List(ctx, journal.Query{Subject: who.ID, Object: object, Limit: 1}); err != nil {
		return nil, fmt.Errorf("find the entry of a look: %w", err)
	} else if len(es) == 0 {
		return nil, fault.New(fault.Conflict, "no_entry_yet", fault.Public{Problem: "The entry of this look has no number in the journal yet.", Next: "Try again in a moment."})
	}
	b, err := s.bucket(ctx, receipts, who.ID)
	if err != nil {
		return nil, err
	}
	if t, err := s.take(ctx, b); err != nil {
		return nil, err
	} else if t != nil {
		return nil, s.refuse(ctx, who, SupportRefused{Cause: "receipts", Person: who.ID}, t.fault())
	}
	var zip bytes.Buffer
	if err := s.Proof(ctx, who, journal.Evidence{Query: journal.Query{Object: object}, Reason: "receipt of a look"}, &zip); err != nil {
		return nil, fmt.Errorf("make the receipt of a look: %w", err)
	}
	return zip.Bytes(), nil
}

// writeReceipt answers with the file.
func (s *Service) writeReceipt(w http.ResponseWriter, r *http.Request, who actor.Actor, look string) error {
	b, err := s.Receipt(r.Context(), who, look)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="look-`+look+`.zip"`)
	_, err = w.Write(b)
	return err //nolint:wrapcheck // the reader went away
}

func (s *Service) postReceipt(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	return s.writeReceipt(w, r, who, r.PathValue("id"))
}
