package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"writ/internal/access"
	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/ledger"
)

// The states of a component, the best first.
const (
	Operational   = "operational"
	UnderWork     = "under_maintenance"
	Degraded      = "degraded_performance"
	PartialOutage = "partial_outage"
	MajorOutage   = "major_outage"
)

// States are those of a component, the best first.
func States() []string {
	return []string{Operational, UnderWork, Degraded, PartialOutage, MajorOutage}
}

// Component is a part of the service that the public knows.
type Component struct {
	ID    string
	Name  string
	Group string
	Place int
	State string
	Since time.Time
	Made  time.Time

	Covers []string // what it stands on, as the label instance of alarms names it
}

// Components lists those that are shown, in their order.
func (s *Service) Components(ctx context.Context) ([]Component, error) {
	return components(ctx, s.DB, listComponents)
}

func components(ctx context.Context, r ledger.Reader, query string, args ...any) ([]Component, error) {
	var out []Component
	err := r.Each(ctx, query, func(scan ledger.Scan) error {
		var c Component
		var since, made int64
		var covers string
		err := scan(&c.ID, &c.Name, &c.Group, &c.Place, &c.State, &since, &made, &covers)
		c.Since, c.Made, c.Covers = at(since), at(made), strings.Fields(covers)
		out = append(out, c)
		return err
	}, args...)
	if err != nil {
		return nil, fmt.Errorf("read components: %w", err)
	}
	return out, nil
}

func (s *Service) component(ctx context.Context, id string) (Component, error) {
	cs, err := components(ctx, s.DB, oneComponent, id)
	if err == nil && len(cs) == 0 {
		err = fault.New(fault.NotFound, "component_unknown", fault.Public{Problem: "There is no such component.", Next: "Look at the list: writ incident status"})
	}
	if err != nil {
		return Component{}, err
	}
	return cs[0], nil
}

// Add puts a component on the page.
func (s *Service) Add(ctx context.Context, who actor.Actor, name, group string) (Component, error) {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/components"); err != nil {
		return Component{}, err
	}
	name, group = strings.TrimSpace(name), strings.TrimSpace(group)
	for field, v := range map[string]string{"name": name, "group": group} {
		if n := utf8.RuneCountInString(v); n > 60 || n == 0 && field == "name" || !utf8.ValidString(v) || strings.ContainsFunc(v, unicode.IsControl) {
			return Component{}, fault.New(fault.Invalid, "component_"+field, fault.Public{Problem: "A component has a name of 1 to 60 characters on one line, and perhaps a group.",
				Fields: []fault.Field{{Name: field, Code: "component_" + field, Problem: "1 to 60 characters on one line."}}})
		}
	}
	c := Component{ID: newID(), Name: name, Group: group, State: Operational}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		if err := ledger.One(ctx, tx, lastPlace, []any{&c.Place}); err != nil {
			return nil, err
		}
		c.Place++
		c.Since, c.Made = tx.Now(), tx.Now()
		if _, err := tx.Exec(ctx, insertComponent, c.ID, c.Name, c.Group, c.Place, c.State, us(tx.Now())); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, openSpan, tx.ID(), c.ID, c.State, us(tx.Now())); err != nil {
			return nil, err
		}
		return ComponentAdded{Component: c.ID, Name: c.Name, Group: c.Group}, touch(ctx, tx)
	})
	if err != nil {
		return Component{}, fmt.Errorf("add component: %w", err)
	}
	return c, s.Refresh(ctx)
}

// Retire takes a component from the page. Its bars stay in the record.
func (s *Service) Retire(ctx context.Context, who actor.Actor, id string) error {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/components"); err != nil {
		return err
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, retire, id, us(tx.Now()))
		if err == nil && n == 0 {
			err = fault.Newf(fault.NotFound, "component_unknown", "There is no such component.")
		}
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(ctx, endSpan, id, us(tx.Now())); err != nil {
			return nil, err
		}
		return ComponentRetired{Component: id}, touch(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("retire component: %w", err)
	}
	return s.Refresh(ctx)
}

// Set says how a component is, outside an incident too.
func (s *Service) Set(ctx context.Context, who actor.Actor, id, state string) error {
	if err := s.Access.Allow(ctx, who, access.IncidentAct, "status/components"); err != nil {
		return err
	}
	if !slices.Contains(States(), state) {
		return fault.New(fault.Invalid, "component_state", fault.Public{Problem: "A component is not " + cut(state) + ".", Expected: "One of: " + strings.Join(States(), ", ") + "."})
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		return ComponentSet{Component: id, State: state}, errors.Join(setState(ctx, tx, id, state), touch(ctx, tx))
	})
	if err != nil {
		return fmt.Errorf("set component: %w", err)
	}
	return s.Refresh(ctx)
}

// mostCovered is how many things a component may stand on.
const mostCovered = 20

// Cover says what a component stands on, such as upstream/unzoned, as the label instance of alarms
// names it: while maintenance that touches the component is under way, alarms of load and traffic
// about these are no news.
func (s *Service) Cover(ctx context.Context, who actor.Actor, id string, on []string) error { // clause: mon.notify
	if err := s.Access.Allow(ctx, who, access.WatchManage, "status/components"); err != nil {
		return err
	}
	for _, v := range on {
		if v == "" || len(v) > 100 || strings.ContainsFunc(v, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) || !utf8.ValidString(v) {
			on = make([]string, mostCovered+1)
		}
	}
	if len(on) > mostCovered {
		says := fmt.Sprintf("At most %d names of alarms' instances, each without spaces and of at most 100 bytes, such as upstream/unzoned.", mostCovered)
		return fault.New(fault.Invalid, "component_covers", fault.Public{Problem: "This is nothing that a component could stand on.", Expected: says, Fields: []fault.Field{{Name: "covers", Code: "component_covers", Problem: says}}})
	}
	_, err := s.DB.Change(ctx, who, func(tx *ledger.Tx) (ledger.Event, error) {
		n, err := tx.Exec(ctx, cover, id, strings.Join(on, " "))
		if err == nil && n == 0 {
			err = fault.Newf(fault.NotFound, "component_unknown", "There is no such component.")
		}
		return ComponentCovered{Component: id, Covers: on}, errors.Join(err, touch(ctx, tx))
	})
	if err != nil {
		return fmt.Errorf("cover: %w", err)
	}
	return s.Refresh(ctx)
}

func cut(v string) string {
	r := []rune(v)
	return fmt.Sprintf("%q", string(r[:min(len(r), 40)]))
}

// Turn sets those of the components, nil = all that are shown, that are in a state to another one,
// and tells which those were.
func (s *Service) Turn(ctx context.Context, tx *ledger.Tx, of []string, from, to string) ([]string, error) {
	cs, err := components(ctx, tx, listComponents)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, c := range cs {
		if c.State != from || of != nil && !slices.Contains(of, c.ID) {
			continue
		}
		if err := setState(ctx, tx, c.ID, to); err != nil {
			return nil, err
		}
		out = append(out, c.ID)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, touch(ctx, tx)
}

// setState begins a new span of a component, where its state is another.
func setState(ctx context.Context, tx *ledger.Tx, id, state string) error {
	var now string
	if err := ledger.One(ctx, tx, stateOf, []any{&now}, id); errors.Is(err, fault.NotFound) {
		return fault.Newf(fault.NotFound, "component_unknown", "There is no such component.")
	} else if err != nil || now == state {
		return err
	}
	for _, q := range []string{endSpan, setSince} {
		if _, err := tx.Exec(ctx, q, id, us(tx.Now())); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(ctx, openSpan, tx.ID(), id, state, us(tx.Now())); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, putState, id, state)
	return err
}

const (
	listComponents  = `SELECT id, name, grp, place, state, since, made, covers FROM incident_status_component WHERE retired IS NULL ORDER BY place, id`
	oneComponent    = `SELECT id, name, grp, place, state, since, made, covers FROM incident_status_component WHERE retired IS NULL AND id = $1`
	lastPlace       = `SELECT COALESCE(MAX(place), 0) FROM incident_status_component`
	insertComponent = `INSERT INTO incident_status_component (id, name, grp, place, state, since, made, retired) VALUES ($1, $2, $3, $4, $5, $6, $6, NULL)`
	retire          = `UPDATE incident_status_component SET retired = $2 WHERE id = $1 AND retired IS NULL`
	cover           = `UPDATE incident_status_component SET covers = $2 WHERE id = $1 AND retired IS NULL`
	stateOf         = `SELECT state FROM incident_status_component WHERE id = $1 AND retired IS NULL`
	putState        = `UPDATE incident_status_component SET state = $2 WHERE id = $1`
	setSince        = `UPDATE incident_status_component SET since = $2 WHERE id = $1`
	openSpan        = `INSERT INTO incident_status_span (id, component, state, since, until) VALUES ($1, $2, $3, $4, NULL)`
	endSpan         = `UPDATE incident_status_span SET until = $2 WHERE component = $1 AND until IS NULL`
)
