package openapi

import (
	"fmt"
	"strings"
)

// Remark is something that a description leaves more open than it need.
type Remark struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Pointer string `json:"pointer"`
	Says    string `json:"says"`
	Grave   bool   `json:"grave"` // an operation that asks for nobody
}

const maxRemarks = 500

// lint looks for operations without security, and in what is sent for objects that take
// any field, texts and lists without an end.
func (c *compiler) lint() (out []Remark) {
	add := func(at, says string, grave bool) {
		if len(out) < maxRemarks {
			f := c.d.fault(at, says)
			out = append(out, Remark{f.File, f.Line, at, says, grave})
		}
	}
	seen := map[string]bool{}
	paths, _ := c.d.root["paths"].(map[string]any)
	for _, t := range sorted(paths) {
		v, place, err := c.d.at("/paths/" + escape(t))
		if err != nil || strings.HasPrefix(t, "x-") {
			continue
		}
		for _, m := range methods {
			at := place + "/" + m
			op, ok := child(v, m).(map[string]any)
			if !ok {
				continue
			}
			if op["security"] == nil && c.d.root["security"] == nil {
				add(at, "the operation says nothing of security", true)
			}
			for _, level := range []string{at, place} {
				list, _, _ := c.d.at(level)
				params, _ := child(list, "parameters").([]any)
				for i := range params {
					c.open(fmt.Sprintf("%s/parameters/%d/schema", level, i), seen, add, 0)
				}
			}
			body, where, err := c.d.at(at + "/requestBody")
			if op["requestBody"] == nil || err != nil {
				continue
			}
			content, _ := child(body, "content").(map[string]any)
			for _, kind := range sorted(content) {
				if formOf(kind) != asBytes {
					c.open(where+"/content/"+escape(kind)+"/schema", seen, add, 0)
				}
			}
		}
	}
	return out
}

// open looks at one schema of what is sent, each once.
func (c *compiler) open(pointer string, seen map[string]bool, add func(string, string, bool), depth int) {
	v, at, err := c.d.at(pointer)
	m, ok := v.(map[string]any)
	if err != nil || !ok || seen[at] || depth > 30 {
		return
	}
	seen[at] = true
	if m["readOnly"] == true {
		return
	}
	t := c.types(at, 0)
	has := func(keys ...string) bool {
		for _, k := range keys {
			if m[k] != nil {
				return true
			}
		}
		return false
	}
	switch {
	case t.text && !has("maxLength", "enum", "const", "pattern", "format", "allOf", "anyOf", "oneOf"):
		add(at, "a text without maxLength", false)
	case t.list && !has("maxItems", "allOf", "anyOf", "oneOf"):
		add(at, "a list without maxItems", false)
	case m["additionalProperties"] == true, t.object && !has("properties", "additionalProperties", "allOf", "anyOf", "oneOf"):
		add(at, "an object that takes any field", false)
	}
	props, _ := m["properties"].(map[string]any)
	for _, name := range sorted(props) {
		c.open(at+"/properties/"+escape(name), seen, add, depth+1)
	}
	for _, k := range []string{"items", "additionalProperties"} {
		if _, ok := m[k].(map[string]any); ok {
			c.open(at+"/"+k, seen, add, depth+1)
		}
	}
	for _, k := range listsJoin {
		list, _ := m[k].([]any)
		for i := range list {
			c.open(fmt.Sprintf("%s/%s/%d", at, k, i), seen, add, depth+1)
		}
	}
}
