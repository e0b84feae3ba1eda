package breach

import (
	"encoding"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Class is how near a subject's data came to the wrong hands. A greater one is worse.
type Class int

// The classes.
const (
	Cleared Class = iota + 1
	Possibly
	Accessed
	Obtained
)

var classes = []string{Cleared: "cleared", Possibly: "possibly", Accessed: "accessed", Obtained: "obtained"}

// Classes are all of them, the worst first.
func Classes() []Class { return []Class{Obtained, Accessed, Possibly, Cleared} }

// String is the word.
func (c Class) String() string {
	if c < Cleared || c > Obtained {
		return "none"
	}
	return classes[c]
}

// MarshalText writes the word.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the word.
func (c *Class) UnmarshalText(b []byte) error {
	i := slices.Index(classes, string(b))
	if i < int(Cleared) {
		return fmt.Errorf("breach: there is no class %.20q", b)
	}
	*c = Class(i)
	return nil
}

var _ encoding.TextUnmarshaler = (*Class)(nil)

// The categories of data.
const (
	Contact      = "contact"
	Credential   = "credential"
	Financial    = "financial"
	Special      = "special" // of Article 9
	Content      = "content"
	Unclassified = "unclassified"
	None         = "none" // said of what is no data of anybody
)

// categories in the order of their bits.
var categories = []string{Contact, Credential, Financial, Special, Content, Unclassified}

// Categories are the words that a person may give to a route or a field.
func Categories() []string { return append(slices.Clone(categories[:len(categories)-1]), None) }

// Told is what the description of an application says of the data of a route.
type Told struct {
	Data []string // categories, or None
	Open []string // its fields, and its operations, that have no category
}

// Category is the category that a tag of a description names; "" = none.
func Category(tag string) string {
	tag = strings.TrimPrefix(strings.ToLower(tag), "data:")
	if slices.Contains(categories[:len(categories)-1], tag) {
		return tag
	}
	return ""
}

const unclassified uint8 = 1 << 5 // as a set

// bits are categories as a set.
func bits(names []string) (b uint8) {
	for _, n := range names {
		if i := slices.Index(categories, n); i >= 0 {
			b |= 1 << i
		}
	}
	return b
}

func words(b uint8) (out []string) {
	for i, n := range categories {
		if b&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return out
}

// Line is one subject of the set.
type Line struct {
	Subject string    `json:"subject"`
	Class   Class     `json:"class"`
	Data    []string  `json:"data,omitempty"`
	Hits    int64     `json:"hits,omitempty"` // records that speak of it
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
}
