package web_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"writ/internal/web"
)

type node struct {
	Name     string    `json:"name"`
	Children []node    `json:"children,omitempty"`
	At       time.Time `json:"at"`
	Parent   *string   `json:"parent"`
	hidden   int
	Skipped  int `json:"-"`
}

func TestOpenAPI(t *testing.T) {
	_ = node{}.hidden
	s := newServer(t,
		web.Route{Pattern: "POST /-/api/v1/sign-in", Who: web.Anyone, Handle: answerOK, Doc: web.Doc{Summary: "Sign in", In: signIn{}, Out: node{}, Errors: []string{"refused", "too_often"}}},
		web.Route{Pattern: "DELETE /-/api/v1/sessions/{id}", Who: web.SignedIn, Handle: answerOK, Doc: web.Doc{Summary: "End a session"}},
		web.Route{Pattern: "GET /-/api/v1/sessions", Who: web.SignedIn, Handle: answerOK, Doc: web.Doc{Summary: "List sessions", Query: []string{"after"}, Out: []node{}}},
		web.Route{Pattern: "POST /-/api/v1/recovery", Who: web.Anyone, Handle: answerOK, Doc: web.Doc{Summary: "Ask for a link", In: struct {
			Email string `json:"email"`
		}{}, Status: 202}},
		web.Route{Pattern: "GET /-/sign-in", Who: web.Anyone, Handle: answerOK})
	rec := httptest.NewRecorder()
	s.Handler(door{}).ServeHTTP(rec, ask{method: "GET", path: "/-/api/v1/openapi.json"}.request())
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	var doc struct {
		OpenAPI    string
		Info       struct{ Title, Version string }
		Paths      map[string]map[string]map[string]any
		Components struct {
			Schemas         map[string]map[string]any
			SecuritySchemes map[string]any
		}
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" || doc.Info.Title == "" || doc.Info.Version == "" || len(doc.Paths) != 4 {
		t.Errorf("%s %v, %d paths", doc.OpenAPI, doc.Info, len(doc.Paths))
	}
	ids := map[string]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			id, _ := op["operationId"].(string)
			if id == "" || ids[id] {
				t.Errorf("%s %s: operationId %q", method, path, id)
			}
			ids[id] = true
			responses, _ := op["responses"].(map[string]any)
			if len(responses) != 2 || !strings.Contains(jsonOf(t, responses["default"]), `"application/problem+json":{"schema":{"$ref":"#/components/schemas/web.Problem"}}`) {
				t.Errorf("%s %s: responses %v", method, path, responses)
			}
			if strings.Count(path, "{") != strings.Count(jsonOf(t, op["parameters"]), `"in":"path"`) {
				t.Errorf("%s %s: parameters %v", method, path, op["parameters"])
			}
		}
	}
	for _, ref := range strings.Split(rec.Body.String(), `"$ref":"#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(ref, `"`)
		if len(doc.Components.Schemas[name]) == 0 {
			t.Errorf("schema %q is named and not described", name)
		}
	}
	for what, want := range map[string]string{
		jsonOf(t, doc.Components.Schemas["web_test.node"]):                                             `{"properties":{"at":{"format":"date-time","type":"string"},"children":{"items":{"$ref":"#/components/schemas/web_test.node"},"type":"array"},"name":{"type":"string"},"parent":{"anyOf":[{"type":"string"},{"type":"null"}]}},"required":["name","at"],"type":"object"}`,
		jsonOf(t, doc.Components.Schemas["web_test.signIn"]["properties"]):                             `{"email":{"type":"string"},"password":{"format":"password","type":"string","writeOnly":true}}`,
		jsonOf(t, doc.Paths["/-/api/v1/sessions/{id}"]["delete"]["security"]):                          `[{"session":[]},{"token":[]}]`,
		jsonOf(t, doc.Paths["/-/api/v1/sessions/{id}"]["delete"]["responses"].(map[string]any)["204"]): `{"description":"Done."}`,
		jsonOf(t, doc.Paths["/-/api/v1/sign-in"]["post"]["security"]):                                  `null`,
	} {
		if what != want {
			t.Errorf("got  %s\nwant %s", what, want)
		}
	}
	if doc.Paths["/-/api/v1/recovery"]["post"]["responses"].(map[string]any)["202"] == nil {
		t.Error("the status of the good answer is missing")
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
