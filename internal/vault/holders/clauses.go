package holders

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/seal"
	"writ/internal/secret"
)

// Controls are the proofs of this package's part of people.no-sole-holder.
func (s *Service) Controls() []clause.Control {
	look := func(id, says string, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "vault." + id, Clause: sole, Kind: clause.Probe, Says: says, Every: 30 * time.Minute, FreshFor: 2 * time.Hour, Run: run}
	}
	return []clause.Control{
		look("key-holders", "Looks whether enough holders share the root key, are still here, and hold what is in use", s.probeHolders),
		look("key-drill", "Looks when the shares of the root key were last tried", s.probeDrill),
		look("key-opening", "Says how the vault opens at a start, and what that lacks", s.probeOpening),
		{ID: "vault.holders-canary", Clause: sole, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Tries to open a planted vault with a share too few, with one holder twice and with an old set, and to remove the last holder but one", Run: s.attack},
	}
}

// none is the answer while no shares are out: one person, or one file, opens the vault.
func none() clause.Result {
	return clause.Failed("no shares of the root key are out, so whoever has root.key opens the vault alone: writ vault holders appoint")
}

// probeHolders wants M and N of the policy, one holder to spare, all of them here, and the
// set of the record in boot.json.
func (s *Service) probeHolders(ctx context.Context) (clause.Result, error) { // clause: people.no-sole-holder
	st, err := s.state(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	if st.Set == nil {
		return none(), nil
	}
	able := 0
	for _, h := range st.Holders {
		ok, err := s.People.Staffed(ctx, h.Person)
		if err != nil {
			return clause.Result{}, err
		}
		if h.Holds && ok {
			able++
		}
	}
	x, r := st.Set, s.Rules.Get()
	says := fmt.Sprintf("opening takes %d of %d holders, of whom %d can give their share", x.Need, x.Of, able)
	if st.Demo {
		says += "; in this demo all their keys lie on one disk, which no company should do"
	}
	out := clause.Passed(says)
	if x.Need < r.QuorumNeed || x.Of < r.QuorumOf || able < x.Of || able < x.Need+1 || able < r.MinHolders || len(st.Due) > 0 {
		out = clause.Failed(strings.Join(append([]string{says}, st.Due...), "; ") + "; make new shares: writ vault holders reshare")
	}
	out.Population = int64(x.Of)
	return out, nil
}

func (s *Service) probeDrill(ctx context.Context) (clause.Result, error) { // clause: people.no-sole-holder
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	if !found {
		return none(), nil
	}
	every := int(drillEvery.Hours() / 24)
	if x.Drilled.IsZero() {
		return clause.Failed(fmt.Sprintf("the shares of %s were never tried: writ vault holders drill", x.Began.Format("2 January 2006"))), nil
	}
	days := int(s.Now().Sub(x.Drilled).Hours() / 24)
	says := fmt.Sprintf("the shares made the root key %d days ago, and are to be tried every %d", days, every)
	if s.Now().Sub(x.Drilled) >= drillEvery {
		return clause.Failed(says + ": writ vault holders drill"), nil
	}
	return clause.Passed(says), nil
}

// probeOpening tells how a start opens the vault. A way that the operator declared is told
// and not held against the clause: the shares are there beside it. A root.key that shares
// alone should have replaced is held against it.
func (s *Service) probeOpening(ctx context.Context) (clause.Result, error) { // clause: people.no-sole-holder
	x, found, err := s.liveSet(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	file, err := s.rootFile()
	switch {
	case err != nil:
		return clause.Result{}, err
	case !found:
		return none(), nil
	case s.Alone && file != "" && file == x.Root:
		return clause.Failed("shares alone are to open the vault, and root.key still does: writ vault holders reshare"), nil
	case s.Alone && file != "":
		return clause.Failed("a former root.key lies in the folder still: try the shares, then drop it: writ vault holders drop-file"), nil
	case s.Alone:
		return clause.Passed("the vault opens by the shares of its holders and in no other way"), nil
	}
	return clause.Passed("told, not held against the clause: " + s.Weakness + "; the holders open it together when that fails"), nil
}

// canaryTeam is whose holders the control plants.
const canaryTeam = "canary-vault-holders"

// gathering is the gate that shares are given to.
type gathering interface {
	State(ctx context.Context) (seal.State, error)
	Give(ctx context.Context, in seal.Offer) (seal.State, error)
	Close()
}

// trial is one run of the canary: a folder of its own with a set of 2 of 3.
type trial struct {
	file  *seal.File
	gate  gathering
	keys  []seal.Private
	set   seal.Set
	steps []clause.Step
	whole bool
}

// attack works on a planted root in a folder of its own, by the same gate that opens the
// real one, and on planted holders of the record.
func (s *Service) attack(ctx context.Context) (_ clause.Result, err error) {
	dir, err := os.MkdirTemp("", "writ-canary-")
	if err != nil {
		return clause.Result{}, fmt.Errorf("vault.holders-canary: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	t := &trial{file: seal.In(dir)}
	if err := t.plant(s); err != nil {
		return clause.Result{}, fmt.Errorf("vault.holders-canary: %w", err)
	}
	defer t.gate.Close()
	if err := errors.Join(t.story(ctx), s.removal(ctx, t)); err != nil {
		return clause.Result{}, fmt.Errorf("vault.holders-canary: %w", err)
	}
	return clause.Judge("a share too few, one holder twice, an old set and a foreign share opened nothing, and the last holder but one stayed", t.steps...), nil
}

func (t *trial) plant(s *Service) (err error) {
	root := secret.Random(32)
	defer root.Wipe()
	var public []seal.Key
	for range 3 {
		k, err := seal.NewPrivate()
		if err != nil {
			return err
		}
		t.keys, public = append(t.keys, k), append(public, k.Key)
	}
	if t.set, err = seal.Split(root, s.Fingerprint(root), 2, public); err != nil {
		return err
	}
	if err := t.file.Change(func(b *seal.Boot) error { b.Set = &t.set; return nil }); err != nil {
		return err
	}
	t.gate, err = s.gather(seal.Deps{File: t.file, Act: seal.Open, Now: s.Now, Fingerprint: s.Fingerprint,
		Note:  func(context.Context, seal.Line) error { return nil },
		Whole: func(context.Context, string, secret.Bytes) error { t.whole = true; return nil }})
	return err
}

// offer is the share of a holder, as their command sends it.
func (t *trial) offer(ctx context.Context, i int) (seal.Offer, error) {
	st, err := t.gate.State(ctx)
	if err != nil {
		return seal.Offer{}, err
	}
	k := t.keys[i]
	box, err := k.Offer(st.Operation, t.set.Shares[i].Box)
	return seal.Offer{Set: st.Set, Holder: k.ID, Box: box}, err
}

// give notes what came of a share: a refusal's code, or how many count.
func (t *trial) give(ctx context.Context, act, expected string, control bool, o seal.Offer) {
	st, err := t.gate.Give(ctx, o)
	got := fmt.Sprintf("%d of %d", st.Given, st.Need)
	if err != nil {
		got, _ = fault.PublicOf(err)
	}
	t.steps = append(t.steps, clause.Step{Act: act, Expected: expected, Got: got, OK: got == expected, Control: control})
}

func (t *trial) story(ctx context.Context) error {
	var offers [3]seal.Offer
	for i := range offers {
		var err error
		if offers[i], err = t.offer(ctx, i); err != nil {
			return err
		}
	}
	foreign := offers[1]
	foreign.Box = offers[2].Box
	old := offers[1]
	old.Set = strings.Repeat("0", len(old.Set))
	t.give(ctx, "give one share", "1 of 2", true, offers[0])
	t.give(ctx, "give the same share again", "share_twice", false, offers[0])
	t.give(ctx, "give a share of an old set", "set_over", false, old)
	t.give(ctx, "give another holder's share as one's own", "share_refused", false, foreign)
	opened := "sealed"
	if t.whole {
		opened = "opened"
	}
	t.steps = append(t.steps, clause.Step{Act: "open with a share too few", Expected: "sealed", Got: opened, OK: !t.whole})
	t.give(ctx, "give the second share", "2 of 2", true, offers[1])
	return nil
}

// removal plants as many holders as the policy asks for and one more, and removes two.
func (s *Service) removal(ctx context.Context, t *trial) error {
	who := actor.System("canary")
	least := max(s.Rules.Get().MinHolders, s.Rules.Get().QuorumNeed)
	sweep := func(ev ledger.Event) error {
		_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
			_, err := tx.Exec(ctx, sweepHolders, canaryTeam)
			return ev, err
		})
		return err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := tx.Exec(ctx, sweepHolders, canaryTeam); err != nil {
			return nil, err
		}
		for i := range least + 1 {
			id := fmt.Sprintf("%s-%d", canaryTeam, i)
			if _, err := tx.Exec(ctx, insertHolder, id, canaryTeam, id, appointed, us(tx.Now())); err != nil {
				return nil, err
			}
			if _, err := tx.Exec(ctx, enrolHolder, id, id, []byte("{}"), us(tx.Now())); err != nil {
				return nil, err
			}
		}
		return CanaryHoldersPlanted{Control: "vault.holders-canary"}, nil
	})
	if err != nil {
		return err
	}
	for i, expected := range []string{"removed", "last_but_one"} {
		got := "removed"
		if err := s.remove(ctx, who, canaryTeam, fmt.Sprintf("%s-%d", canaryTeam, i), "removed"); err != nil {
			got, _ = fault.PublicOf(err)
		}
		act := "remove a holder who can be spared"
		if i > 0 {
			act = "remove the last holder but one"
		}
		t.steps = append(t.steps, clause.Step{Act: act, Expected: expected, Got: got, OK: got == expected, Control: i == 0})
	}
	return sweep(CanaryHoldersSwept{Control: "vault.holders-canary"})
}

const sweepHolders = `DELETE FROM vault_holder WHERE team = $1`
