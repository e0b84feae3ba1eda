package incident

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// Writes tells which writes the application acknowledged, as the gate saw them.
type Writes interface {
	// Acknowledged are those within a time, and whether the record of it is whole.
	Acknowledged(ctx context.Context, from, until time.Time) (ws []Write, whole bool, err error)
}

// Lost is what a team lost by a restore.
type Lost struct {
	Team   string
	Writes int64
	Hash   string // of the list
	At     time.Time
}

// listLost lists for each team which of its acknowledged writes are gone, and tells it so. A
// team that has its row has its list and its letters.
func (s *Service) listLost(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-restore
	w := s.world(c)
	x, err := s.lossOf(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	p := x.restoredPlan()
	var gone []Write
	switch {
	case p.Point == "":
	case w.Recovery != nil:
		if gone, err = w.Recovery.Lost(ctx, p); err != nil {
			return outcome{}, fmt.Errorf("list the writes that are gone: %w", err)
		}
	case w.Writes != nil:
		whole := false
		if gone, whole, err = w.Writes.Acknowledged(ctx, p.At, x.Down); err != nil {
			return outcome{}, fmt.Errorf("list the writes that are gone: %w", err)
		}
		if !whole {
			return judged(lostWrites, digest("not whole"), []Check{{"record", false, "The access records of that time are not whole: which writes are gone cannot be told from them."}}, ""), nil
		}
	default:
		return byHand("list for each team which of its changes are gone, and tell it."), nil
	}
	teams := map[string][]Write{}
	for _, g := range gone {
		teams[g.Team] = append(teams[g.Team], g)
	}
	reach := map[string][]string{}
	if w.Customers != nil && len(teams) > 0 {
		ts, _, err := w.Customers.Touched(ctx, p.At, s.Now())
		if err != nil {
			return outcome{}, fmt.Errorf("ask who reads for a team: %w", err)
		}
		for _, t := range ts {
			reach[t.ID] = t.Reach
		}
	}
	parts := []string{c.ID}
	for _, team := range sortedKeys(teams) {
		hash, err := s.listTeam(ctx, c, p, team, teams[team], reach[team])
		if err != nil {
			return outcome{}, err
		}
		parts = append(parts, team, hash)
	}
	says := web.Count(int64(len(gone)), "acknowledged write") + " of " + web.Count(int64(len(teams)), "team") + " gone."
	o := judged(lostWrites, digest(parts...), []Check{{"list", true, says}}, says)
	o.Count = int64(len(gone))
	return o, nil
}

func sortedKeys[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (s *Service) listTeam(ctx context.Context, c Case, p Plan, team string, ws []Write, reach []string) (string, error) {
	b, err := json.Marshal(ws)
	if err != nil {
		return "", err
	}
	hash := digest(string(b))
	if err := ledger.One(ctx, s.DB, hashOfLost, []any{new(string)}, c.ID, c.Round, team); !errors.Is(err, fault.NotFound) {
		return hash, err // has its list, or cannot be read
	}
	row := c.ID + "/" + team
	box, err := s.seal(ctx, c.ID, "incident_lost.box", row, string(b))
	if err != nil {
		return "", err
	}
	var letters []jobs.Job
	var ids []string
	for _, to := range reach {
		j, err := s.prepare(ctx, to, lostLetter(s, c, p, ws))
		if err != nil {
			return "", err
		}
		letters, ids = append(letters, j), append(ids, j.ID())
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, insertLost, c.ID, c.Round, team, int64(len(ws)), hash, box, strings.Join(ids, " "), us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Wrap(fault.Conflict, "listed", errors.New("another node was first"))
		}
		if err != nil {
			return nil, err
		}
		return LossListed{Incident: c.ID, Round: c.Round, Team: team, Writes: int64(len(ws)), Hash: hash, Letters: int64(len(letters))}, s.enqueue(ctx, tx, letters)
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		err = nil
	}
	return hash, err
}

func lostLetter(s *Service, c Case, p Plan, ws []Write) letter {
	what := "One change that somebody of your team made"
	if len(ws) > 1 {
		what = fmt.Sprintf("%d changes that people of your team made", len(ws))
	}
	return letter{kind: "incident.lost-writes", Letter: mail.Letter{
		Title: "Changes of your team are lost",
		Lines: []string{what + " after " + stamp(p.At) + " are not in our service any more. We lost data, and restored it from a copy of that time.",
			"The first was made on " + stamp(ws[0].At) + ", the last on " + stamp(ws[len(ws)-1].At) + ". Please look whether they matter, and make them again. The list says who changed what, and when."},
		Link: &mail.Link{Text: "Read the list in your account", URL: s.Origin + atAccounts + "/" + c.Ref()},
		Foot: []string{"You get this letter because you are an admin of a team that lost something."}}}
}

// LostOf is the list of what a team lost, for it. That somebody read it is recorded.
func (s *Service) LostOf(ctx context.Context, who actor.Actor, ref, team string) ([]Write, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return nil, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return nil, err
	}
	var box []byte
	if err := ledger.One(ctx, s.DB, oneLost, []any{&box}, c.ID, c.Round, team); err != nil {
		if errors.Is(err, fault.NotFound) {
			err = fault.Newf(fault.NotFound, "lost_unknown", "This team has no list in this incident.")
		}
		return nil, err
	}
	if _, err := s.DB.Change(ctx, who, func(*ledger.Tx) (ledger.Event, error) {
		return LossRead{Incident: c.ID, Round: c.Round, Team: team}, nil
	}); err != nil {
		return nil, err
	}
	raw, err := s.open(ctx, "incident_lost.box", c.ID+"/"+team, box)
	if err != nil {
		return nil, err
	}
	var ws []Write
	if err := json.Unmarshal([]byte(raw), &ws); err != nil {
		return nil, fault.Newf(fault.Gone, "erased", "The list is erased with the words of the incident.")
	}
	return ws, nil
}

func (s *Service) lost(ctx context.Context, c Case) ([]Lost, error) {
	var out []Lost
	err := s.DB.Each(ctx, lostIn, func(scan ledger.Scan) error {
		var l Lost
		var t int64
		err := scan(&l.Team, &l.Writes, &l.Hash, &t)
		l.At = at(t)
		out = append(out, l)
		return err
	}, c.ID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read what was lost: %w", err)
	}
	return out, nil
}

const (
	insertLost = `INSERT INTO incident_lost (case_id, round, team, writes, hash, box, letters, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (case_id, round, team) DO NOTHING`
	hashOfLost = `SELECT hash FROM incident_lost WHERE case_id = $1 AND round = $2 AND team = $3`
	oneLost    = `SELECT box FROM incident_lost WHERE case_id = $1 AND round = $2 AND team = $3`
	lostIn     = `SELECT team, writes, hash, at FROM incident_lost WHERE case_id = $1 AND round = $2 ORDER BY team`
)
