package keyring

// StopAt makes the ring call f after each step of an erasure (intended, destroyed,
// verified), of a change of roots and of a rotation.
func (r *Ring) StopAt(f func(step string) error) { r.step = f }

// ParseRoot is the parser of root.key.
var ParseRoot = parseRoot
