package guard

import "bytes"

// Harmless reports whether nothing that is looked for can stand in b, taken by itself. It
// costs next to nothing, and spares most bodies the rest: each number has four digits in a
// row somewhere, and nine in all with single separators between.
func Harmless(b []byte) bool {
	if bytes.IndexByte(b, '%') >= 0 || bytes.IndexByte(b, 0xef) >= 0 || bytes.Contains(b, []byte(`\u`)) || bytes.Contains(b, []byte("&#")) || bytes.Contains(b, []byte("&nbsp;")) {
		return false // digits and separators in another spelling
	}
	for i := 3; i < len(b); {
		switch {
		case kinds[b[i]] != digit:
			i += 4
		case kinds[b[i-1]] != digit:
			i += 3
		case kinds[b[i-2]] != digit:
			i += 2
		case kinds[b[i-3]] != digit:
			i++
		default:
			n, end := around(b, i)
			if n >= 9 {
				return false
			}
			i = end + 4
		}
	}
	return true
}

// around counts the digits about a place, with what may separate them, and says where they end.
func around(b []byte, at int) (n, end int) {
	between := func(c byte) bool { return kinds[c].separates() || c == '+' || c >= 0x80 }
	gap := 0
	for i := at; i >= 0 && gap <= 3; i-- {
		switch {
		case kinds[b[i]] == digit:
			n, gap = n+1, 0
		case between(b[i]):
			gap++
		default:
			gap = 4
		}
	}
	end, gap = at, 0
	for i := at + 1; i < len(b) && gap <= 3; i++ {
		switch {
		case kinds[b[i]] == digit:
			n, gap, end = n+1, 0, i
		case between(b[i]):
			gap++
		default:
			gap = 4
		}
	}
	return n, end
}
