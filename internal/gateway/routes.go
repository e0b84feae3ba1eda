package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"writ/internal/fault"
	"writ/internal/gateway/limit"
)

// Route is one entry of DIR/routes.yaml. A route may only tighten what the policy says.
type Route struct {
	Path    string   `yaml:"path" json:"path"`                           // /x is that page, /x/ all below; the longest match counts
	Methods []string `yaml:"methods,omitempty" json:"methods,omitempty"` // none = all; GET includes HEAD
	Who     string   `yaml:"who" json:"who"`                             // anyone, signed-in or role
	Roles   []string `yaml:"roles,omitempty" json:"roles,omitempty"`     // with role: any of these
	Scopes  []string `yaml:"scopes,omitempty" json:"scopes,omitempty"`   // a token comes here with all of these; none = people only
	StepUp  string   `yaml:"step_up,omitempty" json:"step_up,omitempty"` // how old the last proof of who comes may be, such as 15m; none = as old as the session
	Body    string   `yaml:"body,omitempty" json:"body,omitempty"`       // the longest body, such as 50MiB; none = 10MiB
	Limit   string   `yaml:"limit,omitempty" json:"limit,omitempty"`     // requests of one caller, such as 100/m
	Quota   string   `yaml:"quota,omitempty" json:"quota,omitempty"`     // requests of one token on a day, such as 10000/d

	Customer bool   `yaml:"customer_data,omitempty" json:"customer_data,omitempty"` // staff see it with a reason alone: when they look as a customer
	Records  string `yaml:"records,omitempty" json:"records,omitempty"`             // which segments name a record, such as /contacts/{contact}: they stand in the access records
	Signed   bool   `yaml:"signed,omitempty" json:"signed,omitempty"`               // bodies carry a signature: what may not pass is refused, never masked
	Notice   bool   `yaml:"notice,omitempty" json:"notice,omitempty"`               // forms here say which data is not wanted
	Browser  bool   `yaml:"browser,omitempty" json:"browser,omitempty"`             // what is sent here comes from a form that was shown in a browser, or with a token

	WAF       string   `yaml:"waf,omitempty" json:"waf,omitempty"`               // detect or block, where that is more than writ.yaml says
	Paranoia  int      `yaml:"paranoia,omitempty" json:"paranoia,omitempty"`     // 1 to 4, likewise
	Cache     string   `yaml:"cache,omitempty" json:"cache,omitempty"`           // the class of static files here, which anyone gets from memory
	CacheVary []string `yaml:"cache_vary,omitempty" json:"cache_vary,omitempty"` // further headers that the application sees on a cached route

	Exact bool `yaml:"exact,omitempty" json:"exact,omitempty"` // an assertion is good for one path and query alone; it is signed anew for each request

	OwnHeaders bool `yaml:"own_headers,omitempty" json:"own_headers,omitempty"` // answers here get no security headers but the application's

	CORS *CORS `yaml:"cors,omitempty" json:"cors,omitempty"` // whose pages may read the answers
}

// level orders who may come.
type level int

const (
	anyone level = iota
	signedIn
	byRole
)

var levels = map[string]level{"anyone": anyone, "signed-in": signedIn, "role": byRole}

const (
	maxRouteFile = 1 << 20
	maxRoutes    = 10_000
)

// routeFile is the parsed DIR/routes.yaml.
type routeFile struct {
	hash   string
	routes []Route
	paths  []string // decoded, as they are matched
	lines  []int
}

var (
	goodRole   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	goodScope  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,30}(:[a-z0-9][a-z0-9-]{0,40}){1,3}$`)
	goodMethod = regexp.MustCompile(`^[A-Z]{3,20}$`)
)

// parseRoutes reads a route file. The fault names line and column.
func parseRoutes(b []byte) (*routeFile, error) {
	sum := sha256.Sum256(b)
	f := &routeFile{hash: hex.EncodeToString(sum[:])}
	if len(b) > maxRouteFile {
		return nil, badRoutes("The file is larger than 1 MiB.")
	}
	doc, err := parser.ParseBytes(b, 0)
	if err != nil {
		return nil, badRoutes(yaml.FormatError(err, false, true))
	}
	if len(doc.Docs) > 1 {
		return nil, badRoutes("The file holds more than one document.")
	}
	if len(doc.Docs) == 0 || doc.Docs[0].Body == nil || doc.Docs[0].Body.Type() == ast.CommentType || doc.Docs[0].Body.Type() == ast.NullType {
		return f, nil
	}
	list, ok := doc.Docs[0].Body.(*ast.SequenceNode)
	if !ok {
		return nil, badRoutes("[1:1] a list of routes was expected")
	}
	if len(list.Values) > maxRoutes {
		return nil, badRoutes(fmt.Sprintf("The file has %d routes; at most %d.", len(list.Values), maxRoutes))
	}
	if err := yaml.UnmarshalWithOptions(b, &f.routes, yaml.Strict()); err != nil {
		return nil, badRoutes(yaml.FormatError(err, false, true))
	}
	if len(f.routes) != len(list.Values) {
		return nil, badRoutes("[1:1] a plain list of routes was expected")
	}
	for i, n := range list.Values {
		at := n.GetToken().Position
		path, problem := f.routes[i].check()
		if problem != "" {
			return nil, badRoutes(fmt.Sprintf("[%d:%d] route %d: %s", at.Line, at.Column, i+1, problem))
		}
		f.paths, f.lines = append(f.paths, path), append(f.lines, at.Line)
	}
	return f, nil
}

// check returns the path as it is matched, or what is wrong.
func (r *Route) check() (path, problem string) {
	t, bad := parseTarget(r.Path)
	switch {
	case r.Path == "":
		return "", "path is missing"
	case bad != nil:
		return "", "path: " + bad.err.Public.Problem
	case t.marked:
		return "", "path: a query cannot be matched"
	case r.Who == "role" && len(r.Roles) == 0:
		return "", "who: role needs roles"
	case r.Who != "role" && len(r.Roles) > 0:
		return "", "roles are only for who: role"
	}
	if _, ok := levels[r.Who]; !ok {
		return "", fmt.Sprintf("who is %q; expected anyone, signed-in or role", r.Who)
	}
	if r.Who == "anyone" && len(r.Scopes) > 0 {
		return "", "scopes are for who: signed-in or role"
	}
	for _, sc := range r.Scopes {
		if !goodScope.MatchString(sc) {
			return "", fmt.Sprintf("scope %q is not written as orders:read", sc)
		}
	}
	if d, err := r.stepUp(); err != nil {
		return "", err.Error()
	} else if d > 0 && (r.Who == "anyone" || len(r.Scopes) > 0) {
		return "", "step_up is for who: signed-in or role, without scopes: a program has nothing to show anew"
	}
	if _, err := r.rate(); err != nil {
		return "", "limit: " + err.Error()
	}
	if n, err := parseQuota(r.Quota); err != nil {
		return "", err.Error()
	} else if n > 0 && len(r.Scopes) == 0 {
		return "", "quota is for routes with scopes: it is counted by token"
	}
	if _, err := r.CORS.read(); err != nil {
		return "", err.Error()
	}
	if problem := r.checkCache(); problem != "" {
		return "", problem
	}
	if _, err := parseSize(r.Body); err != nil {
		return "", err.Error()
	}
	if _, err := parseRecords(r.Records); err != nil {
		return "", err.Error()
	}
	if r.Customer && r.Who == "anyone" {
		return "", "customer_data is for who: signed-in or role"
	}
	if _, err := r.checkWAF(); err != nil {
		return "", err.Error()
	}
	for _, m := range r.Methods {
		if !goodMethod.MatchString(m) {
			return "", fmt.Sprintf("method %q is not in capitals", m)
		}
	}
	for _, role := range r.Roles {
		if !goodRole.MatchString(role) {
			return "", fmt.Sprintf("role %q is not a role's name", role)
		}
	}
	return t.path, ""
}

// rate is the limit of the route; zero when there is none.
func (r *Route) rate() (limit.Rate, error) {
	if r.Limit == "" {
		return limit.Rate{}, nil
	}
	return limit.ParseRate(r.Limit)
}

// stepUp is the time in step_up; 0 when there is none.
func (r *Route) stepUp() (time.Duration, error) {
	if r.StepUp == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(r.StepUp)
	if err != nil || d < time.Minute || d > 24*time.Hour {
		return 0, fmt.Errorf("step_up is %q; expected a time from 1m to 24h, such as 15m", r.StepUp)
	}
	return d, nil
}

func badRoutes(text string) error {
	return fault.New(fault.Invalid, "routes", fault.Public{
		Problem: "routes.yaml: " + text, Expected: "A list of {path, methods, who, roles, scopes, step_up, body, limit, quota, customer_data, records, signed, notice, browser, waf, paranoia, cache, cache_vary, exact, own_headers, cors}.", Next: "Mend the file. A running server keeps the routes it has; one that starts waits for the file to be good."})
}

// table answers what a path asks of its caller. It is immutable: a request keeps the
// table it began with, whatever is adopted meanwhile.
type table struct {
	rules *Rules
	file  *routeFile
	nodes map[string]*node // by pattern; /x is that page, /x/ all below
	fold  map[string]*node // the same by foldCase of the pattern: for tightening only
	upper bool             // some pattern has a capital, or a letter beyond ASCII
	rest  *node            // where no route matches
	loose []string         // what the file allows and the policy, having changed, does not

	ceiling  level
	public   map[string]bool
	payments []string
	hsts     []string
	guards   guards
}

// node is all that is said of one pattern.
type node struct {
	pattern string
	all     *rule            // for every method; nil when methods are listed
	methods map[string]*rule // by method
	allow   string           // the listed methods, for a 405
	count   *counter
}

type rule struct {
	need   level
	roles  []string
	scopes []string
	stepUp time.Duration // 0 = none
	body   int64         // bytes; 0 = the default
	limit  limit.Rate    // of one caller; zero = none
	quota  int64         // of one token on a day; 0 = none
	scope  string        // what the two are counted under

	customer bool
	records  []recordName
	signed   bool
	notice   bool
	browser  bool
	waf      wafRule

	cors *cors // nil = the application's own

	exact      bool
	ownHeaders bool

	cache     string   // the class of static files; "" = not cached
	cacheVary []string // canonical
}

// counter is a pattern's share of gateway.requests-counted and gateway.cookies-dropped.
type counter struct{ requests, refused, signIn, failed, cookies atomic.Int64 }

// newTable joins route file and policy. It fails when the file loosens the policy or
// says two things of one method; with tolerate it clamps instead, because the file was
// good when it was adopted and the policy has become tighter since.
func newTable(rules *Rules, f *routeFile, counters func(string) *counter, hsts []string, tolerate bool) (*table, error) {
	t := &table{rules: rules, file: f, nodes: map[string]*node{}, fold: map[string]*node{}, public: map[string]bool{}, hsts: hsts,
		ceiling: levels[rules.Ceiling], rest: &node{pattern: "*", count: counters("*")}}
	t.rest.all = &rule{need: t.ceiling}
	t.guards = rules.guards()
	for _, p := range rules.PublicPaths {
		t.public[unescape(p)] = true
	}
	for _, p := range rules.PaymentPaths {
		t.payments = append(t.payments, strings.TrimSuffix(unescape(p), "/"))
	}
	for i := range f.routes {
		r, path := &f.routes[i], f.paths[i]
		if r.Cache != "" && !tolerate && !slices.Contains(rules.CacheClasses, r.Cache) {
			return nil, badRoutes(fmt.Sprintf("[%d:1] route %d: cache: %s is no class of the policy, which has %s", f.lines[i], i+1, r.Cache, strings.Join(rules.CacheClasses, ", ")))
		}
		if over := t.loosens(r, path); over != "" {
			if !tolerate {
				return nil, badRoutes(fmt.Sprintf("[%d:1] route %d: who: %s for %s is looser than the policy, which asks for %s there", f.lines[i], i+1, r.Who, r.Path, over))
			}
			t.loose = append(t.loose, r.Path)
		}
		if err := t.add(r, path, f.lines[i], counters); err != nil {
			return nil, err
		}
	}
	for _, n := range t.nodes {
		n.list()
	}
	return t, nil
}

// loosens says what the policy asks for where a route asks for less.
func (t *table) loosens(r *Route, path string) string { // clause: use.no-automation
	need := levels[r.Who]
	if need >= t.ceiling || t.publicAll(path) {
		return ""
	}
	return t.rules.Ceiling
}

// publicAll reports whether all that a pattern matches is public.
func (t *table) publicAll(pattern string) bool {
	if !strings.HasSuffix(pattern, "/") {
		return t.isPublic(pattern)
	}
	return pattern != "/" && t.isPublic(pattern) && t.isPublic(pattern+"x")
}

func (t *table) add(r *Route, path string, line int, counters func(string) *counter) error {
	n := t.nodes[path]
	if n == nil {
		n = &node{pattern: r.Path, methods: map[string]*rule{}, count: counters(r.Path)}
		t.nodes[path] = n
		low := foldCase(path)
		if t.fold[low] != nil {
			return badRoutes(fmt.Sprintf("[%d:1] %s differs from another route only in capitals", line, r.Path))
		}
		t.fold[low], t.upper = n, t.upper || low != path || hasCase(path)
	}
	to := &rule{need: levels[r.Who], roles: r.Roles, scopes: r.Scopes, signed: r.Signed, notice: r.Notice, browser: r.Browser, exact: r.Exact, ownHeaders: r.OwnHeaders}
	to.stepUp, _ = r.stepUp() // both were read by check
	to.body, _ = parseSize(r.Body)
	to.limit, _ = r.rate()
	to.quota, _ = parseQuota(r.Quota)
	to.scope = r.Path + " " + strings.Join(r.Methods, ",")
	to.records, _ = parseRecords(r.Records)
	to.customer = r.Customer
	to.waf, _ = r.checkWAF()
	to.cors, _ = r.CORS.read()
	if to.cache = r.Cache; !slices.Contains(t.rules.CacheClasses, to.cache) {
		to.cache = "" // the policy has taken the class away
	}
	for _, h := range r.CacheVary {
		to.cacheVary = append(to.cacheVary, http.CanonicalHeaderKey(h))
	}
	twice := badRoutes(fmt.Sprintf("[%d:1] %s: a method is said twice", line, r.Path))
	if len(r.Methods) == 0 {
		if n.all != nil || len(n.methods) > 0 {
			return twice
		}
		n.all = to
		return nil
	}
	if n.all != nil {
		return twice
	}
	for _, m := range r.Methods {
		if n.methods[m] != nil {
			return twice
		}
		n.methods[m] = to
	}
	return nil
}

// list completes a node: HEAD goes with GET, and the methods for a 405.
func (n *node) list() {
	if n.methods[http.MethodGet] != nil && n.methods[http.MethodHead] == nil {
		n.methods[http.MethodHead] = n.methods[http.MethodGet]
	}
	var all []string
	for m := range n.methods {
		all = append(all, m)
	}
	slices.Sort(all)
	n.allow = strings.Join(all, ", ")
}

func (n *node) rule(method string) *rule {
	if n.all != nil {
		return n.all
	}
	return n.methods[method]
}

// decision is what a request must fulfil: the policy's level and one or two rules.
type decision struct {
	node  *node
	need  level
	rules [2]*rule // second: the rule of the same path in other capitals, which the application may take for it
	deny  *refusal
	allow string
}

// decide finds the longest match for a canonical path. The cost grows with the depth
// of the path, not with the number of routes.
func (t *table) decide(method, path string) (d decision) { // clause: use.no-automation
	d.need = t.ceiling
	if t.isPublic(path) {
		d.need = anyone
	}
	d.node = t.longest(t.nodes, path)
	d.take(0, d.node, method)
	if !t.upper && !hasCase(path) {
		return d
	}
	if other := t.longest(t.fold, foldCase(path)); other != d.node {
		d.take(1, other, method)
	}
	return d
}

func (d *decision) take(i int, n *node, method string) {
	r := n.rule(method)
	if r == nil {
		d.deny, d.allow = refuseMethod, n.allow
		return
	}
	if n.pattern == "*" {
		return // the policy's own level is in d.need, public paths included
	}
	d.rules[i] = r
	d.need = max(d.need, r.need)
}

// longest walks from the whole path up to the root.
func (t *table) longest(in map[string]*node, path string) *node {
	if len(in) == 0 {
		return t.rest
	}
	if n := in[path]; n != nil {
		return n
	}
	if strings.HasSuffix(path, "/") && len(path) > 1 {
		if n := in[path[:len(path)-1]]; n != nil { // /x/ is /x to many frameworks
			return n
		}
	} else if n := in[path+"/"]; n != nil {
		return n
	}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			if n := in[path[:i+1]]; n != nil {
				return n
			}
		}
	}
	return t.rest
}

// isPublic reports whether the policy opens a path to anyone.
func (t *table) isPublic(path string) bool {
	if len(t.public) == 0 {
		return false
	}
	if t.public[path] {
		return true
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' && t.public[path[:i+1]] {
			return true
		}
	}
	return false
}

// payment reports whether a path is one of the policy's payment pages.
func (t *table) payment(path string) bool {
	for _, p := range t.payments {
		if hasPrefixFold(path, p) && (len(path) == len(p) || path[len(p)] == '/') {
			return true
		}
	}
	return false
}

// hasCase reports whether a path may be another one to an application that does not look at
// capitals. Beyond ASCII any letter may: there a sign in small letters can be the same as one of ASCII.
func hasCase(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' || s[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// foldCase makes one of all spellings that somebody may take for the same: \u017f is an s and
// \u212a a k to some.
func foldCase(s string) string { return strings.ToLower(strings.ToUpper(s)) }
