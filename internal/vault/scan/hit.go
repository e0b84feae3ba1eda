package scan

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/leak"
	"writ/internal/ledger"
	"writ/internal/vault"
)

// The states of a hit.
const (
	stateOpen     = "open"
	stateMended   = "mended"
	stateExcepted = "excepted"
)

// Hit is a credential that was found where it should not be, and what was decided of it.
type Hit struct {
	ID, Rule, Says, File string
	Line                 int64
	Commit               string
	Masked               string
	Name                 string // of a value of the vault
	State                string // open, mended, excepted
	Until                time.Time
	Reason               string
	Decided              string // kind/id
	Found, Seen          time.Time
}

// open reports whether a hit is a finding at a moment: an exception ends by itself.
func (h Hit) open(now time.Time) bool {
	return h.State == stateOpen || h.State == stateExcepted && !now.Before(h.Until)
}

// merge compares what is known of a place with what a scan saw now. What is not seen any
// more is mended, if the scan looked for it and may close. What is seen again after it was
// called mended is open; an exception stays. Open hits beyond the bound are counted.
func merge(old []Hit, r Report, t time.Time) (mended, kept []Hit, dropped int64) {
	now := map[string]leak.Hit{}
	for _, h := range r.Hits {
		now[h.ID] = h
	}
	var open, excepted int
	for _, h := range old {
		l, still := now[h.ID]
		switch {
		case still:
			h = h.from(l, r.closes)
			if h.State == stateMended {
				h.State, h.Reason, h.Decided = stateOpen, "", ""
			}
			kept = append(kept, h)
			delete(now, h.ID)
		case h.State != stateMended && r.looked(h):
			mended = append(mended, h)
			continue
		}
		switch {
		case h.open(t):
			open++
		case h.State == stateExcepted:
			excepted++
		}
	}
	for _, l := range r.Hits {
		if _, fresh := now[l.ID]; !fresh {
			continue
		}
		delete(now, l.ID)
		h := Hit{State: stateOpen}.from(l, r.closes)
		n := &excepted
		if h.open(t) {
			n = &open
		}
		switch {
		case *n < maxKept:
			*n++
			kept = append(kept, h)
		case n == &open:
			dropped++
		}
	}
	return mended, kept, dropped
}

// looked reports whether a scan that may close hits would have seen this one: values are
// found by comparing only, and nothing in what could not be read.
func (r Report) looked(h Hit) bool {
	hides := func(name string) bool {
		rest, in := strings.CutPrefix(h.File, name)
		return name == "." || h.Commit != "" || in && (rest == "" || rest[0] == '!' || rest[0] == '/')
	}
	return r.closes && (r.Known || h.Rule != leak.KnownRule) && !slices.ContainsFunc(r.Unread, hides)
}

// from takes over what a scan tells. The ignore file of a place excepts too, if whoever
// reports may except.
func (h Hit) from(l leak.Hit, closes bool) Hit {
	h.ID, h.Rule, h.Says, h.File, h.Line, h.Commit, h.Masked, h.Name = l.ID, l.Rule, l.Says, l.File, int64(l.Line), l.Commit, l.Masked, l.Name
	if l.Excepted() && closes {
		if until, err := time.Parse(time.DateOnly, l.Until); err == nil {
			h.State, h.Until, h.Reason, h.Decided = stateExcepted, until.AddDate(0, 0, 1), l.Reason, byFile
		}
	} else if h.Decided == byFile && !l.Excepted() { // its line was taken out
		h.State, h.Until, h.Reason, h.Decided = stateOpen, time.Time{}, "", ""
	}
	return h
}

// byFile is who decided what the ignore file of a place excepts.
const byFile = "file/" + leak.IgnoreFile

func (h Hit) write(ctx context.Context, tx *ledger.Tx, scan string, now int64) error {
	until := int64(0)
	if !h.Until.IsZero() {
		until = us(h.Until)
	}
	_, err := tx.Exec(ctx, upsertHit, scan, h.ID, h.Rule, h.Says, h.File, h.Line, h.Commit, h.Masked, h.Name, h.State, until, h.Reason, h.Decided, now)
	return err
}

func hitsOf(ctx context.Context, r ledger.Reader, scan string) ([]Hit, error) {
	var out []Hit
	err := r.Each(ctx, selectHits, func(scan ledger.Scan) error {
		var h Hit
		var until, found, seen int64
		if err := scan(&h.ID, &h.Rule, &h.Says, &h.File, &h.Line, &h.Commit, &h.Masked, &h.Name, &h.State, &until, &h.Reason, &h.Decided, &found, &seen); err != nil {
			return err
		}
		h.Until, h.Found, h.Seen = at(until), at(found), at(seen)
		out = append(out, h)
		return nil
	}, scan)
	return out, err
}

// Decision is what somebody says of a hit.
type Decision struct {
	Place, Hit string
	Until      time.Time // of an exception; zero = it is mended
	Reason     string
}

// mostExcepted is how long an exception may last.
const mostExcepted = 366 * 24 * time.Hour

// Decide marks a hit as mended, or excepts it until a day. The next scan that sees a mended
// one opens it again.
func (s *Service) Decide(ctx context.Context, who actor.Actor, in Decision) error {
	if err := s.Access.Allow(ctx, who, access.VaultWrite, "param/"); err != nil {
		return err
	}
	in.Reason = strings.TrimSpace(in.Reason)
	switch {
	case len(in.Reason) < 8 || len(in.Reason) > maxWords:
		return fault.New(fault.Invalid, "hit_reason", fault.Public{Problem: "Say why, in 8 to 300 characters.", Expected: "What was done, such as: revoked at the provider, and removed."})
	case !in.Until.IsZero() && (!in.Until.After(s.Now()) || in.Until.Sub(s.Now()) > mostExcepted):
		return fault.New(fault.Invalid, "hit_until", fault.Public{Problem: "An exception ends within a year.", Expected: "A day after today, such as " + s.Now().AddDate(0, 3, 0).Format(time.DateOnly) + "."})
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := ledger.One(ctx, tx, `SELECT id FROM vault_scan WHERE id = $1 AND team = $2`, []any{new(string)}, in.Place, vault.TeamOf(who)); err != nil {
			return nil, errNoHit(err)
		}
		hits, err := hitsOf(ctx, tx, in.Place)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(hits, func(h Hit) bool { return h.ID == in.Hit && h.State != stateMended })
		if i < 0 {
			return nil, errNoHit(fault.Newf(fault.NotFound, "hit", "none"))
		}
		state, until := stateMended, int64(0)
		if !in.Until.IsZero() {
			state, until = stateExcepted, us(in.Until)
		}
		_, err = tx.Exec(ctx, decideHit, in.Place, in.Hit, state, until, in.Reason, who.String())
		return Decided{Place: in.Place, Hit: in.Hit, Rule: hits[i].Rule, File: hits[i].File, As: state, Until: in.Until, Why: in.Reason}, err
	})
	if err != nil {
		return fmt.Errorf("decide about a hit: %w", err)
	}
	return nil
}

func errNoHit(err error) error {
	if fault.KindOf(err) != fault.NotFound {
		return err
	}
	return fault.New(fault.NotFound, "hit_unknown", fault.Public{Problem: "There is no such open hit.", Next: "Look at the list: writ vault scans."})
}

const (
	upsertHit = `INSERT INTO vault_scan_hit (scan, id, rule, says, file, line, commit_id, masked, name, state, until, reason, decided, found, seen)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)
		ON CONFLICT (scan, id) DO UPDATE SET line = $6, commit_id = $7, name = $9, state = $10, until = $11, reason = $12, decided = $13, seen = $14`
	decideHit  = `UPDATE vault_scan_hit SET state = $3, until = $4, reason = $5, decided = $6 WHERE scan = $1 AND id = $2`
	selectHits = `SELECT id, rule, says, file, line, commit_id, masked, name, state, until, reason, decided, found, seen FROM vault_scan_hit WHERE scan = $1 ORDER BY file, line, id`
)
