package leak

import (
	"bytes"
	"testing"
	"time"
)

// Whatever stands in a repository's files, reading them ends and allocates within bounds.
func FuzzPack(f *testing.F) {
	f.Add([]byte("\xfftOc\x00\x00\x00\x02"), []byte("x\x9c\x03\x00\x00\x00\x00\x01"), []byte("\x05\x05\x90\x05"), []byte("\x95\x0a"))
	f.Fuzz(func(t *testing.T, index, loose, delta, head []byte) {
		if es, err := parseIndex(index, 20); err == nil && len(es) > len(index) {
			t.Errorf("%d entries of %d bytes", len(es), len(index))
		}
		if o, err := parseLoose(bytes.NewReader(loose)); err == nil && len(o.data) > maxObject {
			t.Error("a large object was read")
		}
		if b, err := patch([]byte("hello"), delta); err == nil && len(b) > maxObject {
			t.Error("a delta grew")
		}
		r := bytes.NewReader(head)
		if _, size, err := packHead(r); err == nil && size < 0 {
			t.Error("a size below zero")
		}
		if n, err := offset(r); err == nil && n < 0 {
			t.Error("a place below zero")
		}
	})
}

// A list of exceptions that is taken says for each an end within a year and a reason.
func FuzzIgnore(f *testing.F) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Add("# x\n0123456789abcdef  2026-04-01  a made-up key\n")
	f.Fuzz(func(t *testing.T, text string) {
		g, err := ParseIgnore(text, now)
		if err != nil {
			return
		}
		for id, l := range g.lines {
			if until, err := time.Parse(time.DateOnly, l.until); err != nil || until.Sub(now) > longestOut || len(l.reason) < shortReason || len(id) != 16 {
				t.Errorf("%q %+v", id, l)
			}
		}
	})
}

// Rules of others are taken or refused, and those that are taken can be used.
func FuzzRules(f *testing.F) {
	f.Add("[[rules]]\nid='a'\nregex='a(b)'\nkeywords=['a']\n", []byte("xab"))
	f.Fuzz(func(t *testing.T, text string, file []byte) {
		r, err := ParseRules(text)
		if err != nil {
			return
		}
		r.search("a", file, func(h Hit, s string, at int) {
			if at < 0 || at > len(file) || h.Masked == "" {
				t.Errorf("%+v at %d", h, at)
			}
		})
	})
}
