package envelope_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"writ/internal/envelope"
	"writ/internal/secret"
)

// raw is bytes that a file of vectors writes in hexadecimal digits.
type raw []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *raw) UnmarshalText(b []byte) error {
	d, err := hex.DecodeString(string(b))
	*r = d
	return err
}

// vector is a test of any of the files.
type vector struct {
	ID                                                        int `json:"tcId"`
	Key, IV, AAD, Msg, CT, Tag, IKM, Salt, Info, OKM, Sig, DK raw
	Password                                                  raw
	Size, IterationCount, DKLen                               int
	Result                                                    string
}

type group struct {
	IVSize, KeySize, TagSize int
	PublicKey                struct{ PK raw }
	Tests                    []vector
}

// vectors runs fn on the tests of a file that it takes, and wants that many to have been taken.
func vectors(t *testing.T, file string, want int, fn func(t *testing.T, g group, v vector) (good, taken bool)) {
	t.Helper()
	b, err := fs.ReadFile(wycheproof.TestVectors, file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ TestGroups []group }
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range f.TestGroups {
		for _, v := range g.Tests {
			good, taken := fn(t, g, v)
			if !taken {
				continue
			}
			if n++; good != (v.Result == "valid") {
				t.Errorf("%s %d is %s", file, v.ID, v.Result)
			}
		}
	}
	if n != want {
		t.Errorf("%s: %d tests, not %d", file, n, want)
	}
}

// The primitives as this program uses them, by the vectors of project Wycheproof: forged tags,
// odd lengths, keys and signatures that some libraries took.
func TestWycheproof(t *testing.T) { // breaks: crypto.at-rest
	vectors(t, "aes_gcm_test.json", 197, func(t *testing.T, g group, v vector) (bool, bool) {
		if g.IVSize != 96 {
			return false, false // a box has no other nonce
		}
		block, err := aes.NewCipher(v.Key)
		if err != nil {
			t.Fatal(err)
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := aead.Open(nil, nil, bytes.Join([][]byte{v.IV, v.CT, v.Tag}, nil), v.AAD)
		return err == nil && bytes.Equal(plain, v.Msg), true
	})
	vectors(t, "hkdf_sha256_test.json", 86, func(_ *testing.T, _ group, v vector) (bool, bool) {
		if fips140.Enforced() && len(v.IKM) < 14 {
			return true, true // the module refuses short keys, which this program has none of
		}
		okm, err := hkdf.Key(sha256.New, v.IKM, v.Salt, string(v.Info), v.Size)
		return err == nil && bytes.Equal(okm, v.OKM), true
	})
	vectors(t, "hmac_sha256_test.json", 174, func(_ *testing.T, g group, v vector) (bool, bool) {
		if fips140.Enforced() && len(v.Key) < 14 {
			return v.Result == "valid", true
		}
		h := hmac.New(sha256.New, v.Key)
		h.Write(v.Msg)
		return hmac.Equal(h.Sum(nil)[:g.TagSize/8], v.Tag), true
	})
	vectors(t, "pbkdf2_hmacsha256_test.json", 60, func(_ *testing.T, _ group, v vector) (bool, bool) {
		if fips140.Enforced() && (len(v.Salt) < 16 || len(v.Password) < 14 || v.DKLen < 14) {
			return true, true
		}
		dk, err := pbkdf2.Key(sha256.New, string(v.Password), v.Salt, v.IterationCount, v.DKLen)
		return err == nil && bytes.Equal(dk, v.DK), true
	})
	vectors(t, "ed25519_test.json", 151, func(_ *testing.T, g group, v vector) (bool, bool) {
		return ed25519.Verify(ed25519.PublicKey(g.PublicKey.PK), v.Msg, v.Sig), true
	})
	vectors(t, "aes_xts_test.json", wholeBlocks, func(t *testing.T, _ group, v vector) (bool, bool) {
		if len(v.Msg)%16 != 0 || len(v.IV) > 8 {
			return false, false // a page is whole blocks under its number
		}
		s, err := envelope.NewSectors(secret.NewBytes(v.Key))
		if err != nil {
			return false, false // AES-128
		}
		n := binary.LittleEndian.Uint64(append(bytes.Clone(v.IV), make([]byte, 8)...))
		ct, back := bytes.Clone(v.Msg), bytes.Clone(v.CT)
		s.Sector(ct, n, false)
		s.Sector(back, n, true)
		return bytes.Equal(ct, v.CT) && bytes.Equal(back, v.Msg), true
	})
}

// wholeBlocks are the XTS vectors of whole blocks under two keys of 32 bytes.
const wholeBlocks = 13
