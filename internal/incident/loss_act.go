package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/web"
)

// The acts of lost data, as the engine's table names them.
const (
	gateDown    = "gate-down"
	certify     = "certify-frozen"
	preserve    = "preserve"
	rehearse    = "rehearse"
	restore     = "restore"
	verify      = "verify"
	dryRun      = "dry-run"
	reconcile   = "reconcile"
	gateStaff   = "gate-up"
	gateSome    = "gate-some"
	gateAll     = "gate-all"
	lostWrites  = "lost-writes"
	backUp      = "back-up"
	liftHold    = "lift-hold"
	someOfTeams = 5 // per cent
)

// openings are the acts from the first opening on.
var openings = []string{gateStaff, gateSome, gateAll, lostWrites, backUp}

// answers are the guards that an act answers, and so what people record where the server
// cannot act.
var answers = map[string]string{gateDown: "gate-closed", certify: "frozen-proved", preserve: "copy-kept", rehearse: "rehearsal-green", restore: "restored", verify: "checks-green",
	dryRun: "dry-run-green", reconcile: "reconciled", gateStaff: "staff-in", gateSome: "some-in", gateAll: "all-in", lostWrites: "losses-listed", backUp: "backup-proved"}

func (s *Service) lossActs() map[string]act {
	return map[string]act{gateDown: s.gateDown, certify: s.certifyFrozen, preserve: s.preserveDamage, rehearse: s.rehearsePlan, restore: s.restorePlan, verify: s.verifyData, dryRun: s.dryRunApp,
		reconcile: s.reconcileData, gateStaff: s.opening(gateStaff, 0), gateSome: s.opening(gateSome, someOfTeams), gateAll: s.opening(gateAll, 100), lostWrites: s.listLost, backUp: s.backUpNow, liftHold: s.liftHolds}
}

// byHand is what comes of an act where the server reaches nothing: people do it and record it.
// It answers no guard.
func byHand(what string) outcome { return outcome{Says: "By hand: " + what} }

// judged is an outcome that answers one guard by checks, which are kept beside it.
func judged(act, hash string, checks []Check, good string) outcome {
	var bad []string
	for _, c := range checks {
		if !c.Good {
			bad = append(bad, c.Name+": "+c.Says)
		}
	}
	says := good
	if len(checks) == 0 {
		bad = []string{"nothing was checked"}
	}
	if len(bad) > 0 {
		says = strings.Join(bad, "; ")
	}
	return outcome{Output: hash, Count: int64(len(checks)), Says: says, Proofs: []proof{{Guard: answers[act], Good: len(bad) == 0, Hash: hash, Says: says}},
		Also: func(ctx context.Context, tx *ledger.Tx, c Case) error { return keepChecks(ctx, tx, c, act, checks) }}
}

func keepChecks(ctx context.Context, tx *ledger.Tx, c Case, act string, checks []Check) error {
	if _, err := tx.Exec(ctx, dropChecks, c.ID, c.Round, act); err != nil {
		return err
	}
	for i, k := range checks {
		if _, err := tx.Exec(ctx, insertCheck, c.ID, c.Round, act, int64(i), k.Name, k.Good, k.Says); err != nil {
			return err
		}
	}
	return nil
}

// sets is an outcome that also changes the row of the recovery, by a query whose first two
// arguments are incident and round, and adds an entry.
func (o outcome) sets(ev ledger.Event, query string, args ...any) outcome {
	before := o.Also
	o.Also = func(ctx context.Context, tx *ledger.Tx, c Case) error {
		if before != nil {
			if err := before(ctx, tx, c); err != nil {
				return err
			}
		}
		tx.Also(ev)
		_, err := tx.Exec(ctx, query, append([]any{c.ID, c.Round}, args...)...)
		return err
	}
	return o
}

// lossOf is the recovery of an incident, with its row there.
func (s *Service) lossOf(ctx context.Context, c Case) (lossRow, error) {
	x, err := readLoss(ctx, s.DB, c)
	if !errors.Is(err, fault.NotFound) {
		return x, err
	}
	if err := s.beginOne(ctx, c); err != nil {
		return x, err
	}
	return readLoss(ctx, s.DB, c)
}

// keptName is the name under which the damaged state is kept: another one each time that the
// application was taken down.
func keptName(c Case, x lossRow) string {
	return fmt.Sprintf("%s-%d-%s", c.Ref(), c.Round, x.Down.UTC().Format("20060102T150405"))
}

func (s *Service) preserveDamage(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-restore
	rec := s.world(c).Recovery
	if rec == nil {
		return byHand("copy the damaged database as it is, to a place where nothing overwrites it."), nil
	}
	x, err := s.lossOf(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	name := keptName(c, x)
	hash, err := rec.Preserve(ctx, name)
	if err != nil {
		return outcome{}, fmt.Errorf("keep the damaged state: %w", err)
	}
	return judged(preserve, hash, []Check{{"copy", true, "The damaged state is kept as " + name + ", SHA-256 " + hash + "."}}, "The damaged state is kept.").
		sets(DamageKept{Incident: c.ID, Round: c.Round, Hash: hash}, setPreserved, name), nil
}

// ready is the plan that people signed, if what it would overwrite is still not the ledger.
func (s *Service) ready(ctx context.Context, c Case) (lossRow, []Check, error) {
	x, err := s.lossOf(ctx, c)
	if err != nil {
		return x, nil, err
	}
	if x.Hash == "" || x.Plan.Digest() != x.Hash {
		return x, nil, fault.Newf(fault.Conflict, "no_plan", "There is no plan, or it is not the one that was signed.")
	}
	own, err := s.own(ctx, s.world(c).Recovery)
	if err != nil {
		return x, nil, err
	}
	return x, []Check{{"target", own == "", targetSays(own, x.Plan.Target)}}, nil
}

func targetSays(own, target string) string {
	if own != "" {
		return "It would overwrite the database that holds this record: " + own + "."
	}
	return "It overwrites " + target + ", which is not the database of this record."
}

// own is what the database of a recovery has in common with the ledger; "" = nothing.
func (s *Service) own(ctx context.Context, rec Recovery) (string, error) { // clause: inc.loss-restore
	ours, err := s.DB.Names(ctx)
	if err != nil {
		return "", fmt.Errorf("ask which database this is: %w", err)
	}
	theirs, err := rec.Names(ctx)
	if err != nil {
		return "", fmt.Errorf("ask which database would be overwritten: %w", err)
	}
	if len(ours) == 0 || len(theirs) == 0 {
		return "", fault.Newf(fault.Unavailable, "database_unknown", "It cannot be told which database would be overwritten.")
	}
	for _, n := range theirs {
		if slices.Contains(ours, n) {
			return n, nil
		}
	}
	return "", nil
}

func (s *Service) rehearsePlan(ctx context.Context, c Case) (outcome, error) {
	rec := s.world(c).Recovery
	if rec == nil {
		return byHand("restore the same on the side, and check it."), nil
	}
	x, checks, err := s.ready(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	if checks[0].Good {
		more, err := rec.Rehearse(ctx, x.Plan)
		if err != nil {
			return outcome{}, fmt.Errorf("rehearse: %w", err)
		}
		checks = append(checks, more...)
	}
	return judged(rehearse, x.Hash, checks, "The same restore worked on the side."), nil
}

// restorePlan restores, while the gate is still closed and nothing else is overwritten.
func (s *Service) restorePlan(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-restore
	w := s.world(c)
	if w.Recovery == nil {
		return byHand("restore the database to the point of the plan."), nil
	}
	x, checks, err := s.ready(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	if w.Gate != nil {
		look, err := w.Gate.Look(ctx, x.Down)
		if err != nil {
			return outcome{}, err
		}
		checks = append(checks, shutCheck(look))
	}
	if i := slices.IndexFunc(checks, func(k Check) bool { return !k.Good }); i < 0 {
		began := s.Now()
		reached, err := w.Recovery.Restore(ctx, x.Plan, c.epoch)
		if err != nil {
			return outcome{}, fmt.Errorf("restore: %w", err)
		}
		checks = append(checks, Check{"position", reached == x.Plan.Position, "It has reached " + reached + " in " + s.Now().Sub(began).Round(10*time.Millisecond).String() + "; the plan says " + x.Plan.Position + "."})
	}
	o := judged(restore, x.Hash, checks, "The data is restored to "+x.Plan.Position+".")
	if !o.Proofs[0].Good {
		return o, nil
	}
	return o.sets(DataRestored{Incident: c.ID, Round: c.Round, Plan: x.Hash, Position: x.Plan.Position}, setRestored, us(s.Now())), nil
}

func (s *Service) verifyData(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-reopen
	rec := s.world(c).Recovery
	if rec == nil {
		return byHand("check the restored data: integrity, counts, what was damaged is back."), nil
	}
	x, checks, err := s.ready(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	more, err := rec.Verify(ctx, x.Plan)
	if err != nil {
		return outcome{}, fmt.Errorf("verify: %w", err)
	}
	return judged(verify, x.Hash, append(checks, more...), "Every check of the restored data is green."), nil
}

func (s *Service) dryRunApp(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-reopen
	rec := s.world(c).Recovery
	if rec == nil {
		return byHand("run the application for yourself alone, sign in and look."), nil
	}
	x, err := s.lossOf(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	checks, err := rec.DryRun(ctx, x.restoredPlan())
	if err != nil {
		return outcome{}, fmt.Errorf("dry run: %w", err)
	}
	return judged(dryRun, digest(fmt.Sprint(checks)), checks, "The application works on its private path."), nil
}

// restoredPlan is the plan, where it was carried out; nothing where nobody restored anything.
func (x lossRow) restoredPlan() Plan {
	if x.Restored.IsZero() {
		return Plan{}
	}
	return x.Plan
}

// revoking are the entries after which something must not come back.
var revoking = []string{"identity.person-erased", "identity.person-offboarded", "identity.person-disabled", "identity.member-removed", "identity.need-ended", "identity.user-deprovisioned", "identity.session-ended",
	"identity.token-revoked", "identity.tokens-ended", "identity.service-ended", "identity.password-changed", "identity.factor-removed", "identity.factors-removed", "identity.consent-withdrawn", "identity.grant-revoked"}

// reconcileData does again what was revoked and erased since the point.
func (s *Service) reconcileData(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-reopen
	rec := s.world(c).Recovery
	if rec == nil {
		return byHand("do again what was revoked and erased since the point, and check that nothing of it is back."), nil
	}
	x, err := s.lossOf(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	p := x.restoredPlan()
	if p.Point == "" {
		return judged(reconcile, digest("nothing"), []Check{{"nothing restored", true, "Nothing was restored, so nothing has come back."}}, "Nothing was restored, so nothing has come back."), nil
	}
	since, err := s.tombstones(ctx, p.At)
	if err != nil {
		return outcome{}, err
	}
	n, checks, err := rec.Reconcile(ctx, p, since, c.epoch)
	if err != nil {
		return outcome{}, fmt.Errorf("reconcile: %w", err)
	}
	o := judged(reconcile, digest(fmt.Sprint(n, checks)), checks, web.Count(n, "revocation")+" done again, and nothing has come back.")
	o.Count = n
	return o, nil
}

// tombstones are the entries since a time after which something must not come back.
func (s *Service) tombstones(ctx context.Context, since time.Time) (out []Tombstone, err error) {
	for _, act := range revoking {
		for before := int64(0); ; {
			es, err := s.Record.List(ctx, journal.Query{Act: act, Before: before, Limit: 1000})
			if err != nil {
				return nil, fmt.Errorf("list what was revoked: %w", err)
			}
			for _, e := range es {
				if e.Happened.After(since) {
					out = append(out, Tombstone{Act: act, Object: e.Object, At: e.Happened})
				}
			}
			if len(es) < 1000 || !es[len(es)-1].Happened.After(since) {
				break
			}
			before = es[len(es)-1].N
		}
	}
	slices.SortFunc(out, func(a, b Tombstone) int { return a.At.Compare(b.At) })
	return out, nil
}

func (s *Service) backUpNow(ctx context.Context, c Case) (outcome, error) { // clause: inc.loss-reopen
	rec := s.world(c).Recovery
	if rec == nil {
		return byHand("make a full backup, restore it on the side and check it."), nil
	}
	p, checks, err := rec.Protect(ctx)
	if err != nil {
		return outcome{}, fmt.Errorf("back up: %w", err)
	}
	return judged(backUp, p.Hash, checks, "The backup "+p.ID+" is made, and was restored on the side."), nil
}

func (s *Service) liftHolds(ctx context.Context, c Case) (outcome, error) {
	rec := s.world(c).Recovery
	if rec == nil {
		return byHand("let backups expire again."), nil
	}
	if needed, err := s.needed(ctx, s.DB, c.ID); err != nil || needed && !c.Drill {
		return outcome{Output: digest(c.ID, "needed"), Says: "Backups are kept for another incident."}, err
	}
	if err := rec.Hold(ctx, false, c.epoch); err != nil {
		return outcome{}, fmt.Errorf("lift the holds: %w", err)
	}
	return outcome{Output: digest(c.ID, "lifted"), Says: "Backups expire again as usual."}, nil
}

// redOf is what went wrong where lost data stands, and in which act; "" where nothing did.
func redOf(c Case, proofs []Proof) (says, act string) {
	m, _ := engine.Of(engine.R)
	for _, st := range m.Steps {
		if st.To != c.States[engine.R] || answers[st.Act] == "" {
			continue
		}
		for _, p := range proofs {
			if p.Guard == answers[st.Act] && !p.Good {
				return p.Says, st.Act
			}
		}
	}
	return "", ""
}

func (s *Service) checksOf(ctx context.Context, c Case) (map[string][]Check, error) {
	out := map[string][]Check{}
	err := s.DB.Each(ctx, checksOf, func(scan ledger.Scan) error {
		var act string
		var k Check
		err := scan(&act, &k.Name, &k.Good, &k.Says)
		out[act] = append(out[act], k)
		return err
	}, c.ID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read checks: %w", err)
	}
	return out, nil
}

const (
	setDown      = `UPDATE incident_loss SET down = $3, frozen = NULL, up = NULL, share = -1 WHERE case_id = $1 AND round = $2`
	setFrozen    = `UPDATE incident_loss SET frozen = $3 WHERE case_id = $1 AND round = $2`
	setPreserved = `UPDATE incident_loss SET preserved = $3 WHERE case_id = $1 AND round = $2`
	setRestored  = `UPDATE incident_loss SET restored = $3 WHERE case_id = $1 AND round = $2`
	setShare     = `UPDATE incident_loss SET share = $3, up = COALESCE(up, $4) WHERE case_id = $1 AND round = $2`
	dropChecks   = `DELETE FROM incident_check WHERE case_id = $1 AND round = $2 AND act = $3`
	insertCheck  = `INSERT INTO incident_check (case_id, round, act, n, name, good, says) VALUES ($1, $2, $3, $4, $5, $6, $7)`
	checksOf     = `SELECT act, name, good, says FROM incident_check WHERE case_id = $1 AND round = $2 ORDER BY act, n`
)
