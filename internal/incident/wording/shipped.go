package wording

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed shipped/*.txt
var shippedFS embed.FS

// Other is the kind of incident whose texts serve where another one has none.
const Other = "other"

// Maintenance is the kind of a notice of maintenance, and Scheduled its only word: how it goes on
// is told without a text.
const (
	Maintenance = "maintenance"
	Scheduled   = "scheduled"
)

// Shipped is the text that comes with this build, for a kind of incident and a word of the page.
// Where the kind has none it is that of Other; "" = there is none for the word.
func Shipped(kind, word string) string {
	for _, k := range slices.Compact([]string{kind, Other}) {
		if b, err := shippedFS.ReadFile(fmt.Sprintf("shipped/%s.%s.txt", k, word)); err == nil {
			return strings.TrimSpace(string(b))
		}
		if kind == Maintenance {
			break
		}
	}
	return ""
}
