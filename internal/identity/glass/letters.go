package glass

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

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
	return s.Mail.Prepare(ctx, m)
}

func (s *Service) enqueue(ctx context.Context, tx *ledger.Tx, letters []jobs.Job) error {
	for _, j := range letters {
		if err := s.Mail.Enqueue(ctx, tx, j); err != nil {
			return err
		}
	}
	return nil
}

// owners are the active owners of a team.
func (s *Service) owners(ctx context.Context, team string) ([]string, error) {
	var out []string
	err := s.DB.Each(ctx, activeOf, func(scan ledger.Scan) error {
		var person, roles string
		err := scan(&person, &roles)
		if isOwner(roles) {
			out = append(out, person)
		}
		return err
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read owners: %w", err)
	}
	return out, nil
}

// ownerLetters prepares a letter to every owner of a team.
func (s *Service) ownerLetters(ctx context.Context, team string, l letter) ([]jobs.Job, error) {
	owners, err := s.owners(ctx, team)
	if err != nil {
		return nil, err
	}
	var out []jobs.Job
	var errs []error
	for _, id := range owners {
		to := s.People.Email(ctx, id)
		if to == "" {
			continue
		}
		j, err := s.prepare(ctx, to, l)
		out, errs = append(out, j), append(errs, err)
	}
	return out, errors.Join(errs...)
}

// preparedLetters tell holders to come for their share, and the owners of it.
func (s *Service) preparedLetters(ctx context.Context, who actor.Actor, holders []identity.Person) ([]jobs.Job, error) {
	out, err := s.ownerLetters(ctx, staffTeam, letter{kind: "identity.glass-prepared", Letter: mail.Letter{
		Title: "A break-glass set is prepared",
		Lines: []string{s.by(ctx, who) + " prepared shares that open an owner's session together when no owner can come in.", fmt.Sprintf("There are %d holders. The set is live when enough of them have picked up their share.", len(holders))},
		Link:  &mail.Link{Text: "See who holds one", URL: s.Origin + consoleAt},
		Foot:  []string{"Done on " + stamp(s.Now()) + ".", "If this is not as you agreed, withdraw the set there."},
	}})
	if err != nil {
		return nil, err
	}
	for _, h := range holders {
		if h.Email == "" {
			continue
		}
		j, err := s.prepare(ctx, h.Email, letter{kind: "identity.glass-share", Letter: mail.Letter{
			Title: "You hold a share of break-glass",
			Lines: []string{"You are one of those who can let the owners back in on the day none of them can come in. Your share waits for you and is shown once.",
				"Have a printer or your password manager at hand. Never send the share to anybody."},
			Link: &mail.Link{Text: "Pick up your share", URL: s.Origin + atShare},
			Foot: []string{"Prepared on " + stamp(s.Now()) + "."},
		}})
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

// by names who acts.
func (s *Service) by(ctx context.Context, who actor.Actor) string {
	if who.Kind == actor.Person {
		return s.People.Name(ctx, who.ID)
	}
	return "The operator at the machine"
}

// see is where an owner looks, and ends what goes on.
func (s *Service) see(text string) *mail.Link {
	return &mail.Link{Text: text, URL: s.Origin + consoleAt}
}

func (s *Service) askedLetter(name string, need int) letter {
	return letter{kind: "identity.glass-asked", Letter: mail.Letter{
		Title: "Somebody wants to break the glass",
		Lines: []string{fmt.Sprintf("%s gave a share to open an owner's session. It opens when %d holders have given theirs.", name, need),
			fmt.Sprintf("What was given is dropped at %s.", stamp(s.Now().Add(gathering)))},
		Link: s.see("Read the reason, or stop it"),
		Foot: []string{"Asked for on " + stamp(s.Now()) + "."},
	}}
}

func (s *Service) grantedLetter(names []string) letter {
	return letter{kind: "identity.glass-granted", Letter: mail.Letter{
		Title: "The glass is broken",
		Lines: []string{fmt.Sprintf("%s gave their shares, and an owner's session opens now. It ends by itself after %s.", web.And(names), web.Duration(s.Rules.Get().Emergency)),
			"Everything done in it is in the journal as break-glass."},
		Link: s.see("See it, or end it"),
		Foot: []string{"Granted on " + stamp(s.Now()) + ".", "If you know nothing of this, end it at once and withdraw the set."},
	}}
}

func (s *Service) drilledLetter(names []string) letter {
	return letter{kind: "identity.glass-drilled", Letter: mail.Letter{
		Title: "Break-glass was practised",
		Lines: []string{web.And(names) + " gave their shares in a drill. They fit. No session was opened."},
		Link:  s.see("See the set"),
		Foot:  []string{"Done on " + stamp(s.Now()) + "."},
	}}
}

// how says in words how an opening ended.
var how = map[string]string{
	"ended":          "The session was ended by whoever was in it.",
	"ended-by-owner": "It was ended by somebody who may end sessions.",
	"over":           "The time of the session was over.",
	"not-entered":    "The shares were given, and nobody entered.",
	"dropped":        "Too few shares were given in time, and what was given is dropped. No session was opened.",
}

func (s *Service) endedLetter(u Use, cause string) letter {
	l := letter{kind: "identity.glass-ended", Letter: mail.Letter{
		Title: "Break-glass has ended", Lines: []string{how[cause]}, Link: s.see("See what was done"), Foot: []string{"Ended on " + stamp(s.Now()) + "."}}}
	if !u.Entered.IsZero() {
		l.Lines = append(l.Lines, fmt.Sprintf("It lasted %s. The shares were typed in, so prepare a new set.", web.Duration(s.Now().Sub(u.Entered).Round(time.Second))))
		l.Link = &mail.Link{Text: "See what was done", URL: s.Origin + "/-/console/journal?actor=" + thing(u.ID)}
	}
	return l
}

func (s *Service) wornLetter() letter {
	return letter{kind: "identity.glass-worn", Letter: mail.Letter{
		Title: "Prepare a new break-glass set",
		Lines: []string{"A holder of a share has left. That share counts no more, so one holder fewer can be away."},
		Link:  s.see("Prepare a new set"),
		Foot:  []string{"Noticed on " + stamp(s.Now()) + "."},
	}}
}

func (s *Service) withdrawnLetter(ctx context.Context, who actor.Actor) letter {
	return letter{kind: "identity.glass-withdrawn", Letter: mail.Letter{
		Title: "Break-glass was withdrawn",
		Lines: []string{s.by(ctx, who) + " withdrew the shares. None of them opens anything now."},
		Link:  s.see("Prepare a new set"),
		Foot:  []string{"Done on " + stamp(s.Now()) + "."},
	}}
}

const activeOf = `SELECT m.person, m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.team = $1 AND p.state = 'active' ORDER BY m.person`
