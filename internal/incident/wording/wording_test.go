package wording_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"writ/internal/fault"
	"writ/internal/incident/status"
	"writ/internal/incident/wording"
)

var noon = time.Date(2026, 11, 2, 12, 0, 0, 0, time.FixedZone("elsewhere", 3600))

// A text is refused for a place that is not of the set, or is of another kind, and it is said where.
func TestPlacesAreOfTheSet(t *testing.T) { // breaks: inc.public-notice
	for name, c := range map[string]struct{ text, problem, expected string }{
		"known":        {"Since {since:time} it fails.", "", ""},
		"unknown":      {"Ünknown: {cause:text} and so on.", `no place "cause:text", at character 10`, "{parts:components} {since:time}"},
		"no kind":      {"It fails since {since}.", `"since" at character 16 is of the kind time`, "{since:time}"},
		"another kind": {"It fails since {since:number}.", `"since" at character 16 is of the kind time`, "{since:time}"},
		"a blank":      {"It fails since {since: time}.", `at character 16 is of the kind time`, "{since:time}"},
		"empty":        {"It fails since {} today.", `no place "", at character 16`, "{since:time}"},
		"open brace":   {"It fails since {since:time", "a brace alone at character 16", "both braces"},
		"closed brace": {"It fails since since:time}.", "a brace alone at character 26", "both braces"},
		"in a place":   {"It fails since {since{since:time}.", "a brace alone at character 16", "both braces"},
		"short":        {"It fails.", "9 characters", "10 to 4,000"},
		"long":         {strings.Repeat("ü", 4001), "4001 characters", "10 to 4,000"},
		"many":         {strings.Repeat("{since:time} ", 51), "more than 50 places", "At most 50"},
		"control":      {"It fails\x00 since long.", "no page shows", "Plain text"},
		"no UTF-8":     {"It fails\xff since long.", "no page shows", "Plain text"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := wording.Parse(c.text)
			if c.problem == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			_, p := fault.PublicOf(err)
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(p.Problem, c.problem) || !strings.Contains(p.Expected, c.expected) || p.Next == "" {
				t.Errorf("%v: %+v", err, p)
			}
		})
	}
}

// Each place is filled by its kind, times in UTC; what is not known stays, is listed once, and is found
// in a text that is to be posted, also when it was damaged by hand.
func TestPlacesAreFilled(t *testing.T) { // breaks: inc.public-notice
	teams, lost := int64(1204), int64(0)
	all := wording.Values{Parts: []string{"Sign-in", "Invoices", "Search"}, Since: noon, Over: noon.Add(83 * time.Minute), Back: noon.Add(2 * time.Hour), Next: noon.Add(45 * time.Minute), Starts: noon.Add(time.Hour), Teams: &teams, Lost: &lost}
	for place, want := range map[string]string{
		"{parts:components}": "Sign-in, Invoices and Search", "{since:time}": "2 November 2026, 11:00 UTC", "{over:time}": "2 November 2026, 12:23 UTC", "{lasted:duration}": "83 minutes",
		"{back:estimate}": "by 2 November 2026, 13:00 UTC", "{next:time}": "2 November 2026, 11:45 UTC", "{starts:time}": "2 November 2026, 12:00 UTC", "{teams:number}": "1,204", "{lost:number}": "0",
	} {
		x, err := wording.Parse("So it is: " + place + ".")
		if err != nil {
			t.Fatal(err)
		}
		if got, open := x.Fill(all); got != "So it is: "+want+"." || len(open) != 0 || wording.Open(got) != nil {
			t.Errorf("%s: %q, open %v", place, got, open)
		}
		if got, open := x.Fill(wording.Values{}); got != "So it is: "+place+"." || len(open) != 1 || open[0].String() != place || !slices.Equal(wording.Open(got), []int{11}) {
			t.Errorf("%s, not known: %q, open %v", place, got, open)
		}
	}
	if n := len(wording.Places()); n != 9 {
		t.Errorf("%d places", n)
	}
	x, _ := wording.Parse("Service returns {back:estimate}, {back:estimate}.")
	if got, open := x.Fill(wording.Values{}); len(open) != 1 || len(wording.Open(got)) != 2 {
		t.Errorf("twice the same: %q %v", got, open)
	}
	if got, _ := x.Fill(wording.Values{Next: noon}); !strings.HasPrefix(got, "Service returns not known yet, the next update comes by 2 November 2026, 11:00 UTC,") {
		t.Errorf("%q", got)
	}
	for text, want := range map[string]int{"It is {since:time": 7, "It is since:time}": 7, "It is { Since : time }": 7, "It is {wen:tiem}.": 7, "Call f({a: 1}) or {b}; since: time will tell.": 0} {
		got := wording.Open(text)
		if want == 0 && got != nil || want > 0 && !slices.Equal(got, []int{want}) {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// There is a text for each kind and each word of the page, it parses, and one kind stands in for others.
func TestShippedTexts(t *testing.T) { // breaks: inc.public-notice
	for _, kind := range []string{"breach", "data-loss", "usability", wording.Other} {
		for _, word := range status.Words() {
			text := wording.Shipped(kind, word)
			if _, err := wording.Parse(text); err != nil {
				t.Errorf("%s %s: %v", kind, word, err)
			}
			if kind != wording.Other && text == wording.Shipped(wording.Other, word) {
				t.Errorf("%s has no text of its own for %s", kind, word)
			}
		}
	}
	if _, err := wording.Parse(wording.Shipped(wording.Maintenance, wording.Scheduled)); err != nil {
		t.Error(err)
	}
	if wording.Shipped("third-party", status.Resolved) != wording.Shipped(wording.Other, status.Resolved) || wording.Shipped(wording.Maintenance, status.Resolved) != "" || wording.Shipped("../x", "y") != "" {
		t.Error("what stands in for a text that there is none of")
	}
}

// FuzzParse throws texts at the parser: what it takes comes back whole where nothing is known, its places
// are found again, and filled there are none left but what the values bring.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"Since {since:time} it fails.", "{{since:time}}", "{since:number} }{", "ü{parts:components}{lost:number}🎈", "{ since : time }"} {
		f.Add(s)
	}
	one := int64(1)
	f.Fuzz(func(t *testing.T, text string) {
		x, err := wording.Parse(text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatal(err)
			}
			return
		}
		same, open := x.Fill(wording.Values{})
		if same != text || (len(open) > 0) != (len(wording.Open(text)) > 0) {
			t.Errorf("%q came back as %q, open %v, found %v", text, same, open, wording.Open(text))
		}
		if got, open := x.Fill(wording.Values{Parts: []string{"a"}, Since: noon, Over: noon, Back: noon, Next: noon, Starts: noon, Teams: &one, Lost: &one}); len(open) != 0 || strings.ContainsAny(got, "{}") {
			t.Errorf("%q is filled as %q", text, got)
		}
	})
}
