// Package pan owns what a payment card's number looks like: groups of 13 to 19 digits
// that begin as an issuer's numbers do and end with the right check digit (ISO/IEC 7812).
//
//	text ─► runs of digits, single spaces, dots or hyphens between ─► issuer ─► length ─► Luhn
//
// Promises: data.no-card (the detector: issuer prefix and check digit together find real
// numbers and spare the numbers of orders, phones and accounts).
//
// Refuses nothing by itself: whoever asks does.
//
// Threats: a number split by spaces, hyphens, dots, or written in full-width digits (read
// as one); a number inside a longer run of groups (each span of whole groups is tried). A
// number spread over words, or in another script, passes: nobody stores one so by mistake.
//
// For: vault, which keeps no card in an item, and gateway, which lets none through. It is
// one file.
package pan

import "strings"

const (
	shortest = 13
	longest  = 19
)

// issuers are ranges of first digits and the lengths that such numbers have.
var issuers = []struct {
	from, to string // inclusive, of the same length
	lengths  []int
}{
	{"4", "4", []int{13, 16, 19}},                                                                            // Visa
	{"51", "55", []int{16}},                                                                                  // Mastercard
	{"2221", "2720", []int{16}},                                                                              // Mastercard
	{"34", "34", []int{15}},                                                                                  // American Express
	{"37", "37", []int{15}},                                                                                  // American Express
	{"6011", "6011", []int{16, 17, 18, 19}},                                                                  // Discover
	{"644", "659", []int{16, 17, 18, 19}},                                                                    // Discover
	{"300", "305", []int{14, 15, 16, 17, 18, 19}},                                                            // Diners Club
	{"3095", "3095", []int{14, 15, 16, 17, 18, 19}},                                                          // Diners Club
	{"36", "36", []int{14, 15, 16, 17, 18, 19}},                                                              // Diners Club
	{"38", "39", []int{14, 15, 16, 17, 18, 19}},                                                              // Diners Club
	{"3528", "3589", []int{16, 17, 18, 19}},                                                                  // JCB
	{"62", "62", []int{16, 17, 18, 19}},                                                                      // UnionPay
	{"2200", "2204", []int{16, 17, 18, 19}},                                                                  // Mir
	{"5018", "5018", []int{13, 14, 15, 16, 17, 18, 19}}, {"5020", "5020", []int{13, 14, 15, 16, 17, 18, 19}}, // Maestro
	{"5038", "5038", []int{13, 14, 15, 16, 17, 18, 19}}, {"5893", "5893", []int{13, 14, 15, 16, 17, 18, 19}},
	{"6304", "6304", []int{13, 14, 15, 16, 17, 18, 19}}, {"6759", "6759", []int{13, 14, 15, 16, 17, 18, 19}},
	{"6761", "6763", []int{13, 14, 15, 16, 17, 18, 19}},
}

// Valid reports whether digits are a card's number: nothing but digits.
func Valid(digits string) bool {
	return len(digits) >= shortest && len(digits) <= longest && issued(digits) && Luhn(digits)
}

// Find reports whether text holds a card's number, and its last four digits.
func Find(text string) (last4 string, found bool) {
	var groups []string
	var group []byte
	end := func() {
		if len(group) > 0 {
			groups, group = append(groups, string(group)), nil
		}
	}
	gap := false // the rune before was a separator
	for _, r := range text + "\x00" {
		d, isDigit := digit(r)
		switch {
		case isDigit:
			group, gap = append(group, d), false
		case separator(r) && !gap:
			end()
			gap = true
		default:
			end()
			if n, ok := spans(groups); ok {
				return n[len(n)-4:], true
			}
			groups, gap = nil, false
		}
	}
	return "", false
}

// spans tries each span of whole groups.
func spans(groups []string) (string, bool) {
	for i := range groups {
		n := ""
		for _, g := range groups[i:] {
			if n += g; len(n) > longest {
				break
			}
			if Valid(n) {
				return n, true
			}
		}
	}
	return "", false
}

func digit(r rune) (byte, bool) {
	if r >= '０' && r <= '９' {
		r -= '０' - '0'
	}
	return byte(r), r >= '0' && r <= '9'
}

func separator(r rune) bool { return strings.ContainsRune(" -.\u00a0\u2010\u2011\u2013\t", r) }

func issued(digits string) bool {
	for _, i := range issuers {
		if head := digits[:len(i.from)]; head < i.from || head > i.to {
			continue
		}
		for _, n := range i.lengths {
			if n == len(digits) {
				return true
			}
		}
	}
	return false
}

// Luhn reports whether the last digit is the check digit of ISO/IEC 7812-1, annex B.
func Luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		n := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}
