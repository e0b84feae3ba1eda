package cli

import (
	"errors"
	"io"
)

// ReadRows reads all rows of a file of people.
func ReadRows(r io.Reader, name string, each func(line int)) (n int, err error) {
	next, err := rowReader(r, name)
	if err != nil {
		return 0, err
	}
	for {
		row, err := next()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		n++
		each(row.Line)
	}
}
