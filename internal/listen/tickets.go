package listen

import (
	"crypto/rand"
	"crypto/tls"
	"maps"
	"sync"
	"time"
)

// Tickets are the keys of what a client keeps for a shorter handshake. crypto/tls holds such a
// key for seven days by itself, and whoever reads it from memory reads what was said under TLS 1.2
// in that time. Here a key seals for half a day and opens for another. Keys that were given are
// those of every node, and are there after a restart; without them a process makes its own.
// The zero value is ready for use.
type Tickets struct {
	mu   sync.Mutex // guards the two below
	keys map[int64][32]byte
	half int64 // which is in use; 0 = the keys have changed
}

// HalfDay numbers the half days, by which keys of tickets turn.
func HalfDay(t time.Time) int64 { return t.Unix() / int64((12 * time.Hour).Seconds()) }

// Give sets keys by half day. What a process made for itself meanwhile is used no more.
func (t *Tickets) Give(keys map[int64][32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys == nil {
		t.keys = map[int64][32]byte{}
	}
	for half, key := range keys {
		if t.keys[half] != key {
			t.keys[half], t.half = key, 0
		}
	}
}

// turn gives the configuration another key when it is time.
func (t *Tickets) turn(c *tls.Config, now time.Time) { // clause: crypto.current-public
	half := HalfDay(now)
	t.mu.Lock()
	defer t.mu.Unlock()
	if half == t.half {
		return
	}
	if t.keys == nil {
		t.keys = map[int64][32]byte{}
	}
	maps.DeleteFunc(t.keys, func(of int64, _ [32]byte) bool { return of < half-1 })
	seals, ok := t.keys[half]
	if !ok {
		rand.Read(seals[:]) // never fails since Go 1.24
		t.keys[half] = seals
	}
	keys := [][32]byte{seals}
	if opens, ok := t.keys[half-1]; ok {
		keys = append(keys, opens)
	}
	t.half = half
	c.SetSessionTicketKeys(keys)
}
