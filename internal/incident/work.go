package incident

import (
	"context"
	"errors"
	"fmt"
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

// What the server does.
const tellAffected = "tell-affected"

// keyOf names one act of one round. Whoever finds it done does nothing.
func keyOf(c Case, act string) string {
	return c.ID + "/" + string(engine.L) + "/" + act + "/" + strconv.FormatInt(c.Round, 10)
}

// prepareWork makes the job of an act, outside the change that queues it.
func (s *Service) prepareWork(ctx context.Context, ref, act string) (jobs.Job, error) {
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return jobs.Job{}, err
	}
	return s.Queue.Prepare(ctx, workKind, []byte(c.ID+" "+act))
}

// plan writes down inside the change of a step what the server is to do because of it.
func (s *Service) plan(ctx context.Context, tx *ledger.Tx, c Case, act string, job jobs.Job) error {
	if _, err := tx.Exec(ctx, planWork, keyOf(c, act), c.ID, act, us(tx.Now())); err != nil {
		return err
	}
	return s.Queue.Enqueue(ctx, tx, job)
}

// work does an act, or goes on with one that a process before was killed in. It bears being
// run twice, and at once on two nodes.
func (s *Service) work(ctx context.Context, payload secret.Bytes) error {
	id, act, ok := strings.Cut(string(payload.Reveal()), " ")
	if !ok || act != tellAffected {
		return fault.Newf(fault.Invalid, "act_unknown", "There is no act %q.", act)
	}
	c, err := s.find(ctx, s.DB, id)
	if err != nil {
		return err
	}
	key := keyOf(c, act)
	var state string
	if err := ledger.One(ctx, s.DB, workState, []any{&state}, key); errors.Is(err, fault.NotFound) || state == "done" {
		return nil // of a former round, or done
	} else if err != nil {
		return err
	}
	if err := s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, beginWork, key)
		return err
	}); err != nil {
		return err
	}
	s.point("running")
	out, n, err := s.tellAffected(ctx, c)
	if err != nil {
		return errors.Join(err, s.DB.Quiet(ctx, ledger.JobState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, troubleWork, key, fault.KindOf(err).Error())
			return err
		}))
	}
	s.point("before")
	_, err = s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		done, err := tx.Exec(ctx, endWork, key, us(tx.Now()), out)
		if err == nil && done != 1 {
			err = fault.Wrap(fault.Conflict, "done", errors.New("another node was first"))
		}
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, setDecided, c.ID)
		return ActDone{Incident: c.ID, Round: c.Round, Act: act, Key: key, Output: out, Count: n}, err
	})
	s.point("after")
	if errors.Is(err, fault.Conflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("end %s: %w", act, err)
	}
	return nil
}

// Act is something the server does, or did.
type Act struct{ Key, Act, State, Output, Problem string }

func (s *Service) acts(ctx context.Context, id string) ([]Act, error) {
	var out []Act
	err := s.DB.Each(ctx, actsOf, func(scan ledger.Scan) error {
		var a Act
		err := scan(&a.Key, &a.Act, &a.State, &a.Output, &a.Problem)
		out = append(out, a)
		return err
	}, id)
	return out, err
}

const (
	planWork = `INSERT INTO incident_work (key, case_id, act, state, tries, made, ended, output, problem) VALUES ($1, $2, $3, 'pending', 0, $4, NULL, '', '')
		ON CONFLICT (key) DO UPDATE SET state = 'pending', made = excluded.made, ended = NULL`
	workState   = `SELECT state FROM incident_work WHERE key = $1`
	beginWork   = `UPDATE incident_work SET state = 'running', tries = tries + 1 WHERE key = $1 AND state <> 'done'`
	endWork     = `UPDATE incident_work SET state = 'done', ended = $2, output = $3, problem = '' WHERE key = $1 AND state <> 'done'`
	troubleWork = `UPDATE incident_work SET problem = $2 WHERE key = $1 AND state <> 'done'`
	actsOf      = `SELECT key, act, state, output, problem FROM incident_work WHERE case_id = $1 ORDER BY made, key`
	setDecided  = `UPDATE incident_case SET decided = TRUE WHERE id = $1`
)
