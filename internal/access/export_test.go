package access

import (
	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
)

// Spoil adds a prohibition to the table in force that cannot be evaluated: it asks for
// what no context has.
func (a *Access) Spoil() {
	b := a.book()
	p := ast.Forbid().When(ast.Context().Access("weather").Equal(ast.String("bad")))
	for a := range b.general {
		b.general[a] = append(b.general[a], rule{"spoilt", cedar.NewPolicyFromAST(p)})
	}
}
