package guard

// kind is what a character is to a number.
type kind uint8

const (
	other  kind = iota
	digit       // 0 to 9, or their full-width forms
	space       // one that may stand between groups
	hyphen      // likewise
	dot         // likewise, and in decimal numbers
	hex         // a to f
	letter      // any other
)

func (k kind) separates() bool { return k == space || k == hyphen || k == dot }

// kinds of single bytes.
var kinds = func() (t [256]kind) {
	for c := '0'; c <= '9'; c++ {
		t[c] = digit
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = letter, letter
	}
	for c := 'a'; c <= 'f'; c++ {
		t[c], t[c-'a'+'A'] = hex, hex
	}
	t[' '], t['-'], t['.'] = space, hyphen, dot
	return t
}()

// symbol reads the character at the beginning of b, undoing one escape. n is its length in
// bytes; 0 = more must be seen to say what it is, which happens only while more may come.
func symbol(b []byte, more bool, f Format) (k kind, value byte, n int) {
	switch c := b[0]; c {
	case '\\':
		return backslash(b, more)
	case '%':
		return percent(b, more, f)
	case '&':
		if f == Form {
			return other, 0, 1
		}
		return entity(b, more)
	case '+':
		if f == Form {
			return space, 0, 1
		}
		return other, 0, 1
	case 0xc2, 0xe2, 0xef:
		return wide(b, more)
	default:
		return kinds[c], c - '0', 1
	}
}

// ofRune says what a decoded character is.
func ofRune(r rune) (kind, byte) {
	switch {
	case r < 0x80:
		return kinds[r], byte(r) - '0'
	case r >= '０' && r <= '９':
		return digit, byte(r - '０')
	case r == 0xa0:
		return space, 0
	case r == 0x2010, r == 0x2011, r == 0x2013:
		return hyphen, 0
	}
	return other, 0
}

// wide reads the few characters of UTF-8 that count: full-width digits, no-break space,
// hyphens of print.
func wide(b []byte, more bool) (kind, byte, int) {
	second, third := byte(0xa0), byte(0)
	switch b[0] {
	case 0xe2:
		second, third = 0x80, 0x90
	case 0xef:
		second, third = 0xbc, 0x90
	}
	if len(b) < 2 {
		return other, 0, b2i(!more)
	}
	if b[1] != second {
		return other, 0, 1
	}
	if third == 0 {
		return space, 0, 2
	}
	if len(b) < 3 {
		return other, 0, b2i(!more)
	}
	k, v := ofRune(rune(b[0]&0xf)<<12 | rune(b[1]&0x3f)<<6 | rune(b[2]&0x3f))
	if k == other || b[2]&0xc0 != 0x80 {
		return other, 0, 1
	}
	return k, v, 3
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// backslash reads an escape of JSON and JavaScript.
func backslash(b []byte, more bool) (kind, byte, int) {
	if len(b) < 2 {
		return other, 0, b2i(!more)
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return other, 0, 2
	case 'u':
	default:
		return other, 0, 1
	}
	r := rune(0)
	for i := 2; i < 6; i++ {
		if i == len(b) {
			return other, 0, b2i(!more)
		}
		d, ok := hexValue(b[i])
		if !ok {
			return other, 0, 1
		}
		r = r<<4 | rune(d)
	}
	k, v := ofRune(r)
	return k, v, 6
}

// percent reads an escape of forms and addresses. Outside of them one that is no digit and
// no separator is a percent sign.
func percent(b []byte, more bool, f Format) (kind, byte, int) {
	var raw [3]byte
	for i := range raw {
		c, state := percentByte(b[3*i:], more)
		switch {
		case state == incomplete:
			return other, 0, 0
		case state == none && i == 0:
			return other, 0, 1
		case state == none:
			return plainPercent(f)
		}
		raw[i] = c
		if i == 0 && c < 0x80 {
			if k, v := ofRune(rune(c)); f == Form || k == digit || k.separates() {
				return k, v, 3
			}
			return other, 0, 1
		}
		if i == 0 && c != 0xc2 && c != 0xe2 && c != 0xef {
			return plainPercent(f)
		}
		if i > 0 {
			if k, v, n := wide(raw[:i+1], i < 2); n == i+1 {
				return k, v, 3 * n
			} else if n != 0 {
				return plainPercent(f)
			}
		}
	}
	return plainPercent(f)
}

func plainPercent(f Format) (kind, byte, int) {
	if f == Form {
		return other, 0, 3
	}
	return other, 0, 1
}

type found uint8

const (
	none found = iota
	incomplete
	whole
)

// percentByte reads %34.
func percentByte(b []byte, more bool) (byte, found) {
	v := byte(0)
	for i := range 3 {
		if i >= len(b) {
			if more {
				return 0, incomplete
			}
			return 0, none
		}
		if i == 0 {
			if b[0] != '%' {
				return 0, none
			}
			continue
		}
		d, ok := hexValue(b[i])
		if !ok {
			return 0, none
		}
		v = v<<4 | d
	}
	return v, whole
}

const longestEntity = 10 // &#x00FF14;

// entity reads a character reference of HTML and XML.
func entity(b []byte, more bool) (kind, byte, int) {
	const named = "&nbsp;"
	if len(b) < 2 {
		return other, 0, b2i(!more)
	}
	if b[1] != '#' {
		for i := range named {
			if i == len(b) {
				return other, 0, b2i(!more)
			}
			if b[i] != named[i] {
				return other, 0, 1
			}
		}
		return space, 0, len(named)
	}
	r, base, i := rune(0), rune(10), 2
	if len(b) > 2 && b[2]|0x20 == 'x' {
		base, i = 16, 3
	}
	for first := i; i < longestEntity; i++ {
		if i >= len(b) {
			return other, 0, b2i(!more)
		}
		if b[i] == ';' && i > first {
			k, v := ofRune(r)
			return k, v, i + 1
		}
		d, ok := hexValue(b[i])
		if !ok || rune(d) >= base {
			break
		}
		r = r*base + rune(d)
	}
	return other, 0, 1
}

func hexValue(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// cover puts another character in the place of an escaped or plain digit, in as many
// bytes: an asterisk or a digit.
func cover(raw []byte, with byte) {
	wide := 0xff00 + rune(with) - 0x20 // the full-width form
	switch n := len(raw); {
	case n == 1:
		raw[0] = with
	case raw[0] == 0xef:
		raw[2] = 0x80 | byte(wide)&0x3f
	case raw[0] == '%' && n == 3:
		write(raw[1:], 16, rune(with))
	case raw[0] == '%':
		write(raw[n-2:], 16, 0x80|wide&0x3f)
	case raw[0] == '\\':
		rewrite(raw[2:], 16, rune(with), wide)
	case raw[2]|0x20 == 'x':
		rewrite(raw[3:n-1], 16, rune(with), wide)
	default:
		rewrite(raw[2:n-1], 10, rune(with), wide)
	}
}

// rewrite replaces a number that names a character.
func rewrite(number []byte, base, plain, wide rune) {
	r := rune(0)
	for _, c := range number {
		d, _ := hexValue(c)
		r = r*base + rune(d)
	}
	if r >= '０' {
		plain = wide
	}
	write(number, base, plain)
}

func write(number []byte, base, r rune) {
	for i := len(number) - 1; i >= 0; i-- {
		number[i] = "0123456789ABCDEF"[r%base]
		r /= base
	}
}
