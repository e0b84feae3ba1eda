package cli_test

import "testing"

func TestGatewayRoutesShowsAll(t *testing.T) {
	f := serve(t)
	f.on("GET gateway", `{"mode":"normal","upstream":"http://x","table":{"least":"signed-in","public_paths":["/about"],"routes":[{"path":"/api/","methods":["GET"],"who":"signed-in","scopes":["orders:read"],"limit":"5/m","quota":"9/d"},{"path":"/admin/","who":"role","roles":["admin"],"step_up":"15m"}]},
"description":{"files":["api.yaml"],"problem":"api.yaml:4: at /paths: no","remarks":[{"file":"api.yaml","line":9,"says":"a text without maxLength"}]},"operations":[{"method":"PUT","path":"/api/orders/{id}","scopes":["orders:write"],"takes":"application/json"}]}`)
	f.must(0, []string{"gateway", "routes"}, "/about", "TOKENS WITH", "orders:read", "limit 5/m, quota 9/d", "step-up 15m", "api.yaml", "PUT", "/api/orders/{id}", "orders:write", "application/json", "not in force as it is now: api.yaml:4", "api.yaml:9: a text without maxLength")
}

func TestGatewayExplain(t *testing.T) {
	f := serve(t)
	f.on("GET gateway/explain", `{"method":"GET","path":"/x?a=1","as":"a token with orders:read","through":false,"steps":[{"step":"route","outcome":"passed","notes":["The route /x counts."]},
{"step":"schema","outcome":"refused","clause":"use.public-api","status":422,"code":"not_as_described","problem":"It is not as described.","places":["query/a: unknown"]},{"step":"later","outcome":"not reached"}]}`)
	f.must(1, []string{"gateway", "explain", "GET", "/x?a=1", "--token-scope", "orders:read", "--token-scope", "b:c"}, "The route /x counts.", "refused with 422 not_as_described (use.public-api)", "It is not as described.", "query/a: unknown", "It would be refused.")
	if !f.asked("GET", "path=%2Fx%3Fa%3D1", "scope=orders%3Aread&scope=b%3Ac", "method=GET") {
		t.Errorf("asked %q", f.seen)
	}
	g := serve(t)
	g.on("GET gateway/explain", `{"method":"GET","path":"/x","as":"a stranger","through":true,"steps":[{"step":"route","outcome":"passed"}]}`)
	g.must(0, []string{"gateway", "explain", "GET", "/x", "--as", "ana@example.test"}, "passed.", "It would be let through.")
	if !g.asked("GET", "as=ana%40example.test") {
		t.Errorf("asked %q", g.seen)
	}
	g.must(2, []string{"gateway", "explain", "/x"})
}
