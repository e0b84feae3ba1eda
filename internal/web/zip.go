package web

import (
	"fmt"
	"net/http"
)

// Zip is a writer of an answer that is a zip to be kept under a name. Its head goes out with the
// first bytes, so that an error before them is an answer of its own.
func Zip(w http.ResponseWriter, name string) *ZipWriter { return &ZipWriter{w: w, name: name} }

// ZipWriter is what Zip makes.
type ZipWriter struct {
	w     http.ResponseWriter
	name  string
	begun bool
}

// Write implements io.Writer.
func (z *ZipWriter) Write(b []byte) (int, error) {
	if !z.begun {
		z.begun = true
		z.w.Header().Set("Content-Type", "application/zip")
		z.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", z.name))
	}
	return z.w.Write(b) //nolint:wrapcheck // the client went away
}
