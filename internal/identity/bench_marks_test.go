package identity_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"writ/internal/canary"
	"writ/internal/identity"
	"writ/internal/jobs"
	"writ/internal/ledger"
	"writ/internal/ledger/ledgertest"
	"writ/internal/passhash"
	"writ/internal/secret"
)

// BenchmarkOverload sends ten times as many sign-ins as the server can hash, for ten
// seconds, from sixty-four networks. Marks: p99 of those admitted <= 2.5 s, the others
// answered 503 with Retry-After in less than 50 ms (p99), memory <= idle + slots x 50 MiB,
// session checks unaffected. The clients are in the same process and take their part of
// the two processors.
func BenchmarkOverload(b *testing.B) {
	slots := runtime.GOMAXPROCS(0)
	kit := ledgertest.With(b, "sqlite", func(c *ledger.Config) { c.Now = time.Now }, jobs.Schema(), identity.Schema())
	w := with(b, kit, func(d *identity.Deps) {
		d.Seam, d.Now, d.Gate = nil, time.Now, passhash.NewGate(slots, 16, 2*time.Second)
	})
	for i := range 40 {
		if _, err := w.svc.CreateCustomer(b.Context(), operator, identity.NewCustomer{Email: fmt.Sprintf("p%d@example.test", i), Password: secret.NewText(good), TeamName: "t"}); err != nil {
			b.Fatal(err)
		}
	}
	as, err := w.svc.SignIn(b.Context(), stranger(1), identity.SignIn{Email: "p0@example.test", Password: secret.NewText(good)})
	if err != nil {
		b.Fatal(err)
	}
	visitors := make([]*canary.Visitor, 64)
	for i := range visitors {
		visitors[i] = w.door.Visitor()
		visitors[i].HTTP.Jar = nil
		if _, err := visitors[i].Do(b.Context(), "GET", "/-/api/v1/session", ""); err != nil {
			b.Fatal(err)
		}
	}
	phc, err := passhash.Hash(passhash.Default(passhash.Argon2id, 16), secret.NewText(good))
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	for range 10 {
		if _, err := passhash.Verify(phc, secret.NewText(good)); err != nil {
			b.Fatal(err)
		}
	}
	every := time.Since(begin) / 10 / time.Duration(slots) / 10
	check := func(n int) time.Duration {
		took := make([]time.Duration, n)
		for i := range took {
			begin := time.Now()
			if _, err := w.svc.Lookup(b.Context(), as.Token); err != nil {
				b.Fatal(err)
			}
			took[i] = time.Since(begin)
			time.Sleep(100 * time.Microsecond)
		}
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	calm, idle := check(5000), inUse()
	var mu sync.Mutex
	var admitted, refused []time.Duration
	other, most := 0, uint64(0)
	for b.Loop() {
		stop := make(chan struct{})
		var watch sync.WaitGroup
		watch.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond):
					most = max(most, inUse())
				}
			}
		})
		var wg sync.WaitGroup
		begin := time.Now()
		for i := 0; time.Since(begin) < 10*time.Second; i++ {
			time.Sleep(time.Until(begin.Add(time.Duration(i) * every)))
			wg.Go(func() {
				start := time.Now()
				a, err := visitors[i%64].Do(b.Context(), "POST", "/-/api/v1/sign-in", fmt.Sprintf(`{"email":"p%d@example.test","password":%q}`, i%40, good))
				took := time.Since(start)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && a.Status == 200:
					admitted = append(admitted, took)
				case err == nil && a.Status == 503 && a.Header.Get("Retry-After") != "":
					refused = append(refused, took)
				default:
					other++
				}
			})
		}
		busy := check(2000)
		wg.Wait()
		close(stop)
		watch.Wait()
		b.ReportMetric(float64(busy)/1e3, "check-p99-µs")
	}
	p99 := func(ds []time.Duration) float64 {
		if len(ds) == 0 {
			return 0
		}
		slices.Sort(ds)
		return float64(ds[len(ds)*99/100]) / 1e6
	}
	b.ReportMetric(float64(calm)/1e3, "calm-check-p99-µs")
	b.ReportMetric(float64(len(admitted)), "admitted")
	b.ReportMetric(float64(len(refused)), "refused")
	b.ReportMetric(float64(other), "other")
	b.ReportMetric(p99(admitted), "admitted-p99-ms")
	quick := slices.DeleteFunc(slices.Clone(refused), func(d time.Duration) bool { return d >= 2*time.Second }) // those who waited their two seconds for a place are told then
	b.ReportMetric(float64(len(refused)-len(quick)), "refused-after-waiting")
	b.ReportMetric(p99(quick), "refused-p99-ms")
	b.ReportMetric(float64(most-min(most, idle))/float64(1<<20), "MiB-above-idle")
	b.ReportMetric(float64(slots*50), "MiB-allowed")
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// BenchmarkDisable ends a person with fifty sessions and twenty tokens. Mark: <= 1 s until
// the last of them is refused.
func BenchmarkDisable(b *testing.B) {
	w := open(b)
	slowest := time.Duration(0)
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		id, email := w.customer(fmt.Sprint("leaver", n))
		var sessions []secret.Text
		for i := range 50 {
			as, err := w.svc.SignIn(b.Context(), stranger(i), identity.SignIn{Email: email, Password: secret.NewText(good)})
			if err != nil {
				b.Fatal(err)
			}
			sessions = append(sessions, as.Token)
		}
		v := w.browser()
		v.signIn(email, good)
		for range 20 {
			v.issued(wish(nil))
		}
		b.StartTimer()
		begin := time.Now()
		if err := w.svc.Disable(b.Context(), operator, id); err != nil {
			b.Fatal(err)
		}
		for _, s := range sessions {
			if _, err := w.svc.Lookup(b.Context(), s); err == nil {
				b.Fatal("a session is left")
			}
		}
		slowest = max(slowest, time.Since(begin))
	}
	b.ReportMetric(float64(slowest)/1e6, "slowest-ms")
}
