package listen_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"writ/internal/listen"
)

// A header has 100 lines at most, whatever the protocol, and more of them are counted.
func TestHeaderFields(t *testing.T) { // breaks: use.no-automation
	a := authority(t, t.TempDir(), time.Now, "localhost")
	told := make(chan netip.Addr, 4)
	addr, _ := serve(t, listen.Door{Name: "https", TLS: listen.TLSConfig(a, nil, false, time.Now), Handler: http.HandlerFunc(hello), Malformed: func(a netip.Addr) { told <- a }})
	for _, two := range []bool{false, true} {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: two, TLSClientConfig: &tls.Config{RootCAs: a.Roots(), ServerName: "localhost"}}}
		for n, want := range map[int]int{90: 200, 120: 431} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				req.Header.Add(fmt.Sprintf("X-Line-%d", i/2), "x")
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%d lines over HTTP/2 %v: %d", n, two, res.StatusCode)
			}
		}
		client.CloseIdleConnections()
		if from := <-told; !from.IsLoopback() {
			t.Errorf("told of %s", from)
		}
	}
}
