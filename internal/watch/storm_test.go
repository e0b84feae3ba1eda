package watch_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/jobs"
	"writ/internal/journal"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/mail"
	"writ/internal/notify"
	"writ/internal/policy/policytest"
	"writ/internal/secret"
	"writ/internal/watch"
)

// stormy are n entries that open an alarm each, by four rules in turn; those of the last rule
// come last.
func stormy(n int) (out []journal.Entry) {
	for i, stream := range []string{"gateway.upstream-failed", "identity.breakglass-used", "policy.adopted", "gateway.wrote-while-closed"} {
		for k := range n / 4 {
			e := entry(stream, "writ/gateway")
			if e.Object = fmt.Sprintf("thing/%d", k); i == 3 {
				e.Object = "thing/last"
			}
			out = append(out, e)
		}
	}
	return out
}

// A storm becomes few alarms that hold all of it; one look goes through all of them, so the
// newest page goes out at once, and each group says how many more there are.
func TestStormOfManyRules(t *testing.T) { // breaks: mon.notify
	w := lite(t)
	es := stormy(800)
	w.follow(es...)
	w.on(30 * time.Second)
	var alarms, all, late int64
	if err := ledger.One(t.Context(), w.DB, `SELECT COUNT(*), SUM(count), SUM(CASE WHEN due > 0 AND due <= $1 THEN 1 ELSE 0 END) FROM watch_alarm WHERE state = 'firing'`, []any{&alarms, &all, &late}, w.Clock.Now().UnixMicro()); err != nil {
		t.Fatal(err)
	}
	if alarms != 304 || all != 800 || late != 0 {
		t.Errorf("%d alarms hold %d of 800, and %d wait for another look; want 304, all, none", alarms, all, late)
	}
	if n := w.queued(w.alarm("wrote-while-closed", watch.Firing).ID); n["mail"] != 1 || n["folder"] != 1 {
		t.Errorf("the last one was told by %v", n)
	}
	w.on(5 * time.Minute) // those of a group that a look had split
	var untold int64
	if err := ledger.One(t.Context(), w.DB, `SELECT COUNT(*) FROM watch_alarm WHERE state = 'firing' AND told = 0`, []any{&untold}); err != nil || untold != 0 {
		t.Errorf("%d alarms were told to nobody: %v", untold, err)
	}
	messages := 0
	for _, d := range deliveries(t, w.notify) {
		if d.Channel == "folder" {
			messages++
		}
	}
	if messages > 12 {
		t.Errorf("%d messages on one channel about four kinds in five minutes", messages)
	}
}

func deliveries(t testing.TB, s *notify.Service) []notify.Delivery {
	t.Helper()
	ds, err := s.Deliveries(t.Context(), notify.Query{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// deaf takes letters.
type deaf struct{}

func (deaf) Deliver(context.Context, mail.Message) (mail.Answer, error) {
	return mail.Answer{Code: 250}, nil
}

// BenchmarkStorm prints how long 10,000 entries that open an alarm each take until the last of
// them is told, how many alarms and messages come of them, and what stays in memory.
func BenchmarkStorm(b *testing.B) {
	for b.Loop() {
		s, k, n := loud(b)
		before := heap()
		es := stormy(10_000)
		begin := time.Now()
		for i := range es {
			es[i].N, es[i].At, es[i].Happened = int64(i+10), k.Clock.Now(), k.Clock.Now()
		}
		for at := 0; at < len(es); at += 256 {
			if err := s.Follow(b.Context(), es[at:min(at+256, len(es))]); err != nil {
				b.Fatal(err)
			}
		}
		opened := time.Since(begin)
		es = nil
		k.Clock.Advance(30 * time.Second)
		if err := s.Step(b.Context()); err != nil {
			b.Fatal(err)
		}
		var alarms, all, drops int64
		if err := ledger.One(b.Context(), k.DB, `SELECT COUNT(*), SUM(count) FROM watch_alarm`, []any{&alarms, &all}); err != nil || all != 10_000 {
			b.Fatal(all, err)
		}
		for _, e := range k.Recorded() {
			if strings.HasSuffix(e.Name, "events-dropped") {
				drops++
			}
		}
		b.ReportMetric(opened.Seconds(), "s-to-open")
		b.ReportMetric(time.Since(begin).Seconds(), "s-to-told")
		b.ReportMetric(float64(alarms), "alarms")
		b.ReportMetric(float64(len(deliveries(b, n))), "messages")
		b.ReportMetric(float64(drops), "drops")
		b.ReportMetric(float64(int64(heap())-int64(before))/1e6, "MB-kept")
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// loud is watch over a ledger that tells one person by two ways.
func loud(b *testing.B) (*watch.Service, *ledgertest.Kit, *notify.Service) {
	b.Helper()
	k := ledgertest.Open(b, jobs.Schema(), notify.Schema(), watch.Schema())
	log := slog.New(slog.DiscardHandler)
	company := func() string { return "Example" }
	n, err := notify.New(notify.Deps{DB: k.DB, Keys: k.Ring, Mail: deaf{}, Jobs: jobs.New(jobs.Deps{DB: k.DB, Keys: k.Ring, Now: k.Clock.Now, Log: log}), Company: company, Now: k.Clock.Now, Log: log, Folder: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	if _, _, err := n.AddChannel(b.Context(), operator, "folder", notify.File, secret.Text{}); err != nil {
		b.Fatal(err)
	}
	rules := clause.NewLive[watch.Rules](k.Clock.Now)
	if err := rules.Set([]clause.Period{{Values: policytest.Values()}}); err != nil {
		b.Fatal(err)
	}
	s, err := watch.New(watch.Deps{DB: k.DB, Keys: k.Ring, Access: policytest.Access(k.DB, k.Clock.Now), Notify: n, Rules: rules, Origin: "https://app.example.test", Company: company,
		Audience: func(context.Context, int64) ([]watch.Person, error) {
			return []watch.Person{{ID: "eli", Email: "eli@example.test"}}, nil
		},
		InRoles: nobody, Journal: struct{ watch.Journal }{}, History: struct{ watch.History }{}, Now: k.Clock.Now, Log: log})
	if err != nil {
		b.Fatal(err)
	}
	return s, k, n
}
