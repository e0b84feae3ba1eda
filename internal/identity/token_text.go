package identity

import (
	"hash/crc32"
	"math/big"
	"strings"

	"writ/internal/secret"
)

// TokenKind is for whom a program acts.
type TokenKind string

// The kinds of tokens.
const (
	PersonalToken TokenKind = "personal" // for the person who made it, never beyond their rights
	ServiceToken  TokenKind = "service"  // for a service account
)

// A token is its prefix, 43 digits in base 62 for 256 random bits, and 6 digits for the
// CRC-32 (IEEE) of all before. So one expression finds every token in any text, and the
// checksum tells a token from an accident without asking anybody:
//
//	writ_(pat|svc)_[0-9A-Za-z]{49}
const (
	tokenBits  = 256
	bodyDigits = 43
	sumDigits  = 6
	base62     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

var tokenPrefix = map[TokenKind]string{PersonalToken: "writ_pat_", ServiceToken: "writ_svc_"}

// newToken draws a token.
func newToken(kind TokenKind) secret.Text {
	body := new(big.Int).SetBytes(secret.Random(tokenBits / 8).Reveal())
	head := tokenPrefix[kind] + digits(body, bodyDigits)
	return secret.NewText(head + checksum(head))
}

// digits writes n in base 62 with at least so many digits.
func digits(n *big.Int, width int) string {
	out := make([]byte, width)
	base, rest := big.NewInt(62), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, rest)
		out[i] = base62[rest.Int64()]
	}
	return string(out)
}

func checksum(head string) string {
	return digits(big.NewInt(int64(crc32.ChecksumIEEE([]byte(head)))), sumDigits)
}

// LooksLikeToken reports whether a text is meant as one of our tokens, right or wrong.
func LooksLikeToken(t secret.Text) bool {
	s := t.Reveal()
	return strings.HasPrefix(s, tokenPrefix[PersonalToken]) || strings.HasPrefix(s, tokenPrefix[ServiceToken])
}

// tokenKindOf reads prefix and checksum; false for what cannot be a token. It is asked
// before any look-up.
func tokenKindOf(t secret.Text) (TokenKind, bool) {
	const prefix = len("writ_pat_")
	if t.Len() != prefix+bodyDigits+sumDigits {
		return "", false
	}
	s := t.Reveal()
	for i := prefix; i < len(s); i++ {
		if strings.IndexByte(base62, s[i]) < 0 {
			return "", false
		}
	}
	if head := s[:prefix+bodyDigits]; checksum(head) != s[len(head):] {
		return "", false
	}
	for kind, p := range tokenPrefix {
		if strings.HasPrefix(s, p) {
			return kind, true
		}
	}
	return "", false
}
