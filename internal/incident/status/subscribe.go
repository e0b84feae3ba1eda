package status

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	letters "writ/internal/mail"
	"writ/internal/secret"
)

const (
	subscriberKind = "status-subscriber"
	class          = "incident.subscribers" // marks of addresses and tokens of links
	boxColumn      = "incident_status_subscriber.box"
	confirmWithin  = 24 * time.Hour
	perAddress     = 3  // confirmations within an hour
	perNetwork     = 20 // likewise
)

// Subscribe asks an address by letter whether it wants to be told. The answer is the same
// whether it is told already, and nobody else learns who is. Errors: fault.Invalid (no
// address), fault.Limited (the network).
func (s *Service) Subscribe(ctx context.Context, who actor.Actor, address string, parts []string, network string) error {
	a, err := mail.ParseAddress(strings.TrimSpace(address))
	if err != nil || len(address) > 254 || a.Name != "" || !strings.Contains(a.Address, "@") || strings.ContainsAny(a.Address, "\r\n ") {
		return fault.New(fault.Invalid, "email", fault.Public{Problem: "This is no e-mail address.", Fields: []fault.Field{{Name: "email", Code: "email", Problem: "This is no e-mail address."}}})
	}
	to := strings.ToLower(a.Address)
	token := secret.RandomText(24)
	ask, err := s.Letters.Prepare(ctx, must(confirmLetter(s, to, token)))
	if err != nil {
		return err
	}
	return s.invite(ctx, who, asked{kind: byMail, named: to, parts: parts, network: network, token: token, box: func() ([]byte, error) { return []byte(to), nil },
		job: func(string) (jobs.Job, error) { return ask, nil }, queue: s.Letters.Enqueue})
}

// The ways by which subscribers are told.
const (
	byMail = "mail"
	byHook = "webhook"
)

// asked is a subscription that somebody wants, of whom it is not known who they are.
type asked struct {
	kind, named, network string
	parts                []string
	token                secret.Text
	box                  func() ([]byte, error)            // how it is reached
	job                  func(id string) (jobs.Job, error) // asks it
	queue                func(ctx context.Context, tx *ledger.Tx, job jobs.Job) error
}

// invite keeps what was asked for until it is confirmed, and sends the question. Whoever is told
// already is not asked, and whoever is asked too often is not either.
func (s *Service) invite(ctx context.Context, who actor.Actor, in asked) error {
	parts, err := s.parts(ctx, in.parts)
	if err != nil {
		return err
	}
	key, err := s.Ring.Ensure(ctx, keyring.Class(class))
	if err != nil {
		return fmt.Errorf("key of subscribers: %w", err)
	}
	named := "address"
	if in.kind == byHook {
		named = byHook
	}
	mac := key.MAC(named, in.named)
	mark := hex.EncodeToString(mac[:16])
	net := key.MAC("network", in.network)
	id, known, err := s.subscriberOf(ctx, mark)
	if err != nil {
		return err
	}
	if !known {
		id = s.DB.ID()
	}
	plain, err := in.box()
	if err != nil {
		return err
	}
	job, err := in.job(id)
	if err != nil {
		return err
	}
	// Until it is confirmed nobody is a subject: whoever asks here has no key made, and the time
	// that it takes does not tell who is known.
	box := key.Seal(plain, boxed(boxColumn, id))
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := countNetwork(ctx, tx, hex.EncodeToString(net[:16])); err != nil {
			return nil, err
		}
		now, hour := us(tx.Now()), us(tx.Now().Add(-time.Hour))
		if _, err := tx.Exec(ctx, dropUnconfirmed, hour); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, askAgain, mark, sum(in.token), us(tx.Now().Add(confirmWithin)), now, hour, perAddress)
		if err == nil && n == 0 && !known {
			n, err = tx.Exec(ctx, insertSubscriber, id, mark, box, sum(in.token), us(tx.Now().Add(confirmWithin)), now, in.kind, parts)
		}
		if err == nil && n == 1 {
			err = in.queue(ctx, tx, job)
		}
		return SubscriptionAsked{Subscriber: id, Network: in.network}, err
	})
	if errors.Is(err, fault.Limited) {
		return s.DB.Refuse(ctx, who, SubscriptionRefused{Network: in.network}, err)
	}
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
}

// parts are the components of a subscription as they are kept. All of them are none: then what
// is added later is among them.
func (s *Service) parts(ctx context.Context, chosen []string) (string, error) {
	cs, err := s.Components(ctx)
	if err != nil {
		return "", err
	}
	var out []string
	for _, c := range cs {
		if slices.Contains(chosen, c.ID) {
			out = append(out, c.ID)
		}
	}
	if len(out) == len(cs) {
		return "", nil
	}
	return strings.Join(out, " "), nil
}

// must is a message of this package's own words, which cannot fail to render.
func must(m letters.Message, err error) letters.Message {
	if err != nil {
		panic(err)
	}
	return m
}

func countNetwork(ctx context.Context, tx *ledger.Tx, mark string) error {
	now, hour := us(tx.Now()), us(tx.Now().Add(-time.Hour))
	if _, err := tx.Exec(ctx, dropNetworks, hour); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, countTry, mark, now); err != nil {
		return err
	}
	var tries int64
	if err := ledger.One(ctx, tx, triesOf, []any{&tries}, mark); err != nil {
		return err
	}
	if tries > perNetwork {
		return fault.New(fault.Limited, "too_many", fault.Public{Problem: "Too many subscriptions were asked for from your network.", Next: "Try again in an hour."})
	}
	return nil
}

func (s *Service) subscriberOf(ctx context.Context, mark string) (id string, known bool, err error) {
	err = ledger.One(ctx, s.DB, byMark, []any{&id}, mark)
	if errors.Is(err, fault.NotFound) {
		return "", false, nil
	}
	return id, err == nil, err
}

func dead() error {
	return fault.New(fault.Gone, "link_dead", fault.Public{Problem: "This link works no more.", Expected: "A confirmation works for 24 hours, once.", Next: "Subscribe again on the status page."})
}

// Confirm makes the address of a letter a subscriber.
func (s *Service) Confirm(ctx context.Context, who actor.Actor, token secret.Text) error {
	var id string
	var box []byte
	if err := ledger.One(ctx, s.DB, byToken, []any{&id, &box}, sum(token), us(s.Now()), byMail); errors.Is(err, fault.NotFound) {
		return dead()
	} else if err != nil {
		return err
	}
	return s.join(ctx, who, id, byMail, box, token)
}

// join makes whoever answered a subscriber, under a key of their own.
func (s *Service) join(ctx context.Context, who actor.Actor, id, kind string, box []byte, token secret.Text) error {
	to, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, id), box)
	if err != nil {
		return err
	}
	own, err := s.seal(ctx, keyring.Subject{Kind: subscriberKind, ID: id}, boxColumn, id, to.Reveal())
	if err != nil {
		return err
	}
	arrived := func(context.Context, *ledger.Tx) error { return nil }
	if kind == byMail && s.Reach != nil { // who has its link has the letter
		if arrived, err = s.Reach.Arrived(ctx, string(to.Reveal())); err != nil {
			return err
		}
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, confirm, id, sum(token), us(tx.Now()), own)
		if err == nil && n != 1 {
			err = dead()
		}
		if err == nil {
			err = arrived(ctx, tx)
		}
		return Subscribed{Subscriber: id, Kind: kind}, err
	})
	if err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	return nil
}

// unsubscribeToken is in each letter. It is made again from the id, so that nothing is kept.
func (s *Service) unsubscribeToken(ctx context.Context, id string) (string, error) {
	key, err := s.Ring.Ensure(ctx, keyring.Class(class))
	if err != nil {
		return "", fmt.Errorf("key of subscribers: %w", err)
	}
	mac := key.MAC("unsubscribe", id)
	return id + "." + base64.RawURLEncoding.EncodeToString(mac[:24]), nil
}

// Unsubscribe ends letters to whoever has the link, and erases the address. A second time
// it does nothing.
func (s *Service) Unsubscribe(ctx context.Context, who actor.Actor, token secret.Text) error {
	id, err := s.holder(ctx, token)
	if err != nil {
		return err
	}
	return s.drop(ctx, who, id, Unsubscribed{Subscriber: id})
}

// holder is the subscriber whose link this is.
func (s *Service) holder(ctx context.Context, token secret.Text) (string, error) {
	id, _, _ := strings.Cut(token.Reveal(), ".")
	want, err := s.unsubscribeToken(ctx, id)
	if err != nil {
		return "", err
	}
	if !secret.NewText(want).Equal(token) {
		return "", dead()
	}
	return id, nil
}

// drop ends a subscription and erases how it was reached; where there is none it does nothing.
func (s *Service) drop(ctx context.Context, who actor.Actor, id string, ev ledger.Event) error {
	if err := ledger.One(ctx, s.DB, subscriberRow, []any{new(string)}, id); errors.Is(err, fault.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		for _, q := range []string{dropNotices, dropSubscriber} {
			if _, err := tx.Exec(ctx, q, id); err != nil {
				return nil, err
			}
		}
		return ev, nil
	})
	if err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	if _, err := s.Ring.Erase(ctx, keyring.Subject{Kind: subscriberKind, ID: id}); err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Gone) {
		return fmt.Errorf("erase the address: %w", err)
	}
	return nil
}

// Chosen are the components that whoever has the link is told of; none = all.
func (s *Service) Chosen(ctx context.Context, token secret.Text) ([]string, error) {
	id, err := s.holder(ctx, token)
	if err != nil {
		return nil, err
	}
	var parts string
	if err := ledger.One(ctx, s.DB, partsOf, []any{&parts}, id); errors.Is(err, fault.NotFound) {
		return nil, dead()
	} else if err != nil {
		return nil, err
	}
	return strings.Fields(parts), nil
}

// Choose has whoever has the link told of some components; none = all.
func (s *Service) Choose(ctx context.Context, who actor.Actor, token secret.Text, chosen []string) error {
	id, err := s.holder(ctx, token)
	if err != nil {
		return err
	}
	parts, err := s.parts(ctx, chosen)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, setParts, id, parts)
		if err == nil && n != 1 {
			err = dead()
		}
		return SubscriptionSet{Subscriber: id, Components: strings.Fields(parts)}, err
	})
	return err
}

// Audience counts who is told of updates.
type Audience struct {
	Addresses, Hooks int64
	Suspended        int64 // refused too many messages
	Waiting          int64 // notices that are not sent yet
	Since            time.Time
}

// Subscribers counts who is told of updates.
func (s *Service) Subscribers(ctx context.Context) (a Audience, err error) {
	var since int64
	err = errors.Join(ledger.One(ctx, s.DB, countSubscribers, []any{&a.Addresses, &a.Hooks, &a.Suspended}),
		ledger.One(ctx, s.DB, countNotices, []any{&a.Waiting, &since}))
	if since != 0 {
		a.Since = at(since)
	}
	return a, err
}

func confirmLetter(s *Service, to string, token secret.Text) (letters.Message, error) {
	return letters.Letter{Company: s.Company(), Title: "Do you want to be told of incidents?",
		Lines: []string{"Somebody, we hope you, asked that updates of our status page are sent to this address."},
		Link:  &letters.Link{Text: "Yes, send them", URL: s.Origin + At + "/confirm/" + token.Reveal()},
		Foot:  []string{"Asked for on " + stamp(s.Now()) + ". The link works for 24 hours.", "If it was not you, do nothing: then nothing is sent."}}.Message(to, "incident.subscribe")
}

const (
	byMark   = `SELECT id FROM incident_status_subscriber WHERE mark = $1`
	askAgain = `UPDATE incident_status_subscriber SET token = $2, until = $3, asked = CASE WHEN asked <= $5 THEN $4 ELSE asked END, tries = CASE WHEN asked <= $5 THEN 1 ELSE tries + 1 END
		WHERE mark = $1 AND (confirmed IS NULL OR suspended IS NOT NULL) AND (asked <= $5 OR tries < $6)`
	insertSubscriber = `INSERT INTO incident_status_subscriber (id, mark, box, token, until, asked, tries, confirmed, kind, parts) VALUES ($1, $2, $3, $4, $5, $6, 1, NULL, $7, $8)`
	byToken          = `SELECT id, box FROM incident_status_subscriber WHERE token = $1 AND until > $2 AND kind = $3 AND (confirmed IS NULL OR suspended IS NOT NULL)`
	confirm          = `UPDATE incident_status_subscriber SET confirmed = $3, token = '', box = $4, refused = 0, bounced = 0, suspended = NULL WHERE id = $1 AND token = $2 AND (confirmed IS NULL OR suspended IS NOT NULL) AND until > $3`
	dropUnconfirmed  = `DELETE FROM incident_status_subscriber WHERE confirmed IS NULL AND until <= $1`
	subscriberRow    = `SELECT id FROM incident_status_subscriber WHERE id = $1`
	dropSubscriber   = `DELETE FROM incident_status_subscriber WHERE id = $1`
	dropNotices      = `DELETE FROM incident_status_notice WHERE subscriber = $1`
	partsOf          = `SELECT parts FROM incident_status_subscriber WHERE id = $1 AND confirmed IS NOT NULL`
	setParts         = `UPDATE incident_status_subscriber SET parts = $2 WHERE id = $1 AND confirmed IS NOT NULL`
	countSubscribers = `SELECT COALESCE(SUM(CASE WHEN kind = 'mail' AND suspended IS NULL THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN kind <> 'mail' AND suspended IS NULL THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(CASE WHEN suspended IS NOT NULL THEN 1 ELSE 0 END), 0) FROM incident_status_subscriber WHERE confirmed IS NOT NULL`
	countNotices = `SELECT COUNT(*), COALESCE(MIN(n.made), 0) FROM incident_status_notice n JOIN incident_status_subscriber s ON s.id = n.subscriber WHERE n.state = 'queued' AND s.suspended IS NULL`
	dropNetworks = `DELETE FROM incident_status_network WHERE since <= $1`
	countTry     = `INSERT INTO incident_status_network (mark, since, tries) VALUES ($1, $2, 1) ON CONFLICT (mark) DO UPDATE SET tries = incident_status_network.tries + 1`
	triesOf      = `SELECT tries FROM incident_status_network WHERE mark = $1`
)
