package openapi

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

const quickDoc = `{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/x": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/T"}}}}, "responses": {"200": {"description": "d"}}}}},
"components": {"schemas": {
 "T": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "minLength": 1, "maxLength": 3}, "b": {"type": "integer", "minimum": -2, "maximum": 5}, "c": {"type": ["number", "null"]},
  "d": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/S"}}, "e": {"enum": ["x", "y"]}, "f": {"type": "string", "format": "uuid"}, "g": {"type": "integer", "format": "int32"}, "r": {"type": "string", "readOnly": true},
  "h": {"type": "object", "additionalProperties": {"type": "boolean"}}, "i": {"type": "number", "maximum": 2}, "j": {"$ref": "#/components/schemas/S"}, "k": {"type": "object", "additionalProperties": false, "properties": {"z": {}}}, "m": {"$ref": "#/components/schemas/M"}, "o": {"oneOf": [{"$ref": "#/components/schemas/S"}, {"type": "integer"}]}}},
 "M": {"allOf": [{"$ref": "#/components/schemas/S"}, {"type": "object", "required": ["q"], "properties": {"q": {"type": "integer"}, "m": {"$ref": "#/components/schemas/M"}}}]},
 "S": {"type": "object", "properties": {"n": {"type": "boolean"}}}}}}`

// anyJSON makes a value near to what is described, and often not it.
func anyJSON(r *rand.Rand, depth int) string {
	leaf := []string{`"a"`, `"x"`, `"abcd"`, `""`, `"äöü"`, `1`, `-3`, `5`, `6`, `1.0`, `1.5`, `1e2`, `2147483648`, `99999999999999999999`, `true`, `false`, `null`, `"0197f7a2-1111-7abc-8def-0123456789ab"`, `"0197f7a2-1111-7abc-8def-0123456789aX"`}
	if depth == 0 || r.IntN(3) == 0 {
		return leaf[r.IntN(len(leaf))]
	}
	if r.IntN(4) == 0 {
		var s []string
		for range r.IntN(4) {
			s = append(s, anyJSON(r, depth-1))
		}
		return "[" + strings.Join(s, ",") + "]"
	}
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "m", "n", "o", "r", "z", "q"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var s []string
	for _, n := range names[:r.IntN(7)] {
		v := anyJSON(r, depth-1)
		if n == "a" && r.IntN(2) == 0 {
			v = `"a"`
		}
		s = append(s, fmt.Sprintf("%q:%s", n, v))
	}
	return "{" + strings.Join(s, ",") + "}"
}

func quickOne(t testing.TB) *judged {
	t.Helper()
	a, err := Load(t.Context(), Source{Name: "q", Text: []byte(quickDoc)})
	if err != nil {
		t.Fatal(err)
	}
	s := a.paths[0].p.ops["POST"].media[0].schema
	if s.quick == nil {
		t.Fatal("a plain schema is not quick")
	}
	return s
}

// A quick yes is the library's yes.
func TestQuickNeverSaysYesAlone(t *testing.T) {
	s := quickOne(t)
	r := rand.New(rand.NewPCG(3, 4))
	yes, both := 0, 0
	for range 200_000 {
		text := anyJSON(r, 3)
		v, err := parseJSON([]byte(text))
		if err != nil {
			t.Fatal(text, err)
		}
		if !s.quick.yes(v) {
			continue
		}
		yes++
		if err := s.whole.Validate(v); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		both++
	}
	if yes < 200 {
		t.Errorf("only %d of them were plainly right", yes)
	}
}

// A schema that is joined with itself ends no server: the library says what it is.
func TestQuickCircle(t *testing.T) {
	circle := strings.Replace(quickDoc, `"S": {"type"`, `"S": {"allOf": [{"$ref": "#/components/schemas/C"}], "type"`, 1)
	circle = strings.Replace(circle, `"M": {`, `"C": {"allOf": [{"$ref": "#/components/schemas/S"}]}, "M": {`, 1)
	a, err := Load(t.Context(), Source{Name: "q", Text: []byte(circle)})
	if err != nil {
		return // refused when it is read
	}
	if all, err := a.paths[0].p.ops["POST"].media[0].Body([]byte(`{"a":"a","j":{"n":true}}`), nil); err == nil && len(all) == 0 {
		t.Error("taken")
	}
}

// What is taken here another judge of the same standard takes as well.
func TestSecondOpinion(t *testing.T) {
	old := strings.NewReplacer(`"3.1.0"`, `"3.0.3"`, `"type": ["number", "null"]`, `"type": "number", "nullable": true`, `{"enum": ["x", "y"]}`, `{"type": "string", "enum": ["x", "y"]}`).Replace(quickDoc)
	a, err := Load(t.Context(), Source{Name: "q", Text: []byte(old)})
	if err != nil {
		t.Fatal(err)
	}
	md := a.paths[0].p.ops["POST"].media[0]
	k, err := openapi3.NewLoader().LoadFromData([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	other := k.Components.Schemas["T"].Value
	r, taken := rand.New(rand.NewPCG(7, 8)), 0
	for range 100_000 {
		text := anyJSON(r, 3)
		all, err := md.Body([]byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) > 0 {
			continue
		}
		taken++
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		if err := other.VisitJSON(v, openapi3.VisitAsRequest()); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if taken < 100 {
		t.Errorf("only %d were taken", taken)
	}
}

func FuzzQuick(f *testing.F) {
	s := quickOne(f)
	r := rand.New(rand.NewPCG(5, 6))
	for range 50 {
		f.Add(anyJSON(r, 3))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := parseJSON([]byte(text)); err == nil && s.quick.yes(v) && s.whole.Validate(v) != nil {
			t.Errorf("%s", text)
		}
	})
}
