package incident

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/breach"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Past is what the server knows of the time before data was lost.
type Past interface {
	// Onsets are what happened within a time and may have damaged the data: each with its kind,
	// and with its entry where it has one.
	Onsets(ctx context.Context, from, until time.Time) ([]Onset, error)
}

// The kinds of what may have damaged data.
const (
	OnsetDeploy  = "deploy"        // another version of the application, or of its schema
	OnsetMass    = "mass-change"   // many rows or requests at once
	OnsetStaff   = "staff"         // staff who changed something, or came to where they can
	OnsetAlarm   = "alarm"         // it fired
	OnsetSetting = "configuration" // a setting that was changed
	OnsetUnknown = "unknown"       // what the record does not tell
)

const (
	lookBack   = 48 * time.Hour // before the incident is said to have begun
	mostOnsets = 200
)

// TendOnsets looks once through the record of each loss that has begun, beside the deadlines: it
// may take a while.
func (s *Service) TendOnsets(ctx context.Context) error {
	fresh, err := s.cases(ctx, s.DB, unlooked)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range fresh {
		if s.world(c).Past == nil {
			continue
		}
		_, err := s.lookBack(ctx, actor.System("incident"), c, nil)
		if !errors.Is(err, fault.Conflict) { // else it went on meanwhile
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// LookBack looks through the record again for what may have damaged the data, with audits of
// databases that lie with the incident as files. Errors: *Kept, fault.Invalid (scope_audits).
func (s *Service) LookBack(ctx context.Context, who actor.Actor, ref string, audits []string) (Case, error) { // clause: inc.loss-restore
	if err := s.Access.Allow(ctx, who, access.IncidentAct, ""); err != nil {
		return Case{}, err
	}
	c, err := s.find(ctx, s.DB, ref)
	if err != nil {
		return Case{}, err
	}
	return s.lookBack(ctx, who, c, audits)
}

func (s *Service) lookBack(ctx context.Context, who actor.Actor, c Case, audits []string) (Case, error) {
	from, until := c.OnsetFrom.Add(-lookBack), s.Now()
	var found []Onset
	if p := s.world(c).Past; p != nil {
		some, err := p.Onsets(ctx, from, until)
		if err != nil {
			return Case{}, fmt.Errorf("look back for %s: %w", c.Ref(), err)
		}
		found = some
	}
	some, err := s.auditedOnsets(ctx, c, audits, from, until)
	if err != nil {
		return Case{}, err
	}
	found = append(found, some...)
	return s.change(ctx, who, c.ID, 0, func(tx *ledger.Tx, c *Case) (ledger.Event, error) {
		if at := c.States[engine.R]; at != "R0" && at != "R1" && !slices.Contains(planning, at) || !c.Open() {
			return nil, kept(*c, engine.R, "look-back", nil)
		}
		if st := (engine.Step{Event: "look-back", Role: engine.Recovery}); who.Kind != actor.Writ && !s.mayTake(ctx, tx, who, *c, st) {
			return nil, roleLacks(*c, engine.R, st)
		}
		x, err := readLoss(ctx, tx, *c)
		if errors.Is(err, fault.NotFound) {
			err = fault.Newf(fault.Conflict, "not_begun", "Nothing is known of this recovery yet. Try again in a moment.")
		}
		if err != nil {
			return nil, err
		}
		all := slices.DeleteFunc(x.Onsets, func(o Onset) bool { return o.Kind != "" }) // what copies showed stays
		all = append(all, found...)
		slices.SortStableFunc(all, func(a, b Onset) int { return cmp.Or(a.From.Compare(b.From), cmp.Compare(a.Kind, b.Kind)) })
		all = all[max(0, len(all)-mostOnsets):]
		b, err := json.Marshal(all)
		if err != nil {
			return nil, fmt.Errorf("encode what may have damaged data: %w", err)
		}
		kinds := []string{}
		for _, o := range all {
			if o.Kind != "" && !slices.Contains(kinds, o.Kind) {
				kinds = append(kinds, o.Kind)
			}
		}
		slices.Sort(kinds)
		_, err = tx.Exec(ctx, setOnsets, c.ID, c.Round, string(b), us(tx.Now()))
		return OnsetsFound{Incident: c.ID, Round: c.Round, Count: int64(len(all)), Kinds: kinds, Hash: digest(string(b)), Audits: audits}, err
	})
}

// auditedOnsets are what audits of databases tell of rows and tables that were changed.
func (s *Service) auditedOnsets(ctx context.Context, c Case, files []string, from, until time.Time) (out []Onset, err error) {
	if len(files) > mostAudits {
		return nil, badPaper("scope", "audits", fmt.Sprintf("At most %d files.", mostAudits))
	}
	for _, id := range files {
		f, body, err := s.file(ctx, c, id)
		if err != nil {
			return nil, err
		}
		all, err := breach.Changes(body.Reveal(), from, until)
		if err != nil {
			return nil, notAudit(f.Name, err)
		}
		for _, x := range all {
			kind, says := OnsetMass, fmt.Sprintf("%s of %s in the database %s, by %s: ", x.Command, x.Object, x.Database, x.User)
			switch {
			case x.Schema:
				kind, says = OnsetDeploy, says+"its structure was changed"
			case x.Rows < 0:
				says += "the audit does not say how many rows"
			default:
				says += fmt.Sprintf("%d rows", x.Rows)
			}
			out = append(out, Onset{From: x.From, To: x.Until, Kind: kind, Says: says + ", as " + f.Name + " tells"})
		}
	}
	return out, nil
}

// endOf is the end of the candidate that begins then; zero = there is none.
func (x lossRow) endOf(onset time.Time) time.Time {
	for _, o := range x.Onsets {
		if o.From.Equal(onset) {
			return o.To
		}
	}
	return time.Time{}
}

const (
	unlooked  = caseColumns + ` WHERE r IN ('R0', 'R1', 'R2', 'R3', 'R4') AND l NOT IN ('L6', 'LX') AND EXISTS (SELECT 1 FROM incident_loss x WHERE x.case_id = incident_case.id AND x.round = incident_case.round AND x.looked IS NULL) ORDER BY id LIMIT 50`
	setOnsets = `UPDATE incident_loss SET onsets = $3, looked = $4 WHERE case_id = $1 AND round = $2`
)
