package export

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"writ/internal/journal"
)

const (
	audit       = 13           // facility: log audit
	largest     = 8 << 10      // bytes of a message: what receivers should take (RFC 5425, 4.3.1)
	longest     = 1 << 10      // of one value
	ownElement  = "writ@32473" // the number that RFC 5612 gives to whoever has none
	factElement = "fact@32473"
)

var valueEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)

// Syslog writes an entry as a message (RFC 5424). host names this server. Its number, n,
// tells a receiver which one it is, should it come twice.
func Syslog(e *journal.Entry, host string) []byte {
	var b strings.Builder
	b.WriteString("<" + strconv.Itoa(audit*8+severity(e)) + ">1 " + e.Happened.UTC().Format("2006-01-02T15:04:05.000000Z") + " " + word(host, 255) + " writ - " + word(e.Stream, 32) + " ")
	own, fields := facts(e)
	end := "\xef\xbb\xbf" + tame(sentence(e)) // a byte order mark says that it is UTF-8
	cutOwn := element(&b, ownElement, own, largest/2)
	cutFields := element(&b, factElement, fields, largest-len(end)-64)
	if cutOwn || cutFields {
		b.WriteString(`[cut@32473 is="true"]`)
	}
	return []byte(b.String() + " " + end)
}

// sentence is an entry in words.
func sentence(e *journal.Entry) string {
	s := e.Stream + " by " + cutTo(e.Actor, 200)
	if e.Object != "" {
		s += " on " + cutTo(e.Object, 200)
	}
	return s
}

// element writes structured data until the message is so long; it reports whether
// something was left out.
func element(b *strings.Builder, id string, ps []Pair, most int) (cut bool) {
	if len(ps) == 0 {
		return false
	}
	b.WriteString("[" + id)
	for _, p := range ps {
		v := cutTo(tame(p.Value), longest)
		cut = cut || v != tame(p.Value)
		part := " " + name(p.Name) + `="` + valueEscape.Replace(v) + `"`
		if b.Len()+len(part) > most {
			cut = true
			continue
		}
		b.WriteString(part)
	}
	b.WriteString("]")
	return cut
}

// word is a part of the head: printable ASCII without spaces, "-" for none.
func word(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

// name is a name of a value.
func name(s string) string {
	return strings.NewReplacer("=", "_", "]", "_", `"`, "_").Replace(word(s, 32))
}

// cutTo shortens a text to whole characters.
func cutTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// Frame puts a message's length before it (RFC 5425, 4.3).
func Frame(msg []byte) []byte {
	return append([]byte(strconv.Itoa(len(msg))+" "), msg...)
}
