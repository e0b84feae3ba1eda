package trail_test

import (
	"net/netip"
	"testing"

	"writ/internal/gateway"
	"writ/internal/gateway/trail"
	"writ/internal/ledger/ledgertest"
)

// BenchmarkAdd is what a record costs its request, 5,000 of them between two chunks.
func BenchmarkAdd(b *testing.B) {
	w := with(b, ledgertest.Open(b, gateway.Schema()))
	r := trail.Record{At: w.kit.Clock.Now(), Who: person("ana"), Addr: netip.MustParseAddr("198.51.100.77"), Route: "/x", Method: "GET", Status: 200}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		w.Add(r)
		if n++; n%5000 == 0 {
			b.StopTimer()
			w.must(w.Flush(b.Context()))
			b.StartTimer()
		}
	}
}
