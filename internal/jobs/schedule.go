package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
)

// plan is one run by the clock.
type plan struct {
	name  string
	every time.Duration
	run   func(context.Context) error
	next  time.Time // on this node; the row decides across nodes
	busy  atomic.Bool
}

// Every runs a function again and again on one of the nodes, each time ± 10 %.
// The first run comes at once when the last one, before a restart too, is longer
// ago than every.
func (j *Jobs) Every(name string, every time.Duration, run func(ctx context.Context) error) {
	if every < time.Second || run == nil {
		panic("jobs: " + name + " runs too often or does nothing")
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.plans = append(j.plans, &plan{name: name, every: every, run: run})
}

// plan starts what is due by the clock.
func (j *Jobs) plan(ctx context.Context, wg *sync.WaitGroup) {
	now := j.d.Now()
	j.mu.Lock()
	plans := j.plans
	j.mu.Unlock()
	for _, p := range plans {
		if now.Before(p.next) && p.next.Sub(now) < p.every+p.every/5 || ctx.Err() != nil || !p.busy.CompareAndSwap(false, true) {
			continue
		}
		p.next = now.Add(jitter(p.every))
		wg.Go(func() {
			defer p.busy.Store(false)
			if err := j.once(ctx, p, now); err != nil && ctx.Err() == nil {
				j.d.Log.Error("scheduled run", "name", p.name, "err", mask(err.Error()))
			}
		})
	}
}

// once runs p if no other node did so lately or is doing it now.
func (j *Jobs) once(ctx context.Context, p *plan, now time.Time) error {
	var n int64
	busy := now.Add(max(p.every, time.Minute)).UnixMicro() // also the fence of sqlPlanFree
	err := j.d.DB.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) (err error) {
		if _, err = tx.Exec(ctx, sqlPlanMake, p.name); err != nil {
			return err
		}
		// A tenth less than every: the other nodes' jitter must not make them skip.
		n, err = tx.Exec(ctx, sqlPlanTake, p.name, now.UnixMicro(), now.Add(-p.every*9/10).UnixMicro(), busy,
			now.Add(wrong).UnixMicro(), busy+wrong.Microseconds())
		return err
	})
	if err != nil || n == 0 {
		return err
	}
	err = guard(func() error { return p.run(ctx) })
	free := j.d.DB.Quiet(context.WithoutCancel(ctx), ledger.Lease, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, sqlPlanFree, p.name, busy)
		return err
	})
	return errors.Join(err, free)
}

// Lease is a role that this node holds.
type Lease struct {
	Name  string
	Epoch int64 // greater than that of every earlier holder: the fence
	Until time.Time
}

// Acquire takes or keeps the named role for ttl. While another node holds it the
// answer is fault.Conflict. A role taken over gets a greater epoch; one's own is
// renewed with the same.
func (j *Jobs) Acquire(ctx context.Context, name string, ttl time.Duration) (Lease, error) {
	now := j.d.Now()
	l := Lease{Name: name, Until: now.Add(ttl)}
	var held bool
	err := j.d.DB.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) error {
		held = false
		if _, err := tx.Exec(ctx, sqlLeaseMake, name); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, sqlLeaseKeep, name, j.node, l.Until.UnixMicro(), now.UnixMicro())
		if err != nil {
			return err
		}
		if n == 0 {
			if n, err = tx.Exec(ctx, sqlLeaseTake, name, j.node, l.Until.UnixMicro(), now.UnixMicro(), l.Until.Add(2*ttl+wrong).UnixMicro()); err != nil {
				return err
			}
		}
		held = n == 1
		return ledger.One(ctx, tx, sqlLeaseRead, []any{&l.Epoch}, name)
	})
	if err != nil {
		return Lease{}, fmt.Errorf("lease %s: %w", name, err)
	}
	if !held {
		return Lease{}, fault.Newf(fault.Conflict, "lease_held", "Another node holds %s.", name)
	}
	return l, nil
}

// Release gives a role back before its time, so that another node need not wait.
func (j *Jobs) Release(ctx context.Context, l Lease) error {
	return j.d.DB.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, sqlLeaseFree, l.Name, j.node, l.Epoch)
		return err
	})
}

const (
	sqlPlanMake  = `INSERT INTO job_schedule (name, began, busy) VALUES ($1, 0, 0) ON CONFLICT (name) DO NOTHING`
	sqlPlanTake  = `UPDATE job_schedule SET began = $2, busy = $4 WHERE name = $1 AND (began <= $3 OR began > $5) AND (busy <= $2 OR busy > $6)`
	sqlPlanFree  = `UPDATE job_schedule SET busy = 0 WHERE name = $1 AND busy = $2`
	sqlLeaseMake = `INSERT INTO job_lease (name, holder, epoch, until) VALUES ($1, '', 0, 0) ON CONFLICT (name) DO NOTHING`
	sqlLeaseKeep = `UPDATE job_lease SET until = $3 WHERE name = $1 AND holder = $2 AND until > $4`
	sqlLeaseTake = `UPDATE job_lease SET holder = $2, epoch = epoch + 1, until = $3 WHERE name = $1 AND (until <= $4 OR until > $5)`
	sqlLeaseRead = `SELECT epoch FROM job_lease WHERE name = $1`
	sqlLeaseFree = `UPDATE job_lease SET until = 0 WHERE name = $1 AND holder = $2 AND epoch = $3`
)
