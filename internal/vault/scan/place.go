package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/leak"
	"writ/internal/ledger"
	"writ/internal/vault"
)

// Place is somewhere that was searched, and what the last scan saw.
type Place struct {
	ID       string
	Host     string // "" = this server
	Path     string
	Declared bool // in writ.yaml: it is searched by itself
	Scanned  time.Time
	Tried    time.Time
	Files    int64
	Bytes    int64
	Unread   int64 // could not be read, and may hold anything
	Hits     int64 // of the last scan, with those that its ignore file takes out
	Excepted int64
	Known    bool
	Dropped  int64  // open ones beyond what is kept
	Failed   string // why the last try gave nothing
	Scanner  string // kind/id
	Open     []Hit  // and excepted ones, from all scans; at most maxKept
}

// Report is a scan's result on its way into the record.
type Report struct {
	Host, Path string
	leak.Report
	Asked  int64  // marks that were compared
	Began  string // entry of the comparison
	closes bool   // whoever reports may say what became of hits
}

// The bounds of what is kept of one report.
const (
	maxKept  = 200  // open hits of a place, and as many that are excepted; more are counted
	maxOf    = 1000 // places of a team
	maxTold  = 50   // in the entry
	maxPath  = 1000
	maxWords = 300
)

var (
	goodHost = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	goodID   = regexp.MustCompile(`^[0-9a-f]{16}$`)
	goodRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	goodHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})?$`)
	goodMask = regexp.MustCompile(`^(\*{4}|.{4}…) \(\d{1,7} characters\)$`)
)

// check refuses a report that says more than it may, or is about this server's own places.
func (r *Report) check(now time.Time) error {
	bad := func(code, problem string) error {
		return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Next: "Report what writ vault scan found, as it is."})
	}
	switch {
	case !goodHost.MatchString(r.Host):
		return bad("scan_host", "The report does not say which machine it is about.")
	case r.Path == "" || len(r.Path) > maxPath || !utf8.ValidString(r.Path):
		return bad("scan_path", "The report does not say which place it is about.")
	case r.Files < 0 || r.Bytes < 0 || r.Skipped < 0:
		return bad("scan_counts", "A count of the report is below zero.")
	}
	for _, h := range r.Hits {
		if !goodID.MatchString(h.ID) || !goodRule.MatchString(h.Rule) || !goodHash.MatchString(h.Commit) || !goodMask.MatchString(h.Masked) || h.Line < 0 ||
			h.File == "" || len(h.File) > maxPath || len(h.Says) > maxWords || len(h.Name) > maxPath || len(h.Reason) > maxWords || !utf8.ValidString(h.File+h.Says+h.Name+h.Reason) {
			return bad("scan_hit", "A hit of the report is not as a scan makes them: of a secret it shows four characters and the length at most.")
		}
		if until, err := time.Parse(time.DateOnly, h.Until); h.Excepted() && (err != nil || until.Sub(now) > mostExcepted || len(strings.TrimSpace(h.Reason)) < 8) {
			return bad("scan_excepted", "An exception of the report has no end within a year, or no reason of eight characters.")
		}
	}
	return nil
}

// File takes a report from another machine into the record. comparison is the one it was
// made with, "" = by rules alone. Who may not decide about hits adds to them only.
func (s *Service) File(ctx context.Context, who actor.Actor, r Report, comparison string) (_ Filed, err error) {
	if err := s.Access.Allow(ctx, who, access.VaultList, "param/"); err != nil {
		return Filed{}, err
	}
	if err := r.check(s.Now()); err != nil {
		return Filed{}, err
	}
	r.Known, r.closes = false, s.Access.May(who, access.VaultWrite)
	if comparison != "" {
		var c *compared
		if c, err = s.marks.end(comparison, who); err != nil {
			return Filed{}, err
		}
		r.Known, r.Asked, r.Began = true, c.asked, c.began
		defer func() {
			if err != nil {
				err = errors.Join(err, s.note(ctx, []over{{c, "refused"}}))
			}
		}()
	}
	return s.file(ctx, who, r)
}

// Filed is what became of a report.
type Filed struct {
	Entry string // of the journal
	Open  int64  // hits of the place that are findings now
}

// file records a scan, and makes the place's hits those that it saw.
func (s *Service) file(ctx context.Context, who actor.Actor, r Report) (out Filed, err error) { // clause: vault.secret-home
	team := vault.TeamOf(who)
	receipt, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		now := us(tx.Now())
		id, err := s.place(ctx, tx, team, r.Host, r.Path)
		if err != nil {
			return nil, err
		}
		old, err := hitsOf(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		mended, kept, dropped := merge(old, r, tx.Now())
		open := r.Open()
		if _, err := tx.Exec(ctx, updateScan, id, now, r.Files, r.Bytes, len(r.Unread), len(r.Hits), len(r.Hits)-len(open), r.Known, who.String(), dropped, r.closes); err != nil {
			return nil, err
		}
		for _, h := range mended {
			if _, err := tx.Exec(ctx, decideHit, id, h.ID, stateMended, 0, "a later scan does not see it", who.String()); err != nil {
				return nil, err
			}
		}
		for _, h := range kept {
			if err := h.write(ctx, tx, id, now); err != nil {
				return nil, err
			}
		}
		out.Open = 0
		if err := ledger.One(ctx, tx, countOpen, []any{&out.Open}, id, now); err != nil {
			return nil, err
		}
		ev := Finished{Place: id, Host: r.Host, Path: r.Path, Files: r.Files, Bytes: r.Bytes, Unread: int64(len(r.Unread)), Known: r.Known, Compared: r.Asked, Began: r.Began, Rules: int64(r.Rules),
			Hits: int64(len(open)), Excepted: int64(len(r.Hits) - len(open)), Mended: int64(len(mended)), Dropped: dropped}
		for _, h := range open[:min(len(open), maxTold)] {
			ev.Found = append(ev.Found, fmt.Sprintf("%s %s %s:%d", h.ID, h.Rule, h.File, h.Line))
		}
		return ev, nil
	})
	if err != nil {
		return Filed{}, fmt.Errorf("record the scan: %w", err)
	}
	out.Entry = receipt.ID
	return out, nil
}

// fail notes that a declared place could not be searched.
func (s *Service) fail(ctx context.Context, who actor.Actor, path string, cause error) error {
	why := "it could not be read"
	switch {
	case errors.Is(cause, fs.ErrNotExist):
		why = "it is not there"
	case errors.Is(cause, fs.ErrPermission):
		why = "this server may not read it"
	default:
		if _, p := fault.PublicOf(cause); p.Problem != "" && fault.KindOf(cause) == fault.Invalid {
			why = p.Problem
		}
	}
	s.Log.Error("a declared place could not be searched", "place", path, "err", cause)
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		id, err := s.place(ctx, tx, vault.Home, "", path)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, failScan, id, us(tx.Now()), why)
		return Failed{Place: id, Path: path, Why: why}, err
	})
	if err != nil {
		return fmt.Errorf("note the failed scan: %w", err)
	}
	return nil
}

// place finds a place's row, or makes it, up to a bound for those on other machines.
func (s *Service) place(ctx context.Context, tx *ledger.Tx, team, host, path string) (id string, err error) {
	var others int64
	if err := ledger.One(ctx, tx, countOthers, []any{&others}, team, host, path); err != nil {
		return "", err
	}
	if host != "" && others >= maxOf {
		return "", fault.New(fault.Limited, "scan_places", fault.Public{Problem: "Reports about a thousand other places are kept already.", Next: "Scan a place that is on the list, or a folder above it."})
	}
	if _, err := tx.Exec(ctx, insertScan, tx.ID(), team, host, path); err != nil {
		return "", err
	}
	err = ledger.One(ctx, tx, `SELECT id FROM vault_scan WHERE team = $1 AND host = $2 AND path = $3`, []any{&id}, team, host, path)
	return id, err
}

// ignoreOf reads the ignore file of a place; none is none.
func (s *Service) ignoreOf(path string) (*leak.Ignore, error) {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil, nil // whoever looks says that the place is not there
	} else if err != nil {
		return nil, err
	}
	text, err := leak.ReadList(filepath.Join(path, leak.IgnoreFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return leak.ParseIgnore(text, s.Now())
}

// Scans lists the places of the team, the server's own first.
func (s *Service) Scans(ctx context.Context, who actor.Actor) ([]Place, error) {
	if err := s.Access.Allow(ctx, who, access.VaultList, "param/"); err != nil {
		return nil, err
	}
	return s.places(ctx, vault.TeamOf(who))
}

func (s *Service) places(ctx context.Context, team string) ([]Place, error) {
	var out []Place
	err := s.DB.Each(ctx, selectScans, func(scan ledger.Scan) error {
		var p Place
		var scanned, tried int64
		if err := scan(&p.ID, &p.Host, &p.Path, &scanned, &tried, &p.Files, &p.Bytes, &p.Unread, &p.Hits, &p.Excepted, &p.Known, &p.Failed, &p.Scanner, &p.Dropped); err != nil {
			return err
		}
		p.Scanned, p.Tried = at(scanned), at(tried)
		p.Declared = p.Host == "" && slices.Contains(s.Places, p.Path)
		out = append(out, p)
		return nil
	}, team)
	if err != nil {
		return nil, fmt.Errorf("list scanned places: %w", err)
	}
	if team == vault.Home {
		for _, path := range s.Places {
			if !slices.ContainsFunc(out, func(p Place) bool { return p.Declared && p.Path == path }) {
				out = append(out, Place{Path: path, Declared: true}) // it was never searched
			}
		}
	}
	for i := range out {
		hits, err := hitsOf(ctx, s.DB, out[i].ID)
		if err != nil {
			return nil, err
		}
		out[i].Open = slices.DeleteFunc(hits, func(h Hit) bool { return h.State == stateMended })
	}
	return out, nil
}

const (
	insertScan = `INSERT INTO vault_scan (id, team, host, path, scanned, tried, files, bytes, unread, hits, excepted, known, failed, scanner)
		VALUES ($1, $2, $3, $4, 0, 0, 0, 0, 0, 0, 0, FALSE, '', '') ON CONFLICT (team, host, path) DO NOTHING`
	updateScan = `UPDATE vault_scan SET scanned = $2, tried = $2, files = $3, bytes = $4, unread = $5, hits = $6, excepted = $7, known = $8, scanner = $9, failed = '',
		dropped = CASE WHEN $11 OR dropped < $10 THEN $10 ELSE dropped END WHERE id = $1`
	failScan    = `UPDATE vault_scan SET tried = $2, failed = $3 WHERE id = $1`
	selectScans = `SELECT id, host, path, scanned, tried, files, bytes, unread, hits, excepted, known, failed, scanner, dropped FROM vault_scan WHERE team = $1 ORDER BY host, path`
	countOthers = `SELECT COUNT(*) FROM vault_scan WHERE team = $1 AND host <> '' AND NOT (host = $2 AND path = $3)`
	countOpen   = `SELECT COUNT(*) FROM vault_scan_hit WHERE scan = $1 AND (state = 'open' OR state = 'excepted' AND until <= $2)`
)
