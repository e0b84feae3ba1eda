package glass

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/shamir"
)

// staffTeam is the team whose owners these sets are of.
const staffTeam = "staff"

// maxNeed leaves room for one holder who cannot come.
const maxNeed = shamir.MaxShares - 1

// The states of a set.
const (
	waiting = "waiting"
	live    = "live"
	ended   = "ended"
)

// Set is one set of shares.
type Set struct {
	ID     string
	Number int
	Need   int
	State  string // waiting, live, ended
	Made   time.Time
	MadeBy string // a name
	Began  time.Time
	Renew  string // why a new one is wanted; "" = it is not
	Shares []Share
}

// Share is what may be told of one.
type Share struct {
	Place  int
	Holder string // person id
	Name   string
	Picked time.Time // zero = not yet
	Left   bool      // the holder may not use it any more
}

// PickedUp is how many holders have theirs.
func (s Set) PickedUp() int {
	n := 0
	for _, x := range s.Shares {
		if !x.Picked.IsZero() {
			n++
		}
	}
	return n
}

// NewSet is the wish for one.
type NewSet struct {
	Holders []string // ids, handles or addresses of active members of staff
	Need    int      // 0 = what the policy asks for
}

// Prepare splits a fresh secret and puts a share aside for each holder. The set is live
// when one more than need have picked theirs up; until then the former one stays. Errors:
// fault.Denied, fault.Invalid (with fields holder and need).
func (s *Service) Prepare(ctx context.Context, who actor.Actor, in NewSet) (Set, error) {
	if err := s.Access.Allow(ctx, who, access.GlassPrepare, ""); err != nil {
		return Set{}, err
	}
	if in.Need == 0 {
		in.Need = s.Rules.Get().Shares
	}
	holders, err := s.holders(ctx, who, in)
	if err != nil {
		return Set{}, err
	}
	x := Set{ID: s.DB.ID(), Need: in.Need, State: waiting}
	whole := secret.Random(shamir.SecretLen)
	defer whole.Wipe()
	parts, err := shamir.Split(whole, in.Need, len(holders))
	if err != nil {
		return Set{}, err
	}
	var letters []jobs.Job
	boxes := make([][]byte, len(parts))
	ev := Prepared{Set: x.ID, Need: int64(in.Need), Of: int64(len(parts))}
	for i, p := range parts {
		place := int64(shamir.Place(p))
		if boxes[i], err = s.seal(ctx, keyring.Person(holders[i].ID), "identity_glass_share.box", placed(x.ID, place), p.Reveal()); err != nil {
			return Set{}, err
		}
		ev.Holders = append(ev.Holders, holders[i].ID)
		x.Shares = append(x.Shares, Share{Place: int(place), Holder: holders[i].ID, Name: holders[i].Name})
	}
	if letters, err = s.preparedLetters(ctx, who, holders); err != nil {
		return Set{}, err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := endSets(ctx, tx, staffTeam, waiting, "superseded"); err != nil {
			return nil, err
		}
		if err := ledger.One(ctx, tx, lastNumber, []any{&ev.Number}, staffTeam); err != nil {
			return nil, err
		}
		if ev.Number++; ev.Number > maxNumber {
			return nil, fault.Newf(fault.Conflict, "glass_numbers", "The numbers of sets are used up.")
		}
		x.Number, x.Made = int(ev.Number), tx.Now()
		if _, err := tx.Exec(ctx, insertSet, x.ID, staffTeam, ev.Number, ev.Need, ev.Of, digest(whole), waiting, us(tx.Now()), maker(who)); err != nil {
			return nil, err
		}
		for i, p := range parts {
			if _, err := tx.Exec(ctx, insertShare, x.ID, int64(shamir.Place(p)), holders[i].ID, digest(p), boxes[i]); err != nil {
				return nil, err
			}
		}
		return ev, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return Set{}, fmt.Errorf("prepare break-glass: %w", err)
	}
	return x, nil
}

// maker names who prepared a set.
func maker(who actor.Actor) string {
	if who.Kind == actor.Person {
		return who.ID
	}
	return who.String()
}

// holders finds the people who are to hold a share, in the order given.
func (s *Service) holders(ctx context.Context, who actor.Actor, in NewSet) ([]identity.Person, error) {
	var out []identity.Person
	var fields []fault.Field
	bad := func(name, format string, a ...any) {
		fields = append(fields, fault.Field{Name: name, Code: "glass_" + name, Problem: fmt.Sprintf(format, a...)})
	}
	for _, ref := range in.Holders {
		p, err := s.People.Show(ctx, who, ref)
		switch {
		case errors.Is(err, fault.NotFound) || errors.Is(err, fault.Invalid):
			bad("holder", "There is nobody called %q.", cut(ref, 60))
		case err != nil:
			return nil, err
		case slices.ContainsFunc(out, func(o identity.Person) bool { return o.ID == p.ID }):
			bad("holder", "%s stands here twice; each holds one share.", p.Name)
		default:
			out = append(out, p)
			stands, err := s.stands(ctx, p.ID)
			if err != nil {
				return nil, err
			}
			if !stands {
				bad("holder", "%s is no active member of staff.", p.Name)
			}
		}
	}
	if least := s.Rules.Get().Shares; in.Need < least || in.Need > maxNeed {
		bad("need", "The policy asks for %d or more shares, and there can be %d.", least, maxNeed)
	} else if n := len(in.Holders); n <= in.Need || n > shamir.MaxShares {
		bad("holder", "Name %d to %d holders: one more than are needed, so that one may be away.", in.Need+1, shamir.MaxShares)
	}
	if len(fields) > 0 {
		return nil, fault.New(fault.Invalid, fields[0].Code, fault.Public{Problem: fields[0].Problem, Next: "Correct this and try again.", Fields: fields})
	}
	return out, nil
}

func cut(s string, n int) string {
	r := []rune(s)
	return string(r[:min(len(r), n)])
}

// stands reports whether a person may use a share: active, and with a role of staff.
func (s *Service) stands(ctx context.Context, person string) (bool, error) {
	ok := false
	err := s.DB.Each(ctx, rolesOfActive, func(scan ledger.Scan) error {
		var roles string
		err := scan(&roles)
		ok = ok || isStaffed(roles)
		return err
	}, person)
	if err != nil {
		return false, fmt.Errorf("read roles of a holder: %w", err)
	}
	return ok, nil
}

// Waiting says what share lies here for the person who is signed in: fault.NotFound when
// there is none.
func (s *Service) Waiting(ctx context.Context, who actor.Actor) (Paper, error) {
	p, _, err := s.aside(ctx, who)
	return p, err
}

// aside is the share of the actor that was not picked up yet, and its box.
func (s *Service) aside(ctx context.Context, who actor.Actor) (Paper, row, error) {
	if who.Kind != actor.Person || who.Session == "" || who.ByToken() {
		return Paper{}, row{}, fault.New(fault.Denied, "no_account", fault.Public{Problem: "A share is handed to its holder alone.", Next: "Sign in as the holder."})
	}
	var r row
	var made int64
	err := ledger.One(ctx, s.DB, shareAside, []any{&r.set, &r.place, &r.box, &r.number, &r.need, &r.total, &made}, who.ID)
	if errors.Is(err, fault.NotFound) {
		return Paper{}, r, fault.New(fault.NotFound, "no_share", fault.Public{Problem: "No share waits for you here.",
			Expected: "A set in which you hold a share that you have not picked up.", Next: "A share is shown once. If yours is lost, ask an owner to prepare a new set."})
	}
	if err != nil {
		return Paper{}, r, fmt.Errorf("find a share: %w", err)
	}
	return Paper{Company: s.Company(), Holder: s.People.Name(ctx, who.ID), Number: int(r.number), Place: int(r.place), Need: int(r.need), Of: int(r.total), Made: at(made)}, r, nil
}

// row is a share as it lies in the table.
type row struct {
	set                        string
	number, place, need, total int64
	box                        []byte
}

// PickUp shows a holder their share, this once: it is deleted here in the same change.
// With enough of them picked up the set is live and the former one ends.
func (s *Service) PickUp(ctx context.Context, who actor.Actor) (Paper, error) {
	p, r, err := s.aside(ctx, who)
	if err != nil {
		return Paper{}, err
	}
	if err := s.People.FreshNow(ctx, who); err != nil {
		return Paper{}, s.People.Refuse(ctx, who, ShareRefused{Cause: "holder", Set: r.set}, err)
	}
	part, err := s.unseal(ctx, "identity_glass_share.box", placed(r.set, r.place), r.box)
	if err != nil {
		return Paper{}, err
	}
	defer part.Wipe()
	p.Text = write(p.Number, part)
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if n, err := tx.Exec(ctx, lockSet, r.set); err != nil || n != 1 {
			return nil, errors.Join(err, fault.Newf(fault.Conflict, "set_ended", "This set has been replaced meanwhile. Look again."))
		}
		n, err := tx.Exec(ctx, takeShare, r.set, r.place, us(tx.Now()))
		if err != nil {
			return nil, err
		}
		if n != 1 {
			return nil, fault.Newf(fault.Conflict, "share_taken", "This share has been picked up already. It is shown once.")
		}
		return SharePickedUp{Set: r.set, Place: r.place, Holder: who.ID}, begin(ctx, tx, r)
	})
	if err != nil {
		return Paper{}, fmt.Errorf("pick up a share: %w", err)
	}
	return p, nil
}

// begin makes a set live once enough holders have theirs, and ends the one before.
func begin(ctx context.Context, tx *ledger.Tx, r row) error {
	var picked int64
	var state, team, former string
	if err := ledger.One(ctx, tx, pickedOf, []any{&picked, &state, &team}, r.set); err != nil {
		return err
	}
	if state != waiting || picked <= r.need {
		return nil
	}
	if err := ledger.One(ctx, tx, liveSet, []any{&former}, team); err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	if err := endSets(ctx, tx, team, live, "superseded"); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, beginSet, r.set, us(tx.Now()))
	tx.Also(SetBegun{Set: r.set, Former: former})
	return err
}

// endSets ends the set of a team in a state, inside a change: its shares that were not
// picked up go, and what is being gathered with it ends.
func endSets(ctx context.Context, tx *ledger.Tx, team, state, cause string) error {
	var ids []string
	if err := tx.Each(ctx, setsIn, func(scan ledger.Scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	}, team, state); err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := tx.Exec(ctx, endSet, id, us(tx.Now()), cause); err != nil {
			return err
		}
		for _, q := range []string{dropShares, dropGiven} {
			if _, err := tx.Exec(ctx, q, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, endGathering, id, us(tx.Now()), cause); err != nil {
			return err
		}
		tx.Also(SetEnded{Set: id, Cause: cause})
	}
	return nil
}

// Withdraw ends the set that is live and the one that waits, for shares that fell into
// wrong hands. Nobody can break the glass until a new set is live.
func (s *Service) Withdraw(ctx context.Context, who actor.Actor) error {
	if err := s.Access.Allow(ctx, who, access.GlassPrepare, ""); err != nil {
		return err
	}
	letters, err := s.ownerLetters(ctx, staffTeam, s.withdrawnLetter(ctx, who))
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var id string
		if err := ledger.One(ctx, tx, anySet, []any{&id}, staffTeam); err != nil {
			if errors.Is(err, fault.NotFound) {
				err = fault.Newf(fault.NotFound, "no_set", "There is no break-glass set to withdraw.")
			}
			return nil, err
		}
		for _, state := range []string{waiting, live} {
			if err := endSets(ctx, tx, staffTeam, state, "withdrawn"); err != nil {
				return nil, err
			}
		}
		return SetsWithdrawn{Newest: id}, s.enqueue(ctx, tx, letters)
	})
	if err != nil {
		return fmt.Errorf("withdraw break-glass: %w", err)
	}
	return nil
}

// State is how break-glass stands.
type State struct {
	Live    *Set // nil = nobody can break the glass
	Waiting *Set
	Uses    []Use // the newest 50
	Drilled time.Time
	Due     time.Time // when the next drill is; zero = none was yet
}

// Stands tells it, for who may read rights.
func (s *Service) Stands(ctx context.Context, who actor.Actor) (State, error) {
	if err := s.Access.Allow(ctx, who, access.RightsRead, ""); err != nil {
		return State{}, err
	}
	sets, err := s.sets(ctx, staffTeam)
	if err != nil {
		return State{}, err
	}
	var out State
	for i := range sets {
		if sets[i].State == live {
			out.Live = &sets[i]
		} else {
			out.Waiting = &sets[i]
		}
	}
	if out.Uses, err = s.uses(ctx, `s.team = $1 ORDER BY u.asked DESC, u.id DESC LIMIT 50`, staffTeam); err != nil {
		return State{}, err
	}
	for i := range out.Uses {
		u := &out.Uses[i]
		u.AskedBy = s.People.Name(ctx, u.askedBy)
		if b, err := s.unseal(ctx, "identity_glass_use.reason", u.ID, u.reason); err == nil {
			u.Reason = string(b.Reveal())
		} else if !errors.Is(err, fault.Gone) {
			return State{}, err
		}
	}
	if out.Drilled, err = s.lastDrill(ctx); err == nil && !out.Drilled.IsZero() {
		out.Due = out.Drilled.Add(s.Rules.Get().Drill)
	}
	return out, err
}

// sets reads those of a team that have not ended, with their shares.
func (s *Service) sets(ctx context.Context, team string) ([]Set, error) {
	var out []Set
	err := s.DB.Each(ctx, openSets, func(scan ledger.Scan) error {
		var x Set
		var made int64
		var began *int64
		err := scan(&x.ID, &x.Number, &x.Need, &x.State, &made, &x.MadeBy, &began, &x.Renew)
		x.Made, x.Began = at(made), when(began)
		out = append(out, x)
		return err
	}, team)
	if err != nil {
		return nil, fmt.Errorf("read sets: %w", err)
	}
	for i := range out {
		x := &out[i]
		x.MadeBy = s.People.Name(ctx, x.MadeBy)
		err := s.DB.Each(ctx, sharesOf, func(scan ledger.Scan) error {
			var y Share
			var picked *int64
			err := scan(&y.Place, &y.Holder, &picked)
			y.Picked = when(picked)
			x.Shares = append(x.Shares, y)
			return err
		}, x.ID)
		if err != nil {
			return nil, fmt.Errorf("read shares: %w", err)
		}
		for j := range x.Shares {
			y := &x.Shares[j]
			y.Name = s.People.Name(ctx, y.Holder)
			stands, err := s.stands(ctx, y.Holder)
			if err != nil {
				return nil, err
			}
			y.Left = !stands
		}
	}
	return out, nil
}

// lastDrill is when shares last opened something, in earnest or not.
func (s *Service) lastDrill(ctx context.Context) (time.Time, error) {
	var n *int64
	if err := ledger.One(ctx, s.DB, newestDrill, []any{&n}, staffTeam); err != nil {
		return time.Time{}, fmt.Errorf("read the last drill: %w", err)
	}
	return when(n), nil
}

// SetsWithdrawn is the end of all shares that were handed out.
type SetsWithdrawn struct {
	Newest string `class:"public"`
}

// About implements ledger.Event.
func (e SetsWithdrawn) About() ledger.About {
	return ledger.About{Name: "identity.breakglass-withdrawn", Clause: least, Object: "break-glass-set/" + e.Newest}
}

// numbered is a set as people speak of it.
func numbered(n int) string { return "set " + strconv.Itoa(n) }

const (
	lastNumber = `SELECT COALESCE(MAX(number), 0) FROM identity_glass_set WHERE team = $1`
	insertSet  = `INSERT INTO identity_glass_set (id, team, number, need, total, digest, state, made, made_by, began, ended, cause, renew)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, NULL, '', '')`
	insertShare   = `INSERT INTO identity_glass_share (set_id, place, holder, print, box, picked) VALUES ($1, $2, $3, $4, $5, NULL)`
	rolesOfActive = `SELECT m.roles FROM identity_member m JOIN identity_person p ON p.id = m.person WHERE m.person = $1 AND p.state = 'active'`
	shareAside    = `SELECT h.set_id, h.place, h.box, s.number, s.need, s.total, s.made FROM identity_glass_share h JOIN identity_glass_set s ON s.id = h.set_id
		WHERE h.holder = $1 AND h.box IS NOT NULL AND s.state <> 'ended' ORDER BY s.number DESC LIMIT 1`
	lockSet   = `UPDATE identity_glass_set SET number = number WHERE id = $1 AND state <> 'ended'`
	takeShare = `UPDATE identity_glass_share SET box = NULL, picked = $3 WHERE set_id = $1 AND place = $2 AND box IS NOT NULL`
	pickedOf  = `SELECT (SELECT COUNT(*) FROM identity_glass_share h WHERE h.set_id = s.id AND h.picked IS NOT NULL), s.state, s.team FROM identity_glass_set s WHERE s.id = $1`
	liveSet   = `SELECT id FROM identity_glass_set WHERE team = $1 AND state = 'live'`
	anySet    = `SELECT id FROM identity_glass_set WHERE team = $1 AND state <> 'ended' ORDER BY number DESC LIMIT 1`
	setsIn    = `SELECT id FROM identity_glass_set WHERE team = $1 AND state = $2`
	beginSet  = `UPDATE identity_glass_set SET state = 'live', began = $2 WHERE id = $1 AND state = 'waiting'`
	endSet    = `UPDATE identity_glass_set SET state = 'ended', ended = $2, cause = $3 WHERE id = $1`

	dropShares   = `UPDATE identity_glass_share SET box = NULL WHERE set_id = $1`
	dropGiven    = `UPDATE identity_glass_given SET box = NULL WHERE use_id IN (SELECT id FROM identity_glass_use WHERE set_id = $1)`
	endGathering = `UPDATE identity_glass_use SET ended = $2, cause = $3 WHERE set_id = $1 AND entered IS NULL AND ended IS NULL`

	openSets    = `SELECT id, number, need, state, made, made_by, began, renew FROM identity_glass_set WHERE team = $1 AND state <> 'ended' ORDER BY number`
	sharesOf    = `SELECT place, holder, picked FROM identity_glass_share WHERE set_id = $1 ORDER BY place`
	newestDrill = `SELECT MAX(u.granted) FROM identity_glass_use u JOIN identity_glass_set s ON s.id = u.set_id WHERE s.team = $1`
)
