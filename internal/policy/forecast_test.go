package policy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy"
	"writ/internal/policy/document"
)

// seer stands for a module that can say what its rules would do.
type seer struct {
	fail error
	next time.Duration // what it was asked about last
	now  *clause.Live[resetRules]
}

func (s *seer) Forecast(_ context.Context, next clause.Values) ([]clause.Effect, error) {
	s.next, _ = next[ttl].(time.Duration)
	if s.fail != nil {
		return nil, s.fail
	}
	if s.next == s.now.Get().TTL {
		return nil, nil
	}
	return []clause.Effect{{Params: []string{ttl}, Count: 3, Says: "3 reset links stop working", Within: 48 * time.Hour}, {Params: []string{ttl}, Says: "0 others"}}, nil
}

// foreseeing is a world with a module that foresees.
func foreseeing(t *testing.T) (*world, *seer) {
	t.Helper()
	w := newWorld(t)
	s := &seer{now: w.reset}
	w.foreseen(map[string]clause.Forecaster{"identity": s})
	return w, s
}

// foreseen starts the service again with those who foresee.
func (w *world) foreseen(by map[string]clause.Forecaster) {
	w.t.Helper()
	w.deps.Forecasts = by
	var err error
	if w.s, err = policy.New(w.deps); err != nil {
		w.t.Fatal(err)
	}
	w.start()
}

// Owners see what a revision would do before they sign, counted anew at each reading, and
// not any more once it holds.
func TestForecastOfAProposal(t *testing.T) {
	w, s := foreseeing(t)
	p := w.propose("eve", policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))})
	if p.Forecast == nil || len(p.Forecast.Touching()) != 1 || p.Forecast.Touching()[0].Words != "2 days" || len(p.Forecast.Unseen)+len(p.Forecast.Failed)+len(p.Forecast.Calm()) != 0 || s.next != time.Hour {
		t.Fatalf("%+v", p.Forecast)
	}
	w.kit.Clock.Advance(time.Hour)
	again, err := w.s.Proposal(ctx, p.ID)
	if err != nil || again.Forecast == nil || !again.Forecast.At.Equal(w.kit.Clock.Now().Truncate(time.Second)) {
		t.Errorf("%+v %v", again.Forecast, err)
	}
	w.mustSign(p, "ben", policy.ByOwner)
	if again, err = w.s.Proposal(ctx, p.ID); err != nil || again.State != policy.InForce || again.Forecast != nil {
		t.Errorf("%s with %+v, %v", again.State, again.Forecast, err)
	}
}

// What could not be counted is said to be so; a value that nobody counts for is named; and
// where only words change there is nothing to count.
func TestForecastNeverGuesses(t *testing.T) {
	w, s := foreseeing(t)
	shorter := policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))}
	for _, err := range []error{errors.New("secret of the database"), fault.New(fault.Unavailable, "away", fault.Public{Problem: "The table is away."}), context.DeadlineExceeded} {
		s.fail = err
		got, err := w.s.Try(ctx, person("eve"), shorter)
		if err != nil || len(got.Forecast.Failed) != 1 || !strings.HasPrefix(got.Forecast.Failed[0], "identity: ") || strings.Contains(fmt.Sprint(got), "secret of") || !slices.Equal(got.Forecast.Unseen, []string{ttl}) {
			t.Errorf("%+v %v", got.Forecast, err)
		}
		if p, err := w.tryPropose("eve", shorter); err == nil {
			if len(p.Forecast.Failed) != 1 {
				t.Errorf("a proposal: %+v", p.Forecast)
			}
			if _, err := w.s.Withdraw(ctx, operator, p.ID, "another time"); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.fail = nil
	if got, err := w.s.Try(ctx, person("eve"), policy.Draft{Policy: w.retitled()}); err != nil || len(got.Forecast.Effects)+len(got.Forecast.Unseen)+len(got.Forecast.Failed) != 0 {
		t.Errorf("words alone: %+v %v", got.Forecast, err)
	}
	w.foreseen(nil)
	if got, err := w.s.Try(ctx, person("eve"), shorter); err != nil || !slices.Equal(got.Forecast.Unseen, []string{ttl}) {
		t.Errorf("nobody counts: %+v %v", got.Forecast, err)
	}
}

// A dry run stores nothing, records nothing, needs the right to propose, and counts with
// the exceptions that hold.
func TestDryRun(t *testing.T) {
	w, s := foreseeing(t)
	before := len(w.kit.Recorded())
	got, err := w.s.Try(ctx, person("eve"), policy.Draft{YAML: document.Print(edit(t, w.doc, word(ttl, "1h")))})
	if err != nil || got.Changes != "1 tighter" || got.Needs != 1 || len(got.Forecast.Touching()) != 1 {
		t.Fatalf("%+v %v", got, err)
	}
	if n := len(w.kit.Recorded()); n != before || len(w.s.Proposals()) != 0 {
		t.Errorf("%d entries more, %d proposals", n-before, len(w.s.Proposals()))
	}
	if got, err = w.s.Try(ctx, person("eve"), policy.Draft{Policy: edit(t, w.doc, word(ttl, "13h"))}); err == nil {
		t.Errorf("a value that no module could obey: %+v", got)
	}
	nobody := person("eve")
	nobody.Roles = []string{"support"}
	if _, err := w.s.Try(ctx, nobody, policy.Draft{Template: true}); !errors.Is(err, fault.Denied) {
		t.Errorf("without the right to propose: %v", err)
	}
	e, err := w.s.RequestException(ctx, person("ana"), policy.ExceptionRequest{Param: ttl, Value: "3h", Reason: "slow mail", Until: w.kit.Clock.Now().Add(24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.ApproveException(ctx, person("ben"), e.ID, w.signText(w.keys["ben"], string(e.Text(w.doc.ID, "person/ben")))); err != nil {
		t.Fatal(err)
	}
	if got, err = w.s.Try(ctx, person("eve"), policy.Draft{Policy: edit(t, w.doc, word(ttl, "1h"))}); err != nil || s.next != 3*time.Hour || len(got.Forecast.Effects) != 0 {
		t.Errorf("under an exception of 3h it was asked about %s: %+v %v", s.next, got.Forecast, err)
	}
}

func TestDryRunAPI(t *testing.T) {
	a := newAPI(t)
	a.who = person("eve")
	var got struct {
		Changes  string
		Forecast json.RawMessage
	}
	a.do("POST", "policy/dry-run", object{"yaml": string(document.Print(edit(t, a.doc, word(ttl, "1h"))))}, &got, 200)
	if got.Changes != "1 tighter" || !strings.Contains(string(got.Forecast), `"not_counted":["`+ttl+`"]`) {
		t.Errorf("%s %s", got.Changes, got.Forecast)
	}
	a.do("POST", "policy/dry-run", object{"yaml": "writ: x"}, nil, 422)
	a.do("POST", "policy/dry-run", object{}, nil, 422)
}
