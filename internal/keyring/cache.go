package keyring

import (
	"sync"
	"time"

	"writ/internal/envelope"
)

// cache holds opened keys. The ring's mu guards it.
type cache struct {
	subjects map[Subject]cached
	ids      map[string]cached
	// epoch counts how often the cache was emptied. A key that was read before and
	// arrives after may be a destroyed one, and is not kept.
	epoch uint64
}

type cached struct {
	key  envelope.Key
	read time.Time
}

// meter is how many seals of a key were set aside in the store for this process.
type meter struct {
	mu       sync.Mutex
	reserved int64 // under mu
}

func newCache() cache {
	return cache{subjects: map[Subject]cached{}, ids: map[string]cached{}}
}

// recall returns the cached key, whether it may be used without asking, and the epoch
// that a later keep must name.
func recall[K comparable](r *Ring, m map[K]cached, by K) (k envelope.Key, ok bool, epoch uint64) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := m[by]
	if ok && r.store.engine() == enginePostgres {
		age := r.now().Sub(c.read)
		ok = 0 <= age && age < sharedLife // a clock that was set back must not keep a destroyed key alive
	}
	return c.key, ok, r.epoch
}

// keep caches a key that was read at the given time, unless the cache was emptied
// since epoch. A full cache drops arbitrary entries: they are read again when needed.
func keep[K comparable](r *Ring, m map[K]cached, by K, k envelope.Key, read time.Time, epoch uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.epoch != epoch {
		return
	}
	for old := range m {
		if len(m) < maxCached {
			break
		}
		delete(m, old)
	}
	m[by] = cached{k, read}
}

// forget empties the cache. An erasure costs some reads afterwards, and no entry
// can be missed.
func (r *Ring) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch++
	clear(r.subjects)
	clear(r.ids)
}
