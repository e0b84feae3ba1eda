package series

import (
	"errors"
	"fmt"

	"github.com/axiomhq/hyperloglog"
)

// registers of it are 2 to the power of this: New14.
const registers = 14

var errDistinct = errors.New("series: this is no count of different things")

// Distinct is how many different things there were, near enough: HyperLogLog++ (Heule, Nunkesser,
// Hall, EDBT 2013) of 2^14 registers, exact while they are few and within 2 % then. Merging two is
// counting the union. What was counted cannot be read from it. The zero Distinct is empty.
type Distinct struct{ of *hyperloglog.Sketch }

// Add counts a thing.
func (d *Distinct) Add(thing string) {
	if d.of == nil {
		d.of = hyperloglog.New14()
	}
	d.of.Insert([]byte(thing))
}

// Merge counts all that another has, which stays as it is.
func (d *Distinct) Merge(o *Distinct) error {
	switch {
	case o.of == nil:
		return nil
	case d.of == nil:
		d.of = o.of.Clone()
		return nil
	}
	return d.of.Merge(o.of) //nolint:wrapcheck // its caller says which
}

// Count is how many there are.
func (d *Distinct) Count() int64 {
	if d.of == nil {
		return 0
	}
	return int64(d.of.Clone().Estimate()) //nolint:gosec // far below 2^63
}

// MarshalBinary writes it.
func (d *Distinct) MarshalBinary() ([]byte, error) {
	if d.of == nil {
		return nil, nil
	}
	return d.of.MarshalBinary() //nolint:wrapcheck // its caller says which
}

// UnmarshalBinary reads what MarshalBinary wrote, of at most 64 KiB.
func (d *Distinct) UnmarshalBinary(b []byte) (err error) {
	d.of = nil
	if len(b) == 0 {
		return nil
	}
	if len(b) > 64<<10 || len(b) < 2 || b[1] != registers { // of another precision it could not be merged
		return errDistinct
	}
	defer func() { // its reader trusts the lengths it is told
		if r := recover(); r != nil {
			d.of, err = nil, fmt.Errorf("%w: %v", errDistinct, r)
		}
	}()
	s := hyperloglog.New14()
	if err := s.UnmarshalBinary(b); err != nil {
		return fmt.Errorf("%w: %w", errDistinct, err)
	}
	s.Clone().Estimate()
	d.of = s
	return nil
}
