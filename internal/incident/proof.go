package incident

import (
	"context"
	"fmt"
	"time"

	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// proof is what answers a guard: whether it holds, by which evidence, and in words.
type proof struct {
	Guard string
	Good  bool
	Hash  string // SHA-256 of the evidence, in hex
	Says  string
}

// outcome is what came of an act of the server. That something is bad is an outcome; an
// error is tried again.
type outcome struct {
	Output string // hash of what came of it
	Count  int64
	Says   string // in one line, for whoever looks
	Proofs []proof
	Also   func(ctx context.Context, tx *ledger.Tx, c Case) error // in the change that writes it down; may be nil
}

// act is something the server does. It bears being run twice, and at once on two nodes: only
// one outcome is written down.
type act func(ctx context.Context, c Case) (outcome, error)

// Proof is the answer to a guard, for whoever looks.
type Proof struct {
	Guard, Act string // Act = "" or hand:…: people recorded it
	Good       bool
	Hash, Says string
	At         time.Time
}

// prove writes down what answers a guard of the present round; the former answer goes.
func prove(ctx context.Context, tx *ledger.Tx, c Case, by string, p proof) error {
	_, err := tx.Exec(ctx, putProof, c.ID, c.Round, p.Guard, by, p.Good, p.Hash, p.Says, us(tx.Now()))
	return err
}

// proved reads which guards are answered in this round.
func proved(ctx context.Context, r ledger.Reader, c Case, f *engine.Facts) error {
	return r.Each(ctx, proofsOf, func(scan ledger.Scan) error {
		p, err := readProof(scan)
		f.Proved[p.Guard] = p.Good
		return err
	}, c.ID, c.Round)
}

func (s *Service) proofs(ctx context.Context, c Case) ([]Proof, error) {
	var out []Proof
	err := s.DB.Each(ctx, proofsOf, func(scan ledger.Scan) error {
		p, err := readProof(scan)
		out = append(out, p)
		return err
	}, c.ID, c.Round)
	if err != nil {
		return nil, fmt.Errorf("read proofs: %w", err)
	}
	return out, nil
}

func readProof(scan ledger.Scan) (Proof, error) {
	var p Proof
	var t int64
	err := scan(&p.Guard, &p.Act, &p.Good, &p.Hash, &p.Says, &t)
	p.At = at(t)
	return p, err
}

const (
	putProof = `INSERT INTO incident_proof (case_id, round, guard, act, good, hash, says, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (case_id, round, guard) DO UPDATE SET act = excluded.act, good = excluded.good, hash = excluded.hash, says = excluded.says, at = excluded.at`
	proofsOf    = `SELECT guard, act, good, hash, says, at FROM incident_proof WHERE case_id = $1 AND round = $2 ORDER BY at, guard`
	forgetProof = `DELETE FROM incident_proof WHERE case_id = $1 AND round = $2 AND (act = $3 OR act = $4)`
)
