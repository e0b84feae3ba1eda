package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway/egress"
	"writ/internal/ledger"
	"writ/internal/web"
)

// Past is what a private service found when it tried to reach the outside past the gate, which
// only it can see: writ gateway egress past, on its machine.
type Past struct {
	Service string    `json:"service"`
	Tried   int       `json:"tried"`
	Reached []string  `json:"reached"` // host:port
	Who     string    `json:"who"`
	Told    time.Time `json:"told"`
}

const (
	mostPast = 20 // places of one report
	pastAge  = 26 * time.Hour
)

var goodService = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

func badPast(code, problem, expected string) error {
	return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Expected: expected, Next: "Run on the service's machine: writ gateway egress past --service NAME"})
}

// TellPast keeps the newest report of a service. A token that is made for the way out may tell it.
func (g *Gateway) TellPast(ctx context.Context, who actor.Actor, p Past) error { // clause: net.gateway-only
	if !goesOut(who) {
		if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/egress"); err != nil {
			return fmt.Errorf("tell what a service reached: %w", err)
		}
	}
	switch {
	case !goodService.MatchString(p.Service):
		return badPast("service", "That is no name of a service.", "Its name in gateway: egress: callers of writ.yaml.")
	case p.Tried < 1 || p.Tried > mostPast || len(p.Reached) > p.Tried:
		return badPast("tried", "Nothing was tried, or too much.", "From 1 to 20 places.")
	}
	for _, at := range p.Reached {
		if host, _, err := net.SplitHostPort(at); err != nil || len(at) > 260 || egress.Name(host) == "" && net.ParseIP(host) == nil {
			return badPast("reached", "That is no place.", "host:port.")
		}
	}
	reached := strings.Join(p.Reached, " ")
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, putPast, p.Service, p.Tried, reached, who.String(), tx.Now().UnixMicro())
		return EgressTried{Service: p.Service, Tried: p.Tried, Reached: reached}, err
	})
	if err != nil {
		return fmt.Errorf("tell what a service reached: %w", err)
	}
	return nil
}

// goesOut reports whether a program of ours has a token for the way out.
func goesOut(who actor.Actor) bool {
	return who.ByToken() && who.TeamKind == staffTeam && slices.Contains(who.Scopes, egress.Scope)
}

// Pasts lists the newest report of each service.
func (g *Gateway) Pasts(ctx context.Context) (all []Past, err error) {
	err = g.db.Each(ctx, listPasts, func(scan ledger.Scan) error {
		var p Past
		var reached string
		var told int64
		err := scan(&p.Service, &p.Tried, &reached, &p.Who, &told)
		p.Reached, p.Told = strings.Fields(reached), time.UnixMicro(told).UTC()
		all = append(all, p)
		return err
	}, 500)
	if err != nil {
		return nil, fmt.Errorf("list what services reached: %w", err)
	}
	return all, nil
}

// probePast looks whether each service that is to try has done so lately, in vain.
func (g *Gateway) probePast(ctx context.Context) (clause.Result, error) { // clause: net.gateway-only
	all, err := g.Pasts(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	var n int64
	for _, c := range g.out.Callers {
		if !c.Tries {
			continue
		}
		n++
		i := slices.IndexFunc(all, func(p Past) bool { return p.Service == c.Name })
		switch {
		case i < 0 || g.now().Sub(all[i].Told) > pastAge:
			return clause.Failed(c.Name + " has not told for a day what it reaches past the gate; run on its machine: writ gateway egress past --service " + c.Name), nil
		case len(all[i].Reached) > 0:
			return clause.Failed(fmt.Sprintf("%s reached %s past the gate", c.Name, strings.Join(all[i].Reached, ", "))), nil
		}
	}
	r := clause.Passed(fmt.Sprintf("%d services tried within a day to leave past the gate, and reached nothing", n))
	r.Population = n
	return r, nil
}

func (g *Gateway) postPast(w http.ResponseWriter, r *http.Request, who actor.Actor) error {
	p, err := web.ReadJSON[pastTold](r)
	if err != nil {
		return err //nolint:wrapcheck // a fault for the reader
	}
	if err := g.TellPast(r.Context(), who, Past{Service: p.Service, Tried: p.Tried, Reached: p.Reached}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type pastTold struct {
	Service string   `json:"service"`
	Tried   int      `json:"tried"`
	Reached []string `json:"reached,omitempty"`
}

// EgressTried is what a private service reached when it tried to leave past the gate.
type EgressTried struct {
	Service string `class:"public"`
	Tried   int    `class:"public"`
	Reached string `class:"public"` // host:port, by spaces; there must be none
}

// About implements ledger.Event.
func (e EgressTried) About() ledger.About {
	return ledger.About{Name: "gateway.egress-tried", Clause: gatewayOnly, Object: "service/" + e.Service}
}

const (
	putPast = `INSERT INTO gateway_egress_past (service, tried, reached, who, told) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (service) DO UPDATE SET tried = excluded.tried, reached = excluded.reached, who = excluded.who, told = excluded.told`
	listPasts = `SELECT service, tried, reached, who, told FROM gateway_egress_past ORDER BY service LIMIT $1`
)
