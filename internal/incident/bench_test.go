package incident_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"writ/internal/incident/status"
)

// BenchmarkStatusPage has sixteen readers ask for the page over TLS, with its clients on the
// same processors. The mark is 5,000 requests a second, p99 at most 10 ms.
func BenchmarkStatusPage(b *testing.B) {
	w := open(b)
	part := w.component("Sign-in", "Accounts")
	c := w.active()
	p := w.update(status.Investigating)
	p.Touched = map[string]string{part.ID: status.PartialOutage}
	w.ok(w.svc.Update(b.Context(), w.as("dev"), c.Ref(), p, 0))
	site := httptest.NewUnstartedServer(w.site())
	site.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	site.StartTLS()
	defer site.Close()
	const readers = 16
	client := site.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = readers //nolint:errcheck,forcetypeassert // httptest says so
	var mu sync.Mutex
	var took []time.Duration
	b.SetParallelism(readers / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var mine []time.Duration
		for pb.Next() {
			at := time.Now()
			a, err := client.Get(site.URL + status.At) //nolint:noctx // a benchmark
			if err != nil {
				b.Error(err)
				return
			}
			_, err = io.Copy(io.Discard, a.Body)
			if a.Body.Close() != nil || err != nil || a.StatusCode != http.StatusOK {
				b.Errorf("%d %v", a.StatusCode, err)
			}
			mine = append(mine, time.Since(at))
		}
		mu.Lock()
		defer mu.Unlock()
		took = append(took, mine...)
	})
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}
