package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"

	"writ/internal/canon"
	"writ/internal/journal/verify"
	"writ/internal/ledger"
	"writ/internal/merkle"
)

// goodStream is what a stream's name may be: it stands in leaves unescaped.
var goodStream = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,120}$`)

// appendLeaf writes the leaf around the bytes of the body. The keys stand in canonical
// order; verify.ParseLeaf accepts no other.
func appendLeaf(n, sn, at int64, stream string, body []byte) []byte {
	b := make([]byte, 0, len(body)+len(stream)+100)
	b = append(b, `{"at":`...)
	b = strconv.AppendInt(b, at, 10)
	b = append(b, `,"body":`...)
	b = append(b, body...)
	b = append(b, `,"n":`...)
	b = strconv.AppendInt(b, n, 10)
	b = append(b, `,"sn":`...)
	b = strconv.AppendInt(b, sn, 10)
	b = append(b, `,"stream":"`...)
	b = append(b, stream...)
	return append(b, `","v":1}`...)
}

// leafOf numbers a pending row. A row that somebody damaged while it waited must not
// stop the journal and must not pass for what it was: its place is taken by a body that
// says so, with the hash of what was found.
func leafOf(n, sn, at int64, r ledger.PendingRow) ([]byte, verify.Leaf, bool) {
	leaf := appendLeaf(n, sn, at, r.Name, r.Body)
	if len(leaf) <= merkle.MaxLeaf {
		if l, err := verify.ParseLeaf(leaf); err == nil && l.Text("id") == r.ID && l.Text("act") == r.Name {
			return leaf, l, true
		}
	}
	sum := sha256.Sum256(r.Body)
	body := canon.MustEncode(map[string]any{"id": plain(r.ID), "act": "journal.damaged-entry", "actor": "writ/journal", "kind": "writ",
		"happened": max(min(r.Happened, canon.MaxInt), 0), "f": map[string]any{"sha256": hex.EncodeToString(sum[:])}})
	leaf = appendLeaf(n, sn, at, r.Name, body)
	l, err := verify.ParseLeaf(leaf)
	if err != nil {
		panic("journal: the stand-in of a damaged entry: " + err.Error()) // built from checked parts above
	}
	return leaf, l, false
}

// streamOf is the stream of a row, "journal.damaged" when its name cannot be one.
func streamOf(name string) string {
	if goodStream.MatchString(name) {
		return name
	}
	return "journal.damaged"
}

// plain keeps what an id may hold.
func plain(s string) string {
	if len(s) > 64 {
		s = s[:64]
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			b[i] = '?'
		}
	}
	return string(b)
}
