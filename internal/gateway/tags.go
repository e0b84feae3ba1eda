package gateway

import (
	"slices"
	"strings"

	"writ/internal/gateway/openapi"
)

// Tags are those that the description of the interface gives the operations of a method under
// a pattern: what their data is, for whoever looks at access records.
func (g *Gateway) Tags(method, pattern string) (out []string) { // clause: inc.breach-scope
	api := g.described.api.Load()
	if api == nil {
		return nil
	}
	api.Each(func(p *openapi.Path, op *openapi.Operation) {
		if op.Method != method || p.Template != pattern && (!strings.HasSuffix(pattern, "/") || !strings.HasPrefix(p.Template, pattern)) {
			return
		}
		for _, t := range op.Tags {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	})
	slices.Sort(out)
	return out
}
