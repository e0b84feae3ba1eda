package cli_test

import "testing"

func TestScim(t *testing.T) {
	f := serve(t)
	about := `{"id":"c1","team":"staff","name":"entra","address":"https://x/-/scim/v2","roles":["engineer"],"domains":["example.test"],"groups":[{"group":"A=B","role":"engineer"}],"tokens":[{"ends":"2027-03-01T10:00:00Z"}]}`
	f.on("POST provisioning", `{"token":"writ_svc_t","about":`+about+`}`)
	f.on("GET provisioning", `{"connections":[`+about+`]}`)
	f.on("DELETE provisioning/{id}", nil)
	f.must(0, []string{"team", "scim", "add", "entra", "--role", "engineer", "--domain", "example.test", "--group", "A=B=engineer", "--days", "30"}, "https://x/-/scim/v2", "writ_svc_t")
	f.must(0, []string{"team", "scim", "list"}, "entra", "example.test", "A=B=engineer")
	f.must(0, []string{"team", "scim", "list", "--format", "json"}, `"c1"`)
	f.must(0, []string{"team", "scim", "remove", "entra"}, "Disconnected")
	f.must(2, []string{"team", "scim", "add", "entra", "--group", "engineer"}, "NAME=ROLE")
	f.must(2, []string{"team", "scim", "add"}, "Accepts 1 arg")
	if !f.asked("POST", `"group":"A=B"`, `"role":"engineer"`, `"days":30`, `"name":"entra"`) || !f.asked("DELETE", "provisioning/entra") {
		t.Errorf("asked %q", f.seen)
	}
}
