package cli_test

import (
	"strings"
	"testing"
)

// A group that had no room of its own is shown between its bounds, one that had by its value.
func TestChartBetweenBounds(t *testing.T) {
	f := serve(t)
	f.on("GET watch/series", map[string]any{"meter": "requests", "kind": "count", "by": "team", "step": "1h0m0s",
		"points": []any{map[string]any{"at": "2026-05-01T10:00:00Z", "value": 1850, "count": 1850, "observed": 1}},
		"groups": []any{map[string]any{"label": "late", "value": 1200, "count": 1200, "error": 150}, map[string]any{"label": "early", "value": 500, "count": 500}}})
	if out := f.must(0, []string{"watch", "chart", "requests", "--by", "team"}, "1200 to 1350", "500"); strings.Contains(out, "500 to") {
		t.Error(out)
	}
}
