package openapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Source is one file as it was read.
type Source struct {
	Name string
	Text []byte
}

// Sum is the hash that an adoption is recorded with.
func (s Source) Sum() string {
	sum := sha256.Sum256(s.Text)
	return hex.EncodeToString(sum[:])
}

// API is all descriptions together. It is immutable.
type API struct {
	Operations int
	Lint       []Remark
	tree, fold node
	paths      []loaded
}

type loaded struct {
	p    *Path
	segs []segment
	d    *document
	at   string
}

// Operation is one method of one path.
type Operation struct {
	Method, Template string
	Public           bool       // the description says that nobody need be known here
	Tags             []string   // at most 20, of at most 60 bytes
	scopes           [][]string // a token needs all of one of these; none = no scope is named
	params           []*param   // path first, then query, header, cookie
	query            map[string]*param
	deep             map[string]*param // deepObject, by the part before the bracket
	cookies          map[string]bool
	headers          map[string]bool // with strict: the only ones beside the usual
	strict           bool
	hasBody          bool // the description speaks of one
	needsBody        bool
	media            []*Media
	answers          map[string]*answer
	accept           []string // media types of good answers
}

const (
	maxPaths      = 3000
	maxOperations = 10_000
)

var (
	goodVersion = regexp.MustCompile(`^3\.[01]\.[0-9]{1,3}$`)
	methods     = []string{"get", "put", "post", "delete", "options", "head", "patch"}
)

// Load reads descriptions. The error is a *Fault that names file, line and place.
func Load(ctx context.Context, files ...Source) (*API, error) {
	a := &API{}
	for _, f := range files {
		d, err := parseDocument(f.Name, f.Text)
		if err != nil {
			return nil, err
		}
		if err := a.take(ctx, d); err != nil {
			return nil, err
		}
	}
	return a, a.plant()
}

// take reads one document.
func (a *API) take(ctx context.Context, d *document) (err error) {
	defer func() {
		if p := recover(); p != nil { // a library's fault is no reason to end the server
			err = d.fault("", fmt.Sprintf("it could not be read: %v", p))
		}
	}()
	version, _ := d.root["openapi"].(string)
	if !goodVersion.MatchString(version) {
		return d.fault("/openapi", "a version 3.0.x or 3.1.x was expected")
	}
	old := strings.HasPrefix(version, "3.0.")
	if err := d.inside(d.root, ""); err != nil {
		return err
	}
	if err := d.structure(ctx); err != nil {
		return err
	}
	base, err := d.base()
	if err != nil {
		return err
	}
	c, err := newCompiler(d, old)
	if err != nil {
		return err
	}
	paths, _ := d.root["paths"].(map[string]any)
	for _, t := range sorted(paths) {
		if strings.HasPrefix(t, "x-") {
			continue
		}
		at := "/paths/" + escape(t)
		segs, problem := parseTemplate(base + t)
		if problem != "" {
			return d.fault(at, problem)
		}
		p, err := c.path(base+t, at, segs)
		if err != nil {
			return err
		}
		a.Operations += len(p.ops)
		a.paths = append(a.paths, loaded{p, segs, d, at})
	}
	a.Lint = append(a.Lint, c.lint()...)
	return nil
}

// inside refuses references that lead elsewhere, before any library sees them.
func (d *document) inside(v any, at string) error {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range sorted(v) {
			if ref, ok := v[k].(string); ok && k == "$ref" && !strings.HasPrefix(ref, "#/") {
				return d.fault(at+"/$ref", "a reference leads outside this document")
			}
			if err := d.inside(v[k], at+"/"+escape(k)); err != nil {
				return err
			}
		}
	case []any:
		for i, x := range v {
			if err := d.inside(x, fmt.Sprintf("%s/%d", at, i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// structure lets a library that knows the standard look at all that is no schema of ours
// to use: it reads no other file and sets no default.
func (d *document) structure(ctx context.Context) error {
	b, err := jsonText(d.root)
	if err != nil {
		return d.fault("", "it cannot be written as JSON")
	}
	t, err := (&openapi3.Loader{Context: ctx}).LoadFromData(b)
	if err == nil {
		t.Servers = nil
		err = t.Validate(ctx, openapi3.DisableExamplesValidation(), openapi3.DisableSchemaDefaultsValidation(), openapi3.DisableSchemaPatternValidation(), openapi3.AllowExtraSiblingFields("description", "summary"))
	}
	if err == nil {
		return nil
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	return d.fault(guess(d, text), cut(text, 300))
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n] + "…"
}

var quoted = regexp.MustCompile(`invalid paths: .{0,40}path "?(/[^" :]*)"?|invalid path (/[^ :]*)`)

// guess finds the path that a message of the library speaks of.
func guess(d *document, text string) string {
	for _, g := range quoted.FindStringSubmatch(text)[min(1, len(quoted.FindStringSubmatch(text))):] {
		if at := "/paths/" + escape(g); g != "" && d.lines[at] > 0 {
			return at
		}
	}
	return ""
}

// base is the path below which the servers of a document stand. Which of them are meant
// is not looked at: requests come here.
func (d *document) base() (string, error) {
	list, _ := d.root["servers"].([]any)
	base, first := "", true
	for i, s := range list {
		at := fmt.Sprintf("/servers/%d/url", i)
		m, _ := s.(map[string]any)
		text, _ := m["url"].(string)
		u, err := url.Parse(strings.NewReplacer("{", "", "}", "").Replace(text))
		if err != nil {
			return "", d.fault(at, "it is no address")
		}
		path := strings.TrimSuffix(u.Path, "/")
		if _, after, ok := strings.Cut(text, "://"); ok {
			text = after
		}
		if i := strings.IndexByte(text, '/'); i >= 0 && strings.Contains(text[i:], "{") {
			return "", d.fault(at, "the path of a server has a variable: write what it stands for")
		}
		if !first && path != base {
			return "", d.fault(at, "the servers stand below different paths: describe them in files of their own")
		}
		base, first = path, false
	}
	if base != "" {
		if _, problem := parseTemplate(base + "/"); problem != "" {
			return "", d.fault("/servers", problem)
		}
	}
	return base, nil
}

// path reads what is described of one path.
func (c *compiler) path(template, at string, segs []segment) (*Path, error) {
	v, place, err := c.d.at(at)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, c.d.fault(place, "an object was expected")
	}
	p := &Path{Template: template, ops: map[string]*Operation{}}
	for _, s := range segs {
		if s.name != "" {
			p.vars = append(p.vars, s.name)
		}
	}
	for _, k := range []string{"trace", "connect", "query", "additionalOperations"} {
		if m[k] != nil {
			return nil, c.d.fault(place+"/"+k, "this gate forwards no such method")
		}
	}
	for _, method := range methods {
		if m[method] == nil {
			continue
		}
		op, err := c.operation(p, strings.ToUpper(method), place, place+"/"+method)
		if err != nil {
			return nil, err
		}
		p.ops[op.Method] = op
	}
	p.list()
	return p, nil
}

func (c *compiler) operation(p *Path, method, above, at string) (*Operation, error) {
	v, _, err := c.d.at(at)
	if err != nil {
		return nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, c.d.fault(at, "an object was expected")
	}
	op := &Operation{Method: method, Template: p.Template, query: map[string]*param{}, deep: map[string]*param{}, cookies: map[string]bool{}, headers: map[string]bool{}, answers: map[string]*answer{}}
	if list, ok := m["tags"].([]any); ok {
		for _, v := range list[:min(len(list), 20)] {
			if tag, ok := v.(string); ok && len(tag) <= 60 {
				op.Tags = append(op.Tags, tag)
			}
		}
	}
	op.strict = m["x-writ-headers"] == "described" || c.d.root["x-writ-headers"] == "described"
	if err := c.security(op, m, at); err != nil {
		return nil, err
	}
	if err := c.parameters(p, op, above, at); err != nil {
		return nil, err
	}
	if err := c.body(op, m, at); err != nil {
		return nil, err
	}
	if err := c.responses(op, m, at); err != nil {
		return nil, err
	}
	return op, nil
}

// security reads which scopes an operation names: those of the whole document where it
// says nothing itself.
func (c *compiler) security(op *Operation, m map[string]any, at string) error {
	v, said := m["security"]
	at += "/security"
	if !said {
		v, at = c.d.root["security"], "/security"
	}
	list, _ := v.([]any)
	op.Public = len(list) == 0 && v != nil
	schemes, _ := child(c.d.root["components"], "securitySchemes").(map[string]any)
	for i, alt := range list {
		need, ok := alt.(map[string]any)
		if !ok {
			return c.d.fault(fmt.Sprintf("%s/%d", at, i), "an object was expected")
		}
		if len(need) == 0 {
			op.Public = true
		}
		var scopes []string
		people := len(need) > 0
		for _, name := range sorted(need) {
			if schemes[name] == nil {
				return c.d.fault(fmt.Sprintf("%s/%d/%s", at, i, escape(name)), "no security scheme has that name")
			}
			people = people && child(schemes[name], "type") == "apiKey" && child(schemes[name], "in") == "cookie"
			some, _ := need[name].([]any)
			for _, s := range some {
				if text, ok := s.(string); ok {
					scopes = append(scopes, text)
				}
			}
		}
		if !people { // a cookie alone is nothing that a token could show instead
			op.scopes = append(op.scopes, scopes)
		}
	}
	return nil
}

// HasBody reports whether a body is described.
func (o *Operation) HasBody() bool { return o.hasBody }

// Scopes are the scopes that an operation names: a token needs all of one list.
func (o *Operation) Scopes() [][]string { return o.scopes }

// Scoped reports whether a token's scopes are enough for what the operation names.
func (o *Operation) Scoped(has []string) bool { // clause: use.public-api
	if len(o.scopes) == 0 {
		return true
	}
	return slices.ContainsFunc(o.scopes, func(all []string) bool {
		return !slices.ContainsFunc(all, func(s string) bool { return !slices.Contains(has, s) })
	})
}

// plant makes the trees, and refuses paths that two readers could take for each other.
func (a *API) plant() error {
	if len(a.paths) > maxPaths || a.Operations > maxOperations {
		d := a.paths[0].d
		return d.fault("/paths", fmt.Sprintf("there are more than %d paths or %d operations", maxPaths, maxOperations))
	}
	by := map[int][]loaded{}
	folded := map[string]bool{}
	for _, l := range a.paths {
		for _, o := range by[len(l.segs)] {
			if overlap(l.segs, o.segs) {
				return l.d.fault(l.at, fmt.Sprintf("one path may be both this and %s (%s), and neither is the more special one", o.p.Template, o.d.name))
			}
		}
		by[len(l.segs)] = append(by[len(l.segs)], l)
		low := slices.Clone(l.segs)
		key := ""
		for i := range low {
			low[i].before, low[i].after = lower(low[i].before), lower(low[i].after)
			key += "/" + low[i].before
			if low[i].name != "" {
				key += "{}" + low[i].after
			}
		}
		if len(low) > 1 && low[len(low)-1] == (segment{}) {
			low, key = low[:len(low)-1], strings.TrimSuffix(key, "/")
		}
		if folded[key] {
			return l.d.fault(l.at, "it differs from another path only in capitals or in a slash at its end")
		}
		folded[key] = true
		a.tree.add(l.segs, l.p)
		a.fold.add(low, l.p)
	}
	return nil
}

// Each visits all operations, in order of paths and methods.
func (a *API) Each(f func(*Path, *Operation)) {
	for _, l := range a.paths {
		for _, m := range methods {
			if op := l.p.ops[strings.ToUpper(m)]; op != nil {
				f(l.p, op)
			}
		}
	}
}

// Variables reports whether a path has any.
func (p *Path) Variables() bool { return len(p.vars) > 0 }

// Streams reports whether what is answered has no end of its own.
func (o *Operation) Streams() bool { return slices.Contains(o.accept, "text/event-stream") }

// Plain reports whether an operation can be asked with nothing but its path.
func (o *Operation) Plain() bool {
	return !o.needsBody && !slices.ContainsFunc(o.params, func(p *param) bool { return p.required })
}
