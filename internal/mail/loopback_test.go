package mail

import "testing"

// A server named 127.example was taken for this machine and spoken to in clear.
func TestOnlyThisMachineIsSpokenToInClearRegression(t *testing.T) { // breaks: crypto.provider-edge
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "127.8.9.1": true, "::1": true,
		"127.0.0.1.example.com": false, "127.example": false, "localhost.example.com": false, "10.0.0.1": false, "": false} {
		if got := loopback(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}
