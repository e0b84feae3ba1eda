package scim

import (
	"fmt"
	"io"
	"mime"
	"strings"

	"github.com/go-json-experiment/json"

	"writ/internal/fault"
)

// object is a JSON object whose names are lower-case: names of attributes have no case
// (RFC 7643 §2.1).
type object map[string]any

// maxDepth is more than any attribute has.
const maxDepth = 8

// read decodes the body of a request.
func (c call) read() (object, error) {
	kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || kind != media && kind != "application/json" {
		return nil, fault.New(fault.Media, "not_scim", fault.Public{Problem: "The body is not SCIM.", Expected: "Content-Type: " + media + "."})
	}
	b, err := io.ReadAll(c.Body)
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	return decode(b)
}

// decode reads one object, strictly: no name twice, in whatever case.
func decode(b []byte) (object, error) {
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, badBody("The body is no well-formed JSON, or a name stands twice in it.")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, badBody("The body is no JSON object.")
	}
	low, err := lower(m, 0)
	if err != nil {
		return nil, err
	}
	return low.(object), nil
}

func lower(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, badBody("The body is nested too deeply.")
	}
	switch v := v.(type) {
	case map[string]any:
		out := object{}
		for k, x := range v {
			low, err := lower(x, depth+1)
			if err != nil {
				return nil, err
			}
			name := strings.ToLower(k)
			if strings.ContainsAny(k, `[" `) {
				name = k // a path with a filter, whose value has its case
			}
			if _, twice := out[name]; twice {
				return nil, badBody("The name %q stands twice.", short(name))
			}
			out[name] = low
		}
		return out, nil
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			low, err := lower(x, depth+1)
			if err != nil {
				return nil, err
			}
			out[i] = low
		}
		return out, nil
	}
	return v, nil
}

func short(s string) string { return string([]rune(s)[:min(len([]rune(s)), 60)]) }

// text is a string; null is an empty one.
func text(name string, v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", badValue("%s is a text.", name)
}

// flag is a boolean, also as Entra writes it: "True", "False".
func flag(name string, v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, badValue("%s is true or false.", name)
}

// list is a list; a single value is a list of one.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// has reports whether the object names a schema.
func (o object) has(urn string) bool {
	for _, v := range list(o["schemas"]) {
		if s, ok := v.(string); ok && strings.EqualFold(s, urn) {
			return true
		}
	}
	return false
}
