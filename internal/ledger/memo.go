package ledger

import (
	"strings"
	"sync"
	"time"
)

// Memo keeps what was read until this process writes to a table that it is of, and a second
// at most, because other nodes write too. So what it gives is never older than the last act
// on this node, and elsewhere a change counts within a second. It is safe for concurrent
// use; its zero value is ready, and kept until this process writes anything at all.
type Memo[V any] struct {
	Of   []string // the tables that read reads, and those whose rows go with theirs; none = all
	Most int      // values that are kept; 0 = 4,096

	mu     sync.Mutex
	kept   map[string]V
	writes uint64    // to those tables, when kept was begun
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
	most := m.Most
	if most == 0 {
		most = memoMost
	}
	writes, now := d.written.of(m.Of), d.now()
	m.mu.Lock()
	if m.writes != writes || now.Sub(m.begun) >= memoLife || now.Before(m.begun) || len(m.kept) >= most || m.kept == nil {
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
	if m.writes == writes && m.begun.Equal(begun) && d.written.of(m.Of) == writes { // else it may be from before a write, or older than the second that has begun
		m.kept[key] = v
	}
	return v, nil
}

// written counts the write transactions of this process that ended, for each table that they
// had a statement for. The zero value is ready.
type written struct {
	mu     sync.Mutex
	all    uint64
	unsure uint64 // with a statement whose table is not known
	table  map[string]uint64
}

func (w *written) add(tables []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.table == nil {
		w.table = map[string]uint64{}
	}
	w.all++
	for _, t := range tables {
		if t == "" {
			w.unsure++
		}
		w.table[t]++
	}
}

// of is a number that rises with each transaction that may have written to one of the tables.
func (w *written) of(tables []string) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(tables) == 0 {
		return w.all
	}
	n := w.unsure
	for _, t := range tables {
		n += w.table[t]
	}
	return n
}

// target is the table that a statement writes to; "" when it does not begin in one of the
// three plain ways.
func target(query string) string {
	word, rest := firstWord(query)
	switch {
	case strings.EqualFold(word, "update"):
	case strings.EqualFold(word, "insert"), strings.EqualFold(word, "delete"):
		if word, rest = firstWord(rest); !strings.EqualFold(word, "into") && !strings.EqualFold(word, "from") {
			return ""
		}
	default:
		return ""
	}
	name, _ := firstWord(rest)
	if strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		return ""
	}
	return name
}

func firstWord(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t\r\n")
	if i := strings.IndexAny(s, " \t\r\n("); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
