package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/ledger"
)

type noLog struct{}

func (noLog) Refuse(_ context.Context, _ actor.Actor, _ ledger.Event, err error) error { return err }

// BenchmarkAllow asks with fifty roles in the table, each with half of the actions, and
// an actor who holds five of them. Mark: p99 <= 50 µs. The table is made past Validate,
// which knows six names.
func BenchmarkAllow(b *testing.B) {
	a := New(Deps{Log: noLog{}, Now: time.Now})
	r := &Rules{HostingAge: 12 * time.Hour}
	var words []string
	for i, x := range Actions() {
		if i%2 == 0 {
			words = append(words, string(x))
		}
	}
	staffRoles = slices.Clone(staffRoles)
	defer func(old []string) { staffRoles = old }(staffRoles)
	who := actor.Actor{Kind: actor.Person, ID: "x", Session: "s", TeamKind: "staff", ACR: 2, FactorAt: time.Now()}
	for i := range 50 {
		name := fmt.Sprintf("role-%02d", i)
		staffRoles = append(staffRoles, name)
		r.Roles = append(r.Roles, []string{name, "x", strings.Join(words, " ")})
		if i%10 == 9 {
			who.Roles = append(who.Roles, name)
		}
	}
	book, err := compile(r)
	if err != nil {
		b.Fatal(err)
	}
	action, took := Actions()[0], make([]time.Duration, 0, 1<<20)
	for b.Loop() {
		start := time.Now()
		if !book.decide(who, action, "person/y", start) {
			b.Fatal("refused")
		}
		a.uses.note(who, action, start, book.late(who, action, start))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50-ns")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
}
