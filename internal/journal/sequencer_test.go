package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	tmproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"writ/internal/actor"
	"writ/internal/journal"
	"writ/internal/journal/verify"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/merkle"
)

func verifier(t testing.TB, key string) note.Verifier {
	t.Helper()
	v, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// naive is the root by RFC 6962 §2.1, as it is written there.
func naive(leaves [][]byte) merkle.Hash {
	switch len(leaves) {
	case 0:
		return merkle.EmptyRoot()
	case 1:
		return merkle.LeafHash(leaves[0])
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	l, r := naive(leaves[:k]), naive(leaves[k:])
	h := rfc6962.DefaultHasher.HashChildren(l[:], r[:])
	return merkle.Hash(h)
}

// collect reads all leaves.
func collect(t *testing.T, kit *ledgertest.Kit) [][]byte {
	t.Helper()
	var leaves [][]byte
	err := kit.DB.Each(t.Context(), `SELECT leaf FROM journal_entry ORDER BY n`, func(scan ledger.Scan) error {
		var b []byte
		err := scan(&b)
		leaves = append(leaves, b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return leaves
}

// consistent checks what must hold of every journal: gapless numbers, each receipt
// once, times that never go back, and every checkpoint seen a beginning of the end.
func consistent(leaves [][]byte, receipts []string, notes [][]byte, v note.Verifier) error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	seen, counts, at := map[string]int{}, map[string]int64{}, int64(0)
	for n, b := range leaves {
		l, err := verify.ParseLeaf(b)
		if err != nil {
			return err
		}
		if counts[l.Stream]++; l.N != int64(n) || l.SN != counts[l.Stream] || l.At < at {
			bad("leaf %d: n %d, %s number %d, at %d after %d", n, l.N, l.Stream, l.SN, l.At, at)
		}
		at = l.At
		seen[l.Text("id")]++
	}
	for _, id := range receipts {
		if seen[id] != 1 {
			bad("receipt %s is there %d times", id, seen[id])
		}
	}
	want := map[int64][]merkle.Hash{}
	for _, b := range notes {
		c, _, err := merkle.OpenCheckpoint(b, v)
		if err != nil {
			return err
		}
		if c.Size > int64(len(leaves)) {
			bad("a checkpoint of %d was sent, the log has %d", c.Size, len(leaves))
		}
		want[c.Size] = append(want[c.Size], c.Root)
	}
	var edge merkle.Edge
	for size := int64(0); ; size++ {
		for _, root := range want[size] {
			if edge.Root() != root {
				bad("a checkpoint of %d is of another log", size)
			}
		}
		if size == int64(len(leaves)) {
			break
		}
		edge.Append(merkle.LeafHash(leaves[size]))
	}
	return errors.Join(errs...)
}

// Any number of writers, sequencers that take the lease from one another, and a clock
// that jumps: nothing is lost, nothing is there twice, nothing forks.
func TestManyWritersAndSequencers(t *testing.T) {
	for _, writers := range []int{1, 8, 64} {
		t.Run(fmt.Sprint(writers), func(t *testing.T) {
			both(t, func(t *testing.T, kit *ledgertest.Kit) {
				a, b := leased(t, kit, 300*time.Millisecond), leased(t, kit, 300*time.Millisecond)
				stopA, stopB := run(t, a), run(t, b)
				key, err := a.Key(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				var mu sync.Mutex
				var receipts []string
				var notes [][]byte
				var wg, watch sync.WaitGroup
				for w := range writers {
					wg.Go(func() {
						for i := range max(600/writers, 6) {
							r, err := kit.DB.Change(context.Background(), actor.System("w"), func(tx *ledger.Tx) (ledger.Event, error) {
								if i%5 == 0 {
									tx.Also(noted{Title: "also", stream: "test.also"})
								}
								return noted{Title: fmt.Sprint(w, i), stream: fmt.Sprintf("test.w%d", w%7)}, nil
							})
							if err != nil {
								t.Errorf("write: %v", err)
								return
							}
							mu.Lock()
							receipts = append(receipts, r.ID)
							mu.Unlock()
						}
					})
				}
				done := make(chan struct{})
				watch.Go(func() {
					for {
						select {
						case <-done:
							return
						case <-time.After(3 * time.Millisecond):
						}
						kit.Clock.Advance(time.Duration(rand.IntN(1100)-300) * time.Millisecond) // lets leases end, and steps back
						h, err := []*journal.Journal{a, b}[rand.IntN(2)].Head(context.Background())
						if err == nil {
							mu.Lock()
							notes = append(notes, h.Note)
							mu.Unlock()
						}
					}
				})
				wg.Wait()
				for _, id := range receipts {
					wait(t, a, id)
				}
				close(done)
				watch.Wait()
				stopA()
				stopB()
				leaves := collect(t, kit)
				if err := consistent(leaves, receipts, notes, verifier(t, key)); err != nil {
					t.Error(err)
				}
				if r, err := a.Verify(t.Context(), nil); err != nil || !r.OK() || r.Read != int64(len(leaves)) {
					t.Errorf("verify: %v %+v", err, r)
				}
				h, err := a.Head(t.Context())
				if err != nil || naive(leaves) != h.Root {
					t.Errorf("the root differs from the naive one (%v)", err)
				}
				t.Logf("%d entries, %d checkpoints, epoch %d", len(leaves), len(notes), h.Epoch)
			})
		})
	}
}

// The check itself must object: to a lost receipt, a forked and a rolled back log.
func TestConsistencyCheckObjects(t *testing.T) {
	kit := ledgertest.Open(t, journal.Schema())
	j := build(t, kit)
	stop := run(t, j)
	fill(t, kit, j, 8)
	stop()
	key, err := j.Key(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leaves, v := collect(t, kit), verifier(t, key)
	if err := consistent(leaves, nil, [][]byte{h.Note}, v); err != nil {
		t.Fatal(err)
	}
	if consistent(leaves, []string{"lost"}, nil, v) == nil {
		t.Error("a lost receipt passed")
	}
	if consistent(leaves[:5], nil, [][]byte{h.Note}, v) == nil {
		t.Error("a cut log passed")
	}
	forked := append([][]byte{altered(leaves[len(leaves)-1])}, leaves[1:]...)
	if consistent(forked, nil, [][]byte{h.Note}, v) == nil {
		t.Error("a fork passed")
	}
}

// breaks: log.tamper-evident (one of two sequencers must stop)
func TestDeposedSequencerStops(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		a := build(t, kit)
		run(t, a)
		fill(t, kit, a, 3)
		if !a.Leads() {
			t.Fatal("the first does not lead")
		}
		b := build(t, kit)
		run(t, b)
		for end := time.Now().Add(15 * time.Second); !b.Leads() || a.Leads(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("leads: %v %v", a.Leads(), b.Leads())
			}
			kit.Clock.Advance(11 * time.Second) // the lease ends sooner or later between two renewals
		}
		es := fill(t, kit, b, 3)
		if _, err := a.Entry(t.Context(), es[2].N); err != nil {
			t.Error(err)
		}
		h, err := b.Head(t.Context())
		if err != nil || h.Epoch < 2 {
			t.Errorf("epoch %d, %v", h.Epoch, err)
		}
	})
}

// Proofs are accepted by a second implementation, and refused when a bit is changed.
func TestAgainstTransparencyDev(t *testing.T) {
	kit := ledgertest.Open(t, journal.Schema())
	j := build(t, kit)
	stop := run(t, j)
	fill(t, kit, j, 150)
	stop()
	h, err := j.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	leaves := collect(t, kit)
	raw := func(hs []merkle.Hash) [][]byte {
		var out [][]byte
		for _, x := range hs {
			out = append(out, append([]byte(nil), x[:]...))
		}
		return out
	}
	for n := range h.Size {
		file, leaf, err := j.Proof(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		p, err := merkle.ParseProof(file)
		if err != nil {
			t.Fatal(err)
		}
		path := raw(p.Hashes)
		lh := rfc6962.DefaultHasher.HashLeaf(leaf)
		if err := tmproof.VerifyInclusion(rfc6962.DefaultHasher, uint64(n), uint64(h.Size), lh, path, h.Root[:]); err != nil {
			t.Errorf("inclusion of %d: %v", n, err)
		}
		path[len(path)-1][3] ^= 4
		if tmproof.VerifyInclusion(rfc6962.DefaultHasher, uint64(n), uint64(h.Size), lh, path, h.Root[:]) == nil {
			t.Errorf("a changed proof of %d passed", n)
		}
		hs, err := j.Consistency(t.Context(), n+1, 0)
		if err != nil {
			t.Fatal(err)
		}
		old := naive(leaves[:n+1])
		if err := tmproof.VerifyConsistency(rfc6962.DefaultHasher, uint64(n+1), uint64(h.Size), raw(hs), old[:], h.Root[:]); err != nil {
			t.Errorf("consistency from %d: %v", n+1, err)
		}
	}
}

func TestFollowersGetAllInOrder(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		var mu sync.Mutex
		var got []int64
		calls := 0
		j.Follow("test", func(_ context.Context, es []journal.Entry) error {
			mu.Lock()
			defer mu.Unlock()
			calls++
			switch calls {
			case 1:
				return errors.New("not now")
			case 2:
				panic("not now either")
			}
			for _, e := range es {
				got = append(got, e.N)
			}
			return nil
		})
		stop := run(t, j)
		es := fill(t, kit, j, 30)
		last := es[29].N
		for end := time.Now().Add(15 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			n, err := j.Cursor(t.Context(), "test")
			if err != nil {
				t.Fatal(err)
			}
			if n > last {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the cursor is at %d of %d", n, last)
			}
		}
		stop()
		mu.Lock()
		defer mu.Unlock()
		for i, n := range got {
			if n != int64(i) {
				t.Fatalf("got %v", got)
			}
		}
		// A new process goes on where the old one was.
		again := build(t, kit)
		first := make(chan int64, 1)
		again.Follow("test", func(_ context.Context, es []journal.Entry) error {
			select {
			case first <- es[0].N:
			default:
			}
			return nil
		})
		run(t, again)
		if n := <-first; n != int64(len(got)) {
			t.Errorf("went on at %d, not %d", n, len(got))
		}
	})
}

// A row that somebody damaged before it was numbered does not stop the journal and
// does not pass for what it was.
func TestDamagedPendingRow(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		id := record(t, kit.DB, ana, noted{Title: "x"})
		sql(t, kit, `UPDATE ledger_pending SET body = $1 WHERE id = $2`, []byte(`{"id": "`+id+`"}`), id)
		j := build(t, kit)
		run(t, j)
		if e := wait(t, j, id); e.Act != "journal.damaged-entry" || e.Stream != "test.noted" {
			t.Errorf("%+v", e)
		}
		fill(t, kit, j, 2)
		if r, err := j.Verify(t.Context(), nil); err != nil || !named(r.Findings, "altered", 0, "") && !r.OK() {
			t.Errorf("%v %+v", err, r)
		}
	})
}

func TestList(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		run(t, j)
		es := fill(t, kit, j, 10)
		wait(t, j, record(t, kit.DB, actor.Actor{Kind: actor.Operator, ID: "0"}, noted{Title: "op"}))
		for name, c := range map[string]struct {
			q    journal.Query
			want int
		}{
			"clause":       {journal.Query{Clause: "test.clause"}, 11},
			"act":          {journal.Query{Act: "test.other"}, 5},
			"object":       {journal.Query{Object: "thing/1"}, 11},
			"person":       {journal.Query{Actor: "ana"}, 10},
			"operator":     {journal.Query{Actor: "operator/0"}, 1},
			"subject":      {journal.Query{Subject: "ana"}, 10},
			"two":          {journal.Query{Actor: "ana", Act: "test.noted"}, 5},
			"limit":        {journal.Query{Clause: "test.clause", Limit: 4}, 4},
			"before":       {journal.Query{Actor: "ana", Before: es[3].N}, 3},
			"nobody's act": {journal.Query{Act: "test.x"}, 0},
		} {
			got, err := j.List(t.Context(), c.q)
			if err != nil || len(got) != c.want {
				t.Errorf("%s: %d entries, %v", name, len(got), err)
			}
			for i := 1; i < len(got); i++ {
				if got[i].N >= got[i-1].N {
					t.Errorf("%s: not the newest first", name)
				}
			}
		}
		if e := es[0]; e.Actor == "person/ana" || len(e.Actor) < 20 || e.Happened.IsZero() {
			t.Errorf("actor %q, happened %v", e.Actor, e.Happened)
		}
	})
}
