package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"writ/internal/actor"
	"writ/internal/fault"
	"writ/internal/gateway"
	"writ/internal/ledger/ledgertest"
)

// behindProxy believes this machine about where requests come from.
var behindProxy = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

const (
	fromThief  = "X-Forwarded-For: 198.51.100.7"
	fromOthers = "X-Forwarded-For: 203.0.113.7"
)

func (k *gate) block(network string, life time.Duration) (gateway.Block, error) {
	return k.g.BlockNetwork(k.t.Context(), k.engineer(), gateway.Block{Network: network, Reason: "the attack came from there", Incident: "I-3", Until: k.now().Add(life)}, netip.Addr{})
}

// From the next request on a blocked network reaches neither the application nor a page of
// ours, on this node at once and on the others once they have looked; what was under way is cut.
func TestBlockedNetwork(t *testing.T) { // breaks: inc.breach-research
	ledgertest.Both(t, func(t *testing.T, kit *ledgertest.Kit) {
		app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/open/long" {
				echo(w, r)
				return
			}
			io.WriteString(w, "begun\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		o := options{kit: kit, now: kit.Clock.Now, proxies: behindProxy, upstream: app}
		k, other := open(t, o), open(t, o)
		clients := map[string]*http.Client{"HTTP/2": k.client(), "HTTP/1.1": http1(k)}
		ctx, stop := context.WithTimeout(t.Context(), 30*time.Second)
		defer stop()
		var long []*http.Response
		for _, head := range []string{fromThief, fromOthers} {
			for _, c := range clients {
				req, _ := http.NewRequestWithContext(ctx, "GET", k.base+"/open/long", nil)
				req.Header.Set("X-Forwarded-For", strings.TrimPrefix(head, "X-Forwarded-For: "))
				res, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if _, err := io.ReadFull(res.Body, make([]byte, 6)); err != nil {
					t.Fatal(err)
				}
				long = append(long, res)
			}
		}
		if k.g.Knock(t.Context(), netip.MustParseAddr("198.51.100.7")) {
			t.Error("turned away before it was blocked")
		}
		b, err := k.block("198.51.100.9/24", 24*time.Hour)
		if err != nil || b.Network != "198.51.100.0/24" || b.Owner != "person/eng" {
			t.Fatalf("%+v %v", b, err)
		}
		for name, c := range clients {
			for _, path := range []string{"/open/x", "/", "/things", "/-/jwks", "/-/api/v1/gateway"} {
				if got := k.do(c, "GET", path, fromThief, asAna, "Accept: text/html"); got.StatusCode != 403 || got.Header.Get("Seen-Target") != "" || got.Header.Get("Set-Cookie") != "" || !strings.Contains(got.body, "no requests from your network") {
					t.Errorf("%s, %s: %d %.80q", name, path, got.StatusCode, got.body)
				}
			}
			if got := k.do(c, "GET", "/open/x", fromOthers); got.StatusCode != 200 {
				t.Errorf("%s, others: %d", name, got.StatusCode)
			}
			if got := k.do(c, "GET", "/open/x"); got.StatusCode != 200 {
				t.Errorf("%s, this machine: %d", name, got.StatusCode)
			}
		}
		if _, res, err := websocketAt(k, "/things/ws", asAna, fromThief); err == nil || res == nil || res.StatusCode != 403 {
			t.Errorf("a WebSocket: %v", err)
		}
		for i, res := range long[:2] {
			if _, err := io.ReadAll(res.Body); err == nil || ctx.Err() != nil {
				t.Errorf("answer %d is not cut: %v", i, err)
			}
		}
		if n := k.g.UnderWay(); n != 2 {
			t.Errorf("%d answers to others are under way, want 2", n)
		}
		if got := other.do(other.client(), "GET", "/open/x", fromThief); got.StatusCode != 200 {
			t.Errorf("the other node before it has looked: %d", got.StatusCode)
		}
		if err := other.g.BlockTick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := other.do(other.client(), "GET", "/open/x", fromThief); got.StatusCode != 403 {
			t.Errorf("the other node: %d", got.StatusCode)
		}
		if !other.g.Knock(t.Context(), netip.MustParseAddr("198.51.100.255")) || other.g.Knock(t.Context(), netip.MustParseAddr("198.51.101.0")) {
			t.Error("it does not turn away exactly what is blocked")
		}
		kit.Clock.Advance(25 * time.Hour) // over, though nobody has looked yet
		if got := k.do(k.client(), "GET", "/open/x", fromThief); got.StatusCode != 200 {
			t.Errorf("when its time is over: %d", got.StatusCode)
		}
		for _, g := range []*gateway.Gateway{k.g, other.g} {
			if err := g.BlockTick(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.g.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := kit.Recorded("gateway.network-blocked"); len(got) != 1 || got[0].Fields["network"] != "198.51.100.0/24" || got[0].Fields["incident"] != "I-3" || got[0].Reason != "the attack came from there" {
			t.Errorf("%+v", got)
		}
		if got := kit.Recorded("gateway.network-unblocked"); len(got) != 1 || got[0].Fields["how"] != "time is over" {
			t.Errorf("%+v", got)
		}
		refused := 0
		for _, e := range kit.Recorded("gateway.request-refused") {
			if e.Fields["code"] == "network_blocked" && e.Fields["step"] == "block" {
				n, _ := strconv.Atoi(fmt.Sprint(e.Fields["count"]))
				refused += n
			}
		}
		if refused != 11 {
			t.Errorf("%d refusals recorded, want 11", refused)
		}
		if got := kit.Recorded("gateway.streams-cut"); len(got) != 1 || got[0].Fields["cause"] != "blocked" || fmt.Sprint(got[0].Fields["count"]) != "2" {
			t.Errorf("%+v", got)
		}
		kit.Clock.Advance(91 * 24 * time.Hour)
		if err := k.g.BlockTick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all, err := k.g.Blocks(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("an address is kept for ever: %+v %v", all, err)
		}
	}, gateway.Schema())
}

// Neither this machine, nor its proxies, nor whoever asks, nor half of the internet is blocked.
func TestBlocksAreChecked(t *testing.T) { // breaks: inc.breach-research
	k := open(t, options{proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30")}})
	for network, want := range map[string]string{
		"0.0.0.0/0": "wide", "198.0.0.0/8": "wide", "198.51.0.0/15": "wide", "::/0": "wide", "2001:d00::/31": "wide", "::ffff:0.0.0.0/96": "wide",
		"127.0.0.1": "loopback", "127.5.0.0/16": "loopback", "::1": "loopback", "10.0.0.2": "proxy", "10.0.0.0/16": "proxy", "192.0.2.9": "own", "192.0.0.0/16": "own",
		"": "network", "example.com": "network", "fe80::1%eth0": "network", "198.51.100.0/33": "network", "::ffff:1.2.3.4/40": "network",
	} {
		_, err := k.g.BlockNetwork(t.Context(), k.engineer(), gateway.Block{Network: network, Reason: "why", Until: time.Now().Add(time.Hour)}, netip.MustParseAddr("192.0.2.9"))
		if code(err) != want {
			t.Errorf("%q: %v, want %s", network, err, want)
		}
	}
	for want, b := range map[string]gateway.Block{
		"reason": {Network: "203.0.113.0/24", Until: time.Now().Add(time.Hour)}, "until": {Network: "203.0.113.0/24", Reason: "why", Until: time.Now().Add(-time.Second)}, "incident": {Network: "203.0.113.0/24", Reason: "why", Incident: "<b>", Until: time.Now().Add(time.Hour)},
	} {
		if _, err := k.g.BlockNetwork(t.Context(), k.engineer(), b, netip.Addr{}); code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := k.g.BlockNetwork(t.Context(), k.engineer(), gateway.Block{Network: "203.0.113.0/24", Reason: "why", Until: time.Now().AddDate(2, 0, 0)}, netip.Addr{}); code(err) != "until" {
		t.Errorf("for two years: %v", err)
	}
	if _, err := k.g.BlockNetwork(t.Context(), person("ana", "member"), gateway.Block{Network: "203.0.113.0/24", Reason: "why", Until: time.Now().Add(time.Hour)}, netip.Addr{}); fault.KindOf(err) != fault.Denied {
		t.Errorf("a customer blocks: %v", err)
	}
	if err := k.g.Unblock(t.Context(), actor.Actor{Kind: actor.Machine, ID: "m", Token: "t"}, "203.0.113.0/24"); fault.KindOf(err) != fault.Denied {
		t.Errorf("a program lets in: %v", err)
	}
	first, err := k.block("::ffff:203.0.113.5", time.Hour)
	if err != nil || first.Network != "203.0.113.5/32" {
		t.Fatalf("%+v %v", first, err)
	}
	again, err := k.block("203.0.113.5", 2*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := k.g.Blocks(t.Context()); err != nil || len(all) != 2 || all[0].ID != again.ID || all[1].Ended.IsZero() {
		t.Errorf("%+v %v", all, err)
	}
	if got := k.kit.Recorded("gateway.network-blocked"); len(got) != 2 || got[0].Fields["network"] != "203.0.113.0/24" || fmt.Sprint(got[0].Fields["bits"]) != "32" {
		t.Errorf("an entry names somebody's address: %+v", got)
	}
	if !k.g.Knock(t.Context(), netip.MustParseAddr("203.0.113.5")) {
		t.Error("not blocked")
	}
	if err := k.g.Unblock(t.Context(), k.engineer(), "203.0.113.5"); err != nil || k.g.Knock(t.Context(), netip.MustParseAddr("203.0.113.5")) {
		t.Errorf("still blocked: %v", err)
	}
	if err := k.g.Unblock(t.Context(), k.engineer(), again.ID); fault.KindOf(err) != fault.NotFound {
		t.Errorf("let in twice: %v", err)
	}
}

// A row that somebody wrote into the table keeps neither this machine out nor a health check.
func TestBlockLeavesThisMachineIn(t *testing.T) {
	k := open(t, options{proxies: behindProxy})
	k.raw(`INSERT INTO gateway_block (id, network, reason, incident, owner, made, until, ended, ended_by) VALUES ('a', '127.0.0.0/8', '', '', '', 0, 9000000000000000, 0, ''), ('b', '198.51.100.0/24', '', '', '', 0, 9000000000000000, 0, '')`)
	if err := k.g.BlockTick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := k.do(k.client(), "GET", "/open/x"); got.StatusCode != 200 {
		t.Errorf("this machine: %d", got.StatusCode)
	}
	for path, want := range map[string]int{"/-/livez": 404, "/-/readyz": 404, "/-/jwks": 403} { // the harness has no health pages
		if got := k.do(k.client(), "GET", path, fromThief); got.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, want)
		}
	}
}
