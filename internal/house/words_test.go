package house_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// foreign are names that must not stand in the tree, as SHA-256 of the lower-case word
// with its length, so that this file does not hold them either.
var foreign = map[int]string{
	9:  "67d6bb4f0e462da772a8a4b2cfcb57bf85ddf1f75eda66dcc9ea83b8218a47fd",
	13: "360fc8f293d2af1385a8d5e2ffdb9eb343c88e836475797c224bf9eea44f95f0",
}

// binary are endings of files without words.
var binary = map[string]bool{".png": true, ".ico": true, ".woff2": true, ".zip": true, ".gz": true, ".db": true, ".jpg": true, ".pdf": true}

func textFiles(t *testing.T, fn func(rel string, text []byte)) {
	t.Helper()
	eachFile(t, func(rel string) {
		if binary[path.Ext(rel)] {
			return
		}
		if b := read(t, rel); !bytes.ContainsRune(b[:min(len(b), 8000)], 0) {
			fn(rel, b)
		}
	})
}

func TestNoForeignNames(t *testing.T) {
	judged := map[string]bool{}
	textFiles(t, func(rel string, text []byte) {
		words := strings.FieldsFunc(strings.ToLower(string(text))+" "+strings.ToLower(rel), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.'
		})
		for _, w := range words {
			bad, known := judged[w]
			if !known {
				bad = holdsForeign(w)
				judged[w] = bad
			}
			if bad {
				t.Errorf("%s holds a name that does not belong here (a word of %d letters)", rel, len(w))
			}
		}
	})
}

// holdsForeign looks at each part of a word, so that joined words are found too.
func holdsForeign(word string) bool {
	for n, sum := range foreign {
		for i := 0; i+n <= len(word); i++ {
			h := sha256.Sum256([]byte(word[i : i+n]))
			if hex.EncodeToString(h[:]) == sum {
				return true
			}
		}
	}
	return false
}

var (
	unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	ownPath    = regexp.MustCompile(`(^|[^\w.$}/~-])/(work|root|home/\w+|Users/\w+)/`)
	sources    = map[string]bool{".go": true, ".sql": true, ".sh": true, ".html": true, ".js": true, ".css": true, ".yaml": true, ".yml": true, ".txtar": true, "": true}
)

func TestNoUnfinishedWork(t *testing.T) {
	textFiles(t, func(rel string, text []byte) {
		if !sources[path.Ext(rel)] {
			return
		}
		for i, line := range bytes.Split(text, []byte("\n")) {
			if unfinished.Match(line) {
				t.Errorf("%s:%d: finish it, or write BUG(area): with the consequence: %s", rel, i+1, bytes.TrimSpace(line))
			}
		}
	})
}

func TestNoPathsOfOneMachine(t *testing.T) {
	textFiles(t, func(rel string, text []byte) {
		for i, line := range bytes.Split(text, []byte("\n")) {
			if ownPath.Match(line) {
				t.Errorf("%s:%d: a path of one machine: %s", rel, i+1, bytes.TrimSpace(line))
			}
		}
	})
}

func TestWordRulesCanSayNo(t *testing.T) {
	if !unfinished.MatchString("// TO"+"DO: later") || unfinished.MatchString("TODOS are a noun") {
		t.Error("unfinished work is not told apart")
	}
	for line, want := range map[string]bool{`dir := "/` + `work/x"`: true, `see /` + `root/y`: true, "DIR/root.key": false, "a/" + "work/b": false} {
		if ownPath.MatchString(line) != want {
			t.Errorf("%s: want %v", line, want)
		}
	}
	sum := sha256.Sum256([]byte("northwind"))
	old := foreign[9]
	foreign[9] = hex.EncodeToString(sum[:])
	defer func() { foreign[9] = old }()
	if !holdsForeign("thenorthwindpolicy") || holdsForeign("northwest.wind") {
		t.Error("a joined name is not found, or another is")
	}
}
