package incident

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/ledger"
	"writ/internal/web"
)

// Seen is what the gate sees of how the service fails.
type Seen struct {
	Requests int64 // of the last five minutes
	Failed   int64 // of those, with 500 or above
	Answers  bool  // some place of the application answers
	Closed   bool  // the gate was closed on purpose: what it sees says nothing
}

// Gauge is what this package needs of the gate's meter. Without it nothing turns by itself.
type Gauge interface {
	Seen(ctx context.Context) (Seen, error)
}

// The kinds of impact.
const (
	failing = "errors"
	down    = "down"
)

const (
	fewest = 50              // requests, below which a share says nothing
	calms  = 5 * time.Minute // without it before it is over
	impact = "impact/"       // before the id, as what told of an incident
)

// under is an impact that goes on.
type under struct {
	id, kind, touched  string
	since, began, calm time.Time
}

// exceeds reports whether a kind of impact is there.
func (s *Service) exceeds(kind string, x Seen) bool {
	if kind == down {
		return !x.Answers
	}
	return x.Requests >= fewest && x.Failed*10000 >= x.Requests*int64(s.Rules.Get().Errors)
}

// gauge looks at what the gate sees: what is as much as the policy says turns the parts of the
// service, begins an incident or adds to the one that is open, and owes the public a notice.
func (s *Service) gauge(ctx context.Context) error { // clause: inc.public-notice
	if s.Gauge == nil {
		return nil
	}
	x, err := s.Gauge.Seen(ctx)
	if err != nil || x.Closed {
		return err
	}
	rows, err := impacts(ctx, s.DB)
	if err != nil {
		return err
	}
	var errs []error
	for _, kind := range []string{failing, down} {
		errs = append(errs, s.follows(ctx, kind, rows[kind], s.exceeds(kind, x)))
	}
	return errors.Join(errs...)
}

// follows brings the row of a kind to where things stand.
func (s *Service) follows(ctx context.Context, kind string, u under, bad bool) error {
	now := s.Now()
	enough := time.Duration(0)
	if kind == down {
		enough = s.Rules.Get().Down
	}
	quiet := func(query string, args ...any) error {
		return s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
	}
	switch {
	case u.id == "" && bad:
		u = under{id: s.DB.ID(), kind: kind, since: now}
		if err := quiet(insertImpact, u.id, kind, us(now)); err != nil || enough > 0 {
			return err
		}
	case u.id == "":
		return nil
	case !bad && u.began.IsZero():
		return quiet(dropImpact, u.id)
	case !bad && u.calm.IsZero():
		return quiet(calmImpact, u.id, us(now))
	case !bad && now.Sub(u.calm) >= calms:
		return s.endImpact(ctx, u)
	case bad && !u.calm.IsZero():
		if err := quiet(calmImpact, u.id, nil); err != nil {
			return err
		}
	}
	if u.began.IsZero() {
		if now.Sub(u.since) < enough {
			return nil
		}
		if _, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) { return s.beginImpact(ctx, tx, u) }); err != nil {
			if fault.KindOf(err) == fault.Conflict {
				return nil // another node was first
			}
			return fmt.Errorf("begin an impact: %w", err)
		}
		if err := s.Page.Refresh(ctx); err != nil {
			return err
		}
	}
	if err := s.owe(ctx, u); err != nil || !bad {
		return err
	}
	cs, err := s.cases(ctx, s.DB, caseOfSignal, impact+u.id)
	if err != nil {
		return err
	}
	return s.impactBack(ctx, cs, u)
}

// beginImpact turns the parts of the service that are well.
func (s *Service) beginImpact(ctx context.Context, tx *ledger.Tx, u under) (ledger.Event, error) {
	state := status.PartialOutage
	if u.kind == down {
		state = status.MajorOutage
	}
	touched, err := s.Page.Turn(ctx, tx, nil, status.Operational, state)
	if err != nil {
		return nil, err
	}
	n, err := tx.Exec(ctx, beginImpact, u.id, us(tx.Now()), strings.Join(touched, " "))
	if err == nil && n != 1 {
		err = fault.Wrap(fault.Conflict, "begun", errors.New("another node was first"))
	}
	return ImpactBegan{Impact: u.id, Kind: u.kind, Since: u.since, Components: touched}, err
}

// endImpact turns back those that it turned, where nobody has said otherwise.
func (s *Service) endImpact(ctx context.Context, u under) error {
	_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, endImpact, u.id, us(tx.Now()))
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "ended", errors.New("another node was first"))
		}
		if err != nil {
			return nil, err
		}
		was := status.PartialOutage
		if u.kind == down {
			was = status.MajorOutage
		}
		back, err := s.Page.Turn(ctx, tx, strings.Fields(u.touched), was, status.Operational)
		return ImpactEnded{Impact: u.id, Kind: u.kind, Components: back}, err
	})
	if fault.KindOf(err) == fault.Conflict {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end an impact: %w", err)
	}
	return s.Page.Refresh(ctx)
}

// owe has an incident know of an impact, and opens its communication once its kind is decided.
// It is asked as long as the impact lasts, so that a crash between the changes loses nothing.
func (s *Service) owe(ctx context.Context, u under) error {
	cs, err := s.cases(ctx, s.DB, caseOfSignal, impact+u.id)
	if err != nil {
		return err
	}
	if len(cs) == 0 {
		return s.tell(ctx, []Told{{ID: impact + u.id, Kind: "usability", Says: s.impactSays(u.kind), At: u.since}}, nil)
	}
	if at := cs[0].States[engine.L]; cs[0].States[engine.C] != "" || at != "L2" && at != "L3" {
		return nil
	}
	_, err = s.change(ctx, actor.System("incident"), cs[0].ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if c.States[engine.C] != "" {
			return nil, fault.Wrap(fault.Conflict, "open", errors.New("another node was first"))
		}
		return NoticeOwed{Incident: c.ID, Round: c.Round, Impact: u.id}, s.begin(ctx, tx, c, engine.C)
	})
	if fault.KindOf(err) == fault.Conflict {
		return nil
	}
	return err
}

// impacted reports whether the gate saw what an incident is about.
func (s *Service) impacted(ctx context.Context, r ledger.Reader, id string) (bool, error) {
	var n int64
	err := ledger.One(ctx, r, countImpacts, []any{&n}, id)
	return n > 0, err
}

func (s *Service) impactSays(kind string) string {
	if kind == down {
		return "The application has not answered for " + web.Duration(s.Rules.Get().Down)
	}
	bp := s.Rules.Get().Errors
	if bp%100 == 0 {
		return fmt.Sprintf("At least %d %% of requests fail", bp/100)
	}
	return fmt.Sprintf("At least %d.%02d %% of requests fail", bp/100, bp%100)
}

// suggestion is a first notice from what the gate saw; "" = it saw nothing.
func suggestion(all []Told) string {
	for _, t := range all {
		if strings.HasPrefix(t.ID, impact) {
			return "Since " + t.At.UTC().Format("15:04 UTC") + " many requests to our service fail. We look for the cause."
		}
	}
	return ""
}

func impacts(ctx context.Context, r ledger.Reader) (map[string]under, error) {
	out := map[string]under{}
	err := r.Each(ctx, openImpacts, func(scan ledger.Scan) error {
		var u under
		var since int64
		var began, calm *int64
		err := scan(&u.id, &u.kind, &since, &began, &calm, &u.touched)
		u.since, u.began, u.calm = at(since), when(began), when(calm)
		out[u.kind] = u
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read impacts: %w", err)
	}
	return out, nil
}

// errTried takes a trial back.
var errTried = errors.New("incident: a trial, which is taken back")

// canaryThreshold plants what the policy calls an impact, and what falls just short of it, in a
// change that is taken back: the one turns every part that is well, the other nothing.
func (s *Service) canaryThreshold(ctx context.Context) (clause.Result, error) {
	const n = 1_000_000
	least := (n*int64(s.Rules.Get().Errors) + 9999) / 10000
	if !s.exceeds(failing, Seen{Requests: n, Failed: least, Answers: true}) || s.exceeds(failing, Seen{Requests: n, Failed: least - 1, Answers: true}) ||
		s.exceeds(failing, Seen{Requests: fewest - 1, Failed: fewest - 1, Answers: true}) || !s.exceeds(down, Seen{}) {
		return clause.Failed("what the gate sees is not held against the policy's threshold"), nil
	}
	var left, turned int
	_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		u := under{id: tx.ID(), kind: "trial", since: tx.Now()}
		if _, err := tx.Exec(ctx, insertImpact, u.id, u.kind, us(tx.Now())); err != nil {
			return nil, err
		}
		ev, err := s.beginImpact(ctx, tx, u)
		if err != nil {
			return nil, err
		}
		turned = len(ev.(ImpactBegan).Components) //nolint:errcheck,forcetypeassert // it gives no other
		again, err := s.Page.Turn(ctx, tx, nil, status.Operational, status.PartialOutage)
		left = len(again)
		return nil, errors.Join(err, errTried)
	})
	switch {
	case !errors.Is(err, errTried):
		return clause.Result{}, fmt.Errorf("try the threshold: %w", err)
	case left > 0:
		return clause.Failed(fmt.Sprintf("%s would still be shown as well", web.Count(int64(left), "part"))), nil
	}
	return clause.Passed(fmt.Sprintf("an impact at the threshold turns what is well (%s), one short of it nothing", web.Count(int64(turned), "part"))), nil
}

// probeImpact looks for an impact that goes on and that no incident knows of.
func (s *Service) probeImpact(ctx context.Context) (clause.Result, error) {
	rows, err := impacts(ctx, s.DB)
	if err != nil {
		return clause.Result{}, err
	}
	var bad []string
	for _, kind := range []string{failing, down} {
		u := rows[kind]
		if u.began.IsZero() || s.Now().Sub(u.began) < time.Minute {
			continue
		}
		if err := ledger.One(ctx, s.DB, signalRow, []any{new(string)}, impact+u.id); errors.Is(err, fault.NotFound) {
			bad = append(bad, s.impactSays(kind)+", and no incident knows")
		} else if err != nil {
			return clause.Result{}, err
		}
	}
	return verdict("each impact at the threshold has its incident", int64(len(rows)), bad), nil
}

// ImpactBegan is what the public must be told of, from what the gate sees.
type ImpactBegan struct {
	Impact     string    `class:"public"`
	Kind       string    `class:"public"` // errors, down
	Since      time.Time `class:"public"`
	Components []string  `class:"public"` // that it turned
}

// About implements ledger.Event.
func (e ImpactBegan) About() ledger.About {
	return ledger.About{Name: "incident.impact-began", Clause: "inc.public-notice", Object: impact + e.Impact}
}

// ImpactEnded is the end of it.
type ImpactEnded struct {
	Impact     string   `class:"public"`
	Kind       string   `class:"public"`
	Components []string `class:"public"` // that it turned back
}

// About implements ledger.Event.
func (e ImpactEnded) About() ledger.About {
	return ledger.About{Name: "incident.impact-ended", Clause: "inc.public-notice", Object: impact + e.Impact}
}

// NoticeOwed is an incident that owes the public a notice, because of an impact.
type NoticeOwed struct {
	Incident string `class:"public"`
	Round    int64  `class:"public"`
	Impact   string `class:"public"`
}

// About implements ledger.Event.
func (e NoticeOwed) About() ledger.About {
	return ledger.About{Name: "incident.notice-opened", Clause: "inc.public-notice", Object: thing(e.Incident)}
}

const (
	openImpacts  = `SELECT id, kind, since, began, calm, touched FROM incident_impact WHERE ended IS NULL`
	countImpacts = `SELECT COUNT(*) FROM incident_signal WHERE case_id = $1 AND id LIKE 'impact/%'`
	insertImpact = `INSERT INTO incident_impact (id, kind, since, began, calm, ended, touched) VALUES ($1, $2, $3, NULL, NULL, NULL, '') ON CONFLICT DO NOTHING`
	dropImpact   = `DELETE FROM incident_impact WHERE id = $1 AND began IS NULL`
	calmImpact   = `UPDATE incident_impact SET calm = $2 WHERE id = $1`
	beginImpact  = `UPDATE incident_impact SET began = $2, touched = $3 WHERE id = $1 AND began IS NULL AND ended IS NULL`
	endImpact    = `UPDATE incident_impact SET ended = $2 WHERE id = $1 AND ended IS NULL`
)
