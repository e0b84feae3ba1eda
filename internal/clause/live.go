package clause

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Values are the typed values of a policy by "clause-id/parameter". A value is one
// of bool, int64 (int; percent in basis points; size in bytes), time.Duration,
// string (enum, ref, text, cron, date), []string (set), []netip.Prefix (cidr-set)
// or [][]string (table).
type Values map[string]any

// Period says that Values hold from a moment until the next Period's From.
type Period struct {
	From   time.Time
	Values Values
}

// Binding is one field of a module's rules and the parameter that drives it.
type Binding struct {
	Key  string // clause-id/parameter
	Type reflect.Type
	Rule string // module field, for messages
}

// Slot is a module's rules as the policy sees them.
type Slot interface {
	// Bindings lists every field with the parameter it obeys.
	Bindings() []Binding
	// Check decodes and validates without effect.
	Check(Values) error
	// Set swaps the whole timeline. Periods are sorted; the first one is in force
	// before its From as well.
	Set([]Period) error
	// Running gives back the values the module obeys now, read from its rules.
	Running() Values
}

// Validator is implemented by Rules that constrain fields against each other.
type Validator interface{ Validate() error }

// Live holds a module's rules in force. Get is a pointer read and a comparison.
type Live[R any] struct {
	now   func() time.Time
	spans atomic.Pointer[[]span[R]]
}

type span[R any] struct {
	from  time.Time
	rules R
}

// NewLive makes an empty Live; it must be Set before Get.
func NewLive[R any](now func() time.Time) *Live[R] {
	if now == nil {
		panic("clause: NewLive without a clock")
	}
	if err := checkTags(reflect.TypeFor[R]()); err != nil {
		panic(err)
	}
	return &Live[R]{now: now}
}

// Get returns the rules in force now. The result must not be changed.
func (l *Live[R]) Get() *R { return l.At(l.now()) }

// At returns the rules in force at t.
func (l *Live[R]) At(t time.Time) *R {
	p := l.spans.Load()
	if p == nil {
		panic(fmt.Sprintf("clause: rules %T read before a policy was adopted", *new(R)))
	}
	spans := *p
	for i := len(spans) - 1; i > 0; i-- {
		if !t.Before(spans[i].from) {
			return &spans[i].rules
		}
	}
	return &spans[0].rules
}

// Bindings implements Slot.
func (l *Live[R]) Bindings() []Binding {
	var bs []Binding
	t := reflect.TypeFor[R]()
	for f := range t.Fields() {
		bs = append(bs, Binding{Key: f.Tag.Get("clause"), Type: f.Type, Rule: t.String() + "." + f.Name})
	}
	return bs
}

// Check implements Slot.
func (l *Live[R]) Check(v Values) error { _, err := Decode[R](v); return err }

// Set implements Slot.
func (l *Live[R]) Set(ps []Period) error {
	if len(ps) == 0 {
		return errors.New("clause: an empty timeline")
	}
	if !slices.IsSortedFunc(ps, func(a, b Period) int { return a.From.Compare(b.From) }) {
		return errors.New("clause: timeline out of order")
	}
	spans := make([]span[R], 0, len(ps))
	for _, p := range ps {
		r, err := Decode[R](p.Values)
		if err != nil {
			return err
		}
		spans = append(spans, span[R]{p.From, r})
	}
	l.spans.Store(&spans)
	return nil
}

// Running implements Slot.
func (l *Live[R]) Running() Values {
	out := Values{}
	v := reflect.ValueOf(l.Get()).Elem()
	for f, x := range v.Fields() {
		out[f.Tag.Get("clause")] = plain(x)
	}
	return out
}

func plain(x reflect.Value) any {
	if x.CanInt() && x.Type() != reflect.TypeFor[time.Duration]() {
		return x.Int()
	}
	return x.Interface()
}

// Decode fills a Rules struct from values. Every field needs its parameter, with
// the field's type; the error lists all that are missing or of another type.
func Decode[R any](vals Values) (R, error) {
	var r R
	var errs []error
	v := reflect.ValueOf(&r).Elem()
	for f, x := range v.Fields() {
		key := f.Tag.Get("clause")
		val, ok := vals[key]
		if !ok {
			errs = append(errs, fmt.Errorf("rule %s.%s: the policy has no parameter %s", v.Type(), f.Name, key))
			continue
		}
		if err := assign(x, val); err != nil {
			errs = append(errs, fmt.Errorf("type of %s: %w", key, err))
		}
	}
	if len(errs) > 0 {
		return r, errors.Join(errs...)
	}
	if c, ok := any(&r).(Validator); ok {
		return r, c.Validate()
	}
	if c, ok := any(r).(Validator); ok {
		return r, c.Validate()
	}
	return r, nil
}

func assign(x reflect.Value, val any) error {
	v := reflect.ValueOf(val)
	switch {
	case v.Type() == x.Type():
		x.Set(v)
	case v.Type() == reflect.TypeFor[int64]() && (x.Kind() == reflect.Int || x.Kind() == reflect.Int64) && x.Type() != reflect.TypeFor[time.Duration]():
		x.SetInt(v.Int())
	case v.Kind() == reflect.String && x.Kind() == reflect.String:
		x.SetString(v.String())
	default:
		return fmt.Errorf("policy gives %s, rule is %s", v.Type(), x.Type())
	}
	return nil
}

var ruleTypes = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int](), reflect.TypeFor[int64](), reflect.TypeFor[time.Duration](),
	reflect.TypeFor[string](), reflect.TypeFor[[]string](), reflect.TypeFor[[]netip.Prefix](), reflect.TypeFor[[][]string](),
}

func checkTags(t reflect.Type) error {
	for f := range t.Fields() {
		if !strings.Contains(f.Tag.Get("clause"), "/") {
			return fmt.Errorf("clause: rule %s.%s has no clause tag", t, f.Name)
		}
		if !slices.Contains(ruleTypes, f.Type) && f.Type.Kind() != reflect.String {
			return fmt.Errorf("clause: rule %s.%s has type %s, which no parameter has", t, f.Name, f.Type)
		}
	}
	return nil
}
