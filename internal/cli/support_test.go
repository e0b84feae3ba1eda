package cli_test

import (
	"testing"
)

// A look through the command line has a reason, a ticket and an end, and is somebody's.
func TestSupport(t *testing.T) {
	f := serve(t)
	look := `{"id":"l1","by":"Eva","person":"p1","ticket":"T-12","reason":"invoice is missing","began":"2026-03-01T10:00:00Z","until":"2026-03-01T10:15:00Z","write":"asked"}`
	f.on("GET support", `{"looks":[`+look+`]}`)
	f.on("POST support/{id}/agree", look)
	f.on("DELETE support/{id}", nil)
	f.must(0, []string{"support", "list"}, "T-12", "Eva", "invoice is missing", "goes on until")
	f.must(0, []string{"support", "list", "--format", "json"}, `"ticket":"T-12"`)
	f.must(0, []string{"support", "agree", "l1"}, "Agreed")
	f.must(0, []string{"support", "end", "l1"}, "has ended")
	if !f.asked("DELETE /-/api/v1/support/l1") || !f.asked("POST /-/api/v1/support/l1/agree") {
		t.Errorf("asked %q", f.seen)
	}
	whole := []string{"support", "look", "ana@shop.test", "--reason", "invoice is missing", "--ticket", "T-12", "--for", "15m", "--get", "/orders"}
	f.must(2, whole, "--as")
	for i := 3; i < len(whole); i += 2 { // without any one of reason, ticket, time and page
		f.must(2, append(append([]string{}, whole[:i]...), whole[i+2:]...), whole[i][2:])
	}
	f.must(2, append(append([]string{}, whole[:9]...), "--get", "/-/account", "--as", "eva@example.test"), "no path of the application")
}
