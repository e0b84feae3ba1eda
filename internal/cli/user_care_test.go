package cli_test

import "testing"

// Export and reset need a reason, and send it; looks are a table or JSON.
func TestUserCare(t *testing.T) {
	f := serve(t)
	f.on("POST people/ben@example.com/export", `{"person":{"email":"ben@example.com"},"left_out":[]}`)
	f.on("POST people/ben@example.com/reset", nil)
	f.on("GET people/ben@example.com/looks", `{"looks":[{"id":"l1","by":"Eva Sommer","reason":"the invoice does not open","ticket":"T-4711","began":"2026-03-01T10:00:00Z","until":"2026-03-01T11:00:00Z","ended":"2026-03-01T10:20:00Z","writes":false,"entry":4107}]}`)
	f.must(2, []string{"user", "export", "ben@example.com"}, "--reason")
	f.must(0, []string{"user", "export", "ben@example.com", "--reason", "asked by letter"}, `"email":"ben@example.com"`)
	if !f.asked("POST /-/api/v1/people/ben@example.com/export", `"reason":"asked by letter"`) {
		t.Errorf("%q", f.seen)
	}
	f.must(2, []string{"user", "reset", "ben@example.com"}, "--reason")
	f.must(0, []string{"user", "reset", "ben@example.com", "--reason", "called from his number"}, "mailed to them")
	if !f.asked("POST /-/api/v1/people/ben@example.com/reset", `"reason":"called from his number"`) {
		t.Errorf("%q", f.seen)
	}
	f.must(0, []string{"user", "looks", "ben@example.com"}, "Eva Sommer", "T-4711", "the invoice does not open", "4107", "none")
	f.must(0, []string{"user", "looks", "ben@example.com", "--format", "json"}, `"ticket":"T-4711"`)
	f.on("GET people/ada@example.com/looks", `{"looks":[]}`)
	f.must(0, []string{"user", "looks", "ada@example.com"}, "Nobody has looked.")
}
