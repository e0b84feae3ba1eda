package gateway_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkLatencyAgainstNginx measures how long answers take at half of the load that the gate's
// whole pipeline can take at the most (wrk, 32 connections), in turns within one run, three
// rounds: nginx as a plain HTTPS proxy gets the same requests a second. Requests begin by the
// clock and not when the one before has ended, and each is measured from when it was due, so
// that one which waits for another counts with its wait. Client and rivals share the machine.
//
//	go test -run xxx -bench LatencyAgainstNginx -benchtime 1x ./internal/gateway
func BenchmarkLatencyAgainstNginx(b *testing.B) {
	all := map[string]rival{}
	for _, c := range rivals(b) {
		all[c.name] = c
	}
	for range b.N {
		_, most := load(b, all["whole"].url, all["whole"].head, all["whole"].pid)
		took := map[string][]time.Duration{}
		for range 3 {
			for _, name := range []string{"nginx", "pass-through", "whole"} {
				took[name] = append(took[name], paced(b, all[name], most/2, 5*time.Second)...)
			}
		}
		b.ReportMetric(most/2, "req/s")
		var base float64
		for _, name := range []string{"nginx", "pass-through", "whole"} {
			slices.Sort(took[name])
			at := func(share float64) float64 {
				return float64(took[name][int(share*float64(len(took[name])-1))].Microseconds())
			}
			b.ReportMetric(at(0.5), name+"-p50-µs")
			b.ReportMetric(at(0.99), name+"-p99-µs")
			if name == "nginx" {
				base = at(0.99)
			}
			b.ReportMetric(at(0.99)/base, name+"-p99-ratio")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// paced sends requests at a rate over 32 connections and says how long each took.
func paced(b *testing.B, c rival, rate float64, length time.Duration) []time.Duration {
	b.Helper()
	tr := &http.Transport{MaxConnsPerHost: 32, MaxIdleConnsPerHost: 32, DisableCompression: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.CloseIdleConnections()
	name, value, _ := strings.Cut(c.head, ": ")
	one := func() error {
		req, err := http.NewRequest("GET", c.url, nil)
		if err != nil {
			return err
		}
		req.Header.Set(name, value)
		res, err := tr.RoundTrip(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	due := make(chan time.Time, int(rate*length.Seconds())+1)
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for at := range due {
				if err := one(); err != nil {
					b.Error(err)
					return
				}
				d := time.Since(at)
				mu.Lock()
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	begin, sent := time.Now(), 0
	for now := begin; now.Sub(begin) < length; now = time.Now() {
		for ; float64(sent) < rate*now.Sub(begin).Seconds(); sent++ {
			due <- begin.Add(time.Duration(float64(sent) / rate * float64(time.Second)))
		}
		time.Sleep(200 * time.Microsecond)
	}
	close(due)
	wg.Wait()
	if len(took) == 0 {
		b.Fatal("nothing was answered")
	}
	return took[len(took)/10:] // without the first, which make connections
}
