package incident

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

const paperPublic = "public"

// PublicWord is where and why those whom letters do not reach are told in public, by 34(3)(c).
type PublicWord struct {
	URL    string `json:"url"`    // of the notice
	Reason string `json:"reason"` // why to reach each of them asks for too much
}

// TellInPublic writes down where the public notice stands. Two people sign it.
func (s *Service) TellInPublic(ctx context.Context, who actor.Actor, ref string, in PublicWord) (Case, error) { // clause: inc.breach-notify
	if err := linesOf(paperPublic, 20, 2000, map[string]*string{"reason": &in.Reason}); err != nil {
		return Case{}, err
	}
	u, err := url.Parse(strings.TrimSpace(in.URL))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(in.URL) > 500 {
		return Case{}, badPaper(paperPublic, "url", "The address of the notice, https://…")
	}
	in.URL = u.String()
	return s.write(ctx, who, ref, paperPublic, in, nil)
}

// CountPublic counts those whom no letter reached as told by the notice that two people have
// signed. Letters that are on their way, or that nobody knows of, stay as they are.
func (s *Service) CountPublic(ctx context.Context, who actor.Actor, ref string) (Case, error) { // clause: inc.breach-notify
	if err := s.mayAct(ctx, who, ref); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	p, err := s.paper(ctx, c, paperPublic)
	if err != nil {
		return Case{}, err
	}
	var in PublicWord
	if p == nil || len(p.signers) < pairs || !p.Read(&in) {
		return Case{}, s.DB.Refuse(ctx, who, StepRefused{Incident: c.ID, State: c.States[engine.B], Wanted: "public", Unmet: []string{"public-signed"}},
			kept(c, engine.B, "public", []engine.Lack{{Guard: "public-signed", Words: "Where the public notice stands is not signed by two people.", Who: "two people"}}))
	}
	for {
		some, err := s.countPublic(ctx, who, &c, "by public notice, "+in.URL)
		if err != nil || !some {
			return c, err
		}
	}
}

// countPublic takes some of them; false = there are no more.
func (s *Service) countPublic(ctx context.Context, who actor.Actor, c *Case, how string) (bool, error) {
	var ids []string
	if err := s.DB.Each(ctx, unreachedLetters, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, c.ID); err != nil {
		return false, fmt.Errorf("read letters: %w", err)
	}
	if len(ids) == 0 {
		return false, nil
	}
	boxes := make([][]byte, len(ids))
	for i, id := range ids {
		var err error
		if boxes[i], err = s.seal(ctx, c.ID, "incident_letter.answer", id, how); err != nil {
			return false, err
		}
	}
	next, err := s.actBreach(ctx, who, c.ID, "public", func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if !s.mayTake(ctx, tx, who, *c, engine.Step{Role: engine.Privacy}) {
			return nil, roleLacks(*c, engine.B, engine.Step{Event: "public", Role: engine.Privacy})
		}
		var first ledger.Event
		for i, id := range ids {
			var state string
			var version, tries int64
			if err := ledger.One(ctx, tx, letterState, []any{&state, &version, &tries}, id, c.ID); err != nil {
				return nil, err
			}
			if n, err := tx.Exec(ctx, publicLetter, id, us(tx.Now()), boxes[i]); err != nil || n != 1 { // somebody was faster
				if err != nil {
					return nil, err
				}
				continue
			}
			e := LetterFollowed{Incident: c.ID, Letter: id, Version: version, State: letterTold, Tries: tries, reason: how}
			if first == nil {
				first = e
			} else {
				tx.Also(e)
			}
		}
		if first == nil {
			return nil, fault.Newf(fault.Conflict, "letter_state", "Somebody was faster. Look again.")
		}
		return first, nil
	})
	if err == nil {
		*c = next
	}
	return err == nil, err
}

const (
	unreachedLetters = `SELECT id FROM incident_letter WHERE case_id = $1 AND state IN ('refused', 'failed', 'stopped', 'unreachable') ORDER BY id LIMIT 40`
	publicLetter     = `UPDATE incident_letter SET state = 'told', next = $2, at = $2, answer = $3 WHERE id = $1 AND state IN ('refused', 'failed', 'stopped', 'unreachable')`
)
