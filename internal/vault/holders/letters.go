package holders

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"writ/internal/actor"
	"writ/internal/jobs"
	"writ/internal/mail"
	"writ/internal/seal"
)

// letter is one, and its kind.
type letter struct {
	mail.Letter
	kind string
}

// letters prepares one for each of these people who has an address.
func (s *Service) letters(ctx context.Context, people []string, l letter) ([]jobs.Job, error) {
	l.Company = s.Company()
	var out []jobs.Job
	var errs []error
	slices.Sort(people)
	for _, id := range slices.Compact(people) {
		to := s.People.Email(ctx, id)
		if to == "" {
			continue
		}
		m, err := l.Message(to, l.kind)
		if err == nil {
			var j jobs.Job
			j, err = s.Mail.Prepare(ctx, m)
			out = append(out, j)
		}
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

// everybody are the owners and the holders.
func (s *Service) everybody(ctx context.Context) ([]string, error) {
	out, err := s.People.Owners(ctx)
	if err != nil {
		return nil, err
	}
	hs, err := s.holders(ctx, s.DB, staffTeam)
	for _, h := range hs {
		out = append(out, h.Person)
	}
	return out, err
}

func (s *Service) toAll(ctx context.Context, l letter) ([]jobs.Job, error) {
	to, err := s.everybody(ctx)
	if err != nil {
		return nil, err
	}
	return s.letters(ctx, to, l)
}

func (s *Service) toOwners(ctx context.Context, l letter) ([]jobs.Job, error) {
	to, err := s.People.Owners(ctx)
	if err != nil {
		return nil, err
	}
	return s.letters(ctx, to, l)
}

// by names who acts.
func (s *Service) by(ctx context.Context, who actor.Actor) string {
	if who.Kind == actor.Person {
		return s.People.Name(ctx, who.ID)
	}
	return "The operator at the machine"
}

func (s *Service) see(text string) *mail.Link {
	return &mail.Link{Text: text, URL: s.Origin + consoleAt}
}

func (s *Service) done() []string { return []string{"Done on " + stamp(s.Now()) + "."} }

func (s *Service) appointedLetters(ctx context.Context, who actor.Actor, people []Person) ([]jobs.Job, error) {
	ids, names := []string{}, []string{}
	for _, p := range people {
		ids, names = append(ids, p.ID), append(names, p.Name)
	}
	out, err := s.letters(ctx, ids, letter{kind: "vault.holder-appointed", Letter: mail.Letter{
		Title: "You are asked to hold a share of the vault's root key",
		Lines: []string{s.by(ctx, who) + " asks you to be one of those who open the vault together. Nobody opens it alone, you neither.",
			"Enrol a passkey of a device that you keep, or a key file. Your share is sealed to it; you never see it and never send it."},
		Link: &mail.Link{Text: "Enrol", URL: s.Origin + atHolder}, Foot: s.done()}})
	if err != nil {
		return nil, err
	}
	more, err := s.toOwners(ctx, letter{kind: "vault.holders-appointed", Letter: mail.Letter{
		Title: "Holders of the vault's root key were appointed", Lines: []string{fmt.Sprintf("%s appointed %s.", s.by(ctx, who), and(names))},
		Link: s.see("See who holds a share"), Foot: s.done()}})
	return append(out, more...), err
}

func (s *Service) enrolledLetters(ctx context.Context, h Holder, k seal.Key) ([]jobs.Job, error) {
	what := "a key file"
	if k.Passkey != nil {
		what = "a passkey"
	}
	return s.letters(ctx, []string{h.Person}, letter{kind: "vault.holder-enrolled", Letter: mail.Letter{
		Title: "You enrolled as a holder of the vault", Lines: []string{"Shares of the root key are sealed to " + what + " of yours from now on. Keep it: without it your share opens nothing."},
		Link: &mail.Link{Text: "See what you hold", URL: s.Origin + atHolder}, Foot: append(s.done(), "If this was not you, tell an owner at once.")}})
}

func (s *Service) endedLetters(ctx context.Context, team, person, cause string) ([]jobs.Job, error) {
	if team != staffTeam {
		return nil, nil
	}
	how := "was removed as a holder of the vault's root key"
	if cause == "left" {
		how = "has left, and was a holder of the vault's root key"
	}
	return s.toAll(ctx, letter{kind: "vault.holder-ended", Letter: mail.Letter{
		Title: "New shares of the vault's root key are due", Lines: []string{s.People.Name(ctx, person) + " " + how + ".", "Until new shares are made the old ones count. Making them takes one command and nobody's presence."},
		Link: s.see("Make new shares"), Foot: s.done()}})
}

func (s *Service) begunLetters(ctx context.Context) ([]jobs.Job, error) {
	return s.toAll(ctx, letter{kind: "vault.shares-begun", Letter: mail.Letter{
		Title: "New shares of the vault's root key are in use", Lines: []string{"They are sealed to the keys that the holders enrolled. Old shares open nothing any more.", "Try them soon: a drill takes two minutes."},
		Link: s.see("See who holds one"), Foot: s.done()}})
}

func (s *Service) drillLetters(ctx context.Context) ([]jobs.Job, error) {
	return s.toAll(ctx, letter{kind: "vault.drill-begun", Letter: mail.Letter{
		Title: "A drill of the vault's holders has begun", Lines: []string{"Give your share as if the vault were sealed. The vault is open and stays so."},
		Link: &mail.Link{Text: "Give your share", URL: s.Origin + seal.At}, Foot: []string{"Begun on " + stamp(s.Now()) + ". It ends after an hour."}}})
}

func (s *Service) drilledLetters(ctx context.Context) ([]jobs.Job, error) {
	return s.toAll(ctx, letter{kind: "vault.drill-done", Letter: mail.Letter{
		Title: "The vault's shares fit", Lines: []string{"Enough holders gave their shares in a drill, and they make the root key."}, Link: s.see("See the holders"), Foot: s.done()}})
}

func (s *Service) sealedLetters(ctx context.Context, who actor.Actor, reason string) ([]jobs.Job, error) {
	return s.toAll(ctx, letter{kind: "vault.seal-asked", Letter: mail.Letter{
		Title: "The vault is being sealed", Lines: []string{s.by(ctx, who) + " seals the vault: " + reason, "Nothing works until enough holders give their share."},
		Link: &mail.Link{Text: "Give your share", URL: s.Origin + seal.At}, Foot: s.done()}})
}
