package gateway

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway/waf"
	"writ/internal/ledger"
)

// WAFException says that some rules do not count in one field of one route, until it ends by itself.
type WAFException struct {
	ID      string    `json:"id"`
	Rules   []int     `json:"rules"`
	Route   string    `json:"route"` // its pattern
	Field   string    `json:"field"` // variable:name such as ARGS:comment, or a variable that has no names, such as REQUEST_BODY
	Reason  string    `json:"reason"`
	Owner   string    `json:"owner"` // who made it and answers for it
	Made    time.Time `json:"made"`
	Until   time.Time `json:"until"`
	Ended   time.Time `json:"ended,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"`
}

const (
	longestException = 90 * 24 * time.Hour
	mostRules        = 20
	mostExceptions   = 500
)

// exceptions are those that have not ended, by route.
type exceptions struct{ by map[string][]WAFException }

// has reports whether a match is excepted at that moment.
func (e *exceptions) has(m waf.Match, route string, now time.Time) bool { // clause: use.no-automation
	for i := range e.by[route] {
		x := &e.by[route][i]
		if now.Before(x.Until) && x.Field == placeOf(m.Variable, fieldName(m.Field)) && slices.Contains(x.Rules, m.Rule) {
			return true
		}
	}
	return false
}

func placeOf(variable, field string) string {
	if field == "" {
		return variable
	}
	return variable + ":" + field
}

func badException(code, problem, expected string) error {
	return fault.New(fault.Invalid, code, fault.Public{Problem: problem, Expected: expected, Next: "Look at what the rules found, and except just that."})
}

// check refuses what would be more than an exception.
func (g *Gateway) checkException(ctx context.Context, in *WAFException) error {
	in.Reason, in.Field = strings.TrimSpace(in.Reason), strings.TrimSpace(in.Field)
	now := g.now()
	slices.Sort(in.Rules)
	in.Rules = slices.Compact(in.Rules)
	variable, name, named := strings.Cut(in.Field, ":")
	switch {
	case len(in.Rules) == 0 || len(in.Rules) > mostRules:
		return badException("rules", "It is not said from which rules.", "One to 20 numbers of rules.")
	case variable == "" || strings.Trim(variable, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || named && (fieldName(name) != name || name == "*" || name == "?"):
		return badException("field", "It is not said in which field.", "Such as ARGS:comment or REQUEST_HEADERS:Referer; a place in a list is *.")
	case in.Reason == "" || len(in.Reason) > 300 || !utf8.ValidString(in.Reason):
		return badException("reason", "It is not said why.", "A reason of at most 300 characters.")
	case !in.Until.After(now) || in.Until.Sub(now) > longestException:
		return badException("until", "It does not end within 90 days.", "A time from now on, at most 90 days ahead.")
	case !g.hasRoute(in.Route):
		return badException("route", "There is no such route.", "The path of a route as routes.yaml spells it, or * for where none matches.")
	}
	e, err := g.watch.wait(ctx)
	if err != nil {
		return fmt.Errorf("wait for the rules: %w", err)
	}
	for _, r := range in.Rules {
		if !e.Scores(r) {
			return badException("rules", fmt.Sprintf("Rule %d is none that scores.", r), "Numbers of rules as the finds show them. What cannot be read is always refused.")
		}
	}
	return nil
}

func (g *Gateway) hasRoute(pattern string) bool {
	return pattern == "*" || slices.ContainsFunc(g.current().file.routes, func(r Route) bool { return r.Path == pattern })
}

// Except puts an exception in force. It is refused when it is for everything, for longer
// than 90 days, or without a reason.
func (g *Gateway) Except(ctx context.Context, who actor.Actor, in WAFException) (WAFException, error) {
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/waf"); err != nil {
		return WAFException{}, fmt.Errorf("make exception: %w", err)
	}
	if !g.watch.begun.Load() {
		return WAFException{}, errNoWAF
	}
	if err := g.checkException(ctx, &in); err != nil {
		return WAFException{}, err
	}
	in.ID, in.Owner, in.Until, in.Ended, in.EndedBy = g.db.ID(), who.String(), in.Until.UTC().Truncate(time.Second), time.Time{}, ""
	variable, name, _ := strings.Cut(in.Field, ":")
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		in.Made = tx.Now().UTC()
		n := 0
		if err := ledger.One(ctx, tx, countExceptions, []any{&n}, in.Made.UnixMicro()); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
		if n >= mostExceptions {
			return nil, badException("many", "There are 500 exceptions in force.", "Fewer: end what is not needed.")
		}
		_, err := tx.Exec(ctx, addWAFException, in.ID, ruleText(in.Rules), in.Route, variable, name, in.Reason, in.Owner, in.Made.UnixMicro(), in.Until.UnixMicro())
		return WAFExcepted{Rules: ruleText(in.Rules), Route: in.Route, Field: in.Field, Until: in.Until, id: in.ID, reason: in.Reason}, err
	})
	if err != nil {
		return WAFException{}, fmt.Errorf("make exception: %w", err)
	}
	return in, g.readExceptions(ctx)
}

var errNoWAF = fault.New(fault.Conflict, "waf_off", fault.Public{Problem: "No rules look at requests.", Next: "Set gateway: waf: mode in writ.yaml to detect or block, and start the server again."})

// EndException ends one before its time.
func (g *Gateway) EndException(ctx context.Context, who actor.Actor, id string) error {
	if err := g.access.Allow(ctx, who, access.GateMaintain, "gateway/waf"); err != nil {
		return fmt.Errorf("end exception: %w", err)
	}
	if err := g.endException(ctx, who, id, "ended"); err != nil {
		return err
	}
	return g.readExceptions(ctx)
}

func (g *Gateway) endException(ctx context.Context, who actor.Actor, id, how string) error {
	_, err := g.db.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var rules, route, variable, field string
		if err := ledger.One(ctx, tx, liveException, []any{&rules, &route, &variable, &field}, id); err != nil {
			return nil, err //nolint:wrapcheck // the ledger says what failed
		}
		_, err := tx.Exec(ctx, endWAFException, id, tx.Now().UnixMicro(), who.String())
		return WAFExceptionEnded{Rules: rules, Route: route, Field: placeOf(variable, field), How: how, id: id}, err
	})
	if err != nil {
		return fmt.Errorf("end exception: %w", err)
	}
	return nil
}

// endExceptions makes an entry of each exception whose time is over. It has not counted
// since that moment.
func (g *Gateway) endExceptions(ctx context.Context) error {
	var over []string
	err := g.db.Each(ctx, overExceptions, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		over = append(over, id)
		return err
	}, g.now().UnixMicro())
	if err != nil || len(over) == 0 {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	for _, id := range over {
		if err := g.endException(ctx, actor.System("gateway"), id, "time is over"); err != nil && fault.KindOf(err) != fault.NotFound { // another node may have been first
			return err
		}
	}
	return g.readExceptions(ctx)
}

// readExceptions takes up what this or another node has made or ended.
func (g *Gateway) readExceptions(ctx context.Context) error {
	next := &exceptions{by: map[string][]WAFException{}}
	err := g.eachException(ctx, inForceExceptions, func(x WAFException) { next.by[x.Route] = append(next.by[x.Route], x) }, g.now().UnixMicro())
	if err != nil {
		return fmt.Errorf("read exceptions: %w", err)
	}
	g.watch.excepted.Store(next)
	return nil
}

// WAFExceptions lists exceptions, those in force first, then those that ended last.
func (g *Gateway) WAFExceptions(ctx context.Context) (all []WAFException, err error) {
	err = g.eachException(ctx, listExceptions, func(x WAFException) { all = append(all, x) }, 200)
	return all, err
}

func (g *Gateway) eachException(ctx context.Context, query string, use func(WAFException), args ...any) error {
	return g.db.Each(ctx, query, func(scan ledger.Scan) error { //nolint:wrapcheck // the ledger says what failed
		var x WAFException
		var rules, variable, field string
		var made, until, ended int64
		if err := scan(&x.ID, &rules, &x.Route, &variable, &field, &x.Reason, &x.Owner, &made, &until, &ended, &x.EndedBy); err != nil {
			return err
		}
		for r := range strings.FieldsSeq(rules) {
			n, err := strconv.Atoi(r)
			if err != nil {
				return fmt.Errorf("read exception %s: %w", x.ID, err)
			}
			x.Rules = append(x.Rules, n)
		}
		x.Field, x.Made, x.Until = placeOf(variable, field), time.UnixMicro(made).UTC(), time.UnixMicro(until).UTC()
		if ended > 0 {
			x.Ended = time.UnixMicro(ended).UTC()
		}
		use(x)
		return nil
	}, args...)
}

func ruleText(rules []int) string {
	var all []string
	for _, r := range rules {
		all = append(all, strconv.Itoa(r))
	}
	return strings.Join(all, " ")
}

const (
	countExceptions = `SELECT COUNT(*) FROM gateway_waf_exception WHERE ended = 0 AND until > $1`
	addWAFException = `INSERT INTO gateway_waf_exception (id, rules, route, variable, field, reason, owner, made, until, ended, ended_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, '')`
	liveException   = `SELECT rules, route, variable, field FROM gateway_waf_exception WHERE id = $1 AND ended = 0`
	endWAFException = `UPDATE gateway_waf_exception SET ended = $2, ended_by = $3 WHERE id = $1 AND ended = 0`
	overExceptions  = `SELECT id FROM gateway_waf_exception WHERE ended = 0 AND until <= $1 ORDER BY until LIMIT 40`

	exceptionColumns  = `id, rules, route, variable, field, reason, owner, made, until, ended, ended_by FROM gateway_waf_exception`
	inForceExceptions = `SELECT ` + exceptionColumns + ` WHERE ended = 0 AND until > $1 ORDER BY id`
	listExceptions    = `SELECT ` + exceptionColumns + ` ORDER BY CASE WHEN ended = 0 THEN 0 ELSE 1 END, ended DESC, id DESC LIMIT $1`
)
