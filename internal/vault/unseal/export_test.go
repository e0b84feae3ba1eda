package unseal

import "io/fs"

// Roots says which files are root's.
func (s *Source) Roots(f func(fs.FileInfo) bool) { s.roots = f }
