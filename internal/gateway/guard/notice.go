package guard

import (
	"bytes"
	"strings"
)

// Notice puts a text before the first form of a page, as it streams by. The text is the
// server's own HTML. Of the page only the beginnings of tags are held, at most ten bytes;
// a form that is written in a comment, a script or an attribute is none.
type Notice struct {
	Text string
	Form func(tag []byte) string // what goes behind the tag of each form, from < to >; nil = nothing

	form []byte // such a tag, so far; nil = it is none

	hold  [10]byte // < and the name so far
	held  int
	raw   string   // what ends the text of a script or comment; "" = not within one
	last  [10]byte // bytes of it, the latest last
	after string   // the raw that begins when the tag ends
	tag   bool     // within a tag, after its name
	quote byte     // within an attribute's value
	done  bool
}

// rawTags hold text that is no markup.
var rawTags = map[string]string{"script": "</script", "style": "</style", "textarea": "</textarea", "title": "</title", "iframe": "</iframe", "xmp": "</xmp"}

// Stopped implements Stage.
func (n *Notice) Stopped() bool { return false }

// Write implements Stage.
func (n *Notice) Write(dst, src []byte) []byte {
	for i, c := range src {
		if n.done {
			return append(dst, src[i:]...)
		}
		dst = n.take(dst, c)
	}
	return dst
}

func (n *Notice) take(dst []byte, c byte) []byte {
	switch {
	case n.raw != "":
		copy(n.last[:], n.last[1:])
		n.last[len(n.last)-1] = c
		if bytes.EqualFold(n.last[len(n.last)-len(n.raw):], []byte(n.raw)) {
			n.tag, n.raw = n.raw != "-->", ""
		}
	case n.quote != 0:
		if c == n.quote {
			n.quote = 0
		}
	case n.tag:
		n.inTag(c)
	case n.held > 0:
		return n.name(dst, c)
	case c == '<':
		n.hold[0], n.held = c, 1
		return dst
	}
	if n.form == nil {
		return append(dst, c)
	}
	if n.form = append(n.form, c); n.tag && len(n.form) <= mostTag {
		return append(dst, c)
	}
	if dst = append(dst, c); !n.tag {
		dst = append(dst, n.Form(n.form)...)
	}
	n.form = nil
	return dst
}

const mostTag = 4 << 10 // bytes of a form's tag

func (n *Notice) inTag(c byte) {
	switch c {
	case '"', '\'':
		n.quote = c
	case '>':
		n.tag, n.raw, n.after, n.last = false, n.after, "", [10]byte{}
	}
}

// name takes one more byte after <.
func (n *Notice) name(dst []byte, c byte) []byte {
	k := kinds[c]
	if (k == hex || k == letter || c == '!' || c == '-' || c == '/') && n.held < len(n.hold) {
		n.hold[n.held] = c
		n.held++
		if string(n.hold[:n.held]) != "<!--" {
			return dst
		}
		n.raw, n.last, n.held = "-->", [10]byte{}, 0
		return append(dst, "<!--"...)
	}
	word := strings.ToLower(string(n.hold[1:n.held]))
	if word == "form" && strings.IndexByte(" \t\n\r\f>/", c) >= 0 {
		dst, n.Text, n.done = append(dst, n.Text...), "", n.Form == nil
		if !n.done {
			n.form = append([]byte(nil), n.hold[:n.held]...)
		}
	}
	n.tag, n.after = word != "", rawTags[word]
	dst = append(dst, n.hold[:n.held]...)
	n.held = 0
	if n.done {
		return append(dst, c)
	}
	return n.take(dst, c)
}

// Close implements Stage.
func (n *Notice) Close(dst []byte) []byte { return append(dst, n.hold[:n.held]...) }
