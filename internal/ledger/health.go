package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"
)

// Health is how the database is. What it does not have is nil or empty: that is not the same as good.
type Health struct {
	Commit   time.Duration  // within which 99 of 100 commits of the last minute were done; 0 = there was none
	Commits  int            // of the last minute, at most 4,096
	Pool     float64        // percent of the connections that this process may have, in use
	Server   *float64       // percent of those that PostgreSQL takes
	Log      *int64         // bytes of SQLite's write-ahead log
	Archive  *time.Duration // since the last segment was archived, where PostgreSQL archives
	Waiting  *int64         // locks that somebody waits for
	Dead     *float64       // percent of rows that are dead, of the table with the most of 10,000 and more
	Replicas []Replica
	// Clock is how far this process's clock is from PostgreSQL's at least: what the way there and back
	// may explain is left out. nil = the database has this machine's clock, and says nothing of it.
	Clock *time.Duration
}

// Replica is one that follows PostgreSQL.
type Replica struct {
	Name  string
	Bytes int64         // that it has not replayed
	Lag   time.Duration // as PostgreSQL measured it last; 0 = it has caught up
}

// Health reads how the database is. Replicas, and who waits, are told in full to a role that is a
// member of pg_monitor; others see their own.
func (d *DB) Health(ctx context.Context) (Health, error) {
	h := Health{}
	h.Commit, h.Commits = d.commits.slowest()
	if err := d.engine.health(ctx, &h); err != nil {
		return h, fmt.Errorf("look at the database: %w", err)
	}
	return h, nil
}

// commits are how long the last ones took.
type commits struct {
	mu   sync.Mutex
	ring [4096]struct {
		at   time.Time
		took time.Duration
	}
	n int
}

// begin is when one begins.
func (c *commits) begin() time.Time { return time.Now() }

// timed notes a commit that began then and has ended.
func (c *commits) timed(began time.Time) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	x := &c.ring[c.n%len(c.ring)]
	x.at, x.took = now, now.Sub(began)
	c.n++
}

// slowest is what 99 of 100 commits of the last minute took at most.
func (c *commits) slowest() (time.Duration, int) {
	now := time.Now()
	c.mu.Lock()
	var took []time.Duration
	for i := range min(c.n, len(c.ring)) {
		if x := &c.ring[i]; now.Sub(x.at) <= time.Minute {
			took = append(took, x.took)
		}
	}
	c.mu.Unlock()
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[(len(took)*99+99)/100-1], len(took)
}

func share(n, of int) float64 {
	if of <= 0 {
		return 0
	}
	return 100 * float64(n) / float64(of)
}

func (l *lite) health(_ context.Context, h *Health) error {
	h.Pool = share(l.read.Stats().InUse, readers)
	size := int64(0)
	switch info, err := os.Stat(l.path + "-wal"); {
	case err == nil:
		size = info.Size()
	case !errors.Is(err, fs.ErrNotExist):
		return err //nolint:wrapcheck // names the file
	}
	h.Log = &size
	return nil
}

func (p *pg) health(ctx context.Context, h *Health) error {
	h.Pool = max(share(p.write.Stats().InUse, pgWriters), share(p.read.Stats().InUse, pgReaders))
	var used, limit, waiting int64
	var dead sql.NullFloat64
	var archives bool
	var archived sql.NullFloat64
	if err := p.read.QueryRowContext(ctx, pgHealth).Scan(&used, &limit, &waiting, &dead, &archives, &archived); err != nil {
		return mapError(err)
	}
	server := share(int(used), int(limit))
	h.Server, h.Waiting, h.Dead = &server, &waiting, &dead.Float64
	if archives {
		age := time.Duration(archived.Float64 * float64(time.Second))
		h.Archive = &age
	}
	var theirs time.Time
	var elsewhere bool
	before := p.db.now()
	if err := p.read.QueryRowContext(ctx, pgClock).Scan(&theirs, &elsewhere); err != nil {
		return mapError(err)
	}
	if elsewhere {
		off := max(before.Sub(theirs), theirs.Sub(p.db.now()), 0)
		h.Clock = &off
	}
	rows, err := p.read.QueryContext(ctx, pgReplicas)
	if err != nil {
		return mapError(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r Replica
		var lag float64
		if err := rows.Scan(&r.Name, &r.Bytes, &lag); err != nil {
			return mapError(err)
		}
		r.Lag = time.Duration(lag * float64(time.Second))
		h.Replicas = append(h.Replicas, r)
	}
	return mapError(rows.Err())
}

const (
	pgHealth = `SELECT (SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint,
(SELECT COUNT(*) FROM pg_locks WHERE NOT granted),
(SELECT MAX(100.0 * n_dead_tup / (n_live_tup + n_dead_tup))::float8 FROM pg_stat_user_tables WHERE n_live_tup + n_dead_tup >= 10000),
current_setting('archive_mode') <> 'off',
(SELECT date_part('epoch', clock_timestamp() - COALESCE(last_archived_time, stats_reset)) FROM pg_stat_archiver)`
	pgClock    = `SELECT clock_timestamp(), COALESCE(inet_server_addr() <> inet_client_addr(), FALSE)` // both are NULL through a socket
	pgReplicas = `SELECT COALESCE(NULLIF(application_name, ''), 'replica'), COALESCE(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint, COALESCE(date_part('epoch', replay_lag), 0)
FROM pg_stat_replication WHERE NOT pg_is_in_recovery() AND state = 'streaming' ORDER BY 1`
)
