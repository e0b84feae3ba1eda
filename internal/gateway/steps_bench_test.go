package gateway_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"writ/internal/gateway"
)

// BenchmarkSteps is what one step costs a request that it lets through, in this process alone.
//
//	go test -run xxx -bench Steps ./internal/gateway
func BenchmarkSteps(b *testing.B) {
	for name, x := range map[string]struct{ target, head string }{
		"page":    {"/people/x", asAna},
		"program": {"/orders/list?page=2", byRead},
	} {
		k := described(b, options{programs: gateway.Programs{Limits: gateway.Limits{Token: rate("999999/s")}}})
		for _, step := range []string{"cors", "rate-address", "rate-caller", "schema"} {
			b.Run(name+"/"+step, func(b *testing.B) {
				r := httptest.NewRequest(http.MethodGet, k.base+x.target, nil)
				r.RequestURI, r.RemoteAddr = x.target, "203.0.113.7:1"
				if n, v := "Cookie", "__Host-writ=ana"; x.head == asAna {
					r.Header.Set(n, v)
				} else {
					r.Header.Set("Authorization", "Bearer writ_svc_read")
				}
				k.g.BenchStep(b, step, r)
			})
		}
	}
}
