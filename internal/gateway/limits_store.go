package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/gateway/limit"
	"writ/internal/ledger"
)

// What nodes must know of each other to enforce one limit: how many they are, and how much
// of a day's quota was used elsewhere. Both are looked up every other second, beside the
// requests. How many are at work is told by a number that each makes greater: no clock of
// one is compared with another's.

// peer is another node as this one saw it.
type peer struct {
	beat int64
	at   time.Time // when the number was seen to change, by our clock
}

const (
	shareEvery = 2 * time.Second
	peerLives  = 8 * time.Second
	peerGone   = time.Minute
)

// share stores what was counted here and learns what others did. Run calls it.
func (g *Gateway) share(ctx context.Context) error {
	l := g.limits
	err := errors.Join(g.countNodes(ctx), g.shareQuotas(ctx))
	if err == nil {
		l.reached.Store(g.now().UnixNano())
		return nil
	}
	if l.reached.Load() == 0 {
		l.reached.Store(g.now().UnixNano())
	}
	return err
}

// shareAndSay is share for the loop of Run.
func (g *Gateway) shareAndSay(ctx context.Context) {
	if err := g.share(ctx); err != nil && ctx.Err() == nil {
		g.log.Error("limits could not be shared with the other nodes", "meanwhile", g.limits.set.OnStoreLoss, "err", err)
	}
}

// countNodes beats once and looks who else does. An embedded database has one node.
func (g *Gateway) countNodes(ctx context.Context) error {
	l := g.limits
	if g.db.Engine() != "postgres" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id == "" {
		l.id = g.db.ID()
	}
	l.beat++
	gone := map[string]int64{}
	now := g.now()
	for id, p := range l.peers {
		if now.Sub(p.at) > peerGone {
			gone[id] = p.beat
		}
	}
	err := g.db.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) error {
		for id, beat := range gone {
			if _, err := tx.Exec(ctx, forgetNode, id, beat); err != nil {
				return err //nolint:wrapcheck // the ledger says what failed
			}
		}
		_, err := tx.Exec(ctx, beatNode, l.id, l.beat)
		return err //nolint:wrapcheck // the ledger says what failed
	})
	if err != nil {
		return fmt.Errorf("tell the other nodes: %w", err)
	}
	seen := map[string]peer{}
	err = g.db.Each(ctx, selectNodes, func(scan ledger.Scan) error {
		var id string
		var beat int64
		if err := scan(&id, &beat); err != nil || id == l.id {
			return err
		}
		p, known := l.peers[id]
		switch {
		case !known:
			p = peer{beat: beat, at: now} // it may be long gone: until that is known it counts
		case p.beat != beat:
			p = peer{beat: beat, at: now}
		}
		seen[id] = p
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the nodes: %w", err)
	}
	l.peers = seen
	n := int64(1)
	for _, p := range seen {
		if now.Sub(p.at) <= peerLives {
			n++
		}
	}
	if was := l.nodes.Swap(n); was != n {
		g.log.Info("limits are divided anew among the nodes", "nodes", n, "before", was)
	}
	return nil
}

// leave takes this node off the list, so that the others need not wait.
func (g *Gateway) leave(ctx context.Context) error {
	l := g.limits
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id == "" {
		return nil
	}
	return g.db.Quiet(ctx, ledger.Lease, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, deleteNode, l.id)
		return err //nolint:wrapcheck // the ledger says what failed
	})
}

const usesAChange = 200

// shareQuotas adds this node's counts to the day's, and learns the sums.
func (g *Gateway) shareQuotas(ctx context.Context) error {
	all := g.limits.quotas.Pending()
	for len(all) > 0 {
		part := all[:min(len(all), usesAChange)]
		all = all[len(part):]
		sums := make([]int64, len(part))
		err := g.db.Quiet(ctx, ledger.Throttle, func(tx *ledger.Tx) error {
			for i, u := range part {
				if err := ledger.One(ctx, tx, addUse, []any{&sums[i]}, u.Day, u.Key, u.N); err != nil {
					return err //nolint:wrapcheck // the ledger says what failed
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("store quotas: %w", err)
		}
		for i, u := range part {
			g.limits.quotas.Learn(u, sums[i])
		}
	}
	return nil
}

// forgetDays removes quotas of days that are over.
func (g *Gateway) forgetDays(ctx context.Context) error {
	day := g.now().Unix()/daySeconds - 1
	var n int64
	if err := ledger.One(ctx, g.db, countDays, []any{&n}, day); err != nil || n == 0 {
		return err //nolint:wrapcheck // the ledger says what failed
	}
	return g.db.Quiet(ctx, ledger.Expiry, func(tx *ledger.Tx) error {
		_, err := tx.Exec(ctx, deleteDays, day)
		return err //nolint:wrapcheck // the ledger says what failed
	})
}

// LimitState says which limits are in force, for pages and the CLI.
type LimitState struct {
	Address     string `json:"address"`
	Person      string `json:"person"`
	Team        string `json:"team"`
	Token       string `json:"token"`
	Quota       int64  `json:"quota,omitempty"`
	Nodes       int64  `json:"nodes"` // among which each is divided
	OnStoreLoss string `json:"on_store_loss"`
}

func (l *limits) state() LimitState {
	s := l.set
	return LimitState{Address: s.Address.String(), Person: s.Subject.String(), Team: s.Team.String(), Token: s.Token.String(), Quota: s.Quota, Nodes: l.nodes.Load(), OnStoreLoss: s.OnStoreLoss}
}

// parseQuota reads 1000/d.
func parseQuota(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	r, err := limit.ParseRate(s)
	if err != nil || r.Per != 24*time.Hour {
		return 0, fmt.Errorf("quota is %q; expected a number a day, such as 10000/d", s)
	}
	return r.N, nil
}

const (
	beatNode    = `INSERT INTO gateway_node (id, beat) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET beat = $2`
	selectNodes = `SELECT id, beat FROM gateway_node`
	forgetNode  = `DELETE FROM gateway_node WHERE id = $1 AND beat = $2`
	deleteNode  = `DELETE FROM gateway_node WHERE id = $1`
	addUse      = `INSERT INTO gateway_quota (day, key, used) VALUES ($1, $2, $3) ON CONFLICT (day, key) DO UPDATE SET used = gateway_quota.used + $3 RETURNING used`
	countDays   = `SELECT COUNT(*) FROM gateway_quota WHERE day < $1`
	deleteDays  = `DELETE FROM gateway_quota WHERE day < $1`
)
