package cli_test

import "testing"

func TestTokenClients(t *testing.T) {
	f := serve(t)
	f.on("POST clients", `{"client":{"id":"c1","name":"Wiki"},"secret":"writ_ocs_abc","issuer":"https://app.example.test"}`)
	f.on("GET clients", `{"clients":[{"id":"c1","name":"Wiki","kind":"confidential","trust":"first-party","audience":"staff","redirects":["https://wiki.example.test/cb"],"secrets":[{"id":"s1"}]}]}`)
	f.on("POST clients/c1/secrets", `{"secret":"writ_ocs_def"}`)
	f.on("DELETE clients/c1", nil)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"token", "client", "add", "Wiki", "--redirect", "https://wiki.example.test/cb", "--par"}, "writ_ocs_abc"},
		{[]string{"token", "client", "list"}, "https://wiki.example.test/cb"},
		{[]string{"token", "client", "rotate", "c1"}, "writ_ocs_def"},
		{[]string{"token", "client", "remove", "c1"}, "Removed."},
	} {
		f.must(0, c.args, c.want)
	}
	if !f.asked("POST /-/api/v1/clients ", `"require_par":true`, `"redirects":["https://wiki.example.test/cb"]`) || !f.asked("DELETE /-/api/v1/clients/c1") {
		t.Errorf("sent %v", f.seen)
	}
}
