package notify

import (
	"context"
	"time"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// The states of a delivery. Claimed: a node is about to try. Sent: it began to hand the
// message over, so a process that ends here leaves it unknown.
const (
	Queued   = "queued"
	Claimed  = "claimed"
	Sent     = "sent"
	Accepted = "accepted"
	Deferred = "deferred"
	Rejected = "rejected"
	Unknown  = "unknown"

	Delivered = "delivered" // its host said later that it lies in the box
	Bounced   = "bounced"   // or that it does not
)

// Delivery is one message on one channel to one address.
type Delivery struct {
	ID       string
	Channel  string
	About    string // kind/id
	Severity string
	State    string
	Tries    int64
	Made     time.Time
	Due      time.Time // of the next try, while it waits
	Ended    time.Time
	Code     string // of the last answer
	Repeat   bool
	Attempts []Attempt // of Deliveries with one id alone

	message     string
	held, epoch int64
	box         []byte
}

// Attempt is one try.
type Attempt struct {
	N        int64
	At       time.Time
	Took     time.Duration
	Peer     string
	Outcome  string
	Code     string
	Enhanced string // of SMTP
	Text     string // of the answer; "" once it was forgotten
	TLS      string // version of the connection, such as TLS 1.3; "" = it was not encrypted, or there was none
}

// Query selects deliveries. Empty members select all.
type Query struct {
	About string // kind/id
	State string
	Limit int // 1 to 500; 0 = 100
}

// Deliveries lists them, the newest first.
func (s *Service) Deliveries(ctx context.Context, q Query) ([]Delivery, error) {
	if q.Limit <= 0 || q.Limit > 500 {
		q.Limit = 100
	}
	return s.read(ctx, s.DB, listDeliveries, q.About, q.State, q.Limit)
}

// Delivery reads one with its tries and the words of the answers.
func (s *Service) Delivery(ctx context.Context, id string) (Delivery, error) {
	d, err := s.one(ctx, s.DB, id)
	if err != nil {
		return d, err
	}
	var boxes [][]byte
	err = s.DB.Each(ctx, listAttempts, func(scan ledger.Scan) error {
		var a Attempt
		var when, took int64
		var box []byte
		if err := scan(&a.N, &when, &took, &a.Peer, &a.Outcome, &a.Code, &a.Enhanced, &box, &a.TLS); err != nil {
			return err
		}
		a.At, a.Took = at(when), time.Duration(took)*time.Microsecond
		d.Attempts, boxes = append(d.Attempts, a), append(boxes, box)
		return nil
	}, id)
	for i, box := range boxes {
		if len(box) == 0 {
			continue
		}
		text, err := s.open(ctx, box, place("notify_attempt", id))
		if err != nil {
			return d, err
		}
		d.Attempts[i].Text = string(text.Reveal())
	}
	return d, err //nolint:wrapcheck // the ledger says what failed
}

// Failing counts deliveries since a time that were rejected, came back or are unknown, by channel.
func (s *Service) Failing(ctx context.Context, since time.Time) (map[string]int64, error) {
	out := map[string]int64{}
	err := s.DB.Each(ctx, countFailing, func(scan ledger.Scan) error {
		var name string
		var n int64
		if err := scan(&name, &n); err != nil {
			return err
		}
		out[name] = n
		return nil
	}, since.UnixMicro())
	return out, err //nolint:wrapcheck // the ledger says what failed
}

func (s *Service) one(ctx context.Context, r ledger.Reader, id string) (Delivery, error) {
	ds, err := s.read(ctx, r, oneDelivery, id)
	if err != nil {
		return Delivery{}, err
	}
	if len(ds) == 0 {
		return Delivery{}, fault.New(fault.NotFound, "delivery_unknown", fault.Public{Problem: "There is no such delivery.", Next: "Look at: writ watch deliveries"})
	}
	return ds[0], nil
}

func (s *Service) read(ctx context.Context, r ledger.Reader, query string, args ...any) (out []Delivery, err error) {
	err = r.Each(ctx, query, func(scan ledger.Scan) error {
		var d Delivery
		var made, due, ended int64
		if err := scan(&d.ID, &d.message, &d.Channel, &d.About, &d.Severity, &d.Repeat, &d.State, &d.Tries, &made, &due, &d.held, &d.epoch, &ended, &d.Code, &d.box); err != nil {
			return err
		}
		d.Made, d.Due, d.Ended = at(made), at(due), at(ended)
		out = append(out, d)
		return nil
	}, args...)
	return out, err //nolint:wrapcheck // the ledger says what failed
}

// open opens a box by the key that it names.
func (s *Service) open(ctx context.Context, box []byte, aad envelope.AAD) (secret.Bytes, error) {
	id, err := envelope.KeyID(box)
	if err != nil {
		return secret.Bytes{}, err //nolint:wrapcheck // says which box is damaged
	}
	k, err := s.Keys.ByID(ctx, id)
	if err != nil {
		return secret.Bytes{}, err //nolint:wrapcheck // says which key
	}
	return k.Open(box, aad) //nolint:wrapcheck // says which box is damaged
}

const (
	columns        = `id, message, channel, about, severity, repeat, state, tries, made, due, held, epoch, ended, code, box`
	listDeliveries = `SELECT ` + columns + ` FROM notify_delivery WHERE (about = $1 OR $1 = '') AND (state = $2 OR $2 = '') ORDER BY id DESC LIMIT $3`
	oneDelivery    = `SELECT ` + columns + ` FROM notify_delivery WHERE id = $1`
	listAttempts   = `SELECT n, at, took, peer, outcome, code, enhanced, box, tls FROM notify_attempt WHERE delivery = $1 ORDER BY n`
	countFailing   = `SELECT channel, count(*) FROM notify_delivery WHERE state IN ('rejected', 'unknown', 'bounced') AND ended >= $1 GROUP BY channel`
)
