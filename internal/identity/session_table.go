package identity

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/secret"
)

// live is a session in memory.
type live struct {
	id, person, team, kind, device string
	token                          [32]byte
	roles                          []string
	acr                            int
	amr, level                     string
	low                            time.Time // until when less counts than is demanded
	lowACR                         int       // the demand that low puts off; a stricter one is not
	demand                         int       // the level that a team of the person asks, the strictest
	terms                          int       // the newest version that the person accepted
	started, factorAt              time.Time
	change                         int64 // of the row, when this process wrote it
	turned                         int64 // the counter when the token was made
	former                         [32]byte
	formerTurned                   int64
	formerEnds                     time.Time // zero = there is no former token
	staff                          bool
	seen                           atomic.Int64 // µs
	written                        atomic.Int64 // the minute that the row knows
}

// table is the sessions of this process. It is changed after a commit and before the
// answer; the rows are the truth.
type table struct {
	mu       sync.RWMutex
	byToken  map[[32]byte]*live
	byID     map[string]*live
	byPerson map[string]map[string]*live
	gone     map[string]time.Time // ended ids, so that a slower put cannot bring one back
	change   int64                // of the newest row read
	limit    int                  // of sessions in memory
	partial  atomic.Bool          // there may be live sessions that memory has not

	dirtyMu sync.Mutex
	dirty   map[string]*live
}

func (t *table) init() {
	t.byToken, t.byID = map[[32]byte]*live{}, map[string]*live{}
	t.byPerson, t.gone, t.dirty = map[string]map[string]*live{}, map[string]time.Time{}, map[string]*live{}
	t.limit = maxLives
}

// put adds or replaces a session, unless it has ended meanwhile.
func (t *table) put(l *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.take(l)
}

// putNew adds a session that memory has not.
func (t *table) putNew(l *live) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID[l.id] == nil {
		t.take(l)
	}
}

// take is put for whoever holds mu.
func (t *table) take(l *live) {
	if _, dead := t.gone[l.id]; dead {
		return
	}
	if old := t.byID[l.id]; old != nil {
		l.seen.Store(max(l.seen.Load(), old.seen.Load()))
		t.remove(old)
	}
	t.byToken[l.token], t.byID[l.id] = l, l
	if !l.formerEnds.IsZero() {
		t.byToken[l.former] = l
	}
	if t.byPerson[l.person] == nil {
		t.byPerson[l.person] = map[string]*live{}
	}
	t.byPerson[l.person][l.id] = l
	t.makeRoom(l)
}

// remove takes a session out. The caller holds mu.
func (t *table) remove(l *live) {
	delete(t.byToken, l.token)
	if !l.formerEnds.IsZero() {
		delete(t.byToken, l.former)
	}
	delete(t.byID, l.id)
	delete(t.byPerson[l.person], l.id)
	if len(t.byPerson[l.person]) == 0 {
		delete(t.byPerson, l.person)
	}
}

// drop ends sessions in memory.
func (t *table) drop(now time.Time, ids ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range ids {
		t.gone[id] = now
		if l := t.byID[id]; l != nil {
			t.remove(l)
		}
	}
	if len(t.gone) > maxRemember {
		maps.DeleteFunc(t.gone, func(_ string, at time.Time) bool { return now.Sub(at) > 10*time.Minute })
	}
}

// find is the session with a token. former: with the one before.
func (t *table) find(token secret.Text) (l *live, former bool) {
	h := token.Sum()
	t.mu.RLock()
	defer t.mu.RUnlock()
	l = t.byToken[h]
	return l, l != nil && l.token != h
}
