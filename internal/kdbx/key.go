package kdbx

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"strings"

	"github.com/go-crypt/x/argon2"

	"writ/internal/fault"
)

// composite is one key of all that somebody has.
func (k Key) composite() ([]byte, error) {
	all := sha256.New()
	if k.File.Len() == 0 || !k.Password.IsZero() {
		one := sha256.Sum256([]byte(k.Password.Reveal()))
		all.Write(one[:])
	}
	if k.File.Len() > 0 {
		b, err := ofFile(k.File.Reveal())
		if err != nil {
			return nil, err
		}
		all.Write(b)
	}
	return all.Sum(nil), nil
}

// ofFile is the key in a key file: of KeePass's XML, 32 bytes, 64 hexadecimal digits, or the
// hash of any other file.
func ofFile(b []byte) ([]byte, error) {
	if len(b) > MaxKeyFile {
		return nil, badKeyFile("The key file is larger than 1 MiB.")
	}
	var doc struct {
		XMLName xml.Name `xml:"KeyFile"`
		Version string   `xml:"Meta>Version"`
		Data    struct {
			Text string `xml:",chardata"`
			Hash string `xml:"Hash,attr"`
		} `xml:"Key>Data"`
	}
	if bytes.Contains(b, []byte("<KeyFile")) && xml.Unmarshal(b, &doc) == nil {
		text := strings.Join(strings.Fields(doc.Data.Text), "")
		if strings.HasPrefix(doc.Version, "1") {
			if key, err := base64.StdEncoding.DecodeString(text); err == nil && len(key) == 32 {
				return key, nil
			}
		} else if key, err := hex.DecodeString(text); err == nil && len(key) == 32 {
			if sum := sha256.Sum256(key); strings.EqualFold(hex.EncodeToString(sum[:4]), strings.TrimSpace(doc.Data.Hash)) {
				return key, nil
			}
		}
		return nil, badKeyFile("The key file is damaged.")
	}
	if len(b) == 32 {
		return b, nil
	}
	if key, err := hex.DecodeString(string(b)); err == nil && len(key) == 32 {
		return key, nil
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

func badKeyFile(problem string) error {
	return bad("kdbx_key_file", problem, fault.Field{Name: "key_file", Code: "kdbx_key_file", Problem: problem})
}

// derive makes the database's key of the composite one; check was asked before.
func (d *derivation) derive(key []byte) ([]byte, error) {
	make := argon2.DKey
	switch d.how {
	case argon2id:
		make = argon2.IDKey
		fallthrough
	case argon2d:
		return make(key, d.salt, uint32(d.passes), uint32(d.memory/1024), uint32(d.threads), 32), nil
	}
	c, err := aes.NewCipher(d.salt)
	if err != nil {
		return nil, errCut
	}
	key = bytes.Clone(key)
	for range d.rounds {
		c.Encrypt(key[:16], key[:16])
		c.Encrypt(key[16:], key[16:])
	}
	sum := sha256.Sum256(key)
	return sum[:], nil
}
