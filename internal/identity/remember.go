package identity

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Remembered is a browser that skips the second factor of a person until a time. It still
// needs the password, and never counts as a fresh proof.
type Remembered struct {
	ID    string
	Name  string // as it told of itself when it last signed in: Firefox on Linux
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
	return s.remembered(ctx, id)
}

// BrowsersOf is RememberedBrowsers of anybody, for staff.
func (s *Service) BrowsersOf(ctx context.Context, who actor.Actor, ref string) ([]Remembered, error) {
	if err := s.Access.Allow(ctx, who, access.PeopleRead, ""); err != nil {
		return nil, err
	}
	acc, err := s.find(ctx, ref)
	if err != nil {
		return nil, err
	}
	return s.remembered(ctx, acc.id)
}

func (s *Service) remembered(ctx context.Context, person string) ([]Remembered, error) {
	out := []Remembered{}
	age, now := s.Rules.Get().RememberDevice, s.Now()
	var sessions []string
	var places [][]byte
	err := s.DB.Each(ctx, trustedOf, func(scan scanner) error {
		var r Remembered
		var since, seen int64
		var session string
		var place []byte
		if err := scan(&r.ID, &since, &seen, &session, &place); err != nil {
			return err
		}
		r.Since, r.Until, r.Seen = at(since), at(since).Add(age), at(seen)
		if now.Before(r.Until) {
			out, sessions, places = append(out, r), append(sessions, session), append(places, place)
		}
		return nil
	}, person)
	if err != nil {
		return nil, fmt.Errorf("list remembered browsers: %w", err)
	}
	for i := range out {
		w, err := s.placeOf(ctx, sessions[i], places[i])
		if err != nil {
			return nil, err
		}
		out[i].Name = DeviceName(w.Agent)
	}
	return out, nil
}

// placeOf opens where a session was begun; empty where nothing was kept.
func (s *Service) placeOf(ctx context.Context, session string, box []byte) (where, error) {
	var w where
	text, err := s.text(ctx, "identity_session.place", session, box)
	if err != nil || text == "" {
		return w, err
	}
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return w, fmt.Errorf("read the place of a session: %w", err)
	}
	return w, nil
}

// DeviceName says which browser on which system, in few words of our own.
func DeviceName(agent string) string {
	name, system := browser(agent), ""
	for _, s := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Mac OS", "macOS"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, s[0]) {
			system = s[1]
			break
		}
	}
	switch {
	case agent == "":
		return "Unknown device"
	case system == "":
		return capital(name)
	}
	return capital(name) + " on " + system
}

// ForgetBrowser takes a browser's leave to skip the second factor away; with an empty id
// that of all. Sessions with one factor end where two are demanded. It says how many.
func (s *Service) ForgetBrowser(ctx context.Context, who actor.Actor, device string) (int64, error) {
	id, err := self(who)
	if err != nil {
		return 0, err
	}
	return s.forget(ctx, who, id, device, "")
}

// ForgetBrowserOf is ForgetBrowser for staff, who say why: the person reads it.
func (s *Service) ForgetBrowserOf(ctx context.Context, who actor.Actor, ref, device, reason string) (int64, error) {
	if err := s.Access.Allow(ctx, who, access.SessionsEnd, ""); err != nil {
		return 0, err
	}
	reason, err := reasonOf(reason)
	if err != nil {
		return 0, err
	}
	acc, err := s.find(ctx, ref)
	if err != nil {
		return 0, err
	}
	return s.forget(ctx, who, acc.id, device, reason)
}

// reasonOf is a reason that somebody gives for an act on another's account.
func reasonOf(text string) (string, error) {
	reason, ok := why(text)
	if !ok {
		return "", fault.New(fault.Invalid, "reason_missing", fault.Public{Problem: "Say why, in 3 to 300 characters.", Next: "The person can read it.",
			Fields: []fault.Field{{Name: "reason", Code: "reason_missing", Problem: "Say why, in 3 to 300 characters."}}})
	}
	return reason, nil
}

func (s *Service) forget(ctx context.Context, who actor.Actor, person, device, reason string) (n int64, err error) {
	_, err = s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		change, err := bump(ctx, tx)
		if err != nil {
			return nil, err
		}
		if _, err = tx.Exec(ctx, shortenLow, person, device, us(tx.Now()), change); err != nil { // clause: auth.best-practice
			return nil, err
		}
		if n, err = tx.Exec(ctx, distrust, person, device); err == nil && n == 0 {
			err = fault.Newf(fault.NotFound, "no_browser", "There is no such browser, or it is forgotten already.")
		}
		return BrowserDistrusted{Person: person, Device: device, Count: n, reason: reason}, err
	})
	if err != nil {
		return 0, fmt.Errorf("forget a browser: %w", err)
	}
	return n, s.reread(ctx, person)
}

const (
	trustDevice = `UPDATE identity_device SET trusted = $3 WHERE id = $1 AND person = $2`
	trustedOf   = `SELECT d.id, d.trusted, d.seen, COALESCE(s.id, ''), s.place FROM identity_device d
		LEFT JOIN identity_session s ON s.id = (SELECT x.id FROM identity_session x WHERE x.person = d.person AND x.device = d.id ORDER BY x.started DESC, x.id DESC LIMIT 1)
		WHERE d.person = $1 AND d.trusted IS NOT NULL ORDER BY d.trusted DESC, d.id LIMIT 100`
	distrust    = `UPDATE identity_device SET trusted = NULL WHERE person = $1 AND ($2 = '' OR id = $2) AND trusted IS NOT NULL`
	distrustAll = `UPDATE identity_device SET trusted = NULL WHERE person = $1`
	shortenLow  = `UPDATE identity_session SET low = $3, change = $4 WHERE person = $1 AND ended IS NULL AND low > $3
		AND device IN (SELECT id FROM identity_device WHERE person = $1 AND ($2 = '' OR id = $2) AND trusted IS NOT NULL)`
)
