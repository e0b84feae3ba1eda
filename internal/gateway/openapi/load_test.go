package openapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"writ/internal/gateway/openapi"
)

// doc is a description of one version with paths and components.
func doc(version, paths, components string) string {
	return fmt.Sprintf(`{"openapi": %q, "info": {"title": "t", "version": "1"}, "security": [{"key": []}],
"paths": {%s},
"components": {"securitySchemes": {"cookie": {"type": "apiKey", "in": "cookie", "name": "c"}, "key": {"type": "http", "scheme": "bearer"}}%s}}`, version, paths, components)
}

func load(t testing.TB, text string) *openapi.API {
	t.Helper()
	a, err := openapi.Load(t.Context(), openapi.Source{Name: "api.json", Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const ok = `"responses": {"200": {"description": "d"}}`

func get(path string, more string) string {
	return fmt.Sprintf(`%q: {"get": {%s %s}}`, path, more, ok)
}

func variable(names ...string) string {
	var all []string
	for _, n := range names {
		all = append(all, fmt.Sprintf(`{"name": %q, "in": "path", "required": true, "schema": {"type": "string", "maxLength": 9}}`, n))
	}
	return `"parameters": [` + strings.Join(all, ",") + `],`
}

// A description that cannot be kept whole is refused when it is read, with its place.
func TestLoadRefuses(t *testing.T) { // breaks: use.public-api
	body := func(media, schema string) string {
		return fmt.Sprintf(`"/x": {"post": {"requestBody": {"content": {%q: {%s}}}, %s}}`, media, schema, ok)
	}
	query := func(schema string) string {
		return `"/x": {"get": {"parameters": [{"name": "q", "in": "query", ` + schema + `}], ` + ok + `}}`
	}
	for name, x := range map[string]struct{ text, says, at string }{
		"no JSON":              {"{\n\n \"a\": tru}", "not JSON", ""},
		"a name twice":         {`{"openapi": "3.1.0", "openapi": "3.0.0"}`, "says a name twice", ""},
		"not a version":        {`{"openapi": "2.0"}`, "3.0.x or 3.1.x", "/openapi"},
		"no object":            {`[1]`, "not an object", ""},
		"outside by file":      {doc("3.1.0", get("/x", "")+`, "/y": {"$ref": "other.json"}`, ""), "outside this document", "/paths/~1y/$ref"},
		"outside by address":   {doc("3.0.3", query(`"schema": {"$ref": "http://127.0.0.1/a"}`), ""), "outside this document", ""},
		"nothing there":        {doc("3.1.0", query(`"schema": {"$ref": "#/components/schemas/None"}`), ""), "", ""},
		"its own base":         {doc("3.1.0", query(`"schema": {"$id": "https://a.invalid/x", "type": "string"}`), ""), "not taken", ""},
		"another dialect":      {doc("3.1.0", query(`"schema": {"$schema": "http://json-schema.org/draft-04/schema#"}`), ""), "dialect", ""},
		"pattern without RE2":  {doc("3.1.0", query(`"schema": {"type": "string", "pattern": "^(?=a)b$"}`), ""), "cannot be used", "/paths/~1x/get/parameters/0/schema"},
		"same by names":        {doc("3.1.0", get("/a/{x}", variable("x"))+","+get("/a/{y}", variable("y")), ""), "", ""},
		"neither more special": {doc("3.1.0", get("/a/{x}/c", variable("x"))+","+get("/a/b/{y}", variable("y")), ""), "neither is the more special", "/paths/~1a~1{x}~1c"},
		"mixed, overlapping":   {doc("3.1.0", get("/a/{x}.json", variable("x"))+","+get("/a/v{y}", variable("y")), ""), "neither is the more special", ""},
		"only in capitals":     {doc("3.1.0", get("/a", "")+","+get("/A", ""), ""), "only in capitals", ""},
		"only by a slash":      {doc("3.1.0", get("/a", "")+","+get("/a/", ""), ""), "a slash at its end", ""},
		"two in a segment":     {doc("3.1.0", get("/a/{x}-{y}", variable("x", "y")), ""), "one variable at most", ""},
		"dot segment":          {doc("3.1.0", get("/a/../b", ""), ""), "dot segments", ""},
		"escape in a path":     {doc("3.1.0", get("/a/%2f", ""), ""), "without escapes", ""},
		"variable undescribed": {doc("3.1.0", get("/a/{x}", ""), ""), "", ""},
		"object in a query":    {doc("3.1.0", query(`"schema": {"type": "object", "properties": {"a": {"type": "string"}}}`), ""), "deepObject", ""},
		"label style":          {doc("3.1.0", get("/a/{x}", `"parameters": [{"name": "x", "in": "path", "required": true, "style": "label", "schema": {"type": "string"}}],`), ""), "style is not taken", ""},
		"media without schema": {doc("3.1.0", body("application/json", ""), ""), "would take anything", "/paths/~1x/post/requestBody/content/application~1json"},
		"media nobody decodes": {doc("3.1.0", body("application/xml", `"schema": {"type": "object", "properties": {}}`), ""), "cannot be judged", ""},
		"form with objects":    {doc("3.1.0", body("application/x-www-form-urlencoded", `"schema": {"type": "object", "properties": {"a": {"type": "object"}}}`), ""), "plain value", ""},
		"mask of no kind":      {doc("3.1.0", `"/x": {"get": {"responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"type": "string", "x-writ-mask": "most"}}}}}}}`, ""), "last4, all or email", ""},
		"data of no kind":      {doc("3.1.0", `"/x": {"get": {"responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"type": "string", "x-writ-data": "secret"}}}}}}}`, ""), "contact, credential, financial, special, content or none", ""},
		"scheme of no name":    {doc("3.1.0", get("/x", `"security": [{"other": []}],`), ""), "security scheme", ""},
		"trace":                {doc("3.1.0", `"/x": {"trace": {`+ok+`}}`, ""), "forwards no such method", ""},
		"servers apart":        {strings.Replace(doc("3.1.0", get("/x", ""), ""), `"paths"`, `"servers": [{"url": "/v1"}, {"url": "https://a.invalid/v2"}], "paths"`, 1), "different paths", "/servers/1/url"},
		"YAML alias":           {"openapi: 3.1.0\ninfo: &a {title: t}\nx-a: *a\n", "aliases", "/info"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := openapi.Load(t.Context(), openapi.Source{Name: "api.json", Text: []byte(x.text)})
			f, ok := errors.AsType[*openapi.Fault](err)
			if !ok || !strings.Contains(f.Problem, x.says) || f.Line == 0 || x.at != "" && f.Pointer != x.at {
				t.Errorf("got %+v (%v), want %q at %q", f, err, x.says, x.at)
			}
		})
	}
}

// A fault names the line, in JSON and in YAML.
func TestLines(t *testing.T) {
	y := "openapi: 3.1.0\ninfo: {title: t, version: \"1\"}\npaths:\n  /x:\n    get:\n      parameters:\n      - name: q\n        in: query\n        schema: {type: string, pattern: \"(?=a)\"}\n      responses:\n        200: {description: d}\n"
	_, err := openapi.Load(t.Context(), openapi.Source{Name: "a.yaml", Text: []byte(y)})
	if f, ok := errors.AsType[*openapi.Fault](err); !ok || f.Line != 9 || !strings.HasPrefix(f.Error(), "a.yaml:9: at /paths/~1x/get/parameters/0/schema: ") {
		t.Errorf("%v", err)
	}
	j := strings.ReplaceAll(doc("3.1.0", `"/x": {"get": {"parameters": [`+"\n"+`{"name": "q", "in": "query",`+"\n"+`"schema": {"type": "string", "pattern": "(?=a)"}}], `+ok+`}}`, ""), "\t", " ")
	_, err = openapi.Load(t.Context(), openapi.Source{Name: "a.json", Text: []byte(j)})
	if f, ok := errors.AsType[*openapi.Fault](err); !ok || f.Line != 4 {
		t.Errorf("%v", err)
	}
}

// The more special path counts, whatever the order they are written in, and servers only
// say where the paths begin.
func TestFind(t *testing.T) {
	paths := get("/a/{x}", variable("x")) + "," + get("/a/b", "") + "," + get("/a/{x}/{y}", variable("x", "y")) + "," + get("/a/b/{z}", variable("z")) + "," +
		get("/f/{n}.json", variable("n")) + "," + get("/f/{n}", variable("n")) + "," + get("/", "") + "," + get("/dir/", "")
	a := load(t, strings.Replace(doc("3.1.0", paths, ""), `"paths"`, `"servers": [{"url": "https://api.example.com/v1/"}], "paths"`, 1))
	for path, want := range map[string]string{
		"/v1/a/b": "/v1/a/b", "/v1/a/c": "/v1/a/{x}", "/v1/a/b/c": "/v1/a/b/{z}", "/v1/a/c/b": "/v1/a/{x}/{y}", "/v1/f/q.json": "/v1/f/{n}.json", "/v1/f/.json": "/v1/f/{n}",
		"/v1/": "/v1/", "/v1/dir/": "/v1/dir/", "/a/b": "", "/v1/a": "", "/v1/a/b/c/d": "", "/v1/f/": "", "": "", "v1": "",
		"/v1/A/b": "~/v1/a/b", "/V1/a/B/": "~/v1/a/b", "/v1/dir": "~/v1/dir/", "/v1/a/": "",
	} {
		m := a.Find(http.MethodGet, path)
		got := ""
		if m.Path != nil {
			got = m.Path.Template
			if !m.Exact {
				got = "~" + got
			}
		}
		if got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if m := a.Find(http.MethodPost, "/v1/a/b"); m.Op != nil || m.Path == nil || m.Path.Allow != "GET, HEAD" {
		t.Errorf("POST: %+v", m)
	}
	if m := a.Find(http.MethodHead, "/v1/a/b"); m.Op == nil {
		t.Error("HEAD does not go with GET")
	}
}

func TestScopes(t *testing.T) { // breaks: use.public-api
	a := load(t, doc("3.1.0", get("/x", `"security": [{"key": ["a:read", "b:read"]}, {"key": ["all:read"]}],`)+","+get("/y", "")+","+get("/z", `"security": [],`)+","+get("/c", `"security": [{"cookie": []}, {"key": ["c:read"]}],`), ""))
	op := a.Find("GET", "/x").Op
	for has, want := range map[string]bool{"": false, "a:read": false, "a:read b:read": true, "all:read": true, "c:d": false} {
		if got := op.Scoped(strings.Fields(has)); got != want {
			t.Errorf("%q: %v", has, got)
		}
	}
	if op := a.Find("GET", "/c").Op; op.Scoped(nil) || !op.Scoped([]string{"c:read"}) {
		t.Error("a token takes the way of a cookie")
	}
	if !a.Find("GET", "/y").Op.Scoped(nil) || a.Find("GET", "/y").Op.Public || !a.Find("GET", "/z").Op.Public {
		t.Error("an operation without scopes asks for some, or is taken for public")
	}
}

func TestLint(t *testing.T) {
	text := `{"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {"/x": {"post": {
"requestBody": {"content": {"application/json": {"schema": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array", "items": {"type": "integer"}}, "c": {"type": "object", "additionalProperties": true}, "d": {"type": "string", "maxLength": 3}}}}}}, ` + ok + `}}}}`
	var says []string
	for _, r := range load(t, text).Lint {
		says = append(says, fmt.Sprintf("%s:%d %v %s", r.Pointer[strings.LastIndexByte(r.Pointer, '/'):], r.Line, r.Grave, r.Says))
	}
	want := []string{"/post:1 true the operation says nothing of security", "/a:2 false a text without maxLength", "/b:2 false a list without maxItems", "/c:2 false an object that takes any field"}
	if !slices.Equal(says, want) {
		t.Errorf("%q", says)
	}
}
