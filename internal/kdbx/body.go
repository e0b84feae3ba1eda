package kdbx

import (
	"bytes"
	"compress/gzip"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/crypto/chacha20"
)

// body opens what lies behind the header, and unpacks it.
func (h *header) body(derived, rest []byte) (plain []byte, err error) {
	if h.major == 4 {
		plain, err = h.marked(derived, rest)
	} else {
		plain, err = h.hashed(derived, rest)
	}
	if err != nil || !h.gzip {
		return plain, err
	}
	return unpack(plain)
}

// marked is KDBX 4: each block is looked at under the key before any of it is decrypted.
func (h *header) marked(derived, rest []byte) ([]byte, error) {
	base := sha512.Sum512(append(append(bytes.Clone(h.seed), derived...), 1))
	if !hmac.Equal(mark(base[:], 1<<64-1, h.raw), rest[32:64]) {
		return nil, wrongKey()
	}
	sealed, err := blocks(base[:], rest[64:])
	if err != nil {
		return nil, err
	}
	return h.decrypt(derived, sealed)
}

// mark authenticates the header (index 2^64-1) or a block, under a key of its own each.
func mark(base []byte, index uint64, data ...[]byte) []byte {
	k := sha512.Sum512(append(binary.LittleEndian.AppendUint64(nil, index), base...))
	m := hmac.New(sha256.New, k[:])
	for _, d := range data {
		m.Write(d)
	}
	return m.Sum(nil)
}

func altered() error {
	return bad("kdbx_altered", "The database was altered after KeePass wrote it, or is damaged.")
}

// blocks puts the content together. What lies behind the last block is not read.
func blocks(base, rest []byte) ([]byte, error) {
	var out []byte
	for index := uint64(0); ; index++ {
		if len(rest) < 36 {
			return nil, errCut
		}
		n := uint64(binary.LittleEndian.Uint32(rest[32:36]))
		if n > uint64(len(rest)-36) {
			return nil, errCut
		}
		data := rest[36 : 36+n]
		if !hmac.Equal(mark(base, index, binary.LittleEndian.AppendUint64(nil, index), rest[32:36], data), rest[:32]) {
			return nil, altered()
		}
		if rest = rest[36+n:]; n == 0 {
			return out, nil
		}
		out = append(out, data...)
	}
}

// hashed is KDBX 3.1: all is decrypted at once, and then has a known beginning and the hash of each block.
func (h *header) hashed(derived, rest []byte) (out []byte, err error) {
	plain, err := h.decrypt(derived, bytes.Clone(rest))
	if err != nil || len(plain) < 32 || !hmac.Equal(plain[:32], h.start) {
		return nil, wrongKey() // a wrong key shows as padding that is none, too
	}
	plain = plain[32:]
	for index := uint32(0); ; index++ {
		if len(plain) < 40 {
			return nil, errCut
		}
		n := uint64(binary.LittleEndian.Uint32(plain[36:40]))
		if n > uint64(len(plain)-40) {
			return nil, errCut
		}
		data, sum := plain[40:40+n], sha256.Sum256(plain[40:40+n])
		if binary.LittleEndian.Uint32(plain) != index || n > 0 && !bytes.Equal(sum[:], plain[4:36]) {
			return nil, altered()
		}
		if plain = plain[40+n:]; n == 0 {
			return out, nil
		}
		out = append(out, data...)
	}
}

// decrypt works in place.
func (h *header) decrypt(derived, sealed []byte) ([]byte, error) {
	key := sha256.Sum256(append(bytes.Clone(h.seed), derived...))
	if h.cipher == chacha {
		if len(h.iv) != chacha20.NonceSize {
			return nil, errCut
		}
		s, err := chacha20.NewUnauthenticatedCipher(key[:], h.iv) // the blocks have their own marks
		if err != nil {
			return nil, errCut
		}
		s.XORKeyStream(sealed, sealed)
		return sealed, nil
	}
	c, err := aes.NewCipher(key[:])
	if err != nil || len(h.iv) != aes.BlockSize || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, errCut
	}
	cipher.NewCBCDecrypter(c, h.iv).CryptBlocks(sealed, sealed)
	pad := int(sealed[len(sealed)-1])
	if pad == 0 || pad > aes.BlockSize {
		return nil, errCut
	}
	return sealed[:len(sealed)-pad], nil
}

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errCut
	}
	r.Multistream(false) // some programs pad what a stream cipher seals
	out, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, errCut
	}
	if len(out) > maxUnpacked {
		return nil, tooLarge()
	}
	return out, nil
}

func tooLarge() error { return bad("kdbx_large", "The database unpacks to more than 64 MiB.") }
