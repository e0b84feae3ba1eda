package leak

import (
	"bytes"
	"context"
	"strings"
	"unicode"

	"writ/internal/envelope"
)

// Mark stands for a word: 16 bytes of a MAC whose key both sides have for one scan.
type Mark [16]byte

// markLabel names the subkey of marks.
const markLabel = "writ/leak/mark"

// MarkOf is the mark of a word.
func MarkOf(k envelope.Key, word string) Mark {
	m := k.MAC(markLabel, word)
	return Mark(m[:16])
}

// Known is whoever keeps values: it says which of the marks are of one, by its name.
type Known interface {
	Key() envelope.Key
	Which(ctx context.Context, marks []Mark) (map[Mark]string, error)
}

// The lengths of a word that is worth a mark.
const (
	shortest = 8
	longest  = 8 << 10
)

// Worth reports whether a word could be a credential that is told from others by its
// looks. Whoever keeps values marks no others, so that "postgres" is not found everywhere.
func Worth(word string) bool {
	if len(word) < shortest || len(word) > longest {
		return false
	}
	var lower, upper, digit, other int
	for _, c := range word {
		switch {
		case unicode.IsLower(c):
			lower = 1
		case unicode.IsUpper(c):
			upper = 1
		case unicode.IsDigit(c):
			digit = 1
		default:
			other = 1
		}
	}
	if lower+upper == 0 && digit == 1 && other <= 1 && len(word) < 16 {
		return false // a number, a date, an address
	}
	return lower+upper+digit+other > 1
}

// words hands over what in a text could be a value: the whole of it, blocks between lines
// of dashes, the text between quotes, the rest of a line after = or :, and runs without
// spaces, cut at = : @ / ? & too.
func words(text []byte, each func(word string, at int)) {
	if whole := bytes.TrimSpace(text); len(whole) <= longest {
		give(string(whole), 0, each)
	}
	blocks(text, each)
	for at := 0; at < len(text); {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			end = len(text) - at
		}
		inLine(strings.TrimRight(string(text[at:at+end]), "\r"), at, each)
		at += end + 1
	}
}

func give(word string, at int, each func(word string, at int)) {
	if Worth(word) {
		each(word, at)
	}
}

// blocks are keys and certificates of several lines.
func blocks(text []byte, each func(word string, at int)) {
	for at := 0; ; {
		from := bytes.Index(text[at:], []byte("-----BEGIN "))
		if from < 0 {
			return
		}
		from += at
		end := bytes.Index(text[from:], []byte("-----END "))
		if end < 0 {
			return
		}
		end += from
		if nl := bytes.IndexByte(text[end:], '\n'); nl >= 0 {
			end += nl
		} else {
			end = len(text)
		}
		give(strings.TrimSpace(string(text[from:end])), from, each)
		at = end
	}
}

const quotes = "\"'`"

func inLine(line string, at int, each func(word string, at int)) {
	if len(line) > 64<<10 { // of minified code: only its runs
		runs(line, at, each)
		return
	}
	if i := strings.IndexAny(line, "=:"); i >= 0 {
		rest := strings.TrimSpace(line[i+1:])
		give(rest, at, each)
		give(strings.Trim(rest, quotes+",; "), at, each)
	}
	for i := 0; i < len(line); i++ {
		if !strings.ContainsRune(quotes, rune(line[i])) {
			continue
		}
		if end := strings.IndexByte(line[i+1:], line[i]); end > 0 {
			give(line[i+1:i+1+end], at+i+1, each)
		}
	}
	runs(line, at, each)
}

// runs are what stands between spaces and quotes, whole and in parts.
func runs(line string, at int, each func(word string, at int)) {
	space := func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(quotes+"<>(){}[],;", r) }
	for _, run := range strings.FieldsFunc(line, space) {
		give(run, at, each)
		for _, cut := range []string{"=", "=:", "=:@/?&"} {
			parts := strings.FieldsFunc(run, func(r rune) bool { return strings.ContainsRune(cut, r) })
			if len(parts) > 1 || len(parts) == 1 && parts[0] != run {
				for _, p := range parts {
					give(p, at, each)
				}
			}
		}
	}
}
