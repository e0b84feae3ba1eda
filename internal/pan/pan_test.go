package pan_test

import (
	"strings"
	"testing"

	"writ/internal/pan"
)

// breaks: data.no-card
func TestFind(t *testing.T) {
	for _, c := range []struct {
		name, text, last string
		found            bool
	}{
		{"one run", "card 4111111111111111 of the test bank", "1111", true},
		{"in fours", "4111 1111 1111 1111", "1111", true},
		{"hyphens", "5555-5555-5555-4444,", "4444", true},
		{"dots", "3782.822463.10005", "0005", true},
		{"full width", "４１１１１１１１１１１１１１１１", "1111", true},
		{"month and code after it", "6011 1111 1111 1117 12 27 123", "1117", true},
		{"numbers before it", "7 4111 1111 1111 1111", "1111", true},
		{"second series of an issuer", "2223003122003222", "3222", true},
		{"Diners", "30569309025904", "5904", true},
		{"JCB", "3530111333300000", "0000", true},
		{"nineteen digits", "4000000000000000006", "0006", true},
		{"wrong check digit", "4111111111111112", "", false},
		{"no issuer begins so", "1111111111111117", "", false},
		{"part of a longer number", "94111111111111111", "", false},
		{"two separators", "4111  1111  1111  1111", "", false},
		{"phone", "+49 30 123456 7890", "", false},
		{"empty", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			last, found := pan.Find(c.text)
			if found != c.found || last != c.last {
				t.Errorf("%q: %q %v, want %q %v", c.text, last, found, c.last, c.found)
			}
		})
	}
}

func FuzzFind(f *testing.F) {
	f.Add("4111 1111 1111 1111")
	f.Add("\x00４1-1.1")
	f.Fuzz(func(t *testing.T, text string) {
		last, found := pan.Find(text)
		if found != (len(last) == 4) {
			t.Errorf("%q: %q %v", text, last, found)
		}
		// Words around a number do not hide it.
		if _, still := pan.Find("x " + text + "\nx"); found && !still && !strings.ContainsAny(text[:1], "0123456789 -.") {
			t.Errorf("%q is not found between words", text)
		}
	})
}
