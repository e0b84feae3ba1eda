package rota

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/ledger"
	"writ/internal/notify"
)

// Looked is the name of rotas as a source of readings, and Every how often they are looked at.
const (
	Looked = "oncall"
	Every  = time.Minute
)

const testedWithin = 7 * 24 * time.Hour // a channel takes a test each week

// Gap is a turn in which nobody can be told.
type Gap struct {
	Rota   string
	From   time.Time
	Person string // whose turn it is; "" where there is nobody
	Why    string // left, same, none
}

// The reasons of a gap.
const (
	Left = "left" // neither engineer nor owner any more, or with no address that is confirmed
	Same = "same" // the second is the first
	None = "none" // there is nobody
)

// gaps are those ahead.
func (p *plan) gaps(now time.Time, all []Person) (out []Gap) {
	add := func(rota string, s *Shift, who, why string) {
		if !slices.ContainsFunc(out, func(g Gap) bool { return g.Rota == rota && g.Person == who && g.Why == why }) {
			out = append(out, Gap{rota, s.From, who, why})
		}
	}
	for _, s := range p.shifts(now, now.Add(looksAhead)) {
		for _, rota := range []string{First, Second} {
			who := s.First.Person
			if rota == Second {
				who = s.Second.Person
			}
			switch _, err := find(all, who, "people"); {
			case rota == Second && who == "" && p.second == nil: // a rota of one person has no second
			case who == "":
				add(rota, &s, "", None)
			case err != nil:
				add(rota, &s, who, Left)
			case rota == Second && who == s.First.Person:
				add(rota, &s, who, Same)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Gap) int { return a.From.Compare(b.From) })
	return out
}

// Reading is a number that was read: 1 where something is amiss.
type Reading struct {
	Label string // first, second, channels
	Value float64
}

// Look announces turns that have begun, and says where nobody could be told.
func (s *Service) Look(ctx context.Context) ([]Reading, error) { // clause: mon.notify
	p, err := s.plan(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	out := []Reading{{First, 0}, {Second, 0}, {"channels", 0}}
	if p.first == nil {
		return out, nil
	}
	all, err := s.People(ctx)
	if err != nil {
		return nil, fmt.Errorf("who can be told: %w", err)
	}
	for _, r := range []*Rota{p.first, p.second} {
		if r == nil {
			continue
		}
		if err := s.begin(ctx, p, r, all); err != nil {
			return nil, err
		}
	}
	for _, g := range p.gaps(s.Now(), all) {
		if g.Rota == First {
			out[0].Value = 1
		} else {
			out[1].Value = 1
		}
	}
	failing, err := s.failing(ctx)
	if len(failing) > 0 {
		out[2].Value = 1
	}
	return out, err
}

// begin announces a turn once, to whose it is and whose it was.
func (s *Service) begin(ctx context.Context, p *plan, r *Rota, all []Person) error { // clause: mon.notify
	now := s.Now()
	who := p.at(r.Name, now).Person
	if who == r.holder {
		return nil
	}
	until := now.Add(ahead)
	for _, x := range p.shifts(now, until) {
		t := x.First
		if r.Name == Second {
			t = x.Second
		}
		if t.Person != who {
			until = x.From
			break
		}
	}
	text := fmt.Sprintf("%s is on call (%s) from now on, until %s. Alarms go to them", called(all, who), r.Name, utc(until))
	if r.Name == Second {
		text += " when nobody acknowledged"
	}
	text += "."
	if r.holder != "" {
		text += fmt.Sprintf(" Until now it was %s: tell them what goes on, and what is not over.", called(all, r.holder))
	}
	ps, err := s.mail(ctx, all, []string{who, r.holder}, fmt.Sprintf("begun/%s/%s/%d", r.Name, who, us(now)), object(r.Name), "On call: "+called(all, who), text)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `UPDATE watch_rota SET holder = $2 WHERE name = $1 AND holder = $3`, r.Name, who, r.holder)
		if err == nil && n == 0 {
			err = errBegun
		}
		if err != nil {
			return nil, err
		}
		return TurnBegun{Rota: r.Name, Person: who, Former: r.holder, Until: until}, s.Notify.Queue(ctx, tx, ps...) //nolint:wrapcheck // says which act
	})
	if errors.Is(err, errBegun) {
		return nil
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

var errBegun = errors.New("rota: another node has announced the turn")

// failing are the channels that took no test this week.
func (s *Service) failing(ctx context.Context) (out []string, err error) {
	cs, err := s.Notify.Channels(ctx)
	for _, c := range cs {
		if s.Now().Sub(c.Accepted) > testedWithin && !c.Tested.IsZero() && s.Now().Sub(c.Tested) > time.Hour {
			out = append(out, c.Name)
		}
	}
	return out, err //nolint:wrapcheck // the kit says what failed
}

var _ Notify = (*notify.Service)(nil)
