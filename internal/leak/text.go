package leak

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"unicode/utf8"
)

// Hit is a credential in a place where it should not be.
type Hit struct {
	ID     string `json:"id"`   // names it from one scan to the next
	Rule   string `json:"rule"` // "known-value" for what the vault keeps
	Says   string `json:"says"`
	File   string `json:"file"` // within the place; ! before what lies in an archive
	Line   int    `json:"line,omitempty"`
	Commit string `json:"commit,omitempty"` // of a history: the oldest that has it
	Masked string `json:"masked"`
	Name   string `json:"name,omitempty"` // of a value that is known: its name
	Until  string `json:"until,omitempty"`
	Reason string `json:"reason,omitempty"` // excepted until then, for this reason
}

// Excepted reports whether the ignore file takes it out for now.
func (h Hit) Excepted() bool { return h.Until != "" }

// mask is all that is ever shown of a secret: of a long one its first four characters.
func mask(secret string) string {
	n := utf8.RuneCountInString(secret)
	if n < 12 {
		return "**** (" + strconv.Itoa(n) + " characters)"
	}
	return string([]rune(secret)[:4]) + "… (" + strconv.Itoa(n) + " characters)"
}

// hit makes one. Of the secret's hash 16 bits go into the id: enough that another secret
// in its place is another hit, too few to find a secret by.
func hit(rule, says, file, secret string) Hit {
	part := sha256.Sum256([]byte(secret))
	h := sha256.New()
	for _, s := range []string{rule, file, mask(secret), hex.EncodeToString(part[:2])} {
		h.Write([]byte(strconv.Itoa(len(s)) + ":" + s))
	}
	return Hit{ID: hex.EncodeToString(h.Sum(nil)[:8]), Rule: rule, Says: says, File: file, Masked: mask(secret)}
}

// search holds a text against the rules.
func (r *Rules) search(path string, text []byte, each func(h Hit, secret string, at int)) {
	if r.skips(path) {
		return
	}
	low := bytes.ToLower(text)
	has := map[string]bool{}
	for _, w := range r.words {
		has[w] = bytes.Contains(low, []byte(w))
	}
	for _, one := range r.rules {
		if one.wants(path, has) {
			one.search(path, text, r.allow, each)
		}
	}
}

func (r *rule) wants(path string, has map[string]bool) bool {
	if r.path != nil && !r.path.MatchString(path) {
		return false
	}
	if len(r.words) == 0 {
		return true
	}
	for _, w := range r.words {
		if has[w] {
			return true
		}
	}
	return false
}

func (r *rule) search(path string, text []byte, global []allowlist, each func(h Hit, secret string, at int)) {
	if r.pattern == nil {
		each(hit(r.id, r.says, path, path), path, 0) // the file itself is the secret
		return
	}
	for _, m := range r.pattern.FindAllSubmatchIndex(text, -1) {
		from, to := r.secretOf(m)
		f := found{secret: string(text[from:to]), match: string(text[m[0]:m[1]]), line: string(lineAt(text, from)), path: path}
		if f.secret == "" || r.entropy > 0 && entropy(f.secret) <= r.entropy || allowed(global, f) || allowed(r.allow, f) {
			continue
		}
		each(hit(r.id, r.says, path, f.secret), f.secret, from)
	}
}

// secretOf is the part of a match that is the secret.
func (r *rule) secretOf(m []int) (from, to int) {
	if r.group > 0 {
		if from, to = m[2*r.group], m[2*r.group+1]; from >= 0 {
			return from, to
		}
	}
	for i := 2; i+1 < len(m); i += 2 {
		if m[i] >= 0 && m[i+1] > m[i] {
			return m[i], m[i+1]
		}
	}
	return m[0], m[1]
}

func allowed(lists []allowlist, f found) bool {
	for _, a := range lists {
		if a.allows(f) {
			return true
		}
	}
	return false
}

func lineAt(text []byte, at int) []byte {
	from := bytes.LastIndexByte(text[:at], '\n') + 1
	to := bytes.IndexByte(text[at:], '\n')
	if to < 0 {
		return text[from:]
	}
	return text[from : at+to]
}

// noText reports whether bytes are no text: rules would find only noise in them.
func noText(b []byte) bool { return bytes.IndexByte(b[:min(len(b), 8<<10)], 0) >= 0 }

// Match is the rule that a text alone comes under, "" = none.
func (r *Rules) Match(name string, text []byte) (rule string) {
	r.search(name, text, func(h Hit, _ string, _ int) {
		if rule == "" {
			rule = h.Rule
		}
	})
	return rule
}
