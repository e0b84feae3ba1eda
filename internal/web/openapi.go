package web

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"writ/internal/actor"
	"writ/internal/secret"

	"github.com/go-json-experiment/json"
)

// object is a node of the document.
type object = map[string]any

// OpenAPI is the OpenAPI 3.1 document of all mounted routes under /-/api/ and of every
// other route whose Doc has a summary.
func (s *Server) OpenAPI(title, version string) []byte {
	if version == "" {
		version = "0"
	}
	schemas := &schemas{named: object{}}
	problem := schemas.of(reflect.TypeFor[Problem]())
	paths := map[string]object{}
	for _, rt := range s.routes {
		method, path := rt.split()
		if !api(path) || rt.Doc.Summary == "" {
			continue
		}
		path = strings.NewReplacer("...}", "}", "{$}", "").Replace(path)
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path][strings.ToLower(method)] = operation(rt, method, path, problem, schemas)
	}
	doc := object{
		"openapi": "3.1.0",
		"info":    object{"title": title, "version": version},
		"paths":   paths,
		"components": object{
			"schemas": schemas.named,
			"securitySchemes": object{
				"session": object{"type": "apiKey", "in": "cookie", "name": "__Host-writ"},
				"token":   object{"type": "http", "scheme": "bearer"},
			},
		},
	}
	b, err := json.Marshal(doc, json.Deterministic(true))
	if err != nil {
		panic(fmt.Sprintf("web: the OpenAPI document cannot be encoded: %v", err)) // made of maps and strings alone
	}
	return b
}

func (s *Server) serveOpenAPI(w http.ResponseWriter, _ *http.Request, _ actor.Actor) error {
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(append(s.OpenAPI(s.deps.Title, s.deps.Version), '\n'))
	return err
}

var pathParam = regexp.MustCompile(`\{([a-zA-Z_][a-zA-Z0-9_]*)\}`)

// operation describes one route.
func operation(rt Route, method, path string, problem object, schemas *schemas) object {
	d := rt.Doc
	op := object{"summary": d.Summary, "operationId": operationID(method, path), "tags": []string{tagOf(d, path)}}
	params := []object{}
	for _, m := range pathParam.FindAllStringSubmatch(path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, q := range d.Query {
		params = append(params, object{"name": q, "in": "query", "schema": object{"type": "string"}})
	}
	if len(params) > 0 {
		op["parameters"] = params
	}
	if d.In != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": schemas.of(reflect.TypeOf(d.In))}}}
	}
	good := object{"description": "Done."}
	status := d.Status
	if d.Out != nil {
		good["content"] = object{"application/json": object{"schema": schemas.of(reflect.TypeOf(d.Out))}}
	}
	if status == 0 {
		status = http.StatusNoContent
		if d.Out != nil {
			status = http.StatusOK
		}
	}
	refused := object{"description": refusals(d.Errors), "content": object{"application/problem+json": object{"schema": problem}}}
	op["responses"] = object{strconv.Itoa(status): good, "default": refused}
	if rt.Who > Anyone {
		op["security"] = []object{{"session": []string{}}, {"token": []string{}}}
	}
	return op
}

func refusals(codes []string) string {
	if len(codes) == 0 {
		return "Refused; see the problem's code."
	}
	return "Refused; among the codes: " + strings.Join(codes, ", ") + "."
}

func tagOf(d Doc, path string) string {
	if d.Tag != "" {
		return d.Tag
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/-/api/v1/"), "/")
	return first
}

func operationID(method, path string) string {
	words := strings.FieldsFunc(strings.TrimPrefix(path, "/-/api/v1/"), func(r rune) bool { return strings.ContainsRune("/{}.", r) })
	return strings.ToLower(method) + "-" + strings.Join(words, "-")
}

// schemas collects named types, so that each is described once.
type schemas struct{ named object }

var (
	timeType  = reflect.TypeFor[time.Time]()
	textType  = reflect.TypeFor[secret.Text]()
	bytesType = reflect.TypeFor[secret.Bytes]()
)

// of is the schema of t: inline for simple types, a reference for named structs.
func (s *schemas) of(t reflect.Type) object {
	switch t {
	case timeType:
		return object{"type": "string", "format": "date-time"}
	case textType, bytesType:
		return object{"type": "string", "format": "password", "writeOnly": true}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []object{s.of(t.Elem()), {"type": "null"}}}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		if t.Name() == "" {
			return s.fields(t)
		}
		return s.ref(t)
	}
	return object{} // anything
}

// ref names t after its package, and describes it the first time.
func (s *schemas) ref(t reflect.Type) object {
	name := strings.Trim(regexp.MustCompile(`[^A-Za-z0-9_.-]+`).ReplaceAllString(t.String(), "."), ".")
	if _, ok := s.named[name]; !ok {
		s.named[name] = object{} // a type that holds itself ends here
		s.named[name] = s.fields(t)
	}
	return object{"$ref": "#/components/schemas/" + name}
}

func (s *schemas) fields(t reflect.Type) object {
	props, required := object{}, []string{}
	s.collect(t, props, &required)
	out := object{"type": "object", "properties": props}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// collect takes the members of t as the encoder does: by tag, embedded structs flattened.
func (s *schemas) collect(t reflect.Type, props object, required *[]string) {
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct && f.Type != timeType {
			s.collect(f.Type, props, required)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		props[name] = s.of(f.Type)
		if !strings.Contains(opts, "omit") && f.Type.Kind() != reflect.Pointer {
			*required = append(*required, name)
		}
	}
}
