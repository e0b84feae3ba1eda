package watch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// Once a month a page goes the whole way to somebody who acknowledges it: first to those at work,
// wider until it is answered. That is what ends it; nobody answers for them.
const (
	pageTest   = "page-test"
	pageEvery  = 27 * 24 * time.Hour // a page a month, with days to spare
	pageOwes   = 31 * 24 * time.Hour
	pageAnswer = time.Hour // by when it is answered; all were told by then
)

// answered is when somebody last acknowledged a test page, whether by the calendar or by hand; where
// nobody ever did, when this server first watched.
func (s *Service) answered(ctx context.Context) (last time.Time, ever bool, err error) {
	var acked, since int64
	if err := ledger.One(ctx, s.DB, `SELECT COALESCE(MAX(e.at), 0) FROM watch_alarm_event e JOIN watch_alarm a ON a.id = e.alarm WHERE a.rule = $1 AND e.what = 'acknowledged'`, []any{&acked}, pageTest); err != nil {
		return time.Time{}, false, err //nolint:wrapcheck // the ledger says what failed
	}
	if acked > 0 {
		return at(acked), true, nil
	}
	err = ledger.One(ctx, s.DB, `SELECT since FROM watch_cursor WHERE id = 1`, []any{&since})
	if errors.Is(err, fault.NotFound) { // nothing was followed yet
		return s.begun, false, nil
	}
	return at(since).Add(history), false, err //nolint:wrapcheck // likewise
}

// pageOwed says whether the test page of this month is owed, until somebody has acknowledged it.
// One that is over is closed: nobody has to say what it was.
func (s *Service) pageOwed(ctx context.Context) ([]Reading, error) { // clause: mon.notify
	last, _, err := s.answered(ctx)
	if err != nil {
		return nil, err
	}
	over, err := s.read(ctx, s.DB, `SELECT `+alarmColumns+` FROM watch_alarm WHERE rule = $1 AND state = 'cleared' ORDER BY id LIMIT 10`, pageTest)
	if err != nil {
		return nil, err
	}
	for i := range over {
		if err := s.Settle(ctx, system, over[i].ID, VerdictTest, "somebody acknowledged it"); err != nil && !errors.Is(err, fault.Conflict) {
			return nil, err
		}
	}
	r := Reading{Meter: "page.owed"}
	if s.Now().Sub(last) > pageEvery {
		r.Value = 1
	}
	return []Reading{r}, nil
}

// probePage wants somebody who acknowledged the test page of the last month.
func (s *Service) probePage(ctx context.Context) (clause.Result, error) { // clause: mon.notify
	last, ever, err := s.answered(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	out, err := s.read(ctx, s.DB, `SELECT `+alarmColumns+` FROM watch_alarm WHERE rule = $1 AND state = 'firing' ORDER BY id DESC LIMIT 1`, pageTest)
	if err != nil {
		return clause.Result{}, err
	}
	day := func(t time.Time) string { return t.Format("2 January 2006") }
	switch {
	case len(out) > 0 && s.Now().Sub(out[0].Fired) > pageAnswer:
		return clause.Failed(fmt.Sprintf("a test page went out on %s, and nobody has acknowledged it", out[0].Fired.Format("2 January 2006 at 15:04 UTC"))), nil
	case s.Now().Sub(last) > pageOwes:
		return clause.Failed("nobody has acknowledged a test page since " + day(last)), nil
	case !ever:
		return clause.Passed("the first test page goes out on " + day(last.Add(pageEvery)) + "; none is owed before"), nil
	}
	return clause.Passed("somebody acknowledged the test page on " + day(last) + "; the next one goes out on " + day(last.Add(pageEvery))), nil
}
