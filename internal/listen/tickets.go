package listen

import (
	"crypto/rand"
	"crypto/tls"
	"sync"
	"time"
)

// tickets are the keys of what a client keeps for a shorter handshake. crypto/tls holds such a
// key for seven days by itself, and whoever reads it from memory reads what was said under TLS 1.2
// in that time. Here a key seals for half a day and opens for another.
type tickets struct {
	mu   sync.Mutex // guards the two below
	keys [][32]byte // the one that seals first
	half int64      // which half of a day it is of
}

// turn gives the configuration a new key when it is time.
func (t *tickets) turn(c *tls.Config, now time.Time) { // clause: crypto.current-public
	half := now.Unix() / int64((12 * time.Hour).Seconds())
	t.mu.Lock()
	defer t.mu.Unlock()
	if half == t.half {
		return
	}
	var fresh [32]byte
	rand.Read(fresh[:]) // never fails since Go 1.24
	old := t.keys[:min(len(t.keys), 1)]
	if half != t.half+1 {
		old = nil
	}
	t.keys, t.half = append([][32]byte{fresh}, old...), half
	c.SetSessionTicketKeys(t.keys)
}
