package transfer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/vault"
)

// How long an export waits for the second person, and then to be taken.
const (
	waits = 24 * time.Hour
	ready = time.Hour
)

// Export is one that was asked for.
type Export struct {
	ID, Path, Reason string
	Asker, Approver  string // kind/id
	Asked, Approved  time.Time
	Taken            time.Time
}

// Ask asks for everything under a path. Another person must agree within a day.
func (s *Service) Ask(ctx context.Context, who actor.Actor, path, reason string) (Export, error) {
	if err := s.Access.Allow(ctx, who, access.VaultRead, "param/"+strings.TrimPrefix(path, "/")); err != nil {
		return Export{}, err
	}
	e := Export{Path: strings.TrimSpace(path), Reason: strings.TrimSpace(reason), Asker: who.String()}
	if len(e.Reason) < 8 || len(e.Reason) > 300 {
		return Export{}, fault.New(fault.Invalid, "export_reason", fault.Public{Problem: "Say why, in 8 to 300 characters.", Expected: "One line. Whoever agrees reads it."})
	}
	if !strings.HasPrefix(e.Path, "/") || len(e.Path) > 1011 {
		return Export{}, fault.New(fault.Invalid, "path_not_rooted", fault.Public{Problem: "A path begins with /.", Expected: "/service or /service/database."})
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		e.ID, e.Asked = tx.ID(), tx.Now()
		_, err := tx.Exec(ctx, insertExport, e.ID, vault.TeamOf(who), e.Path, e.Reason, e.Asker, us(e.Asked))
		return ExportAsked{Export: e.ID, Path: e.Path, Why: e.Reason}, err
	})
	if err != nil {
		return Export{}, fmt.Errorf("ask for an export: %w", err)
	}
	return e, nil
}

// Agree is the second person's word. It is never that of whoever asked, nor a program's.
func (s *Service) Agree(ctx context.Context, who actor.Actor, id string) error { // clause: vault.access-logged
	if err := s.Access.Allow(ctx, who, access.VaultKeys, "param/"); err != nil {
		return err
	}
	if who.Kind != actor.Person || who.ByToken() {
		return fault.New(fault.Denied, "person_needed", fault.Public{Problem: "A person agrees, signed in.", Next: "Sign in, and agree there."})
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		e, err := s.one(ctx, tx, vault.TeamOf(who), id)
		if err != nil {
			return nil, err
		}
		switch {
		case e.Asker == who.String():
			return nil, fault.New(fault.Denied, "own_export", fault.Public{Problem: "You asked for it yourself.", Next: "Ask another person to agree."})
		case !e.Approved.IsZero() || tx.Now().Sub(e.Asked) >= waits:
			return nil, errOver()
		}
		n, err := tx.Exec(ctx, agreeExport, id, who.String(), us(tx.Now()))
		if err == nil && n != 1 {
			err = errOver()
		}
		return ExportApproved{Export: id, Path: e.Path}, err
	})
	if err != nil {
		return fmt.Errorf("agree to an export: %w", err)
	}
	return nil
}

// Take hands the values to whoever asked, once, within an hour of the agreement. Every name
// is in an entry before. They are read first, so that a fault spends nothing.
func (s *Service) Take(ctx context.Context, who actor.Actor, id string) ([]vault.Named, error) { // clause: vault.access-logged
	if err := s.Access.Allow(ctx, who, access.VaultRead, "param/"); err != nil {
		return nil, err
	}
	e, err := s.one(ctx, s.DB, vault.TeamOf(who), id)
	if err != nil {
		return nil, err
	}
	switch {
	case e.Asker != who.String():
		return nil, fault.New(fault.Denied, "others_export", fault.Public{Problem: "Somebody else asked for it.", Next: "Ask for one yourself."})
	case e.Approved.IsZero():
		return nil, fault.New(fault.Denied, "not_agreed", fault.Public{Problem: "Nobody else has agreed yet.", Next: "Ask an owner: writ vault export approve " + id})
	case !e.Taken.IsZero() || s.Now().Sub(e.Approved) >= ready:
		return nil, errOver()
	}
	values, err := s.Values.Everything(ctx, who, e.Path, "export "+id+": "+e.Reason)
	if err != nil {
		return nil, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, takeExport, id, us(tx.Now()), us(tx.Now().Add(-ready)))
		if err == nil && n != 1 {
			err = errOver()
		}
		return ExportTaken{Export: id, Path: e.Path, Approver: e.Approver}, err
	})
	if err != nil {
		return nil, fmt.Errorf("take an export: %w", err)
	}
	return values, nil
}

// Exports lists those of the team, the newest first.
func (s *Service) Exports(ctx context.Context, who actor.Actor) ([]Export, error) {
	if err := s.Access.Allow(ctx, who, access.VaultList, "param/"); err != nil {
		return nil, err
	}
	return s.find(ctx, s.DB, selectExports+` WHERE team = $1 ORDER BY asked DESC, id LIMIT 200`, vault.TeamOf(who))
}

func (s *Service) one(ctx context.Context, r ledger.Reader, team, id string) (Export, error) {
	es, err := s.find(ctx, r, selectExports+` WHERE team = $1 AND id = $2`, team, id)
	if err == nil && len(es) == 0 {
		err = fault.New(fault.NotFound, "export_unknown", fault.Public{Problem: "There is no such export.", Next: "Look at the list: writ vault export list."})
	}
	if err != nil {
		return Export{}, err
	}
	return es[0], nil
}

func (s *Service) find(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Export, err error) {
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var e Export
		var asked, approved, taken int64
		err := scan(&e.ID, &e.Path, &e.Reason, &e.Asker, &asked, &e.Approver, &approved, &taken)
		e.Asked, e.Approved, e.Taken = at(asked), at(approved), at(taken)
		out = append(out, e)
		return err
	}, args...)
	return out, err
}

func errOver() error {
	return fault.New(fault.Gone, "export_over", fault.Public{Problem: "This export is over: it was agreed to or taken already, or its time has passed.", Next: "Ask for a new one."})
}

func us(t time.Time) int64 { return t.UnixMicro() }

func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// ExportAsked is the wish to carry values away.
type ExportAsked struct {
	Export string `class:"public"`
	Path   string `class:"public"`
	Why    string `class:"personal"`
}

// About implements ledger.Event.
func (e ExportAsked) About() ledger.About {
	return ledger.About{Name: "vault.export-asked", Clause: "vault.access-logged", Object: "export/" + e.Export}
}

// ExportApproved is the second person's word.
type ExportApproved struct {
	Export string `class:"public"`
	Path   string `class:"public"`
}

// About implements ledger.Event.
func (e ExportApproved) About() ledger.About {
	return ledger.About{Name: "vault.export-approved", Clause: "vault.access-logged", Object: "export/" + e.Export}
}

// ExportTaken is an export that is handed out; the entry before it names every value.
type ExportTaken struct {
	Export   string `class:"public"`
	Path     string `class:"public"`
	Approver string `class:"personal"`
}

// About implements ledger.Event.
func (e ExportTaken) About() ledger.About {
	return ledger.About{Name: "vault.export-taken", Clause: "vault.access-logged", Object: "export/" + e.Export}
}

const (
	insertExport  = `INSERT INTO vault_export (id, team, path, reason, asker, asked, approver, approved, taken) VALUES ($1, $2, $3, $4, $5, $6, '', 0, 0)`
	selectExports = `SELECT id, path, reason, asker, asked, approver, approved, taken FROM vault_export`
	agreeExport   = `UPDATE vault_export SET approver = $2, approved = $3 WHERE id = $1 AND approved = 0`
	takeExport    = `UPDATE vault_export SET taken = $2 WHERE id = $1 AND taken = 0 AND approved > $3`
)
