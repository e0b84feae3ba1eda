package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/mod/sumdb/note"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/merkle"
	"writ/internal/secret"
)

const pendingWithin = 5 * time.Second // from commit to a number, at most

// Controls are what holds log.tamper-evident against the running journal.
func (j *Journal) Controls() []clause.Control {
	control := func(id string, kind clause.Kind, says string, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: "journal." + id, Clause: tamperEvident, Kind: kind, Says: says, Every: 5 * time.Minute, FreshFor: time.Hour, Run: run}
	}
	return []clause.Control{
		control("signed-in-time", clause.Probe, "the age of the newest signature is within the checkpoint's time, and nothing keeps the journal from signing", j.probeSigned),
		control("nothing-waits", clause.Probe, "no entry waits longer than 5 seconds for its number", j.probePending),
		control("checkpoints-consistent", clause.Probe, "kept checkpoints, taken at random, are beginnings of the newest one", j.probeConsistent),
		control("totals-hold", clause.Probe, "the totals of the streams add up, and the last full check found nothing", j.probeTotals),
		control("witnessed", clause.Probe, "as many witnesses as promised countersign", j.probeWitnesses),
		control("altered-entry-refused", clause.Canary, "a proof with one altered bit, or under another key, is refused", j.canaryAltered),
	}
}

func (j *Journal) probeSigned(ctx context.Context) (clause.Result, error) {
	if err := j.Stopped(); err != nil {
		return clause.Failed(err.Error()), nil
	}
	h, err := j.Head(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	age, limit := j.now().Sub(h.Signed).Round(time.Second), j.rules.cadence()
	says := fmt.Sprintf("%d entries were signed %v ago; the limit is %v", h.Size, age, limit)
	if age > limit {
		return clause.Failed(says), nil
	}
	return clause.Passed(says), nil
}

func (j *Journal) probePending(ctx context.Context) (clause.Result, error) {
	some, oldest, err := j.db.HasPending(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	if !some {
		return clause.Passed("no entry waits for its number"), nil
	}
	age := j.now().Sub(oldest).Round(time.Millisecond)
	says := fmt.Sprintf("the oldest entry without a number waits for %v; the limit is %v", age, pendingWithin)
	if age > pendingWithin {
		return clause.Failed(says), nil
	}
	return clause.Passed(says), nil
}

// probeConsistent proves up to twenty random kept checkpoints to be beginnings.
func (j *Journal) probeConsistent(ctx context.Context) (clause.Result, error) {
	h, err := j.Head(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	all, err := j.keptCheckpoints(ctx, 10_000)
	if t, ok := errors.AsType[*Tampered](err); ok {
		return clause.Failed(t.Error()), nil
	}
	if err != nil {
		return clause.Result{}, err
	}
	newest := merkle.Checkpoint{Origin: h.Origin, Size: h.Size, Root: h.Root}
	rand.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	all = all[:min(len(all), 20)]
	for _, k := range all {
		if k.Size > newest.Size { // kept since the head was read, or a cut
			if h, err = j.Head(ctx); err != nil {
				return clause.Result{}, err
			}
			newest = merkle.Checkpoint{Origin: h.Origin, Size: h.Size, Root: h.Root}
		}
		var proof []merkle.Hash
		if k.Size <= newest.Size {
			proof, err = merkle.ConsistencyProof(k.Size, newest.Size, hashes(ctx, j.db))
		}
		if err == nil {
			err = merkle.CheckConsistency(k.Checkpoint, newest, proof)
		}
		if isTampered(err) || errors.Is(err, fault.Invalid) {
			return clause.Failed(fmt.Sprintf("the checkpoint of %d entries is no beginning of the one of %d", k.Size, newest.Size)), nil
		}
		if err != nil {
			return clause.Result{}, err
		}
	}
	r := clause.Passed(fmt.Sprintf("%d kept checkpoints are beginnings of the newest, of %d entries", len(all), newest.Size))
	r.Population = int64(len(all))
	return r, nil
}

func (j *Journal) probeTotals(ctx context.Context) (clause.Result, error) {
	w := &walker{j: j, ctx: ctx}
	err := w.prepare()
	if t, ok := errors.AsType[*Tampered](err); ok {
		return clause.Failed(t.Error()), nil
	}
	if err != nil {
		return clause.Result{}, err
	}
	var sum int64
	for _, n := range w.totals {
		sum += n
	}
	if sum != w.totalsAt {
		return clause.Failed(fmt.Sprintf("the streams add up to %d, the journal has %d entries", sum, w.totalsAt)), nil
	}
	says := fmt.Sprintf("%d entries in %d streams add up", sum, len(w.totals))
	if r := j.report.Load(); r != nil {
		if !r.OK() {
			return clause.Failed("the last full check found: " + r.Findings[0].Says), nil
		}
		says += fmt.Sprintf("; the full check of %d entries found nothing", r.Read)
	}
	p := clause.Passed(says)
	p.Population = sum
	return p, nil
}

// probeWitnesses is honest: this build asks no witness, so a promised one is missing.
func (j *Journal) probeWitnesses(context.Context) (clause.Result, error) {
	if !j.rules.set.Load() {
		return clause.Result{}, errors.New("journal: no policy is in force")
	}
	need := j.rules.Get().Witnesses // clause: log.tamper-evident
	if need == 0 {
		return clause.Passed("the policy asks for no witness"), nil
	}
	return clause.Failed(fmt.Sprintf("no witness yet: 0 of %d countersign the journal", need)), nil
}

// canaryAltered proves a random entry and then tries to prove what is not so.
func (j *Journal) canaryAltered(ctx context.Context) (clause.Result, error) {
	h, err := j.Head(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	if h.Size == 0 {
		return clause.Result{}, errors.New("journal: there is no entry yet")
	}
	if err := j.loadKey(ctx); err != nil {
		return clause.Result{}, err
	}
	n := rand.Int64N(h.Size)
	file, leaf, err := j.proofAt(ctx, h, n)
	if err != nil {
		return clause.Failed(fmt.Sprintf("entry %d cannot be proved", n)), nil //nolint:nilerr // that is the finding
	}
	p, err := merkle.ParseProof(file)
	if err != nil {
		return clause.Result{}, err
	}
	_, foreignKey, err := merkle.NewSigner(h.Origin, secret.Random(32))
	if err != nil {
		return clause.Result{}, err
	}
	foreign, err := note.NewVerifier(foreignKey)
	if err != nil {
		return clause.Result{}, err
	}
	flip := func(b []byte) []byte {
		c := append([]byte(nil), b...)
		c[rand.IntN(len(c))] ^= 1 << rand.IntN(8)
		return c
	}
	step := func(act string, leaf []byte, p merkle.Proof, v note.Verifier, want bool) clause.Step {
		_, err := p.Verify(leaf, v)
		got, expected := "refused", "refused"
		if err == nil {
			got = "accepted"
		}
		if want {
			expected = "accepted"
		}
		return clause.Step{Act: act, Expected: expected, Got: got, OK: got == expected, Control: want}
	}
	elsewhere := p
	elsewhere.Index = (n + 1) % max(h.Size, 2)
	cut := p
	cut.Checkpoint = flip(p.Checkpoint)
	return clause.Judge(fmt.Sprintf("entry %d is proved; altered, moved, under a changed checkpoint and under another key it is refused", n),
		step("prove the entry", leaf, p, j.verif, true),
		step("prove it with one bit altered", flip(leaf), p, j.verif, false),
		step("prove it in another place", leaf, elsewhere, j.verif, false),
		step("prove it under a changed checkpoint", leaf, cut, j.verif, false),
		step("prove it under another key", leaf, p, foreign, false)), nil
}
