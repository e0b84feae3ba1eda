package shamir_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"math/bits"
	"os"
	"strconv"
	"strings"
	"testing"

	"writ/internal/secret"
	"writ/internal/shamir"
)

// The field is that of AES: FIPS 197 §4.2 has 57·83 = c1 and 57·13 = fe, and every
// element but 0 has an inverse.
func TestField(t *testing.T) {
	if shamir.Mul(0x57, 0x83) != 0xc1 || shamir.Mul(0x57, 0x13) != 0xfe {
		t.Error("the examples of FIPS 197 come out otherwise")
	}
	for a := range 256 {
		for b := range 256 {
			x, y := byte(a), byte(b)
			if shamir.Mul(x, y) != shamir.Mul(y, x) || shamir.Mul(x, y) != long(x, y) {
				t.Fatalf("%x·%x = %x", x, y, shamir.Mul(x, y))
			}
		}
		if a > 0 && shamir.Mul(byte(a), shamir.Inverse(byte(a))) != 1 {
			t.Errorf("1/%x = %x", a, shamir.Inverse(byte(a)))
		}
	}
}

// long multiplies as polynomials are multiplied on paper.
func long(a, b byte) byte {
	p := 0
	for i := range 8 {
		if b>>i&1 == 1 {
			p ^= int(a) << i
		}
	}
	for bits.Len(uint(p)) > 8 {
		p ^= 0x11b << (bits.Len(uint(p)) - 9)
	}
	return byte(p)
}

// Any need of the shares give the secret; one less gives another.
func TestAnyFewGiveTheSecret(t *testing.T) {
	for of := shamir.MinNeed; of <= 10; of++ {
		for need := shamir.MinNeed; need <= of; need++ {
			s := secret.Random(shamir.SecretLen)
			shares, err := shamir.Split(s, need, of)
			if err != nil || len(shares) != of {
				t.Fatalf("%d of %d: %d shares, %v", need, of, len(shares), err)
			}
			for set := range 1 << of {
				n := bits.OnesCount(uint(set))
				if n != need && n != need-1 || n < shamir.MinNeed {
					continue
				}
				var some []secret.Bytes
				for i := range of {
					if set>>i&1 == 1 {
						some = append(some, shares[i])
					}
				}
				got, err := shamir.Combine(some...)
				if err != nil {
					t.Fatal(err)
				}
				if got.Equal(s) != (n == need) {
					t.Fatalf("%d of %d: the shares %b give the secret: %v", need, of, set, got.Equal(s))
				}
			}
		}
	}
}

// All shares together, the greatest number of them, in any order, give the secret too.
func TestMoreThanNeeded(t *testing.T) {
	s := secret.Random(shamir.SecretLen)
	shares, err := shamir.Split(s, 3, shamir.MaxShares)
	if err != nil {
		t.Fatal(err)
	}
	for i := range shares {
		shares[i], shares[len(shares)-1-i] = shares[len(shares)-1-i], shares[i]
		if got, err := shamir.Combine(shares...); err != nil || !got.Equal(s) {
			t.Fatal("all shares do not give the secret", err)
		}
	}
}

// Fewer shares say nothing, exactly: over all coefficients, each value of one share of two
// comes up once, whatever the secret; and each pair of two shares of three once.
func TestFewerSayNothing(t *testing.T) {
	for _, c := range []byte{0, 1, 0x53, 0xff} {
		for _, x := range []byte{1, 2, 16} {
			var seen [256]int
			for a := range 256 {
				seen[shamir.At(x, c, []byte{byte(a)})]++
			}
			for y, n := range seen {
				if n != 1 {
					t.Fatalf("secret %x, place %d: the share %x comes up %d times", c, x, y, n)
				}
			}
		}
		var pairs [1 << 16]int
		for a := range 256 {
			for b := range 256 {
				rest := []byte{byte(a), byte(b)}
				pairs[int(shamir.At(1, c, rest))<<8|int(shamir.At(2, c, rest))]++
			}
		}
		for p, n := range pairs {
			if n != 1 {
				t.Fatalf("secret %x: the pair %x comes up %d times", c, p, n)
			}
		}
	}
}

// Split draws every coefficient, and anew for each byte and each call: from two shares of
// two the coefficient is known, and over many calls it takes every value, 0 too.
func TestCoefficientsAreRandom(t *testing.T) {
	s := secret.NewBytes(make([]byte, shamir.SecretLen))
	var seen [shamir.SecretLen][256]bool
	for range 8192 { // a value is missed with a chance of e^-32 for each byte and value
		shares, err := shamir.Split(s, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		for j := range shamir.SecretLen { // y = a·x, and x = 1
			seen[j][shares[0].Reveal()[j]] = true
		}
	}
	for j := range seen {
		for a, ok := range seen[j] {
			if !ok {
				t.Errorf("byte %d never had the coefficient %x", j, a)
			}
		}
	}
}

func TestRefuses(t *testing.T) {
	s := secret.Random(shamir.SecretLen)
	for _, c := range []struct {
		secret   int
		need, of int
	}{{31, 2, 3}, {33, 2, 3}, {0, 2, 3}, {32, 1, 3}, {32, 0, 0}, {32, 4, 3}, {32, 2, 17}, {32, -1, 3}} {
		if _, err := shamir.Split(secret.Random(c.secret), c.need, c.of); err == nil {
			t.Errorf("split %d bytes, %d of %d", c.secret, c.need, c.of)
		}
	}
	shares, err := shamir.Split(s, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	other := func(edit func(b []byte) []byte) secret.Bytes {
		return secret.NewBytes(edit(bytes.Clone(shares[1].Reveal())))
	}
	for name, some := range map[string][]secret.Bytes{
		"none":        nil,
		"one":         {shares[0]},
		"twice":       {shares[0], shares[0]},
		"same place":  {shares[0], other(func(b []byte) []byte { b[shamir.SecretLen] = 1; return b })},
		"place 0":     {shares[0], other(func(b []byte) []byte { b[shamir.SecretLen] = 0; return b })},
		"short":       {shares[0], other(func(b []byte) []byte { return b[1:] })},
		"long":        {shares[0], other(func(b []byte) []byte { return append(b, 9) })},
		"empty":       {shares[0], {}},
		"seventeen":   make([]secret.Bytes, 17),
		"third twice": {shares[0], shares[1], shares[2], shares[1]},
	} {
		if got, err := shamir.Combine(some...); err == nil || !got.IsZero() {
			t.Errorf("%s: combined", name)
		}
	}
}

// The shares in testdata were made by github.com/getsops/sops/v3/shamir v3.13.3, which
// also read ours: testdata/readme.txt says how.
func TestReadsWhatSopsWrote(t *testing.T) {
	f, err := os.Open("testdata/sops.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := 0
	for sc := bufio.NewScanner(f); sc.Scan(); lines++ {
		words := strings.Fields(sc.Text()) // need, secret, shares
		need, err := strconv.Atoi(words[0])
		if err != nil {
			t.Fatal(err)
		}
		var shares []secret.Bytes
		for _, w := range words[2:] {
			b, err := hex.DecodeString(w)
			if err != nil {
				t.Fatal(err)
			}
			shares = append(shares, secret.NewBytes(b))
		}
		for i := range len(shares) - need + 1 {
			got, err := shamir.Combine(shares[i : i+need]...)
			if err != nil || hex.EncodeToString(got.Reveal()) != words[1] {
				t.Errorf("line %d, from share %d: %v", lines+1, i, err)
			}
		}
	}
	if lines < 20 {
		t.Errorf("only %d secrets in testdata", lines)
	}
}

func FuzzCombine(f *testing.F) {
	s, err := shamir.Split(secret.NewBytes(make([]byte, shamir.SecretLen)), 2, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s[0].Reveal(), s[1].Reveal())
	f.Add([]byte{}, []byte{1})
	f.Add(make([]byte, shamir.ShareLen), s[1].Reveal())
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got, err := shamir.Combine(secret.NewBytes(a), secret.NewBytes(b))
		good := len(a) == shamir.ShareLen && len(b) == shamir.ShareLen && a[shamir.SecretLen] != 0 && b[shamir.SecretLen] != 0 && a[shamir.SecretLen] != b[shamir.SecretLen]
		if good != (err == nil) || good && got.Len() != shamir.SecretLen {
			t.Errorf("%x and %x: %v", a, b, err)
		}
	})
}
