package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
)

// After an exposure a key is replaced, and what it sealed must not stay under it:
//
//	Rotate ─► each team's keys noted (entry) ─► new versions ─► moving
//	each minute ─► a batch opened, sealed anew, swapped where it still is the same (entry)
//	nothing left ─► idle (entry) ─► 30 days ─► looked at again ─► former versions destroyed (entry)
//
// Each batch is a change of its own, and what is left is asked of the rows themselves: a
// process that dies goes on where it was. The former versions are kept as long as a retired
// key-encryption key, for whoever puts a backup of the ledger back; under a hold, longer.

// Store is a column of sealed values that can be sealed anew. A row is named by a text, its
// version and another text; each place is bound to the same ones.
type Store struct {
	Data string // what it holds: "values of parameters"
	Kind string // of the subject whose key seals it, whose id is a team

	// List gives rows of team $1 whose box does not name key $2, after the row $3 $4 $5, at most
	// $6, in their order, each with its box. Put swaps the box of row $1 $2 $3 for $4, if it is $5.
	List, Put string
	Few       bool // the values are large: few at a time
	Place     func(team, row string, version int64, part string) envelope.AAD
}

// The states of a key that was exposed.
const (
	stMoving = "moving"
	stIdle   = "idle"
)

// resealBatch is how many values move in one change, and resealBytes how much of them: a
// change has the writer of everybody.
const (
	resealBatch = 100
	resealBytes = 256 << 10
)

// paramStore is the parameter store's own.
var paramStore = Store{Data: "values of parameters", Kind: "vault",
	List: `SELECT v.param, v.version, '', v.value FROM vault_version v JOIN vault_param p ON p.id = v.param
		WHERE p.team = $1 AND substr(v.value, 3, 32) <> $2 AND (v.param, v.version, '') > ($3, $4, $5) ORDER BY v.param, v.version LIMIT $6`,
	Put: `UPDATE vault_version SET value = $4 WHERE param = $1 AND version = $2 AND $3 = '' AND value = $5`,
	Place: func(team, row string, version int64, _ string) envelope.AAD {
		return envelope.AAD{Table: "vault_version", Column: "value", Team: team, Row: row, Version: int(version)}
	}}

// ResealBegun is a key whose former versions may be known to somebody.
type ResealBegun struct {
	Reseal string `class:"public"`
	Kind   string `class:"public"`
	Team   string `class:"public"`
	Former string `class:"public"` // id of the key
}

// About implements ledger.Event.
func (e ResealBegun) About() ledger.About {
	return ledger.About{Name: "vault.reseal-begun", Clause: rotation, Object: "reseal/" + e.Reseal}
}

// ValuesResealed are values that lie under a new key now.
type ValuesResealed struct {
	Reseal string `class:"public"`
	Data   string `class:"public"`
	Key    string `class:"public"` // the new one
	Moved  int64  `class:"public"` // in this step
	All    int64  `class:"public"` // since it was begun
}

// About implements ledger.Event.
func (e ValuesResealed) About() ledger.About {
	return ledger.About{Name: "vault.values-resealed", Clause: rotation, Object: "reseal/" + e.Reseal}
}

// FormerKeysRetired says that no value lies under a former version any more.
type FormerKeysRetired struct {
	Reseal string    `class:"public"`
	Kind   string    `class:"public"`
	Team   string    `class:"public"`
	Moved  int64     `class:"public"`
	Ends   time.Time `class:"public"` // when they are destroyed
}

// About implements ledger.Event.
func (e FormerKeysRetired) About() ledger.About {
	return ledger.About{Name: "vault.former-keys-retired", Clause: rotation, Object: "reseal/" + e.Reseal}
}

// FormerKeysDestroyed are former versions that nobody can use again.
type FormerKeysDestroyed struct {
	Reseal string   `class:"public"`
	Kind   string   `class:"public"`
	Team   string   `class:"public"`
	Keys   []string `class:"public"`
}

// About implements ledger.Event.
func (e FormerKeysDestroyed) About() ledger.About {
	return ledger.About{Name: "vault.former-keys-destroyed", Clause: rotation, Object: "reseal/" + e.Reseal}
}

// reseal is one key on its way.
type reseal struct {
	id, team, former, state string
	kind                    string
	moved                   int64
	began, changed          time.Time
}

func (x reseal) subject() keyring.Subject { return keyring.Subject{Kind: x.kind, ID: x.team} }

func (s *Service) stores() []Store { return append([]Store{paramStore}, s.Stores...) }

// exposed notes every key of teams' vaults and items, then gives each a new version, for
// what is written from now on.
func (s *Service) exposed(ctx context.Context, who actor.Actor) error {
	teams, err := s.texts(ctx, vaultTeams)
	if err != nil {
		return fmt.Errorf("list teams with a vault: %w", err)
	}
	open, err := s.reseals(ctx, `WHERE state = 'moving' ORDER BY began, id`)
	if err != nil {
		return err
	}
	kinds := []string{}
	for _, st := range s.stores() {
		if !slices.Contains(kinds, st.Kind) {
			kinds = append(kinds, st.Kind)
		}
	}
	for _, team := range teams {
		for _, kind := range kinds {
			x := reseal{id: s.DB.ID(), kind: kind, team: team}
			k, err := s.Ring.Key(ctx, x.subject())
			if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Gone) {
				continue
			}
			if err != nil {
				return fmt.Errorf("look at the key of a team: %w", err)
			}
			x.former = k.ID()
			i := slices.IndexFunc(open, func(o reseal) bool { return o.kind == kind && o.team == team })
			if i >= 0 && open[i].former == x.former { // begun by a process that died
				continue
			}
			_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
				_, err := tx.Exec(ctx, insertReseal, x.id, kind, team, x.former, us(tx.Now()))
				return ResealBegun{Reseal: x.id, Kind: kind, Team: team, Former: x.former}, err
			})
			if err != nil {
				return fmt.Errorf("begin to seal anew: %w", err)
			}
			if err := s.at("reseal begun"); err != nil {
				return err
			}
		}
	}
	begun, err := s.reseals(ctx, `WHERE state = 'moving' ORDER BY began, id`)
	for _, x := range begun {
		if _, failed := s.renewed(ctx, x); failed != nil {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// renewed gives a key its new version, unless it has one; a destroyed one has none.
func (s *Service) renewed(ctx context.Context, x reseal) (envelope.Key, error) {
	k, err := s.Ring.Key(ctx, x.subject())
	if err == nil && k.ID() == x.former {
		k, err = s.Ring.Renew(ctx, x.subject())
	}
	if err != nil && !errors.Is(err, fault.Gone) && !errors.Is(err, fault.NotFound) {
		return k, fmt.Errorf("give a key a new version: %w", err)
	}
	return k, err
}

// Reseal goes on with what an exposure began.
func (s *Service) Reseal(ctx context.Context) error { // clause: crypto.key-rotation
	s.rotating.Lock()
	defer s.rotating.Unlock()
	all, err := s.reseals(ctx, `WHERE state IN ('moving', 'idle') ORDER BY began, id`)
	if err != nil {
		return err
	}
	var errs []error
	for _, x := range all {
		k, err := s.renewed(ctx, x)
		switch {
		case errors.Is(err, fault.Gone) || errors.Is(err, fault.NotFound): // the team's vault was destroyed meanwhile
			err = s.close(ctx, x, nil)
		case err != nil:
		case x.state == stMoving:
			err = s.moveAll(ctx, x, k)
		case s.Now().Sub(x.changed) >= horizon:
			err = s.endFormer(ctx, x, k)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// moveAll seals everything anew that does not lie under k. A pass that finds nothing ends it.
func (s *Service) moveAll(ctx context.Context, x reseal, k envelope.Key) error {
	for {
		found := 0
		for _, st := range s.stores() {
			if st.Kind != x.kind {
				continue
			}
			last := movable{}
			for {
				rows, err := s.under(ctx, st, x, k, last)
				if err != nil {
					return err
				}
				if len(rows) == 0 {
					break
				}
				found, last = found+len(rows), rows[len(rows)-1]
				for len(rows) > 0 {
					n := fits(rows)
					if err := s.moveSome(ctx, &x, st, k, rows[:n]); err != nil {
						return err
					}
					rows = rows[n:]
				}
			}
		}
		if found == 0 {
			break
		}
	}
	_, err := s.DB.Change(ctx, actor.System("vault-keys"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, setReseal, x.id, stIdle, us(tx.Now()))
		return FormerKeysRetired{Reseal: x.id, Kind: x.kind, Team: x.team, Moved: x.moved, Ends: tx.Now().Add(horizon)}, err
	})
	if err != nil {
		return fmt.Errorf("record that everything is sealed anew: %w", err)
	}
	return s.at("reseal idle")
}

// movable is a row with its box.
type movable struct {
	row, part string
	version   int64
	box       []byte
}

// under lists rows whose box does not lie under k.
func (s *Service) under(ctx context.Context, st Store, x reseal, k envelope.Key, after movable) (out []movable, err error) {
	most := s.batch
	if st.Few {
		most = min(most, 4)
	}
	err = s.DB.Each(ctx, st.List, func(scan ledger.Scan) error {
		var m movable
		err := scan(&m.row, &m.version, &m.part, &m.box)
		out = append(out, m)
		return err
	}, x.team, []byte(k.ID()), after.row, after.version, after.part, int64(most))
	if err != nil {
		return nil, fmt.Errorf("list %s under a former key: %w", st.Data, err)
	}
	return out, nil
}

// fits is how many of the rows one change takes, one at least.
func fits(rows []movable) (n int) {
	size := 0
	for n < len(rows) && (n == 0 || size+len(rows[n].box) <= resealBytes) {
		size += len(rows[n].box)
		n++
	}
	return n
}

// moveSome is moveBatch, in smaller steps where the writer is too slow for this many.
func (s *Service) moveSome(ctx context.Context, x *reseal, st Store, k envelope.Key, rows []movable) error {
	err := s.at(fmt.Sprintf("batch of %d", len(rows)))
	if err == nil {
		err = s.moveBatch(ctx, x, st, k, rows)
	}
	if code, _ := fault.PublicOf(err); err == nil || code != "cut_off" || len(rows) == 1 {
		return err
	}
	return errors.Join(s.moveSome(ctx, x, st, k, rows[:len(rows)/2]), s.moveSome(ctx, x, st, k, rows[len(rows)/2:]))
}

// moveBatch seals rows anew. A row that somebody wrote meanwhile is left to the next pass.
func (s *Service) moveBatch(ctx context.Context, x *reseal, st Store, k envelope.Key, rows []movable) error {
	fresh := make([][]byte, len(rows))
	for i, m := range rows {
		at := st.Place(x.team, m.row, m.version, m.part)
		b, err := s.open(ctx, Sealed{at, m.box})
		if err != nil {
			return fmt.Errorf("open %s to seal them anew: %w", st.Data, err)
		}
		fresh[i] = k.Seal(b.Reveal(), at)
		b.Wipe()
	}
	moved := x.moved
	_, err := s.DB.Change(ctx, actor.System("vault-keys"), func(tx *ledger.Tx) (ledger.Event, error) {
		ev := ValuesResealed{Reseal: x.id, Data: st.Data, Key: k.ID()}
		for i, m := range rows {
			n, err := tx.Exec(ctx, st.Put, m.row, m.version, m.part, fresh[i], m.box)
			if err != nil {
				return nil, err
			}
			ev.Moved += n
		}
		ev.All = x.moved + ev.Moved
		moved = ev.All
		_, err := tx.Exec(ctx, movedReseal, x.id, moved, us(tx.Now()))
		return ev, err
	})
	if err != nil {
		return fmt.Errorf("seal %s anew: %w", st.Data, err)
	}
	x.moved = moved
	return s.at("resealed")
}

// endFormer destroys the former versions when nothing lies under them, and nothing is held.
func (s *Service) endFormer(ctx context.Context, x reseal, k envelope.Key) error {
	for _, st := range s.stores() {
		if st.Kind != x.kind {
			continue
		}
		rows, err := s.under(ctx, st, x, k, movable{})
		if err != nil {
			return err
		}
		if len(rows) > 0 { // written under a key that was fetched before: moved first
			return s.reopen(ctx, x)
		}
	}
	all, err := s.Ring.Versions(ctx, x.subject())
	if err != nil {
		return err
	}
	err = s.DB.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error { return held(ctx, tx, "team/"+x.team) })
	if errors.Is(err, errHeld) {
		return nil // it waits for the end of the hold
	}
	if err != nil {
		return err
	}
	gone := []string{}
	for _, former := range all[1:] {
		if err := s.Ring.EraseVersion(ctx, former.ID()); err != nil {
			return fmt.Errorf("destroy a former version: %w", err)
		}
		gone = append(gone, former.ID())
		if err := s.at("version destroyed"); err != nil {
			return err
		}
	}
	return s.close(ctx, x, gone)
}

// reopen moves what is left once more.
func (s *Service) reopen(ctx context.Context, x reseal) error {
	_, err := s.DB.Change(ctx, actor.System("vault-keys"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, setReseal, x.id, stMoving, us(tx.Now()))
		return ResealBegun{Reseal: x.id, Kind: x.kind, Team: x.team, Former: x.former}, err
	})
	if err != nil {
		return fmt.Errorf("seal anew once more: %w", err)
	}
	return nil
}

// close ends it.
func (s *Service) close(ctx context.Context, x reseal, gone []string) error {
	_, err := s.DB.Change(ctx, actor.System("vault-keys"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, setReseal, x.id, stDone, us(tx.Now()))
		return FormerKeysDestroyed{Reseal: x.id, Kind: x.kind, Team: x.team, Keys: append([]string{}, gone...)}, err
	})
	if err != nil {
		return fmt.Errorf("record the end of former versions: %w", err)
	}
	return nil
}

// probeReseals wants what an exposure began to come to its end.
func (s *Service) probeReseals(ctx context.Context) (clause.Result, error) { // clause: crypto.key-rotation
	all, err := s.reseals(ctx, `ORDER BY began, id`)
	if err != nil {
		return clause.Result{}, err
	}
	stuck, back, late := 0, 0, 0
	for _, x := range all {
		switch {
		case x.state == stMoving && s.Now().Sub(x.changed) > 24*time.Hour:
			stuck++
		case x.state == stIdle && s.Now().Sub(x.changed) > horizon+48*time.Hour:
			late++
		}
		if x.state == stMoving {
			continue
		}
		k, err := s.Ring.Key(ctx, x.subject())
		if errors.Is(err, fault.Gone) || errors.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return clause.Result{}, err
		}
		for _, st := range s.stores() {
			if st.Kind != x.kind {
				continue
			}
			rows, err := s.under(ctx, st, x, k, movable{})
			if err != nil {
				return clause.Result{}, err
			}
			back += len(rows)
		}
	}
	r := clause.Passed(fmt.Sprintf("of %d keys that may be known to somebody %d are not sealed anew after a day, %d former versions outlived their end, and %d values lie under one that nothing should use", len(all), stuck, late, back))
	if r.Population = int64(len(all)); stuck+late+back > 0 {
		r.Outcome = clause.Fail
	}
	return r, nil
}

func (s *Service) reseals(ctx context.Context, where string) (out []reseal, err error) {
	err = s.DB.Each(ctx, `SELECT id, kind, team, former, state, moved, began, changed FROM vault_reseal `+where, func(scan ledger.Scan) error {
		var x reseal
		var began, changed int64
		err := scan(&x.id, &x.kind, &x.team, &x.former, &x.state, &x.moved, &began, &changed)
		x.began, x.changed = at(began), at(changed)
		out = append(out, x)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is sealed anew: %w", err)
	}
	return out, nil
}

func (s *Service) texts(ctx context.Context, query string) (out []string, err error) {
	err = s.DB.Each(ctx, query, func(scan ledger.Scan) error {
		var text string
		err := scan(&text)
		out = append(out, text)
		return err
	})
	return out, err
}

const (
	insertReseal = `INSERT INTO vault_reseal (id, kind, team, former, state, moved, began, changed) VALUES ($1, $2, $3, $4, 'moving', 0, $5, $5)`
	setReseal    = `UPDATE vault_reseal SET state = $2, changed = $3 WHERE id = $1`
	movedReseal  = `UPDATE vault_reseal SET moved = $2, changed = $3 WHERE id = $1`
	vaultTeams   = `SELECT team FROM vault_param UNION SELECT team FROM vault_item ORDER BY team`
)
