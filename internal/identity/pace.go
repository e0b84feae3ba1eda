package identity

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"writ/internal/passhash"
	"writ/internal/secret"
)

// pace is D: the time at which every refusal is answered, so that a slower scheme, a
// dummy, or no hash at all does not show. D is the slowest scheme in use × 1.25,
// rounded up to 50 ms.
type pace struct {
	d      atomic.Int64
	legacy atomic.Int64 // the slowest hash that was brought over
	mu     sync.Mutex
	dummy  map[passhash.Params]secret.Text
}

const paceStep = 50 * time.Millisecond

// params is how passwords are hashed now.
func (s *Service) params() passhash.Params {
	p := s.Rules.Get().params()
	if s.Seam != nil && s.Seam.Params != nil {
		p = s.Seam.Params(p)
	}
	return p
}

// dummyHash is what is verified for people who do not exist.
func (s *Service) dummyHash() secret.Text {
	p := s.params()
	s.pace.mu.Lock()
	defer s.pace.mu.Unlock()
	if s.pace.dummy == nil {
		s.pace.dummy = map[passhash.Params]secret.Text{}
	}
	if _, ok := s.pace.dummy[p]; !ok {
		s.pace.dummy[p] = passhash.Dummy(p)
	}
	return s.pace.dummy[p]
}

// measure times one hash of the present scheme.
func (s *Service) measure(more ...passhash.Params) {
	var slowest time.Duration
	for _, p := range append(more, s.params()) {
		d, start := passhash.Dummy(p), s.Now()
		if _, err := passhash.Verify(d, secret.NewText("how long does it take")); err != nil {
			s.Log.Error("measure the hash", "err", err)
			continue
		}
		slowest = max(slowest, s.Now().Sub(start))
	}
	slowest = max(slowest, time.Duration(s.pace.legacy.Load()))
	d := slowest + slowest/4
	s.pace.d.Store(int64(max((d+paceStep-1)/paceStep, 1) * paceStep))
}

// measureAtStart times this server's own scheme, then those that were brought over.
func (s *Service) measureAtStart(ctx context.Context) {
	s.measure()
	slow, err := s.legacySpeed(ctx)
	if err != nil {
		s.Log.Error("measure the hashes that were brought over", "err", err)
		return
	}
	if slow > 0 {
		s.pace.legacy.Store(int64(slow))
		s.measure()
	}
}

// remeasure looks at the schemes that stored passwords use.
func (s *Service) remeasure(ctx context.Context) error {
	var more []passhash.Params
	now := s.params()
	err := s.DB.Each(ctx, distinctSchemes, func(scan scanner) error {
		var scheme string
		if err := scan(&scheme); err != nil {
			return err
		}
		if passhash.Scheme(scheme) != now.Scheme {
			if p := passhash.Default(passhash.Scheme(scheme), now.SaltBytes); p.Check() == nil {
				more = append(more, p)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read schemes in use: %w", err)
	}
	slow, err := s.legacySpeed(ctx)
	if err != nil {
		return err
	}
	s.pace.legacy.Store(int64(slow))
	s.measure(more...)
	return nil
}

// hold waits until D after start. It takes no slot of the gate.
func (s *Service) hold(ctx context.Context, start time.Time) { // clause: auth.best-practice
	d := time.Duration(s.pace.d.Load())
	if d == 0 {
		d = 2 * paceStep // not measured yet
	}
	left := start.Add(d).Sub(s.Now())
	if left <= 0 {
		return
	}
	if s.Seam != nil && s.Seam.Sleep != nil {
		_ = s.Seam.Sleep(ctx, left) // a cut wait only answers earlier
		return
	}
	t := time.NewTimer(left)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

const distinctSchemes = `SELECT DISTINCT scheme FROM identity_password`
