package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway/trail"
	"writ/internal/ledger"
)

// Looks says from when until when a look of staff could be used; fault.NotFound: there was none.
type Looks func(ctx context.Context, look string) (from, until time.Time, err error)

const (
	staffSpan = 2 * time.Hour   // of records that are looked at, each hour
	lookSlack = 2 * time.Second // a node that forgets last, and its clock
)

// canaries is where controls come from.
var canaries = netip.MustParsePrefix("127.77.0.0/16")

func (g *Gateway) staffControls() []clause.Control {
	return []clause.Control{{ID: "gateway.staff-reads", Clause: needToSee, Kind: clause.Replay, Every: time.Hour, FreshFor: 24 * time.Hour, Run: g.replayStaff,
		Says: "Goes through the access records of staff: whatever showed customers' data must have been asked in a look that went on then, and at the team of that look"}}
}

// replayStaff looks for answers that staff should not have had. Routes are judged as they are
// tagged now, so what came before they were adopted is left out.
func (g *Gateway) replayStaff(ctx context.Context) (clause.Result, error) { // clause: use.need-to-see
	if g.trail == nil {
		return clause.Failed("no access records are kept"), nil
	}
	var us int64
	if err := ledger.One(ctx, g.db, selectAdopted, []any{&us}); err != nil {
		return clause.Result{}, fmt.Errorf("read when routes were adopted: %w", err)
	}
	from := slices.MaxFunc([]time.Time{g.now().Add(-staffSpan), time.UnixMicro(us)}, time.Time.Compare)
	j := staffJudge{g: g, tagged: g.current().customerRoutes(), looks: map[string]timeOfLook{}}
	if err := g.trail.ByStaff(ctx, actor.System("gateway"), "staff who saw customers' data", from, func(fs []trail.Found) error {
		for i := range fs {
			if err := j.judge(ctx, &fs[i]); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return clause.Result{}, fmt.Errorf("read the access records of staff: %w", err)
	}
	r := clause.Passed(fmt.Sprintf("of %d answers that staff had since %s none showed customers' data outside a look", j.all, from.UTC().Format("15:04 UTC")))
	if j.bad > 0 {
		r = clause.Failed(fmt.Sprintf("of %d answers that staff had %d showed customers' data and should not have: %s", j.all, j.bad, j.first))
	}
	r.Population = j.all
	return r, nil
}

// customerRoutes are the patterns that are tagged.
func (t *table) customerRoutes() map[string]bool {
	out := map[string]bool{}
	for _, n := range t.nodes {
		if n.all != nil && n.all.customer {
			out[n.pattern] = true
		}
		for _, r := range n.methods {
			if r.customer {
				out[n.pattern] = true
			}
		}
	}
	return out
}

// staffJudge counts what staff were shown.
type staffJudge struct {
	g        *Gateway
	tagged   map[string]bool
	looks    map[string]timeOfLook // asked for once each
	all, bad int64
	first    string
}

func (j *staffJudge) judge(ctx context.Context, f *trail.Found) error {
	if f.Code != "" || f.Status < 200 || f.Status >= 400 || strings.Contains(f.Route, "/-/") {
		return nil // nothing of the application was shown
	}
	if p, err := netip.ParsePrefix(f.Network); err == nil && canaries.Contains(p.Addr()) {
		return nil
	}
	j.all++
	wrong := ""
	if actor.Kind(f.Kind) == actor.Support {
		var err error
		if wrong, err = j.inLook(ctx, f); err != nil {
			return err
		}
	} else if j.tagged[f.Route] {
		wrong = "without a look"
	}
	if wrong == "" && slices.ContainsFunc(f.Teams, func(team string) bool { return team != f.Team && team != trail.Unread }) {
		wrong = "of another team than that of the look"
	}
	if wrong != "" {
		j.bad++
		j.first = cmp.Or(j.first, fmt.Sprintf("%s %s at %s, %s", f.Method, f.Route, f.At.UTC().Format("15:04:05 UTC"), wrong))
	}
	return nil
}

type timeOfLook struct {
	from, until time.Time
	err         error
}

// inLook says what is wrong with the look that a request was made in.
func (j *staffJudge) inLook(ctx context.Context, f *trail.Found) (string, error) {
	if j.g.look == nil {
		return "in a look that nobody knows of", nil
	}
	l, known := j.looks[f.Session]
	if !known {
		l.from, l.until, l.err = j.g.look(ctx, f.Session)
		j.looks[f.Session] = l
	}
	switch {
	case errors.Is(l.err, fault.NotFound):
		return "in a look that nobody knows of", nil
	case l.err != nil:
		return "", fmt.Errorf("read a look: %w", l.err)
	case f.At.Before(l.from.Add(-lookSlack)), f.At.After(l.until.Add(lookSlack)):
		return "outside the time of the look", nil
	}
	return "", nil
}

const selectAdopted = `SELECT adopted FROM gateway_routes WHERE one = 1`
