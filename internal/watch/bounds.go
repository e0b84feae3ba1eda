package watch

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limit is a number or a time at which a rule of the pack fires, or clears. A company sets it in the
// policy (mon.alarms, bounds); without a row it is as shipped. Count is how many entries within
// Within; Above what a reading must exceed, Clear what it must come down to, and For how long it must last.
type Limit struct {
	Rule    string
	Name    string // count, within, above, clear, for
	Value   string // in force
	Shipped string
	Least   string
	Most    string
	Policy  bool // the policy says so
}

const (
	mostBounds  = 200
	longestHold = 4 * time.Hour // of a reading, before it is an alarm
	wide        = 10            // a bound may be so many times what is shipped, or that part of it
)

// percents are readings that end at 100, beside those of requests.
var percents = []string{"host.cpu", "host.pressure", "host.memory", "host.disk", "host.inodes", "process.files", "db.connections"}

// bounds are what a policy may set of a rule. What watches trust, or watch itself, is as it is: a bound
// that nothing reaches is a rule that is switched off. So are rules that fire at whatever there is, and those
// that compare with what is usual, or with what other parameters of the policy say.
func (r *Rule) bounds() []Limit {
	if r.keeps() || r.Clause == tampering || r.Part == Cost || r.Clause == abnormal || r.ID == pushedRule {
		return nil
	}
	num := func(name string, v, least, most float64) Limit {
		return Limit{Rule: r.ID, Name: name, Value: number64(v), Shipped: number64(v), Least: number64(least), Most: number64(most)}
	}
	dur := func(name string, v, least, most time.Duration) Limit {
		return Limit{Rule: r.ID, Name: name, Value: clock(v), Shipped: clock(v), Least: clock(least), Most: clock(most)}
	}
	switch {
	case r.Over > 1:
		n := float64(r.Over)
		return []Limit{num("count", n, max(2, math.Ceil(n/wide)), n*wide), dur("within", r.Within, time.Minute, time.Hour)}
	case r.Reads == "" || math.Abs(r.Above) <= 0.5: // there is some, or there is none
		return nil
	}
	far, near := r.Above*wide, r.Above/wide
	if slices.Contains(percents, r.Reads) || strings.HasPrefix(r.Reads, "requests.") {
		far, near = 99, 1
	}
	least, most := min(far, near), max(far, near)
	low := least
	if c := min(r.Clear, r.Clear*wide, r.Clear/wide); c < low {
		low = c
	}
	return []Limit{num("above", r.Above, least, most), num("clear", r.Clear, low, most), dur("for", r.For, 0, longestHold)}
}

func number64(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// clock writes a time as the policy does: 90s, 15m, 4h.
func clock(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%dh", int(d.Hours()))
	case d >= time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	}
	return number64(d.Seconds()) + "s"
}

// readBounds are the rules of the pack with what the policy sets of them. Each row is the rule and the
// bound's name, and the value: "cpu-high above", "80".
func readBounds(rows [][]string) (*indexed, error) { // clause: mon.alarms
	if len(rows) == 0 {
		return index(), nil
	}
	if len(rows) > mostBounds {
		return nil, fmt.Errorf("mon.alarms: bounds: there are %d rows, expected at most %d", len(rows), mostBounds)
	}
	pack := Pack()
	for i := range pack {
		r := &pack[i]
		var mine []string
		for _, row := range rows {
			if len(row) != 2 {
				return nil, fmt.Errorf("mon.alarms: bounds: a row has %d columns, expected bound and value", len(row))
			}
			if id, name, ok := strings.Cut(row[0], " "); ok && id == r.ID {
				mine = append(mine, name+"="+row[1])
			}
		}
		if err := r.set(mine); err != nil {
			return nil, fmt.Errorf("mon.alarms: bounds: %w", err)
		}
	}
	for _, row := range rows {
		if id, _, ok := strings.Cut(row[0], " "); !ok || index().byID[id] == nil {
			return nil, fmt.Errorf("mon.alarms: bounds: %q names no rule and bound, expected for instance \"cpu-high above\": see writ watch rules --bounds", row[0])
		}
	}
	return indexOf(pack), nil
}

// set puts bounds of the form NAME=VALUE into a rule, and says so in its words. What a reading clears at
// keeps its distance where only the bound above it is set.
func (r *Rule) set(bounds []string) error {
	may := r.bounds()
	var says []string
	clears := false
	for _, text := range bounds {
		name, v, _ := strings.Cut(text, "=")
		i := slices.IndexFunc(may, func(b Limit) bool { return b.Name == name })
		if i < 0 {
			return r.errBound(name, may)
		}
		b := &may[i]
		if err := b.check(v); err != nil {
			return err
		}
		was := r.Above
		r.take(name, v)
		if name == "above" && !clears {
			r.Clear *= r.Above / was
		}
		clears = clears || name == "clear"
		says = append(says, name+" "+v+" instead of "+b.Shipped)
	}
	if r.Reads != "" && r.Clear > r.Above {
		return fmt.Errorf("%s would clear at %s and fire above %s: expected a value to clear at that is no higher", r.ID, number64(r.Clear), number64(r.Above))
	}
	if len(says) > 0 {
		r.Says += "; the policy says " + strings.Join(says, ", ")
	}
	r.tuned = bounds
	return nil
}

// take puts a value that was checked into the field that the bound names.
func (r *Rule) take(name, v string) {
	d, _ := time.ParseDuration(v) //nolint:errcheck // checked; of the other bounds it is none
	n, _ := strconv.ParseFloat(v, 64)
	switch name {
	case "count":
		r.Over = int64(n)
	case "within":
		r.Within = d
	case "above":
		r.Above = n
	case "clear":
		r.Clear = n
	case "for":
		r.For = d
	}
}

func (r *Rule) errBound(name string, may []Limit) error {
	if len(may) == 0 {
		return fmt.Errorf("%s has no bound that a policy sets (it fires at whatever there is, follows what is usual, or watches trust or watch itself): remove the row", r.ID)
	}
	var names []string
	for _, b := range may {
		names = append(names, b.Name)
	}
	return fmt.Errorf("%s has no bound %q: expected %s", r.ID, name, strings.Join(names, ", "))
}

// check refuses what is no value of the bound, or would make it useless.
func (b *Limit) check(v string) error {
	wrong := fmt.Errorf("%s %s is %q: expected %s to %s (shipped: %s)", b.Rule, b.Name, v, b.Least, b.Most, b.Shipped)
	if b.Name == "within" || b.Name == "for" {
		d, err := time.ParseDuration(v)
		least, err1 := time.ParseDuration(b.Least)
		most, err2 := time.ParseDuration(b.Most)
		if err != nil || err1 != nil || err2 != nil || d < least || d > most || d%time.Second != 0 {
			return wrong
		}
		return nil
	}
	n, err := strconv.ParseFloat(v, 64)
	least, err1 := strconv.ParseFloat(b.Least, 64)
	most, err2 := strconv.ParseFloat(b.Most, 64)
	if err != nil || err1 != nil || err2 != nil || !(n >= least && n <= most) || b.Name == "count" && n != math.Trunc(n) {
		return wrong
	}
	return nil
}

// Limits are the bounds that a policy may set of the rule, as they are in force.
func (r *Rule) Limits() []Limit {
	shipped := index().byID[r.ID]
	if shipped == nil {
		return nil
	}
	out := shipped.bounds()
	for i := range out {
		b := &out[i]
		b.Policy = slices.ContainsFunc(r.tuned, func(t string) bool { return strings.HasPrefix(t, b.Name+"=") })
		switch b.Name {
		case "count":
			b.Value = strconv.FormatInt(r.Over, 10)
		case "within":
			b.Value = clock(r.Within)
		case "above":
			b.Value = number64(r.Above)
		case "clear":
			b.Value = number64(r.Clear)
		case "for":
			b.Value = clock(r.For)
		}
	}
	return out
}

// pack are the rules of the pack as the policy in force has them.
func (s *Service) pack() *indexed {
	rules := s.Rules.Get()
	if p := s.packed.Load(); p != nil && p.of == rules {
		return p.rules
	}
	x, err := readBounds(rules.Bounds)
	if err != nil { // it was checked; if not, the rules are as shipped
		x = index()
	}
	s.packed.Store(&packed{rules, x})
	return x
}

// packed are rules, and the policy that they are of.
type packed struct {
	of    *Rules
	rules *indexed
}
