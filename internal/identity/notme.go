package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

// NotMeLink is in the letter about a new browser: whoever reads the mailbox ends everything.
const NotMeLink LinkKind = "not-me"

// notMeTTL is how long that link works: a letter is often read late, and what the link
// does harms nobody but an intruder.
const notMeTTL = 30 * 24 * time.Hour

// warning is the letter about a sign-in from a new browser, ready for the change.
type warning struct {
	link newLink
	job  jobs.Job
}

// warn prepares the letter about a browser that is new for a person who has others. The
// first browser of an account is its owner's, who was there a moment ago: no letter.
func (s *Service) warn(ctx context.Context, acc account, network, agent string) (*warning, error) {
	var n int64
	if err := ledger.One(ctx, s.DB, devicesOf, []any{&n}, acc.id); err != nil {
		return nil, fmt.Errorf("count browsers: %w", err)
	}
	if n == 0 {
		return nil, nil
	}
	w := &warning{link: s.link(NotMeLink, acc.id, "")}
	var err error
	w.job, err = s.letter(ctx, acc.email, s.newBrowserLetter(w.link, network, agent))
	return w, err
}

// send puts link and letter into the change. A nil warning has nothing to send.
func (w *warning) send(ctx context.Context, s *Service, tx *ledger.Tx) error {
	if w == nil {
		return nil
	}
	if err := w.link.insert(ctx, tx); err != nil {
		return err
	}
	return s.Mail.Enqueue(ctx, tx, w.job)
}

func (s *Service) newBrowserLetter(l newLink, network, agent string) typedLetter {
	if network == "" {
		network = "an unknown network"
	}
	return typedLetter{kind: "identity.new-browser", Letter: mail.Letter{
		Title: "A new browser signed in to your account",
		Lines: []string{
			fmt.Sprintf("%s, from the network %s, on %s. We had not seen this browser with your account before.", capital(browser(agent)), network, stamp(s.Now())),
			"If it was you, do nothing.",
			"If it was not you, press the link: it ends every session, forgets every browser, and keeps the password from being used until you set a new one."},
		Link: &mail.Link{Text: "This was not me", URL: s.Origin + l.path()},
		Foot: []string{fmt.Sprintf("The link works once, for %s. Opening it changes nothing: the page asks first.", spell(l.ttl))},
	}}
}

// NotMeInfo tells a page about a not-me link, without using it. A link that does not
// work is fault.Gone, link_dead.
func (s *Service) NotMeInfo(ctx context.Context, who actor.Actor, token secret.Text) (LinkInfo, error) {
	l, acc, err := s.notMe(ctx, token)
	if err != nil {
		return LinkInfo{}, s.deadOf(ctx, who, err)
	}
	return LinkInfo{Kind: NotMeLink, Issued: l.issued, Expires: l.expires, Name: acc.name, Email: acc.email}, nil
}

func (s *Service) notMe(ctx context.Context, token secret.Text) (link, account, error) {
	l, err := s.alive(ctx, token, NotMeLink)
	if err != nil {
		return l, account{}, err
	}
	acc, err := s.account(ctx, l.person)
	if errors.Is(err, fault.NotFound) || err == nil && acc.state != stateActive {
		err = &deadLink{kind: NotMeLink, cause: "cancelled", ttl: notMeTTL}
	}
	return l, acc, err
}

// NotMe is the answer of the mailbox to a sign-in it knows nothing of: all sessions,
// browsers and reset links of the person end, factors set up since that sign-in go, and the
// password does not sign in until a new one is set through a link. One winner; every token that does not work is
// fault.Gone, link_dead.
func (s *Service) NotMe(ctx context.Context, who actor.Actor, token secret.Text) error { // clause: auth.best-practice
	l, acc, err := s.notMe(ctx, token)
	if err != nil {
		return s.deadOf(ctx, who, err)
	}
	var ids []string
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		// Person and password first, as a sign-in does: one of the two waits for the other.
		if err := lockPerson(ctx, tx, acc.id); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, lockPasswordOf, acc.id, us(tx.Now())); err != nil {
			return nil, err
		}
		if err := l.use(ctx, tx, notMeTTL); err != nil {
			return nil, err
		}
		ev := SignInDisowned{Person: acc.id, Link: l.id}
		var err error
		if ids, ev.Links, ev.Devices, err = endAll(ctx, tx, acc.id, "not-me"); err != nil {
			return nil, err
		}
		ev.Sessions = int64(len(ids))
		// What was set up since that sign-in may be the intruder's way back in.
		for _, q := range factorsSince {
			n, err := tx.Exec(ctx, q, acc.id, us(l.issued))
			if err != nil {
				return nil, err
			}
			ev.Factors += n
		}
		return ev, nil
	})
	if errors.Is(err, errStale) {
		err = &deadLink{kind: NotMeLink, cause: "cancelled", ttl: notMeTTL}
	}
	if err != nil {
		return s.deadOf(ctx, who, fmt.Errorf("disown a sign-in: %w", err))
	}
	s.table.drop(s.Now(), ids...)
	return nil
}

// factorsSince removes the factors that a person got at or after a time.
var factorsSince = []string{
	`DELETE FROM identity_factor WHERE person = $1 AND created >= $2`,
	`DELETE FROM identity_passkey WHERE person = $1 AND created >= $2`,
	`DELETE FROM identity_recovery WHERE person = $1 AND made >= $2`,
}

const (
	devicesOf      = `SELECT COUNT(*) FROM identity_device WHERE person = $1`
	lockPasswordOf = `UPDATE identity_password SET locked = $2 WHERE person = $1`
)
