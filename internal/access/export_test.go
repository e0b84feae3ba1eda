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

// Unhost takes the condition of the hosting roles out of the table in force.
func (a *Access) Unhost() {
	b := a.book()
	for _, role := range b.roles {
		if role.Hosting {
			for _, act := range role.Actions {
				in := right{uid(typeRole, role.Name), act}
				b.rules[in] = rule{b.rules[in].id, cedar.NewPolicyFromAST(ast.Permit().PrincipalIn(in.in).ActionEq(b.actions[act]))}
			}
		}
	}
}
