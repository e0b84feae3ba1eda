package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"writ/internal/gateway/guard"
	"writ/internal/pan"
)

// A number that was made of a mask is no card's: its check digit fails, whatever the last four are.
func TestMaskedNumbersAreNoCards(t *testing.T) { // breaks: data.card-summary
	for last := range 10_000 {
		card := ""
		for d := range 10 {
			if card = fmt.Sprintf("41111111111%d%04d", d, last); pan.Valid(card) {
				break
			}
		}
		got := string(guard.Bytes([]byte(`{"n":`+card+`}`), masking, guard.JSON))
		masked := strings.TrimSuffix(strings.TrimPrefix(got, `{"n":`), "}")
		if masked == card || !strings.HasSuffix(masked, card[12:]) || pan.Luhn(masked) {
			t.Fatalf("%s became %s", card, got)
		}
	}
}

// No parameter shows more than the last four.
func TestNoMoreThanFourAreKept(t *testing.T) { // breaks: data.card-summary
	for keep, want := range map[int]string{0: "****************", 2: "**************11", 4: "************1111", 9: "************1111", -1: "****************"} {
		if got := guard.Cards("4111111111111111", keep); got != want {
			t.Errorf("%d: %s, want %s", keep, got, want)
		}
	}
}

// Numbers that the Social Security Administration gives to nobody are none.
func TestNumbersNobodyHas(t *testing.T) { // breaks: data.no-ssn
	for text, want := range map[string]bool{"123-45-6789": true, "666-45-6789": false, "000-45-6789": false, "900-45-6789": false, "123-00-6789": false, "123-45-0000": false, "665-45-6789": true, "899-45-6789": true} {
		if got := string(guard.Bytes([]byte(text), masking, guard.Text)) != text; got != want {
			t.Errorf("%s: taken is %v, want %v", text, got, want)
		}
	}
}
