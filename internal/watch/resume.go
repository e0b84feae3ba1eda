package watch

import (
	"context"
	"errors"
	"time"

	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/series"
)

// learnedFrom is the minute up to which was learned; at the first start, the one before it, and
// that is kept: whoever starts again within the hour learns from there.
func (s *Service) learnedFrom(ctx context.Context) (time.Time, error) {
	var minute int64
	err := ledger.One(ctx, s.DB, `SELECT minute FROM watch_learned WHERE id = 1`, []any{&minute})
	if errors.Is(err, fault.NotFound) {
		minute = us(s.begun.Truncate(time.Minute).Add(-time.Minute))
		err = s.DB.Quiet(ctx, ledger.WatchState, func(tx *ledger.Tx) error {
			_, err := tx.Exec(ctx, saveLearned, minute)
			return err
		})
	}
	return at(minute), err //nolint:wrapcheck // the ledger says what failed
}

// resume brings back how things stood before the start, at the minute before m: how long something
// was silent, and what the hour and the one before it came to.
func (s *Service) resume(ctx context.Context, m time.Time) error { // clause: mon.abnormal
	l := s.learner
	l.mu.Lock()
	for _, x := range l.known {
		if x.model != nil {
			x.run = x.model.Run
		}
	}
	l.mu.Unlock()
	for t := l.at.Add(time.Minute); t.Before(m); t = t.Add(time.Minute) { // not settled: compared, and told before the start
		if _, err := s.judgeMinute(ctx, t); err != nil {
			return err
		}
	}
	hour := m.Truncate(time.Hour)
	this, err := s.sums(ctx, s.series.Hour, hour)
	if err != nil {
		return err
	}
	before, err := s.sums(ctx, s.series.Hour, hour.Add(-time.Hour))
	if err != nil {
		return err
	}
	now, err := s.sums(ctx, s.series.Minute, m) // comes when it is compared
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for k := range before {
		l.find(k)
	}
	for k := range this {
		l.find(k)
	}
	for k, x := range l.known {
		if x.usual != nil {
			x.hour, x.sum, x.before = hour, max(this[k].Value-now[k].Value, 0), before[k].Value
		}
	}
	return nil
}

// sums reads what the learned series came to in a minute, or an hour.
func (s *Service) sums(ctx context.Context, read func(context.Context, time.Time, func(series.Row) error) error, t time.Time) (map[ofSeries]series.Point, error) {
	out := map[ofSeries]series.Point{}
	err := read(ctx, t, func(r series.Row) error {
		if s.learner.expect[r.Meter+"/"+r.Dimension] != nil {
			out[ofSeries{r.Meter, r.Dimension, r.Label}] = r.Point
		}
		return nil
	})
	return out, err //nolint:wrapcheck // says what could not be read
}
