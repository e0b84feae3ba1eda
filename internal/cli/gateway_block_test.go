package cli_test

import "testing"

func TestGatewayBlock(t *testing.T) {
	f := serve(t)
	f.on("GET gateway/blocks", `{"blocks":[{"id":"1","network":"198.51.100.0/24","reason":"passwords","incident":"I-3","owner":"person/ana","until":"2027-01-02T00:00:00Z"},
{"id":"2","network":"2001:db8::/48","reason":"x","owner":"person/ana","until":"2027-01-02T00:00:00Z","ended":"2026-01-03T00:00:00Z"}]}`)
	f.must(0, []string{"gateway", "block", "list"}, "198.51.100.0/24", "I-3", "passwords", "2 Jan 2027", "ended 3 Jan")
	f.on("POST gateway/blocks", `{"id":"1","network":"198.51.100.0/24","until":"2027-01-02T00:00:00Z"}`)
	f.must(0, []string{"gateway", "block", "add", "198.51.100.9/24", "--reason", "passwords", "--incident", "I-3", "--until", "2027-01-02"}, "198.51.100.0/24 is kept out until 2 Jan 2027")
	if !f.asked("POST", `"network":"198.51.100.9/24"`, `"reason":"passwords"`, `"incident":"I-3"`, `"until":"2027-01-02T00:00:00Z"`) {
		t.Errorf("asked %q", f.seen)
	}
	f.must(2, []string{"gateway", "block", "add", "198.51.100.0/24", "--reason", "x", "--until", "soon"})
	f.must(2, []string{"gateway", "block", "add", "198.51.100.0/24"})
	f.on("POST gateway/blocks/remove", ``)
	f.must(0, []string{"gateway", "block", "remove", "198.51.100.0/24"}, "let in again")
	if !f.asked("POST", `"block":"198.51.100.0/24"`) {
		t.Errorf("asked %q", f.seen)
	}
}
