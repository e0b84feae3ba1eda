package passhash

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"writ/internal/secret"
)

// Scheme names a password hash function; it is also the id in the PHC string.
type Scheme string

// The schemes.
const (
	Argon2id Scheme = "argon2id"           // RFC 9106, the default
	PBKDF2   Scheme = "pbkdf2-hmac-sha256" // RFC 8018 with HMAC-SHA-256, the FIPS profile
)

// Params says how a password is hashed. Memory, Time and Parallel belong to
// Argon2id, Iterations to PBKDF2; the others' fields are zero.
type Params struct {
	Scheme     Scheme
	SaltBytes  int    // 16..64 when hashing, 8..64 when reading
	Memory     uint32 // KiB
	Time       uint32 // passes over the memory
	Parallel   uint8  // lanes
	Iterations int
}

// Info is what a PHC string says about itself, without salt and digest.
type Info struct {
	Params
	OutputBytes int
}

// The caps: a string that asks for more is refused before any work, so that a
// planted row cannot take the machine down.
const (
	maxMemory     = 256 * 1024 // KiB
	maxTime       = 10
	maxParallel   = 16
	maxIterations = 10_000_000
	minSalt       = 8
	minNewSalt    = 16 // auth.salt: 16..64
	maxSalt       = 64
	minOutput     = 16
	maxOutput     = 64
	maxString     = 512
)

var b64 = base64.RawStdEncoding.Strict()

// errPHC hides what was wrong with a stored string beyond its kind: the string is a secret.
var errPHC = errors.New("not a password hash this server writes")

// Default returns the shipped parameters of the scheme: argon2id with 46 MiB, one
// pass and one lane; PBKDF2 with 600,000 iterations (OWASP Password Storage).
// Any other scheme gives Params that Hash refuses.
func Default(scheme Scheme, saltBytes int) Params {
	p := Params{Scheme: scheme, SaltBytes: saltBytes}
	switch scheme {
	case Argon2id:
		p.Memory, p.Time, p.Parallel = 47104, 1, 1
	case PBKDF2:
		p.Iterations = 600_000
	}
	return p
}

// Check reports why p cannot be used to hash, nil when it can.
func (p Params) Check() error {
	if p.SaltBytes < minNewSalt || p.SaltBytes > maxSalt {
		return fmt.Errorf("salt of %d bytes: want %d..%d", p.SaltBytes, minNewSalt, maxSalt)
	}
	return p.cost()
}

// cost checks the caps that hold for new and stored hashes alike.
func (p Params) cost() error {
	switch p.Scheme {
	case Argon2id:
		switch {
		case p.Iterations != 0:
			return errors.New("argon2id has no iterations")
		case p.Parallel < 1 || p.Parallel > maxParallel:
			return fmt.Errorf("parallel %d: want 1..%d", p.Parallel, maxParallel)
		case p.Time < 1 || p.Time > maxTime:
			return fmt.Errorf("time %d: want 1..%d", p.Time, maxTime)
		case p.Memory < 8*uint32(p.Parallel) || p.Memory > maxMemory:
			return fmt.Errorf("memory %d KiB: want %d..%d", p.Memory, 8*uint32(p.Parallel), maxMemory)
		}
		return nil
	case PBKDF2:
		switch {
		case p.Memory != 0 || p.Time != 0 || p.Parallel != 0:
			return errors.New("pbkdf2 has iterations only")
		case p.Iterations < 1 || p.Iterations > maxIterations:
			return fmt.Errorf("iterations %d: want 1..%d", p.Iterations, maxIterations)
		}
		return nil
	}
	return fmt.Errorf("scheme %q: want %s or %s", p.Scheme, Argon2id, PBKDF2)
}

// phc is a parsed string.
type phc struct {
	Params
	salt, sum []byte
}

// encode writes the one form that parse reads:
//
//	$argon2id$v=19$m=47104,t=1,p=1$<salt>$<digest>
//	$pbkdf2-hmac-sha256$i=600000$<salt>$<digest>
func (h phc) encode() string {
	head := fmt.Sprintf("$%s$i=%d", h.Scheme, h.Iterations)
	if h.Scheme == Argon2id {
		head = fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d", h.Scheme, argon2.Version, h.Memory, h.Time, h.Parallel)
	}
	return head + "$" + b64.EncodeToString(h.salt) + "$" + b64.EncodeToString(h.sum)
}

// parse reads a stored string. It accepts only what encode writes, byte for byte,
// so one hash has one spelling.
func parse(t secret.Text) (phc, error) {
	if t.Len() > maxString {
		return phc{}, errPHC
	}
	s := t.Reveal()
	f := strings.Split(s, "$")
	if len(f) < 5 || len(f) > 6 || f[0] != "" {
		return phc{}, errPHC
	}
	h := phc{Params: Params{Scheme: Scheme(f[1])}}
	var err error
	if h.Memory, h.Time, h.Parallel, h.Iterations, err = costs(h.Scheme, f[2:len(f)-2]); err != nil {
		return phc{}, err
	}
	if h.salt, err = b64.DecodeString(f[len(f)-2]); err != nil {
		return phc{}, errPHC
	}
	if h.sum, err = b64.DecodeString(f[len(f)-1]); err != nil {
		return phc{}, errPHC
	}
	h.SaltBytes = len(h.salt)
	switch {
	case len(h.salt) < minSalt || len(h.salt) > maxSalt:
		return phc{}, errPHC
	case len(h.sum) < minOutput || len(h.sum) > maxOutput:
		return phc{}, errPHC
	case h.cost() != nil:
		return phc{}, fmt.Errorf("%w: cost out of bounds", errPHC)
	case h.encode() != s:
		return phc{}, errPHC
	}
	return h, nil
}

// costs reads the fields between scheme and salt.
func costs(s Scheme, f []string) (m, t uint32, p uint8, i int, err error) {
	switch {
	case s == Argon2id && len(f) == 2 && f[0] == "v="+strconv.Itoa(argon2.Version):
		kv := strings.Split(f[1], ",")
		if len(kv) != 3 {
			break
		}
		mm, e1 := number(kv[0], "m=")
		tt, e2 := number(kv[1], "t=")
		pp, e3 := number(kv[2], "p=")
		if errors.Join(e1, e2, e3) != nil || pp > maxParallel {
			break
		}
		return mm, tt, uint8(pp), 0, nil
	case s == PBKDF2 && len(f) == 1:
		n, e := number(f[0], "i=")
		if e != nil {
			break
		}
		return 0, 0, 0, int(n), nil
	}
	return 0, 0, 0, 0, errPHC
}

// number reads a decimal of at most eight digits after its name. Leading zeros
// fall to the comparison with the encoded form.
func number(s, name string) (uint32, error) {
	d, ok := strings.CutPrefix(s, name)
	if !ok || len(d) > 8 {
		return 0, errPHC
	}
	n, err := strconv.ParseUint(d, 10, 32)
	return uint32(n), err
}
