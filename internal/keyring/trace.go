package keyring

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"writ/internal/envelope"
)

// Traces let a later process search files for a sealed key that it never saw, and
// must not be able to recover.

// sealedPart is the end of a box that holds the key: nonce, ciphertext and tag. What
// stands before it, the header, is the same in the boxes of all other keys.
const sealedPart = 12 + envelope.KeySize + 16

// window is the length of the pieces that are searched for, side by side: whoever
// has 23 bytes in a row of a sealed part has a whole piece, and with fewer has
// neither the ciphertext nor a way to open it.
const window = 12

// traceSize is the length of one piece's trace: its first byte, then 120 bits of
// its SHA-256. The first byte lets a search skip most places; five known bytes of
// sixty help nobody.
const traceSize = 16

// trace returns the traces of all pieces of a box, one after the other.
func trace(box []byte) []byte {
	var out []byte
	for part := box[max(0, len(box)-sealedPart):]; len(part) >= window; part = part[window:] {
		t := traceOf(part[:window])
		out = append(out, t[:]...)
	}
	return out
}

func traceOf(piece []byte) [traceSize]byte {
	sum := sha256.Sum256(append([]byte("writ/keyring/trace/1\x00"), piece...))
	return [traceSize]byte(append([]byte{piece[0]}, sum[:traceSize-1]...))
}

// traces is what to search for.
type traces struct {
	first [256]bool // by the first byte of a piece
	all   map[[traceSize]byte]bool
}

func (t *traces) add(stored []byte) {
	if t.all == nil {
		t.all = map[[traceSize]byte]bool{}
	}
	for ; len(stored) >= traceSize; stored = stored[traceSize:] {
		t.first[stored[0]] = true
		t.all[[traceSize]byte(stored)] = true
	}
}

// in reports whether b holds a piece.
func (t *traces) in(b []byte) bool {
	for i := 0; i+window <= len(b); i++ {
		if t.first[b[i]] && t.all[traceOf(b[i:i+window])] {
			return true
		}
	}
	return false
}

// holds reports whether keys.db or one of SQLite's files beside it contains a piece
// of a destroyed key. Opening the file a second time is safe: SQLite's locks here
// belong to the open file (OFD), not to the process.
func (s *store) holds(t traces) (bool, error) {
	for _, suffix := range []string{"", "-journal", "-wal"} {
		found, err := t.inFile(s.file + suffix)
		if errors.Is(err, fs.ErrNotExist) && suffix != "" {
			continue
		}
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// inFile searches a file in blocks that overlap by less than a piece.
func (t *traces) inFile(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	block, kept := make([]byte, 1<<20), 0
	for {
		n, err := io.ReadFull(f, block[kept:])
		if t.in(block[:kept+n]) {
			return true, nil
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %s: %w", path, err)
		}
		kept = copy(block, block[len(block)-(window-1):])
	}
}
