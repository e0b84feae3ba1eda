package cli_test

import "testing"

// The rules are listed, and with --bounds at what they fire, who says so, and what else may be said.
func TestWatchRules(t *testing.T) {
	f := serve(t)
	f.on("GET watch/rules", `{"rules":[{"id":"cpu-high","part":"load","severity":"ticket","says":"More than 90 % busy","precision":1,
		"bounds":[{"name":"above","value":"80","from":"policy","shipped":"90","least":"1","most":"99"}]}]}`)
	f.must(0, []string{"watch", "rules"}, "cpu-high", "More than 90 % busy", "never")
	f.must(0, []string{"watch", "rules", "--bounds"}, "cpu-high above", "80", "policy", "90", "1 to 99")
	f.must(0, []string{"watch", "rules", "--bounds", "--format", "json"}, `"from":"policy"`)
}
