package ledger

import (
	"sync"
	"time"
)

// Memo keeps what was read until this process writes anything at all, and a second at
// most, because other nodes write too. So what it gives is never older than the last act
// on this node, and elsewhere a change counts within a second. It is safe for concurrent
// use; its zero value is ready.
type Memo[V any] struct {
	mu     sync.Mutex
	kept   map[string]V
	writes uint64    // of the process, when kept was begun
	begun  time.Time // and when that was
}

// The bounds of a memo.
const (
	memoLife = time.Second
	memoMost = 4096
)

// Get returns what read returned for the key before, or asks it. An error is not kept.
// The value is shared: nobody changes it.
func (m *Memo[V]) Get(d *DB, key string, read func() (V, error)) (V, error) {
	writes, now := d.writes.Load(), d.now()
	m.mu.Lock()
	if m.writes != writes || now.Sub(m.begun) >= memoLife || now.Before(m.begun) || len(m.kept) >= memoMost || m.kept == nil {
		m.kept, m.writes, m.begun = map[string]V{}, writes, now
	}
	v, ok := m.kept[key]
	begun := m.begun
	m.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return v, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.writes == writes && m.begun.Equal(begun) && d.writes.Load() == writes { // else it may be from before a write, or older than the second that has begun
		m.kept[key] = v
	}
	return v, nil
}
