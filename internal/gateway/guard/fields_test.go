package guard_test

import (
	"encoding/json"
	"errors"
	"testing"

	"writ/internal/gateway/guard"
)

var fieldMasks = []guard.FieldMask{{"/email", "email"}, {"/items/*/iban", "last4"}, {"/secret", "all"}, {"/n", "last4"}, {"/a~1b", "all"}}

// breaks: use.need-to-see
func TestFields(t *testing.T) {
	for in, want := range map[string]string{
		`{"email": "maria@orchard.example", "other": "maria@orchard.example"}`: `{"email": "m****@orchard.example", "other": "maria@orchard.example"}`,
		`{"email":"no address","email":"é@x"}`:                                 `{"email":"****","email":"é****@x"}`,
		` {"items":[{"iban":"DE89370400440532013000"},{"iban":null,"x":1}] } `: ` {"items":[{"iban":"******************3000"},{"iban":null,"x":1}] } `,
		`{"secret":{"a":"x","b":[1,true,null,"y"]}}`:                           `{"secret":{"a":"****","b":[0,false,null,"****"]}}`,
		`{"n":1234567,"a/b":"\u0031"}`:                                         `{"n":9994567,"a/b":"****"}`,
		`{"n":12,"n":1.5e3}`:                                                   `{"n":0,"n":0}`,
		`{"e\u006dail":"x@y"}`:                                                 `{"e\u006dail":"x****@y"}`,
		`[]`:                                                                   `[]`, `"x"`: `"x"`, `{}`: `{}`, `{"items":[]}`: `{"items":[]}`,
	} {
		got, _, err := guard.Fields([]byte(in), fieldMasks)
		if string(got) != want || err != nil {
			t.Errorf("%s\n became %s %v,\n want   %s", in, got, err, want)
		}
	}
	if got, n, err := guard.Fields([]byte(`["a","b"]`), []guard.FieldMask{{"/*", "all"}}); string(got) != `["****","****"]` || n != 2 || err != nil {
		t.Errorf("%s %d %v", got, n, err)
	}
	if _, _, err := guard.Fields([]byte(`{"email":`), fieldMasks); !errors.Is(err, guard.ErrDocument) {
		t.Errorf("half a document: %v", err)
	}
}

func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"email":"a@b","items":[{"iban":"12345"}],"secret":[{"x":1}],"n":12345}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		out, _, err := guard.Fields(in, fieldMasks)
		if json.Valid(in) != (err == nil) || err == nil && !json.Valid(out) {
			t.Fatalf("%q became %q %v", in, out, err)
		}
		if again, _, err2 := guard.Fields(out, nil); err == nil && (err2 != nil || string(again) != string(out)) {
			t.Fatalf("without masks %q became %q", out, again)
		}
	})
}
