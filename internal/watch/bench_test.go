package watch_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/watch"
	"writ/internal/watch/series"
)

// bench is watch over a ledger, for a benchmark: nobody is told.
func bench(b *testing.B) (*watch.Service, *ledgertest.Clock) {
	b.Helper()
	k := ledgertest.Open(b, jobs.Schema(), notify.Schema(), watch.Schema())
	if _, err := k.Ring.Ensure(b.Context(), keyring.Strangers(k.Clock.Now())); err != nil {
		b.Fatal(err)
	}
	rules := clause.NewLive[watch.Rules](k.Clock.Now)
	err := rules.Set([]clause.Period{{Values: policytest.Values()}})
	if err != nil {
		b.Fatal(err)
	}
	s, err := watch.New(watch.Deps{DB: k.DB, Keys: k.Ring, Access: policytest.Access(k.DB, k.Clock.Now), Notify: struct{ watch.Notify }{}, Rules: rules, Origin: "https://app.example.test", Company: func() string { return "Example" },
		Audience: func(context.Context, int64) ([]watch.Person, error) { return nil, nil }, History: struct{ watch.History }{}, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return s, k.Clock
}

// BenchmarkEntries prints how many entries of the journal go through the rules and the series a
// second, their cursor included, as the journal gives them: 256 at a time.
func BenchmarkEntries(b *testing.B) {
	s, clock := bench(b)
	streams := []string{"identity.signed-in", "gateway.request-refused", "vault.param-read", "policy.proposed", "identity.session-ended", "notify.accepted", "vault.param-put", "identity.token-issued"}
	n := int64(0)
	es := make([]journal.Entry, 256)
	for b.Loop() {
		for i := range es {
			now := clock.Now()
			es[i] = journal.Entry{N: n, Stream: streams[n%8], Act: streams[n%8], Kind: "person", Actor: fmt.Sprintf("p:%d", n%5000), Subject: fmt.Sprintf("p:%d", n%5000), Object: "thing/1", Team: fmt.Sprintf("t%d", n%100), At: now, Happened: now}
			n++
		}
		clock.Advance(12 * time.Millisecond)
		if err := s.Follow(b.Context(), es); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
}

// BenchmarkRequests prints how many requests go through the series, the habits and what is usual
// a second: 5,000 people, 50 routes, 100 teams, 1,000 networks, 20,000 requests a second of the
// clock of the test, and every minute written and compared.
func BenchmarkRequests(b *testing.B) {
	s, clock := bench(b)
	n := 0
	for b.Loop() {
		for range 5000 {
			r := answered(clock.Now(), person(fmt.Sprintf("p%d", n%5000), fmt.Sprintf("t%d", n%100)), fmt.Sprintf("10.%d.%d.0/24", n%10, n%100), browsers[n%len(browsers)], n%3, int64(n%100_000))
			r.Route = fmt.Sprintf("/r%d/{id}", n%50)
			s.Answered(r)
			n++
		}
		if err := s.DrainRequests(b.Context()); err != nil {
			b.Fatal(err)
		}
		before := clock.Now().Truncate(time.Minute)
		clock.Advance(250 * time.Millisecond)
		s.Series().Seen("requests")
		if clock.Now().Truncate(time.Minute).After(before) {
			if err := s.Series().Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := s.Compare(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkAlarm prints how long it takes from an entry that is given to watch until its alarm
// is open, at the 99th percentile; the journal gives it within a tenth of a second.
func BenchmarkAlarm(b *testing.B) {
	s, clock := bench(b)
	var took []time.Duration
	n := int64(0)
	for b.Loop() {
		e := journal.Entry{N: n, Stream: "gateway.upstream-failed", Act: "gateway.upstream-failed", Kind: "writ", Actor: "writ/gateway", Object: fmt.Sprintf("upstream/%d", n%90), At: clock.Now(), Happened: clock.Now()}
		n++
		begin := time.Now()
		if err := s.Follow(b.Context(), []journal.Entry{e}); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
		clock.Advance(time.Minute)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
}

// BenchmarkRange prints how long 28 days of an hour a point take to read, beside 2,000 others.
func BenchmarkRange(b *testing.B) {
	s, clock := bench(b)
	begin := clock.Now().Truncate(time.Hour)
	x := s.Series().NewHistory()
	for h := range 28 * 24 {
		x.Add(series.Event{At: begin.Add(time.Duration(h) * time.Hour), Meter: "latency", N: 100, Value: float64(20_000 + h*37), Labels: []series.Label{{Dimension: "route", Value: fmt.Sprintf("/r%d", h%300)}}})
	}
	for _, part := range x.Split(100) {
		if err := s.DB.Quiet(b.Context(), ledger.WatchState, func(tx *ledger.Tx) error {
			_, err := s.Series().Write(b.Context(), tx, part)
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		ps, err := s.Series().Range(b.Context(), series.Query{Meter: "latency", From: begin, Until: begin.Add(28 * 24 * time.Hour), Step: time.Hour})
		if err != nil || len(ps) != 28*24 || ps[5].P95 == 0 {
			b.Fatal(err, len(ps))
		}
		if _, err := s.Series().Top(b.Context(), series.Query{Meter: "latency", Dimension: "route", From: begin, Until: begin.Add(28 * 24 * time.Hour)}, 10); err != nil {
			b.Fatal(err)
		}
	}
}
