package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// The states of the message to a team. The last two are final.
const (
	queued    = "queued"
	failed    = "failed" // nobody can be reached by mail: another way is needed
	handed    = "handed-over"
	otherwise = "told-otherwise"
)

// Audience is a team that an incident touched, and its message.
type Audience struct {
	Team  string
	State string
	At    time.Time
}

// tellAffected computes which teams an incident touched, and queues one message for each, in
// one change a team: a team that has its row has its letters. It returns the hash of the list.
func (s *Service) tellAffected(ctx context.Context, c Case) (outcome, error) { // clause: inc.tell-affected
	var teams []Team
	whole := true
	if customers := s.world(c).Customers; customers != nil {
		until := c.Green
		if until.IsZero() {
			until = s.Now()
		}
		var err error
		if teams, whole, err = customers.Touched(ctx, c.OnsetFrom, until); err != nil {
			return outcome{}, fmt.Errorf("teams that were touched: %w", err)
		}
	}
	slices.SortFunc(teams, func(a, b Team) int { return strings.Compare(a.ID, b.ID) })
	parts := []string{fmt.Sprint(whole)}
	for _, t := range teams {
		parts = append(parts, t.ID)
		if err := s.tellTeam(ctx, c, t); err != nil {
			return outcome{}, err
		}
	}
	return outcome{Output: digest(parts...), Count: int64(len(teams))}, nil
}

func (s *Service) tellTeam(ctx context.Context, c Case, t Team) error {
	if err := ledger.One(ctx, s.DB, audienceRow, []any{new(string)}, c.ID, c.Round, t.ID); !errors.Is(err, fault.NotFound) {
		return err // has its message, or cannot be read
	}
	var letters []jobs.Job
	var ids []string
	for _, to := range t.Reach {
		j, err := s.prepare(ctx, to, affectedLetter(s, c))
		if err != nil {
			return err
		}
		letters, ids = append(letters, j), append(ids, j.ID())
	}
	state := queued
	if len(letters) == 0 {
		state = failed
	}
	s.point("before")
	_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, insertAudience, c.ID, c.Round, t.ID, state, strings.Join(ids, " "), us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Wrap(fault.Conflict, "told", errors.New("another node was first"))
		}
		if err != nil {
			return nil, err
		}
		return AffectedTold{Incident: c.ID, Round: c.Round, Team: t.ID, State: state, Letters: int64(len(letters))}, s.enqueue(ctx, tx, letters)
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// follow looks what became of letters to those affected.
func (s *Service) follow(ctx context.Context) error {
	type row struct {
		id, team, letters string
		round             int64
	}
	var rows []row
	if err := s.DB.Each(ctx, queuedAudience, func(scan ledger.Scan) error {
		var r row
		err := scan(&r.id, &r.round, &r.team, &r.letters)
		rows = append(rows, r)
		return err
	}); err != nil {
		return fmt.Errorf("read messages: %w", err)
	}
	for _, r := range rows {
		state := handed
		for _, id := range strings.Fields(r.letters) {
			is, err := s.Queue.State(ctx, id)
			if err != nil {
				return err
			}
			switch {
			case is == "failed":
				state = failed
			case is != "" && state == handed:
				state = queued
			}
		}
		if state == queued {
			continue
		}
		_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
			n, err := tx.Exec(ctx, setAudience, r.id, r.round, r.team, queued, state, us(tx.Now()))
			if err == nil && n != 1 {
				err = fault.Wrap(fault.Conflict, "followed", errors.New("another node was first"))
			}
			return MessageFollowed{Incident: r.id, Round: r.round, Team: r.team, State: state}, err
		})
		if err != nil && !errors.Is(err, fault.Conflict) {
			return err
		}
	}
	return nil
}

// ToldOtherwise says that a team which letters do not reach was told in another way.
func (s *Service) ToldOtherwise(ctx context.Context, who actor.Actor, ref, team, how string) (Case, error) {
	how, err := needReason(how)
	if err != nil {
		return Case{}, err
	}
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		n, err := tx.Exec(ctx, setAudience, c.ID, c.Round, team, failed, otherwise, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Newf(fault.Conflict, "audience_not_failed", "This team has its message, or is not among those affected.")
		}
		return MessageFollowed{Incident: c.ID, Round: c.Round, Team: team, State: otherwise, reason: how}, err
	})
}

func (s *Service) audience(ctx context.Context, c Case) ([]Audience, error) {
	var out []Audience
	err := s.DB.Each(ctx, audienceOf, func(scan ledger.Scan) error {
		var a Audience
		var t int64
		err := scan(&a.Team, &a.State, &t)
		a.At = at(t)
		out = append(out, a)
		return err
	}, c.ID, c.Round)
	return out, err
}

// letter is one, and its kind.
type letter struct {
	mail.Letter
	kind string
}

func (s *Service) prepare(ctx context.Context, to string, l letter) (jobs.Job, error) {
	l.Company = s.Company()
	m, err := l.Message(to, l.kind)
	if err != nil {
		return jobs.Job{}, err
	}
	return s.Letters.Prepare(ctx, m)
}

func (s *Service) enqueue(ctx context.Context, tx *ledger.Tx, letters []jobs.Job) error {
	for _, j := range letters {
		if err := s.Letters.Enqueue(ctx, tx, j); err != nil {
			return err
		}
	}
	return nil
}

// letters prepares one to each of the people; nil = everybody who may act in incidents.
func (s *Service) letters(ctx context.Context, to []Person, l letter) ([]jobs.Job, error) {
	if len(to) == 0 {
		var err error
		if to, err = s.may(ctx); err != nil {
			return nil, err
		}
	}
	var out []jobs.Job
	for _, p := range to {
		if p.Email == "" {
			continue
		}
		j, err := s.prepare(ctx, p.Email, l)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// may are the members of staff who may act in incidents.
func (s *Service) may(ctx context.Context) (out []Person, err error) {
	all, err := s.People.Staff(ctx)
	for _, p := range all {
		if s.Access.May(actor.Actor{Kind: actor.Person, ID: p.ID, Team: "staff", TeamKind: "staff", Roles: p.Roles, Session: "letter", ACR: 3, FactorAt: s.Now()}, access.IncidentAct) {
			out = append(out, p)
		}
	}
	return out, err
}

// holders are the people who have one of the roles; none = everybody is told.
func (s *Service) holders(ctx context.Context, c Case, roles []engine.Role) (out []Person) {
	held, err := s.held(ctx, s.DB, c.ID)
	all, err2 := s.People.Staff(ctx)
	if err != nil || err2 != nil {
		return nil // everybody, rather than nobody
	}
	for _, h := range held {
		i := slices.IndexFunc(all, func(p Person) bool { return p.ID == h.By })
		if i >= 0 && slices.Contains(roles, h.Role) && !slices.ContainsFunc(out, func(p Person) bool { return p.ID == h.By }) {
			out = append(out, all[i])
		}
	}
	return out
}

func (s *Service) at(c Case) string { return s.Origin + "/-/console/incidents/" + c.Ref() }

func signalLetter(s *Service, in Signal, source string) letter {
	by := "Somebody has declared an incident."
	switch source {
	case "alarm":
		by = "An alarm has begun an incident."
	case "spending":
		by = "Spending has crossed its plan, which may be a sign of an attack: decide what it is."
	case "impact":
		by = "Those who use the service see it: " + in.Title + "."
	case "maintenance":
		by = "Maintenance takes longer than it was announced to: the gate is still closed."
	case "report":
		by = "A customer has reported a problem."
	}
	return letter{kind: "incident.declared", Letter: mail.Letter{
		Title: "Incident: " + in.Title,
		Lines: []string{by + " Nobody has taken it yet.", "It must be taken within " + web.Duration(s.Rules.Get().Acknowledge) + "."},
		Link:  &mail.Link{Text: "Look, and take it", URL: s.Origin + "/-/console/incidents"},
		Foot:  []string{"Declared on " + stamp(s.Now()) + "."}}}
}

func unbegunLetter(s *Service, w status.Window) letter {
	return letter{kind: "incident.unbegun", Letter: mail.Letter{
		Title: "Maintenance waits for your word: " + w.Title,
		Lines: []string{"It was announced to begin at " + stamp(w.Starts) + ", and nobody said that it may. The status page says that it has not begun.", "Say that it may begin, give it another end, or take it back. At " + stamp(w.Ends) + " it is over without having taken place."},
		Link:  &mail.Link{Text: "Decide", URL: s.Origin + "/-/console/status"}}}
}

func lateLetter(s *Service, c Case, late engine.Step, k Clock) letter {
	what := "what is due next"
	if late.Says != "" {
		what = "“" + late.Says + "”"
	}
	return letter{kind: "incident.late", Letter: mail.Letter{
		Title: c.Ref() + " is late",
		Lines: []string{c.Title, "Due was " + what + ", by " + stamp(k.Due) + "."},
		Link:  &mail.Link{Text: "Look what is next", URL: s.at(c)},
		Foot:  []string{"The policy sets this time (" + clauseOf(k.Clause) + "). In ten minutes the commander is told too."}}}
}

func expiredLetter(s *Service, c Case, x Fix) letter {
	return letter{kind: "incident.fix-expired", Letter: mail.Letter{
		Title: "A temporary fix has ended: " + c.Ref(),
		Lines: []string{c.Title, "Its temporary fix was to hold until " + stamp(x.Expires) + ", and the lasting repair is not in place."},
		Link:  &mail.Link{Text: "Put the lasting repair in place", URL: s.at(c)}}}
}

func affectedLetter(s *Service, c Case) letter {
	until := c.Green
	if until.IsZero() {
		until = s.Now()
	}
	return letter{kind: "incident.affected", Letter: mail.Letter{
		Title: "An incident has affected your team",
		Lines: []string{"Between " + stamp(c.OnsetFrom) + " and " + stamp(until) + " our service did not work as it should, and your team used it in that time.",
			"It is resolved. What we know, and what we do so that it does not come back, stands on our status page."},
		Link: &mail.Link{Text: "Read what it did to your team", URL: s.Origin + atAccounts + "/" + c.Ref()},
		Foot: []string{"You get this letter because you are an admin of a team that was affected."}}}
}

const (
	owedTo         = `SELECT COUNT(*) FROM incident_audience WHERE case_id = $1 AND round = $2 AND state IN ('owed', 'queued', 'failed')`
	audienceRow    = `SELECT state FROM incident_audience WHERE case_id = $1 AND round = $2 AND team = $3`
	insertAudience = `INSERT INTO incident_audience (case_id, round, team, state, letters, at) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (case_id, round, team) DO NOTHING`
	queuedAudience = `SELECT case_id, round, team, letters FROM incident_audience WHERE state = 'queued' ORDER BY at LIMIT 200`
	setAudience    = `UPDATE incident_audience SET state = $5, at = $6 WHERE case_id = $1 AND round = $2 AND team = $3 AND state = $4`
	audienceOf     = `SELECT team, state, at FROM incident_audience WHERE case_id = $1 AND round = $2 ORDER BY team`
)
