package vault

import (
	"errors"
	"fmt"

	"writ/internal/clause"
)

// Rules are the parameters of the policy that this module obeys.
type Rules struct {
	AtRest string `clause:"crypto.at-rest/alg"`
	Type   string `clause:"vault.encrypted-store/type"`
	Alg    string `clause:"vault.encrypted-store/alg"`
	Public bool   `clause:"vault.db-private/public"` // databases that hold credentials may be reached from everywhere
}

// algorithm is what values are sealed with (package envelope): there is no other.
const algorithm = "AES-256"

// Validate implements clause.Validator: it refuses what this build could not obey.
func (r *Rules) Validate() error {
	var errs []error
	if r.AtRest != algorithm {
		errs = append(errs, fmt.Errorf("crypto.at-rest: alg %q is not %s", r.AtRest, algorithm))
	}
	if r.Alg != algorithm {
		errs = append(errs, fmt.Errorf("vault.encrypted-store: alg %q is not %s", r.Alg, algorithm))
	}
	if r.Type != string(SecureString) {
		errs = append(errs, fmt.Errorf("vault.encrypted-store: type %q is not %s", r.Type, SecureString))
	}
	return errors.Join(errs...)
}

// Slots are the rules that the policy drives.
func (s *Service) Slots() []clause.Slot { return []clause.Slot{s.Rules} }
