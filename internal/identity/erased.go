package identity

import (
	"context"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// AtErased is the public page where anybody checks the certificate of an erasure.
const AtErased = "/-/erased"

// checks are how often a network has certificates of erasures checked.
var checks = limit{name: "erased", max: 60, window: time.Hour}

// ErasureChecked counts one look at a certificate from a network; beyond sixty an hour it
// refuses (fault.Limited).
func (s *Service) ErasureChecked(ctx context.Context, who actor.Actor) error {
	b, err := s.bucket(ctx, checks, who.ID)
	if err != nil {
		return err
	}
	t, err := s.take(ctx, b)
	if err != nil || t == nil {
		return err
	}
	f := t.fault()
	f.Public = fault.Public{Problem: "Too many certificates were checked from your network.", Expected: "At most sixty an hour.", Next: "Wait a while; or check it without us, with writ verify."}
	return s.refuse(ctx, who, ErasureCheckRefused{Cause: "too_many"}, f)
}

// ErasureCheckRefused is a look at a certificate that was turned down.
type ErasureCheckRefused struct {
	Cause string `class:"public"`
}

// About implements ledger.Event.
func (e ErasureCheckRefused) About() ledger.About {
	return ledger.About{Name: "identity.erasure-check-refused", Clause: "data.crypto-erase"}
}
