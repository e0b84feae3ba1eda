package glass

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/identity"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/shamir"
)

// Controls are the proofs of this package's part of access.least-privilege.
func (s *Service) Controls(door *canary.Door) []clause.Control {
	look := func(id, says string, kind clause.Kind, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "identity." + id, Clause: "access.least-privilege", Kind: kind, Says: says, Every: 30 * time.Minute, FreshFor: 2 * time.Hour, Run: run}
	}
	out := []clause.Control{
		look("glass-drill", "Looks when shares of break-glass were last tried", clause.Probe, s.probeDrill),
		look("glass-holders", "Looks whether the holders of break-glass shares are still here and enough", clause.Probe, s.probeHolders),
		look("glass-sessions", "Holds every break-glass session in the journal against its shares, its letters and its time", clause.Replay, s.replaySessions),
	}
	if s.Plant != nil {
		out = append(out, clause.Control{ID: canaryControl, Clause: "access.least-privilege", Kind: clause.Canary, Says: "Tries to break the glass with a share too few, with a foreign share and with one holder twice",
			Every: 6 * time.Hour, FreshFor: 13 * time.Hour, Run: s.attack(door)})
	}
	return out
}

// none is the answer while no shares are out: nothing can be opened, so nothing is owed, and
// the next step is named.
func none() clause.Result {
	return clause.Passed("no shares of break-glass are out, so nobody can open an owner's session with them; for the day no owner can come in: writ break-glass prepare")
}

func (s *Service) liveSet(ctx context.Context) (x Set, found bool, err error) {
	sets, err := s.sets(ctx, staffTeam)
	i := slices.IndexFunc(sets, func(x Set) bool { return x.State == live })
	if err != nil || i < 0 {
		return Set{}, false, err
	}
	return sets[i], true, nil
}

// probeDrill wants a drill within the policy's time of the shares being handed out, and of
// the drill before.
func (s *Service) probeDrill(ctx context.Context) (clause.Result, error) { // clause: access.least-privilege
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	if !found {
		return none(), nil
	}
	last, err := s.lastDrill(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	every, days := s.Rules.Get().Drill, func(t time.Time) int { return int(s.Now().Sub(t).Hours() / 24) }
	switch {
	case !last.IsZero() && s.Now().Sub(last) < every:
		return clause.Passed(fmt.Sprintf("shares were last tried %d days ago, and are due every %d", days(last), int(every.Hours()/24))), nil
	case !last.IsZero():
		return clause.Failed(fmt.Sprintf("shares were last tried %d days ago, and are due every %d: writ break-glass drill", days(last), int(every.Hours()/24))), nil
	case s.Now().Sub(x.Began) >= every:
		return clause.Failed(fmt.Sprintf("the set of %s was never tried: writ break-glass drill", x.Began.Format("2 January 2006"))), nil
	}
	return clause.Passed(fmt.Sprintf("the set of %s was not tried yet; it is due within %d days: writ break-glass drill", x.Began.Format("2 January 2006"), int(every.Hours()/24)-days(x.Began))), nil
}

func (s *Service) probeHolders(ctx context.Context) (clause.Result, error) { // clause: access.least-privilege
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	if !found {
		return none(), nil
	}
	left, able := 0, 0
	for _, y := range x.Shares {
		switch {
		case y.Left:
			left++
		case !y.Picked.IsZero():
			able++
		}
	}
	need := max(x.Need, s.Rules.Get().Shares)
	says := fmt.Sprintf("of %d holders of set %d %d can give a share, %d are needed, %d have left", len(x.Shares), x.Number, able, need, left)
	r := clause.Passed(says)
	if left > 0 || able <= need || x.Renew != "" {
		if x.Renew == "used" {
			says += "; it was used"
		}
		r = clause.Failed(says + "; prepare a new set: writ break-glass prepare")
	}
	r.Population = int64(len(x.Shares))
	return r, nil
}

// replaySessions reads the complete record: each grant has its shares and its letters, each
// session its grant before it, and nobody acted in one after its time.
func (s *Service) replaySessions(ctx context.Context) (clause.Result, error) {
	granted, err := s.Record.List(ctx, journal.Query{Act: Granted{}.About().Name, Limit: 1000})
	if err != nil {
		return clause.Result{}, fmt.Errorf("list grants: %w", err)
	}
	known := map[string]bool{}
	var bad []string
	for _, g := range granted {
		id := strings.TrimPrefix(g.Object, "break-glass/")
		known[id] = true
		why, err := s.judgeOne(ctx, g, id)
		if err != nil {
			return clause.Result{}, err
		}
		if why != "" {
			bad = append(bad, why)
		}
	}
	entered, err := s.uses(ctx, `u.entered IS NOT NULL AND u.entered < $1 ORDER BY u.entered DESC LIMIT 1000`, us(s.Now().Add(-time.Minute))) // younger ones may not be numbered yet
	if err != nil {
		return clause.Result{}, err
	}
	for _, u := range entered {
		if !known[u.ID] && len(granted) < 1000 {
			bad = append(bad, "a session without a grant")
		}
	}
	n := int64(max(len(granted), len(entered)))
	switch {
	case len(bad) > 0:
		r := clause.Failed(fmt.Sprintf("of %d times the glass was broken %d were wrong, such as: %s", n, len(bad), bad[0]))
		r.Population = n
		return r, nil
	case n == 0:
		return clause.Passed("the glass was never broken"), nil
	}
	r := clause.Passed(fmt.Sprintf("of %d times the glass was broken each has its shares and letters, and its session ended in time", n))
	r.Population = n
	return r, nil
}

// judgeOne says what is wrong with one grant; "" when nothing is.
func (s *Service) judgeOne(ctx context.Context, g journal.Entry, id string) (string, error) {
	about, err := s.Record.List(ctx, journal.Query{Object: g.Object, Limit: 1000})
	if err != nil {
		return "", fmt.Errorf("list entries of an opening: %w", err)
	}
	holders := map[string]bool{}
	var begun journal.Entry
	for _, e := range about {
		switch e.Act {
		case ShareGiven{}.About().Name:
			if h, ok := e.Field("holder"); ok {
				holders[fmt.Sprint(h)] = true
			}
		case Used{}.About().Name:
			begun = e
		}
	}
	number := func(name string) int {
		v, _ := g.Field(name)
		n := 0
		_, _ = fmt.Sscan(fmt.Sprint(v), &n) // what is no number counts as 0, which is wrong
		return n
	}
	if need := number("need"); need < shamir.MinNeed || len(holders) < need {
		return fmt.Sprintf("entry %d has %d shares, and %d are needed", g.N, len(holders), need), nil
	}
	if number("letters") < 1 {
		return fmt.Sprintf("no owner was told of entry %d", g.N), nil
	}
	if begun.Act == "" {
		return "", nil
	}
	if begun.N < g.N {
		return fmt.Sprintf("the session of entry %d began before it", g.N), nil
	}
	acts, err := s.Record.List(ctx, journal.Query{Actor: thing(id), Limit: 1})
	if err != nil {
		return "", fmt.Errorf("list acts of a session: %w", err)
	}
	if len(acts) > 0 && acts[0].Happened.Sub(begun.Happened) > mostSession+time.Minute {
		return fmt.Sprintf("somebody acted in the session of entry %d after its time", g.N), nil
	}
	return "", nil
}

const (
	canaryControl = "identity.glass-canary"
	canarySet     = "canary-glass"
	canaryNumber  = 1
)

// trial is one run of the canary: a set of 2 of 3 whose holders a control planted.
type trial struct {
	s      *Service
	ctx    context.Context
	v      *canary.Visitor
	shares []secret.Bytes
	steps  []clause.Step
	err    error // the server could not answer: the run decides nothing
}

func (s *Service) attack(door *canary.Door) func(context.Context) (clause.Result, error) {
	return func(ctx context.Context) (clause.Result, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		t := &trial{s: s, ctx: ctx, v: door.Visitor()}
		defer t.v.Close()
		sweep := func() {
			clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			if err := s.sweep(clean); err != nil {
				s.Log.Error("sweep what a control planted", "control", canaryControl, "err", err)
			}
		}
		if err := s.sweep(ctx); err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", canaryControl, err)
		}
		defer sweep()
		var holders []identity.Planted
		for _, mark := range []string{"-a", "-b", "-c"} {
			p, uproot, err := s.Plant(ctx, door, canaryControl+mark, "engineer")
			if err != nil {
				return clause.Result{}, fmt.Errorf("%s: %w", canaryControl, err)
			}
			defer uproot()
			holders = append(holders, p)
		}
		if err := t.plant(holders); err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", canaryControl, err)
		}
		t.story()
		if t.err != nil {
			return clause.Result{}, fmt.Errorf("%s: %w", canaryControl, t.err)
		}
		return clause.Judge("a foreign share, one holder twice and a share too few opened nothing", t.steps...), nil
	}
}

// plant puts a live set there whose shares only this run holds.
func (t *trial) plant(holders []identity.Planted) error {
	need := t.s.Rules.Get().Shares
	for len(holders) < need { // a stricter policy: the rest of the shares have no holder
		holders = append(holders, identity.Planted{Person: fmt.Sprintf("%s-%d", canarySet, len(holders))})
	}
	whole := secret.Random(shamir.SecretLen)
	defer whole.Wipe()
	var err error
	if t.shares, err = shamir.Split(whole, 2, len(holders)); err != nil {
		return err
	}
	_, err = t.s.DB.Change(t.ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		var team string
		if err := ledger.One(t.ctx, tx, teamOf, []any{&team}, holders[0].Person); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(t.ctx, insertSet, canarySet, team, int64(canaryNumber), int64(2), int64(len(t.shares)), digest(whole), live, us(tx.Now()), canaryControl); err != nil {
			return nil, err
		}
		for i, p := range t.shares {
			if _, err := tx.Exec(t.ctx, insertShare, canarySet, int64(shamir.Place(p)), holders[i].Person, digest(p), nil); err != nil {
				return nil, err
			}
		}
		return CanarySetPlanted{Control: canaryControl, Set: canarySet}, nil
	})
	return err
}

// sweep removes the planted set with all that was done with it.
func (s *Service) sweep(ctx context.Context) error {
	_, err := s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		for _, q := range []string{sweepGiven, sweepUses, sweepShares, sweepSet} {
			if _, err := tx.Exec(ctx, q, canarySet); err != nil {
				return nil, err
			}
		}
		return CanarySetSwept{Control: canaryControl, Set: canarySet}, nil
	})
	return err
}

// send gives a share at the public door.
func (t *trial) send(share secret.Bytes, more map[string]any) (a canary.Answer, out gatheringOut) {
	if t.err != nil {
		return a, out
	}
	in := map[string]any{"share": write(canaryNumber, share).Reveal()}
	maps.Copy(in, more)
	body, err := json.Marshal(in)
	if err == nil {
		a, err = t.v.Do(t.ctx, http.MethodPost, "/-/api/v1/break-glass", string(body))
	}
	if err == nil && a.Status >= http.StatusInternalServerError {
		err = fmt.Errorf("the door answered %d", a.Status)
	}
	t.err = err
	_ = json.Unmarshal([]byte(a.Body), &out) // a refusal is no such answer
	return a, out
}

// step notes what came back: of a refusal its code, else how many shares count.
func (t *trial) step(act, expected string, a canary.Answer, out gatheringOut, control bool) {
	if t.err != nil {
		return
	}
	got := fmt.Sprintf("%d, %d of %d, done %v", a.Status, out.Given, out.Need, out.Done)
	var p struct {
		Code string `json:"code"`
	}
	if a.Status >= 300 && json.Unmarshal([]byte(a.Body), &p) == nil {
		got = fmt.Sprintf("%d %s", a.Status, p.Code)
	}
	t.steps = append(t.steps, clause.Step{Act: act, Expected: expected, Got: got, OK: got == expected, Control: control})
}

func (t *trial) story() {
	need := t.s.Rules.Get().Shares
	of := func(given int) string { return fmt.Sprintf("200, %d of %d, done %v", given, need, given == need) }
	foreign := append(secret.Random(shamir.SecretLen).Reveal(), 1)
	a, out := t.send(secret.NewBytes(foreign), map[string]any{"reason": "a canary's opening"})
	t.step("begin with a foreign share", "403 share_refused", a, out, false)
	a, out = t.send(t.shares[0], map[string]any{"reason": "a canary's opening"})
	t.step("begin with one share", of(1), a, out, true)
	code := out.Code
	a, out = t.send(t.shares[0], map[string]any{"code": code})
	t.step("give the same share again", "409 share_twice", a, out, false)
	a, out = t.send(secret.NewBytes(foreign), map[string]any{"code": code})
	t.step("go on with a foreign share", "403 share_refused", a, out, false)
	a, out = t.send(t.shares[1], map[string]any{"code": "0000-0000"})
	t.step("join an opening that nobody began", "410 opening_over", a, out, false)
	t.enter(code)
	a, out = t.send(t.shares[0], map[string]any{"drill": true})
	t.step("begin a drill", of(1), a, out, true)
	code = out.Code
	for i := 1; i < need && i < 3; i++ { // only three of the planted holders are people
		a, out = t.send(t.shares[i], map[string]any{"code": code})
		t.step("give another share", of(i+1), a, out, true)
	}
}

// enter tries to open the session with a share too few, and all one knows: the code.
func (t *trial) enter(code string) {
	if t.err != nil {
		return
	}
	a, err := t.v.Do(t.ctx, http.MethodPost, atGlass+"/enter/"+code, "")
	if t.err = err; err == nil {
		t.step("enter with a share too few", "410 link_dead", a, gatheringOut{}, false)
	}
	if a, err = t.v.Do(t.ctx, http.MethodGet, "/-/api/v1/session", ""); err != nil {
		t.err = err
	}
	t.step("act without a session", "401 sign_in_needed", a, gatheringOut{}, false)
}

const (
	teamOf      = `SELECT team FROM identity_member WHERE person = $1`
	sweepGiven  = `DELETE FROM identity_glass_given WHERE use_id IN (SELECT id FROM identity_glass_use WHERE set_id = $1)`
	sweepUses   = `DELETE FROM identity_glass_use WHERE set_id = $1`
	sweepShares = `DELETE FROM identity_glass_share WHERE set_id = $1`
	sweepSet    = `DELETE FROM identity_glass_set WHERE id = $1`
)
