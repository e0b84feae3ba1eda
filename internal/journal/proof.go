package journal

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/merkle"
)

// Proof makes the proof file (.tlog-proof) of entry n against the newest checkpoint,
// and returns the leaf that travels with it. It is checked before it is given away: a
// journal that was changed gives an error, never a proof. The checkpoint is kept.
func (j *Journal) Proof(ctx context.Context, n int64) (proof, leaf []byte, err error) {
	if err := j.loadKey(ctx); err != nil {
		return nil, nil, err
	}
	h, err := j.Head(ctx)
	if err != nil {
		return nil, nil, err
	}
	proof, leaf, err = j.proofAt(ctx, h, n)
	if err != nil {
		return nil, nil, err
	}
	return proof, leaf, j.keep(ctx, h, "proof")
}

func (j *Journal) proofAt(ctx context.Context, h Head, n int64) (proof, leaf []byte, err error) {
	if n < 0 || n >= h.Size {
		_, err := one(nil, nil)
		return nil, nil, err
	}
	if err := ledger.One(ctx, j.db, `SELECT leaf FROM journal_entry WHERE n = $1`, []any{&leaf}, n); err != nil {
		if errors.Is(err, fault.NotFound) {
			err = tampered(Finding{Kind: "missing", N: n, Says: fmt.Sprintf("entry %d is missing", n)})
		}
		return nil, nil, err
	}
	hs, err := merkle.InclusionProof(h.Size, n, hashes(ctx, j.db))
	if err != nil {
		return nil, nil, err
	}
	p := merkle.Proof{Index: n, Hashes: hs, Checkpoint: h.Note}
	if _, err := p.Verify(leaf, j.verif); err != nil {
		j.log.Error("an entry cannot be proved", "n", n, "err", err)
		return nil, nil, tampered(Finding{Kind: "altered", N: n, Says: fmt.Sprintf("entry %d was altered: it cannot be proved", n)})
	}
	return p.Marshal(), leaf, nil
}

// Consistency proves that the tree of from entries is the beginning of that of to
// entries; to = 0 means the newest checkpoint. fault.Invalid when no such trees are there.
func (j *Journal) Consistency(ctx context.Context, from, to int64) ([]merkle.Hash, error) {
	h, err := j.Head(ctx)
	if err != nil {
		return nil, err
	}
	if to == 0 {
		to = h.Size
	}
	if from < 0 || from > to || to > h.Size {
		return nil, fault.Newf(fault.Invalid, "no_such_trees", "The journal has %d entries: no tree of %d begins one of %d in it.", h.Size, from, to)
	}
	return merkle.ConsistencyProof(from, to, hashes(ctx, j.db))
}

// keep stores a checkpoint that leaves the house, so that it is compared for ever.
func (j *Journal) keep(ctx context.Context, h Head, why string) error {
	return j.db.Quiet(ctx, ledger.Sequencing, func(t *ledger.Tx) error {
		_, err := t.Exec(ctx, keepCheckpoint, h.Size, j.now().UnixMicro(), why, h.Root[:], h.Note)
		return err
	})
}

// Tile reads a tile of hashes, or a bundle of entries; fault.NotFound beyond the tree.
func (j *Journal) Tile(ctx context.Context, t merkle.Tile) ([]byte, error) {
	h, err := j.Head(ctx)
	if err != nil {
		return nil, err
	}
	if !t.Within(h.Size) {
		return nil, fault.Newf(fault.NotFound, "no_such_tile", "There is no tile of this name.")
	}
	if !t.Entries {
		return j.hashTile(ctx, t)
	}
	var leaves [][]byte
	from := t.N * merkle.TileWidth
	err = j.db.Each(ctx, `SELECT leaf FROM journal_entry WHERE n >= $1 AND n < $2 ORDER BY n`, func(scan ledger.Scan) error {
		var leaf []byte
		err := scan(&leaf)
		leaves = append(leaves, leaf)
		return err
	}, from, from+int64(t.W))
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	if len(leaves) != t.W {
		return nil, tampered(Finding{Kind: "missing", N: from, Says: fmt.Sprintf("an entry from %d on is missing", from)})
	}
	return merkle.EntryBundle(leaves), nil
}

func (j *Journal) hashTile(ctx context.Context, t merkle.Tile) ([]byte, error) {
	hs, err := hashes(ctx, j.db).ReadHashes(t.HashIndexes())
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, len(hs)*tlog.HashSize)
	for _, h := range hs {
		b = append(b, h[:]...)
	}
	return b, nil
}
