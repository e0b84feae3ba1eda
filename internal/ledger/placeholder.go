package ledger

import (
	"strings"
	"sync"
)

// texts remembers the SQLite spelling of statements.
type texts struct {
	mu sync.RWMutex
	m  map[string]string
}

// maxTexts bounds every cache by statement text. Statements are constants, so
// the bound is only met by a module that builds SQL, and costs it speed alone.
const maxTexts = 2000

// sqlite returns the statement with $N spelled ?N. SQLite accepts $1 too, but as a
// name, and gives names numbers in order of appearance: SELECT $2,$1 would swap its arguments.
func (t *texts) sqlite(query string) string {
	t.mu.RLock()
	s, ok := t.m[query]
	t.mu.RUnlock()
	if ok {
		return s
	}
	s = numbered(query)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.m == nil {
		t.m = map[string]string{}
	}
	if len(t.m) < maxTexts {
		t.m[query] = s
	}
	return s
}

// numbered rewrites placeholders outside string literals, quoted names and comments.
func numbered(q string) string {
	if !strings.Contains(q, "$") {
		return q
	}
	var b strings.Builder
	b.Grow(len(q))
	for i := 0; i < len(q); {
		n := skip(q[i:])
		if n == 0 {
			n = 1
			if q[i] == '$' && i+1 < len(q) && '0' <= q[i+1] && q[i+1] <= '9' {
				b.WriteByte('?')
				i++
				continue
			}
		}
		b.WriteString(q[i : i+n])
		i += n
	}
	return b.String()
}

// skip is the length of the literal, quoted name or comment that q begins with, or 0.
func skip(q string) int {
	end := func(mark string, from int) int {
		if i := strings.Index(q[from:], mark); i >= 0 {
			return from + i + len(mark)
		}
		return len(q)
	}
	switch {
	case q[0] == '\'' || q[0] == '"':
		return end(q[:1], 1) // a doubled quote reads as two literals side by side, which skips the same text
	case strings.HasPrefix(q, "--"):
		return end("\n", 2)
	case strings.HasPrefix(q, "/*"):
		return end("*/", 2)
	}
	return 0
}

// ending are the first words of statements that would end, split or escape the
// transaction, or change the connection for those who use it next.
var ending = map[string]bool{"begin": true, "start": true, "commit": true, "end": true, "rollback": true, "abort": true,
	"savepoint": true, "release": true, "prepare": true, "pragma": true, "attach": true, "detach": true, "vacuum": true,
	"reset": true, "discard": true, "copy": true, "listen": true, "notify": true}

// escapes reports whether a statement begins with such a word.
func escapes(q string) bool { return ending[verb(q)] }

// reads reports whether a statement reads. The readers' connections refuse to write as
// well; this keeps statements away that would change what they refuse.
func reads(q string) bool {
	switch verb(q) {
	case "select", "with", "values":
		return true
	}
	return false
}

// verb is the first word of a statement, past space and comments, in lower case.
func verb(q string) string {
	for q != "" {
		switch n := skip(q); {
		case n > 0 && (q[0] == '-' || q[0] == '/'):
			q = q[n:]
		case strings.IndexByte(" \t\r\n\f;(", q[0]) >= 0:
			q = q[1:]
		default:
			i := 0
			for i < len(q) && i < 12 && (q[i]|0x20) >= 'a' && (q[i]|0x20) <= 'z' {
				i++
			}
			return strings.ToLower(q[:i])
		}
	}
	return ""
}
