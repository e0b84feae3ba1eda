package budget

import (
	"errors"
	"math/big"
	"strconv"
	"strings"
)

// Amount is an exact decimal number. The zero Amount is 0.
type Amount struct {
	n     *big.Int // nil = 0
	scale int      // digits after the point
}

const (
	mostText  = 64 // bytes of an amount
	mostScale = 40 // digits after the point, and the greatest exponent
)

var errAmount = errors.New("budget: this is no decimal number")

// Parse reads -12.50 or 1.25e-7: digits, a point, an exponent; nothing between thousands.
func Parse(s string) (Amount, error) {
	digits, exponent, scaled := strings.Cut(strings.ToLower(s), "e")
	e := 0
	if scaled {
		var err error
		if e, err = strconv.Atoi(exponent); err != nil || e > mostScale || e < -mostScale {
			return Amount{}, errAmount
		}
	}
	whole, part, pointed := strings.Cut(digits, ".")
	sign := ""
	if whole != "" && (whole[0] == '-' || whole[0] == '+') {
		sign, whole = whole[:1], whole[1:]
	}
	if len(s) > mostText || whole+part == "" || pointed && part == "" || strings.Trim(whole+part, "0123456789") != "" {
		return Amount{}, errAmount
	}
	n, _ := new(big.Int).SetString(sign+whole+part, 10)
	a := Amount{n, len(part) - e}
	if a.scale < 0 {
		a = Amount{a.at(0), 0}
	}
	if a = a.trim(); a.scale > mostScale {
		return Amount{}, errAmount
	}
	return a, nil
}

// Int is a whole amount.
func Int(n int64) Amount { return Amount{n: big.NewInt(n)} }

// Near is the decimal next to a float, with so many digits: for what was estimated.
func Near(f float64, digits int) Amount {
	a, err := Parse(strconv.FormatFloat(min(max(f, -1e18), 1e18), 'f', digits, 64))
	if err != nil { // it is not a number
		return Amount{}
	}
	return a
}

// at is the number with so many digits after the point, as a whole one.
func (a Amount) at(scale int) *big.Int {
	if a.n == nil {
		return new(big.Int)
	}
	if scale < a.scale {
		return new(big.Int).Quo(a.n, power(a.scale-scale))
	}
	return new(big.Int).Mul(a.n, power(scale-a.scale))
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func (a Amount) trim() Amount {
	if a.Sign() == 0 {
		return Amount{}
	}
	n, ten, rest := new(big.Int).Set(a.n), big.NewInt(10), new(big.Int)
	for a.scale > 0 {
		q, _ := new(big.Int).QuoRem(n, ten, rest)
		if rest.Sign() != 0 {
			break
		}
		n, a.scale = q, a.scale-1
	}
	return Amount{n, a.scale}
}

// Add is a + b.
func (a Amount) Add(b Amount) Amount {
	s := max(a.scale, b.scale)
	return Amount{new(big.Int).Add(a.at(s), b.at(s)), s}.trim()
}

// Sub is a - b.
func (a Amount) Sub(b Amount) Amount { return a.Add(b.Times(-1)) }

// Times is a × n.
func (a Amount) Times(n int64) Amount {
	if a.n == nil {
		return a
	}
	return Amount{new(big.Int).Mul(a.n, big.NewInt(n)), a.scale}.trim()
}

// Sign is -1, 0 or 1.
func (a Amount) Sign() int {
	if a.n == nil {
		return 0
	}
	return a.n.Sign()
}

// Cmp is -1 where a is less than b, 0 where they are equal, 1 where it is more.
func (a Amount) Cmp(b Amount) int {
	s := max(a.scale, b.scale)
	return a.at(s).Cmp(b.at(s))
}

// Percent is how many whole percent of b it is; 0 where b is nothing.
func (a Amount) Percent(b Amount) int64 {
	if b.Sign() <= 0 || a.Sign() <= 0 {
		return 0
	}
	s := max(a.scale, b.scale)
	q := new(big.Int).Quo(new(big.Int).Mul(a.at(s), big.NewInt(100)), b.at(s))
	if !q.IsInt64() || q.Int64() > mostPercent {
		return mostPercent
	}
	return q.Int64()
}

const mostPercent = 1_000_000

// Reaches reports whether a is at least so many hundredths of a percent of b.
func (a Amount) Reaches(share int64, b Amount) bool { return a.Times(100_00).Cmp(b.Times(share)) >= 0 }

// Float is the float next to it: for estimates and drawings, never for sums.
func (a Amount) Float() float64 {
	f, _ := strconv.ParseFloat(a.String(), 64) // what it writes is a number
	return f
}

// String writes all of its digits.
func (a Amount) String() string { return a.Fixed(a.scale) }

// Fixed writes so many digits after the point, rounded half away from zero.
func (a Amount) Fixed(digits int) string {
	n := a.at(digits)
	if digits < a.scale {
		half := a.at(digits + 1)
		if last := new(big.Int).Rem(half, big.NewInt(10)).Int64(); last >= 5 {
			n.Add(n, big.NewInt(1))
		} else if last <= -5 {
			n.Sub(n, big.NewInt(1))
		}
	}
	s := new(big.Int).Abs(n).String()
	if digits > 0 {
		if pad := digits + 1 - len(s); pad > 0 {
			s = strings.Repeat("0", pad) + s
		}
		s = s[:len(s)-digits] + "." + s[len(s)-digits:]
	}
	if n.Sign() < 0 {
		return "-" + s
	}
	return s
}

// MarshalText implements encoding.TextMarshaler.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Amount) UnmarshalText(b []byte) (err error) {
	*a, err = Parse(string(b))
	return err
}
