package shamir

// mul multiplies in GF(2^8). Each of the eight rounds does the same work: a mask takes the
// place of the branch.
func mul(a, b byte) byte {
	var p byte
	for range 8 {
		p ^= a & -(b & 1)
		a = a<<1 ^ 0x1b&-(a>>7)
		b >>= 1
	}
	return p
}

// inverse is a^254, which is 1/a for all a but 0.
func inverse(a byte) byte {
	r := byte(1)
	for range 7 { // 254 = 2 + 4 + … + 128
		a = mul(a, a)
		r = mul(r, a)
	}
	return r
}

// at is the value at x of the polynomial with the constant term c and the other
// coefficients rest, by Horner's rule.
func at(x, c byte, rest []byte) byte {
	var y byte
	for i := len(rest) - 1; i >= 0; i-- {
		y = mul(y^rest[i], x)
	}
	return y ^ c
}

// weightAtZero is what the value at the place xs[i] counts in the value at 0 (Lagrange).
// In this field, minus is plus.
func weightAtZero(xs []byte, i int) byte {
	w := byte(1)
	for j, x := range xs {
		if j != i {
			w = mul(w, mul(x, inverse(x^xs[i])))
		}
	}
	return w
}
