package incident

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Gate is the door of the application: it is closed before data is restored, and opened step
// by step. Each call may be made again after a crash. One of an older try than has called before is
// refused: fault.Conflict (epoch_over).
type Gate interface {
	// Close keeps every request from the application, on every node: 503 with a notice. What
	// is under way has half a minute. It says since when it has been closed.
	Close(ctx context.Context, who actor.Actor, o Order) (time.Time, error)
	// Look says what the gate can tell of itself since it was closed.
	Look(ctx context.Context, since time.Time) (Shut, error)
	// Open lets staff in, and a share of the teams in per cent; 100 is everybody.
	Open(ctx context.Context, who actor.Actor, share int, o Order) error
	// Lets reports whether a team is among those that Open lets in at a share. Accounts ask it long after.
	Lets(team string, share int) bool
}

// Order is why the gate is closed or opened, and by which try: a server that was stopped in the
// middle of one wakes when another has gone on, and must not undo what that did.
type Order struct {
	Reason string
	Epoch  int64 // greater than that of each try that began before; never 0
}

// Epoch numbers what a server does outside its ledger. It is taken before it is read what there is to
// do: whoever obeys none but the newest does nothing that somebody decided on what is past.
type Epoch struct {
	Ledger string // that counts; random. One that is made anew is another one, and counts anew
	N      int64  // greater than each that this ledger gave before; never 0
}

// Shut is what a closed gate tells.
type Shut struct {
	Closed bool   // no request comes to the application
	Tried  int    // requests of all kinds, at each public entry
	Passed string // the first of them that was let through; "" = none
	Writes int64  // changes that the application took of requests that came since
	Under  int    // requests that are still under way
}

// Source tells what an application's data can be brought back from, and makes the plan.
type Source interface {
	// Names are those of the database that a restore overwrites: files, inodes, clusters. One
	// that the ledger has too means that they are the same.
	Names(ctx context.Context) ([]string, error)
	// Points are the states that were read back since they were copied, the newest first.
	Points(ctx context.Context) ([]Point, error)
	// Onsets are times at which the data may have been damaged, as the copies show it.
	Onsets(ctx context.Context) ([]Onset, error)
	// Plan says what a restore would do; it changes nothing.
	Plan(ctx context.Context, w Wish) (Plan, error)
}

// Keeper keeps things as they are.
type Keeper interface {
	// Shut stops what writes beside the gate (workers, queues, timers), and keeps copies from
	// expiring; or lets both go on.
	Shut(ctx context.Context, shut bool, epoch Epoch) error
	// Hold keeps copies from expiring, or lets them. Only another Hold is older or newer than it, so that
	// none keeps a restore from going on; one that is older, and finds it as it wants it, is not refused.
	Hold(ctx context.Context, on bool, epoch Epoch) error
	// Mark names where the database stands, and has what is written saved up to there. The same
	// name twice is one point.
	Mark(ctx context.Context, name string) (position string, err error)
	// Still is where the database stands: the same twice means that nobody wrote between.
	Still(ctx context.Context) (string, error)
	// Preserve copies the damaged state under a name, once, and gives the hash of the copy.
	Preserve(ctx context.Context, name string) (hash string, err error)
	// Protect makes a fresh copy and restores it on the side.
	Protect(ctx context.Context) (Point, []Check, error)
}

// Restorer restores, and finds out whether it is good.
type Restorer interface {
	// Rehearse restores on the side, checks, and removes it.
	Rehearse(ctx context.Context, p Plan) ([]Check, error)
	// Restore puts the restored data in the place of the damaged, and says where it stands.
	Restore(ctx context.Context, p Plan, epoch Epoch) (position string, err error)
	// Verify checks the data in its place.
	Verify(ctx context.Context, p Plan) ([]Check, error)
	// DryRun runs the application on its private path; no plan = nothing was restored.
	DryRun(ctx context.Context, p Plan) ([]Check, error)
	// Reconcile does again what was revoked and erased since the point, and checks that
	// nothing of it has come back.
	Reconcile(ctx context.Context, p Plan, since []Tombstone, epoch Epoch) (replayed int64, checks []Check, err error)
	// Lost are the acknowledged writes that the restored data does not have.
	Lost(ctx context.Context, p Plan) ([]Write, error)
}

// Recovery is what restores the data of an application. Each call may be made again after a
// crash, and ends the same. What is given the epoch of a try refuses one older than it has obeyed,
// in the same moment in which it acts: fault.Conflict (epoch_over). The number of a ledger that has
// not acted yet is newer than each of those that have, and then theirs are over.
type Recovery interface {
	Source
	Keeper
	Restorer
}

// Point is a state that data can be brought back to.
type Point struct {
	ID       string    `json:"id"`
	At       time.Time `json:"at"`
	Position string    `json:"position"`
	Hash     string    `json:"sha256"`
	Rows     int64     `json:"rows"`
}

// Onset is when the data may have been damaged: after From, by To.
type Onset struct {
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Kind  string    `json:"kind,omitempty"` // "" = copies show it
	Says  string    `json:"says"`
	Entry int64     `json:"entry,omitempty"` // number in the journal; 0 = it has none
}

// The rules by which a point is chosen. The first two are those of the policy.
const (
	Literal   = "last-before-incident"          // a copy as it is
	PITR      = "point-in-time-before-incident" // a copy, and what was written until the onset
	Preserved = "preserved-state"               // the damaged state, after a restore that failed
)

// Wish is what a plan is asked for.
type Wish struct {
	Rule   string
	Before time.Time // the data must be from before
	Point  string    // one of them; "" = the newest that fits
	Kept   string    // the name under which the damaged state is kept
}

// Plan is what two people sign, and the one thing that a restore is given. It is never changed:
// another plan has another hash.
type Plan struct {
	Case     string    `json:"incident"`
	Round    int64     `json:"round"`
	Rule     string    `json:"rule"`
	Target   string    `json:"target"` // the database that is overwritten
	Point    string    `json:"point"`
	Hash     string    `json:"sha256"` // of what is restored
	At       time.Time `json:"at"`     // nothing later is in it
	Position string    `json:"position"`
	Onset    time.Time `json:"onset"`
	Kept     string    `json:"kept,omitempty"`
	Rows     int64     `json:"rows"`         // that will be there
	Lost     int64     `json:"lost_writes"`  // acknowledged, and gone
	Seconds  int64     `json:"lost_seconds"` // between the point and the onset
	Expected int64     `json:"expected_seconds"`
	Checks   []Check   `json:"checks"`
	ByHand   bool      `json:"by_hand,omitempty"` // people restore it; the server reaches nothing
	Says     string    `json:"says,omitempty"`
}

// Digest is the hash that signatures are bound to.
func (p Plan) Digest() string {
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // no field of a plan fails to be written
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// Check is something that was looked at.
type Check struct {
	Name string `json:"name"`
	Good bool   `json:"good"`
	Says string `json:"says"`
}

// Tombstone is something that was revoked or erased: it must not come back.
type Tombstone struct {
	Act    string // name of the entry
	Object string
	At     time.Time
}

// Write is an acknowledged write.
type Write struct {
	At     time.Time `json:"at"`
	Team   string    `json:"team"`
	Person string    `json:"person,omitempty"`
	Route  string    `json:"route"`
	Record string    `json:"record,omitempty"`
	Hash   string    `json:"sha256,omitempty"` // of what was sent
}

// signatures are how long a person's yes to a plan counts, and how many there must be.
const (
	signatureLife = 30 * time.Minute
	signatures    = 2
)

// margin is how long before the onset a copy must be that is restored as it is.
const margin = time.Minute

// apart is the time between the two looks that prove that nothing is written.
const apart = 10 * time.Second

// lossRow is the recovery of a round as it is kept.
type lossRow struct {
	Begun, Down, Frozen, Planned, Restored, Up time.Time
	Onsets                                     []Onset
	Preserved                                  string
	Plan                                       Plan
	Hash, PlannedBy                            string
	Share                                      int64
}

func readLoss(ctx context.Context, r ledger.Reader, c Case) (lossRow, error) {
	var x lossRow
	var begun int64
	var down, frozen, planned, restored, up *int64
	var onsets, plan string
	if err := ledger.One(ctx, r, lossOf, []any{&begun, &onsets, &down, &frozen, &x.Preserved, &plan, &x.Hash, &x.PlannedBy, &planned, &restored, &up, &x.Share}, c.ID, c.Round); err != nil {
		return x, err
	}
	x.Begun, x.Down, x.Frozen, x.Planned, x.Restored, x.Up = at(begun), when(down), when(frozen), when(planned), when(restored), when(up)
	err := json.Unmarshal([]byte(onsets), &x.Onsets)
	if plan != "" {
		err = errors.Join(err, json.Unmarshal([]byte(plan), &x.Plan))
	}
	return x, err
}

// loss is the same, and nothing where nothing is known yet.
func (s *Service) loss(ctx context.Context, c Case) (lossRow, error) {
	x, err := readLoss(ctx, s.DB, c)
	if errors.Is(err, fault.NotFound) {
		return lossRow{Share: -1}, nil
	}
	if err != nil {
		return x, fmt.Errorf("read the recovery: %w", err)
	}
	return x, nil
}

// signers are the people whose yes to a plan counts now.
func signers(ctx context.Context, r ledger.Reader, id, hash string, now time.Time) (out []string, err error) {
	if hash == "" {
		return nil, nil
	}
	err = r.Each(ctx, signedBy, func(scan ledger.Scan) error {
		var p string
		err := scan(&p)
		out = append(out, p)
		return err
	}, id, hash, us(now.Add(-signatureLife)))
	return out, err
}

// lossFacts are the guards of lost data that people answer, and those that one plan binds.
func (s *Service) lossFacts(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error { // clause: inc.loss-restore
	if c.States[engine.R] == "" {
		return nil
	}
	x, err := readLoss(ctx, r, c)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	signed, err := signers(ctx, r, c.ID, x.Hash, f.Now)
	if err != nil {
		return err
	}
	if f.Proved[planSigned], err = planStands(ctx, r, c, x.Hash, signed); err != nil {
		return err
	}
	f.Proved["point-before-onset"] = x.Hash != "" && (x.Plan.Rule == Preserved || before(x.Plan))
	return nil
}

// before reports whether a plan's data is from before the onset, with the margin where it is a
// copy as it is.
func before(p Plan) bool {
	if p.Rule == PITR {
		return p.At.Before(p.Onset)
	}
	return p.At.Before(p.Onset.Add(-margin))
}

// beginLoss holds the backups of an incident that lost data, as soon as it is known as one,
// and asks when the damage may have been done. It is looked for each second, until it is done.
func (s *Service) beginLoss(ctx context.Context) error { // clause: inc.loss-restore
	fresh, err := s.fenced(ctx, unbegunLosses)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range fresh {
		errs = append(errs, s.beginOne(ctx, c))
	}
	return errors.Join(errs...)
}

func (s *Service) beginOne(ctx context.Context, c Case) error {
	onsets, points := []Onset{}, 0
	if rec := s.world(c).Recovery; rec != nil {
		if err := s.superseded(ctx, c, holdBackups, rec.Hold(ctx, true, c.epoch)); err != nil {
			return fmt.Errorf("hold backups for %s: %w", c.Ref(), err)
		}
		found, err := rec.Onsets(ctx)
		ps, err2 := rec.Points(ctx)
		if err := errors.Join(err, err2); err != nil {
			return fmt.Errorf("look at the backups for %s: %w", c.Ref(), err)
		}
		onsets, points = append(onsets, found...), len(ps)
	}
	b, err := json.Marshal(onsets)
	if err != nil {
		return err
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, insertLoss, c.ID, c.Round, us(tx.Now()), string(b))
		if err == nil && n != 1 {
			err = fault.Wrap(fault.Conflict, "begun", errors.New("another node was first"))
		}
		return LossBegun{Incident: c.ID, Round: c.Round, Points: int64(points), Onsets: int64(len(onsets))}, err
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

const (
	lossOf     = `SELECT begun, onsets, down, frozen, preserved, plan, hash, planned_by, planned, restored, up, share FROM incident_loss WHERE case_id = $1 AND round = $2`
	insertLoss = `INSERT INTO incident_loss (case_id, round, begun, onsets, down, frozen, preserved, plan, hash, planned_by, planned, restored, up, share)
		VALUES ($1, $2, $3, $4, NULL, NULL, '', '', '', '', NULL, NULL, NULL, -1) ON CONFLICT (case_id, round) DO NOTHING`
	unbegunLosses = caseColumns + ` WHERE r NOT IN ('', 'R12') AND l NOT IN ('L6', 'LX') AND NOT EXISTS (SELECT 1 FROM incident_loss x WHERE x.case_id = incident_case.id AND x.round = incident_case.round) ORDER BY id LIMIT 50`
	signedBy      = `SELECT person FROM incident_approval WHERE case_id = $1 AND object = 'plan' AND hash = $2 AND at > $3 ORDER BY at, id`
	signPlan      = `INSERT INTO incident_approval (id, case_id, object, hash, person, at) VALUES ($2, $1, 'plan', $3, $4, $5)
		ON CONFLICT (case_id, object, hash, person) DO UPDATE SET at = excluded.at`
)
