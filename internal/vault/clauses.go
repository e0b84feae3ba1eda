package vault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Controls are the proofs of the store itself; those that go through the wire are the
// door's (package ssm).
func (s *Service) Controls() []clause.Control {
	return []clause.Control{
		{ID: "vault.values-sealed", Clause: "vault.encrypted-store", Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks at every stored value and opens a sample of them in their places", Run: s.probeSealed},
		{ID: "vault.moved-value-refused", Clause: "vault.encrypted-store", Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Moves a sealed value to another row, version and team, and tries to open it there", Run: s.moveValue},
		{ID: "vault.reads-have-readers", Clause: "vault.access-logged", Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Counts access keys and grants that nobody stands behind, keys that outlive their end, and secrets of keys that are not sealed", Run: s.probeKeys},
		{ID: "vault.own-database-private", Clause: "vault.db-private", Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks where the database lies that this vault keeps its values in", Run: s.probeDatabase},
		{ID: "vault.leavers-know-nothing", Clause: "crypto.key-rotation", Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks for secrets that somebody who left has seen, and that were not replaced since", Run: s.probeLeavers},
		{ID: "vault.values-not-overdue", Clause: "crypto.key-rotation", Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Counts parameters that are due for another value by the period said about their names", Run: s.probeDue},
	}
}

// sampled is how many values a probe opens.
const sampled = 20

// probeSealed looks at every stored value.
func (s *Service) probeSealed(ctx context.Context) (clause.Result, error) {
	var n, clear, opened, shut int64
	err := s.DB.Each(ctx, selectBoxes, func(scan ledger.Scan) error {
		var team, param string
		var version int64
		var box []byte
		if err := scan(&team, &param, &version, &box); err != nil {
			return err
		}
		n++
		if _, err := envelope.KeyID(box); err != nil {
			clear++
			return nil
		}
		if opened+shut < sampled {
			if b, err := s.open(ctx, valueAt(team, param, version), box); err != nil {
				shut++
			} else {
				b.Wipe()
				opened++
			}
		}
		return nil
	})
	if err != nil {
		return clause.Result{}, fmt.Errorf("read stored values: %w", err)
	}
	plain, err := s.plainSensitive(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	r := clause.Passed(fmt.Sprintf("of %d stored values %d are not sealed with %s, and of %d that were opened %d did not open in their place; %d sensitive names are no SecureString", n, clear, s.Rules.Get().Alg, opened+shut, shut, plain))
	if r.Population = n; clear+shut+plain > 0 {
		r.Outcome = clause.Fail
	}
	return r, nil
}

// plainSensitive counts plain values under sensitive names: there should be no way to one.
func (s *Service) plainSensitive(ctx context.Context) (n int64, err error) {
	type path struct{ team, name string }
	var paths []path
	err = s.DB.Each(ctx, `SELECT team, name FROM vault_about WHERE sensitive = TRUE`, func(scan ledger.Scan) error {
		var p path
		err := scan(&p.team, textInto{&p.name})
		paths = append(paths, p)
		return err
	})
	for _, p := range paths {
		if err == nil {
			if err = noPlainBelow(ctx, s.DB, p.team, p.name); errors.Is(err, fault.Conflict) {
				n, err = n+1, nil
			}
		}
	}
	if err != nil {
		return 0, fmt.Errorf("look at sensitive names: %w", err)
	}
	return n, nil
}

// moveValue seals a value for one place and tries others.
func (s *Service) moveValue(ctx context.Context) (clause.Result, error) {
	plain := secret.RandomText(16)
	here := valueAt(canaryTeam, "canary", 1)
	box, err := s.seal(ctx, keyFor(canaryTeam), here, []byte(plain.Reveal()))
	if err != nil {
		return clause.Result{}, err
	}
	steps := []clause.Step{s.try(ctx, "open it in its own place", here, box, true)}
	for _, e := range []struct {
		act   string
		place envelope.AAD
	}{
		{"open it as another version", valueAt(canaryTeam, "canary", 2)},
		{"open it as another parameter", valueAt(canaryTeam, "else", 1)},
		{"open it in another team", valueAt(Home, "canary", 1)},
		{"open it as the secret of a key", secretAt("canary")},
	} {
		steps = append(steps, s.try(ctx, e.act, e.place, box, false))
	}
	return clause.Judge("a sealed value opened in its own place and in no other", steps...), nil
}

func (s *Service) try(ctx context.Context, act string, place envelope.AAD, box []byte, should bool) clause.Step {
	st := clause.Step{Act: act, Expected: "box_damaged", Got: "opened", Control: should}
	if should {
		st.Expected = "opened"
	}
	if b, err := s.open(ctx, place, box); err != nil {
		st.Got, _ = fault.PublicOf(err)
	} else {
		b.Wipe()
	}
	st.OK = st.Got == st.Expected
	return st
}

// probeKeys looks at all live access keys.
func (s *Service) probeKeys(ctx context.Context) (clause.Result, error) {
	now := s.Now()
	var n, long, clear int64
	left := map[string]int64{}
	err := s.DB.Each(ctx, liveKeys, func(scan ledger.Scan) error {
		var owner string
		var issued, expires int64
		var box []byte
		if err := scan(&owner, &issued, &expires, &box); err != nil {
			return err
		}
		n++
		left[owner]++
		if at(expires).Sub(at(issued)) > keyMost {
			long++
		}
		if _, err := envelope.KeyID(box); err != nil {
			clear++
		}
		return nil
	}, us(now))
	if err != nil {
		return clause.Result{}, fmt.Errorf("read access keys: %w", err)
	}
	var gone int64
	for owner, keys := range left {
		switch _, err := s.ownerOf(ctx, owner); {
		case errors.Is(err, fault.Denied):
			gone += keys // they do not work; they should not be there either
		case err != nil:
			return clause.Result{}, fmt.Errorf("find the owner of an access key: %w", err)
		}
	}
	grants, stray, err := s.leftGrants(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	r := clause.Passed(fmt.Sprintf("of %d live access keys %d live longer than a year, %d are kept unsealed, and %d belong to somebody who is not there any more and do not work; of %d grants of paths %d likewise", n, long, clear, gone, grants, stray))
	if r.Population = n + grants; long+clear > 0 {
		r.Outcome = clause.Fail
	}
	return r, nil
}

// The reserved team of controls, and who stands behind its keys.
const (
	canaryTeam  = "canary-vault"
	canaryOwner = "writ/canary"
)

// canaryActor is the program of a control: an engineer of the reserved team.
func canaryActor() actor.Actor {
	return actor.Actor{Kind: actor.Machine, ID: "canary", Team: canaryTeam, TeamKind: "canary", Roles: []string{"engineer"}}
}

// ownerOf is Owners, and the owner of what controls plant.
func (s *Service) ownerOf(ctx context.Context, ref string) (actor.Actor, error) {
	if ref == canaryOwner {
		return canaryActor(), nil
	}
	return s.Owners.OwnerOf(ctx, ref)
}

// PlantKey makes an access key of the reserved team for one run of a control, and returns
// what removes it again with all that it wrote.
func (s *Service) PlantKey(ctx context.Context, control, path string, reads bool) (IssuedKey, func(), error) {
	k := IssuedKey{AccessKey: AccessKey{ID: newKeyID(false), Owner: canaryOwner, Team: canaryTeam, Path: path, Reads: reads}, Secret: secret.RandomText(30)}
	box, err := s.seal(ctx, keyring.Class(accessClass), secretAt(k.ID), []byte(k.Secret.Reveal()))
	if err != nil {
		return IssuedKey{}, nil, err
	}
	who := actor.System("canary")
	_, err = s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, insertKey, k.ID, box, k.Team, k.Owner, k.Path, k.Reads, who.String(), us(tx.Now()), us(tx.Now().Add(time.Hour)), "")
		return CanaryPlanted{Control: control, Key: k.ID}, err
	})
	if err != nil {
		return IssuedKey{}, nil, fmt.Errorf("plant access key: %w", err)
	}
	return k, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := s.uproot(ctx, who, control, k); err != nil {
			s.Log.Error("remove what a control planted", "control", control, "err", err)
		}
	}, nil
}

// PlantSensitive calls the path of a planted key sensitive, until the key is removed.
func (s *Service) PlantSensitive(ctx context.Context, control string, k IssuedKey) error {
	_, err := s.change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		_, err := tx.Exec(ctx, putAbout, canaryTeam, []byte(k.Path), "", "", 0, false, true)
		return CanaryPlanted{Control: control, Key: k.ID}, err
	})
	if err != nil {
		return fmt.Errorf("plant a sensitive path: %w", err)
	}
	return nil
}

func (s *Service) uproot(ctx context.Context, who actor.Actor, control string, k IssuedKey) error {
	_, err := s.change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		var ids []string
		err := tx.Each(ctx, paramsUnder, func(scan ledger.Scan) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		}, canaryTeam, []byte(k.Path+"/"), []byte(k.Path+"0"))
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if err := deleteParam(ctx, tx, id); err != nil {
				return nil, err
			}
		}
		if _, err := tx.Exec(ctx, `DELETE FROM vault_about WHERE team = $1 AND name = $2`, canaryTeam, []byte(k.Path)); err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `DELETE FROM vault_access_key WHERE id = $1`, k.ID)
		return CanarySwept{Control: control, Key: k.ID, Params: int64(len(ids))}, err
	})
	s.rows.forget(k.ID)
	return err
}

const (
	paramsUnder = `SELECT id FROM vault_param WHERE team = $1 AND name >= $2 AND name < $3`
	selectBoxes = `SELECT p.team, v.param, v.version, v.value FROM vault_version v JOIN vault_param p ON p.id = v.param`
	liveKeys    = `SELECT owner, issued, expires, secret FROM vault_access_key WHERE ended IS NULL AND expires > $1`
)
