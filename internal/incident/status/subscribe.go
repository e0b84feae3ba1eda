package status

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
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
func (s *Service) Subscribe(ctx context.Context, who actor.Actor, address, network string) error {
	a, err := mail.ParseAddress(strings.TrimSpace(address))
	if err != nil || len(address) > 254 || a.Name != "" || !strings.Contains(a.Address, "@") || strings.ContainsAny(a.Address, "\r\n ") {
		return fault.New(fault.Invalid, "email", fault.Public{Problem: "This is no e-mail address.", Fields: []fault.Field{{Name: "email", Code: "email", Problem: "This is no e-mail address."}}})
	}
	to := strings.ToLower(a.Address)
	key, err := s.Ring.Ensure(ctx, keyring.Class(class))
	if err != nil {
		return fmt.Errorf("key of subscribers: %w", err)
	}
	mac := key.MAC("address", to)
	mark := hex.EncodeToString(mac[:16])
	net := key.MAC("network", network)
	id, known, err := s.subscriberOf(ctx, mark)
	if err != nil {
		return err
	}
	if !known {
		id = s.DB.ID()
	}
	// Until it is confirmed nobody is a subject: whoever asks here has no key made, and the time
	// that it takes does not tell who is known.
	box := key.Seal([]byte(to), boxed(boxColumn, id))
	token := secret.RandomText(24)
	ask, err := s.Letters.Prepare(ctx, must(confirmLetter(s, to, token)))
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := countNetwork(ctx, tx, hex.EncodeToString(net[:16])); err != nil {
			return nil, err
		}
		now, hour := us(tx.Now()), us(tx.Now().Add(-time.Hour))
		if _, err := tx.Exec(ctx, dropUnconfirmed, hour); err != nil {
			return nil, err
		}
		n, err := tx.Exec(ctx, askAgain, mark, sum(token), us(tx.Now().Add(confirmWithin)), now, hour, perAddress)
		if err == nil && n == 0 && !known {
			n, err = tx.Exec(ctx, insertSubscriber, id, mark, box, sum(token), us(tx.Now().Add(confirmWithin)), now)
		}
		if err == nil && n == 1 {
			err = s.Letters.Enqueue(ctx, tx, ask)
		}
		return SubscriptionAsked{Subscriber: id, Network: network}, err
	})
	if errors.Is(err, fault.Limited) {
		return s.DB.Refuse(ctx, who, SubscriptionRefused{Network: network}, err)
	}
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	return nil
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
	if err := ledger.One(ctx, s.DB, byToken, []any{&id, &box}, sum(token), us(s.Now())); errors.Is(err, fault.NotFound) {
		return dead()
	} else if err != nil {
		return err
	}
	to, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, id), box)
	if err != nil {
		return err
	}
	own, err := s.seal(ctx, keyring.Subject{Kind: subscriberKind, ID: id}, boxColumn, id, to.Reveal())
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, confirm, id, sum(token), us(tx.Now()), own)
		if err == nil && n != 1 {
			err = dead()
		}
		return Subscribed{Subscriber: id}, err
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
	id, _, _ := strings.Cut(token.Reveal(), ".")
	want, err := s.unsubscribeToken(ctx, id)
	if err != nil {
		return err
	}
	if !secret.NewText(want).Equal(token) {
		return dead()
	}
	if err := ledger.One(ctx, s.DB, subscriberRow, []any{new(string)}, id); errors.Is(err, fault.NotFound) {
		return nil
	} else if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, dropSubscriber, id)
		return Unsubscribed{Subscriber: id}, err
	})
	if err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	if _, err := s.Ring.Erase(ctx, keyring.Subject{Kind: subscriberKind, ID: id}); err != nil && !errors.Is(err, fault.NotFound) && !errors.Is(err, fault.Gone) {
		return fmt.Errorf("erase the address: %w", err)
	}
	return nil
}

// Subscribers counts who is told of updates.
func (s *Service) Subscribers(ctx context.Context) (n int64, err error) {
	err = ledger.One(ctx, s.DB, countSubscribers, []any{&n})
	return n, err
}

// Notices prepares a letter to each subscriber about a post. Queue them in its change.
func (s *Service) Notices(ctx context.Context, p Post) ([]jobs.Job, error) {
	title := p.Title
	if err := ledger.One(ctx, s.DB, publicOf, []any{new(string), &title, new(string)}, p.Case); err != nil && !errors.Is(err, fault.NotFound) {
		return nil, err
	}
	return s.toAll(ctx, func(to, end string) (letters.Message, error) { return updateLetter(s, to, title, p, end) })
}

// toAll prepares a letter to each subscriber; end is the link that ends them.
func (s *Service) toAll(ctx context.Context, letter func(to, end string) (letters.Message, error)) ([]jobs.Job, error) {
	type row struct {
		id  string
		box []byte
	}
	var rows []row
	if err := s.DB.Each(ctx, confirmed, func(scan ledger.Scan) error {
		var r row
		err := scan(&r.id, &r.box)
		rows = append(rows, r)
		return err
	}); err != nil {
		return nil, fmt.Errorf("read subscribers: %w", err)
	}
	var out []jobs.Job
	for _, r := range rows {
		to, err := keyring.OpenBox(ctx, s.Ring, boxed(boxColumn, r.id), r.box)
		if errors.Is(err, fault.Gone) {
			continue // unsubscribed at this moment
		}
		if err != nil {
			return nil, err
		}
		end, err := s.unsubscribeToken(ctx, r.id)
		if err != nil {
			return nil, err
		}
		m, err := letter(string(to.Reveal()), s.Origin+At+"/unsubscribe/"+end)
		if err != nil {
			return nil, err
		}
		j, err := s.Letters.Prepare(ctx, m)
		if err != nil {
			return nil, err
		}
		out = append(out, j)
	}
	return out, nil
}

func confirmLetter(s *Service, to string, token secret.Text) (letters.Message, error) {
	return letters.Letter{Company: s.Company(), Title: "Do you want to be told of incidents?",
		Lines: []string{"Somebody, we hope you, asked that updates of our status page are sent to this address."},
		Link:  &letters.Link{Text: "Yes, send them", URL: s.Origin + At + "/confirm/" + token.Reveal()},
		Foot:  []string{"Asked for on " + stamp(s.Now()) + ". The link works for 24 hours.", "If it was not you, do nothing: then nothing is sent."}}.Message(to, "incident.subscribe")
}

func updateLetter(s *Service, to, title string, p Post, end string) (letters.Message, error) {
	m, err := letters.Letter{Company: s.Company(), Title: Word(p.State) + ": " + title,
		Lines: strings.Split(told(Shown{Body: p.Body, Estimate: p.Estimate, Next: p.Next, Corrects: p.Corrects}), "\n\n"),
		Link:  &letters.Link{Text: "See it on the status page", URL: s.Origin + At},
		Foot:  []string{"You asked to be told of incidents. To end this: " + end}}.Message(to, "incident.update")
	m.Unsubscribe = end
	return m, err
}

const (
	byMark   = `SELECT id FROM incident_status_subscriber WHERE mark = $1`
	askAgain = `UPDATE incident_status_subscriber SET token = $2, until = $3, asked = CASE WHEN asked <= $5 THEN $4 ELSE asked END, tries = CASE WHEN asked <= $5 THEN 1 ELSE tries + 1 END
		WHERE mark = $1 AND confirmed IS NULL AND (asked <= $5 OR tries < $6)`
	insertSubscriber = `INSERT INTO incident_status_subscriber (id, mark, box, token, until, asked, tries, confirmed) VALUES ($1, $2, $3, $4, $5, $6, 1, NULL)`
	byToken          = `SELECT id, box FROM incident_status_subscriber WHERE token = $1 AND until > $2 AND confirmed IS NULL`
	confirm          = `UPDATE incident_status_subscriber SET confirmed = $3, token = '', box = $4 WHERE id = $1 AND token = $2 AND confirmed IS NULL AND until > $3`
	dropUnconfirmed  = `DELETE FROM incident_status_subscriber WHERE confirmed IS NULL AND until <= $1`
	subscriberRow    = `SELECT id FROM incident_status_subscriber WHERE id = $1`
	dropSubscriber   = `DELETE FROM incident_status_subscriber WHERE id = $1`
	countSubscribers = `SELECT COUNT(*) FROM incident_status_subscriber WHERE confirmed IS NOT NULL`
	confirmed        = `SELECT id, box FROM incident_status_subscriber WHERE confirmed IS NOT NULL ORDER BY id`
	dropNetworks     = `DELETE FROM incident_status_network WHERE since <= $1`
	countTry         = `INSERT INTO incident_status_network (mark, since, tries) VALUES ($1, $2, 1) ON CONFLICT (mark) DO UPDATE SET tries = incident_status_network.tries + 1`
	triesOf          = `SELECT tries FROM incident_status_network WHERE mark = $1`
)
