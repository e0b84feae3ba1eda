package incident

import (
	"context"
	"errors"
	"slices"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
)

// An incident that is being watched goes back to work by itself once a probe of what it covers is
// red again: an alarm of its kind that opens, one of its own that fires again, or what the gate
// sees of its part of the service. A control that fails reaches it by its alarm.

// relapsing are letters to whoever commands, that it is active again.
func (s *Service) relapsing(ctx context.Context, c Case, probes []string) ([]jobs.Job, error) {
	if c.States[engine.L] != "L3" {
		return nil, nil
	}
	return s.letters(ctx, s.holders(ctx, c, []engine.Role{engine.Commander}), letter{kind: "incident.relapsed", Letter: mail.Letter{
		Title: c.Ref() + " is back",
		Lines: []string{c.Title, "It was being watched, and is active again: " + strings.Join(probes, ", ") + " is red. The time of watching begins anew."},
		Link:  &mail.Link{Text: "Look what is next", URL: s.at(c)}}})
}

// relapse is the step back, inside a change; nothing where the incident is not being watched.
func (s *Service) relapse(ctx context.Context, tx *ledger.Tx, c *Case, probes []string, letters []jobs.Job) error { // clause: inc.process
	if c.States[engine.L] != "L3" {
		return nil
	}
	ev, err := s.takeLife(ctx, tx, actor.System("incident"), c, "relapse", "")
	if err != nil {
		return err
	}
	tx.Also(ev)
	tx.Also(ProbeRed{Incident: c.ID, Round: c.Round, Probes: probes[:min(len(probes), mostTold)]})
	return s.enqueue(ctx, tx, letters)
}

// redAgain takes incidents back to work because of one probe; which of them are watched is asked
// again inside the change.
func (s *Service) redAgain(ctx context.Context, cs []Case, probe string) error {
	cs = slices.DeleteFunc(cs, func(c Case) bool { return c.States[engine.L] != "L3" })
	for _, c := range cs {
		letters, err := s.relapsing(ctx, c, []string{probe})
		if err != nil {
			return err
		}
		_, err = s.change(ctx, actor.System("incident"), c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
			if c.States[engine.L] != "L3" {
				return nil, fault.Wrap(fault.Conflict, "not_watched", errors.New("another node, or a person, was first"))
			}
			ev, err := s.takeLife(ctx, tx, actor.System("incident"), c, "relapse", "")
			if err != nil {
				return nil, err
			}
			tx.Also(ev)
			return ProbeRed{Incident: c.ID, Round: c.Round, Probes: []string{probe}}, s.enqueue(ctx, tx, letters)
		})
		if err != nil && fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
	if len(cs) == 0 {
		return nil
	}
	return s.Page.Refresh(ctx)
}

// impactBack takes back to work what the gate's meter sees failing: the incident that heard of the
// impact, and those of a part of the service that it touches. The meter looks five minutes back, so
// that what it sees in the first ones of watching may be from before.
func (s *Service) impactBack(ctx context.Context, heard []Case, u under) error {
	for _, part := range strings.Fields(u.touched) {
		cs, err := s.cases(ctx, s.DB, watchedPart, part)
		if err != nil {
			return err
		}
		heard = append(heard, cs...)
	}
	since := s.Now().Add(-calms)
	return s.redAgain(ctx, slices.DeleteFunc(heard, func(c Case) bool { return c.Mitigated.After(since) }), impact+u.id)
}

// ProbeRed is what took an incident that was being watched back to work.
type ProbeRed struct {
	Incident string   `class:"public"`
	Round    int64    `class:"public"`
	Probes   []string `class:"public"` // alarm/ID, impact/ID
}

// About implements ledger.Event.
func (e ProbeRed) About() ledger.About {
	return ledger.About{Name: "incident.probe-red", Clause: "inc.process", Object: thing(e.Incident)}
}

const watchedPart = caseColumns + ` WHERE l = 'L3' AND NOT drill AND component = $1 ORDER BY id LIMIT 50`
