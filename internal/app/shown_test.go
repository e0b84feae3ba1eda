package app

import (
	"fmt"
	"testing"

	"writ/internal/gateway/trail"
)

// Rows that the application says it showed count as records, and the teams whose data it showed
// are affected by a breach beside who asked.
func TestWhatWasShownCounts(t *testing.T) { // breaks: inc.breach-scope
	for _, x := range []struct {
		resources int
		rows      int64
		want      int
	}{{0, 0, 0}, {2, 0, 2}, {1, 700, 700}, {3, 1, 3}} {
		if got := requestOf(&trail.Record{Resource: make([]string, x.resources), Rows: x.rows}).Records; got != x.want {
			t.Errorf("%+v: %d", x, got)
		}
	}
	if got := accessOf(&trail.Found{Team: "acme", Teams: []string{"acme", "other", trail.Unread}}).About; fmt.Sprint(got) != "[team/other]" {
		t.Errorf("%v", got)
	}
}
