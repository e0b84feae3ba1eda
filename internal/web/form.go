package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Refused says whether the form came back with what was wrong with it: then it stands open.
func (f Form) Refused() bool {
	return f.Fault != nil || slices.ContainsFunc(f.Fields, func(x Field) bool { return x.Error != "" })
}

// Sent says whether the post r, of which typed was read, was made by this form: it went to
// the form's address and has each of its hidden values.
func (f Form) Sent(r *http.Request, typed url.Values) bool {
	to, _, _ := strings.Cut(f.Action, "#")
	return r.Method == http.MethodPost && to == r.URL.Path && !slices.ContainsFunc(f.Hidden, func(p Pair) bool { return typed.Get(p.Name) != p.Value })
}

// Fill is a copy of fields with what was typed in them. A field of which nothing came keeps
// what it has, but a box that was not ticked is empty; passwords and files are typed anew.
func Fill(fields []Field, typed url.Values) []Field {
	out := slices.Clone(fields)
	for i := range out {
		f := &out[i]
		switch {
		case f.Type == "password" || f.Type == "file":
		case f.Type == "checkbox":
			f.Options = []Option{{Chosen: typed.Has(f.Name)}}
		case !typed.Has(f.Name):
		case len(f.Options) > 0:
			f.Options = slices.Clone(f.Options)
			for j := range f.Options {
				f.Options[j].Chosen = slices.Contains(typed[f.Name], f.Options[j].Value)
			}
		default:
			f.Value = typed.Get(f.Name)
		}
	}
	return out
}
