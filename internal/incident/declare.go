package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
)

// Signal is what somebody saw, and wants an incident for.
type Signal struct {
	Title     string
	Component string    // id of a component of the status page; may be empty
	Onset     time.Time // since when; zero = now
	Drill     bool
}

// alike is how long two signals about one component are suggested to be one incident.
const alike = 2 * time.Hour

// Declare begins an incident. Those that are open about the same component come back too:
// it may be one of them. Errors: fault.Invalid (title, component), fault.Malformed (onset).
func (s *Service) Declare(ctx context.Context, who actor.Actor, in Signal) (Case, []Case, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, nil, err
	}
	return s.declare(ctx, who, in, "person", nil)
}

// declare begins an incident; also, which may be nil, writes what belongs to its change.
func (s *Service) declare(ctx context.Context, who actor.Actor, in Signal, source string, also func(tx *ledger.Tx, id string) error) (Case, []Case, error) {
	in.Title = strings.TrimSpace(in.Title)
	if err := s.checkNew(ctx, &in); err != nil {
		return Case{}, nil, err
	}
	if who.Kind == actor.Operator && source == "person" {
		source = "operator"
	}
	id := s.DB.ID()
	title, err := s.seal(ctx, id, "incident_case.title", id, in.Title)
	if err != nil {
		return Case{}, nil, err
	}
	alarm, err := s.letters(ctx, nil, signalLetter(s, in, source))
	if err != nil {
		return Case{}, nil, err
	}
	ev := Declared{Incident: id, Source: source, Component: in.Component, Drill: in.Drill, Onset: in.Onset, Title: in.Title}
	s.point("before")
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := ledger.One(ctx, tx, lastCase, []any{&ev.Number}, in.Drill); err != nil {
			return nil, err
		}
		ev.Number++
		if _, err := tx.Exec(ctx, insertCase, id, ev.Number, in.Drill, title, source, in.Component, by(who), us(in.Onset), us(tx.Now())); err != nil {
			return nil, err
		}
		c := Case{ID: id, Round: 1, States: map[engine.Region]string{engine.L: "L0"}}
		if err := s.start(ctx, tx, c, engine.L, s.Rules.Get().Acknowledge, "inc.categorise/ack"); err != nil {
			return nil, err
		}
		if also != nil {
			if err := also(tx, id); err != nil {
				return nil, err
			}
		}
		if in.Drill {
			return ev, nil
		}
		return ev, s.enqueue(ctx, tx, alarm)
	})
	s.point("after")
	if err != nil {
		return Case{}, nil, fmt.Errorf("declare an incident: %w", err)
	}
	c, err := s.find(ctx, s.DB, id)
	if err != nil {
		return Case{}, nil, err
	}
	near, err := s.cases(ctx, s.DB, nearCases, in.Drill, in.Component, us(s.Now().Add(-alike)), id)
	return c, near, err
}

// mostTitle are the characters of a title.
const mostTitle = 160

// partStill is a part of the service that the status page still has; "" = it does not.
func (s *Service) partStill(ctx context.Context, id string) string {
	cs, err := s.Page.Components(ctx)
	if err != nil || !slices.ContainsFunc(cs, func(c status.Component) bool { return c.ID == id }) {
		return ""
	}
	return id
}

func (s *Service) checkNew(ctx context.Context, in *Signal) error {
	kind := fault.Invalid
	bad := func(name, format string, a ...any) error {
		says := fmt.Sprintf(format, a...)
		return fault.New(kind, "incident_"+name, fault.Public{Problem: says, Fields: []fault.Field{{Name: name, Code: "incident_" + name, Problem: says}}})
	}
	if n := utf8.RuneCountInString(in.Title); n < 3 || n > mostTitle || !utf8.ValidString(in.Title) || strings.ContainsFunc(in.Title, unicode.IsControl) {
		return bad("title", "Say in 3 to 160 characters on one line what is wrong.")
	}
	now := s.Now()
	if in.Onset.IsZero() {
		in.Onset = now
	}
	if in.Onset.After(now.Add(time.Minute)) || in.Onset.Before(now.AddDate(-1, 0, 0)) {
		kind = fault.Malformed // there is no such time of an incident
		return bad("onset", "An incident begins within the last year, not in the future.")
	}
	if in.Component == "" {
		return nil
	}
	cs, err := s.Page.Components(ctx)
	if err != nil {
		return err
	}
	for _, c := range cs {
		if c.ID == in.Component || strings.EqualFold(c.Name, in.Component) {
			in.Component = c.ID
			return nil
		}
	}
	return bad("component", "There is no component %q on the status page.", in.Component)
}

// Join makes an incident part of another: it is cancelled, keeps its number, and points there.
func (s *Service) Join(ctx context.Context, who actor.Actor, ref, into, reason string) (Case, error) {
	to, err := s.find(ctx, s.DB, into)
	if err != nil {
		return Case{}, err
	}
	c, err := s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if to.ID == c.ID || to.Drill != c.Drill || !to.Open() {
			return nil, fault.Newf(fault.Conflict, "join_other", "An incident joins another one that is open, and a drill a drill.")
		}
		t, err := s.take(ctx, tx, who, c, engine.L, "cancel", func(f *engine.Facts) { f.Reason = true })
		if err != nil {
			return nil, err
		}
		for _, q := range []string{setJoined, moveSignals, moveReports} { // what told of it tells of the other one now
			if _, err := tx.Exec(ctx, q, c.ID, to.ID); err != nil {
				return nil, err
			}
		}
		for _, q := range []string{stopClocks, endEachWall} {
			if _, err := tx.Exec(ctx, q, c.ID, us(tx.Now())); err != nil {
				return nil, err
			}
		}
		tx.Also(Joined{Incident: c.ID, Into: to.ID, reason: reason})
		return t.event, nil
	})
	return c, err
}

// reasonOf is a reason as it is kept: one line, or nothing.
func reasonOf(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if n := utf8.RuneCountInString(reason); n > 500 || !utf8.ValidString(reason) || strings.ContainsFunc(reason, unicode.IsControl) {
		return "", fault.New(fault.Invalid, "reason_long", fault.Public{Problem: "The reason is too long, or not one line.", Expected: "At most 500 characters on one line.",
			Fields: []fault.Field{{Name: "reason", Code: "reason_long", Problem: "At most 500 characters on one line."}}})
	}
	return reason, nil
}

// needReason is one that must be there.
func needReason(reason string) (string, error) {
	reason, err := reasonOf(reason)
	if err == nil && utf8.RuneCountInString(reason) < 5 {
		err = fault.New(fault.Invalid, "reason_missing", fault.Public{Problem: "The reason is missing.", Expected: "5 to 500 characters on one line.",
			Fields: []fault.Field{{Name: "reason", Code: "reason_missing", Problem: "Say why, in 5 to 500 characters on one line."}}})
	}
	return reason, err
}

// kinds are the categories that an incident may have: those of the policy first.
func (s *Service) kinds() []string {
	out := slices.Clone(s.Rules.Get().Kinds)
	for _, k := range []string{"third-party", "load-attack", "vulnerability"} {
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

const (
	lastCase   = `SELECT COALESCE(MAX(number), 0) FROM incident_case WHERE drill = $1`
	insertCase = `INSERT INTO incident_case (id, number, drill, round, version, title, source, component, declared_by, severity, categories, l, c, r, b, f,
		onset_from, onset_to, declared, acknowledged, sorted, mitigated, resolved, closed, green, review, decided, joined)
		VALUES ($1, $2, $3, 1, 1, $4, $5, $6, $7, 0, '', 'L0', '', '', '', 'F0', $8, NULL, $9, NULL, NULL, NULL, NULL, NULL, NULL, NULL, FALSE, '')`
	setJoined = `UPDATE incident_case SET joined = $2 WHERE id = $1`
)
