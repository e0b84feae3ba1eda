//go:build amd64 || arm64

package ledger

// goroutine tells the running goroutine from all others that run, by the address of what
// the runtime keeps about it. Go has no other way to tell that a closure called Change
// again: it gets no context of its own. It serves to refuse that with a clear error, and
// decides nothing else. (The number that runtime.Stack prints says the same, but takes a
// twentieth of a read of a secret.)
func goroutine() uintptr
