package journal_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/merkle"

	"golang.org/x/mod/sumdb/tlog"
)

// sql changes the tables behind the journal's back.
func sql(t *testing.T, kit *ledgertest.Kit, statement string, args ...any) {
	t.Helper()
	err := kit.DB.Quiet(t.Context(), ledger.Sequencing, func(tx *ledger.Tx) error {
		_, err := tx.Exec(t.Context(), statement, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func leafAt(t *testing.T, kit *ledgertest.Kit, n int64) []byte {
	t.Helper()
	var b []byte
	if err := ledger.One(t.Context(), kit.DB, `SELECT leaf FROM journal_entry WHERE n = $1`, []any{&b}, n); err != nil {
		t.Fatal(err)
	}
	return b
}

// altered changes one letter inside the body, so that the leaf stays readable.
func altered(b []byte) []byte {
	return bytes.Replace(b, []byte("thing/1"), []byte("thing/2"), 1)
}

func setLeaf(t *testing.T, kit *ledgertest.Kit, n int64, leaf []byte) {
	sql(t, kit, `UPDATE journal_entry SET leaf = $1 WHERE n = $2`, leaf, n)
}

// rewrite alters a leaf and makes every stored hash fit.
func rewrite(t *testing.T, kit *ledgertest.Kit, n int64) {
	t.Helper()
	setLeaf(t, kit, n, altered(leafAt(t, kit, n)))
	var leaves [][]byte
	err := kit.DB.Each(t.Context(), `SELECT leaf FROM journal_entry ORDER BY n`, func(scan ledger.Scan) error {
		var leaf []byte
		err := scan(&leaf)
		leaves = append(leaves, leaf)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := merkle.NewEdge(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, leaf := range leaves {
		for k, h := range e.Append(merkle.LeafHash(leaf)) {
			sql(t, kit, `UPDATE journal_hash SET hash = $1 WHERE i = $2`, h[:], merkle.StoredCount(int64(i))+int64(k))
		}
	}
}

// tamperings are what somebody with write access may do, and the finding that names it.
var tamperings = []struct {
	name string
	do   func(t *testing.T, kit *ledgertest.Kit, old journal.Head)
	kind string
	n    int64
	says string
}{
	{"a leaf is altered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		setLeaf(t, kit, 17, altered(leafAt(t, kit, 17)))
	}, "altered", 17, "entry 17"},
	{"a leaf is replaced by other bytes", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		setLeaf(t, kit, 17, []byte("{}"))
	}, "altered", 17, "entry 17"},
	{"a stored hash is altered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `UPDATE journal_hash SET hash = $1 WHERE i = $2`, bytes.Repeat([]byte{1}, 32), tlog.StoredHashIndex(0, 17))
	}, "altered", 17, "stored hash of entry 17"},
	{"a node of the tree is altered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `UPDATE journal_hash SET hash = $1 WHERE i = $2`, bytes.Repeat([]byte{1}, 32), tlog.StoredHashIndex(1, 8))
	}, "altered", 17, "above entry 17"},
	{"a leaf and its hash are altered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		leaf := altered(leafAt(t, kit, 17))
		h := merkle.LeafHash(leaf)
		setLeaf(t, kit, 17, leaf)
		sql(t, kit, `UPDATE journal_hash SET hash = $1 WHERE i = $2`, h[:], tlog.StoredHashIndex(0, 17))
	}, "altered", 17, "above entry 17"},
	{"a leaf and all hashes are altered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		rewrite(t, kit, 17)
	}, "forked", -1, "another tree of"},
	{"a leaf and all hashes are altered, and no checkpoint is kept", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		rewrite(t, kit, 17)
		sql(t, kit, `DELETE FROM journal_checkpoint`)
	}, "forked", -1, "the signed root"},
	{"a stored hash is dropped", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `DELETE FROM journal_hash WHERE i = $1`, tlog.StoredHashIndex(0, 16))
	}, "missing", 16, "stored hash of entry 16"},
	{"the id beside an entry is altered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `UPDATE journal_entry SET id = 'another' WHERE n = 17`)
	}, "altered", 17, "stored beside entry 17"},
	{"an entry is dropped", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `DELETE FROM journal_entry WHERE n = 17`)
	}, "missing", 17, "entry 17 is missing"},
	{"some entries are dropped", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `DELETE FROM journal_entry WHERE n BETWEEN 17 AND 19`)
	}, "missing", 17, "entries 17 to 19 are missing"},
	{"two entries change places", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		a, b := leafAt(t, kit, 17), leafAt(t, kit, 21)
		setLeaf(t, kit, 17, b)
		setLeaf(t, kit, 21, a)
	}, "reordered", 17, "in the place of entry 17 stands entry 21"},
	{"an entry is renumbered", func(t *testing.T, kit *ledgertest.Kit, old journal.Head) {
		sql(t, kit, `UPDATE journal_entry SET n = $1 WHERE n = 17`, old.Size+1000)
	}, "missing", 17, "entry 17 is missing"},
	{"the newest entries are cut off", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `DELETE FROM journal_entry WHERE n >= 30`)
	}, "truncated", 30, "entries 30 to"},
	{"the newest entries are cut off and an old head is put back", func(t *testing.T, kit *ledgertest.Kit, old journal.Head) {
		sql(t, kit, `DELETE FROM journal_entry WHERE n >= $1`, old.Size)
		sql(t, kit, `DELETE FROM journal_hash WHERE i >= $1`, merkle.StoredCount(old.Size))
		sql(t, kit, `UPDATE journal_head SET size = $1, root = $2, note = $3 WHERE one = 1`, old.Size, old.Root[:], old.Note)
		sql(t, kit, `UPDATE journal_stream SET count = (SELECT COUNT(*) FROM journal_entry e WHERE e.stream = journal_stream.name)`)
	}, "truncated", -2, "a tree of"},
	{"an entry is added behind the end", func(t *testing.T, kit *ledgertest.Kit, old journal.Head) {
		sql(t, kit, `INSERT INTO journal_entry (n, id, stream, sn, leaf) VALUES (5000, 'x', 'test.noted', 99, '{}')`)
	}, "added", 5000, "entry 5000 stands beyond"},
	{"a total is lowered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `UPDATE journal_stream SET count = count - 1 WHERE name = 'test.other'`)
	}, "totals", -1, "test.other"},
	{"an entry is hidden from search", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `DELETE FROM journal_index WHERE n = 17`)
	}, "altered", 17, "search index of entry 17"},
	{"a kept checkpoint is altered", func(t *testing.T, kit *ledgertest.Kit, old journal.Head) {
		sql(t, kit, `UPDATE journal_checkpoint SET root = $1`, bytes.Repeat([]byte{1}, 32))
	}, "altered", -1, "kept checkpoint"},
	{"the root in the head is altered", func(t *testing.T, kit *ledgertest.Kit, _ journal.Head) {
		sql(t, kit, `UPDATE journal_head SET root = $1`, bytes.Repeat([]byte{1}, 32))
	}, "altered", -1, "key has signed"},
}

// breaks: log.tamper-evident
func testTamperingIsFoundAndNamed(t *testing.T) {
	for _, c := range tamperings {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, kit *ledgertest.Kit) {
				j := build(t, kit)
				stop := run(t, j)
				fill(t, kit, j, 10)
				old, err := j.Head(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				es := fill(t, kit, j, 40)
				if _, _, err := j.Proof(t.Context(), es[39].N); err != nil { // keeps a checkpoint
					t.Fatal(err)
				}
				stop()
				if r, err := j.Verify(t.Context(), nil); err != nil || !r.OK() {
					t.Fatalf("before: %v %+v", err, r)
				}
				c.do(t, kit, old)
				want := c.n
				if want == -2 {
					want = old.Size
				}
				r, err := j.Verify(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				if !named(r.Findings, c.kind, want, c.says) {
					t.Errorf("Verify does not name it: %+v", r.Findings)
				}
				refusesToSign(t, kit, c.says)
			})
		})
	}
}

func named(fs []journal.Finding, kind string, n int64, says string) bool {
	for _, f := range fs {
		if f.Kind == kind && (f.N == n || n == -1) && strings.Contains(f.Says, says) {
			return true
		}
	}
	return false
}

// refusesToSign starts a journal on the changed tables: it must number nothing.
func refusesToSign(t *testing.T, kit *ledgertest.Kit, says string) {
	t.Helper()
	j := build(t, kit)
	before, err := j.Head(t.Context())
	if err != nil {
		t.Logf("no head: %v", err)
	}
	stop := run(t, j)
	id := record(t, kit.DB, ana, noted{Title: "after"})
	for end := time.Now().Add(10 * time.Second); j.Stopped() == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it went on")
		}
	}
	stop()
	if !strings.Contains(j.Stopped().Error(), says) && !strings.Contains(j.Stopped().Error(), "right edge") && !strings.Contains(j.Stopped().Error(), "findings") {
		t.Errorf("stopped for: %v", j.Stopped())
	}
	if _, err := j.ByID(t.Context(), id); err == nil {
		t.Error("an entry was numbered on a changed journal")
	}
	if after, err := j.Head(t.Context()); err == nil && after.Size != before.Size {
		t.Errorf("the head moved from %d to %d", before.Size, after.Size)
	}
}

// A journal that runs finds a cut at the next batch, not only at the next start.
func TestCutWhileRunning(t *testing.T) {
	both(t, func(t *testing.T, kit *ledgertest.Kit) {
		j := build(t, kit)
		run(t, j)
		fill(t, kit, j, 10)
		old, err := j.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		fill(t, kit, j, 10)
		err = kit.DB.Quiet(t.Context(), ledger.Sequencing, func(tx *ledger.Tx) error {
			for _, s := range []struct {
				text string
				args []any
			}{{`DELETE FROM journal_entry WHERE n >= $1`, []any{old.Size}}, {`DELETE FROM journal_index WHERE n >= $1`, []any{old.Size}},
				{`DELETE FROM journal_hash WHERE i >= $1`, []any{merkle.StoredCount(old.Size)}},
				{`DELETE FROM journal_checkpoint WHERE size > $1`, []any{old.Size}},
				{`UPDATE journal_stream SET count = count - 5 WHERE name IN ('test.noted', 'test.other')`, nil},
				{`UPDATE journal_head SET size = $1, root = $2, note = $3 WHERE one = 1`, []any{old.Size, old.Root[:], old.Note}}} {
				if _, err := tx.Exec(t.Context(), s.text, s.args...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		record(t, kit.DB, ana, noted{Title: "after"})
		for end := time.Now().Add(10 * time.Second); j.Stopped() == nil; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("it went on from an older head")
			}
		}
		if !strings.Contains(j.Stopped().Error(), "are gone") {
			t.Errorf("stopped for: %v", j.Stopped())
		}
	})
}
