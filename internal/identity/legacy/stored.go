package legacy

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"github.com/go-crypt/crypt/algorithm/bcrypt"
	"github.com/go-crypt/crypt/algorithm/pbkdf2"
	"github.com/go-crypt/crypt/algorithm/scrypt"
	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"writ/internal/passhash"
	"writ/internal/secret"
)

// What is stored of a row, before it is sealed:
//
//	$writ-legacy$bcrypt$2b$12$…                                as it came
//	$writ-legacy$sha256-salted$TEMPLATE$SALT$argon2id$v=19$…   wrapped: argon2id of the raw digest
const storedPrefix = "$writ-legacy$"

var b64 = base64.RawURLEncoding.Strict()

var errStored = errors.New("legacy: not a hash that was brought over")

// Stored makes what is kept of a row: a salted SHA-256 is wrapped with the parameters,
// all others are as they came. Call it inside the gate. A row of format Reset has none.
func (r Row) Stored(p passhash.Params) (secret.Text, error) {
	switch r.Format {
	case Reset:
		return secret.Text{}, errors.New("legacy: this row has no password")
	case SaltedSHA256: // clause: auth.hash, auth.one-way
		phc, err := passhash.Hash(p, secret.NewText(string(r.digest.Reveal())))
		if err != nil {
			return secret.Text{}, fmt.Errorf("wrap a digest: %w", err)
		}
		return secret.NewText(storedPrefix + string(r.Format) + "$" + b64.EncodeToString([]byte(r.tpl.Spec())) + "$" + b64.EncodeToString(r.salt) + phc.Reveal()), nil
	}
	return secret.NewText(storedPrefix + string(r.Format) + r.hash.Reveal()), nil
}

// Is reports whether a stored text was brought over.
func Is(stored secret.Text) bool { return strings.HasPrefix(stored.Reveal(), storedPrefix) }

// Of is the format of a stored text, and for a wrapped one the string within.
func Of(stored secret.Text) (Format, secret.Text, error) {
	f, rest, _, _, err := split(stored)
	if err != nil || f != SaltedSHA256 {
		return f, secret.Text{}, err
	}
	return f, secret.NewText(rest), nil
}

func split(stored secret.Text) (f Format, rest string, tpl Template, salt []byte, err error) {
	s, ok := strings.CutPrefix(stored.Reveal(), storedPrefix)
	name, after, found := strings.Cut(s, "$")
	if !ok || !found || stored.Len() > 4*maxHash {
		return "", "", tpl, nil, errStored
	}
	f, rest = Format(name), "$"+after
	if f != SaltedSHA256 {
		r, err := Classify(secret.NewText(rest), secret.Text{}, Template{})
		if err != nil || r.Format != f || f == Reset {
			return "", "", tpl, nil, errStored
		}
		return f, rest, tpl, nil, nil
	}
	parts := strings.SplitN(after, "$", 3)
	if len(parts) != 3 {
		return "", "", tpl, nil, errStored
	}
	spec, err1 := b64.DecodeString(parts[0])
	salt, err2 := b64.DecodeString(parts[1])
	tpl, err3 := ReadSpec(string(spec))
	if errors.Join(err1, err2, err3) != nil {
		return "", "", tpl, nil, errStored
	}
	return f, "$" + parts[2], tpl, salt, nil
}

// bcryptMax is how many bytes bcrypt looks at. Longer ones were cut, so that two
// passwords would open one account: they are refused.
const bcryptMax = 72

// Verify reports whether the password has the stored hash. Call it inside the gate.
func Verify(stored, password secret.Text) (bool, error) { // clause: auth.compare
	f, rest, tpl, salt, err := split(stored)
	if err != nil {
		return false, err
	}
	if f == SaltedSHA256 {
		sum := tpl.sum(password.Reveal(), salt)
		ok, err := passhash.Verify(secret.NewText(rest), secret.NewText(string(sum[:])))
		if err != nil {
			return false, fmt.Errorf("verify a wrapped digest: %w", err)
		}
		return ok, nil
	}
	d, err := decode(f, rest)
	if err != nil {
		return false, errStored
	}
	ok, err := d.MatchAdvanced(password.Reveal())
	if err != nil {
		return false, errors.New("legacy: the password could not be compared") // the cause may quote the hash
	}
	return ok && (f != Bcrypt || password.Len() <= bcryptMax), nil
}

// decode reads crypt's kin. Its cost has been looked at.
func decode(f Format, s string) (algorithm.Digest, error) {
	switch f {
	case Bcrypt:
		return bcrypt.DecodeVariant(bcrypt.VariantStandard)(s)
	case Argon2:
		return argon2.Decode(s)
	case Scrypt:
		return scrypt.Decode(s)
	case PBKDF2:
		return pbkdf2.Decode(s)
	case SHACrypt:
		return shacrypt.Decode(s)
	}
	return nil, errStored
}

// Salt is the salt of a hash of crypt's kin, as it was brought over.
func Salt(stored secret.Text) (string, error) {
	f, rest, _, salt, err := split(stored)
	if err != nil || f == SaltedSHA256 {
		return string(salt), err
	}
	d, err := decode(f, rest)
	if err != nil {
		return "", errStored
	}
	return string(d.Salt()), nil
}
