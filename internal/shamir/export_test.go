package shamir

// The arithmetic, for tests.
var (
	Mul     = mul
	Inverse = inverse
	At      = at
)
