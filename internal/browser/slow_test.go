package browser

import (
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// TestSlowLine opens a table over a line so slow that its rows come one after another:
// nothing that the reader has begun to read moves.
func TestSlowLine(t *testing.T) {
	t.Parallel()
	h := theHouse(t)
	h.filled(t)
	b := h.tab(t)
	b.signIn(owners[0].address, aPassword, desk)
	if _, err := chromedp.Call(b.ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	slow := network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: []*network.Conditions{{Latency: 50, DownloadThroughput: 6000, UploadThroughput: 6000}}}
	if _, err := chromedp.Call(b.ctx, network.EmulateNetworkConditionsByRule, slow); err != nil {
		t.Fatal(err)
	}
	b.view(light, 1280)
	for range 2 {
		b.open(desk + "/gate/requests?from=2h")
		if s := eval[moved](b, shifted); s.Sum > 0 {
			t.Errorf("the page moves while it loads: %.4f, by %v", s.Sum, s.By)
		}
	}
}
