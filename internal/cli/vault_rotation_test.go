package cli_test

import "testing"

const aRotation = `{"id":"r1","name":"/shop/db/url","kind":"postgres","from":{"admin":"/ops/admin","owner":"shop","roles":["shop_a","shop_b"],"template":"t"},"grace_hours":24,"by":"person/x",
	"state":"promoted","cause":"asked","slot":"b","fresh":"shop_b","old":"shop_a","version":4,"until":"2026-03-02T10:00:00Z","last":"2026-02-01T10:00:00Z","due":"2026-03-31T10:00:00Z"}`

const stillRotation = `{"id":"r2","name":"/shop/writ-key","kind":"access-key","from":{"path":"/shop","template":"t"},"grace_hours":24,"by":"person/x","state":"planned","fresh":"AKIAX","due":"2026-03-31T10:00:00Z",
	"problem":{"code":"owner_gone","says":"The owner is not there.","next":"Make it again."}}`

func TestRotationCommands(t *testing.T) {
	f := serve(t)
	f.on("POST vault/rotations", aRotation)
	f.on("GET vault/rotations", `{"rotations":[`+aRotation+`,`+stillRotation+`]}`)
	f.on("POST vault/rotations/now", stillRotation)
	f.on("POST vault/rotations/known", `{"replaced":["/a"],"failed":[],"left":["/b"]}`)
	f.on("DELETE vault/rotations", nil)
	add := []string{"vault", "rotation", "add", "/shop/db/url", "--admin", "/ops/admin", "--owner", "shop", "--roles", "shop_a,shop_b", "--template", "postgres://{user}:{password}@db/shop", "--grace", "1h30m"}
	f.must(0, add, "shop_b is in use, shop_a works until")
	if !f.asked("POST /-/api/v1/vault/rotations", `"kind":"postgres"`, `"roles":["shop_a","shop_b"]`, `"grace_hours":1.5`, `"owner":"shop"`) {
		t.Error("what is asked for")
	}
	f.must(0, append(add, "--format", "json"), `"fresh"`)
	f.must(0, []string{"vault", "rotation", "add", "/shop/k", "--path", "/shop", "--read-only", "--days", "30"})
	if !f.asked("POST /-/api/v1/vault/rotations", `"kind":"access-key"`, `"reads":true`, `"days":30`) {
		t.Error("what is asked for of a key")
	}
	f.must(0, []string{"vault", "rotation", "add", "/shop/t", "--service", "exporter", "--scope", "vault.read", "--scope", "orders:read"})
	if !f.asked("POST /-/api/v1/vault/rotations", `"kind":"token"`, `"service":"exporter"`, `"scopes":["vault.read","orders:read"]`) {
		t.Error("the token is not asked for")
	}
	f.must(2, []string{"vault", "rotation", "add", "/shop/k"}, "--admin", "--path", "--service")
	f.must(2, []string{"vault", "rotation", "add", "/shop/k", "--path", "/shop", "--service", "exporter"}, "--service")
	f.must(2, []string{"vault", "rotation", "add", "/shop/k", "--admin", "/a", "--roles", "one"}, "two roles")
	f.must(0, []string{"vault", "rotation", "list"}, "/shop/db/url", "works until", "stands still after planned (owner_gone)", "The owner is not there. Make it again.")
	f.must(0, []string{"vault", "rotation", "list", "/shop/db/url", "--format", "json"}, `"rotations"`)
	f.must(1, []string{"vault", "rotation", "now", "/shop/writ-key", "--exposed"}, "stands still", "Make it again.")
	if !f.asked("POST /-/api/v1/vault/rotations/now", `"exposed":true`) {
		t.Error("what is asked for")
	}
	f.must(1, []string{"vault", "rotation", "known", "person/x"}, "Replaced: /a", "To be replaced by hand: /b")
	f.must(1, []string{"vault", "rotation", "known", "person/x", "--format", "json"}, `"left"`)
	f.must(0, []string{"vault", "rotation", "end", "/shop/db/url"}, "by hand from now on")
}
