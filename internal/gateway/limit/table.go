package limit

import (
	"hash/maphash"
	"sync"
	"time"
)

const shards = 64

// Table holds one number for each key that has asked lately: when all it was given is paid
// off. Keys are hashes under a seed of this process, so that nobody can make two collide.
type Table struct {
	seed maphash.Seed
	room int // keys a shard
	of   [shards]shard
}

type shard struct {
	mu    sync.Mutex
	at    map[uint64]int64 // key → when it is paid off, nanoseconds
	swept int64            // when it was last looked through
	_     [32]byte
}

// NewTable makes a table with room for so many keys.
func NewTable(keys int) *Table {
	t := &Table{seed: maphash.MakeSeed(), room: max(keys/shards, 1)}
	for i := range t.of {
		t.of[i].at = map[uint64]int64{}
	}
	return t
}

// Key is a caller in a scope: the same rule has the same scope wherever it is met.
func (t *Table) Key(scope, who string) uint64 {
	a, b := maphash.String(t.seed, scope), maphash.String(t.seed, who)
	return (a<<32|a>>32)*0x9E3779B97F4A7C15 ^ b
}

// Verdict is what came of it.
type Verdict struct {
	OK   bool
	Full bool          // there is no room for a new key: ask for a wider one
	Left int64         // how many more may come now
	Wait time.Duration // until the next may come; 0 with OK
	Back time.Duration // until all may come again
}

// sweepEvery is how often a full shard is looked through.
const sweepEvery = int64(time.Second)

// Take lets one come, or says how long to wait. Who must wait is not charged.
func (t *Table) Take(now int64, key uint64, b Bucket) Verdict { // clause: use.public-api
	s := &t.of[key%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	paid, there := s.at[key]
	v, next := b.judge(now, paid)
	if !v.OK {
		return v
	}
	if !there && len(s.at) >= t.room {
		s.sweep(now)
		if len(s.at) >= t.room {
			return Verdict{Full: true}
		}
	}
	s.at[key] = next
	return v
}

// Look is Take without charging.
func (t *Table) Look(now int64, key uint64, b Bucket) Verdict {
	s := &t.of[key%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	v, _ := b.judge(now, s.at[key])
	return v
}

// Give takes one charge back: another limit refused the same request.
func (t *Table) Give(key uint64, b Bucket) {
	s := &t.of[key%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, there := s.at[key]; there {
		s.at[key] = at - b.every
	}
}

// judge is the algorithm: what is paid off lies in the past or it does not lie further
// ahead than the bucket is deep.
func (b Bucket) judge(now, paid int64) (Verdict, int64) {
	paid = min(max(paid, now), now+b.ahead+b.every) // no clock can have given more than that
	if paid-now > b.ahead {
		return Verdict{Wait: time.Duration(paid - b.ahead - now), Back: time.Duration(paid - now)}, paid
	}
	paid += b.every
	return Verdict{OK: true, Left: (b.ahead + b.every - (paid - now)) / b.every, Back: time.Duration(paid - now)}, paid
}

// sweep forgets the keys whose time has passed, and no other.
func (s *shard) sweep(now int64) {
	if now-s.swept < sweepEvery && now >= s.swept {
		return
	}
	s.swept = now
	for k, at := range s.at {
		if at <= now {
			delete(s.at, k)
		}
	}
}

// Len is how many keys there are.
func (t *Table) Len() (n int) {
	for i := range t.of {
		t.of[i].mu.Lock()
		n += len(t.of[i].at)
		t.of[i].mu.Unlock()
	}
	return n
}

// Tables are a table and the wider keys for when it is full.
type Tables struct {
	Own, Wide *Table
	last      Table // one key a scope
}

// NewTables makes tables with room for so many keys, and a sixteenth of wide ones.
func NewTables(keys int) *Tables {
	t := &Tables{Own: NewTable(keys), Wide: NewTable(keys / 16)}
	t.last.seed, t.last.room = maphash.MakeSeed(), 1<<20
	for i := range t.last.of {
		t.last.of[i].at = map[uint64]int64{}
	}
	return t
}

// Charge is one request charged to one key, so that it can be given back.
type Charge struct {
	on  *Table
	key uint64
	b   Bucket
}

// Take charges the key of who, or of the wider network when there is no room, or of all
// who find none. dry only looks.
func (t *Tables) Take(now int64, scope, who, wide string, b Bucket, dry bool) (Verdict, Charge) {
	take := (*Table).Take
	if dry {
		take = (*Table).Look
	}
	key := t.Own.Key(scope, who)
	v := take(t.Own, now, key, b)
	if !v.Full {
		return v, Charge{t.Own, key, b}
	}
	key = t.Wide.Key(scope, wide)
	if v = take(t.Wide, now, key, b); !v.Full {
		return v, Charge{t.Wide, key, b}
	}
	key = t.last.Key(scope, "")
	return take(&t.last, now, key, b), Charge{&t.last, key, b}
}

// Back gives a charge back.
func (c Charge) Back() {
	if c.on != nil {
		c.on.Give(c.key, c.b)
	}
}
