package item

import (
	"encoding/base32"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"writ/internal/secret"
)

// seed is what codes are made of (RFC 6238).
type seed struct {
	key    secret.Text // base32, no padding
	alg    string      // SHA1, SHA256, SHA512
	digits int
	period int // seconds
}

var algorithms = map[string]otp.Algorithm{"SHA1": otp.AlgorithmSHA1, "SHA256": otp.AlgorithmSHA256, "SHA512": otp.AlgorithmSHA512}

// parseSeed reads what another page shows: an otpauth address, or the key in base32. What is
// refused is not repeated in the refusal.
func parseSeed(text secret.Text) (seed, error) {
	typed := strings.TrimSpace(text.Reveal())
	s := seed{alg: "SHA1", digits: 6, period: 30}
	bad := func(what string) (seed, error) {
		return seed{}, invalid(seedField, "seed_text", "This is no seed of one-time codes: "+what+". Give the otpauth address, or the key of letters A to Z and digits 2 to 7.")
	}
	key := typed
	if strings.HasPrefix(strings.ToLower(typed), "otpauth:") {
		u, err := url.Parse(typed)
		if err != nil || !strings.EqualFold(u.Host, "totp") {
			return bad("it is not of codes that change with time")
		}
		q := u.Query()
		key = q.Get("secret")
		if v := q.Get("algorithm"); v != "" {
			s.alg = strings.ReplaceAll(strings.ToUpper(v), "-", "")
		}
		for _, n := range []struct {
			name   string
			to     *int
			lo, hi int
		}{{"digits", &s.digits, 6, 8}, {"period", &s.period, 15, 120}} {
			if v := q.Get(n.name); v != "" {
				i, err := strconv.Atoi(v)
				if err != nil || i < n.lo || i > n.hi {
					return bad(fmt.Sprintf("%s is not within %d and %d", n.name, n.lo, n.hi))
				}
				*n.to = i
			}
		}
	}
	if _, ok := algorithms[s.alg]; !ok {
		return bad("its algorithm is not known")
	}
	key = strings.TrimRight(strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\n", "", "\r", "").Replace(key)), "=")
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key)
	if err != nil || len(raw) < 8 || len(raw) > 256 || slices.Contains([]int{1, 3, 6}, len(key)%8) { // a last letter that is part of no byte gives no code
		return bad("the key is not base32 of 8 to 256 bytes")
	}
	s.key = secret.NewText(key)
	return s, nil
}

// uri is the form in which it is kept.
func (s seed) uri() secret.Text {
	return secret.NewText(fmt.Sprintf("otpauth://totp/x?secret=%s&algorithm=%s&digits=%d&period=%d", s.key.Reveal(), s.alg, s.digits, s.period))
}

// code is the code of a moment and for how long it is good.
func (s seed) code(now time.Time) (secret.Text, time.Duration, error) {
	unix, period := now.Unix(), int64(s.period)
	text, err := hotp.GenerateCodeCustom(s.key.Reveal(), uint64(unix/period), hotp.ValidateOpts{Digits: otp.Digits(s.digits), Algorithm: algorithms[s.alg]})
	if err != nil {
		return secret.Text{}, 0, fmt.Errorf("make a one-time code: %w", err)
	}
	return secret.NewText(text), time.Duration(period-unix%period) * time.Second, nil
}

// seedOf is a key as people type it.
func seedOf(b secret.Bytes) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b.Reveal())
}
