package scim

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/cases"

	parser "github.com/scim2/filter-parser/v2"

	"writ/internal/identity"
)

// term is one comparison of a filter: equal, the only one a directory needs.
type term struct {
	path  string // lower-case, without the schema: emails.value
	value any
}

// workEmail is how Entra looks for an address. The grammar of RFC 7644 has no comparison
// behind a filter of values, so it is read as the plain attribute, which is the one kept.
var workEmail = regexp.MustCompile(`(?i)\bemails\[\s*(?:type eq "work"|primary eq true)\s*\]\.value\b`)

// flat refuses what no filter here can hold, before the parser sees it: brackets within
// brackets. The parser tries each of them in several ways, and the time doubles with each.
func flat(s string, brackets int) bool {
	quoted, skip := false, false
	for _, r := range s {
		switch {
		case skip:
			skip = false
		case quoted && r == '\\':
			skip = true
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '(', r == ')':
			return false
		case r == '[':
			if brackets--; brackets < 0 {
				return false
			}
		}
	}
	return true
}

// parseFilter reads a filter of comparisons joined by and.
func parseFilter(s string) ([]term, error) {
	if len(s) > maxFilter {
		return nil, badFilter("The filter is longer than %d bytes.", maxFilter)
	}
	s = workEmail.ReplaceAllString(s, "emails.value")
	if !flat(s, 0) { // clause: auth.best-practice
		return nil, badFilter("Filters here are comparisons with eq, joined by and.")
	}
	e, err := parser.ParseFilter([]byte(s))
	if err != nil {
		return nil, badFilter("The filter cannot be read.")
	}
	return terms(e)
}

func terms(e parser.Expression) ([]term, error) {
	switch e := e.(type) {
	case *parser.LogicalExpression:
		if e.Operator != parser.AND {
			return nil, badFilter("Filters here are comparisons with eq, joined by and.")
		}
		l, err := terms(e.Left)
		if err != nil {
			return nil, err
		}
		r, err := terms(e.Right)
		return append(l, r...), err
	case *parser.AttributeExpression:
		if !strings.EqualFold(string(e.Operator), string(parser.EQ)) {
			return nil, badFilter("Filters here are comparisons with eq, joined by and.")
		}
		path, err := plainPath(e.AttributePath, "")
		if err != nil {
			return nil, badFilter("The filter names an attribute that is not here.")
		}
		return []term{{path, e.CompareValue}}, nil
	}
	return nil, badFilter("Filters here are comparisons with eq, joined by and.")
}

const (
	userURN  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN = "urn:ietf:params:scim:schemas:core:2.0:Group"
	// extensionPrefix begins schemas that are taken and not kept.
	extensionPrefix = "urn:ietf:params:scim:schemas:extension:"
)

// plainPath is a path without the core schema, in lower case; one of an extension is "".
func plainPath(p parser.AttributePath, more string) (string, error) {
	switch uri := strings.TrimSuffix(p.URI(), ":"); {
	case uri == "", strings.EqualFold(uri, userURN), strings.EqualFold(uri, groupURN):
	case len(uri) > len(extensionPrefix) && strings.EqualFold(uri[:len(extensionPrefix)], extensionPrefix):
		return "", nil
	default:
		return "", badPath("The path names a schema that is not here.")
	}
	var out strings.Builder
	out.WriteString(strings.ToLower(p.AttributeName))
	for _, sub := range []string{p.SubAttributeName(), more} {
		if sub != "" {
			out.WriteString("." + strings.ToLower(sub))
		}
	}
	return out.String(), nil
}

// search is a list request.
type search struct {
	identity.ProvisionQuery
	rest []term // looked at in what the query finds
}

// index names the ways to look, by the path of a term.
func (c call) search(index map[string]string, others ...string) (search, error) {
	q, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return search{}, badFilter("The query cannot be read.")
	}
	s := search{}
	start, err1 := number(q.Get("startIndex"), 1)
	count, err2 := number(q.Get("count"), 100)
	if err1 != nil || err2 != nil {
		return s, badValue("startIndex and count are whole numbers.")
	}
	s.Start, s.Count = max(start, 1)-1, min(max(count, 0), maxPage) // RFC 7644 §3.4.2.4
	if q.Get("filter") == "" {
		return s, nil
	}
	ts, err := parseFilter(q.Get("filter"))
	if err != nil {
		return s, err
	}
	for _, t := range ts {
		by, indexed := index[t.path]
		v, isText := t.value.(string)
		switch {
		case indexed && !isText:
			return s, badFilter("%s is compared with a text.", t.path)
		case indexed && s.By == "":
			s.By, s.Value = by, v
		case indexed, slices.Contains(others, t.path):
		default:
			return s, badFilter("The filter names an attribute that cannot be looked for.")
		}
		s.rest = append(s.rest, t)
	}
	if s.By == "" {
		return s, badFilter("The filter would need every row: compare the userName, displayName, externalId or id as well.")
	}
	return s, nil
}

func number(s string, otherwise int) (int, error) {
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	return min(n, 1<<30), err
}

// foldEqual compares where the schema says that case does not matter.
func foldEqual(a string, v any) bool {
	b, ok := v.(string)
	f := cases.Fold()
	return ok && f.String(strings.TrimSpace(a)) == f.String(strings.TrimSpace(b))
}

// page is the answer to a list request.
func page(s search, total int64, resources []any) answer {
	if resources == nil {
		resources = []any{}
	}
	return answer{status: 200, body: map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:ListResponse"},
		"totalResults": total, "startIndex": s.Start + 1, "itemsPerPage": len(resources), "Resources": resources}}
}

// trim leaves out what the client does not want to read (RFC 7644 §3.9).
func (c call) trim(m map[string]any) map[string]any {
	q := c.URL.Query()
	names := func(key string) []string {
		var out []string
		for n := range strings.SplitSeq(q.Get(key), ",") {
			n = n[strings.LastIndexByte(n, ':')+1:]
			n, _, _ = strings.Cut(n, ".")
			if n = strings.ToLower(strings.TrimSpace(n)); n != "" {
				out = append(out, n)
			}
		}
		return out
	}
	only, without := names("attributes"), names("excludedAttributes")
	for k := range m {
		low := strings.ToLower(k)
		if low == "id" || low == "schemas" {
			continue
		}
		if len(only) > 0 && !slices.Contains(only, low) || slices.Contains(without, low) {
			delete(m, k)
		}
	}
	return m
}
