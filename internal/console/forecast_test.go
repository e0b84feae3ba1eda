package console_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"writ/internal/clause"
)

// foresight is what identity foresees, unless the test made it blind.
type foresight struct{ w *world }

// Forecast implements clause.Forecaster.
func (f foresight) Forecast(ctx context.Context, next clause.Values) ([]clause.Effect, error) {
	if f.w.blind {
		return nil, errors.New("the table is away")
	}
	return f.w.people.Forecast(ctx, next)
}

// lacks holds an answer to words that it must not say.
func (p page) lacks(words ...string) {
	p.t.Helper()
	for _, s := range words {
		if strings.Contains(plain(p.Body.String()), s) {
			p.t.Errorf("%s says %q", p.path, s)
		}
	}
}

// What a revision would do stands on the page before it is proposed and on that of the
// proposal, and not on that of a revision in force. Where it could not be counted the page
// says so.
func TestForecastOnThePages(t *testing.T) {
	w := newWorld(t)
	form := url.Values{"param": {"access.mfa-by-technology/who"}, "value": {"admin\nmember\nstaff"}, "summary": {"Everybody shows a second factor"}}
	says := []string{"What it would do here", "lack the second factor that will be demanded of them", "access.mfa-by-technology/who", "as if it took hold then"}
	w.post("dev", "/-/console/propose/preview", form).want(200, says...)
	to := w.post("dev", "/-/console/propose", form).want(303).Header().Get("Location")
	w.get("dev", to).want(200, says...)
	w.get("dev", "/-/console/revisions/1.0").want(200).lacks("What it would do here")

	w.blind = true
	for _, p := range []page{w.get("dev", to), w.post("dev", "/-/console/propose/preview", form)} {
		p.want(200, "could not be counted", "Do not take this for", "identity").lacks("the table is away", "Nobody and nothing", "lack the second factor")
	}
	w.blind = false
	form = url.Values{"param": {"access.review/undecided"}, "value": {"keep"}, "summary": {"Silence keeps"}}
	w.post("dev", "/-/console/propose/preview", form).want(200, "this version counts nothing for it: access.review/undecided").lacks("Nobody and nothing")
}
