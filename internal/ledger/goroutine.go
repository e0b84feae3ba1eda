//go:build !amd64 && !arm64

package ledger

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutine tells the running goroutine from all others that run. Go has no other way to
// tell that a closure called Change again: it gets no context of its own. It serves to
// refuse that with a clear error, and decides nothing else. The runtime walks the whole
// stack for it, which takes longer than a statement.
func goroutine() uintptr {
	var buf [40]byte
	b := buf[:runtime.Stack(buf[:], false)]
	b = bytes.TrimPrefix(b, []byte("goroutine "))
	if i := bytes.IndexByte(b, ' '); i > 0 {
		b = b[:i]
	}
	n, _ := strconv.ParseUint(string(b), 10, 64)
	return uintptr(n)
}
