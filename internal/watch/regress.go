package watch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/ledger"
	"writ/internal/watch/sigma"
)

// A change of the rules of one's own is held against every incident that is kept, and against the
// days of its back-test on which nothing was known to be wrong. One that makes an incident unseen,
// or a rule less precise than the floor, is not adopted.

// testHolds is how long a back-test speaks for a version: later, other days are behind us.
const testHolds = 7 * 24 * time.Hour

// alike are rules of one's own by what they fire on: which of them sees an incident.
type alike map[string]unit

// fired says which of the rules fire on the events of an incident, and on which.
func (a alike) fired(k *Lesson) (map[string][]*keptEvent, error) {
	var units []sigma.Unit
	for id, u := range a {
		units = append(units, sigma.Unit{Key: id, Rules: u.rules})
	}
	e, errs := sigma.New(units...)
	if len(errs) > 0 { // readOwn linked each of them already
		return nil, errs[0]
	}
	out := map[string][]*keptEvent{}
	for i := range k.events {
		x := &k.events[i]
		for _, h := range e.Feed(x.event(int64(i + 1))) {
			out[h.Unit] = append(out[h.Unit], x)
		}
	}
	return out, nil
}

// watching are the rules of one's own that watch; one that cannot be read sees nothing.
func (s *Service) watching(ctx context.Context, r ledger.Reader) (alike, error) {
	vs, err := s.versions(ctx, r, `SELECT `+versionColumns+` FROM watch_rule_version WHERE state = 'enabled' ORDER BY rule`)
	out := alike{}
	for _, v := range vs {
		if u, err := readOwn(v.Text); err == nil {
			out[v.Rule] = u
		}
	}
	return out, err
}

// stand is which versions watch, and what is kept: a decision about a change holds while it is so.
func (s *Service) stand(ctx context.Context, r ledger.Reader) (string, error) {
	var b strings.Builder
	read := func(scan ledger.Scan) error {
		var id, what string
		err := scan(&id, &what)
		fmt.Fprintf(&b, "%s %s\n", id, what)
		return err
	}
	err := r.Each(ctx, `SELECT rule, sha256 FROM watch_rule_version WHERE state = 'enabled' ORDER BY rule`, read)
	if err == nil {
		err = r.Each(ctx, `SELECT incident, sha256 FROM watch_kept ORDER BY incident`, read)
	}
	return b.String(), err //nolint:wrapcheck // the ledger says what failed
}

// against is how a change of one rule stands to the incidents that are kept.
type against struct {
	sees, loses []string // names of incidents
	stand       string
}

// hold asks what becomes of the incidents that are kept if a rule has this text; nil = if it ends.
func (s *Service) hold(ctx context.Context, rule string, next *unit) (h against, err error) { // clause: mon.alarms
	if h.stand, err = s.stand(ctx, s.DB); err != nil {
		return h, err
	}
	now, err := s.watching(ctx, s.DB)
	if err != nil {
		return h, err
	}
	kept, err := s.readKept(ctx, s.DB, `SELECT `+keptColumns+` FROM watch_kept ORDER BY kept, incident`)
	if err != nil {
		return h, err
	}
	after := alike{}
	for id, u := range now {
		if id != rule {
			after[id] = u
		}
	}
	if next != nil {
		after[rule] = *next
	}
	return h, h.compare(now, after, rule, kept)
}

// compare asks the rules that watch, and those that would, about what is kept.
func (h *against) compare(now, after alike, rule string, kept []Lesson) error {
	for i := range kept {
		was, err := now.fired(&kept[i])
		if err != nil {
			return err
		}
		is, err := after.fired(&kept[i])
		if err != nil {
			return err
		}
		if len(is[rule]) > 0 {
			h.sees = append(h.sees, kept[i].Name)
		}
		if len(was) > 0 && len(is) == 0 {
			h.loses = append(h.loses, kept[i].Name)
		}
	}
	return nil
}

// still refuses a change whose ground has moved since it was asked about.
func (s *Service) still(ctx context.Context, tx *ledger.Tx, h against) error {
	now, err := s.stand(ctx, tx)
	if err == nil && now != h.stand {
		err = fault.New(fault.Conflict, "rules_moved", fault.Public{Problem: "Another rule changed, or an incident was closed, while this was looked at.", Next: "Try again."})
	}
	return err
}

// unseen refuses a change after which nobody would see what was seen.
func unseen(h against) error {
	if len(h.loses) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "rule_loses", fault.Public{Problem: "Nothing would see " + strings.Join(h.loses, ", ") + " any more: this rule fires on what is kept of it, and after the change none of your own does.",
		Expected: "A rule of your own that fires on the events of each incident that one fires on today.", Next: "Write the rule so that it still fires on them, or another one first: writ watch lessons"})
}

// precise refuses a version that cries wolf: below the floor, and more than the one that watches.
func precise(v *Version, now time.Time) error {
	b := v.Result
	if b == nil || !b.Weighed || b.Until.Sub(b.From) < usualTest || now.Sub(v.Tested) > testHolds {
		return fault.New(fault.Conflict, "rule_untested", fault.Public{Problem: "The back-test of this version is more than a week old, or of less than 30 days.", Expected: "A back-test on the last 30 days.", Next: "Do: writ watch rule test ID --since 30d"})
	}
	p, enough := b.Precision()
	if !enough || p >= floor || p >= b.Before {
		return nil
	}
	return fault.New(fault.Conflict, "rule_imprecise", fault.Public{Problem: fmt.Sprintf("Of %d alarms %d would have come on days on which nothing was wrong.", b.Fires+int64(len(b.Sees)), b.Clean()),
		Expected: fmt.Sprintf("At least %d %% inside known incidents, or at times at which an alarm of this rule was true or meant.", int(floor*100)), Next: "Write it narrower, and test it again."})
}

// Clean is how many alarms would have come while nothing was known to be wrong.
func (b *BackTest) Clean() int64 { return b.Fires - b.InIncidents - b.Judged }

// Precision is how many of the alarms would have been right, and whether they are enough to say
// so. Each incident that is kept and seen counts as one.
func (b *BackTest) Precision() (p float64, enough bool) {
	all := b.Fires + int64(len(b.Sees))
	if all == 0 {
		return 1, false
	}
	return 1 - float64(b.Clean())/float64(all), all >= judgedAt
}

// Lessons lists what is kept of incidents, and which rules of one's own see each.
func (s *Service) Lessons(ctx context.Context, who actor.Actor) ([]Lesson, error) {
	if err := s.Access.Allow(ctx, who, access.WatchRead, ""); err != nil {
		return nil, err //nolint:wrapcheck // a fault for the reader
	}
	kept, err := s.readKept(ctx, s.DB, `SELECT `+keptColumns+` FROM watch_kept ORDER BY kept DESC, incident LIMIT 500`)
	if err != nil {
		return nil, err
	}
	now, err := s.watching(ctx, s.DB)
	if err != nil {
		return nil, err
	}
	for i := range kept {
		is, err := now.fired(&kept[i])
		if err != nil {
			return nil, err
		}
		for id := range is {
			u := now[id]
			kept[i].Seen = append(kept[i].Seen, *u.rule())
		}
		slices.SortFunc(kept[i].Seen, func(a, b Rule) int { return strings.Compare(a.Title, b.Title) })
	}
	return kept, nil
}

// Fired is a rule that fires on the events of an incident.
type Fired struct {
	Rule, Title, State string
	Version            int64
	SHA256             string // of its text
	Hits               int64
	Entries            []int64 // the first of them
	Requests           int64   // of the hits, access records
}

// Says is on what it fired, in a sentence.
func (f *Fired) Says() string {
	var on []string
	if len(f.Entries) > 0 {
		var ns []string
		for _, n := range f.Entries {
			ns = append(ns, strconv.FormatInt(n, 10))
		}
		what := "entry "
		if len(ns) > 1 {
			what = "entries "
		}
		on = append(on, what+few(ns))
	}
	if f.Requests == 1 {
		on = append(on, "one request")
	} else if f.Requests > 1 {
		on = append(on, fmt.Sprintf("%d requests", f.Requests))
	}
	return fmt.Sprintf("%s, version %d (%s), fires on %s", f.Title, f.Version, f.State, strings.Join(on, " and "))
}

// FiresOn asks the newest version of a rule of one's own about the events of an incident, by the
// same way as a change is asked. No hits is an answer.
func (s *Service) FiresOn(ctx context.Context, rule string, in Incident) (Fired, error) { // clause: mon.alarms
	v, err := s.nextVersion(ctx, s.DB, strings.ToLower(rule))
	if err != nil {
		return Fired{}, err
	}
	u, err := readOwn(v.Text)
	if err != nil {
		return Fired{}, err
	}
	var k Lesson
	if err := s.gather(ctx, &in, &k); err != nil {
		return Fired{}, err
	}
	f := Fired{Rule: v.Rule, Title: v.Title, State: v.State, Version: v.N, SHA256: v.SHA256}
	return f, f.count(u, &k)
}

// Ask asks a text about some requests, without a server: for drills.
func Ask(text string, requests []Handled) (Fired, error) {
	u, err := readOwn(text)
	if err != nil {
		return Fired{}, err
	}
	var k Lesson
	for i := range requests {
		k.events = append(k.events, keptEvent{Record: &requests[i]})
	}
	f := Fired{Rule: u.head.ID, Title: u.head.Title, State: Draft, Version: 1, SHA256: textHash(text)}
	return f, f.count(u, &k)
}

func (f *Fired) count(u unit, k *Lesson) error {
	is, err := alike{f.Rule: u}.fired(k)
	if err != nil {
		return err
	}
	for _, e := range is[f.Rule] {
		f.Hits++
		if e.Entry == nil {
			f.Requests++
		} else if len(f.Entries) < evidence {
			f.Entries = append(f.Entries, e.Entry.N)
		}
	}
	return nil
}

// replayLessons wants every incident that a rule of one's own saw when it was closed to be seen by
// one today.
func (s *Service) replayLessons(ctx context.Context) (clause.Result, error) { // clause: mon.alarms
	kept, err := s.readKept(ctx, s.DB, `SELECT `+keptColumns+` FROM watch_kept ORDER BY kept, incident`)
	if err != nil {
		return clause.Result{}, err
	}
	now, err := s.watching(ctx, s.DB)
	if err != nil {
		return clause.Result{}, err
	}
	var blind []string
	for i := range kept {
		if kept[i].Erased || len(kept[i].seen) == 0 {
			continue
		}
		if is, err := now.fired(&kept[i]); err != nil {
			return clause.Result{}, err
		} else if len(is) == 0 {
			blind = append(blind, kept[i].Name)
		}
	}
	if len(blind) > 0 {
		return clause.Failed("a rule of your own saw these incidents, and none sees what is kept of them any more: " + few(blind)), nil
	}
	r := clause.Passed(fmt.Sprintf("the events of %d incidents are kept; whatever a rule of your own saw is still seen", len(kept)))
	r.Population = int64(len(kept))
	return r, nil
}
