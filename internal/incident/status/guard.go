package status

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"writ/internal/leak"
	"writ/internal/pan"
)

// Leak is something in a text that must not be public: what kind, and at which character.
// The thing itself is not repeated.
type Leak struct {
	What string `json:"what"`
	At   int    `json:"at"` // character, from 1; 0 = somewhere
}

// Says is the leak in words.
func (l Leak) Says() string {
	if l.At == 0 {
		return "The text holds " + l.What + "."
	}
	return fmt.Sprintf("The text holds %s at character %d.", l.What, l.At)
}

var (
	mailAddress = regexp.MustCompile(`[^\s<>"'(),;]+@[^\s<>"'(),;]+`)
	maybeIP     = regexp.MustCompile(`[0-9A-Fa-f:.]*[0-9A-Fa-f]+[:.][0-9A-Fa-f:.]+`)
	privateHost = regexp.MustCompile(`(?i)\b(?:[a-z0-9-]+\.)+(?:internal|intranet|local|localdomain|lan|corp|home\.arpa|svc|cluster)\b`)
)

// leaks looks at a text that is going to be public: its title is its first line.
func (s *Service) leaks(ctx context.Context, text string) ([]Leak, error) { // clause: inc.public-notice
	var out []Leak
	found := func(what string, byteAt int) {
		out = append(out, Leak{what, utf8.RuneCountInString(text[:byteAt]) + 1})
	}
	for _, m := range mailAddress.FindAllStringIndex(text, -1) {
		found("an e-mail address", m[0])
	}
	for _, m := range maybeIP.FindAllStringIndex(text, -1) {
		word := strings.Trim(text[m[0]:m[1]], ".")
		if a, err := netip.ParseAddr(strings.TrimSuffix(word, ":")); err == nil && !a.IsUnspecified() {
			found("an address of the network", m[0])
		}
	}
	for _, m := range privateHost.FindAllStringIndex(text, -1) {
		found("a host of a private network", m[0])
	}
	if _, card := pan.Find(text); card {
		out = append(out, Leak{What: "a card number"})
	}
	if rule := leak.Shipped().Match("status.txt", []byte(text)); rule != "" {
		out = append(out, Leak{What: "a secret (" + rule + ")"})
	}
	if s.Names == nil {
		return out, nil
	}
	names, err := s.Names(ctx)
	if err != nil {
		return nil, fmt.Errorf("names of customers: %w", err) // a guard that cannot look lets nothing pass
	}
	low := strings.ToLower(text)
	for _, n := range names {
		if i := word(low, strings.ToLower(strings.TrimSpace(n))); i >= 0 && i <= len(text) {
			found("the name of a customer", i)
		}
	}
	return out, nil
}

// word is where name stands in text between characters that are no letters; -1 = nowhere.
func word(text, name string) int {
	if utf8.RuneCountInString(name) < 3 {
		return -1
	}
	for from := 0; ; {
		i := strings.Index(text[from:], name)
		if i < 0 {
			return -1
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(name):])
		if !unicode.IsLetter(before) && !unicode.IsLetter(after) {
			return i
		}
		from = i + len(name)
	}
}
