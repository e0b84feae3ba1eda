package gateway_test

import (
	"fmt"
	"net/netip"
	"testing"

	"writ/internal/gateway"
)

// Who asks for very many different paths counts as more of a program than who asks as often for a few.
func TestManyPathsCount(t *testing.T) { // breaks: use.no-automation
	k := open(t, options{})
	score := func(paths int) int64 {
		h := gateway.Habit{Seen: 200, Missed: 100} // 20 points
		for i := range 200 {
			h.Paths = append(h.Paths, fmt.Sprint("/x/", i%paths))
		}
		return k.g.Score(netip.MustParseAddr("203.0.113.9"), h)
	}
	if few, many := score(10), score(200); few != 20 || many != 35 {
		t.Errorf("ten paths: %d, two hundred: %d; want 20 and 35", few, many)
	}
}
