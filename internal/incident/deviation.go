package incident

import (
	"context"
	"fmt"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
	"writ/internal/web"
)

// Deviation is a guard that two people let pass, or one alone: an exception from the order of steps that
// the policy promises. It ends with the round of its incident, or when one must.
type Deviation struct {
	Ref, Incident, Region, Guard string
	Requester, Approver          string // handles; no approver = passed by one alone
	Reason                       string // "" where it was erased
	Starts, Ends                 time.Time
}

// What says what passes, for a list of exceptions.
func (d Deviation) What() string {
	what := "let pass in " + d.Ref + ": " + d.Guard
	if d.Approver == "" {
		what = "passed by one person alone in " + d.Ref + ": " + d.Guard
	}
	return what
}

// Deviations are the newest 500, and those of drills are none.
func (s *Service) Deviations(ctx context.Context) ([]Deviation, error) { // clause: gov.exceptions
	longest := s.longest()
	var out []Deviation
	var ids, labels []string
	var boxes [][]byte
	err := s.DB.Each(ctx, deviationsOf, func(scan ledger.Scan) error {
		var d Deviation
		var id, label string
		var number, starts int64
		var closed *int64
		var over bool
		var box []byte
		err := scan(&label, &id, &d.Incident, &number, &d.Region, &d.Guard, &d.Requester, &d.Approver, &box, &starts, &over, &closed)
		d.Ref, d.Starts = Case{Number: number}.Ref(), at(starts)
		if d.Ends = d.Starts.Add(longest); over {
			end := d.Starts // a round that was reopened says no end: none later than its own
			if closed != nil {
				end = at(*closed)
			}
			if end.Before(d.Ends) {
				d.Ends = end
			}
		}
		out, ids, labels, boxes = append(out, d), append(ids, id), append(labels, label), append(boxes, box)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read exceptions: %w", err)
	}
	staff, err := s.People.Staff(ctx)
	if err != nil {
		return nil, err
	}
	handles := map[string]string{}
	for _, p := range staff {
		handles[p.ID] = p.Handle
	}
	handle := func(id string) string {
		if h := handles[id]; h != "" || id == "" {
			return h
		}
		return s.name(ctx, id)
	}
	for i := range out {
		d := &out[i]
		d.Requester, d.Approver = handle(d.Requester), handle(d.Approver)
		if d.Reason, err = s.open(ctx, labels[i], ids[i], boxes[i]); err != nil && fault.KindOf(err) != fault.Gone {
			return nil, err
		}
	}
	return out, nil
}

// probeWaived shows what passes by exception now, for as long as it does.
func (s *Service) probeWaived(ctx context.Context) (clause.Result, error) { // clause: inc.process
	all, err := s.Deviations(ctx)
	if err != nil {
		return clause.Result{}, err
	}
	var live []string
	for _, d := range all {
		if s.Now().Before(d.Ends) {
			by := "by " + web.And([]string{d.Requester, d.Approver})
			if d.Approver == "" {
				by = "by " + d.Requester
			}
			live = append(live, d.What()+", "+by)
		}
	}
	if len(live) > 0 {
		return clause.Deviates(verdict("", 0, live).Summary), nil
	}
	return clause.Passed("no guard of an incident passes by exception now"), nil
}

// soloRegion is where alone one person passes anything.
const soloRegion = string(engine.R)

const deviationsOf = `SELECT 'incident_waiver.reason', w.id, c.id, c.number, w.region, w.guard, w.asker, w.other, w.reason, w.agreed, c.round <> w.round OR c.l IN ('L6', 'LX'), c.closed
		FROM incident_waiver w JOIN incident_case c ON c.id = w.case_id WHERE w.agreed IS NOT NULL AND NOT c.drill
	UNION ALL SELECT 'incident_solo.reason', o.id, c.id, c.number, '` + soloRegion + `', o.guard, o.person, '', o.reason, o.passed, c.round <> o.round OR c.l IN ('L6', 'LX'), c.closed
		FROM incident_solo o JOIN incident_case c ON c.id = o.case_id WHERE o.passed IS NOT NULL AND NOT c.drill
	ORDER BY 10 DESC, 2 DESC LIMIT 500`
