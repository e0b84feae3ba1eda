package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"writ/internal/canary"
	"writ/internal/clause"
	"writ/internal/incident/engine"
	"writ/internal/incident/status"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/web"
)

// lately is how long a deadline that was missed shows.
const lately = 30 * 24 * time.Hour

// Controls are the proofs of this module's clauses.
func (s *Service) Controls(*canary.Door) []clause.Control {
	look := func(id, about, says string, kind clause.Kind, run func(context.Context) (clause.Result, error)) clause.Control {
		return clause.Control{ID: id, Clause: about, Kind: kind, Says: says, Every: 10 * time.Minute, FreshFor: time.Hour, Run: run}
	}
	return append(append(append(s.breachControls(), s.lossControls()...), s.lifeControls()...), []clause.Control{
		look("incident.process-order", "inc.process", "Walks every step of every incident in the journal along the tables", clause.Replay, s.replayOrder),
		look("incident.let-pass", "inc.process", "Looks for guards of open incidents that people let pass, or one alone", clause.Probe, s.probeWaived),
		look("incident.kind-first", "inc.categorise", "Looks in the journal for anything that began before the kind of its incident was decided", clause.Replay, s.replayKindFirst),
		look("incident.taken-in-time", "inc.categorise", "Looks whether incidents are taken in time", clause.Probe, s.probeTaken),
		look("incident.notice-in-time", "inc.public-notice", "Looks whether public notices that are owed stand on the status page and on the other channels in time", clause.Probe, s.probeNotice),
		look("incident.threshold-turns", "inc.public-notice", "Plants an impact at the policy's threshold, and one short of it, in a change that is taken back: the one turns the parts of the service, the other nothing", clause.Canary, s.canaryThreshold),
		look("incident.impact-noticed", "inc.public-notice", "Looks for an impact at the threshold that no incident knows of", clause.Probe, s.probeImpact),
		look("incident.updates-in-time", "inc.updates", "Looks whether an update is overdue, or was lately", clause.Probe, s.probeUpdates),
		look("incident.updates-estimated", "inc.eta", "Counts updates on the status page that say neither when service returns nor when the next one comes", clause.Replay, s.replayEstimates),
		look("incident.reviewed", "inc.learn", "Looks for reviews that are late, actions that are overdue, and incidents closed without what prevents the next one", clause.Probe, s.probeLearned),
		look("incident.fixes-last", "inc.patch", "Looks for temporary fixes that outlived their end, or that no second person has reviewed within a day", clause.Probe, s.probeFixes),
		look("incident.affected-told", "inc.tell-affected", "Holds every reviewed incident against the messages to those it affected", clause.Replay, s.replayTold),
	}...)
}

// verdict passes when nothing is bad, and names the worst three otherwise.
func verdict(good string, n int64, bad []string) clause.Result {
	r := clause.Passed(good)
	if len(bad) > 0 {
		r = clause.Failed(strings.Join(bad[:min(3, len(bad))], "; ") + more(len(bad)-3))
	}
	r.Population = n
	return r
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf("; and %d more", n)
}

// steps are all entries of steps, the oldest first.
func (s *Service) steps(ctx context.Context) ([]journal.Entry, error) {
	var out []journal.Entry
	for before := int64(0); ; {
		page, err := s.Record.List(ctx, journal.Query{Act: Moved{}.About().Name, Before: before, Limit: 1000})
		if err != nil {
			return nil, fmt.Errorf("list steps: %w", err)
		}
		out = append(out, page...)
		if len(page) < 1000 {
			break
		}
		before = slices.MinFunc(page, func(a, b journal.Entry) int { return int(a.N - b.N) }).N
	}
	slices.SortFunc(out, func(a, b journal.Entry) int { return int(a.N - b.N) })
	return out, nil
}

func field(e journal.Entry, name string) string {
	v, _ := e.Field(name)
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// replayOrder walks the complete record: each step is one of its table, from where the region
// stood; and where the rows say it stands is where the record ends.
func (s *Service) replayOrder(ctx context.Context) (clause.Result, error) { // clause: inc.process
	all, err := s.steps(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	at := map[string]string{}
	var bad []string
	for _, e := range all {
		id, r, from, to, event := field(e, "incident"), field(e, "region"), field(e, "from"), field(e, "to"), field(e, "event")
		key := id + "/" + r
		m, ok := engine.Of(engine.Region(r))
		stood, begun := at[key]
		if !begun && r == string(engine.L) {
			stood, begun = "L0", true
		}
		if !begun && r == string(engine.F) {
			stood, begun = "F0", true
		}
		st, known := m.Find(from, event)
		switch {
		case !ok, begun && stood != from:
			bad = append(bad, fmt.Sprintf("entry %d goes on from %s, and %s stood at %s", e.N, from, r, stood))
		case event == "begin" && from == "" && to == m.Start && !begun:
		case !known || st.To != to:
			bad = append(bad, fmt.Sprintf("entry %d: %s has no step %s from %s to %s", e.N, r, event, from, to))
		}
		at[key] = to
	}
	cases, err := s.cases(ctx, s.DB, allCases)
	if err != nil {
		return clause.Result{}, err
	}
	for _, c := range cases {
		for r, stands := range c.States {
			if recorded, ok := at[c.ID+"/"+string(r)]; ok && recorded != stands && s.Now().Sub(newest(all)) > time.Minute {
				bad = append(bad, fmt.Sprintf("%s stands at %s, and its record ends at %s", c.Ref(), stands, recorded))
			}
		}
	}
	return verdict(fmt.Sprintf("%s of %s follow the tables", web.Count(int64(len(all)), "step"), web.Count(int64(len(cases)), "incident")), int64(len(all)), bad), nil
}

// newest is when the newest step was numbered: the rows may be ahead of the record for a moment.
func newest(all []journal.Entry) time.Time {
	if len(all) == 0 {
		return time.Time{}
	}
	return all[len(all)-1].Happened
}

func (s *Service) replayKindFirst(ctx context.Context) (clause.Result, error) { // clause: inc.categorise
	all, err := s.steps(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	decided := map[string]bool{}
	var bad []string
	for _, e := range all {
		id := field(e, "incident")
		if field(e, "region") == string(engine.L) {
			decided[id] = decided[id] || field(e, "to") == "L2"
			continue
		}
		if !decided[id] {
			bad = append(bad, fmt.Sprintf("entry %d: region %s went on before the kind was decided", e.N, field(e, "region")))
		}
	}
	return verdict(fmt.Sprintf("nothing began before the kind was decided in %s", web.Count(int64(len(decided)), "incident")), int64(len(decided)), bad), nil
}

// late lists the deadlines of one parameter that are over, or were missed lately.
func (s *Service) late(ctx context.Context, param string) (bad []string, n int64, err error) {
	if err := ledger.One(ctx, s.DB, countClocks, []any{&n}, param, us(s.Now().Add(-lately))); err != nil {
		return nil, 0, fmt.Errorf("count deadlines: %w", err)
	}
	err = s.DB.Each(ctx, lateClocks, func(scan ledger.Scan) error {
		var number, due int64
		var ended *int64
		var state string
		err := scan(&number, &state, &due, &ended)
		till := s.Now()
		if ended != nil {
			till = at(*ended)
		}
		bad = append(bad, fmt.Sprintf("I-%d was %s over its time in %s", number, web.Duration(till.Sub(at(due)).Round(time.Second)), state))
		return err
	}, param, us(s.Now()), us(s.Now().Add(-lately)))
	return bad, n, err
}

func (s *Service) probeTaken(ctx context.Context) (clause.Result, error) { // clause: inc.categorise
	bad, n, err := s.late(ctx, "inc.categorise/ack")
	if err != nil {
		return clause.Result{}, err
	}
	undecided, _, err := s.late(ctx, "inc.categorise/triage")
	if err != nil {
		return clause.Result{}, err
	}
	r := s.Rules.Get()
	return verdict(fmt.Sprintf("%s of the last 30 days taken within %s, and its kind decided within %s of that", web.Count(n, "incident"), web.Duration(r.Acknowledge), web.Duration(r.Triage)), n, append(bad, undecided...)), nil
}

func (s *Service) probeNotice(ctx context.Context) (clause.Result, error) { // clause: inc.public-notice
	within := s.Rules.Get().Notice
	bad, n, err := s.late(ctx, "inc.public-notice/within")
	if err != nil {
		return clause.Result{}, err
	}
	for _, channel := range s.Rules.Get().Channels {
		if channel == "status-page" {
			continue
		}
		if err := s.DB.Each(ctx, notElsewhere, func(scan ledger.Scan) error {
			var number int64
			err := scan(&number)
			bad = append(bad, fmt.Sprintf("I-%d is not on %s: post it there, then writ incident posted I-%d %s URL", number, channel, number, channel))
			return err
		}, channel, us(s.Now().Add(-lately)), us(s.Now().Add(-within))); err != nil {
			return clause.Result{}, fmt.Errorf("read channels: %w", err)
		}
	}
	return verdict(fmt.Sprintf("%s of the last 30 days, each within %s", web.Count(n, "public notice"), web.Duration(within)), n, bad), nil
}

func (s *Service) probeUpdates(ctx context.Context) (clause.Result, error) { // clause: inc.updates
	bad, n, err := s.late(ctx, "inc.updates/every")
	if err != nil {
		return clause.Result{}, err
	}
	return verdict(fmt.Sprintf("of %s to updates in the last 30 days none was missed", web.Count(n, "deadline")), n, bad), nil
}

func (s *Service) replayEstimates(ctx context.Context) (clause.Result, error) { // clause: inc.eta
	var n, without int64
	if err := ledger.One(ctx, s.DB, countEstimates, []any{&n, &without}, status.Resolved, status.Postmortem, status.Retracted); err != nil {
		return clause.Result{}, fmt.Errorf("count estimates: %w", err)
	}
	var bad []string
	if without > 0 && s.Rules.Get().Estimate == "required" {
		bad = append(bad, fmt.Sprintf("%d of %d updates have no estimate", without, n))
	}
	kept, err := s.Page.Kept(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	good := fmt.Sprintf("each of %s says when service returns, or when the next one comes", web.Count(n, "update"))
	if kept.Given > 0 {
		good += ". " + kept.Says()
	}
	return verdict(good, n, bad), nil
}

func (s *Service) probeLearned(ctx context.Context) (clause.Result, error) { // clause: inc.learn
	bad, _, err := s.late(ctx, "inc.learn/postmortem")
	if err != nil {
		return clause.Result{}, err
	}
	for query, says := range map[string]string{overdueActions: "an action of I-%d is overdue", closedBare: "I-%d was closed without an action that prevents the next one"} {
		if err := s.DB.Each(ctx, query, func(scan ledger.Scan) error {
			var number int64
			err := scan(&number)
			bad = append(bad, fmt.Sprintf(says, number))
			return err
		}, us(s.Now())); err != nil {
			return clause.Result{}, fmt.Errorf("read reviews: %w", err)
		}
	}
	slices.Sort(bad)
	var n int64
	err = ledger.One(ctx, s.DB, countReviews, []any{&n})
	return verdict(fmt.Sprintf("%s within %s, and no action is overdue", web.Count(n, "review"), web.Duration(s.Rules.Get().Postmortem)), n, bad), err
}

func (s *Service) probeFixes(ctx context.Context) (clause.Result, error) { // clause: inc.patch
	var bad []string
	if err := s.DB.Each(ctx, expiredFixes, func(scan ledger.Scan) error {
		var number, expires int64
		err := scan(&number, &expires)
		bad = append(bad, fmt.Sprintf("the temporary fix of I-%d ended on %s and still holds", number, stamp(at(expires))))
		return err
	}, us(s.Now())); err != nil {
		return clause.Result{}, fmt.Errorf("read fixes: %w", err)
	}
	late, err := s.unreviewedFixes(ctx)
	if err != nil {
		return clause.Result{}, fmt.Errorf("read fixes: %w", err)
	}
	bad = append(bad, late...)
	var n int64
	err = ledger.One(ctx, s.DB, countFixes, []any{&n})
	return verdict(fmt.Sprintf("%s, none beyond its end or without its second review", web.Count(n, "temporary fix in place")), n, bad), err
}

func (s *Service) replayTold(ctx context.Context) (clause.Result, error) { // clause: inc.tell-affected
	var bad []string
	if err := s.DB.Each(ctx, untold, func(scan ledger.Scan) error {
		var number, owed int64
		err := scan(&number, &owed)
		bad = append(bad, fmt.Sprintf("I-%d went into its review with %d teams untold, or without looking who was affected", number, owed))
		return err
	}); err != nil {
		return clause.Result{}, fmt.Errorf("read messages: %w", err)
	}
	if err := s.DB.Each(ctx, unheard, func(scan ledger.Scan) error {
		var number, waits int64
		err := scan(&number, &waits)
		bad = append(bad, fmt.Sprintf("I-%d went into its review while %s still waited for what was posted", number, web.Count(waits, "subscriber")))
		return err
	}); err != nil {
		return clause.Result{}, fmt.Errorf("read notices: %w", err)
	}
	var n int64
	err := ledger.One(ctx, s.DB, countTold, []any{&n})
	return verdict(fmt.Sprintf("each of %s to teams has its final state", web.Count(n, "message")), n, bad), err
}

const (
	ofCase      = ` FROM incident_clock k JOIN incident_case c ON c.id = k.case_id WHERE NOT c.drill AND k.clause = $1`
	countClocks = `SELECT COUNT(*)` + ofCase + ` AND k.started > $2`
	lateClocks  = `SELECT c.number, k.state, k.due, k.ended` + ofCase + ` AND (k.ended IS NULL AND k.due <= $2 OR k.ended > k.due) AND k.due > $3 ORDER BY k.due LIMIT 100`

	notElsewhere = `SELECT c.number FROM incident_case c JOIN incident_status_public p ON p.case_id = c.id
		WHERE NOT c.drill AND p.made > $2 AND p.made <= $3 AND NOT EXISTS (SELECT 1 FROM incident_elsewhere e WHERE e.case_id = c.id AND e.channel = $1) ORDER BY c.number LIMIT 100`
	countEstimates = `SELECT COUNT(*), COALESCE(SUM(CASE WHEN estimate IS NULL AND next IS NULL AND state NOT IN ($1, $2, $3) THEN 1 ELSE 0 END), 0) FROM incident_status_update`
	overdueActions = `SELECT c.number FROM incident_action x JOIN incident_case c ON c.id = x.case_id WHERE NOT c.drill AND x.done IS NULL AND x.due <= $1 ORDER BY c.number LIMIT 100`
	closedBare     = `SELECT c.number FROM incident_case c WHERE NOT c.drill AND c.l = 'L6' AND c.declared <= $1 AND NOT EXISTS (SELECT 1 FROM incident_action x WHERE x.case_id = c.id AND x.prevent) ORDER BY c.number LIMIT 100`
	countReviews   = `SELECT COUNT(*) FROM incident_review`
	expiredFixes   = `SELECT c.number, x.expires FROM incident_fix x JOIN incident_case c ON c.id = x.case_id WHERE x.expires <= $1 AND x.gone IS NULL AND c.f IN ('F3', 'F4') ORDER BY x.expires LIMIT 100`
	countFixes     = `SELECT COUNT(*) FROM incident_fix WHERE deployed IS NOT NULL AND gone IS NULL`
	untold         = `SELECT c.number, (SELECT COUNT(*) FROM incident_audience a WHERE a.case_id = c.id AND a.round = c.round AND a.state IN ('owed', 'queued', 'failed')) FROM incident_case c
		WHERE NOT c.drill AND c.l IN ('L5', 'L6') AND (NOT c.decided OR EXISTS (SELECT 1 FROM incident_audience a WHERE a.case_id = c.id AND a.round = c.round AND a.state IN ('owed', 'queued', 'failed')))
		AND NOT EXISTS (SELECT 1 FROM incident_waiver v WHERE v.case_id = c.id AND v.round = c.round AND v.guard = 'affected-told' AND v.agreed IS NOT NULL) ORDER BY c.number LIMIT 100`
	unheard = `SELECT c.number, COUNT(*) FROM incident_case c JOIN incident_status_notice n ON n.about = 'incident/' || c.id JOIN incident_status_subscriber s ON s.id = n.subscriber
		WHERE NOT c.drill AND c.l IN ('L5', 'L6') AND n.state = 'queued' AND s.suspended IS NULL AND n.made < c.review
		AND NOT EXISTS (SELECT 1 FROM incident_waiver v WHERE v.case_id = c.id AND v.round = c.round AND v.guard = 'subscribers-told' AND v.agreed IS NOT NULL) GROUP BY c.number ORDER BY c.number LIMIT 100`
	countTold = `SELECT COUNT(*) FROM incident_audience`
)
