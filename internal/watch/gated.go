package watch

import (
	"context"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/journal"
)

// plantedRule fires on the planted incident of the canary, where its condition is s.
func plantedRule(condition string) string {
	return "title: A planted rule\nid: 00000000-0000-4000-8000-000000000001\nlogsource: {product: writ, service: identity}\ndetection:\n  s: {writ.event: identity.token-issued}\n  none: {writ.event: identity.none}\n  condition: " + condition + "\n"
}

// tryGate wants each refused: what may not watch, and what would leave an incident unseen. Nothing
// is written.
func (s *Service) tryGate(context.Context) (clause.Result, error) { // clause: mon.alarms
	now := s.Now()
	author, other := actor.Actor{Kind: actor.Person, ID: "trial"}, actor.Actor{Kind: actor.Person, ID: "other"}
	test := BackTest{From: now.Add(-usualTest), Until: now, Before: 1, Weighed: true}
	version := func(state string, tested time.Time, b BackTest) *Version {
		return &Version{Text: plantedRule("s"), State: state, Author: author.String(), Tested: tested, Result: &b}
	}
	noisy := test
	noisy.Fires, noisy.InIncidents = 10, 1
	var steps []clause.Step
	try := func(act, code string, err error) {
		st := clause.Step{Act: act, Expected: code, Got: "may be done"}
		if err != nil {
			st.Got, _ = fault.PublicOf(err)
		}
		st.OK, st.Control = st.Got == code, code == "may be done"
		steps = append(steps, st)
	}
	try("approve a rule that was not tested", "rule_untested", approvable(other, version(Draft, time.Time{}, test)))
	try("approve a rule of one's own hand", "own_rule", approvable(author, version(Tested, now, test)))
	try("let a rule watch that was not tested", "rule_untested", enableable(version(Draft, time.Time{}, test), now))
	try("let a rule watch that nobody approved", "rule_unapproved", enableable(version(Tested, now, test), now))
	try("let a rule watch whose test is old", "rule_untested", enableable(version(Approved, now.Add(-testHolds-time.Minute), test), now))
	try("let a rule watch that cries wolf", "rule_imprecise", enableable(version(Approved, now, noisy), now))
	try("let a version watch that is blind to an incident", "rule_loses", plantedLoss("none", now))
	try("let a version watch that still sees an incident", "may be done", plantedLoss("s", now))
	try("let a tested and approved rule watch", "may be done", enableable(version(Approved, now, test), now))
	return clause.Judge("rules that may not watch were refused, and so was one that would leave an incident unseen", steps...), nil
}

// plantedLoss holds a version against a planted incident that the one before sees.
func plantedLoss(condition string, now time.Time) error {
	old, err := readOwn(plantedRule("s"))
	if err != nil {
		return err
	}
	next, err := readOwn(plantedRule(condition))
	if err != nil {
		return err
	}
	e := journal.Entry{Stream: "identity.token-issued", Actor: "p:trial", Happened: now}
	var h against
	if err := h.compare(alike{"planted": old}, alike{"planted": next}, "planted", []Lesson{{Name: "the planted incident", events: []keptEvent{{Entry: &e}}}}); err != nil {
		return err
	}
	return unseen(h)
}
