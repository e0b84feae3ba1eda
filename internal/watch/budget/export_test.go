package budget

import "io"

// ReadUpTo reads a bill of at most so many bytes, unpacked.
func ReadUpTo(r io.Reader, most int64) (*Bill, error) { return read(r, most) }
