package limit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"writ/internal/gateway/limit"
)

// reference is the leaky bucket of the same standard, which is said to be the same
// algorithm: a level that falls with time, and a depth that it may not pass.
type reference struct {
	level, at int64 // nanoseconds of work
}

func (r *reference) take(now, every, n int64) bool {
	level := max(0, r.level-(now-r.at))
	if level > (n-1)*every {
		return false
	}
	r.level, r.at = level+every, now
	return true
}

// On any history the table answers as the leaky bucket does.
func TestSameAsTheReference(t *testing.T) { // breaks: use.public-api
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		r := limit.Rate{N: 1 + rnd.Int64N(50), Per: []time.Duration{time.Second, time.Minute, time.Hour}[rnd.IntN(3)]}
		nodes := 1 + rnd.Int64N(4)
		b := r.Bucket(nodes)
		every := int64(r.Per) / r.N * nodes
		table := limit.NewTable(1000)
		refs := map[uint64]*reference{}
		now := int64(1_000_000_000_000)
		for range 500 {
			now += rnd.Int64N(2*every + 1)
			if rnd.IntN(10) == 0 {
				now += rnd.Int64N(int64(r.Per))
			}
			key := table.Key("s", fmt.Sprint(rnd.IntN(5)))
			if refs[key] == nil {
				refs[key] = &reference{at: now}
			}
			want := refs[key].take(now, every, b.Most())
			look := table.Look(now, key, b)
			v := table.Take(now, key, b)
			if v.OK != want || look.OK != want || v.Full {
				t.Fatalf("round %d, %s over %d nodes: %+v, the reference says %v", round, r, nodes, v, want)
			}
			if !v.OK { // who waits as long as was said comes through, and no sooner
				if table.Look(now+int64(v.Wait)-1, key, b).OK || !table.Look(now+int64(v.Wait), key, b).OK {
					t.Fatalf("told to wait %s", v.Wait)
				}
			}
		}
	}
}

// Left is what may still come at once.
func TestLeft(t *testing.T) {
	b := limit.Rate{N: 3, Per: time.Minute}.Bucket(1)
	table := limit.NewTable(100)
	key := table.Key("a", "b")
	for i, want := range []int64{2, 1, 0} {
		if v := table.Take(1, key, b); !v.OK || v.Left != want {
			t.Errorf("%d: %+v", i, v)
		}
	}
	v := table.Take(1, key, b)
	if v.OK || v.Wait != 20*time.Second || v.Back != time.Minute {
		t.Errorf("%+v", v)
	}
	table.Give(key, b)
	if v := table.Take(1, key, b); !v.OK || v.Left != 0 {
		t.Errorf("what was given back is not there: %+v", v)
	}
	if v := table.Take(-int64(time.Hour), key, b); v.OK || v.Wait > time.Minute { // the clock was set back
		t.Errorf("after a clock that ran ahead: %+v", v)
	}
}

// The parts of all nodes together are the rate.
func TestNodes(t *testing.T) { // breaks: use.public-api
	for nodes := int64(1); nodes <= 5; nodes++ {
		b := limit.Rate{N: 100, Per: time.Minute}.Bucket(nodes)
		if all := b.Most() * nodes; all > 100 {
			t.Errorf("%d nodes let %d come at once", nodes, all)
		}
		table, n := limit.NewTable(10), int64(0)
		key := table.Key("", "")
		for now := int64(0); now < int64(time.Hour); now += int64(50 * time.Millisecond) {
			if table.Take(now, key, b).OK {
				n++
			}
		}
		if all := n * nodes; all < 5900 || all > 6200 {
			t.Errorf("%d nodes let %d come in an hour", nodes, all)
		}
	}
}

// Nobody is forgotten because others spray keys, and the memory is bounded.
func TestSpray(t *testing.T) { // breaks: use.public-api
	b := limit.Rate{N: 2, Per: time.Hour}.Bucket(1)
	tables := limit.NewTables(640)
	now := int64(time.Hour)
	for range 2 {
		tables.Take(now, "s", "attacker", "net", b, false)
	}
	for i := range 100_000 {
		now += int64(time.Microsecond)
		tables.Take(now, "s", fmt.Sprint("key", i), fmt.Sprint("wide", i), b, false)
	}
	if v, _ := tables.Take(now, "s", "attacker", "net", b, false); v.OK {
		t.Error("the attacker's own key was forgotten")
	}
	if n := tables.Own.Len() + tables.Wide.Len(); n > 640+64 {
		t.Errorf("%d keys in room for 704", n)
	}
	if v, _ := tables.Take(now, "s", "somebody new", "his net", b, false); v.OK {
		t.Error("who finds no room is not limited at all")
	}
	now += 3 * int64(time.Hour)
	if v, _ := tables.Take(now, "s", "somebody new", "his net", b, false); !v.OK || v.Left != 1 {
		t.Errorf("after their time the keys are still there: %+v", v)
	}
	if v, c := tables.Take(now, "s", "one", "n", b, false); v.Left != 1 {
		t.Errorf("%+v", v)
	} else {
		c.Back()
	}
	if v, _ := tables.Take(now, "s", "one", "n", b, true); v.Left != 1 {
		t.Errorf("a charge that was given back still counts: %+v", v)
	}
}

// When a full table is looked through, only keys whose time has passed go.
func TestOnlyWhatIsPaidOffIsForgotten(t *testing.T) { // breaks: use.public-api
	b := limit.Rate{N: 2, Per: time.Hour}.Bucket(1)
	table := limit.NewTable(640)
	now, key := int64(time.Hour), table.Key("s", "attacker")
	for range 2 {
		table.Take(now, key, b)
	}
	for i := range 20_000 {
		now += int64(time.Millisecond)
		table.Take(now, table.Key("s", fmt.Sprint("key", i)), b)
	}
	if table.Look(now, key, b).OK {
		t.Error("a key was forgotten before its time")
	}
	if now += 2 * int64(time.Hour); !table.Look(now, key, b).OK {
		t.Error("a key counts past its time")
	}
}

func TestQuotas(t *testing.T) { // breaks: use.public-api
	var here, there limit.Quotas
	for range 3 {
		here.Take(1, "t", 5, false)
	}
	if left, ok := here.Take(1, "t", 5, true); left != 2 || !ok {
		t.Errorf("looked: %d %v", left, ok)
	}
	there.Take(1, "t", 5, false)
	total := int64(0)
	for _, q := range []*limit.Quotas{&here, &there, &here} { // each stores and learns; nothing is stored twice
		for _, u := range q.Pending() {
			total += u.N
			q.Learn(u, total)
		}
	}
	if total != 4 {
		t.Errorf("stored %d", total)
	}
	if left, ok := there.Take(1, "t", 5, false); left != 0 || !ok {
		t.Errorf("the other node's are not counted: %d %v", left, ok)
	}
	if _, ok := there.Take(1, "t", 5, false); ok {
		t.Error("a sixth was let through")
	}
	there.Give(1, "t")
	if _, ok := there.Take(1, "t", 5, false); !ok {
		t.Error("one that was given back is not there")
	}
	if left, ok := there.Take(2, "t", 5, false); left != 4 || !ok {
		t.Errorf("a new day: %d %v", left, ok)
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]string{"100/m": "100/m", "1/s": "1/s", "5/h": "5/h", "7/d": "7/d", "0/m": "", "01/m": "", "5/w": "", "-1/s": "", "5": "", "9999999/s": "", "": "", "1000000/s": "1000000/s"} {
		r, err := limit.ParseRate(text)
		if (err == nil) != (want != "") || err == nil && r.String() != want {
			t.Errorf("%q: %v %v", text, r, err)
		}
	}
}

func FuzzRate(f *testing.F) {
	f.Add("100/m")
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := limit.ParseRate(s); err == nil && (r.String() != s || r.Bucket(3).Most() < 1) {
			t.Errorf("%q became %q", s, r)
		}
	})
}

func BenchmarkTake(b *testing.B) {
	tables := limit.NewTables(1 << 20)
	r := limit.Rate{N: 1000, Per: time.Second}.Bucket(1)
	who := make([]string, 100_000)
	for i := range who {
		who[i] = fmt.Sprintf("person-%d", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tables.Take(int64(i)*1000, "subject", who[i%len(who)], "", r, false)
	}
}
