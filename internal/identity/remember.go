package identity

import (
	"context"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Remembered is a browser that skips the second factor of a person until a time. It still
// needs the password, and never counts as a fresh proof.
type Remembered struct {
	ID    string
	Since time.Time
	Until time.Time
	Seen  time.Time // to the minute
}

// remember marks a browser inside the change of a sign-in that showed a factor.
func remember(ctx context.Context, tx *ledger.Tx, rules *Rules, person, device string) error {
	n, err := needOf(ctx, tx, rules, person)
	if err != nil || n.staff || rules.RememberDevice <= 0 { // clause: auth.best-practice
		return err
	}
	if _, err := tx.Exec(ctx, trustDevice, device, person, us(tx.Now())); err != nil {
		return err
	}
	tx.Also(BrowserRemembered{Person: person, Device: device, Until: tx.Now().Add(rules.RememberDevice)})
	return nil
}

// RememberedBrowsers lists those of whoever acts that skip the second factor now.
func (s *Service) RememberedBrowsers(ctx context.Context, who actor.Actor) ([]Remembered, error) {
	id, err := self(who)
	if err != nil {
		return nil, err
	}
	out := []Remembered{}
	age, now := s.Rules.Get().RememberDevice, s.Now()
	err = s.DB.Each(ctx, trustedOf, func(scan scanner) error {
		var r Remembered
		var since, seen int64
		if err := scan(&r.ID, &since, &seen); err != nil {
			return err
		}
		r.Since, r.Until, r.Seen = at(since), at(since).Add(age), at(seen)
		if now.Before(r.Until) {
			out = append(out, r)
		}
		return nil
	}, id)
	if err != nil {
		return nil, fmt.Errorf("list remembered browsers: %w", err)
	}
	return out, nil
}

// ForgetBrowser takes a browser's leave to skip the second factor away. Its sessions with
// one factor end where two are demanded.
func (s *Service) ForgetBrowser(ctx context.Context, who actor.Actor, device string) error {
	id, err := self(who)
	if err != nil {
		return err
	}
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, distrust, device, id)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fault.Newf(fault.NotFound, "no_browser", "There is no such browser, or it is forgotten already.")
		}
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, shortenLow, id, device, us(tx.Now()), change)
		return BrowserDistrusted{Person: id, Device: device}, err
	})
	if err != nil {
		return fmt.Errorf("forget a browser: %w", err)
	}
	return s.reread(ctx, id)
}

const (
	trustDevice = `UPDATE identity_device SET trusted = $3 WHERE id = $1 AND person = $2`
	trustedOf   = `SELECT id, trusted, seen FROM identity_device WHERE person = $1 AND trusted IS NOT NULL ORDER BY trusted DESC, id LIMIT 100`
	distrust    = `UPDATE identity_device SET trusted = NULL WHERE id = $1 AND person = $2 AND trusted IS NOT NULL`
	distrustAll = `UPDATE identity_device SET trusted = NULL WHERE person = $1`
	shortenLow  = `UPDATE identity_session SET low = $3, change = $4 WHERE person = $1 AND device = $2 AND ended IS NULL AND low > $3`
)
