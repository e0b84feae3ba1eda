package scim

import (
	"strings"
	"testing"
	"time"
)

// The parser of filters doubled its work with each bracket within a bracket: 40 bytes kept a
// processor for minutes.
func TestNestedFiltersRegression(t *testing.T) { // breaks: auth.best-practice
	done := make(chan string, 1)
	go func() {
		for _, s := range []string{
			strings.Repeat("(", 300) + `a eq "b"` + strings.Repeat(")", 300), strings.Repeat("a[", 300) + `a eq "b"` + strings.Repeat("]", 300),
			strings.Repeat("not (", 150) + `a pr` + strings.Repeat(")", 150), strings.Repeat("(", 1000),
		} {
			if _, err := parseFilter(s); err == nil {
				done <- "read: " + s[:20]
				return
			}
			if _, err := target(replace, s, nil); err == nil {
				done <- "a path: " + s[:20]
				return
			}
		}
		for _, s := range []string{`members[value eq "a(b[c"]`, `emails[type eq "work\"("].value`} { // in a text they mean nothing
			if _, err := target(remove, s, nil); err != nil {
				done <- err.Error()
				return
			}
		}
		done <- ""
	}()
	select {
	case bad := <-done:
		if bad != "" {
			t.Error(bad)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still reading")
	}
}
