package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/secret"
)

const (
	jobKind   = "notify.send"
	sendLimit = 45 * time.Second
	holdFor   = sendLimit + 15*time.Second
	giveUp    = 24 * time.Hour     // after the message was made
	keepOn    = 5 * 24 * time.Hour // likewise, of a letter that is no alarm: mail servers try as long
	mostText  = 512                // bytes of an answer that are kept
	repeats   = "This may repeat an earlier message: no answer came to that one."
)

// waits are the pauses before the second try and those after it; the last one stays.
var waits = []time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute}

// try is a message at its way.
type try struct {
	said
	id    string // of the delivery: the same at each try
	to    string
	made  time.Time
	n     int64
	again bool // nobody knows what became of an earlier try
}

// outcome is how a try ended.
type outcome struct {
	state    string // accepted, deferred, rejected, unknown
	code     string
	enhanced string
	text     string
	peer     string
	tls      string        // version of the connection; "" = it was not encrypted, or there was none
	wait     time.Duration // that the receiver asked for
}

// run is one job: one try of one delivery.
func (s *Service) run(ctx context.Context, payload secret.Bytes) error {
	id := string(payload.Reveal())
	d, err := s.claim(ctx, id)
	if err != nil || d == nil {
		return err
	}
	t, c, out, err := s.ready(ctx, d)
	if err != nil {
		return err
	}
	began := s.Now()
	if out == nil {
		if wait := s.peers.wait(began, c.peer(), atChannel+c.Name); wait > 0 {
			return s.putOff(ctx, d, wait)
		}
		if err := s.mark(ctx, d, Sent); err != nil {
			return err
		}
		o := s.send(ctx, c, t)
		out = &o
		s.peers.heard(s.Now(), c.peer(), out)
		s.peers.asked(s.Now(), atChannel+c.Name, out.wait)
	}
	return s.settle(context.WithoutCancel(ctx), d, out, began)
}

// claim takes a delivery; nil = there is nothing to do. One that a former process had begun
// to hand over is not taken: nobody knows whether it arrived.
func (s *Service) claim(ctx context.Context, id string) (*Delivery, error) {
	var d Delivery
	var mine bool
	now := s.Now()
	err := s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) (err error) {
		mine = false
		if d, err = s.one(ctx, tx, id); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, claimDelivery, id, d.epoch, now.Add(holdFor).UnixMicro(), now.UnixMicro())
		mine = n == 1
		return err
	})
	switch {
	case errors.Is(err, fault.NotFound):
		return nil, nil //nolint:nilnil // forgotten in between
	case err != nil:
		return nil, err //nolint:wrapcheck // the ledger says what failed
	case mine && d.State == Sent:
		d.epoch++
		return nil, s.settle(ctx, &d, &outcome{state: Unknown, code: "ended", text: "the server ended while it was handed over"}, now)
	case mine:
		d.epoch, d.Tries = d.epoch+1, d.Tries+1
		return &d, nil
	case d.State == Claimed || d.State == Sent:
		return nil, fault.Newf(fault.Conflict, "delivery_held", "another node is at it")
	}
	return nil, nil //nolint:nilnil // it ended
}

// ready opens the message and its channel; an outcome instead, where there is nothing to try.
func (s *Service) ready(ctx context.Context, d *Delivery) (*try, *channel, *outcome, error) {
	t := &try{id: d.ID, made: d.Made, n: d.Tries}
	var body []byte
	if err := ledger.One(ctx, s.DB, `SELECT box FROM notify_message WHERE id = $1`, []any{&body}, d.message); err != nil {
		return nil, nil, nil, err //nolint:wrapcheck // the ledger says what failed
	}
	text, err := s.open(ctx, body, place("notify_message", d.message))
	if err != nil {
		return nil, nil, nil, err
	}
	if err := json.Unmarshal(text.Reveal(), &t.said); err != nil {
		return nil, nil, nil, fmt.Errorf("decode a message: %w", err)
	}
	to, err := s.open(ctx, d.box, place("notify_delivery", d.ID))
	if err != nil {
		return nil, nil, nil, err
	}
	t.to = string(to.Reveal())
	var n int64
	if err := ledger.One(ctx, s.DB, `SELECT count(*) FROM notify_attempt WHERE delivery = $1 AND outcome = 'unknown'`, []any{&n}, d.ID); err != nil {
		return nil, nil, nil, err //nolint:wrapcheck // the ledger says what failed
	}
	t.again = n > 0
	c, err := s.channel(ctx, d.Channel)
	if errors.Is(err, fault.NotFound) {
		return nil, nil, &outcome{state: Rejected, code: "no_channel", text: "the channel was removed"}, nil
	}
	if err == nil && d.Tries > 1 && s.Now().Sub(d.Made) > d.patience() {
		return nil, nil, &outcome{state: Rejected, code: "too_late", text: "it was tried for as long as it may be"}, nil
	}
	if err == nil && t.Act != "" {
		if wait, err := s.early(ctx, d); err != nil || wait {
			return nil, nil, &outcome{state: Deferred, code: "in_order", text: "the message about the alarm itself still waits"}, err
		}
	}
	return t, c, nil, err
}

// patience is for how long it is tried. What is an alarm helps nobody days later.
func (d *Delivery) patience() time.Duration {
	if d.Channel == Mail && !d.Repeat {
		return keepOn
	}
	return giveUp
}

// putOff leaves a delivery for later without a try, because its peer rests. What waits for the
// same rest does not come back in the same moment.
func (s *Service) putOff(ctx context.Context, d *Delivery, wait time.Duration) error {
	wait += rand.N(wait/10 + time.Second)
	job, err := s.Jobs.Prepare(ctx, lane(d.Channel), []byte(d.ID))
	if err != nil {
		return err //nolint:wrapcheck // says which act
	}
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error { //nolint:wrapcheck // the ledger says what failed
		n, err := tx.Exec(ctx, putOffDelivery, d.ID, d.epoch, us(tx.Now().Add(wait)))
		if err != nil || n == 0 {
			return err // somebody else is at it: the fence
		}
		return s.Jobs.Enqueue(ctx, tx, job.In(wait))
	})
}

// mark writes a state down, under the fence.
func (s *Service) mark(ctx context.Context, d *Delivery, state string) error {
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error { return marked(ctx, tx, d, state) }) //nolint:wrapcheck // the ledger says what failed
}

func marked(ctx context.Context, tx *ledger.Tx, d *Delivery, state string) error {
	n, err := tx.Exec(ctx, `UPDATE notify_delivery SET state = $3 WHERE id = $1 AND epoch = $2`, d.ID, d.epoch, state)
	if err == nil && n == 0 {
		return fault.Newf(fault.Conflict, "delivery_lost", "another node took it over")
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

// send hands a message to its way.
func (s *Service) send(ctx context.Context, c *channel, t *try) outcome {
	switch c.Kind {
	case Mail:
		return s.letter(ctx, t)
	case File:
		return s.file(t)
	case Command:
		return s.command(ctx, c, t)
	}
	return s.direct(ctx, c, t)
}

// letter sends it by mail. The id of the letter comes from the delivery, so that a mailbox
// knows a repetition; letters about one thing hang under its first.
func (s *Service) letter(ctx context.Context, t *try) outcome {
	l := mail.Letter{Company: s.Company(), Title: t.Subject, Lines: strings.Split(t.Text, "\n\n"), Link: t.Link}
	if t.again {
		l.Foot = append(l.Foot, repeats)
	}
	msg, err := l.Message(t.to, "notify."+t.Severity)
	if err != nil {
		return outcome{state: Rejected, code: "letter", text: err.Error()}
	}
	msg.ID = t.id + "@writ"
	if t.Thread != "" {
		msg.Refs = t.Thread + "@writ"
	}
	a, err := s.Mail.Deliver(ctx, msg)
	out := outcome{state: Accepted, code: strconv.Itoa(a.Code), enhanced: a.Enhanced, text: a.Text, tls: a.TLS}
	switch {
	case err == nil:
	case errors.Is(err, fault.Invalid), a.Code >= 500 && a.Code < 600:
		out.state = Rejected
	case a.Handed && a.Code == 0:
		out.state = Unknown
	default:
		out.state = Deferred
	}
	if a.Code == 0 {
		out.code = noAnswer
	}
	if err != nil && out.text == "" {
		out.text = err.Error()
	}
	return out
}

// settle writes down how a try ended, and when the next one is.
func (s *Service) settle(ctx context.Context, d *Delivery, out *outcome, began time.Time) error { // clause: mon.notify
	k, err := s.Keys.Ensure(ctx, messageKey)
	if err != nil {
		return fmt.Errorf("key of messages: %w", err)
	}
	text := strings.ToValidUTF8(out.text[:min(len(out.text), mostText)], "")
	box := k.Seal([]byte(text), place("notify_attempt", d.ID))
	job, err := s.Jobs.Prepare(ctx, lane(d.Channel), []byte(d.ID))
	if err != nil {
		return err //nolint:wrapcheck // says which act
	}
	wait := max(pause(d.Tries), out.wait)
	again := out.state == Deferred || out.state == Unknown && d.Repeat
	x, err := s.refusing(ctx, d, out)
	if err != nil {
		return err
	}
	write := func(tx *ledger.Tx) error {
		state, due, ended := out.state, int64(0), us(tx.Now())
		if again {
			state, due, ended = Deferred, us(tx.Now().Add(wait)), 0
		}
		n, err := tx.Exec(ctx, settleDelivery, d.ID, d.epoch, state, due, ended, out.code, max(d.Tries, 1))
		if err != nil || n == 0 {
			return err // somebody else is at it: the fence
		}
		took := tx.Now().Sub(began).Microseconds()
		if _, err := tx.Exec(ctx, insertAttempt, d.ID, us(tx.Now()), max(took, 0), out.peer, out.state, out.code, out.enhanced, box, out.tls); err != nil {
			return err
		}
		if out.state == Accepted && strings.HasPrefix(d.About, aboutTest) {
			if _, err := tx.Exec(ctx, `UPDATE notify_channel SET accepted = $2 WHERE name = $1`, d.Channel, us(tx.Now())); err != nil {
				return err
			}
		}
		if again {
			return s.Jobs.Enqueue(ctx, tx, job.In(wait))
		}
		if x != nil {
			return x.count(ctx, tx, "failed", out.enhanced)
		}
		return nil
	}
	var ev ledger.Event
	switch out.state {
	case Accepted:
		ev = MessageAccepted{Delivery: d.ID, Channel: d.Channel, On: d.About, Code: out.code, Tries: d.Tries}
	case Rejected:
		ev = MessageRejected{Delivery: d.ID, Channel: d.Channel, On: d.About, Code: out.code, Tries: d.Tries}
	case Unknown:
		ev = MessageLeftUnknown{Delivery: d.ID, Channel: d.Channel, On: d.About, Code: out.code, Again: again}
	default:
		return s.DB.Quiet(ctx, ledger.JobState, write) //nolint:wrapcheck // the ledger says what failed
	}
	_, err = s.DB.Change(ctx, actor.System("notify"), func(tx *ledger.Tx) (ledger.Event, error) { return ev, write(tx) })
	return err //nolint:wrapcheck // the ledger says what failed
}

// pause is the time before the try after the nth, ± 20 %.
func pause(n int64) time.Duration {
	d := waits[min(max(n, 1)-1, int64(len(waits)-1))]
	return d - d/5 + rand.N(2*d/5)
}

const (
	claimDelivery = `UPDATE notify_delivery SET held = $3, epoch = epoch + 1,
		state = CASE WHEN state = 'sent' THEN 'sent' ELSE 'claimed' END,
		tries = CASE WHEN state = 'sent' THEN tries ELSE tries + 1 END
		WHERE id = $1 AND epoch = $2 AND (state IN ('queued', 'deferred') OR state IN ('claimed', 'sent') AND held <= $4)`
	putOffDelivery = `UPDATE notify_delivery SET state = 'deferred', due = $3, code = 'peer_rests', tries = tries - 1, held = 0 WHERE id = $1 AND epoch = $2 AND state = 'claimed'`
	settleDelivery = `UPDATE notify_delivery SET state = $3, due = $4, ended = $5, code = $6, tries = $7, held = 0 WHERE id = $1 AND epoch = $2 AND state IN ('claimed', 'sent')`
	insertAttempt  = `INSERT INTO notify_attempt (delivery, n, at, took, peer, outcome, code, enhanced, box, tls)
		VALUES ($1, (SELECT count(*) + 1 FROM notify_attempt WHERE delivery = $1), $2, $3, $4, $5, $6, $7, $8, $9)`
)
