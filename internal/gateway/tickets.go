package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/listen"
)

// The keys of tickets lie in the keyring, one class a half day, so that a client resumes at any
// node and after a restart. Stored keys would undo what their short life is for: each is destroyed,
// and proved to be, when it opens nothing any more. That is a day after its first use at most.

const (
	ticketLook = 400 * 2 // half days back that are looked at once, at a start: it may have been off
	ticketBack = 8       // likewise, each time after that
)

func ticketClass(half int64) keyring.Subject {
	return keyring.Class(fmt.Sprintf("gateway.tickets-%d", half))
}

// Tickets are the keys of the public listener's tickets.
func (g *Gateway) Tickets() *listen.Tickets { return &g.tickets }

// turnTickets gives the listener the keys of now.
func (g *Gateway) turnTickets(ctx context.Context) error { // clause: crypto.current-public
	now := listen.HalfDay(g.now())
	if g.ticketsOf == now {
		return nil
	}
	keys := map[int64][32]byte{}
	for _, half := range []int64{now - 1, now, now + 1} {
		find := g.keys.Ensure
		if half < now { // one that nobody made sealed nothing
			find = g.keys.Key
		}
		k, err := find(ctx, ticketClass(half))
		if half < now && (errors.Is(err, fault.NotFound) || errors.Is(err, fault.Gone)) {
			continue
		}
		if err != nil {
			return fmt.Errorf("get the key of tickets: %w", err)
		}
		keys[half] = [32]byte(k.Derive("gateway/tickets").Reveal())
	}
	g.tickets.Give(keys)
	g.ticketsOf = now
	return nil
}

// dropTickets destroys the keys that open nothing any more. Run calls it each minute.
func (g *Gateway) dropTickets(ctx context.Context) error { // clause: crypto.current-public
	now, back := listen.HalfDay(g.now()), int64(ticketBack)
	switch g.ticketsEnded {
	case now:
		return nil
	case 0:
		back = ticketLook
	}
	for half := now - 2; half > now-2-back; half-- {
		if err := g.endTickets(ctx, half); err != nil {
			return err
		}
	}
	g.ticketsEnded = now
	return nil
}

// endTickets destroys the key of a half day, where there is one.
func (g *Gateway) endTickets(ctx context.Context, half int64) error { // clause: crypto.current-public
	of := ticketClass(half)
	_, err := g.keys.Key(ctx, of)
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Gone) {
		return nil
	}
	began := g.now()
	d, err := g.keys.Erase(ctx, of)
	if err != nil {
		return fmt.Errorf("destroy the key of old tickets: %w", err)
	}
	if d.At.Before(began) { // by another node, meanwhile
		return nil
	}
	_, err = g.db.Change(ctx, actor.System("gateway"), func(*ledger.Tx) (ledger.Event, error) {
		return TicketKeyDestroyed{Began: time.Unix(half*int64(12*time.Hour/time.Second), 0).UTC()}, nil
	})
	if err != nil {
		return fmt.Errorf("record the end of a key of tickets: %w", err)
	}
	return nil
}
