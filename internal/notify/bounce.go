package notify

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

const (
	softDays   = 3              // letters that came back on so many days make an address count as unreachable
	softApart  = 20 * time.Hour // what comes back sooner is of the same day
	keepDead   = 365 * 24 * time.Hour
	mostStrays = 60 // reports about nothing of ours that are looked at in an hour
	codeStray  = "report_stray"
)

var addressKey = keyring.Class("notify.address")

// Bounce records what a mail system says of letters: a delivery bounced, was delivered or is
// late; whoever keeps letters of their own is asked where it is no delivery. A report about no
// letter of ours, or about another receiver of it, is refused: anybody can write one. It
// returns how many receivers it was about.
func (s *Service) Bounce(ctx context.Context, who actor.Actor, raw io.Reader) (int, error) { // clause: mon.notify
	reports, err := ReadReport(raw)
	if err != nil {
		return 0, s.stray(ctx, who, "report_invalid", err)
	}
	for n := range reports {
		if err := s.bounce(ctx, who, &reports[n]); err != nil {
			return n, err
		}
	}
	return len(reports), nil
}

func (s *Service) bounce(ctx context.Context, who actor.Actor, r *Report) error {
	d, err := s.one(ctx, s.DB, r.Letter)
	if r.Letter == "" || errors.Is(err, fault.NotFound) {
		return s.ofOthers(ctx, who, r)
	}
	if err != nil {
		return err
	}
	to, err := s.addressOf(ctx, &d)
	if err != nil {
		return err
	}
	if d.Channel != Mail || to == "" || !strings.EqualFold(to, r.Address) {
		return s.stray(ctx, who, codeStray, stray())
	}
	return s.report(ctx, who, &d, r)
}

func stray() error {
	return fault.New(fault.NotFound, codeStray, fault.Public{Problem: "The notice is about no letter that was sent from here to that address.", Expected: "A notice within a month of the letter, about its own receiver."})
}

// stray records that a report was refused. Beyond some an hour they are put off instead: who
// floods the intake does not write the journal.
func (s *Service) stray(ctx context.Context, who actor.Actor, code string, err error) error {
	s.mu.Lock()
	if now := s.Now(); now.Sub(s.hour) >= time.Hour || now.Before(s.hour) {
		s.hour, s.strays = now, 0
	}
	s.strays++
	n := s.strays
	s.mu.Unlock()
	if n > mostStrays {
		return fault.New(fault.Limited, "reports_many", fault.Public{Problem: "Very many notices were about nothing that was sent from here.", Next: "Try again in an hour."})
	}
	return s.DB.Refuse(ctx, who, ReportRefused{Code: code}, err) //nolint:wrapcheck // a fault for the reader
}

// addressOf opens the address of a delivery; "" = it was forgotten.
func (s *Service) addressOf(ctx context.Context, d *Delivery) (string, error) {
	if len(d.box) == 0 {
		return "", nil
	}
	b, err := s.open(ctx, d.box, place("notify_delivery", d.ID))
	return string(b.Reveal()), err
}

// report writes down what became of a delivery after it was taken.
func (s *Service) report(ctx context.Context, who actor.Actor, d *Delivery, r *Report) error {
	k, err := s.Keys.Ensure(ctx, messageKey)
	if err != nil {
		return fmt.Errorf("key of messages: %w", err)
	}
	x, err := s.addressee(ctx, r.Address)
	if err != nil {
		return err
	}
	box := k.Seal([]byte(r.Text[:min(len(r.Text), mostText)]), place("notify_attempt", d.ID))
	state, ev := r.ends(d)
	write := func(tx *ledger.Tx) error {
		now := us(tx.Now())
		if state != "" {
			n, err := tx.Exec(ctx, bounceDelivery, d.ID, state, now, r.Status)
			if err == nil && n == 0 {
				err = fault.Newf(fault.Conflict, "delivery_state", "The delivery has an end already.")
			}
			if err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, insertAttempt, d.ID, now, 0, r.Host, cmp.Or(state, "delayed"), r.Action, r.Status, box, ""); err != nil {
			return err
		}
		return x.count(ctx, tx, r.Action, r.Status)
	}
	if state == "" {
		return s.DB.Quiet(ctx, ledger.JobState, write) //nolint:wrapcheck // the ledger says what failed
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) { return ev, write(tx) })
	if errors.Is(err, fault.Conflict) { // the same report again
		return nil
	}
	return err //nolint:wrapcheck // the ledger says what failed
}

// ends is the state that a report puts a delivery into; "" = it goes on.
func (r *Report) ends(d *Delivery) (string, ledger.Event) {
	switch r.Action {
	case "failed":
		return Bounced, MessageBounced{Delivery: d.ID, Channel: d.Channel, On: d.About, Code: r.Status, Hard: Hard(r.Status)}
	case "delivered":
		return Delivered, MessageDelivered{Delivery: d.ID, Channel: d.Channel, On: d.About}
	}
	return "", nil
}

// Keeper keeps letters of its own.
type Keeper interface {
	// Returned takes a report about one of them, and says whether it is: under that id, to that
	// address.
	Returned(ctx context.Context, who actor.Actor, r Report) (bool, error)
}

// ofOthers asks the keepers whose letter a report is about, and counts it for its address.
func (s *Service) ofOthers(ctx context.Context, who actor.Actor, r *Report) error {
	x, err := s.addressee(ctx, r.Address)
	if err != nil {
		return err
	}
	if r.Gone, err = s.endsAddress(ctx, x, r); err != nil {
		return err
	}
	known := false
	if s.Keepers != nil && r.Letter != "" {
		for _, k := range s.Keepers() {
			if known, err = k.Returned(ctx, who, *r); err != nil || known {
				break
			}
		}
	}
	if err != nil {
		return err //nolint:wrapcheck // says whose letter
	}
	if !known {
		return s.stray(ctx, who, codeStray, stray())
	}
	return s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error { return x.count(ctx, tx, r.Action, r.Status) }) //nolint:wrapcheck // the ledger says what failed
}

// addressee is an address as it is counted.
type addressee struct {
	mark string
	box  []byte
}

func (s *Service) addressee(ctx context.Context, address string) (addressee, error) {
	k, err := s.Keys.Ensure(ctx, addressKey)
	if err != nil {
		return addressee{}, fmt.Errorf("key of addresses: %w", err)
	}
	mac := k.MAC("address", strings.ToLower(address))
	mark := hex.EncodeToString(mac[:16])
	return addressee{mark: mark, box: k.Seal([]byte(address), place("notify_address", mark))}, nil
}

// endsAddress reports whether an address counts as unreachable once a report is counted.
func (s *Service) endsAddress(ctx context.Context, x addressee, r *Report) (bool, error) {
	if r.Action != "failed" || Hard(r.Status) {
		return r.Action == "failed", nil
	}
	var soft, counted, dead int64
	err := ledger.One(ctx, s.DB, `SELECT soft, counted, dead FROM notify_address WHERE mark = $1`, []any{&soft, &counted, &dead}, x.mark)
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return dead > 0 || soft+1 >= softDays && counted <= us(s.Now().Add(-softApart)), err //nolint:wrapcheck // the ledger says what failed
}

// count adds a report to what is known of an address: a hard bounce, or soft ones on three
// days, and it counts as unreachable; a letter that was delivered, and all is forgotten.
func (x addressee) count(ctx context.Context, tx *ledger.Tx, action, status string) error {
	now := tx.Now()
	switch {
	case action == "delivered":
		_, err := tx.Exec(ctx, `DELETE FROM notify_address WHERE mark = $1`, x.mark)
		return err
	case action != "failed":
		return nil
	}
	if _, err := tx.Exec(ctx, knowAddress, x.mark, x.box); err != nil {
		return err
	}
	if Hard(status) {
		_, err := tx.Exec(ctx, deadAddress, x.mark, us(now), status)
		return err
	}
	_, err := tx.Exec(ctx, softAddress, x.mark, us(now), status, us(now.Add(-softApart)), softDays)
	return err
}

// refusing is the address of a letter that its host refused for good at the door, where the
// status says that it takes none; nil = there is nothing to count.
func (s *Service) refusing(ctx context.Context, d *Delivery, out *outcome) (*addressee, error) {
	if out.state != Rejected || d.Channel != Mail || !Hard(out.enhanced) {
		return nil, nil //nolint:nilnil // nothing to count
	}
	to, err := s.addressOf(ctx, d)
	if err != nil || to == "" {
		return nil, err
	}
	x, err := s.addressee(ctx, to)
	return &x, err
}

// Reaches reports whether letters reach an address, as far as is known.
func (s *Service) Reaches(ctx context.Context, address string) (bool, error) {
	x, err := s.addressee(ctx, address)
	if err != nil {
		return false, err
	}
	var n int64
	err = ledger.One(ctx, s.DB, `SELECT count(*) FROM notify_address WHERE mark = $1 AND dead > 0`, []any{&n}, x.mark)
	return n == 0, err //nolint:wrapcheck // the ledger says what failed
}

// Unreachable is an address that letters came back from.
type Unreachable struct {
	Mark    string // stands for it
	Address string
	Since   time.Time
	Code    string // of the last one
}

// Unreachable lists the addresses that letters do not reach, the newest first, at most 200.
func (s *Service) Unreachable(ctx context.Context) ([]Unreachable, error) {
	var out []Unreachable
	var boxes [][]byte
	if err := s.DB.Each(ctx, deadAddresses, func(scan ledger.Scan) error {
		var x Unreachable
		var dead int64
		var box []byte
		err := scan(&x.Mark, &box, &dead, &x.Code)
		x.Since = at(dead)
		out, boxes = append(out, x), append(boxes, box)
		return err
	}); err != nil {
		return nil, err //nolint:wrapcheck // the ledger says what failed
	}
	for i, box := range boxes {
		b, err := s.open(ctx, box, place("notify_address", out[i].Mark))
		if err != nil {
			return nil, err
		}
		out[i].Address = string(b.Reveal())
	}
	return out, nil
}

// Arrived prepares to forget that letters did not reach an address: what it gives goes into the
// change that shows that one did.
func (s *Service) Arrived(ctx context.Context, address string) (func(ctx context.Context, tx *ledger.Tx) error, error) {
	x, err := s.addressee(ctx, address)
	return func(ctx context.Context, tx *ledger.Tx) error {
		n, err := tx.Exec(ctx, `DELETE FROM notify_address WHERE mark = $1`, x.mark)
		if err == nil && n > 0 {
			tx.Also(AddressRestored{Mark: x.mark})
		}
		return err //nolint:wrapcheck // the ledger says what failed
	}, err
}

// Reachable is somebody's word that letters reach an address again.
func (s *Service) Reachable(ctx context.Context, who actor.Actor, mark string) error {
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, `DELETE FROM notify_address WHERE mark = $1 AND dead > 0`, mark)
		if err == nil && n == 0 {
			err = fault.New(fault.NotFound, "address_unknown", fault.Public{Problem: "There is no such address that letters do not reach.", Next: "Look at: writ notify unreachable"})
		}
		return AddressRestored{Mark: mark}, err
	})
	return err //nolint:wrapcheck // the ledger says what failed
}

const (
	bounceDelivery = `UPDATE notify_delivery SET state = $2, ended = $3, code = $4 WHERE id = $1 AND state IN ('accepted', 'unknown') OR id = $1 AND state = 'delivered' AND $2 = 'bounced'`
	knowAddress    = `INSERT INTO notify_address (mark, box, soft, counted, dead, code) VALUES ($1, $2, 0, 0, 0, '') ON CONFLICT (mark) DO NOTHING`
	deadAddress    = `UPDATE notify_address SET counted = $2, code = $3, dead = CASE WHEN dead = 0 THEN $2 ELSE dead END WHERE mark = $1`
	softAddress    = `UPDATE notify_address SET counted = $2, code = $3, soft = soft + 1, dead = CASE WHEN dead = 0 AND soft + 1 >= $5 THEN $2 ELSE dead END WHERE mark = $1 AND counted <= $4`
	deadAddresses  = `SELECT mark, box, dead, code FROM notify_address WHERE dead > 0 ORDER BY dead DESC, mark LIMIT 200`
	forgetDead     = `DELETE FROM notify_address WHERE mark IN (SELECT mark FROM notify_address WHERE counted < $1 ORDER BY counted LIMIT $2)`
)
