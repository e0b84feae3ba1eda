package ledger

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"sync"
	"time"
)

// idText keeps the order of the bytes (RFC 4648 §7, lower case).
var idText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// ids makes ids of 48 bits of milliseconds, a 16-bit counter and 64 random bits.
// Ids of one process never go backwards, even when its clock does: rows that arrive
// in key order keep a large table fast.
type ids struct {
	mu    sync.Mutex
	ms    uint64
	count uint16
}

func (s *ids) next(now time.Time) string {
	var b [16]byte
	rand.Read(b[8:])
	s.mu.Lock()
	if ms := uint64(now.UnixMilli()); ms > s.ms {
		s.ms, s.count = ms, 0
	} else if s.count++; s.count == 0 {
		s.ms++
	}
	binary.BigEndian.PutUint64(b[:8], s.ms<<16|uint64(s.count))
	s.mu.Unlock()
	return idText.EncodeToString(b[:])
}
