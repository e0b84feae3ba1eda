// Package policytest lends the shipped policy to the tests of modules that obey it.
package policytest

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"writ/internal/access"
	"writ/internal/clause"
	"writ/internal/policy/document"
	"writ/internal/policy/template"
)

var shipped = sync.OnceValue(func() clause.Values {
	p, ps := document.Load(template.YAML(), document.Shipped())
	if p == nil {
		panic(fmt.Sprint(ps))
	}
	return p.Values()
})

// Values are those of the shipped policy, in a map of the caller's own.
func Values() clause.Values { return maps.Clone(shipped()) }

// Access decides by the shipped table of roles.
func Access(log access.Recorder, now func() time.Time) *access.Access {
	a := access.New(access.Deps{Log: log, Now: now})
	for _, s := range a.Slots() {
		if err := s.Set([]clause.Period{{Values: Values()}}); err != nil {
			panic(err)
		}
	}
	return a
}
