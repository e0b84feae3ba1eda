package identity

import (
	"context"
	"fmt"
	"strings"
	"time"

	"writ/internal/jobs"
	"writ/internal/mail"
)

// letter prepares a letter. It goes to a stored address, never to one just typed.
func (s *Service) letter(ctx context.Context, to string, l typedLetter) (jobs.Job, error) {
	l.Company = s.Company()
	m, err := l.Message(to, l.kind)
	if err != nil {
		return jobs.Job{}, err
	}
	job, err := s.Mail.Prepare(ctx, m)
	if err != nil {
		return jobs.Job{}, fmt.Errorf("prepare letter %s: %w", l.kind, err)
	}
	return job, nil
}

type typedLetter struct {
	mail.Letter
	kind string
}

// asked says who asked: network, browser, time. Nothing in it is the asker's own
// words, or a stranger could send letters of his making in the company's name.
func (s *Service) asked(network, agent string) string {
	if network == "" {
		network = "an unknown network"
	} else {
		network = "the network " + network
	}
	return fmt.Sprintf("Asked for from %s with %s on %s.", network, browser(agent), stamp(s.Now()))
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

// browser is the family of a browser, from a list of our own.
func browser(agent string) string {
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"Firefox/", "Firefox"}, {"OPR/", "Opera"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}, {"curl/", "curl"}} {
		if strings.Contains(agent, b[0]) {
			return b[1]
		}
	}
	return "a browser or program"
}

func (s *Service) confirmLetter(l newLink, asked string) typedLetter {
	return typedLetter{kind: "identity.confirm", Letter: mail.Letter{
		Title: "Confirm your address",
		Lines: []string{"Somebody, probably you, signed up with this address. Confirm it to begin.",
			fmt.Sprintf("The link works once, for %s, until %s.", spell(l.ttl), stamp(s.Now().Add(l.ttl)))},
		Link: &mail.Link{Text: "Confirm this address", URL: s.Origin + l.path()},
		Foot: []string{asked, "In another browser you are asked for the password you chose.", "If it was not you, do nothing, or open the link and press “It was not me”: no account is made."},
	}}
}

func (s *Service) takenLetter(asked string) typedLetter {
	return typedLetter{kind: "identity.already-here", Letter: mail.Letter{
		Title: "You already have an account",
		Lines: []string{"Somebody, probably you, tried to sign up with this address. There is an account for it already, and it was not changed.",
			"Sign in as before. If you forgot the password, press “I forgot my password” there."},
		Link: &mail.Link{Text: "Sign in", URL: s.Origin + "/-/sign-in"},
		Foot: []string{asked, "If it was not you, do nothing: your account is as it was."},
	}}
}

func (s *Service) resetLetter(l newLink, asked string) typedLetter {
	return typedLetter{kind: "identity.reset", Letter: mail.Letter{
		Title: "Set a new password",
		Lines: []string{"Somebody, probably you, asked for a link to set a new password for the account with this address.",
			fmt.Sprintf("The link works once, for %s, until %s. A newer link replaces it.", spell(l.ttl), stamp(s.Now().Add(l.ttl)))},
		Link: &mail.Link{Text: "Set a new password", URL: s.Origin + l.path()},
		Foot: []string{asked, "If it was not you, do nothing: your password stays as it is."},
	}}
}

// firstLetter brings the link with which a member of staff sets the first password.
func (s *Service) firstLetter(l newLink) typedLetter {
	return typedLetter{kind: "identity.first-link", Letter: mail.Letter{
		Title: "Set your first password",
		Lines: []string{"You are on the staff here. Set a password to begin.",
			fmt.Sprintf("The link works once, for %s, until %s. A newer link replaces it.", spell(l.ttl), stamp(s.Now().Add(l.ttl)))},
		Link: &mail.Link{Text: "Set a password", URL: s.Origin + l.path()},
		Foot: []string{"If you know nothing of this, do nothing."},
	}}
}

// anew is the way back into one's own account.
func (s *Service) anew() *mail.Link {
	return &mail.Link{Text: "Set a new password", URL: s.Origin + "/-/forgot"}
}

func (s *Service) changedLetter(asked string) typedLetter {
	return typedLetter{kind: "identity.password-changed", Letter: mail.Letter{
		Title: "Your password was changed",
		Lines: []string{"The password of your account was changed by somebody who knew the former one. All other sessions have ended.",
			"If it was not you, set a new password at once: that ends every session."},
		Link: s.anew(),
		Foot: []string{asked},
	}}
}

// setLetter tells that a link was used. An owner link was handed over by the operator,
// so it says nothing of the mailbox.
func (s *Service) setLetter(kind LinkKind, asked string) typedLetter {
	if kind == OwnerLink {
		return typedLetter{kind: "identity.first-password", Letter: mail.Letter{
			Title: "Your password is set",
			Lines: []string{"The one-time link that the operator made for you was used to set a password. Sign in with it.",
				"If it was not you, set a new password at once, and tell whoever gave you the link."},
			Link: s.anew(),
			Foot: []string{asked},
		}}
	}
	return typedLetter{kind: "identity.reset-used", Letter: mail.Letter{
		Title: "Your password was set through a link",
		Lines: []string{"The one-time link in our former letter was used to set a new password. Sign in with it.",
			"If it was not you, somebody else can read this mailbox: make it safe first, then set a new password."},
		Link: s.anew(),
		Foot: []string{asked},
	}}
}
