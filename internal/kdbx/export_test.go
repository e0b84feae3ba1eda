package kdbx

import (
	"bytes"
	"compress/gzip"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20"

	"writ/internal/secret"
)

// Summed mends the sum of a header that was altered, so that what lies behind it is tried.
func Summed(file []byte) []byte {
	if len(file) < 12 {
		return file
	}
	rest, err := parts(file[12:], 4, func(byte, []byte) error { return nil })
	if err != nil || len(rest) < 32 {
		return file
	}
	out := bytes.Clone(file)
	sum := sha256.Sum256(file[:len(file)-len(rest)])
	copy(out[len(file)-len(rest):], sum[:])
	return out
}

// Content reads XML behind an inner header.
func Content(xml []byte) (secret.Bytes, error) {
	h := header{major: 4}
	return h.content(append(inner(chachas, []byte("key!"), nil), xml...))
}

// OfFile is the key in a key file.
func OfFile(b []byte) ([]byte, error) { return ofFile(b) }

func inner(stream byte, key []byte, files []string) []byte {
	out := part(part(nil, 4, 1, []byte{stream, 0, 0, 0}), 4, 2, key)
	for _, f := range files {
		out = part(out, 4, 3, append([]byte{1}, f...))
	}
	return part(out, 4, 0, nil)
}

func part(out []byte, width int, id byte, data []byte) []byte {
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))[:width]
	return append(append(append(out, id), size...), data...)
}

// Form is how a database is written.
type Form struct {
	Three  bool // KDBX 3.1
	Kdf    string
	Cipher string
	Plain  bool // not compressed
	Salsa  bool
	Key    Key
	Files  []string
}

// The ids that a Form takes.
const (
	AES, ChaCha, Argon2d, Argon2id, AESKDF = aescbc, chacha, argon2d, argon2id, aeskdf
)

// Seal writes a database of some XML. {{text}} in it becomes a protected text, {{hash}} the header's.
func Seal(t testing.TB, xml string, f Form) []byte {
	t.Helper()
	un := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stream, streamKey := uint64(chachas), bytes.Repeat([]byte{7}, 64)
	if f.Salsa || f.Three {
		stream, streamKey = salsa, streamKey[:32]
	}
	iv := make([]byte, map[string]int{aescbc: 16, chacha: 12}[f.Cipher])
	file, width := append(bytes.Clone(magic), 0, 0, 4, 0), 4
	if f.Three {
		file, width = append(bytes.Clone(magic), 1, 0, 3, 0), 2
	}
	packed := byte(1)
	if f.Plain {
		packed = 0
	}
	file = part(part(part(part(file, width, 2, un(f.Cipher)), width, 3, []byte{packed, 0, 0, 0}), width, 4, bytes.Repeat([]byte{1}, 32)), width, 7, iv)
	if f.Three {
		file = part(part(file, 2, 5, bytes.Repeat([]byte{2}, 32)), 2, 6, binary.LittleEndian.AppendUint64(nil, 1000))
		file = part(part(part(file, 2, 8, streamKey), 2, 9, bytes.Repeat([]byte{3}, 32)), 2, 10, []byte{byte(stream), 0, 0, 0})
	} else {
		file = part(file, 4, 11, kdf(un(f.Kdf)))
	}
	file = part(file, width, 0, []byte("\r\n\r\n"))
	h, _, err := readHeader(file)
	if err != nil {
		t.Fatal(err)
	}
	composite, err := f.Key.composite()
	if err != nil {
		t.Fatal(err)
	}
	derived, err := h.kdf.derive(composite)
	if err != nil {
		t.Fatal(err)
	}
	s, err := opener(stream, streamKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file)
	xml = strings.Replace(xml, "{{hash}}", base64.StdEncoding.EncodeToString(sum[:]), 1)
	var plain []byte
	if !f.Three {
		plain = inner(byte(stream), streamKey, f.Files)
	}
	for i, p := range strings.Split(xml, "{{") {
		if text, rest, ok := strings.Cut(p, "}}"); i > 0 && ok {
			b := []byte(text)
			s.XORKeyStream(b, b)
			p = base64.StdEncoding.EncodeToString(b) + rest
		}
		plain = append(plain, p...)
	}
	if !f.Plain {
		var to bytes.Buffer
		z := gzip.NewWriter(&to)
		if _, err := z.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		plain = to.Bytes()
	}
	enc := sha256.Sum256(append(bytes.Clone(h.seed), derived...))
	if f.Three {
		body := bytes.Clone(h.start)
		for i, data := range [][]byte{plain, nil} {
			sum := sha256.Sum256(data)
			if len(data) == 0 {
				sum = [32]byte{}
			}
			body = append(binary.LittleEndian.AppendUint32(append(binary.LittleEndian.AppendUint32(body, uint32(i)), sum[:]...), uint32(len(data))), data...)
		}
		return append(file, encrypt(t, f.Cipher, enc[:], iv, body)...)
	}
	base := sha512.Sum512(append(append(bytes.Clone(h.seed), derived...), 1))
	out := append(append(bytes.Clone(file), sum[:]...), mark(base[:], 1<<64-1, file)...)
	for i, data := range [][]byte{encrypt(t, f.Cipher, enc[:], iv, plain), nil} {
		n := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
		out = append(append(append(out, mark(base[:], uint64(i), binary.LittleEndian.AppendUint64(nil, uint64(i)), n, data)...), n...), data...)
	}
	return out
}

func kdf(id []byte) []byte {
	item := func(out []byte, kind byte, name string, value []byte) []byte {
		out = append(binary.LittleEndian.AppendUint32(append(out, kind), uint32(len(name))), name...)
		return append(binary.LittleEndian.AppendUint32(out, uint32(len(value))), value...)
	}
	eight := func(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
	out := item(item([]byte{0, 1}, 0x42, "$UUID", id), 0x42, "S", bytes.Repeat([]byte{4}, 32))
	if h := hex.EncodeToString(id); h == aeskdf {
		out = item(out, 5, "R", eight(1000))
	} else {
		out = item(item(item(item(out, 5, "M", eight(1<<20)), 5, "I", eight(2)), 4, "P", []byte{2, 0, 0, 0}), 4, "V", []byte{0x13, 0, 0, 0})
	}
	return append(out, 0)
}

func encrypt(t testing.TB, how string, key, iv, plain []byte) []byte {
	t.Helper()
	if how == chacha {
		s, err := chacha20.NewUnauthenticatedCipher(key, iv)
		if err != nil {
			t.Fatal(err)
		}
		s.XORKeyStream(plain, plain)
		return plain
	}
	c, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	pad := 16 - len(plain)%16
	plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(c, iv).CryptBlocks(plain, plain)
	return plain
}
