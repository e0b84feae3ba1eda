package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// Controls are the proofs of this package.
func (s *Service) Controls() []clause.Control {
	return []clause.Control{
		{ID: "vault.key-age", Clause: rotation, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Compares the age of the newest key-encryption key with the policy, and looks for keys left under a former one", Run: s.probeAge},
		{ID: "vault.retired-keys-unused", Clause: rotation, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Counts live keys that are sealed under a retired one, and retired keys that outlived their end", Run: s.probeRetired},
		{ID: "vault.exposed-keys-end", Clause: rotation, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks for values that still lie under a key that may be known to somebody, and for former versions that outlived their end", Run: s.probeReseals},
		{ID: "vault.key-canary", Clause: rotation, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Replaces the key of a reserved subject and tries what must and must not open", Run: s.tryRotation},
		{ID: "vault.shred-canary", Clause: erasure, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Destroys the key of a reserved subject and tries to open what was written, also in a backup of the keys from before", Run: s.tryShred},
		{ID: "vault.certificates-hold", Clause: erasure, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Tries every key that a certificate calls destroyed, compares certificates with their entries, and looks for destructions that are stuck", Run: s.probeCertificates},
		{ID: "vault.key-backups", Clause: erasure, Kind: clause.Probe, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Looks that the key of each day's backup of the keys is gone by its end, and by the day that certificates say; reads the newest backup", Run: s.probeBackups},
	}
}

// probeAge wants the newest key younger than the policy's time, and the keys under it.
func (s *Service) probeAge(ctx context.Context) (clause.Result, error) { // clause: crypto.key-rotation
	st, err := s.stands(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	age, days := s.Now().Sub(newest(st.KEKs).Made), func(d time.Duration) int { return int(d.Hours() / 24) }
	r := clause.Passed(fmt.Sprintf("the newest key-encryption key is %d days old, and due after %d; of %d data keys %d lie under a former one", days(age), days(st.Every), st.Keys, st.Left))
	r.Population = int64(st.Keys)
	stuck := false
	for _, k := range former(st.KEKs) {
		next := st.KEKs[k.Version] // versions begin at 1
		stuck = stuck || s.Now().Sub(next.Made) > 24*time.Hour
	}
	switch {
	case age < -5*time.Minute:
		r = clause.Failed("the newest key-encryption key was made in the future: a clock was set back")
	case age >= st.Every:
		r.Outcome = clause.Fail
		r.Summary += "; it was not replaced: writ vault rotate --now"
	case stuck:
		r.Outcome = clause.Fail
		r.Summary += ", and have for more than a day: writ vault rotate --status"
	}
	return r, nil
}

// probeRetired wants nothing under a retired key, and none kept beyond its end.
func (s *Service) probeRetired(ctx context.Context) (clause.Result, error) { // clause: crypto.key-rotation
	all, err := s.Ring.KEKs(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	retired, late := 0, 0
	for _, k := range all {
		if k.Retired.IsZero() {
			continue
		}
		retired++
		if k.Destroyed.IsZero() && s.Now().Sub(k.Retired) > horizon+48*time.Hour {
			late++
		}
	}
	users := under(all)
	r := clause.Passed(fmt.Sprintf("of %d retired key-encryption keys %d were kept beyond their end, and %d live keys are sealed under one", retired, late, users))
	if r.Population = int64(retired); users+late > 0 {
		r.Outcome = clause.Fail
	}
	return r, nil
}

// canaryKind is the kind of subject that only controls write under.
const canaryKind = "canary"

// canaryPlace is where a control's value opens.
func canaryPlace(row string) envelope.AAD {
	return envelope.AAD{Table: "vault_canary", Column: "value", Row: row, Version: 1}
}

// plant writes a value under a subject of its own.
func (s *Service) plant(ctx context.Context) (sub keyring.Subject, k envelope.Key, v Sealed, err error) {
	sub = keyring.Subject{Kind: canaryKind, ID: s.DB.ID()}
	if k, err = s.Ring.Ensure(ctx, sub); err != nil {
		return sub, k, v, fmt.Errorf("make a key for a control: %w", err)
	}
	return sub, k, Sealed{canaryPlace(sub.ID), k.Seal([]byte(secret.RandomText(16).Reveal()), canaryPlace(sub.ID))}, nil
}

// try opens a value with what a ring gives, and says how that went.
func try(ctx context.Context, ring *keyring.Ring, act string, v Sealed, expected string) (clause.Step, error) {
	st := clause.Step{Act: act, Expected: expected, Got: "opened", Control: expected == "opened"}
	b, err := keyring.OpenBox(ctx, ring, v.Place, v.Box)
	b.Wipe()
	if errors.Is(err, fault.Unavailable) {
		return st, fmt.Errorf("%s: %w", act, err)
	}
	if err != nil {
		st.Got, _ = fault.PublicOf(err)
	}
	st.OK = st.Got == expected
	return st, nil
}

// tryRotation replaces the key of a reserved subject.
func (s *Service) tryRotation(ctx context.Context) (clause.Result, error) {
	sub, old, v, err := s.plant(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	defer s.uproot(ctx, sub)
	next, err := s.Ring.Renew(ctx, sub)
	if err != nil {
		return clause.Result{}, fmt.Errorf("replace the key of a control: %w", err)
	}
	now, err := s.Ring.Ensure(ctx, sub)
	if err != nil {
		return clause.Result{}, err
	}
	all, err := s.Ring.KEKs(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	by, err := s.Ring.WrappedBy(ctx, next.ID())
	if err != nil {
		return clause.Result{}, err
	}
	is := func(act, expected, got string, ok bool) clause.Step {
		if ok {
			got = expected
		}
		return clause.Step{Act: act, Expected: expected, Got: got, OK: ok}
	}
	opens, err := try(ctx, s.Ring, "open what the former key sealed", v, "opened")
	if err != nil {
		return clause.Result{}, err
	}
	moved, err := try(ctx, s.Ring, "open it in another place", Sealed{canaryPlace("else"), v.Box}, "box_damaged")
	if err != nil {
		return clause.Result{}, err
	}
	forged := Sealed{v.Place, append([]byte(nil), v.Box...)}
	copy(forged.Box[2:], next.ID()) // the header names the new key now
	swapped, err := try(ctx, s.Ring, "open it with the new key", forged, "box_damaged")
	if err != nil {
		return clause.Result{}, err
	}
	return clause.Judge("a replaced key seals nothing any more and still opens what it sealed", opens, moved, swapped,
		is("seal again", "the new key", "the former key", now.ID() == next.ID() && now.ID() != old.ID()),
		is("look what the new key lies under", "the newest key-encryption key", "a former one", by == newest(all).ID)), nil
}

// uproot destroys what a control planted.
func (s *Service) uproot(ctx context.Context, sub keyring.Subject) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if _, err := s.Ring.Erase(ctx, sub); err != nil {
		s.Log.Error("destroy what a control planted", "err", err)
	}
}

// tryShred destroys the key of a reserved subject, and puts a backup of it back.
func (s *Service) tryShred(ctx context.Context) (clause.Result, error) {
	sub, _, v, err := s.plant(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	old, err := s.Ring.Copy(ctx, sub) // of the subject alone: no other key leaves its place for a control
	if err != nil {
		return clause.Result{}, err
	}
	defer func() {
		if err := old.Close(); err != nil {
			s.Log.Error("close the copy of a control", "err", err)
		}
	}()
	dir, err := os.MkdirTemp("", "writ-canary-")
	if err != nil {
		return clause.Result{}, fmt.Errorf("make a folder for a control: %w", err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			s.Log.Error("remove the folder of a control", "err", err)
		}
	}()
	shelf := old.ShelfAt(dir)
	e, err := shelf.Make(ctx)
	if err != nil {
		return clause.Result{}, fmt.Errorf("back up the key of a control: %w", err)
	}
	before, err := try(ctx, s.Ring, "open a value before", v, "opened")
	if err != nil {
		return clause.Result{}, err
	}
	d, err := s.Ring.Erase(ctx, sub)
	if err != nil {
		return clause.Result{}, fmt.Errorf("destroy the key of a control: %w", err)
	}
	after, err := try(ctx, s.Ring, "open it after its key was destroyed", v, "key_erased")
	if err != nil {
		return clause.Result{}, err
	}
	steps := []clause.Step{before, after}
	if _, err := s.Ring.Ensure(ctx, sub); !errors.Is(err, fault.Gone) {
		steps = append(steps, clause.Step{Act: "make a new key for the same subject", Expected: "key_erased", Got: "a key"})
	}
	more, err := s.tryBackup(ctx, shelf, e, v, keyring.Tombstone{Mark: d.Pseudonym, Kind: canaryKind, KeyIDs: d.KeyIDs, At: d.At})
	if err != nil {
		return clause.Result{}, err
	}
	return clause.Judge("a destroyed key opened nothing, here and from a backup that was put back", append(steps, more...)...), nil
}

// attacked is what the control of destructions relies on; tests put something broken there.
type attacked struct {
	replay func(ctx context.Context, back *keyring.Ring, gone keyring.Tombstone) error
	forget func(shelf *keyring.Shelf, epoch string) error
}

func sound() attacked {
	return attacked{
		func(ctx context.Context, back *keyring.Ring, gone keyring.Tombstone) error {
			_, err := back.Replay(ctx, []keyring.Tombstone{gone})
			return err
		},
		func(shelf *keyring.Shelf, epoch string) error { return shelf.Forget(epoch) },
	}
}

// tryBackup puts a backup back that holds a destroyed key, then ends the backup.
func (s *Service) tryBackup(ctx context.Context, shelf *keyring.Shelf, e keyring.Epoch, v Sealed, gone keyring.Tombstone) (steps []clause.Step, err error) {
	back, err := shelf.Recall(ctx, e.File)
	if err != nil {
		return nil, fmt.Errorf("put a backup back: %w", err)
	}
	defer func() { err = errors.Join(err, back.Close()) }()
	held, err := try(ctx, back, "open it with a backup of the keys from before", v, "opened")
	if err != nil {
		return nil, err
	}
	if err := s.tried.replay(ctx, back, gone); err != nil {
		return nil, fmt.Errorf("put a backup right: %w", err)
	}
	right, err := try(ctx, back, "open it with that backup after what was destroyed is replayed", v, "key_erased")
	if err != nil {
		return nil, err
	}
	if err := s.tried.forget(shelf, e.ID); err != nil {
		return nil, err
	}
	over := clause.Step{Act: "put the backup back after its day is over", Expected: "backup_over", Got: "opened"}
	again, err := shelf.Recall(ctx, e.File)
	if err == nil {
		err = again.Close()
	} else {
		over.Got, _ = fault.PublicOf(err)
		err = nil
	}
	over.OK = over.Got == over.Expected
	return []clause.Step{held, right, over}, err
}

// probeCertificates looks at all certificates and at what is on its way.
func (s *Service) probeCertificates(ctx context.Context) (clause.Result, error) { // clause: data.crypto-erase
	xs, err := s.shreds(ctx, `WHERE x.state IN ('intended', 'done') ORDER BY x.id`)
	if err != nil {
		return clause.Result{}, err
	}
	alive, differ, stuck, certified := 0, 0, 0, int64(0)
	for _, x := range xs {
		if x.State == stIntended {
			if s.Now().Sub(x.Changed) > time.Hour {
				stuck++
			}
			continue
		}
		certified++
		ids, same, err := s.judge(ctx, x)
		if err != nil {
			return clause.Result{}, err
		}
		if !same {
			differ++
		}
		for _, id := range ids {
			gone, err := s.Ring.Gone(ctx, id)
			if err != nil {
				return clause.Result{}, err
			}
			if !gone {
				alive++
			}
		}
	}
	back, n, err := s.back(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	st, err := s.Ring.Status(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	r := clause.Passed(fmt.Sprintf("of %d certificates %d differ from their entries and %d of their keys answer; %d destructions are stuck; of %d subjects whose keys are destroyed %d have one again, and %d are not verified",
		certified, differ, alive, stuck, n, back, st.Pending))
	if r.Population = n; alive+differ+stuck+back > 0 {
		r.Outcome = clause.Fail
	}
	return r, nil
}

// judge reads the certificate of a destruction: the keys it names, and whether its sum is
// the one in the journal. An entry that has no number yet is not judged.
func (s *Service) judge(ctx context.Context, x Shred) (keys []string, same bool, err error) {
	var text string
	if err := ledger.One(ctx, s.DB, `SELECT certificate FROM vault_shred WHERE id = $1`, []any{&text}, x.ID); err != nil {
		return nil, false, err
	}
	c, err := ReadCertificate([]byte(text))
	if err != nil {
		return nil, false, nil //nolint:nilerr // a certificate that cannot be read is not the one that was recorded
	}
	p, err := s.Journal.ProofOf(ctx, x.Entry)
	if errors.Is(err, fault.NotFound) {
		return c.Keys, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("prove a certificate: %w", err)
	}
	sum := sha256.Sum256([]byte(text))
	return c.Keys, recordedSum(p.Leaf) == hex.EncodeToString(sum[:]), nil
}

// back counts the subjects that the ledger remembers as destroyed and the keys do not.
func (s *Service) back(ctx context.Context) (back int, n int64, err error) {
	all, err := s.memory(ctx)
	if err != nil {
		return 0, 0, err
	}
	known, err := s.Ring.Erased(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, t := range all {
		if !known[t.Mark] {
			back++
		}
	}
	return back, int64(len(all)), nil
}
