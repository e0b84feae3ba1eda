package incident

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/secret"
)

// workKind is the kind of the jobs that are what the server does in an incident.
const workKind = "incident.act"

// What the server does of the lifecycle.
const tellAffected = "tell-affected"

// allActs are what the server does, by the names in the engine's tables. Those of the tables
// that are not here are done in the change of their step.
func (s *Service) allActs() map[string]act {
	out := map[string]act{tellAffected: s.tellAffected}
	maps.Copy(out, s.lossActs())
	maps.Copy(out, s.breachActs())
	return out
}

// keyOf names one act of one round. Whoever finds it done does nothing.
func keyOf(c Case, act string) string {
	region := engine.L
	for _, m := range engine.Machines() {
		if slices.ContainsFunc(m.Steps, func(st engine.Step) bool { return st.Act == act }) {
			region = m.Region
			break
		}
	}
	return c.ID + "/" + string(region) + "/" + act + "/" + strconv.FormatInt(c.Round, 10)
}

// errand is a job for an act, made outside the change that queues it.
type errand struct {
	act, token string
	job        jobs.Job
}

// prepareWork makes the job of what the server does once a step is taken; the zero errand
// where that is nothing.
func (s *Service) prepareWork(ctx context.Context, ref string, r engine.Region, event string) (errand, error) {
	m, _ := engine.Of(r)
	for _, st := range m.Steps {
		if _, ours := s.acts[st.Act]; ours && st.Event == event {
			return s.prepareAct(ctx, ref, st.Act)
		}
	}
	return errand{}, nil
}

func (s *Service) prepareAct(ctx context.Context, ref, act string) (errand, error) {
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return errand{}, err
	}
	e := errand{act: act, token: s.DB.ID()}
	e.job, err = s.Queue.Prepare(ctx, workKind, []byte(c.ID+" "+act+" "+e.token))
	return e, err
}

// plan writes down inside the change of a step what the server is to do because of it. What
// the act found before counts no more, and a job from before does nothing.
func (s *Service) plan(ctx context.Context, tx *ledger.Tx, c Case, e errand) error {
	if e.act == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, planWork, keyOf(c, e.act), c.ID, e.act, us(tx.Now()), e.token, e.job.ID()); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, forgetProof, c.ID, c.Round, e.act, handOf(e.act)); err != nil {
		return err
	}
	return s.Queue.Enqueue(ctx, tx, e.job)
}

// work does an act, or goes on with one that a process before was killed in. It bears being
// run twice, and at once on two nodes.
func (s *Service) work(ctx context.Context, payload secret.Bytes) error {
	words := strings.Fields(string(payload.Reveal()))
	if len(words) != 3 || s.acts[words[1]] == nil {
		return fault.Newf(fault.Invalid, "act_unknown", "There is no such act.")
	}
	id, name, token := words[0], words[1], words[2]
	c, err := s.find(ctx, s.DB, id)
	if err != nil {
		return err
	}
	key := keyOf(c, name)
	var state, job string
	if err := ledger.One(ctx, s.DB, workState, []any{&state, new(string), &job}, key); errors.Is(err, fault.NotFound) || state == "done" || job != token {
		return nil // of a former round, done, or begun anew
	} else if err != nil {
		return err
	}
	s.point("found")
	if c.epoch, err = s.try(ctx, key, token); c.epoch.N == 0 {
		return err // somebody was quicker
	}
	s.point("running")
	out, err := s.acts[name](ctx, c)
	if err = s.superseded(ctx, c, name, err); err != nil {
		return errors.Join(err, s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, troubleWork, key, fault.KindOf(err).Error(), token)
			return err
		}))
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		done, err := tx.Exec(ctx, endWork, key, us(tx.Now()), out.Output, out.Says, token)
		if err == nil && done != 1 {
			err = fault.Wrap(fault.Conflict, "done", errors.New("another node was first"))
		}
		if err == nil && name == tellAffected {
			_, err = tx.Exec(ctx, setDecided, c.ID)
		}
		ev := ActDone{Incident: c.ID, Round: c.Round, Act: name, Key: key, Output: out.Output, Count: out.Count, Says: out.Says}
		if err == nil && out.Also != nil {
			err = out.Also(ctx, tx, c)
		}
		for _, p := range out.Proofs {
			if err == nil {
				err = prove(ctx, tx, c, name, p)
			}
			if p.Good {
				ev.Good = append(ev.Good, p.Guard)
			} else {
				ev.Bad = append(ev.Bad, p.Guard)
			}
		}
		return ev, err
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end %s: %w", name, err)
	}
	return nil
}

// superseded records that a try was refused because a newer one has acted; any other err stays as it is.
func (s *Service) superseded(ctx context.Context, c Case, act string, err error) error {
	if code, _ := fault.PublicOf(err); code != "epoch_over" {
		return err
	}
	return s.DB.Refuse(ctx, actor.System("incident"), ActSuperseded{Incident: c.ID, Round: c.Round, Act: act, Epoch: c.epoch.N}, err)
}

// try begins a try of an act, and gives it a number greater than that of each before; 0 = it is
// done, or begun anew.
func (s *Service) try(ctx context.Context, key, token string) (e Epoch, err error) {
	ours := s.DB.ID()
	err = s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		e = Epoch{} // it may run twice
		if n, err := tx.Exec(ctx, beginWork, key, token); err != nil || n != 1 {
			return err
		}
		return e.next(ctx, tx, ours)
	})
	if err != nil {
		return Epoch{}, err
	}
	return e, nil
}

// next takes a number. ours is the name of the ledger, if it has none yet.
func (e *Epoch) next(ctx context.Context, tx *ledger.Tx, ours string) error {
	if _, err := tx.Exec(ctx, nextEpoch, ours); err != nil {
		return err
	}
	return ledger.One(ctx, tx, lastEpoch, []any{&e.Ledger, &e.N})
}

// fenced are the cases for which something is due outside, read after a number was taken for it: if
// that changes after they were read, whoever changes it has a greater one.
func (s *Service) fenced(ctx context.Context, due string) ([]Case, error) {
	cs, err := s.cases(ctx, s.DB, due)
	if err != nil || len(cs) == 0 {
		return nil, err
	}
	var e Epoch
	ours := s.DB.ID()
	if err := s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error { return e.next(ctx, tx, ours) }); err != nil {
		return nil, fmt.Errorf("number a try: %w", err)
	}
	if cs, err = s.cases(ctx, s.DB, due); err != nil {
		return nil, err
	}
	for i := range cs {
		cs[i].epoch = e
	}
	return cs, nil
}

// Again has the server do once more what it did badly, or what it gave up: only the act of
// the state in which the region stands, by whoever takes the step that begins it.
func (s *Service) Again(ctx context.Context, who actor.Actor, ref, name string) (Case, error) { // clause: inc.process
	if s.acts[name] == nil {
		return Case{}, fault.New(fault.NotFound, "act_unknown", fault.Public{Problem: fmt.Sprintf("The server does nothing called %q.", name), Expected: "One of: " + strings.Join(slices.Sorted(maps.Keys(s.acts)), ", ") + "."})
	}
	e, err := s.prepareAct(ctx, ref, name)
	if err != nil {
		return Case{}, err
	}
	var was string // of the job before
	if c, err := s.find(ctx, s.DB, ref); err != nil {
		return Case{}, err
	} else if err := ledger.One(ctx, s.DB, workState, []any{new(string), &was, new(string)}, keyOf(c, name)); err != nil && !errors.Is(err, fault.NotFound) {
		return Case{}, err
	}
	gaveUp := false
	if was != "" {
		is, err := s.Queue.State(ctx, was)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return Case{}, err
		}
		gaveUp = is == "failed" || err != nil
	}
	return s.act(ctx, who, ref, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		r, st, ok := standing(*c, name)
		if !ok {
			return nil, kept(*c, r, name, nil)
		}
		if !s.mayTake(ctx, tx, who, *c, st) {
			return nil, roleLacks(*c, r, st)
		}
		var state, job string
		if err := ledger.One(ctx, tx, workState, []any{&state, &job, new(string)}, keyOf(*c, name)); err != nil {
			return nil, err
		}
		var bad int64
		if err := ledger.One(ctx, tx, badProofs, []any{&bad}, c.ID, c.Round, name); err != nil {
			return nil, err
		}
		if job != was || state != "done" && !gaveUp || state == "done" && bad == 0 {
			return nil, kept(*c, r, name, []engine.Lack{{Guard: "went-wrong", Words: "It is under way, or it went well.", Who: "nobody"}})
		}
		return ActRepeated{Incident: c.ID, Round: c.Round, Act: name}, s.plan(ctx, tx, *c, e)
	})
}

// standing is the step that led a region to where it stands and has this act.
func standing(c Case, act string) (engine.Region, engine.Step, bool) {
	for _, m := range engine.Machines() {
		for _, st := range m.Steps {
			if st.Act == act && st.To == c.States[m.Region] {
				return m.Region, st, true
			}
		}
	}
	return engine.L, engine.Step{}, false
}

// Act is something the server does, or did.
type Act struct{ Key, Act, State, Output, Problem, Says string }

func (s *Service) workOf(ctx context.Context, id string) ([]Act, error) {
	var out []Act
	err := s.DB.Each(ctx, actsOf, func(scan ledger.Scan) error {
		var a Act
		err := scan(&a.Key, &a.Act, &a.State, &a.Output, &a.Problem, &a.Says)
		out = append(out, a)
		return err
	}, id)
	return out, err
}

const (
	planWork = `INSERT INTO incident_work (key, case_id, act, state, tries, made, ended, output, problem, token, job, says) VALUES ($1, $2, $3, 'pending', 0, $4, NULL, '', '', $5, $6, '')
		ON CONFLICT (key) DO UPDATE SET state = 'pending', made = excluded.made, ended = NULL, output = '', problem = '', says = '', token = excluded.token, job = excluded.job`
	workState   = `SELECT state, job, token FROM incident_work WHERE key = $1`
	beginWork   = `UPDATE incident_work SET state = 'running', tries = tries + 1 WHERE key = $1 AND state <> 'done' AND token = $2`
	nextEpoch   = `UPDATE incident_epoch SET n = n + 1, ledger = CASE WHEN ledger = '' THEN $1 ELSE ledger END WHERE one = 1`
	lastEpoch   = `SELECT ledger, n FROM incident_epoch WHERE one = 1`
	endWork     = `UPDATE incident_work SET state = 'done', ended = $2, output = $3, says = $4, problem = '' WHERE key = $1 AND state <> 'done' AND token = $5`
	troubleWork = `UPDATE incident_work SET problem = $2 WHERE key = $1 AND state <> 'done' AND token = $3`
	actsOf      = `SELECT key, act, state, output, problem, says FROM incident_work WHERE case_id = $1 ORDER BY made, key`
	badProofs   = `SELECT COUNT(*) FROM incident_proof WHERE case_id = $1 AND round = $2 AND act = $3 AND NOT good`
	setDecided  = `UPDATE incident_case SET decided = TRUE WHERE id = $1`
)
