package gateway_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"

	"writ/internal/clause"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/keyring"
	"writ/internal/ledger/ledgertest"
	"writ/internal/listen"
)

// A client resumes at another node, and after a restart, for a day at most; then the key is
// destroyed everywhere, which is an entry.
func TestTicketsOfAllNodes(t *testing.T) { // breaks: crypto.current-public
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		now := func() time.Time { return kit.Clock.Now() }
		kit.Clock.Advance(12*time.Hour - time.Duration(now().Unix()%(12*3600))*time.Second) // the beginning of a half day
		one := open(t, options{kit: kit, now: now, values: clause.Values{}})
		kept := tls.NewLRUClientSessionCache(1)
		resumes := func(k *gate) bool {
			t.Helper()
			if err := k.g.TurnTickets(t.Context()); err != nil {
				t.Fatal(err)
			}
			c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: kept, MaxVersion: tls.VersionTLS12}}}
			got := k.do(c, "GET", "/open/x")
			return got.TLS.DidResume
		}
		if resumes(one) {
			t.Error("the first handshake was a shorter one")
		}
		first, _ := kept.Get("localhost")
		again := func() { kept.Put("localhost", first) }
		two := open(t, options{kit: kit, now: now})
		if again(); !resumes(two) {
			t.Error("another node does not know the key")
		}
		if again(); !resumes(one) {
			t.Error("the node itself does not know the key")
		}
		kit.Clock.Advance(13 * time.Hour)
		if again(); !resumes(two) {
			t.Error("the key does not open in the next half day")
		}
		of := keyring.Class(fmt.Sprintf("gateway.tickets-%d", listen.HalfDay(now())-1))
		if _, err := kit.Ring.Key(t.Context(), of); err != nil {
			t.Errorf("the key that still opens: %v", err)
		}
		kit.Clock.Advance(12 * time.Hour)
		if again(); resumes(one) {
			t.Error("a day later the key opens still")
		}
		if again(); resumes(two) {
			t.Error("a day later the key opens still at another node")
		}
		if _, err := kit.Ring.Key(t.Context(), of); fault.KindOf(err) != fault.Gone {
			t.Errorf("the key of a day ago: %v", err)
		}
		if es := kit.Recorded("gateway.ticket-key-destroyed"); len(es) != 1 || es[0].Clause != "crypto.current-public" {
			t.Errorf("%+v", es)
		}
	}, gateway.Schema())
}

// A server that was off for long destroys what was due meanwhile.
func TestTicketsOfAServerThatWasOff(t *testing.T) { // breaks: crypto.current-public
	kit := ledgertest.Open(t, gateway.Schema())
	now := func() time.Time { return kit.Clock.Now() }
	open(t, options{kit: kit, now: now, noStart: true}).g.TurnTickets(t.Context())
	of := keyring.Class(fmt.Sprintf("gateway.tickets-%d", listen.HalfDay(now())))
	if _, err := kit.Ring.Key(t.Context(), of); err != nil {
		t.Fatal(err)
	}
	kit.Clock.Advance(200 * 24 * time.Hour)
	k := open(t, options{kit: kit, now: now, noStart: true})
	if err := k.g.TurnTickets(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := kit.Ring.Key(t.Context(), of); fault.KindOf(err) != fault.Gone {
		t.Errorf("the key of half a year ago: %v", err)
	}
	if es := kit.Recorded("gateway.ticket-key-destroyed"); len(es) != 2 {
		t.Errorf("%+v", es)
	}
}
