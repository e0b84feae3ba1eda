package oidc_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	op "writ/internal/identity/oidc"
)

// BenchmarkIntrospect asks about a token as a resource does, through the whole handler in
// process. The mark is on the slowest of a hundred.
func BenchmarkIntrospect(b *testing.B) {
	w := open(b)
	_, email := w.customer("ana")
	a := w.register(op.NewClient{})
	body := url.Values{"token": {a.redeem(a.code(w.browser(), email)).field("access_token")}}.Encode()
	var took []time.Duration
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), "POST", w.base+"/-/oidc/introspect", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(url.QueryEscape(a.client.ID), url.QueryEscape(a.secret))
		rec := httptest.NewRecorder()
		begin := time.Now()
		w.srv.Config.Handler.ServeHTTP(rec, r)
		took = append(took, time.Since(begin))
		if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"active":true`) {
			b.Fatalf("%d %s", rec.Code, rec.Body)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e3, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100])/1e3, "p99-µs")
}
