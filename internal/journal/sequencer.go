package journal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/merkle"
)

// The rhythm of the sequencer.
const (
	tick      = 50 * time.Millisecond // how often it looks without a hint
	gap       = 20 * time.Millisecond // between two batches that a hint started
	reassure  = time.Minute           // how often, at least, a head is read back, compared and signed anew
	aheadMost = 5 * time.Second       // how far a node's clock may be ahead without a word
	retry     = 30 * time.Second      // how often a stopped journal looks whether it was put right
)

// errDeposed says that another sequencer was elected.
var errDeposed = errors.New("journal: another sequencer was elected")

// self acts in the entries the journal makes about itself.
var self = actor.System("journal")

// state is what the sequencer keeps in memory. It is trusted only while it equals the
// locked head.
type state struct {
	edge   *merkle.Edge
	root   merkle.Hash
	counts map[string]int64
	at     int64 // µs, when the newest entry was numbered
}

func (s *state) clone() *state {
	return &state{edge: s.edge.Clone(), root: s.root, counts: maps.Clone(s.counts), at: s.at}
}

// sequencer numbers entries under one epoch.
type sequencer struct {
	*Journal
	epoch int64
	batch int
	most  int
	state *state      // as committed; nil = read it back
	known merkle.Hash // root at knownSize: the log may only grow from there
	size  int64

	renewed, checked, kept time.Time

	entries, index, hash, payload table
}

// Run elects a sequencer, numbers entries while this node is it, and runs the
// followers, until ctx ends. It returns nil then, and an error only when it is called
// twice at a time.
func (j *Journal) Run(ctx context.Context) error {
	j.mu.Lock()
	if j.running {
		j.mu.Unlock()
		return errors.New("journal: Run is running")
	}
	j.running = true
	j.mu.Unlock()
	defer func() { j.mu.Lock(); j.running = false; j.mu.Unlock() }()
	// One process owns a SQLite file: what a killed one left of its lease need not be
	// waited for. The epoch fences in any case.
	force := j.db.Engine() == "sqlite"
	for ctx.Err() == nil {
		epoch, err := j.elect(ctx, force)
		if err == nil && epoch > 0 {
			force = false
			err = j.lead(ctx, epoch)
		}
		wait := j.ttl / 10
		switch t, ok := errors.AsType[*Tampered](err); {
		case ctx.Err() != nil:
			return nil
		case ok:
			j.stop(ctx, t)
			wait = retry
		case errors.Is(err, errDeposed):
			j.log.Warn("another node numbers the journal now", "node", j.node)
		case err != nil:
			j.log.Error("journal sequencer", "err", err)
			wait = time.Second
		}
		sleep(ctx, wait)
	}
	return nil
}

// elect takes the lease if it is free; 0 = somebody else holds it. Clocks decide only
// who may try; the epoch decides who writes.
func (j *Journal) elect(ctx context.Context, force bool) (epoch int64, err error) {
	if err := j.loadKey(ctx); err != nil {
		return 0, err
	}
	now := j.now()
	free, absurd := now.UnixMicro(), now.Add(3*j.ttl).UnixMicro() // a clock that was wrong must not hold it for ever
	if force {
		absurd = -1
	} else if _, until, err := readHead(ctx, j.db, selectHead); err != nil || until >= free && until <= absurd {
		return 0, err
	}
	err = j.db.Quiet(ctx, ledger.Lease, func(t *ledger.Tx) error {
		epoch = 0
		return t.Each(ctx, takeLease, func(scan ledger.Scan) error { return scan(&epoch) },
			j.node, now.Add(j.ttl).UnixMicro(), free, absurd)
	})
	return epoch, err
}

// lead checks the journal, then numbers entries until ctx ends or the epoch is over.
func (j *Journal) lead(ctx context.Context, epoch int64) error {
	s := &sequencer{Journal: j, epoch: epoch, renewed: j.now(), checked: j.now(), batch: 64, most: 256,
		entries: columns("journal_entry", "n bigint", "id text", "stream text", "sn bigint", "leaf bytea"),
		index:   columns("journal_index", "n bigint", "act text", "object text", "clause text", "actor text", "subject text"),
		hash:    columns("journal_hash", "i bigint", "hash bytea"),
		payload: columns("journal_payload", "n bigint", "id text", "key_id text", "box bytea")}
	if j.db.Engine() == "postgres" {
		s.most = 1000
	}
	defer s.release()
	if err := j.startCheck(ctx); err != nil { // clause: log.tamper-evident
		return err
	}
	if err := s.lastKept(ctx); err != nil {
		return err
	}
	j.mu.Lock()
	j.stopped = nil
	followers := j.followers
	j.mu.Unlock()
	j.leads.Store(true)
	defer j.leads.Store(false)

	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() { cancel(); wg.Wait() }()
	for _, f := range followers {
		wg.Go(func() { j.follow(ctx, f) })
	}
	wg.Go(func() { j.recordElection(ctx, epoch) })
	return s.loop(ctx)
}

func (j *Journal) recordElection(ctx context.Context, epoch int64) {
	_, err := j.db.Change(ctx, self, func(*ledger.Tx) (ledger.Event, error) {
		return SequencerElected{Epoch: epoch, Node: j.node}, nil
	})
	if err != nil && ctx.Err() == nil {
		j.log.Error("record the election of the sequencer", "err", err)
	}
}

// loop numbers what waits: at once when a commit hints, else each tick.
func (s *sequencer) loop(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	pause := tick
	for {
		began := time.Now()
		n, err := s.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errDeposed), isTampered(err):
			return err
		case errors.Is(err, ledger.ErrCutOff):
			s.batch = max(s.batch/2, 1)
			s.log.Warn("the sequencer's batch took too long and is made smaller", "batch", s.batch)
		case err != nil: // retried under the same lease: only another epoch ends it
			s.log.Error("number entries", "err", err)
			sleep(ctx, pause)
			pause = min(2*pause, 2*time.Second)
			continue
		case n >= s.batch:
			s.batch = min(s.batch+s.batch/4+1, s.most)
			continue
		}
		pause = tick
		if err := s.await(ctx, began, t.C); err != nil {
			return err
		}
	}
}

// await returns when there is something to do.
func (s *sequencer) await(ctx context.Context, began time.Time, ticks <-chan time.Time) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			sleep(ctx, gap-time.Since(began))
			return nil
		case <-ticks:
			if now := s.now(); now.Sub(s.checked) > min(reassure, s.rules.cadence()/2) || now.Before(s.checked) {
				s.state, s.checked = nil, now // read back, compare, sign anew
				return nil
			}
			if some, _, err := s.db.HasPending(ctx); err != nil || some {
				return nil // the step will say what is wrong
			}
			if err := s.renew(ctx); err != nil {
				return err
			}
		}
	}
}

// renew holds the lease while there is nothing to number; a batch renews it by itself.
func (s *sequencer) renew(ctx context.Context) error {
	now := s.now()
	if since := now.Sub(s.renewed); since >= 0 && since < s.ttl/3 {
		return nil
	}
	var n int64
	err := s.db.Quiet(ctx, ledger.Lease, func(t *ledger.Tx) (err error) {
		n, err = t.Exec(ctx, renewLease, now.Add(s.ttl).UnixMicro(), s.epoch)
		return err
	})
	switch {
	case err != nil:
		s.log.Warn("renew the sequencer's lease", "err", err)
		return nil
	case n != 1:
		return errDeposed
	}
	s.renewed = now
	return nil
}

// release lets another node begin at once.
func (s *sequencer) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := s.db.Quiet(ctx, ledger.Lease, func(t *ledger.Tx) error {
		_, err := t.Exec(ctx, renewLease, int64(0), s.epoch)
		return err
	})
	if err != nil {
		s.log.Debug("release the sequencer's lease", "err", err)
	}
}

// step numbers one batch in one transaction, and returns how many entries it had.
// Nothing of it is kept or shown before the commit has succeeded.
func (s *sequencer) step(ctx context.Context) (int, error) {
	var next *state
	var count int
	now := s.now()
	keep := now.Sub(s.kept) >= s.rules.cadence() || now.Before(s.kept)
	reread := s.state == nil
	err := s.db.Sequence(ctx, func(t *ledger.Tx, claim ledger.Claim) error {
		next, count = nil, 0
		head, _, err := readHead(ctx, t, lockHead, now.Add(s.ttl).UnixMicro(), s.epoch)
		if errors.Is(err, fault.NotFound) {
			return errDeposed
		}
		if err != nil {
			return err
		}
		base := s.state
		if base == nil || base.edge.Size() != head.Size || base.root != head.Root {
			if base, err = s.load(ctx, t, head); err != nil {
				return err
			}
		}
		pending, err := claim(s.batch)
		if err != nil {
			return err
		}
		next, count = base.clone(), len(pending)
		if count == 0 && !reread && !keep && len(head.Note) > 0 {
			return nil
		}
		return s.write(ctx, t, next, head, pending, s.now(), keep) // a time of before the claim could be one of before they happened
	})
	if err != nil {
		s.state = nil
		return 0, err
	}
	s.state, s.renewed = next, now
	s.size, s.known = next.edge.Size(), next.root
	if keep {
		s.kept = now
	}
	if count > 0 {
		s.announce()
	}
	return count, nil
}

// write inserts a batch and moves the head, if it is still what was locked.
func (s *sequencer) write(ctx context.Context, t *ledger.Tx, next *state, head Head, pending []ledger.PendingRow, now time.Time, keep bool) error {
	if len(pending) > 0 {
		next.at = max(now.UnixMicro(), next.at) // never decreasing, whatever the clock does
	}
	var entries, index, stored, payloads rows
	touched := map[string]bool{}
	at := merkle.StoredCount(next.edge.Size())
	for _, p := range pending {
		p.Name = streamOf(p.Name)
		n := next.edge.Size()
		next.counts[p.Name]++
		touched[p.Name] = true
		leaf, l, good := leafOf(n, next.counts[p.Name], next.at, p)
		if p.Happened > next.at+aheadMost.Microseconds() {
			s.log.Warn("an entry comes from a clock that is ahead", "n", n, "by", time.Duration(p.Happened-next.at)*time.Microsecond)
		}
		if !good {
			s.log.Error("an entry was damaged while it waited to be numbered", "n", n, "id", plain(p.ID))
		}
		for _, h := range next.edge.Append(merkle.LeafHash(leaf)) {
			stored.add(at, h[:])
			at++
		}
		entries.add(n, p.ID, p.Name, l.SN, leaf)
		index.add(n, p.Name, l.Text("object"), l.Text("clause"), l.Text("actor"), l.Text("subject"))
		if len(p.Payload) > 0 {
			payloads.add(n, p.ID, p.PayloadKey, p.Payload)
		}
	}
	arrays := s.db.Engine() == "postgres"
	for _, b := range []struct {
		table
		rows *rows
	}{{s.entries, &entries}, {s.hash, &stored}, {s.index, &index}, {s.payload, &payloads}} {
		if err := b.insert(ctx, t, arrays, b.rows); err != nil {
			return fmt.Errorf("insert into %s: %w", b.name, err)
		}
	}
	for name := range touched {
		if _, err := t.Exec(ctx, countStream, name, next.counts[name]); err != nil {
			return err
		}
	}
	return s.sign(ctx, t, next, head, now, keep)
}

// sign signs the new tree and moves the head.
func (s *sequencer) sign(ctx context.Context, t *ledger.Tx, next *state, head Head, now time.Time, keep bool) error {
	next.root = next.edge.Root()
	msg, err := merkle.Sign(merkle.Checkpoint{Origin: s.origin, Size: next.edge.Size(), Root: next.root}, s.signer)
	if err != nil {
		return err
	}
	n, err := t.Exec(ctx, moveHead, next.edge.Size(), next.root[:], next.at, now.UnixMicro(), msg, s.epoch, head.Size, head.Root[:])
	if err != nil {
		return err
	}
	if n != 1 {
		return errDeposed
	}
	if keep {
		_, err = t.Exec(ctx, keepCheckpoint, next.edge.Size(), now.UnixMicro(), "clock", next.root[:], msg)
	}
	return err
}

// load reads the state back and believes it only if it gives the signed root and
// continues what this process has seen.
func (s *sequencer) load(ctx context.Context, r ledger.Reader, head Head) (*state, error) {
	if err := s.grown(ctx, r, head, s.size, s.known); err != nil {
		return nil, err
	}
	return s.readState(ctx, r, head)
}

// readState reads right edge and totals and compares them with the head and its note.
func (j *Journal) readState(ctx context.Context, r ledger.Reader, head Head) (*state, error) {
	if err := j.checkNote(head); err != nil {
		return nil, err
	}
	peaks, err := hashes(ctx, r).ReadHashes(merkle.EdgeIndexes(head.Size))
	if err != nil {
		return nil, err
	}
	edge, err := merkle.NewEdge(head.Size, peaks)
	if err != nil {
		return nil, err
	}
	if edge.Root() != head.Root {
		return nil, tampered(Finding{Kind: "altered", N: -1, Says: "the stored hashes of the right edge do not give the signed root"})
	}
	st := &state{edge: edge, root: head.Root, counts: map[string]int64{}, at: head.At.UnixMicro()}
	var sum int64
	err = r.Each(ctx, selectStreams, func(scan ledger.Scan) error {
		var name string
		var n int64
		if err := scan(&name, &n); err != nil {
			return err
		}
		st.counts[name] = n
		sum += n
		return nil
	})
	if err == nil && sum != head.Size {
		err = tampered(Finding{Kind: "totals", N: -1, Says: fmt.Sprintf("the totals of the streams add up to %d, the journal has %d entries", sum, head.Size)})
	}
	return st, err
}

// grown checks that the log of head continues a tree that was seen before.
func (j *Journal) grown(ctx context.Context, r ledger.Reader, head Head, size int64, root merkle.Hash) error {
	if size == 0 {
		return nil
	}
	if head.Size < size {
		return tampered(Finding{Kind: "truncated", N: head.Size, Says: fmt.Sprintf(
			"entries %d to %d are gone: a tree of %d entries was signed, the head has %d", head.Size, size-1, size, head.Size)})
	}
	peaks, err := hashes(ctx, r).ReadHashes(merkle.EdgeIndexes(size))
	if err != nil {
		return err
	}
	edge, err := merkle.NewEdge(size, peaks)
	if err != nil {
		return err
	}
	if edge.Root() != root {
		return tampered(Finding{Kind: "forked", N: size - 1, Says: fmt.Sprintf("an entry before %d was rewritten: another tree of %d entries was signed", size, size)})
	}
	return nil
}

func (s *sequencer) lastKept(ctx context.Context) error {
	var us int64
	err := ledger.One(ctx, s.db, `SELECT at FROM journal_checkpoint ORDER BY size DESC LIMIT 1`, []any{&us})
	if err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	s.kept = time.UnixMicro(us)
	return nil
}

// sleep waits, or less when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

const (
	takeLease = `UPDATE journal_head SET epoch = epoch + 1, holder = $1, until = $2
		WHERE one = 1 AND (until < $3 OR until > $4) RETURNING epoch`
	renewLease = `UPDATE journal_head SET until = $1 WHERE one = 1 AND epoch = $2`
	lockHead   = `UPDATE journal_head SET beat = beat + 1, until = $1 WHERE one = 1 AND epoch = $2 RETURNING ` + headColumns
	moveHead   = `UPDATE journal_head SET size = $1, root = $2, at = $3, signed = $4, note = $5
		WHERE one = 1 AND epoch = $6 AND size = $7 AND root = $8`
	countStream    = `INSERT INTO journal_stream (name, count) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET count = excluded.count`
	selectStreams  = `SELECT name, count FROM journal_stream`
	keepCheckpoint = `INSERT INTO journal_checkpoint (size, at, why, root, note) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (size) DO NOTHING`
)
