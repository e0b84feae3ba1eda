package notify

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// errRehearsed takes back what a rehearsal planted.
var errRehearsed = errors.New("notify: what was planted is taken back")

// Rehearse does what must be refused, for a control: webhooks that lead inside, a line break in a
// head, a try of a node whose place another took. Nothing of it goes out or stays.
func (s *Service) Rehearse(ctx context.Context, who actor.Actor) ([]clause.Step, error) { // clause: mon.notify
	steps := append(s.leadInside(ctx), breakHeads()...)
	fenced, err := s.sendLate(ctx, who)
	return append(steps, fenced...), err
}

// leadInside calls webhooks that lead inside, as if the machine's settings allowed none of them.
func (s *Service) leadInside(ctx context.Context) (steps []clause.Step) {
	outer := netip.MustParseAddr("1.1.1.1")
	guard := &Service{Deps: s.Deps}
	guard.Allow, guard.Resolve = nil, func(_ context.Context, host string) ([]netip.Addr, error) {
		if host == "rebinds.example" { // it was outside when it was looked at
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{outer, netip.MustParseAddr("10.0.0.1")}, nil
	}
	for _, host := range []string{"169.254.169.254", "127.0.0.1", "[::1]", "rebinds.example", "both-sides.example"} {
		r := guard.Call(ctx, Call{ID: "canary", URL: secret.NewText("https://" + host + "/"), Body: []byte("{}")})
		steps = append(steps, clause.Step{Act: "call a webhook at " + host, Expected: "address_refused", Got: r.Code, OK: r.State == Rejected && r.Code == "address_refused"})
	}
	st := clause.Step{Act: "ask whether an address outside may be called", Expected: "yes", Got: "yes", OK: !guard.refused(outer), Control: true}
	if !st.OK {
		st.Got = "no"
	}
	return append(steps, st)
}

// breakHeads makes messages with a line break in what becomes a head.
func breakHeads() (steps []clause.Step) {
	fine := Message{Key: "canary", Channel: Mail, To: "x@writ.canary.invalid", Subject: "A test", About: "alarm/canary", Severity: Notice}
	for name, change := range map[string]func(m *Message){
		"subject": func(m *Message) { m.Subject += "\r\nBcc: x@example.com" },
		"address": func(m *Message) { m.To += "\nx@example.com" },
		"label":   func(m *Message) { m.About += "\r\nX: y" },
	} {
		m := fine
		change(&m)
		code, _ := fault.PublicOf(m.check())
		steps = append(steps, clause.Step{Act: "send a message with a line break in its " + name, Expected: "message_invalid", Got: code, OK: code == "message_invalid"})
	}
	st := clause.Step{Act: "send one without", Expected: "may be sent", Got: "may be sent", OK: true, Control: true}
	if err := fine.check(); err != nil {
		st.Got, st.OK = err.Error(), false
	}
	return append(steps, st)
}

// sendLate begins to send a delivery that another node has taken over.
func (s *Service) sendLate(ctx context.Context, who actor.Actor) ([]clause.Step, error) {
	ps, err := s.Prepare(ctx, Message{Key: s.DB.ID(), Channel: Mail, To: "x@writ.canary.invalid", Subject: "A test", About: "alarm/canary", Severity: Notice})
	if err != nil {
		return nil, err
	}
	late := clause.Step{Act: "send what another node took over", Expected: "delivery_lost"}
	holds := clause.Step{Act: "send what this node holds", Expected: "may be sent", Control: true}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		now := tx.Now().UnixMicro()
		if _, err := tx.Exec(ctx, insertDelivery, ps[0].id, ps[0].message, Mail, ps[0].about, Notice, ps[0].mark, false, now, ps[0].to); err != nil {
			return nil, fmt.Errorf("plant a delivery: %w", err)
		}
		if _, err := tx.Exec(ctx, claimDelivery, ps[0].id, int64(0), now, now); err != nil {
			return nil, fmt.Errorf("claim a delivery: %w", err)
		}
		late.Got, _ = fault.PublicOf(marked(ctx, tx, &Delivery{ID: ps[0].id, epoch: 0}, Sent))
		late.OK = late.Got == late.Expected
		err := marked(ctx, tx, &Delivery{ID: ps[0].id, epoch: 1}, Sent)
		if holds.OK = err == nil; holds.OK {
			holds.Got = holds.Expected
		} else {
			holds.Got = err.Error()
		}
		return nil, errRehearsed
	})
	if !errors.Is(err, errRehearsed) {
		return nil, fmt.Errorf("rehearse a late try: %w", err)
	}
	return []clause.Step{late, holds}, nil
}
