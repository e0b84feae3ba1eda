package scim

import (
	"maps"
	"slices"
	"strings"

	parser "github.com/scim2/filter-parser/v2"

	"writ/internal/fault"
)

const patchURN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// The verbs of a patch, whatever their case: Entra writes Add, Replace, Remove.
const (
	add     = "add"
	replace = "replace"
	remove  = "remove"
)

// operation is one change of one attribute.
type operation struct {
	verb  string
	path  string // lower-case: name.givenname; "" = of an extension, nothing to do
	which []term // the filter of values, if there is one
	value any
}

// patch reads a PatchOp into operations on attributes. One without a path becomes one for
// each member of its value, whose names may have dots and filters, as Entra writes them.
func patch(o object) ([]operation, error) {
	if !o.has(patchURN) {
		return nil, badBody("The body is no PatchOp.")
	}
	raw := list(o["operations"])
	if len(raw) == 0 || len(raw) > maxOperations {
		return nil, badBody("A patch has 1 to %d operations.", maxOperations)
	}
	var out []operation
	for _, v := range raw {
		one, ok := v.(object)
		if !ok {
			return nil, badBody("An operation is an object.")
		}
		ops, err := one.operations()
		if err != nil {
			return nil, err
		}
		if out = append(out, ops...); len(out) > 10*maxOperations {
			return nil, badBody("The patch changes too much.")
		}
	}
	return out, nil
}

func (o object) operations() ([]operation, error) {
	verb, err := text("op", o["op"])
	if err != nil {
		return nil, err
	}
	verb = strings.ToLower(verb)
	if verb != add && verb != replace && verb != remove {
		return nil, badBody("An operation is add, replace or remove.")
	}
	path, err := text("path", o["path"])
	if err != nil {
		return nil, err
	}
	if path != "" {
		p, err := target(verb, path, o["value"])
		return []operation{p}, err
	}
	if verb == remove {
		return nil, fault.Newf(fault.Malformed, "no_target", "A removal needs a path.")
	}
	values, ok := o["value"].(object)
	if !ok {
		return nil, badValue("Without a path the value is an object of attributes.")
	}
	var out []operation
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "schemas" || name == "id" || name == "meta" { // Okta sends them along
			continue
		}
		p, err := target(verb, name, values[name])
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// target reads a path.
func target(verb, path string, value any) (operation, error) {
	if len(path) > maxFilter {
		return operation{}, badPath("The path is longer than %d bytes.", maxFilter)
	}
	if isExtension(path) {
		return operation{verb: verb}, nil
	}
	if !flat(path, 1) {
		return operation{}, badPath("The path %q has more than one filter.", short(path))
	}
	p, err := parser.ParsePath([]byte(path))
	if err != nil {
		return operation{}, badPath("The path %q cannot be read.", short(path))
	}
	o := operation{verb: verb, value: value}
	if o.path, err = plainPath(p.AttributePath, p.SubAttributeName()); err != nil {
		return o, err
	}
	if p.ValueExpression != nil {
		if o.which, err = terms(p.ValueExpression); err != nil {
			return o, badPath("The filter of the path %q is not one of comparisons with eq.", short(path))
		}
	}
	return o, nil
}

// isExtension reports whether a name is that of a schema which is not kept, or of an
// attribute in it. The names of such schemas have dots, which no parser of paths expects.
func isExtension(path string) bool {
	return len(path) >= len(extensionPrefix) && strings.EqualFold(path[:len(extensionPrefix)], extensionPrefix)
}
