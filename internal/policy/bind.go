package policy

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/policy/document"
)

// binding says how strictly a policy is bound to the rules.
type binding int

const (
	proposed binding = iota // every rule needs its parameter, every parameter its rule
	running                 // what an older revision lacks takes the shipped default
)

// bind gives the values the modules obey under p. Under running, unbound names the
// clauses whose parameters p lacks; under proposed that is an error.
func (s *Service) bind(p *document.Policy, how binding) (vals clause.Values, unbound map[string]string, err error) {
	vals = p.Values()
	unbound = map[string]string{}
	var errs []error
	bound := map[string]bool{}
	for _, slot := range s.slots {
		for _, b := range slot.Bindings() {
			bound[b.Key] = true
			if err := s.bindRule(vals, unbound, b, how); err != nil {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, s.bindParams(p, bound, unbound, how)...)
	return vals, unbound, errors.Join(errs...)
}

// bindRule finds the parameter of one rule.
func (s *Service) bindRule(vals clause.Values, unbound map[string]string, b clause.Binding, how binding) error {
	_, name, _ := strings.Cut(b.Key, "/")
	if v, ok := vals[b.Key]; ok {
		if !fits(v, b.Type) {
			if d, ok := s.template.Param(b.Key); ok && how == running && fits(d.Value, b.Type) {
				s.substitute(vals, unbound, b.Key, fmt.Sprintf("the revision's %s is of another type than this build's", name))
				return nil
			}
			return fmt.Errorf("type of %s is %s, rule %s is %s", b.Key, typeName(v), b.Rule, b.Type)
		}
		return nil
	}
	if _, ok := s.template.Param(b.Key); !ok {
		return fmt.Errorf("rule %s belongs to no clause: there is no parameter %s", b.Rule, b.Key)
	}
	if how == proposed {
		return fmt.Errorf("rule %s needs the parameter %s, which the policy lacks; writ policy propose --template adds it", b.Rule, b.Key)
	}
	s.substitute(vals, unbound, b.Key, "the revision has no parameter "+name)
	return nil
}

// substitute has the modules obey the shipped default of a parameter, and says so.
func (s *Service) substitute(vals clause.Values, unbound map[string]string, key, why string) {
	d, ok := s.template.Param(key)
	if !ok {
		return
	}
	id, _, _ := strings.Cut(key, "/")
	vals[key] = d.Value
	unbound[id] = fmt.Sprintf("%s; the shipped default %s holds until a revision changes it", why, d.Literal)
}

// mend lets a newer build start on an older revision: what its rules refuse by now takes
// the shipped default, of one clause where that is enough, else of the whole module. The
// clauses are unbound then, and said to be. Proposals are never mended.
func (s *Service) mend(vals clause.Values, unbound map[string]string) {
	for _, slot := range s.slots {
		cause := slot.Check(vals)
		if cause == nil {
			continue
		}
		why := "this build refuses what the revision says: " + strings.ReplaceAll(cause.Error(), "\n", "; ")
		byClause := map[string][]string{}
		var all []string
		for _, b := range slot.Bindings() {
			id, _, _ := strings.Cut(b.Key, "/")
			byClause[id] = append(byClause[id], b.Key)
			all = append(all, b.Key)
		}
		keys := all
		for _, id := range slices.Sorted(maps.Keys(byClause)) {
			if slot.Check(s.shipped(vals, byClause[id])) == nil {
				keys = byClause[id]
				break
			}
		}
		for _, key := range keys {
			if d, ok := s.template.Param(key); ok && !reflect.DeepEqual(d.Value, vals[key]) {
				s.substitute(vals, unbound, key, why)
			}
		}
	}
}

// shipped is a copy of vals with the shipped defaults of some parameters.
func (s *Service) shipped(vals clause.Values, keys []string) clause.Values {
	out := maps.Clone(vals)
	for _, key := range keys {
		if d, ok := s.template.Param(key); ok {
			out[key] = d.Value
		}
	}
	return out
}

// bindParams finds parameters that drive nothing, in clauses that this build checks.
func (s *Service) bindParams(p *document.Policy, bound map[string]bool, unbound map[string]string, how binding) []error {
	var errs []error
	for c, a := range p.Params() {
		key := c.Key(a.Name)
		if !s.upheld[c.ID] || bound[key] || s.shown[key] || a.Silent || a.Type == document.Text {
			continue
		}
		if _, shipped := s.template.Param(key); how == running && !shipped {
			unbound[c.ID] = "this build has no rule for the parameter " + a.Name
			continue
		}
		errs = append(errs, fmt.Errorf("clause %s: parameter %s has no rule in module %s", c.ID, a.Name, c.By))
	}
	return errs
}

func typeName(v any) string {
	switch v.(type) {
	case time.Duration:
		return "duration"
	case int64:
		return "int"
	case []string:
		return "set"
	case [][]string:
		return "table"
	}
	return reflect.TypeOf(v).String()
}

// fits reports whether clause.Decode would take v for a rule of type t.
func fits(v any, t reflect.Type) bool {
	vt := reflect.TypeOf(v)
	switch {
	case vt == t:
		return true
	case vt.Kind() == reflect.Int64 && vt != reflect.TypeFor[time.Duration]():
		return (t.Kind() == reflect.Int || t.Kind() == reflect.Int64) && t != reflect.TypeFor[time.Duration]()
	}
	return vt.Kind() == reflect.String && t.Kind() == reflect.String
}

// check asks every module about every period, without effect.
func (s *Service) check(ps []clause.Period) error {
	var errs []error
	for _, p := range ps {
		for _, slot := range s.slots {
			if err := slot.Check(p.Values); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// spoils is what check says of next and does not say of what holds already.
func (s *Service) spoils(next, now []clause.Period) error {
	var errs []error
	for _, slot := range s.slots {
		refuses := func(p clause.Period) bool { return slot.Check(p.Values) != nil }
		if i := slices.IndexFunc(next, refuses); i >= 0 && !slices.ContainsFunc(now, refuses) {
			errs = append(errs, slot.Check(next[i].Values))
		}
	}
	return errors.Join(errs...)
}

// unbindable makes a fault of what bind or check say.
func unbindable(err error) *fault.Error {
	return fault.New(fault.Invalid, "unbindable", fault.Public{
		Problem: "The modules could not obey this policy: " + strings.ReplaceAll(err.Error(), "\n", "; ") + ".",
		Next:    "Change the policy and propose it again. The revision before stays in force."})
}

// timeline is what the policy says from now on: the revision in force, those that are
// scheduled, and every exception with its end. unbound is of the first period.
func (s *Service) timeline(b *book, now time.Time) (periods []clause.Period, unbound map[string]string, err error) {
	for _, at := range b.moments(now) {
		p, _, err := s.effective(b, at)
		if err != nil {
			return nil, nil, err
		}
		vals, missing, err := s.bind(p, running)
		if err != nil {
			return nil, nil, fmt.Errorf("bind revision %s: %w", b.at(at).Version, err)
		}
		if unbound == nil {
			unbound = missing
		}
		periods = append(periods, clause.Period{From: at, Values: vals})
	}
	return periods, unbound, nil
}

// moments are when values change, sorted: the last one that is not after now, and all later ones.
func (b *book) moments(now time.Time) []time.Time {
	all := map[int64]bool{micros(b.chain[0].HoldsFrom): true}
	for _, r := range b.chain {
		all[micros(r.HoldsFrom)] = true
	}
	for _, e := range b.exceptions {
		if !e.Starts.IsZero() {
			all[micros(e.Starts)], all[micros(e.Ends)] = true, true
		}
	}
	sorted := slices.Sorted(maps.Keys(all))
	first := 0
	for i, us := range sorted {
		if us <= micros(now) {
			first = i
		}
	}
	var out []time.Time
	for _, us := range sorted[first:] {
		out = append(out, fromMicros(us))
	}
	return out
}

// effective is the policy at t with its live exceptions in place. An exception that
// the revision of that time has no room for (parameter gone, value outside its range)
// does not hold.
func (s *Service) effective(b *book, t time.Time) (*document.Policy, []Exception, error) {
	p, err := s.document(b.at(t))
	if err != nil {
		return nil, nil, err
	}
	p, held := s.deviating(b, p, t)
	return p, held, nil
}

// deviating is a policy with the exceptions that live at t in place.
func (s *Service) deviating(b *book, p *document.Policy, t time.Time) (*document.Policy, []Exception) {
	var held []Exception
	for _, e := range b.exceptions {
		if !e.live(t) { // clause: gov.exceptions
			continue
		}
		a, ok := p.Param(e.Param)
		if !ok {
			continue
		}
		if q := s.apply(p, a, e); q != nil {
			p, held = q, append(held, e)
		}
	}
	return p, held
}

// applied names the policy that an exception makes of another.
type applied struct {
	base         *document.Policy
	param, value string
}

// apply puts an exception's value into a policy; nil when the policy has no room for it.
// Policies are immutable and each report asks again, so the answer is kept.
func (s *Service) apply(p *document.Policy, a *document.Param, e Exception) *document.Policy {
	key := applied{p, e.Param, e.Value}
	if q, ok := s.excepted.Load(key); ok {
		return q.(*document.Policy)
	}
	q, ps := document.Apply(p, map[string]document.Literal{e.Param: document.ParseLiteral(a.Type, e.Value)})
	if len(ps) > 0 {
		q = nil
	}
	s.excepted.Store(key, q)
	return q
}
