package openapi_test

import (
	"fmt"
	"strings"
	"testing"

	"writ/internal/gateway/openapi"
)

// What an answer gives is read field by field: a field's own word, else that of what holds it, also
// through references, lists and a schema within itself.
func TestFieldsOfAnAnswer(t *testing.T) { // breaks: inc.breach-scope
	json := func(schema string) string {
		return `{"description": "d", "content": {"application/json": {"schema": ` + schema + `}}}`
	}
	op := func(answers string) string {
		return doc("3.1.0", `"/x": {"get": {"responses": {`+answers+`}}}`, `, "schemas": {
"Person": {"type": "object", "x-writ-data": "contact", "properties": {"name": {"type": "string"}, "card": {"type": "string", "x-writ-data": "financial"}, "boss": {"$ref": "#/components/schemas/Person"}}},
"Note": {"type": "object", "properties": {"id": {"type": "integer", "x-writ-data": "none"}, "text": {"type": "string"}, "by": {"x-writ-data": "special", "$ref": "#/components/schemas/Plain"}}}, "Plain": {"type": "object", "properties": {"a": {"type": "string"}}},
"Joined": {"allOf": [{"$ref": "#/components/schemas/Plain"}, {"type": "object", "properties": {"b": {"type": "array", "items": {"$ref": "#/components/schemas/Person"}}}}]}}`)
	}
	for name, x := range map[string]struct{ answers, want string }{
		"of what holds it":         {`"200": ` + json(`{"$ref": "#/components/schemas/Person"}`), "[{/card financial} {/name contact}]"},
		"nothing said":             {`"200": ` + json(`{"type": "array", "items": {"$ref": "#/components/schemas/Note"}}`), "[{/*/by/a special} {/*/id none} {/*/text }]"},
		"joined":                   {`"2XX": ` + json(`{"$ref": "#/components/schemas/Joined"}`), "[{/a } {/b/*/card financial} {/b/*/name contact}]"},
		"a map":                    {`"200": ` + json(`{"type": "object", "additionalProperties": {"type": "string", "x-writ-data": "content"}}`), "[{/* content}]"},
		"default is for errors":    {`"200": ` + json(`{"type": "string", "x-writ-data": "content"}`) + `, "default": ` + json(`{"$ref": "#/components/schemas/Note"}`), "[{ content}]"},
		"default alone":            {`"default": ` + json(`{"type": "string", "x-writ-data": "content"}`) + `, "404": ` + json(`{"$ref": "#/components/schemas/Note"}`), "[{ content}]"},
		"a file":                   {`"200": {"description": "d", "content": {"text/csv": {}, "application/pdf": {"schema": {"type": "string", "format": "binary", "x-writ-data": "content"}}}}`, "[{ } { content}]"},
		"an answer without a body": {`"204": {"description": "d"}`, "[]"},
	} {
		if got := fmt.Sprint(load(t, op(x.answers)).Find("GET", "/x").Op.Fields()); got != x.want {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
	}
	var wide strings.Builder
	for i := range 700 {
		fmt.Fprintf(&wide, `%s"f%03d": {"type": "string", "x-writ-data": "none"}`, strings.Repeat(",", min(i, 1)), i)
	}
	for name, schema := range map[string]string{"wide": `{"type": "object", "properties": {` + wide.String() + `}}`, "in many ways": strings.Repeat(`{"type": "array", "items": `, 13) + `{"$ref": "#/components/schemas/S0"}` + strings.Repeat("}", 13)} {
		text := doc("3.1.0", `"/x": {"get": {"responses": {"200": `+json(schema)+`}}}`, `, "schemas": {`+within(7)+`}`)
		if got := load(t, text).Find("GET", "/x").Op.Fields(); len(got) == 0 || len(got) > 501 || got[0] != (openapi.Field{}) {
			t.Errorf("%s: what is not looked at counts as said: %d fields", name, len(got))
		}
	}
}

// within are schemas each of which has each of them.
func within(n int) string {
	var all []string
	for i := range n {
		var props []string
		for j := range n {
			props = append(props, fmt.Sprintf(`"p%d": {"$ref": "#/components/schemas/S%d"}`, j, j))
		}
		all = append(all, fmt.Sprintf(`"S%d": {"type": "object", "properties": {%s}}`, i, strings.Join(props, ",")))
	}
	return strings.Join(all, ",")
}

// Schemas that refer to one another in more ways than can be looked through are refused: what was not
// looked at would be shown without its mask.
func TestAnswersInManyWaysRegression(t *testing.T) { // breaks: use.public-api
	text := doc("3.1.0", `"/x": {"get": {"responses": {"200": {"description": "d", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}}}}`, `, "schemas": {`+within(12)+`}`)
	if _, err := openapi.Load(t.Context(), openapi.Source{Name: "api.json", Text: []byte(text)}); err == nil || !strings.Contains(err.Error(), "in more ways") {
		t.Errorf("%v", err)
	}
}
