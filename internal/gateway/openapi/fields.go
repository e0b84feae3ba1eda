package openapi

import (
	"fmt"
)

// Field is a part of a request that, once it was judged, is known to be of a narrow type:
// whatever it holds, it is no text that could say something else.
type Field struct {
	In   string // path, query, header, cookie or body
	Name string // of the parameter; in a body a JSON pointer in which * is any item of a list; in a form the field's name
	Kind string // uuid, integer, number, boolean, date, date-time or enum
}

// Typed lists the fields that are proved when Check and Body found nothing. media is the
// body's, nil where there was none.
func (m *Match) Typed(media *Media) []Field {
	if media == nil {
		return m.Op.typed
	}
	return append(m.Op.typed[:len(m.Op.typed):len(m.Op.typed)], media.typed...)
}

// fields finds them among the parameters.
func (c *compiler) fields(op *Operation) []Field {
	var out []Field
	for _, x := range op.params {
		switch {
		case x.deep:
			for _, name := range sortedTypes(x.fields) {
				if _, place, err := c.d.at(x.pointer); err == nil {
					if k := c.narrow(place+"/properties/"+escape(name), 0); k != "" {
						out = append(out, Field{x.in, x.name + "[" + name + "]", k})
					}
				}
			}
		case x.json, x.blank: // a blank value is let pass unseen
		case x.list:
			if _, place, err := c.d.at(x.pointer); err == nil {
				if k := c.narrow(place+"/items", 0); k != "" {
					out = append(out, Field{x.in, x.name, k})
				}
			}
		default:
			if k := c.narrow(x.pointer, 0); k != "" {
				out = append(out, Field{x.in, x.name, k})
			}
		}
	}
	for _, md := range op.media {
		switch md.form {
		case asJSON:
			c.bodyFields(&md.typed, md.pointer, "", 0)
		case asForm, asParts:
			c.bodyFields(&md.typed, md.pointer, "", 0)
			for i := range md.typed {
				md.typed[i].Name = unescape(md.typed[i].Name[1:])
			}
		case asText, asBytes:
		}
	}
	return out
}

func sortedTypes(m map[string]types) []string {
	any := map[string]any{}
	for k := range m {
		any[k] = nil
	}
	return sorted(any)
}

// bodyFields finds them in a body. What is only one of several forms proves nothing.
func (c *compiler) bodyFields(out *[]Field, pointer, at string, depth int) {
	v, place, err := c.d.at(pointer)
	m, ok := v.(map[string]any)
	if err != nil || !ok || depth > 12 || len(*out) > 1000 {
		return
	}
	if k := c.narrow(place, 0); k != "" && at != "" {
		*out = append(*out, Field{"body", at, k})
		return
	}
	props, _ := m["properties"].(map[string]any)
	for _, name := range sorted(props) {
		c.bodyFields(out, place+"/properties/"+escape(name), at+"/"+escape(name), depth+1)
	}
	if _, ok := m["items"].(map[string]any); ok && m["prefixItems"] == nil {
		c.bodyFields(out, place+"/items", at+"/*", depth+1)
	}
	list, _ := m["allOf"].([]any)
	for i := range list {
		c.bodyFields(out, fmt.Sprintf("%s/allOf/%d", place, i), at, depth+1)
	}
}

// narrow is the kind of a schema that leaves no room for free text, "" for all others.
func (c *compiler) narrow(pointer string, depth int) string {
	v, at, err := c.d.at(pointer)
	m, ok := v.(map[string]any)
	if err != nil || !ok || depth > 10 {
		return ""
	}
	if list, ok := m["enum"].([]any); ok && len(list) > 0 {
		return "enum"
	}
	if _, said := m["const"]; said {
		return "enum"
	}
	if m["nullable"] != true {
		switch m["type"] {
		case "integer", "number", "boolean":
			return m["type"].(string)
		case "string":
			switch m["format"] {
			case "uuid", "date", "date-time":
				return m["format"].(string)
			}
		}
	}
	list, _ := m["allOf"].([]any)
	for i := range list {
		if k := c.narrow(fmt.Sprintf("%s/allOf/%d", at, i), depth+1); k != "" {
			return k
		}
	}
	return ""
}
