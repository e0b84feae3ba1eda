package incident

import (
	"context"
	"errors"
	"fmt"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/mail"
	"writ/internal/web"
)

// breachControls are the proofs of the clauses about breaches.
func (s *Service) breachControls() []clause.Control {
	look := func(id, about, says string, kind clause.Kind, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: id, Clause: about, Kind: kind, Says: says, Every: 10 * time.Minute, FreshFor: time.Hour, Run: run}
	}
	return []clause.Control{
		look("incident.hole-clears-nobody", "inc.breach-scope", "Computes a set over a record with a planted hole, and over one without; then takes a record out of a bundle", clause.Canary, s.canaryHole),
		look("incident.scope-frozen", "inc.breach-scope", "Holds every frozen set in the journal against what it may say over a hole, and every breach past its set against the signatures", clause.Replay, s.replayScopes),
		look("incident.third-party", "inc.breach-third-party", "Looks for tasks of a third party's procedure that are overdue", clause.Probe, s.probeTasks),
		look("incident.one-letter", "inc.breach-notify", "Plants a letter to somebody and a second one of the same version, and takes both back", clause.Canary, s.canaryLetter),
		look("incident.breach-told", "inc.breach-notify", "Looks for times of the law that were missed, that one person moved, and for letters whose fate nobody knows", clause.Probe, s.probeNotified),
		look("incident.evidence-held", "inc.breach-research", "Looks whether what tells of each open breach is held, whether anything of it was removed, and whether each that is over says how it happened", clause.Replay, s.replayHeld),
		look("incident.not-again", "inc.breach-prevent", "Looks whether each breach that is over has a measure whose test failed before and passes now, signed by two", clause.Probe, s.probePrevented),
	}
}

// canaryHole computes what must not come out: somebody cleared over a hole.
func (s *Service) canaryHole(ctx context.Context) (clause.Result, error) { // clause: inc.breach-scope
	now := s.Now().UTC().Truncate(time.Second)
	run := func(holes ...breach.Hole) (map[breach.Class]int64, error) {
		r, err := breach.Compute(ctx, breach.Input{Version: 1, Selector: breach.Selector{Principals: []string{"canary"}, From: now.Add(-time.Hour), Until: now},
			People: func(_ context.Context, fn func(string) error) error {
				return errors.Join(fn("person/seen"), fn("person/unseen"))
			},
			Records: func(_ context.Context, fn func(*breach.Record) error) (breach.Coverage, error) {
				return breach.Coverage{Holes: holes}, fn(&breach.Record{At: now.Add(-time.Minute), Who: "canary", For: "seen", Route: "/", Method: "GET", Status: 200, Out: 1})
			}}, func(breach.Line) error { return nil })
		return r.Counts, err
	}
	whole, err := run()
	if err != nil {
		return clause.Result{}, err
	}
	over, err := run(breach.Hole{From: now.Add(-2 * time.Hour), Until: now.Add(-time.Minute), Why: "planted"})
	if err != nil {
		return clause.Result{}, err
	}
	var bad []string
	if whole[breach.Cleared] != 1 || whole[breach.Obtained] != 1 {
		bad = append(bad, fmt.Sprintf("over a whole record the set is %v", whole))
	}
	if over[breach.Cleared] != 0 || over[breach.Possibly] != 1 {
		bad = append(bad, fmt.Sprintf("over a hole the set is %v", over))
	}
	return verdict("over a hole nobody is cleared, and over a whole record who was not seen is", 2, bad), nil
}

// all are the entries of an act, the newest first.
func (s *Service) all(ctx context.Context, act string, fn func(journal.Entry)) (n int64, err error) {
	for before := int64(0); ; {
		page, err := s.Record.List(ctx, journal.Query{Act: act, Before: before, Limit: 1000})
		if err != nil {
			return 0, fmt.Errorf("list %s: %w", act, err)
		}
		for _, e := range page {
			fn(e)
			before = e.N
		}
		if n += int64(len(page)); len(page) < 1000 || before == 0 {
			return n, nil
		}
	}
}

func (s *Service) replayScopes(ctx context.Context) (clause.Result, error) { // clause: inc.breach-scope
	var bad []string
	n, err := s.all(ctx, ScopeFrozen{}.About().Name, func(e journal.Entry) {
		if field(e, "whole") == "false" && field(e, "cleared") != "0" {
			bad = append(bad, fmt.Sprintf("entry %d clears %s over a hole", e.N, field(e, "cleared")))
		}
	})
	if err != nil {
		return clause.Result{}, err
	}
	if err := s.DB.Each(ctx, unsigned, func(scan ledger.Scan) error {
		var number int64
		err := scan(&number)
		bad = append(bad, fmt.Sprintf("I-%d went on without a set that two people signed", number))
		return err
	}, objectScope, int64(pairs)); err != nil {
		return clause.Result{}, fmt.Errorf("read sets: %w", err)
	}
	return verdict(fmt.Sprintf("each of %s clears nobody over a hole, and is signed by two where it counts", web.Count(n, "frozen set")), n, bad), nil
}

func (s *Service) probeTasks(ctx context.Context) (clause.Result, error) { // clause: inc.breach-third-party
	var bad []string
	if err := s.DB.Each(ctx, overdueTasks, func(scan ledger.Scan) error {
		var number, due int64
		err := scan(&number, &due)
		bad = append(bad, fmt.Sprintf("a task of I-%d was due on %s", number, stamp(at(due))))
		return err
	}, us(s.Now())); err != nil {
		return clause.Result{}, fmt.Errorf("read tasks: %w", err)
	}
	var n int64
	err := ledger.One(ctx, s.DB, countTasks, []any{&n})
	return verdict(fmt.Sprintf("of %s of third parties' procedures none is overdue", web.Count(n, "task")), n, bad), err
}

// errTakenBack ends a change that was only to be tried.
var errTakenBack = fault.New(fault.Conflict, "taken_back", fault.Public{Problem: "It was only tried."})

// canaryLetter tries a second letter to the same person and version, and one to somebody who
// wants no letters: the first must not be there, the second must. All of it is taken back.
func (s *Service) canaryLetter(ctx context.Context) (clause.Result, error) { // clause: inc.breach-notify
	var first, second, weaker int64
	_, err := s.DB.Change(ctx, actor.System("incident"), func(tx *ledger.Tx) (ledger.Event, error) {
		id, now := tx.ID(), us(tx.Now())
		if _, err := tx.Exec(ctx, plantCase, id, -now, now); err != nil {
			return nil, err
		}
		for i, x := range []struct {
			version, class int64
			n              *int64
		}{{1, int64(breach.Accessed), &first}, {1, int64(breach.Obtained), &second}, {2, int64(breach.Possibly), &weaker}} {
			var err error
			if *x.n, err = tx.Exec(ctx, insertLetter, fmt.Sprint(id, i), id, x.version, "canary", x.class, "", letterStopped, now, []byte{}); err != nil {
				return nil, err
			}
		}
		return nil, errTakenBack
	})
	if !errors.Is(err, errTakenBack) {
		return clause.Result{}, fmt.Errorf("plant letters: %w", err)
	}
	var bad []string
	if first != 1 || second != 0 || weaker != 0 {
		bad = append(bad, fmt.Sprintf("of three letters to one person %d were made", first+second+weaker))
	}
	m, err := s.render(Case{}, "canary", &LetterText{Subject: "Your data", Body: "{data}"}, concernedRow{Email: "nobody@drill.canary.invalid"})
	if err != nil {
		return clause.Result{}, err
	}
	if m.Unsubscribe != "" {
		bad = append(bad, "a letter of a breach can be unsubscribed from")
	}
	if post := s.Sandbox.Post; post != nil {
		if _, err := post.Deliver(ctx, mail.Message{To: "someone@example.com", Subject: "canary", Text: "canary", Kind: "incident.breach"}); err == nil {
			bad = append(bad, "a drill wrote to an address outside its sandbox")
		}
	}
	return verdict("one letter for each person and version; none can be unsubscribed from, and a drill writes to nobody outside", 3, bad), nil
}

func (s *Service) probeNotified(ctx context.Context) (clause.Result, error) { // clause: inc.breach-notify
	var bad []string
	n, err := s.all(ctx, AwareSet{}.About().Name, func(e journal.Entry) {
		if field(e, "was") != "0" && field(e, "signers") != "2" {
			bad = append(bad, fmt.Sprintf("entry %d moves a time of the law by one person", e.N))
		}
	})
	if err != nil {
		return clause.Result{}, err
	}
	if err := s.DB.Each(ctx, missedWalls, func(scan ledger.Scan) error {
		var number, due int64
		var name string
		err := scan(&number, &name, &due)
		bad = append(bad, fmt.Sprintf("the time of %s of I-%d ended on %s", name, number, stamp(at(due))))
		return err
	}, us(s.Now()), us(s.Now().Add(-lately))); err != nil {
		return clause.Result{}, fmt.Errorf("read clocks: %w", err)
	}
	if err := s.DB.Each(ctx, strayLetters, func(scan ledger.Scan) error {
		var number, count int64
		var state string
		err := scan(&number, &state, &count)
		bad = append(bad, fmt.Sprintf("%s of I-%d %s %s for a day", web.Count(count, "letter"), number, isOrAre(count), state))
		return err
	}, us(s.Now().Add(-lettersLive))); err != nil {
		return clause.Result{}, fmt.Errorf("read letters: %w", err)
	}
	var letters int64
	err = ledger.One(ctx, s.DB, countAllLetters, []any{&letters})
	return verdict(fmt.Sprintf("no time of the law was missed in %s, and of %s none is without its end", web.Count(n, "breach"), web.Count(letters, "letter")), n+letters, bad), err
}

func isOrAre(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func (s *Service) replayHeld(ctx context.Context) (clause.Result, error) { // clause: inc.breach-research
	var bad []string
	type span struct{ from, until time.Time }
	var holds []span
	var n int64
	if err := s.DB.Each(ctx, heldCases, func(scan ledger.Scan) error {
		var number int64
		var held, lifted *int64
		var state string
		var research bool
		err := scan(&number, &state, &held, &lifted, &research)
		over := state == "B8" || state == "BX"
		switch n++; {
		case held == nil || lifted != nil && !over:
			bad = append(bad, fmt.Sprintf("what tells of I-%d is not held", number))
		case state == "B8" && !research:
			bad = append(bad, fmt.Sprintf("I-%d is over, and nothing says how it happened", number))
		}
		if held != nil {
			holds = append(holds, span{at(*held), when(lifted)})
		}
		return err
	}, paperResearch); err != nil {
		return clause.Result{}, fmt.Errorf("read holds: %w", err)
	}
	if len(holds) > 0 {
		if _, err := s.all(ctx, "gateway.records-expired", func(e journal.Entry) {
			for _, h := range holds {
				if e.Happened.After(h.from.Add(time.Minute)) && (h.until.IsZero() || e.Happened.Before(h.until)) {
					bad = append(bad, fmt.Sprintf("entry %d removed access records during a hold", e.N))
				}
			}
		}); err != nil {
			return clause.Result{}, err
		}
	}
	return verdict(fmt.Sprintf("what tells of %s is held until it is known how it happened", web.Count(n, "breach")), n, bad), nil
}

func (s *Service) probePrevented(ctx context.Context) (clause.Result, error) { // clause: inc.breach-prevent
	var bad []string
	if err := s.DB.Each(ctx, unprevented, func(scan ledger.Scan) error {
		var number int64
		err := scan(&number)
		bad = append(bad, fmt.Sprintf("I-%d is over without a measure that two people signed", number))
		return err
	}, paperMeasure, int64(pairs)); err != nil {
		return clause.Result{}, fmt.Errorf("read measures: %w", err)
	}
	var n int64
	err := ledger.One(ctx, s.DB, countOver, []any{&n})
	return verdict(fmt.Sprintf("each of %s has a measure whose test failed before and passes now", web.Count(n, "breach that is over")), n, bad), err
}

const (
	unsigned = `SELECT c.number FROM incident_case c WHERE NOT c.drill AND c.b IN ('B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8') AND NOT EXISTS (SELECT 1 FROM incident_scope x WHERE x.case_id = c.id AND x.stated
		AND (SELECT COUNT(*) FROM incident_approval a WHERE a.case_id = c.id AND a.object = $1 AND a.hash = x.hash) >= $2) ORDER BY c.number LIMIT 100`
	overdueTasks = `SELECT c.number, t.due FROM incident_task t JOIN incident_case c ON c.id = t.case_id WHERE NOT c.drill AND t.done IS NULL AND t.due <= $1 ORDER BY t.due LIMIT 100`
	countTasks   = `SELECT COUNT(*) FROM incident_task`
	plantCase    = `INSERT INTO incident_case (id, number, drill, round, version, title, source, component, declared_by, severity, categories, l, c, r, b, f, onset_from, declared, decided, joined)
		VALUES ($1, $2, TRUE, 1, 1, '', 'canary', '', '', 0, '', 'LX', '', '', '', '', $3, $3, FALSE, '')`
	missedWalls = `SELECT c.number, k.name, k.began + k.within FROM incident_wall k JOIN incident_case c ON c.id = k.case_id
		WHERE NOT c.drill AND NOT k.void AND (k.ended IS NULL AND k.began + k.within <= $1 OR k.ended > k.began + k.within) AND k.began + k.within > $2 ORDER BY k.id LIMIT 100`
	strayLetters = `SELECT c.number, l.state, COUNT(*) FROM incident_letter l JOIN incident_case c ON c.id = l.case_id
		WHERE NOT c.drill AND l.state NOT IN ('accepted', 'told') AND l.at <= $1 GROUP BY c.number, l.state ORDER BY c.number LIMIT 100`
	countAllLetters = `SELECT COUNT(*) FROM incident_letter`
	heldCases       = `SELECT c.number, c.b, b.held, b.lifted, EXISTS (SELECT 1 FROM incident_paper p WHERE p.case_id = c.id AND p.kind = $1) FROM incident_case c LEFT JOIN incident_breach b ON b.case_id = c.id
		WHERE c.b <> '' AND NOT c.drill AND c.l <> 'LX' ORDER BY c.number`
	unprevented = `SELECT c.number FROM incident_case c WHERE NOT c.drill AND c.b = 'B8' AND NOT EXISTS (SELECT 1 FROM incident_paper p WHERE p.case_id = c.id AND p.kind = $1
		AND (SELECT COUNT(*) FROM incident_approval a WHERE a.case_id = c.id AND a.object = $1 AND a.hash = p.hash) >= $2) ORDER BY c.number LIMIT 100`
	countOver = `SELECT COUNT(*) FROM incident_case WHERE NOT drill AND b = 'B8'`
)
