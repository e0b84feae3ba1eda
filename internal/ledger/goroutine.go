package ledger

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutine is the number of the running goroutine. Go has no other way to tell
// that a closure called Change again: it gets no context of its own. About 1 µs. It
// serves to refuse that with a clear error, and decides nothing else.
func goroutine() int64 {
	var buf [40]byte
	b := buf[:runtime.Stack(buf[:], false)]
	b = bytes.TrimPrefix(b, []byte("goroutine "))
	if i := bytes.IndexByte(b, ' '); i > 0 {
		b = b[:i]
	}
	n, _ := strconv.ParseInt(string(b), 10, 64)
	return n
}
