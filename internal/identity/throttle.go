package identity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// limit is how many refused attempts a bucket takes in a window.
type limit struct {
	name   string
	max    int64
	window time.Duration
	double bool // beyond max: a wait that doubles from 1 s to 15 min, instead of the end of the window
}

// The limits. Known browsers are counted apart from strangers, so that whoever hammers
// on an account cannot keep its owner out.
var (
	perDevice   = limit{name: "person-device", max: 10, window: 15 * time.Minute, double: true}
	perNetwork  = limit{name: "person-network", max: 5, window: 15 * time.Minute}
	perPerson   = limit{name: "person-strangers", max: 30, window: time.Hour}
	overNetwork = limit{name: "network", max: 100, window: time.Hour}
	perAddress  = limit{name: "network-addresses", max: sprayAt, window: time.Hour}
	passkeysOf  = limit{name: "network-passkeys", max: 100, window: time.Hour} // apart: guessing passwords next door keeps no passkey out
	perSession  = limit{name: "person-change", max: 10, window: 15 * time.Minute, double: true}
	perCode     = limit{name: "person-codes", max: 10, window: time.Hour}
	perLink     = limit{name: "link", max: 5, window: 15 * time.Minute}
	signUps     = limit{name: "sign-up-network", max: 5, window: time.Hour}
	signUpMail  = limit{name: "sign-up-address", max: 3, window: time.Hour}
	resetMail   = limit{name: "reset-address", max: 3, window: time.Hour}
	resets      = limit{name: "reset-network", max: 10, window: time.Hour}
	inviteMail  = limit{name: "invite-address", max: 5, window: time.Hour}
	accepts     = limit{name: "invite-network", max: 5, window: time.Hour}
)

const (
	maxBackoff  = 15 * time.Minute
	sprayAt     = 20
	maxRemember = 10_000
	quickly     = time.Second // how long a refusal is repeated from memory
)

// bucket is one counter.
type bucket struct {
	limit
	key string
	of  string // key of another: this one counts how many such others are not empty
}

// byLock is the one order in which counters are locked. Those that count others come
// last, for what they do follows from the others.
func byLock(a, b bucket) int {
	return cmp.Or(cmp.Compare(min(len(a.of), 1), min(len(b.of), 1)), cmp.Compare(a.key, b.key))
}

// bucket names a counter without saying whose it is.
func (s *Service) bucket(ctx context.Context, l limit, parts ...string) (bucket, error) {
	key, err := s.mac(ctx, "throttle", append([]string{l.name}, parts...)...)
	return bucket{limit: l, key: key}, err
}

// addresses names the counter of the addresses that were tried in vain from a network; one
// of them is each counts. Whoever tries one password on everybody is stopped by it, and
// may still mistype the addresses tried before.
func (s *Service) addresses(ctx context.Context, each bucket, network string) (bucket, error) { // clause: auth.best-practice
	b, err := s.bucket(ctx, perAddress, network)
	b.of = each.key
	return b, err
}

// throttled is an attempt beyond a limit.
type throttled struct {
	limit string
	wait  time.Duration
}

func (t *throttled) fault() *fault.Error {
	f := fault.New(fault.Limited, "too_many", fault.Public{
		Problem:  "There were too many attempts.",
		Expected: "A pause before the next one.",
		Next:     "Wait a while and try again. If you forgot the password, ask for a reset link.",
	})
	f.RetryAfter = max(t.wait, time.Second)
	return f
}

// take counts an attempt in every bucket before it is made, or in none when one is
// full. Counting first keeps a hundred attempts at once from passing together.
func (s *Service) take(ctx context.Context, bs ...bucket) (*throttled, error) {
	now := s.Now()
	if t := s.quick.blocked(bs, now); t != nil {
		return t, nil
	}
	slices.SortFunc(bs, byLock)
	var worst *throttled
	err := s.DB.Quiet(ctx, ledger.Throttle, func(tx *ledger.Tx) error {
		worst = nil
		cs, err := countersOf(ctx, tx, bs, now)
		if err != nil {
			return err
		}
		counted := make([]bool, len(bs))
		for i, b := range bs {
			c := &cs[i]
			over := now.Sub(at(c.since)) >= b.window && us(now) >= c.until
			if over || b.ahead(at(c.since), at(c.until), now) {
				*c = counter{since: us(now)}
			}
			if counted[i] = b.of == "" || cs[slices.IndexFunc(bs, func(o bucket) bool { return o.key == b.of })].n == 0; !counted[i] {
				continue
			}
			if w := b.wait(c.n, at(c.since), at(c.until), now); w > 0 && (worst == nil || w > worst.wait) {
				worst = &throttled{b.name, w}
			}
		}
		if worst != nil {
			return nil
		}
		var rows []any
		for i, b := range bs {
			c := cs[i]
			if !counted[i] {
				continue
			}
			c.n++
			if b.double {
				c.since = us(now) // a known browser's window runs from its last failure
				if over := c.n - b.max; over > 0 {
					c.until = us(now.Add(min(time.Second<<min(over-1, 20), maxBackoff)))
				}
			}
			rows = append(rows, b.key, c.n, c.since, c.until)
		}
		if len(rows) == 0 {
			return nil
		}
		_, err = tx.Exec(ctx, writeBuckets(len(rows)/4), rows...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count an attempt: %w", err)
	}
	if worst != nil { // clause: auth.best-practice
		s.quick.block(bs, worst, now)
	}
	return worst, nil
}

// counter is a bucket as it is stored.
type counter struct{ n, since, until int64 }

// countersOf locks the counters of the buckets, in their order, and reads them.
func countersOf(ctx context.Context, tx *ledger.Tx, bs []bucket, now time.Time) ([]counter, error) {
	cs, args := make([]counter, len(bs)), make([]any, 1, 1+len(bs))
	args[0] = us(now)
	for _, b := range bs {
		args = append(args, b.key)
	}
	err := tx.Each(ctx, touchBuckets(len(bs)), func(scan scanner) error {
		var key string
		var c counter
		err := scan(&key, &c.n, &c.since, &c.until)
		if i := slices.IndexFunc(bs, func(b bucket) bool { return b.key == key }); i >= 0 {
			cs[i] = c
		}
		return err
	}, args...)
	return cs, err
}

// touchBuckets makes and locks n counters: $1 is the time, the others are their keys.
func touchBuckets(n int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO identity_throttle (bucket, n, since, until) VALUES `)
	for i := range n {
		fmt.Fprintf(&b, "%s($%d, 0, $1, 0)", comma(i), i+2)
	}
	b.WriteString(` ON CONFLICT (bucket) DO UPDATE SET n = identity_throttle.n RETURNING bucket, n, since, until`)
	return b.String()
}

// writeBuckets writes n counters that are locked: four values for each.
func writeBuckets(n int) string {
	var b strings.Builder
	b.WriteString(`INSERT INTO identity_throttle (bucket, n, since, until) VALUES `)
	for i := range n {
		fmt.Fprintf(&b, "%s($%d, $%d, $%d, $%d)", comma(i), 4*i+1, 4*i+2, 4*i+3, 4*i+4)
	}
	b.WriteString(` ON CONFLICT (bucket) DO UPDATE SET n = excluded.n, since = excluded.since, until = excluded.until`)
	return b.String()
}

func comma(i int) string { return ", "[:2*min(i, 1)] } // before all but the first

// wait is how long the bucket refuses from now on; 0 when it has room.
func (b bucket) wait(n int64, since, until, now time.Time) time.Duration {
	if b.double {
		return until.Sub(now)
	}
	if n >= b.max {
		return since.Add(b.window).Sub(now)
	}
	return 0
}

// ahead reports times that no attempt up to now could have left: the clock was set back.
// Such a counter would refuse until the clock is there again, perhaps for years.
func (b bucket) ahead(since, until, now time.Time) bool {
	return since.Sub(now) > b.window || until.Sub(now) > maxBackoff
}

// forgive takes back counted attempts: those in empty are cleared, those in less are
// one less. It runs after a success, and after an attempt that the server itself could not make.
func (s *Service) forgive(ctx context.Context, empty, less []bucket) error {
	err := s.DB.Quiet(ctx, ledger.Throttle, func(tx *ledger.Tx) error { return forgiveIn(ctx, tx, empty, less) })
	if err != nil {
		return fmt.Errorf("forgive attempts: %w", err)
	}
	return nil
}

// forgiveIn is forgive within a change that succeeds; last in it, since the counters of
// a network are everybody's.
func forgiveIn(ctx context.Context, tx *ledger.Tx, empty, less []bucket) error {
	all := slices.Concat(empty, less)
	slices.SortFunc(all, byLock)
	freed := map[string]bool{"": true} // counters that were not empty before, and are
	for _, b := range all {
		if !freed[b.of] {
			continue
		}
		q := lessBucket
		if slices.Contains(empty, b) {
			q = clearBucket
		}
		err := tx.Each(ctx, q, func(scan scanner) error {
			var n int64
			err := scan(&n)
			freed[b.key] = n == 0
			return err
		}, b.key)
		if err != nil {
			return err
		}
	}
	return nil
}

// quickRefusals answers a flood from memory, and notices spraying. It only ever
// repeats refusals that the counters gave, so losing it loses nothing.
type quickRefusals struct {
	mu     sync.Mutex
	until  map[string]time.Time
	limits map[string]string
	spray  map[string]*spray
}

type spray struct {
	since time.Time
	seen  map[string]bool
	told  bool
}

func (q *quickRefusals) blocked(bs []bucket, now time.Time) *throttled {
	q.mu.Lock()
	defer q.mu.Unlock()
	var worst *throttled
	for _, b := range bs {
		if u, ok := q.until[b.key]; ok {
			w := u.Sub(now)
			if w > 0 && w <= quickly && (worst == nil || w > worst.wait) {
				worst = &throttled{q.limits[b.key], w}
			} else if w <= 0 || w > quickly { // or the clock was set back
				delete(q.until, b.key)
				delete(q.limits, b.key)
			}
		}
	}
	return worst
}

// block remembers the refusing bucket when it is one that only time opens.
func (q *quickRefusals) block(bs []bucket, t *throttled, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.until == nil || len(q.until) >= maxRemember {
		q.until, q.limits = map[string]time.Time{}, map[string]string{}
	}
	for _, b := range bs {
		if b.name == t.limit && !b.double {
			// A second at a time: a counter that a success on another node lowered opens soon.
			q.until[b.key], q.limits[b.key] = now.Add(min(t.wait, quickly)), t.limit
		}
	}
}

// sprayed notes an address tried from a network and reports, once an hour, that there
// were too many different ones.
func (q *quickRefusals) sprayed(network, idx string, now time.Time) (int64, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.spray == nil || len(q.spray) >= maxRemember {
		q.spray = map[string]*spray{}
	}
	s := q.spray[network]
	if s == nil || now.Sub(s.since) >= time.Hour {
		s = &spray{since: now, seen: map[string]bool{}}
		q.spray[network] = s
	}
	if len(s.seen) <= sprayAt {
		s.seen[idx] = true
	}
	if s.told || len(s.seen) <= sprayAt {
		return 0, false
	}
	s.told = true
	return int64(len(s.seen)), true
}

// folder keeps a flood of refusals from flooding the journal.
type folder struct {
	mu   sync.Mutex
	now  map[foldKey]*folded
	done []*folded
}

type foldKey struct{ event, kind, id string }

type folded struct {
	who    actor.Actor
	event  string
	minute time.Time
	n      int64
}

// eachMinute is how many refusals of one kind by one actor have an entry of their own.
const eachMinute = 10

// refuse records ev and returns reason; beyond eachMinute a minute it counts instead.
func (s *Service) refuse(ctx context.Context, who actor.Actor, ev ledger.Event, reason error) error {
	if s.fold.count(who, ev.About().Name, s.Now()) {
		return reason
	}
	return s.DB.Refuse(ctx, who, ev, reason)
}

// count reports whether the refusal is folded.
func (f *folder) count(who actor.Actor, event string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key, minute := foldKey{event, string(who.Kind), who.ID}, now.Truncate(time.Minute)
	if f.now == nil {
		f.now = map[foldKey]*folded{}
	}
	if len(f.now) >= maxRemember {
		f.close(minute.Add(time.Hour))
	}
	e := f.now[key]
	if e != nil && !e.minute.Equal(minute) {
		f.retire(key, e)
		e = nil
	}
	if e == nil {
		e = &folded{who: who, event: event, minute: minute}
		f.now[key] = e
	}
	e.n++
	return e.n > eachMinute
}

// retire moves an ended minute to those that wait to be written. The caller holds mu.
func (f *folder) retire(key foldKey, e *folded) {
	delete(f.now, key)
	if e.n > eachMinute && len(f.done) < maxRemember {
		f.done = append(f.done, e)
	}
}

// close retires the minutes before t. The caller holds mu.
func (f *folder) close(t time.Time) {
	for key, e := range f.now {
		if e.minute.Before(t) {
			f.retire(key, e)
		}
	}
}

// writeFolded records the counts of minutes that are over, or of all.
func (s *Service) writeFolded(ctx context.Context, all bool) error {
	s.fold.mu.Lock()
	until := s.Now().Truncate(time.Minute)
	if all {
		until = until.Add(time.Hour)
	}
	s.fold.close(until)
	done := s.fold.done
	s.fold.done = nil
	s.fold.mu.Unlock()
	for i, e := range done {
		ev := RefusalsFolded{Of: e.event, Count: e.n - eachMinute, Minute: e.minute, Network: networkOf(e.who)}
		if _, err := s.DB.Change(ctx, e.who, func(*ledger.Tx) (ledger.Event, error) { return ev, nil }); err != nil {
			s.fold.mu.Lock()
			s.fold.done = append(s.fold.done, done[i:]...)
			s.fold.mu.Unlock()
			return fmt.Errorf("record folded refusals: %w", err)
		}
	}
	return nil
}

// networkOf is the bucket of a stranger, "" for others.
func networkOf(who actor.Actor) string {
	if who.Kind == actor.Stranger {
		return who.ID
	}
	return ""
}

const (
	clearBucket = `DELETE FROM identity_throttle WHERE bucket = $1 AND n > 0 RETURNING 0`
	lessBucket  = `UPDATE identity_throttle SET n = n - 1 WHERE bucket = $1 AND n > 0 RETURNING n`
	oldBuckets  = `DELETE FROM identity_throttle WHERE since < $1 AND until < $1`
)
