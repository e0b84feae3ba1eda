package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
)

const (
	triedWithin  = 90 * 24 * time.Hour
	testedWithin = 7 * 24 * time.Hour
	closedWithin = 7 * 24 * time.Hour
)

// Controls are the proofs of watch.
func (s *Service) Controls() []clause.Control {
	return []clause.Control{
		{ID: "watch.rules-stand", Clause: alarms, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Counts the rules, when each last fired in a trial, and alarms of which nobody has said what they were", Run: s.probeRules},
		{ID: "watch.rules-fire", Clause: alarms, Kind: clause.Canary, Every: 12 * time.Hour, FreshFor: 25 * time.Hour,
			Says: "Fires every rule through all that makes an alarm, and takes the alarms back", Run: s.fireAll},
		{ID: "watch.lessons-seen", Clause: alarms, Kind: clause.Replay, Every: 12 * time.Hour, FreshFor: 25 * time.Hour,
			Says: "Asks the rules of your own about the events that are kept of each incident", Run: s.replayLessons},
		{ID: "watch.rules-gated", Clause: alarms, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Asks to let rules watch that are untested, unapproved, noisy, or blind to an incident", Run: s.tryGate},
		{ID: "watch.two-ways", Clause: notified, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Looks by which ways people are told, and whether each took a test message this week", Run: s.probeWays},
		{ID: "watch.page-answered", Clause: notified, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Looks whether somebody acknowledged the test page of the last month", Run: s.probePage},
		{ID: "watch.never-silent", Clause: notified, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Asks for silences that nobody may make, and acknowledges by a mere look at a link", Run: s.trySilences},
		{ID: "watch.ways-guarded", Clause: notified, Kind: clause.Canary, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Calls webhooks that lead inside, sends line breaks in heads and labels, and sends as a node whose place another took", Run: s.tryWays},
		{ID: "watch.routes-refused", Clause: notified, Kind: clause.Canary, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Asks for a route of alarms with one channel, and for one that nothing reaches", Run: s.tryRoutes},
		{ID: "watch.silence-heard", Clause: alarms, Kind: clause.Canary, Every: time.Hour, FreshFor: 3 * time.Hour,
			Says: "Stops a source of its own, wants the alarm about its silence, and takes it back", Run: s.stopSource},
		{ID: "watch.silences-short", Clause: notified, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Looks whether a silence that somebody approved keeps rules quiet for longer than a day, or more than a quarter of them", Run: s.probeSilences},
		{ID: "watch.usual-learned", Clause: abnormal, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Looks how many days were learned, and whether each minute is compared with them", Run: s.probeUsual},
		{ID: "watch.anomaly-seen", Clause: abnormal, Kind: clause.Canary, Every: 6 * time.Hour, FreshFor: 13 * time.Hour,
			Says: "Plants a spike and a drop in a shadow series, wants their alarms, and takes them back", Run: s.plantAnomaly},
		{ID: "watch.signals-read", Clause: load, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Looks whether each signal of the policy has a rule, and whether its readings come", Run: s.probeSignals},
		{ID: "watch.views-answer", Clause: drillDown, Kind: clause.Probe, Every: 10 * time.Minute, FreshFor: time.Hour,
			Says: "Opens the view of each part that the policy lists, and looks whether it answers in time, and from a source that is there", Run: s.probeViews},
	}
}

// probeRules wants enough rules, each tried, and no alarm forgotten.
func (s *Service) probeRules(ctx context.Context) (clause.Result, error) {
	all, err := s.Standings(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	var old, wolf []string
	tried, own := false, 0
	for _, st := range all {
		tried = tried || !st.Tried.IsZero()
		if st.Part == Own { // a back-test was its trial
			own++
		} else if s.Now().Sub(st.Tried) > triedWithin {
			old = append(old, st.ID)
		}
		if st.Verdicts >= judgedAt && st.Precision < floor {
			wolf = append(wolf, st.ID)
		}
	}
	var forgotten int64
	if err := ledger.One(ctx, s.DB, `SELECT COUNT(*) FROM watch_alarm WHERE state = 'cleared' AND cleared < $1`, []any{&forgotten}, s.Now().Add(-closedWithin).UnixMicro()); err != nil {
		return clause.Result{}, err //nolint:wrapcheck // the ledger says what failed
	}
	built := int64(len(all) - own)
	r := clause.Passed(fmt.Sprintf("%d rules watch, the policy wants %d or more; each fired in a trial within 90 days", built, s.Rules.Get().BuiltIn))
	if own > 0 {
		r.Summary += fmt.Sprintf("; %d rules of your own watch beside them", own)
	}
	r.Population = int64(len(all))
	switch {
	case built < s.Rules.Get().BuiltIn:
		return clause.Failed(fmt.Sprintf("%d rules watch, the policy wants %d or more", built, s.Rules.Get().BuiltIn)), nil
	case len(s.own.problems()) > 0:
		return clause.Failed("rules of your own cannot be read, and do not watch: " + few(slices.Sorted(maps.Keys(s.own.problems())))), nil
	case !tried:
		r.Outcome, r.Summary = clause.Unknown, "no rule was fired in a trial yet; the first trial comes within minutes of the start"
	case len(old) > 0:
		return clause.Failed(fmt.Sprintf("%d rules did not fire in a trial within 90 days: %s", len(old), few(old))), nil
	case len(wolf) > 0:
		return clause.Failed(fmt.Sprintf("of the last verdicts on these rules fewer than 80 %% were true or benign: %s", few(wolf))), nil
	case forgotten > 0:
		return clause.Failed(fmt.Sprintf("%d alarms cleared more than a week ago, and nobody has said what they were", forgotten)), nil
	}
	return r, nil
}

func few(names []string) string {
	if len(names) > 4 {
		names = append(slices.Clone(names[:4]), "…")
	}
	return strings.Join(names, ", ")
}

// fireAll wants an alarm of each rule.
func (s *Service) fireAll(ctx context.Context) (clause.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	fired, silent, err := s.Try(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	st := clause.Step{Act: "do what each rule is for", Expected: "an alarm each", Got: "an alarm each", OK: len(silent) == 0}
	if !st.OK {
		st.Got = "none of " + few(silent)
	}
	r := clause.Judge(fmt.Sprintf("each of %d rules raised its alarm", len(fired)), st)
	r.Population = int64(len(fired) + len(silent))
	return r, nil
}

// probeWays wants enough ways, mail among them, each proven this week, and somebody there.
func (s *Service) probeWays(ctx context.Context) (clause.Result, error) { // clause: mon.notify
	cs, err := s.Notify.Channels(ctx)
	if err != nil {
		return clause.Result{}, err //nolint:wrapcheck // the kit says what failed
	}
	people, err := s.Audience(ctx, 0)
	if err != nil {
		return clause.Result{}, err
	}
	want := s.Rules.Get().Channels
	var proven, failing, waiting []string
	for _, c := range cs {
		switch {
		case s.Now().Sub(c.Accepted) <= testedWithin:
			proven = append(proven, c.Name)
		case s.Now().Sub(c.Tested) < time.Hour || c.Tested.IsZero():
			waiting = append(waiting, c.Name)
		default:
			failing = append(failing, c.Name)
		}
	}
	routes := s.routes()
	gone := absent(routes, cs)
	empty, err := s.empty(ctx, routes)
	if err != nil {
		return clause.Result{}, err
	}
	switch {
	case int64(len(cs)) < want:
		return clause.Failed(fmt.Sprintf("people are told by %d ways, the policy wants %d: add one with writ watch channel add", len(cs), want)), nil
	case len(gone) > 0:
		return clause.Failed("routes of the policy name channels that are not there: " + few(gone) + "; add them with writ watch channel add"), nil
	case len(empty) > 0:
		return clause.Failed("routes of the policy tell groups in which nobody can be told, and their alarms go as without a route: " + few(empty) + "; give somebody who has come in one of their roles, or change groups of mon.notify"), nil
	case len(people) == 0:
		return clause.Failed("there is nobody to tell: no engineer or owner has come in yet"), nil
	case len(failing) > 0:
		return clause.Failed("no test message was taken this week by " + few(failing) + "; writ watch deliveries says why"), nil
	case len(waiting) > 0:
		return clause.Result{Outcome: clause.Unknown, Summary: "a test message is on its way by " + few(waiting)}, nil
	}
	r := clause.Passed(fmt.Sprintf("%d people are told by %d ways, each of which took a test message this week: %s", len(people), len(proven), few(proven)))
	r.Population = int64(len(proven))
	return r, nil
}

// probeSilences names each silence that is a deviation from what the policy says, while it runs. It
// was approved by a second person, and ends by itself.
func (s *Service) probeSilences(ctx context.Context) (clause.Result, error) { // clause: mon.notify
	xs, err := s.inForce(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	var names []string
	for i := range xs {
		x := &xs[i]
		if x.Needs == "" {
			continue
		}
		var of []string
		for _, r := range s.allRules() {
			if !r.keeps() && x.matches(r.labels(nil)) && !slices.Contains(of, r.Clause) {
				of = append(of, r.Clause)
			}
		}
		about := spell(x.Matchers)
		if len(of) > 0 {
			about += " (rules of " + few(of) + ")"
		}
		names = append(names, fmt.Sprintf("%s until %s, asked for by %s, approved by %s, silence/%s", about, x.Ends.UTC().Format("2006-01-02 15:04"), x.MadeBy, x.ApprovedBy, x.ID))
	}
	if len(names) > 0 {
		return clause.Deviates("alarms are not told by a silence: " + strings.Join(names[:min(len(names), 4)], "; ")), nil
	}
	r := clause.Passed("no silence keeps rules quiet for longer than a day, or more than a quarter of them")
	r.Population = int64(len(xs))
	return r, nil
}

// trySilences wants each refused.
func (s *Service) trySilences(ctx context.Context) (clause.Result, error) {
	who := actor.System("canary")
	rule := func(id string) []Matcher { return []Matcher{{Name: "alertname", Value: id}} }
	why, soon := "a control tries this", s.Now().Add(time.Hour)
	var steps []clause.Step
	try := func(act, code string, ms []Matcher, reason string, ends time.Time) {
		st := clause.Step{Act: act, Expected: code, Got: "made"}
		if err := s.mayBeSilent(&Silence{Matchers: ms, Ends: ends}, reason); err != nil {
			st.Got, _ = fault.PublicOf(err)
		}
		st.OK = st.Got == code
		steps = append(steps, st)
	}
	try("silence the rule that watches the journal", "watch_trust", rule("journal-broken"), why, soon)
	try("silence the rule that watches delivery", "watch_trust", rule("notify-failing"), why, soon)
	try("silence everything", "watch_trust", []Matcher{{Name: "alertname", Value: "", Unequal: true}}, why, soon)
	try("silence a rule for two months", "watch_ends", rule("cpu-high"), why, s.Now().Add(60*24*time.Hour))
	try("silence a rule without a reason", "watch_reason", rule("cpu-high"), "", soon)
	waits := func(act, needs string, ms []Matcher, ends time.Time) {
		x := Silence{Matchers: ms, Ends: ends, MadeBy: who.String()}
		st := clause.Step{Act: act + ", alone", Expected: "waits for a second person", Got: "holds"}
		if err := s.mayBeSilent(&x, why); err != nil {
			st.Got = err.Error()
		} else if x.Waits() && x.Needs == needs && mayApprove(&Silence{MadeBy: "person/trial"}, actor.Actor{Kind: actor.Person, ID: "trial"}) != nil {
			st.Got, st.OK = st.Expected, true
		}
		steps = append(steps, st)
	}
	waits("silence a rule for two days", Long, rule("cpu-high"), s.Now().Add(48*time.Hour))
	wide, err := ParseMatcher("part=~load|service|abuse")
	if err != nil {
		return clause.Result{}, err
	}
	waits("silence a quarter of the rules and more", Wide, []Matcher{wide}, soon)
	ok := Silence{Matchers: rule("cpu-high"), Ends: soon}
	st := clause.Step{Act: "silence one rule for an hour, with a reason", Expected: "may be made", Got: "may be made", OK: true, Control: true}
	if err := s.mayBeSilent(&ok, why); err != nil {
		st.Got, st.OK = err.Error(), false
	}
	steps = append(steps, st)
	look, err := s.tryLink(ctx, who)
	if err != nil {
		return clause.Result{}, err
	}
	return clause.Judge("silences that nobody may make were refused, and a look at a link acknowledged nothing", append(steps, look)...), nil
}

// tryWays wants each refused.
func (s *Service) tryWays(ctx context.Context) (clause.Result, error) {
	steps, err := s.Notify.Rehearse(ctx, actor.System("canary"))
	if err != nil {
		return clause.Result{}, err //nolint:wrapcheck // the kit says what failed
	}
	for value, want := range map[string]string{"node-1\r\nBcc: x@example.com": "watch_labels", "node-1": ""} {
		st := clause.Step{Act: "push an alert with a line break in a label", Expected: want, Control: want == ""}
		if st.Control {
			st.Act = "push an alert without one"
		}
		st.Got, _ = fault.PublicOf((&amPushed{Labels: map[string]string{"alertname": "canary", "instance": value}}).check())
		st.OK = st.Got == want
		steps = append(steps, st)
	}
	return clause.Judge("webhooks that lead inside, line breaks and a late node were refused", steps...), nil
}

// stopSource wants an alarm about a source that has said nothing for more than three intervals,
// and none about one that has.
func (s *Service) stopSource(ctx context.Context) (clause.Result, error) {
	r := index().byID["source-silent"]
	var steps []clause.Step
	for _, st := range []clause.Step{{Act: "stop a source for 31 seconds that speaks each 10", Expected: Firing}, {Act: "leave one alone that spoke 20 seconds ago", Expected: "nothing", Control: true}} {
		ago := 31 * time.Second
		if st.Control {
			ago = 20 * time.Second
		}
		src := &source{Source: Source{Name: trialWho, Every: 10 * time.Second}, begun: s.Now().Add(-time.Hour), spoke: s.Now().Add(-ago)}
		st.Got = "nothing"
		if rd := src.silence(s.Now()); rd.Meter == r.Reads && rd.Value > r.Above {
			_, err := s.DB.Change(ctx, system, func(tx *ledger.Tx) (ledger.Event, error) {
				if err := s.try(ctx, tx, shot{rule: r, reading: &rd}); err != nil {
					return nil, err
				}
				return nil, errTakenBack
			})
			switch {
			case errors.Is(err, errTakenBack):
				st.Got = Firing
			case !errors.Is(err, errNotFired):
				return clause.Result{}, fmt.Errorf("stop a source: %w", err)
			}
		}
		st.OK = st.Got == st.Expected
		steps = append(steps, st)
	}
	return clause.Judge("a source that was stopped raised its alarm, and one that speaks raised none", steps...), nil
}

// errTakenBack undoes what a control planted.
var errTakenBack = errors.New("watch: a control's alarm is taken back")

// tryLink plants an alarm with a link, looks at it as a scanner of mail does, and takes both
// back in the same change.
func (s *Service) tryLink(ctx context.Context, who actor.Actor) (clause.Step, error) {
	st := clause.Step{Act: "look at the link of a letter without pressing its button", Expected: Firing}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if _, err := s.raise(ctx, tx, sighting{rule: index().byID["vault-sealed"], who: trialWho, at: tx.Now(), n: 1}); err != nil {
			return nil, err
		}
		h := sighting{rule: index().byID["vault-sealed"], who: trialWho}
		as, err := s.read(ctx, tx, sameAlarm, fingerprint(h.labels()), us(tx.Now()))
		if err != nil || len(as) == 0 {
			return nil, errors.Join(err, errNotFired)
		}
		l := planted(as[0].ID)
		if err := l.keep(ctx, tx); err != nil {
			return nil, err
		}
		if _, err := s.linked(ctx, tx, l.token); err != nil {
			return nil, err
		}
		a, err := s.one(ctx, tx, as[0].ID)
		if err != nil {
			return nil, err
		}
		st.Got, st.OK = a.State, a.State == Firing
		return nil, errTakenBack
	})
	if errors.Is(err, errTakenBack) {
		err = nil
	}
	return st, err //nolint:wrapcheck // the ledger says what failed
}

// probeSignals wants a rule for each signal, and readings that come.
func (s *Service) probeSignals(context.Context) (clause.Result, error) { // clause: mon.load
	var none []string
	n := 0
	for _, sig := range s.Rules.Get().Signals {
		i := slices.IndexFunc(index().all, func(r Rule) bool { return r.Signal == sig })
		if i < 0 {
			none = append(none, sig)
		}
	}
	for _, r := range index().all {
		if r.Signal != "" {
			n++
		}
	}
	if len(none) > 0 {
		return clause.Failed("no rule watches " + few(none)), nil
	}
	var silent []string
	spoke := false
	for _, st := range s.spoken() {
		if st.Spoke.IsZero() {
			continue
		}
		if spoke = true; s.Now().Sub(st.Spoke) > 3*st.Every {
			silent = append(silent, st.Name)
		}
	}
	switch {
	case !spoke:
		return clause.Result{Outcome: clause.Unknown, Summary: "nothing was read yet; the first reading comes ten seconds after the start"}, nil
	case len(silent) > 0:
		return clause.Failed("nothing is read any more of " + few(silent)), nil
	}
	r := clause.Passed(fmt.Sprintf("%d rules watch %s, and every source is read", n, strings.Join(s.Rules.Get().Signals, ", ")))
	r.Population = int64(n)
	return r, nil
}
