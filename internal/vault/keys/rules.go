package keys

import (
	"fmt"
	"time"

	"writ/internal/clause"
)

// Rules are the parameters of the policy that this package obeys.
type Rules struct {
	Every time.Duration `clause:"crypto.key-rotation/every"`
	Std   string        `clause:"data.crypto-erase/std"`
}

// method is the one way in which this build makes data unreadable.
const method = "cryptographic-erase"

// Validate implements clause.Validator: it refuses what this build could not obey.
func (r *Rules) Validate() error {
	switch {
	case r.Every < 24*time.Hour:
		return fmt.Errorf("crypto.key-rotation: every %v is shorter than a day", r.Every)
	case r.Std != method:
		return fmt.Errorf("data.crypto-erase: std %q is not %s", r.Std, method)
	}
	return nil
}

// Slots are the rules that the policy drives.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }
