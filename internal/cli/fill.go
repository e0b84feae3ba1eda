package cli

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

// filling is a template over values of the vault. Its language is that of text/template
// without what could reach beyond the values: no methods, no files, no programs.
type filling struct {
	t     *template.Template
	names []string // that it asks for, each once, in order
}

// The functions of a template; param alone asks for a value.
const paramFunc = "param"

var fillFuncs = template.FuncMap{
	paramFunc: func(string) (string, error) { return "", errors.New("no values yet") },
	"json":    func(s string) (string, error) { b, err := json.Marshal(s); return string(b), err }, // a string of JSON, and of YAML
	"shell":   func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
	"base64":  func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"upper":   strings.ToUpper,
	"lower":   strings.ToLower,
	"trim":    strings.TrimSpace,
	"lines":   func(s string) []string { return strings.Split(strings.TrimRight(s, "\n"), "\n") },
	// "call" would run what a value holds, and html, js and urlquery escape for pages.
	"call": func(...string) (string, error) { return "", errors.New("call is not part of this language") },
}

// parseFilling reads a template and finds the names in it without running it, so that all
// are read in one act and none is found missing half way.
func parseFilling(name, text string) (*filling, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(fillFuncs).Parse(text)
	if err != nil {
		return nil, err
	}
	f := &filling{t: t}
	for _, one := range t.Templates() {
		if one.Tree != nil {
			if err := f.walk(one.Root); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(f.names)
	f.names = slices.Compact(f.names)
	return f, nil
}

// walk notes each name that a node asks for.
func (f *filling) walk(n parse.Node) error {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return nil
		}
		return f.walkAll(n.Nodes)
	case *parse.ActionNode:
		return f.walkPipe(n.Pipe)
	case *parse.IfNode:
		return f.walkBranch(&n.BranchNode)
	case *parse.RangeNode:
		return f.walkBranch(&n.BranchNode)
	case *parse.WithNode:
		return f.walkBranch(&n.BranchNode)
	case *parse.TemplateNode:
		return f.walkPipe(n.Pipe)
	case *parse.PipeNode:
		return f.walkPipe(n)
	case *parse.CommandNode:
		return f.walkCommand(n)
	}
	return nil
}

func (f *filling) walkAll(ns []parse.Node) error {
	for _, n := range ns {
		if err := f.walk(n); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) walkPipe(p *parse.PipeNode) error {
	if p == nil {
		return nil
	}
	for _, c := range p.Cmds {
		if err := f.walkCommand(c); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) walkBranch(b *parse.BranchNode) error {
	if err := f.walkPipe(b.Pipe); err != nil {
		return err
	}
	if err := f.walk(b.List); err != nil {
		return err
	}
	return f.walk(b.ElseList)
}

func (f *filling) walkCommand(c *parse.CommandNode) error {
	if id, ok := c.Args[0].(*parse.IdentifierNode); !ok || id.Ident != paramFunc {
		return f.walkAll(c.Args)
	}
	if len(c.Args) == 2 {
		if name, ok := c.Args[1].(*parse.StringNode); ok {
			f.names = append(f.names, name.Text)
			return nil
		}
	}
	return fmt.Errorf("%s: %s wants one name, written out: {{%s \"/shop/db/password\"}}", c, strconv.Quote(paramFunc), paramFunc)
}

// fill writes the text with the values in it.
func (f *filling) fill(values map[string]string) ([]byte, error) {
	var b strings.Builder
	t := f.t.Funcs(template.FuncMap{paramFunc: func(name string) (string, error) {
		v, ok := values[name]
		if !ok {
			return "", fmt.Errorf("there is no %s", name)
		}
		return v, nil
	}})
	if err := t.Execute(&b, nil); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}
