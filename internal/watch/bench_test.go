package watch_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/clause"
	"writ/internal/envelope"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/keyring"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/watch"
	"writ/internal/watch/series"
	"writ/internal/watch/watchtest"
)

// bench is watch over a ledger, for a benchmark: nobody is told.
func bench(b *testing.B) (*watch.Service, *ledgertest.Clock) {
	b.Helper()
	k := ledgertest.Open(b, jobs.Schema(), notify.Schema(), watch.Schema())
	return benchOver(b, k, k.Ring), k.Clock
}

// oneKey has the same key for everybody, as if all lay in memory.
type oneKey struct {
	*keyring.Ring
	of keyring.Subject
}

func (k oneKey) Key(ctx context.Context, _ keyring.Subject) (envelope.Key, error) {
	return k.Ring.Key(ctx, k.of)
}

func benchOver(b testing.TB, k *ledgertest.Kit, keys watch.Keys) *watch.Service {
	b.Helper()
	return benchWith(b, k, keys, struct{ watch.History }{})
}

func benchWith(b testing.TB, k *ledgertest.Kit, keys watch.Keys, h watch.History) *watch.Service {
	b.Helper()
	if _, err := k.Ring.Ensure(b.Context(), keyring.Strangers(k.Clock.Now())); err != nil {
		b.Fatal(err)
	}
	rules := clause.NewLive[watch.Rules](k.Clock.Now)
	err := rules.Set([]clause.Period{{Values: policytest.Values()}})
	if err != nil {
		b.Fatal(err)
	}
	s, err := watch.New(watch.Deps{DB: k.DB, Keys: keys, Access: policytest.Access(k.DB, k.Clock.Now), Notify: struct{ watch.Notify }{}, Journal: struct{ watch.Journal }{}, Rules: rules, Origin: "https://app.example.test", Company: func() string { return "Example" },
		Audience: func(context.Context, int64) ([]watch.Person, error) { return nil, nil }, InRoles: nobody, History: h, Now: k.Clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	return s
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

// BenchmarkKeepHabits prints what a minute's checkpoint of the habits costs: of 100,000 people in
// memory, all were seen in the minute, and one in twenty. MB: what the process wrote.
func BenchmarkKeepHabits(b *testing.B) {
	const people = 100_000
	for _, one := range []int{20, 1} {
		b.Run(fmt.Sprintf("1 in %d", one), func(b *testing.B) {
			k := ledgertest.Open(b, jobs.Schema(), notify.Schema(), watch.Schema())
			_, err := k.Ring.Ensure(b.Context(), keyring.Person("all"))
			must(b, err)
			s := benchOver(b, k, oneKey{k.Ring, keyring.Person("all")})
			see := func(from, one int) {
				for i := from; i < people; i += one {
					s.Answered(answered(k.Clock.Now(), person(fmt.Sprint("p", i), "t"), fmt.Sprintf("10.%d.%d.0/24", i%250, i%4), browsers[i%len(browsers)], i%3, 100))
					if i%10_000 < one {
						must(b, s.DrainRequests(b.Context()))
					}
				}
				must(b, s.DrainRequests(b.Context()))
			}
			see(0, 1)
			must(b, s.KeepHabits(b.Context()))
			b.ResetTimer()
			wrote, n := 0.0, 0
			for b.Loop() {
				b.StopTimer()
				k.Clock.Advance(time.Minute)
				see(n%one, one)
				before := written(b)
				b.StartTimer()
				must(b, s.KeepHabits(b.Context()))
				wrote += written(b) - before
				n++
			}
			b.ReportMetric(wrote/float64(n)/(1<<20), "MB/min")
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(n), "ms/min")
		})
	}
}

// written is how many bytes this process has written, to whatever.
func written(b *testing.B) (n float64) {
	all, err := os.ReadFile("/proc/self/io")
	must(b, err)
	_, rest, _ := strings.Cut(string(all), "wchar: ")
	_, err = fmt.Sscan(rest, &n)
	must(b, err)
	return n
}

// past is a history of so many records, in parts as the access records give them.
type past struct {
	watch.History
	part []watch.Handled
	n    int
}

func (p *past) Cases(context.Context) ([]watch.Case, error) { return nil, nil }

func (p *past) Records(_ context.Context, _ actor.Actor, since time.Time, fn func([]watch.Handled) error) error {
	for i := 0; i < p.n; i += len(p.part) {
		for k := range p.part {
			p.part[k].At = since.Add(time.Duration(i+k) * 200 * time.Millisecond)
		}
		if err := fn(p.part); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkBackTest prints how many access records a rule is asked about in a back-test a second: one
// that takes none of them, one that takes all, and one that counts all by who asks.
func BenchmarkBackTest(b *testing.B) {
	const head, one = "title: Much\nid: aaaaaaaa-0000-4000-8000-00000000000%d\nstatus: test\nlevel: high\nlogsource:\n  category: webserver\n", "detection:\n  sel:\n    cs-method: %s\n    cs-uri-stem|contains: /orders\n  condition: sel\n"
	for name, text := range map[string]string{
		"none":         fmt.Sprintf(head+one, 1, "DELETE"),
		"all":          fmt.Sprintf(head+one, 2, "GET"),
		"all, counted": "title: Much\nname: much\nlogsource: {category: webserver}\n" + fmt.Sprintf(one, "GET") + "---\ntitle: Many\nid: bbbbbbbb-0000-4000-8000-000000000001\nlevel: high\ncorrelation:\n  type: event_count\n  rules: [much]\n  group-by: [cs-username]\n  timespan: 10m\n  condition: {gte: 8}\n",
	} {
		b.Run(name, func(b *testing.B) {
			k := ledgertest.Open(b, jobs.Schema(), notify.Schema(), watch.Schema())
			p := &past{n: 200_000}
			for i := range 1000 {
				p.part = append(p.part, watch.Handled{Kind: "person", Who: fmt.Sprintf("p:%d", i%300), Team: fmt.Sprint("t", i%40), Network: fmt.Sprintf("10.%d.%d.0/24", i%200, i%5), Route: fmt.Sprintf("/orders/r%d/{id}", i%50), Method: "GET", Status: 200, Took: 40 * time.Millisecond, In: 200, Out: 4000, Resource: []string{fmt.Sprint("order=", i)}})
			}
			s := benchWith(b, k, k.Ring, p)
			b.ReportAllocs()
			for b.Loop() {
				res, _, err := s.TestRule(b.Context(), watchtest.Operator, text, 0)
				if err != nil || res.Events != int64(p.n) || name != "none" && res.Hits == 0 {
					b.Fatal(res, err)
				}
			}
			b.ReportMetric(float64(p.n*b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
