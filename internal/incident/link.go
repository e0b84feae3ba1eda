package incident

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The kinds of links, as whoever makes one says them of the first incident.
const (
	CausedBy = "caused-by"
	Related  = "related"
	causes   = "causes" // the same, seen from the other incident
	unlinked = "none"   // takes the link away
)

// mostLinks is how many links one incident has.
const mostLinks = 100

// Link is how another incident belongs to one.
type Link struct {
	Kind string // caused-by, causes, related
	Case Case
}

// Bind links an incident to another one: it was caused by it, or is related to it. The kind none
// takes a link away. Two incidents have one link, and no incident is its own cause, by whatever way.
// Errors: fault.Invalid (link_kind), fault.NotFound, fault.Conflict (link_other, link_cycle,
// link_known, link_many).
func (s *Service) Bind(ctx context.Context, who actor.Actor, ref, kind, to, reason string) (Case, error) { // clause: inc.process
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	if kind != CausedBy && kind != Related && kind != unlinked {
		says := "One of: " + CausedBy + ", " + Related + ", or " + unlinked + " to take the link away."
		return Case{}, fault.New(fault.Invalid, "link_kind", fault.Public{Problem: fmt.Sprintf("There is no kind of link %.30q.", kind), Expected: says, Fields: []fault.Field{{Name: "kind", Code: "link_kind", Problem: says}}})
	}
	reason, err := reasonOf(reason)
	if err != nil {
		return Case{}, err
	}
	other, err := s.find(ctx, s.DB, to)
	if err != nil {
		return Case{}, err
	}
	return s.change(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if other.ID == c.ID || other.Drill != c.Drill {
			return nil, fault.Newf(fault.Conflict, "link_other", "An incident is linked to another one, and a drill to a drill.")
		}
		if _, err := tx.Exec(ctx, lockLinks); err != nil { // one at a time: two at once could close a circle
			return nil, err
		}
		if kind == unlinked {
			n, err := tx.Exec(ctx, dropLink, c.ID, other.ID)
			if err == nil && n == 0 {
				err = fault.Newf(fault.NotFound, "link_unknown", "They are not linked.")
			}
			tx.Also(Unlinked{Incident: other.ID, Other: c.ID, reason: reason})
			return Unlinked{Incident: c.ID, Other: other.ID, reason: reason}, err
		}
		if err := s.mayBind(ctx, tx, *c, other, kind); err != nil {
			return nil, err
		}
		back := Related
		if kind == CausedBy {
			back = causes
		}
		tx.Also(Linked{Incident: other.ID, Other: c.ID, Kind: back, reason: reason})
		_, err := tx.Exec(ctx, insertLink, c.ID, other.ID, kind, by(who), us(tx.Now()))
		return Linked{Incident: c.ID, Other: other.ID, Kind: kind, reason: reason}, err
	})
}

// mayBind walks up from the cause: who finds the incident there would make it its own cause.
func (s *Service) mayBind(ctx context.Context, tx *ledger.Tx, c, other Case, kind string) error {
	var linked, n, circle int64
	if err := errors.Join(ledger.One(ctx, tx, countLink, []any{&linked}, c.ID, other.ID), ledger.One(ctx, tx, countLinks, []any{&n}, c.ID, other.ID)); err != nil {
		return err
	}
	if linked > 0 {
		return fault.New(fault.Conflict, "link_known", fault.Public{Problem: c.Ref() + " and " + other.Ref() + " are linked already.", Next: "Take that link away first: writ incident link " + c.Ref() + " none " + other.Ref()})
	}
	if n >= mostLinks {
		return fault.Newf(fault.Conflict, "link_many", "One of them has %d links, which is all there may be.", mostLinks)
	}
	if kind != CausedBy {
		return nil
	}
	if err := ledger.One(ctx, tx, causesOf, []any{&circle}, other.ID, c.ID); err != nil {
		return err
	}
	if circle > 0 {
		return fault.New(fault.Conflict, "link_cycle", fault.Public{Problem: other.Ref() + " was caused by " + c.Ref() + ", so that it cannot be its cause.", Expected: "A cause that came before.", Next: "Look at the links of both, or call them related."})
	}
	return nil
}

// links are those of an incident, the oldest first.
func (s *Service) links(ctx context.Context, id string) ([]Link, error) {
	var out []Link
	var ids []string
	err := s.DB.Each(ctx, linksOf, func(scan ledger.Scan) error {
		var from, to, kind string
		err := scan(&from, &to, &kind)
		if to == id {
			to = from
			if kind == CausedBy {
				kind = causes
			}
		}
		out, ids = append(out, Link{Kind: kind}), append(ids, to)
		return err
	}, id)
	if err != nil {
		return nil, fmt.Errorf("read links: %w", err)
	}
	for i, to := range ids {
		if out[i].Case, err = s.find(ctx, s.DB, to); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Says is a kind of link in words.
func (l Link) Says() string { return strings.ReplaceAll(l.Kind, "-", " ") }

// Linked is an incident that another one belongs to. Each of the two has its own.
type Linked struct {
	Incident string `class:"public"`
	Other    string `class:"public"`
	Kind     string `class:"public"` // caused-by, causes, related

	reason string
}

// About implements ledger.Event.
func (e Linked) About() ledger.About {
	return ledger.About{Name: "incident.linked", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

// Unlinked is the end of a link.
type Unlinked struct {
	Incident string `class:"public"`
	Other    string `class:"public"`

	reason string
}

// About implements ledger.Event.
func (e Unlinked) About() ledger.About {
	return ledger.About{Name: "incident.unlinked", Clause: "inc.process", Object: thing(e.Incident), Subject: subject(e.Incident), Reason: e.reason}
}

const (
	lockLinks  = `UPDATE incident_link_lock SET turns = turns + 1 WHERE one = 1`
	insertLink = `INSERT INTO incident_link (case_id, other, kind, made_by, at) VALUES ($1, $2, $3, $4, $5)`
	dropLink   = `DELETE FROM incident_link WHERE case_id = $1 AND other = $2 OR case_id = $2 AND other = $1`
	countLink  = `SELECT COUNT(*) FROM incident_link WHERE case_id = $1 AND other = $2 OR case_id = $2 AND other = $1`
	countLinks = `SELECT COUNT(*) FROM incident_link WHERE case_id IN ($1, $2) OR other IN ($1, $2)`
	linksOf    = `SELECT case_id, other, kind FROM incident_link WHERE case_id = $1 OR other = $1 ORDER BY at, case_id, other`
	causesOf   = `WITH RECURSIVE up (id) AS (SELECT other FROM incident_link WHERE case_id = $1 AND kind = 'caused-by'
		UNION SELECT l.other FROM incident_link l JOIN up ON l.case_id = up.id WHERE l.kind = 'caused-by')
		SELECT COUNT(*) FROM up WHERE id = $2`
)
