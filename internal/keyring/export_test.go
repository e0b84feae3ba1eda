package keyring

// StopAt makes an erasure call f after each step: intended, destroyed, verified.
func (r *Ring) StopAt(f func(step string) error) { r.step = f }

// ParseRoot is the parser of root.key.
var ParseRoot = parseRoot
