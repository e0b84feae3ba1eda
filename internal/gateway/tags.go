package gateway

import (
	"slices"
	"strings"

	"writ/internal/gateway/openapi"
)

// Described is what the description of the interface says of the data of an operation.
type Described struct {
	Name   string // GET /orders/{id}
	Tags   []string
	Fields []openapi.Field // of its good answers
}

// Data is what the description says of the operations of a method under a pattern, by name:
// what their data is, for whoever looks at access records.
func (g *Gateway) Data(method, pattern string) (out []Described) { // clause: inc.breach-scope
	api := g.described.api.Load()
	if api == nil {
		return nil
	}
	api.Each(func(p *openapi.Path, op *openapi.Operation) {
		if op.Method == method && (p.Template == pattern || strings.HasSuffix(pattern, "/") && strings.HasPrefix(p.Template, pattern)) {
			out = append(out, Described{op.Method + " " + p.Template, op.Tags, op.Fields()})
		}
	})
	slices.SortFunc(out, func(a, b Described) int { return strings.Compare(a.Name, b.Name) })
	return out
}
