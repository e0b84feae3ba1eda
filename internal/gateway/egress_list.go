package gateway

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/egress"
	"writ/internal/ledger"
)

// Destination is a place outside that private services may reach, until it ends by itself.
type Destination struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Port    int       `json:"port"`
	Inside  []string  `json:"inside,omitempty"` // networks beside the public ones in which it may lie
	Reason  string    `json:"reason"`
	Owner   string    `json:"owner"` // who listed it and answers for it
	Made    time.Time `json:"made"`
	Until   time.Time `json:"until"`
	Ended   time.Time `json:"ended,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"`
}

const (
	longestDestination = 366 * 24 * time.Hour
	mostDestinations   = 500
	mostInside         = 8
)

// egressList is what may be reached.
type egressList struct{ at map[egress.Target]openTo }

type openTo struct {
	nets  []netip.Prefix
	until time.Time
}

func badDestination(code, problem, expected string) error {
	return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Expected: expected, Next: "List the one name that is needed, for as long as it is."})
}

// check refuses what would be more than one place for a while.
func (d *Destination) check(now time.Time) error {
	name := egress.Name(strings.TrimSpace(d.Name))
	d.Reason = strings.TrimSpace(d.Reason)
	if d.Port == 0 {
		d.Port = 443
	}
	switch {
	case name == "":
		return badDestination("name", "That is no name of a host.", "A whole name such as api.example.com: no address, no port, no *.")
	case d.Port < 1 || d.Port > 65535:
		return badDestination("port", "That is no port.", "A number from 1 to 65535; 443 is usual.")
	case d.Reason == "" || len(d.Reason) > 300 || !utf8.ValidString(d.Reason):
		return badDestination("reason", "It is not said why.", "A reason of at most 300 characters.")
	case !d.Until.After(now) || d.Until.Sub(now) > longestDestination:
		return badDestination("until", "It does not end within a year.", "A time from now on, at most a year ahead.")
	case len(d.Inside) > mostInside:
		return badDestination("inside", "So many networks are named that it is no longer one place.", "At most eight.")
	}
	for _, s := range d.Inside {
		if p, err := netip.ParsePrefix(s); err != nil || !egress.Inside(p) {
			return badDestination("inside", "That is no private network in which a destination may lie.", "A network such as 10.9.0.0/16; none in which clouds keep a machine's secrets.")
		}
	}
	d.Name = name
	return nil
}

// ListDestination lets private services reach a place for a while.
func (g *Gateway) ListDestination(ctx context.Context, who actor.Actor, d Destination) (Destination, error) { // clause: use.no-private-use
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/egress"); err != nil {
		return Destination{}, fmt.Errorf("list destination: %w", err)
	}
	if err := d.check(g.now()); err != nil {
		return Destination{}, err
	}
	d.ID, d.Owner, d.Until, d.Ended, d.EndedBy = g.db.ID(), who.String(), d.Until.UTC().Truncate(time.Second), time.Time{}, ""
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		d.Made = tx.Now().UTC()
		var n, same int
		if err := ledger.One(ctx, tx, countDestinations, []any{&n, &same}, d.Made.UnixMicro(), d.Name, d.Port); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
		switch {
		case n >= mostDestinations:
			return nil, badDestination("many", "There are 500 destinations.", "Fewer: remove what is not needed.")
		case same > 0:
			return nil, fault.New(fault.Conflict, "listed", fault.Public{Problem: "It is on the list already.", Next: "Remove it there first, to list it for another time or reason."})
		}
		_, err := tx.Exec(ctx, addDestination, d.ID, d.Name, d.Port, strings.Join(d.Inside, " "), d.Reason, d.Owner, d.Made.UnixMicro(), d.Until.UnixMicro())
		return DestinationListed{Name: d.Name, Port: d.Port, Inside: strings.Join(d.Inside, " "), Until: d.Until, id: d.ID, reason: d.Reason}, err
	})
	if err != nil {
		return Destination{}, fmt.Errorf("list destination: %w", err)
	}
	return d, g.readDestinations(ctx)
}

// RemoveDestination takes a place off the list, by its id, its name or name:port. What is open to it
// goes on until it ends.
func (g *Gateway) RemoveDestination(ctx context.Context, who actor.Actor, ref string) error { // clause: use.no-private-use
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/egress"); err != nil {
		return fmt.Errorf("remove destination: %w", err)
	}
	if err := g.removeDestination(ctx, who, ref, "removed"); err != nil {
		return err
	}
	return g.readDestinations(ctx)
}

func (g *Gateway) removeDestination(ctx context.Context, who actor.Actor, ref, how string) error {
	host, at := strings.ToLower(ref), 0
	if h, p, err := net.SplitHostPort(host); err == nil {
		if n, err := strconv.Atoi(p); err == nil {
			host, at = h, n
		}
	}
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var id, name string
		var port int
		if err := ledger.One(ctx, tx, liveDestination, []any{&id, &name, &port}, ref, host, at); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
		_, err := tx.Exec(ctx, endDestination, id, tx.Now().UnixMicro(), who.String())
		return DestinationRemoved{Name: name, Port: port, How: how, id: id}, err
	})
	if err != nil {
		return fmt.Errorf("remove destination: %w", err)
	}
	return nil
}

// endDestinations makes an entry of each destination whose time is over. It has not counted
// since that moment.
func (g *Gateway) endDestinations(ctx context.Context) error {
	var over []string
	err := g.db.Each(ctx, overDestinations, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		over = append(over, id)
		return err
	}, g.now().UnixMicro())
	if err != nil {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	for _, id := range over {
		if err := g.removeDestination(ctx, actor.System("gateway"), id, "time is over"); err != nil && fault.KindOf(err) != fault.NotFound { // another node may have been first
			return err
		}
	}
	return nil
}

// readDestinations takes up what this or another node has listed or removed.
func (g *Gateway) readDestinations(ctx context.Context) error {
	next := &egressList{at: map[egress.Target]openTo{}}
	err := g.eachDestination(ctx, inForceDestinations, func(d Destination) {
		to := openTo{until: d.Until}
		for _, s := range d.Inside {
			if p, err := netip.ParsePrefix(s); err == nil {
				to.nets = append(to.nets, p)
			}
		}
		next.at[egress.Target{Name: d.Name, Port: uint16(d.Port)}] = to //nolint:gosec // it was checked
	}, g.now().UnixMicro())
	if err != nil {
		return fmt.Errorf("read destinations: %w", err)
	}
	g.out.list.Store(next)
	return nil
}

// Destinations lists them, those in force first by their names, then those that ended last.
func (g *Gateway) Destinations(ctx context.Context) (all []Destination, err error) {
	err = g.eachDestination(ctx, listDestinations, func(d Destination) { all = append(all, d) }, 2*mostDestinations)
	return all, err
}

func (g *Gateway) eachDestination(ctx context.Context, query string, use func(Destination), args ...any) error {
	return g.db.Each(ctx, query, func(scan ledger.Scan) error { //nolint:wrapcheck // the ledger says what failed
		var d Destination
		var inside string
		var made, until, ended int64
		if err := scan(&d.ID, &d.Name, &d.Port, &inside, &d.Reason, &d.Owner, &made, &until, &ended, &d.EndedBy); err != nil {
			return err
		}
		d.Inside, d.Made, d.Until = strings.Fields(inside), time.UnixMicro(made).UTC(), time.UnixMicro(until).UTC()
		if ended > 0 {
			d.Ended = time.UnixMicro(ended).UTC()
		}
		use(d)
		return nil
	}, args...)
}

const (
	countDestinations = `SELECT COUNT(*), COALESCE(SUM(CASE WHEN name = $2 AND port = $3 THEN 1 ELSE 0 END), 0) FROM gateway_egress WHERE ended = 0 AND until > $1`
	addDestination    = `INSERT INTO gateway_egress (id, name, port, inside, reason, owner, made, until, ended, ended_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, '')`
	liveDestination   = `SELECT id, name, port FROM gateway_egress WHERE (id = $1 OR name = $2 AND (port = $3 OR $3 = 0)) AND ended = 0 ORDER BY port LIMIT 1`
	endDestination    = `UPDATE gateway_egress SET ended = $2, ended_by = $3 WHERE id = $1 AND ended = 0`
	overDestinations  = `SELECT id FROM gateway_egress WHERE ended = 0 AND until <= $1 ORDER BY until LIMIT 40`

	destinationColumns  = `id, name, port, inside, reason, owner, made, until, ended, ended_by FROM gateway_egress`
	inForceDestinations = `SELECT ` + destinationColumns + ` WHERE ended = 0 AND until > $1 ORDER BY id`
	listDestinations    = `SELECT ` + destinationColumns + ` ORDER BY CASE WHEN ended = 0 THEN 0 ELSE 1 END, ended DESC, name, port, id DESC LIMIT $1`
)
