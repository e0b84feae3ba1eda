package status

import (
	"context"
	"errors"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/jobs"
	"writ/internal/ledger"
)

// Leases give a role to one node at a time; *jobs.Jobs.
type Leases interface {
	Acquire(ctx context.Context, name string, ttl time.Duration) (jobs.Lease, error)
	Release(ctx context.Context, l jobs.Lease) error
}

// A place waits for a server that has died as long as its lease and one look: 25 seconds.
const (
	leaseFor   = 20 * time.Second
	leaseLeast = 10 * time.Second // left of it when a try begins
	leaseKeep  = 4 * time.Second  // between renewals while a try lasts, which ends when they end
	leaseAgain = 5 * time.Second  // between two looks of a node that does not hold it
)

// mine reports whether this node keeps a copy now. The folder is the machine's own. Where
// another node keeps it, this one knows from the record how old it is.
func (s *Service) mine(ctx context.Context, c *copied) (bool, error) { // clause: inc.public-notice
	now := s.Now()
	if c.name == folderName || s.Leases == nil || c.held.Until.Sub(now) > leaseLeast && c.held.Until.Sub(now) <= leaseFor {
		return true, nil
	}
	if wait := c.look.Sub(now); wait > 0 && wait <= leaseAgain {
		return false, nil
	}
	l, err := s.Leases.Acquire(ctx, "status-copy/"+c.name, leaseFor)
	if errors.Is(err, fault.Conflict) {
		c.held, c.look = jobs.Lease{}, now.Add(leaseAgain)
		return false, s.adopt(ctx, c)
	}
	if err != nil {
		return false, err
	}
	if l.Epoch != c.held.Epoch { // somebody else was at it, and it may hold anything
		clear(c.has)
		if l.Epoch > 1 {
			c.anew = now.Add(exportLimit)
		}
	}
	c.held = l
	return true, nil
}

// sendAgain sends everything once more when a try of the server before has ended for certain: one that
// was frozen may have put an old file over a new one when it woke.
func (c *copied) sendAgain(now time.Time) bool {
	if c.anew.IsZero() || now.Before(c.anew) {
		return false
	}
	clear(c.has)
	c.anew = time.Time{}
	return true
}

// keeping renews the lease of a place while a try lasts, and ends the try where it is lost: two nodes
// are never at one place. It returns what ends the renewals.
func (s *Service) keeping(ctx context.Context, c *copied, lost context.CancelFunc) (end func()) { // clause: inc.public-notice
	if c.held == (jobs.Lease{}) {
		return func() {}
	}
	held := c.held
	done, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(leaseKeep)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			l, err := s.Leases.Acquire(ctx, held.Name, leaseFor)
			switch {
			case err == nil && l.Epoch == held.Epoch:
				held = l
			case err == nil || errors.Is(err, fault.Conflict) || held.Until.Sub(s.Now()) < leaseKeep:
				lost()
				return
			}
		}
	}()
	return func() {
		close(over)
		<-done
		c.held = held
	}
}

// letGo gives another node its turn at a place that this one does not reach.
func (s *Service) letGo(ctx context.Context, c *copied) {
	if c.held == (jobs.Lease{}) {
		return
	}
	if err := s.Leases.Release(context.WithoutCancel(ctx), c.held); err != nil {
		s.Log.Warn("give a copy of the status page to another node", "err", err) // it ends by itself
	}
	c.held, c.look = jobs.Lease{}, s.Now().Add(leaseAgain)
}

// adopt learns how old a copy is that another node keeps.
func (s *Service) adopt(ctx context.Context, c *copied) error {
	var turn, when int64
	err := ledger.One(ctx, s.DB, copyOf, []any{&turn, &when}, c.name)
	if errors.Is(err, fault.NotFound) {
		return nil // nobody has reached it yet
	}
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.turn, c.made = turn, at(when)
	}
	return err
}

// kept writes down for the other nodes how old a copy is.
func (s *Service) kept(ctx context.Context, c *copied, turn int64, made time.Time) error {
	if c.held == (jobs.Lease{}) {
		return nil
	}
	return s.quietly(ctx, keepCopy, c.name, turn, us(made))
}

// entryOf is the entry that holds sums: the one that another node has made, or a new one.
func (s *Service) entryOf(ctx context.Context, sum string, files int64) (string, error) {
	var last, entry string
	if err := ledger.One(ctx, s.DB, lastSum, []any{&last, &entry}); err != nil || last == sum {
		return entry, err
	}
	r, err := s.DB.Change(ctx, actor.System("incident-status"), func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, putSum, sum, tx.Entry())
		if err == nil && n == 0 {
			err = fault.Wrap(fault.Conflict, "recorded", errors.New("another node was first"))
		}
		return PageExported{SHA256: sum, Files: files}, err
	})
	if errors.Is(err, fault.Conflict) {
		err = ledger.One(ctx, s.DB, lastSum, []any{&last, &entry})
		return entry, err
	}
	return r.ID, err
}

const (
	copyOf   = `SELECT turn, made FROM incident_status_copy WHERE name = $1`
	keepCopy = `INSERT INTO incident_status_copy (name, turn, made) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET turn = excluded.turn, made = excluded.made`
	lastSum  = `SELECT sum, entry FROM incident_status_sum WHERE one = 1`
	putSum   = `UPDATE incident_status_sum SET sum = $1, entry = $2 WHERE one = 1 AND sum <> $1`
)
