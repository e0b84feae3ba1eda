package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/incident/engine"
	"writ/internal/ledger"
)

// Case is one incident.
type Case struct {
	ID         string
	Number     int64
	Drill      bool
	Round      int64 // rises when it is reopened
	Version    int64 // rises with each change
	Title      string
	Source     string
	Component  string
	DeclaredBy string // person id, or kind/id
	Severity   int
	Categories []string
	States     map[engine.Region]string
	OnsetFrom  time.Time
	OnsetTo    time.Time
	Declared   time.Time
	Taken      time.Time // acknowledged
	Sorted     time.Time
	Mitigated  time.Time
	Resolved   time.Time
	Closed     time.Time
	Green      time.Time // since when the impact is over
	Review     time.Time // since when it is being reviewed
	Decided    bool      // who is affected was decided
	Joined     string

	title []byte
	epoch Epoch // of the try that acts for it
}

// Ref is how people speak of it: I-12, and D-3 for a drill.
func (c Case) Ref() string {
	if c.Drill {
		return "D-" + strconv.FormatInt(c.Number, 10)
	}
	return "I-" + strconv.FormatInt(c.Number, 10)
}

// Open reports whether it still needs somebody.
func (c Case) Open() bool { return c.States[engine.L] != "L6" && c.States[engine.L] != "LX" }

// State is the lifecycle's state in one word.
func (c Case) State() string {
	m, _ := engine.Of(engine.L)
	st, _ := m.State(c.States[engine.L])
	return st.Name
}

func thing(id string) string { return "incident/" + id }

// List shows incidents, the newest first, at most 200; with open only those that need somebody.
func (s *Service) List(ctx context.Context, who actor.Actor, open bool) ([]Case, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentRead, ""); err != nil {
		return nil, err
	}
	query := allCases
	if open {
		query = openCases
	}
	return s.cases(ctx, s.DB, query)
}

func (s *Service) cases(ctx context.Context, r ledger.Reader, query string, args ...any) ([]Case, error) {
	var out []Case
	err := r.Each(ctx, query, func(scan ledger.Scan) error {
		c, err := readCase(scan)
		out = append(out, c)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	for i := range out {
		if out[i].Title, err = s.open(ctx, "incident_case.title", out[i].ID, out[i].title); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func readCase(scan ledger.Scan) (Case, error) {
	var c Case
	var severity, onset, declared int64
	var onsetTo, taken, sorted, mitigated, resolved, closed, green, review *int64
	var kinds, l, pub, r, b, f string
	if err := scan(&c.ID, &c.Number, &c.Drill, &c.Round, &c.Version, &c.title, &c.Source, &c.Component, &c.DeclaredBy, &severity, &kinds, &l, &pub, &r, &b, &f,
		&onset, &onsetTo, &declared, &taken, &sorted, &mitigated, &resolved, &closed, &green, &review, &c.Decided, &c.Joined); err != nil {
		return Case{}, err
	}
	c.Severity, c.Categories, c.States = int(severity), strings.Fields(kinds), map[engine.Region]string{}
	for region, at := range map[engine.Region]string{engine.L: l, engine.C: pub, engine.R: r, engine.B: b, engine.F: f} {
		if at != "" {
			c.States[region] = at
		}
	}
	c.OnsetFrom, c.OnsetTo, c.Declared, c.Taken, c.Sorted, c.Mitigated = at(onset), when(onsetTo), at(declared), when(taken), when(sorted), when(mitigated)
	c.Resolved, c.Closed, c.Green, c.Review = when(resolved), when(closed), when(green), when(review)
	return c, nil
}

// find is the incident of a reference: I-12, D-3, 12 or an id.
func (s *Service) find(ctx context.Context, r ledger.Reader, ref string) (Case, error) {
	unknown := fault.New(fault.NotFound, "incident_unknown", fault.Public{Problem: "There is no such incident.", Expected: "A number such as I-12.", Next: "Look at the list: writ incident list"})
	kind, number, cut := strings.Cut(strings.ToUpper(ref), "-")
	if !cut {
		kind, number = "I", kind
	}
	query, args := oneCase, []any{ref}
	if n, err := strconv.ParseInt(number, 10, 32); err == nil && (kind == "I" || kind == "D") {
		query, args = numberedCase, []any{kind == "D", n}
	}
	cs, err := s.cases(ctx, r, query, args...)
	if err == nil && len(cs) == 0 {
		err = unknown
	}
	if err != nil {
		return Case{}, err
	}
	return cs[0], nil
}

// lock takes an incident for the change that runs and reads it as it is then. version is the
// one that the caller has seen; 0 = whatever it is.
func lock(ctx context.Context, tx *ledger.Tx, id string, version int64) (Case, error) {
	if n, err := tx.Exec(ctx, bumpCase, id); err != nil || n != 1 {
		return Case{}, errors.Join(err, fault.Newf(fault.NotFound, "incident_unknown", "There is no such incident."))
	}
	var c Case
	err := tx.Each(ctx, oneCase, func(scan ledger.Scan) (err error) {
		c, err = readCase(scan)
		return err
	}, id)
	if err == nil && version != 0 && c.Version != version+1 {
		err = fault.New(fault.Conflict, "incident_changed", fault.Public{Problem: "Somebody has changed this incident since you looked.", Expected: "What it was when you opened it.", Next: "Look again; what you wanted may be done."})
	}
	return c, err
}

// move writes where a region stands from now on, and when that was.
func move(ctx context.Context, tx *ledger.Tx, c *Case, r engine.Region, to string) error {
	if _, err := tx.Exec(ctx, moves[r], c.ID, to); err != nil {
		return err
	}
	c.States[r] = to
	return nil
}

// stampOf is the column that keeps when the lifecycle came to a state.
var stampOf = map[string]string{"L1": setTaken, "L2": setSorted, "L3": setMitigated, "L4": setResolved, "L5": setReview, "L6": setClosed, "LX": setClosed}

var moves = map[engine.Region]string{
	engine.L: `UPDATE incident_case SET l = $2 WHERE id = $1`,
	engine.C: `UPDATE incident_case SET c = $2 WHERE id = $1`,
	engine.R: `UPDATE incident_case SET r = $2 WHERE id = $1`,
	engine.B: `UPDATE incident_case SET b = $2 WHERE id = $1`,
	engine.F: `UPDATE incident_case SET f = $2 WHERE id = $1`,
}

func kindsText(kinds []string) string {
	out := slices.Clone(kinds)
	slices.Sort(out)
	return strings.Join(slices.Compact(out), " ")
}

const (
	caseColumns = `SELECT id, number, drill, round, version, title, source, component, declared_by, severity, categories, l, c, r, b, f,
		onset_from, onset_to, declared, acknowledged, sorted, mitigated, resolved, closed, green, review, decided, joined FROM incident_case`
	allCases     = caseColumns + ` ORDER BY declared DESC, id DESC LIMIT 200`
	openCases    = caseColumns + ` WHERE l NOT IN ('L6', 'LX') ORDER BY declared DESC, id DESC LIMIT 200`
	oneCase      = caseColumns + ` WHERE id = $1`
	numberedCase = caseColumns + ` WHERE drill = $1 AND number = $2`
	nearCases    = caseColumns + ` WHERE l NOT IN ('L6', 'LX') AND drill = $1 AND component = $2 AND declared > $3 AND id <> $4 ORDER BY declared DESC LIMIT 5`
	bumpCase     = `UPDATE incident_case SET version = version + 1 WHERE id = $1`
	setTaken     = `UPDATE incident_case SET acknowledged = COALESCE(acknowledged, $2) WHERE id = $1`
	setSorted    = `UPDATE incident_case SET sorted = COALESCE(sorted, $2) WHERE id = $1`
	setMitigated = `UPDATE incident_case SET mitigated = $2 WHERE id = $1`
	setResolved  = `UPDATE incident_case SET resolved = $2 WHERE id = $1`
	setReview    = `UPDATE incident_case SET review = $2 WHERE id = $1`
	setClosed    = `UPDATE incident_case SET closed = $2 WHERE id = $1`
	setGreen     = `UPDATE incident_case SET green = $2 WHERE id = $1`
)
