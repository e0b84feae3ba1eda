package leak

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"writ/internal/fault"

	"github.com/pelletier/go-toml/v2"
)

//go:embed rules.toml
var shipped string

// maxRules bounds the size of a set of rules in bytes.
const maxRules = 4 << 20

// Rules is a set that is ready to be used.
type Rules struct {
	rules []*rule
	allow []allowlist // of all rules
	words []string    // the key words of all, lower case, each once
}

// Len is how many rules there are.
func (r *Rules) Len() int { return len(r.rules) }

// rule is one kind of credential.
type rule struct {
	id, says string
	pattern  *regexp.Regexp // nil: of its path alone
	path     *regexp.Regexp // of the files it is for; nil = all
	group    int            // of the pattern that is the secret; 0 = the first that is there
	entropy  float64        // bits a character that the secret must exceed
	words    []string       // one of them stands in the text; none = always looked for
	allow    []allowlist
}

// allowlist names what is no credential although it looks like one.
type allowlist struct {
	all     bool   // every part that is given must hold, not any
	target  string // secret, match, line
	paths   []*regexp.Regexp
	regexes []*regexp.Regexp
	stop    []string // words, lower case, within the secret
}

// The format of a file, as gitleaks has it. What is not here is passed over.
type (
	fileSet struct {
		Allowlist  *fileAllow  `toml:"allowlist"`
		Allowlists []fileAllow `toml:"allowlists"`
		Rules      []fileRule  `toml:"rules"`
	}
	fileRule struct {
		ID          string      `toml:"id"`
		Description string      `toml:"description"`
		Regex       string      `toml:"regex"`
		Path        string      `toml:"path"`
		SecretGroup int         `toml:"secretGroup"`
		Entropy     float64     `toml:"entropy"`
		Keywords    []string    `toml:"keywords"`
		Allowlist   *fileAllow  `toml:"allowlist"`
		Allowlists  []fileAllow `toml:"allowlists"`
		SkipReport  bool        `toml:"skipReport"` // it only serves others
	}
	fileAllow struct {
		Condition   string   `toml:"condition"`
		RegexTarget string   `toml:"regexTarget"`
		Paths       []string `toml:"paths"`
		Regexes     []string `toml:"regexes"`
		StopWords   []string `toml:"stopwords"`
	}
)

// Shipped are the rules that come with Writ.
func Shipped() *Rules {
	r, err := ParseRules(shipped)
	if err != nil {
		panic(err) // they are in the binary
	}
	return r
}

// ParseRules reads a set of rules in the format of gitleaks.
func ParseRules(text string) (*Rules, error) {
	bad := func(problem string) error {
		return fault.New(fault.Invalid, "rules", fault.Public{Problem: "The rules cannot be read: " + problem + ".", Expected: "A set of rules in the format of gitleaks (TOML, patterns in RE2)."})
	}
	var f fileSet
	if len(text) > maxRules {
		return nil, bad("the file is too large")
	}
	if err := toml.Unmarshal([]byte(text), &f); err != nil {
		return nil, bad(err.Error())
	}
	var out Rules
	var err error
	if out.allow, err = compileAllow(f.Allowlist, f.Allowlists); err != nil {
		return nil, bad(err.Error())
	}
	for _, in := range f.Rules {
		if in.SkipReport {
			continue
		}
		r, err := in.compile()
		if err != nil {
			return nil, bad(fmt.Sprintf("rule %q: %v", in.ID, err))
		}
		out.rules = append(out.rules, r)
		out.words = append(out.words, r.words...)
	}
	if len(out.rules) == 0 {
		return nil, bad("there is no rule in it")
	}
	slices.Sort(out.words)
	out.words = slices.Compact(out.words)
	return &out, nil
}

func (in fileRule) compile() (*rule, error) {
	r := &rule{id: in.ID, says: in.Description, group: in.SecretGroup, entropy: in.Entropy}
	if r.id == "" || in.Regex == "" && in.Path == "" {
		return nil, fmt.Errorf("it has no id, or neither regex nor path")
	}
	for _, p := range []struct {
		text string
		into **regexp.Regexp
	}{{in.Regex, &r.pattern}, {in.Path, &r.path}} {
		if p.text == "" {
			continue
		}
		re, err := regexp.Compile(p.text)
		if err != nil {
			return nil, err
		}
		*p.into = re
	}
	if r.pattern != nil && (r.group < 0 || r.group > r.pattern.NumSubexp()) {
		return nil, fmt.Errorf("it has no group %d", r.group)
	}
	for _, w := range in.Keywords {
		if w != "" {
			r.words = append(r.words, strings.ToLower(w))
		}
	}
	var err error
	r.allow, err = compileAllow(in.Allowlist, in.Allowlists)
	return r, err
}

func compileAllow(one *fileAllow, more []fileAllow) (out []allowlist, err error) {
	if one != nil {
		more = append([]fileAllow{*one}, more...)
	}
	for _, in := range more {
		a := allowlist{all: strings.EqualFold(in.Condition, "AND") || in.Condition == "&&", target: in.RegexTarget}
		if a.paths, err = compileMany(in.Paths); err != nil {
			return nil, err
		}
		if a.regexes, err = compileMany(in.Regexes); err != nil {
			return nil, err
		}
		for _, w := range in.StopWords {
			a.stop = append(a.stop, strings.ToLower(w))
		}
		out = append(out, a)
	}
	return out, nil
}

func compileMany(texts []string) (out []*regexp.Regexp, err error) {
	for _, t := range texts {
		re, err := regexp.Compile(t)
		if err != nil {
			return nil, err
		}
		out = append(out, re)
	}
	return out, nil
}

// found is a match before it is a Hit.
type found struct{ secret, match, line, path string }

// allows reports whether a list takes the match out.
func (a allowlist) allows(f found) bool {
	var parts []bool
	if len(a.paths) > 0 {
		parts = append(parts, anyMatch(a.paths, f.path))
	}
	if len(a.regexes) > 0 {
		text := map[string]string{"match": f.match, "line": f.line}[a.target]
		if text == "" {
			text = f.secret
		}
		parts = append(parts, anyMatch(a.regexes, text))
	}
	if len(a.stop) > 0 {
		low := strings.ToLower(f.secret)
		parts = append(parts, slices.ContainsFunc(a.stop, func(w string) bool { return strings.Contains(low, w) }))
	}
	if a.all {
		return len(parts) > 0 && !slices.Contains(parts, false)
	}
	return slices.Contains(parts, true)
}

func anyMatch(res []*regexp.Regexp, text string) bool {
	return slices.ContainsFunc(res, func(re *regexp.Regexp) bool { return re.MatchString(text) })
}

// skips reports whether a file is left out by its path alone.
func (r *Rules) skips(path string) bool {
	return slices.ContainsFunc(r.allow, func(a allowlist) bool { return !a.all && anyMatch(a.paths, path) })
}

// entropy is how much a character of the text tells, in bits (Shannon).
func entropy(s string) (bits float64) {
	if s == "" {
		return 0
	}
	n := map[rune]int{}
	total := 0
	for _, c := range s {
		n[c]++
		total++
	}
	for _, k := range n {
		p := float64(k) / float64(total)
		bits -= p * math.Log2(p)
	}
	return bits
}
