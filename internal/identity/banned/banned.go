package banned

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"writ/internal/secret"
)

// Code is the code of every refusal.
const Code = "password_banned"

// Reason is why a password is refused.
type Reason struct {
	Code string // always Code
	Kind string // ends "This password is …": "a common password with digits added"
}

// Options says what a List holds beside the embedded dictionaries.
type Options struct {
	Words           []string // product, company, domains, the policy's own words
	File            string   // the operator's list, one password a line, UTF-8; empty for none
	WithoutEmbedded bool     // leave the embedded dictionaries out (auth.banned: embedded=false)
}

// List is the banned list. It is safe for concurrent use and never changes.
type List struct {
	base  func() *base // waits for the background load on first use
	words terms
}

// New reads the operator's file, if one is named, and starts loading the embedded
// dictionaries in the background; the first Check waits for them. It fails when the
// file is missing, is not a regular file, has more than 10 million lines or a line over
// 64 KiB. Lines that no password can be (over 256 characters, not UTF-8) are skipped.
func New(opts Options) (*List, error) {
	b := newBuilder()
	if opts.File != "" {
		if err := b.addFile(opts.File); err != nil {
			return nil, fmt.Errorf("read the banned list: %w", err)
		}
	}
	load := sync.OnceValue(func() *base {
		if !opts.WithoutEmbedded {
			b.addEmbedded()
		}
		return b.finish()
	})
	go load()
	return &List{base: load, words: newTerms(opts.Words)}, nil
}

// With returns a list with the same dictionaries and file but these words: for a
// revision that changes them. Nothing is loaded again.
func (l *List) With(words []string) *List {
	return &List{base: l.base, words: newTerms(words)}
}

// Check reports whether the password is banned, and why. about are things an
// attacker knows of the person: name, address. The password should come from
// passhash.Normalize; beyond 256 code points the rest is not looked at.
func (l *List) Check(password secret.Text, about ...string) (Reason, bool) {
	j := judge{base: l.base(), words: l.words, about: newTerms(about)}
	kind, bad := j.password(password.Reveal())
	if !bad {
		return Reason{}, false
	}
	return Reason{Code: Code, Kind: kind}, true
}

// Hash identifies the content: hex SHA-256 over dictionaries, file and words. It
// is the list version stored with a password and shown in findings.
func (l *List) Hash() string {
	h := sha256.New()
	sum := l.base().sum
	h.Write(sum[:])
	for _, w := range l.words.given {
		fmt.Fprintf(h, "%d:%s", len(w), w)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Entries returns the number of distinct entries, case and accents ignored.
func (l *List) Entries() int { return l.Usable(0) }

// Usable returns the number of distinct entries of at least min code points: those
// that say something at the minimum length in force.
func (l *List) Usable(min int) int {
	b, n := l.base(), 0
	for length, count := range b.lengths {
		if length >= min {
			n += count
		}
	}
	for _, w := range l.words.given {
		if utf8.RuneCountInString(w) >= min && !b.has(keyOf(fold(w))) {
			n++
		}
	}
	return n
}

// terms are words that matter to one place or one person: a few, so they are
// kept with their parts.
type terms struct {
	given []string // folded, sorted, distinct
	keys  set
}

// The caps keep a hostile name or address from costing more than a password.
const (
	maxParts = 64
	minWord  = 3 // shorter words ban too much
)

// newTerms takes each word whole, without its separators, and part by part.
func newTerms(words []string) terms {
	var c terms
	for _, w := range words {
		f := fold(strings.TrimSpace(w))
		if len(f) >= minWord {
			c.given = append(c.given, string(f))
		}
	}
	slices.Sort(c.given)
	c.given = slices.Compact(c.given)
	for _, w := range c.given {
		parts := strings.FieldsFunc(w, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		for _, p := range append(parts[:min(len(parts), maxParts)], w, strings.Join(parts, "")) {
			if r := []rune(p); len(r) >= minWord {
				c.keys = append(c.keys, keyOf(r), keyOf(collapse(r)))
			}
		}
	}
	slices.Sort(c.keys)
	c.keys = slices.Compact(c.keys)
	return c
}
