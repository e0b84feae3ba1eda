package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/ledger"
)

const mostOwed = 20 // rows

// owedTime is a row of the policy's table of clocks: a time of a law or a contract that begins
// with every breach.
type owedTime struct {
	name, from, to string // from: aware or declared; to: whom something is owed to
	within         time.Duration
}

// Validate implements clause.Validator: it refuses a table of clocks that nobody could keep.
func (r *Rules) Validate() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("inc.breach-notify: clocks: "+format, a...)
	}
	if len(r.Clocks) > mostOwed {
		return bad("there are %d rows, expected at most %d", len(r.Clocks), mostOwed)
	}
	for _, row := range r.Clocks {
		if len(row) != 4 {
			return bad("a row has %d columns, expected name, from, within and to", len(row))
		}
		w, err := time.ParseDuration(row[2])
		switch {
		case len(row[0]) < 2 || len(row[0]) > 60 || slices.Contains(reservedClocks, row[0]):
			return bad("%q is no name: 2 to 60 bytes, and none of the times that every breach has", row[0])
		case row[1] != fromAware && row[1] != fromDeclared:
			return bad("%s begins with %q, expected %s or %s", row[0], row[1], fromAware, fromDeclared)
		case err != nil || w < time.Hour || w > 365*24*time.Hour:
			return bad("%s has %q, expected a time from one hour to a year", row[0], row[2])
		}
	}
	return nil
}

func (r *Rules) owedTimes() (out []owedTime) {
	for _, row := range r.Clocks {
		w, err := time.ParseDuration(row[2])
		if err == nil { // it was checked
			out = append(out, owedTime{row[0], row[1], row[3], w})
		}
	}
	return out
}

// beginRows begins the times of the policy's table that begin with something.
func (s *Service) beginRows(ctx context.Context, tx *ledger.Tx, id, from string, began time.Time) error { // clause: inc.breach-notify
	var errs []error
	rules := s.Rules.Get()
	for i, o := range rules.owedTimes() {
		if o.from == from {
			_, err := tx.Exec(ctx, insertWall, tx.ID()+fmt.Sprintf("p%02d", i), id, o.name, us(began), o.within.Microseconds(), from)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// owedTo is whom the time of a wall is owed to; "" = the policy does not say.
func (s *Service) owedTo(w Wall) string {
	rules := s.Rules.Get()
	for _, o := range rules.owedTimes() {
		if o.name == w.Name {
			return o.to
		}
	}
	return ""
}
