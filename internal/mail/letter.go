package mail

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"strings"
)

//go:embed letter.html
var letterFS embed.FS

var letterHTML = template.Must(template.ParseFS(letterFS, "letter.html"))

// Letter is the one shape of mail: what it is, one link, who asked, how long it
// works, and what to do if it was not you.
type Letter struct {
	Company string   // the customer's or company's name at the top
	Title   string   // also the subject
	Lines   []string // short paragraphs before the link
	Link    *Link    // at most one
	Foot    []string // who asked, from where, when; what to do if it was not you
}

// Link is the one thing to press.
type Link struct{ Text, URL string }

// Message renders the letter to both parts.
func (l Letter) Message(to, kind string) (Message, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\n", l.Title)
	for _, p := range l.Lines {
		fmt.Fprintf(&text, "%s\n\n", p)
	}
	if l.Link != nil {
		fmt.Fprintf(&text, "%s:\n%s\n\n", l.Link.Text, l.Link.URL)
	}
	for _, p := range l.Foot {
		fmt.Fprintf(&text, "%s\n", p)
	}
	fmt.Fprintf(&text, "\n-- \n%s\n", l.Company)
	var html bytes.Buffer
	if err := letterHTML.Execute(&html, l); err != nil {
		return Message{}, fmt.Errorf("render letter %s: %w", kind, err)
	}
	return Message{To: to, Subject: l.Title, Text: text.String(), HTML: html.String(), Kind: kind}, nil
}
