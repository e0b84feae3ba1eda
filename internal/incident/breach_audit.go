package incident

import (
	"context"
	"fmt"
	"strings"

	"writ/internal/fault"
	"writ/internal/incident/breach"
)

const (
	auditSpan  = "audit/" // begins the id of what a file covers
	mostAudits = 10       // of a scope
)

// walkAudits gives the accesses that audits of databases tell of, which lie with the incident as
// files, and adds what they cover.
func (s *Service) walkAudits(ctx context.Context, c Case, files []string, sel breach.Selector, cover *breach.Coverage, fn func(*breach.Record) error) error { // clause: inc.breach-scope
	if len(files) > mostAudits {
		return badPaper("scope", "audits", fmt.Sprintf("At most %d files.", mostAudits))
	}
	for _, id := range files {
		f, body, err := s.file(ctx, c, id)
		if err != nil {
			return err
		}
		var stop error
		span, holes, err := breach.Audit(body.Reveal(), auditSpan+f.ID, f.Hash, sel, func(r *breach.Record) error { stop = fn(r); return stop })
		if stop != nil {
			return stop
		}
		if err != nil {
			return notAudit(f.Name, err)
		}
		cover.Spans, cover.Holes = append(cover.Spans, span), append(cover.Holes, holes...)
	}
	return nil
}

func notAudit(name string, err error) error {
	return fault.New(fault.Invalid, "scope_audits", fault.Public{Problem: "The file " + name + " is no audit of a database: " + err.Error() + ".", Expected: "A log of PostgreSQL as CSV (log_destination = csvlog, log_timezone = UTC) with the lines of pgaudit in it."})
}

// audits are the files that a version was computed from.
func (x Scope) audits() (files []string) {
	for _, span := range x.Coverage.Spans {
		if id, ok := strings.CutPrefix(span.ID, auditSpan); ok {
			files = append(files, id)
		}
	}
	return files
}
