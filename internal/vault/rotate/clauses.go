package rotate

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/ledger"
	"writ/internal/secret"
	"writ/internal/vault"
)

// Controls are the proofs of this package.
func (s *Service) Controls() []clause.Control {
	return []clause.Control{
		{ID: "vault.rotations-on-time", Clause: rotation, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks for values that should be replaced by themselves and were not: failed, stuck or late", Run: s.probe},
		{ID: "vault.rotation-canary", Clause: rotation, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Replaces an access key of the reserved team and tries the former one at the door", Run: s.trial},
	}
}

// late is how long after it was due a step is a finding.
const late = 24 * time.Hour

// probe wants nothing failed and nothing late.
func (s *Service) probe(ctx context.Context) (clause.Result, error) { // clause: crypto.key-rotation
	rs, err := s.rows(ctx, ` WHERE team <> $1 ORDER BY name`, vault.CanaryTeam)
	if err != nil {
		return clause.Result{}, err
	}
	var failed, over int64
	var names []string
	for _, r := range rs {
		since := r.Begun
		switch r.State {
		case idle:
			since = r.Due
		case promoted:
			since = r.Until
		}
		switch {
		case r.Problem != "":
			failed++
			names = append(names, r.Name+" ("+r.Problem+")")
		case s.Now().Sub(since) > late:
			over++
			names = append(names, r.Name+" ("+r.State+")")
		}
	}
	r := clause.Passed(fmt.Sprintf("of %d values that are replaced by themselves %d stand still and %d are late", len(rs), failed, over))
	if r.Population = int64(len(rs)); failed+over > 0 {
		r.Outcome = clause.Fail
		if len(names) > 3 {
			names = append(names[:3], "…")
		}
		r.Summary += ": " + strings.Join(names, ", ") + "; writ vault rotation list says what to do"
	}
	return r, nil
}

const canaryControl = "vault.rotation-canary"

// trial replaces an access key of the reserved team, which has no grace.
func (s *Service) trial(ctx context.Context) (clause.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	path := "/canary/" + hex.EncodeToString(secret.Random(8).Reveal())
	key, uproot, err := s.Vault.PlantKey(ctx, canaryControl, path, true)
	if err != nil {
		return clause.Result{}, err
	}
	defer uproot()
	r, err := s.plant(ctx, key, path)
	if err != nil {
		return clause.Result{}, err
	}
	defer s.sweep(ctx, r.ID)
	steps := []clause.Step{s.tryKey(ctx, "log in with the value that is there", key.ID, key.Secret, true)}
	if err := s.carry(ctx, r.ID, asked); err != nil {
		return clause.Result{}, fmt.Errorf("%s: %w", canaryControl, err)
	}
	now, err := s.one(ctx, ` WHERE id = $1`, r.ID)
	if err != nil {
		return clause.Result{}, err
	}
	done := clause.Step{Act: "replace it", Expected: verified, Got: now.State + " " + now.Problem, OK: now.State == idle && now.Problem == "", Control: true}
	if steps = append(steps, done); done.OK {
		done.Got, steps[1].Got = verified, verified
		v, err := s.newest(ctx, &now)
		if err != nil {
			return clause.Result{}, err
		}
		t, err := parseTemplate(keyTemplate, keyMarks)
		if err != nil {
			return clause.Result{}, err
		}
		id, text, _ := t.match(v.Text)
		steps = append(steps, s.tryKey(ctx, "log in with what programs read now", id, secret.NewText(text), true), s.tryKey(ctx, "log in with the former value", key.ID, key.Secret, false))
	}
	return clause.Judge("a replaced access key was let in, and the former one was not any more", steps...), nil
}

// tryKey knocks, and says how that went.
func (s *Service) tryKey(ctx context.Context, act, id string, text secret.Text, should bool) clause.Step {
	st := clause.Step{Act: act, Expected: "refused", Got: "let in", Control: should}
	if should {
		st.Expected = "let in"
	}
	code, err := s.Knock(ctx, id, text)
	if err != nil {
		code = "no answer"
	}
	if code != "" {
		st.Got = code
	}
	st.OK = err == nil && should == (code == "")
	return st
}

// plant writes a key's value under its path, and has it replaced.
func (s *Service) plant(ctx context.Context, key vault.IssuedKey, path string) (row, error) {
	t, err := parseTemplate(keyTemplate, keyMarks)
	if err != nil {
		return row{}, err
	}
	r := row{team: key.Team, Rotation: Rotation{ID: s.DB.ID(), Name: path + "/key", Kind: AccessKey, Spec: Spec{Path: path, Reads: true, KeyOwner: key.Owner, Template: keyTemplate}}}
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		return row{}, fmt.Errorf("write a rotation: %w", err)
	}
	k, err := s.Vault.ValueKey(ctx, r.team)
	if err != nil {
		return row{}, err
	}
	_, err = s.DB.Change(ctx, r.system(), func(tx *ledger.Tx) (ledger.Event, error) {
		_, ev, err := s.Vault.WriteNext(ctx, tx, r.system(), r.Name, t.fill(key.ID, key.Secret.Reveal()), 0, k)
		if err != nil {
			return nil, err
		}
		tx.Also(ev)
		_, err = tx.Exec(ctx, insertRow, r.ID, r.team, []byte(r.Name), r.Kind, string(spec), 0, 0, us(tx.Now()), r.system().String(), []byte{}, 1)
		return vault.CanaryPlanted{Control: canaryControl, Key: key.ID}, err
	})
	if err != nil {
		return row{}, fmt.Errorf("plant a rotation: %w", err)
	}
	return r, nil
}

// sweep removes a planted rotation and the key that it made.
func (s *Service) sweep(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var fresh string
	_, err := s.DB.Change(ctx, actor.System("canary"), func(tx *ledger.Tx) (ledger.Event, error) {
		if err := ledger.One(ctx, tx, `SELECT fresh FROM vault_rotation WHERE id = $1`, []any{&fresh}, id); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM vault_access_key WHERE id = $1 AND team = $2`, fresh, vault.CanaryTeam); err != nil {
			return nil, err
		}
		_, err := tx.Exec(ctx, `DELETE FROM vault_rotation WHERE id = $1 AND team = $2`, id, vault.CanaryTeam)
		return vault.CanarySwept{Control: canaryControl, Key: fresh}, err
	})
	s.Vault.ForgetKey(fresh)
	if err != nil {
		s.Log.Error("remove what a control planted", "control", canaryControl, "err", err)
	}
}
