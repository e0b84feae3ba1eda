package watch_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"writ/internal/watch"
)

var update = flag.Bool("update", false, "write the runbook of docs/rules.md anew")

// The page of rules says of each that is there from the first start when it fires, what to do then, and
// the clause it stands for.
func TestRunbook(t *testing.T) { // breaks: mon.alarms
	const name, begin, end = "../../docs/rules.md", "<!-- runbook -->\n", "<!-- end of runbook -->\n"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	was, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no runbook between %q and %q", name, begin, end)
	}
	var now strings.Builder
	now.WriteString("| rule | fires | how urgent | what to do | clause |\n|---|---|---|---|---|\n")
	for _, r := range watch.Pack() {
		fmt.Fprintf(&now, "| `%s` | %s | %s | %s | `%s` |\n", r.ID, r.Says, r.Severity, strings.ReplaceAll(r.Next, "|", "\\|"), r.Clause)
	}
	if *update {
		if err := os.WriteFile(name, []byte(head+begin+now.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was != now.String() {
		t.Errorf("the runbook of %s is not that of the rules (go test ./internal/watch -run TestRunbook -update writes it anew)", name)
	}
}
