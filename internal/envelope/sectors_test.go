package envelope_test

import (
	"bytes"
	"crypto/aes"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/xts"

	"writ/internal/envelope"
	"writ/internal/fault"
	"writ/internal/secret"
)

// Files that were written with golang.org/x/crypto/xts, as this program did before, are read
// and written on: the bytes are the same, for any key, number and stretch.
//
// breaks: crypto.at-rest
func TestSectorsAreThoseOfXTS(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 9))
	fill := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return b
	}
	for i := range 300 {
		key, n := fill(envelope.SectorsKeySize), rnd.Uint64()
		if i%3 == 0 {
			n = uint64(i) // as in a small file
		}
		judge, err := xts.NewCipher(aes.NewCipher, key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := envelope.NewSectors(secret.NewBytes(key))
		if err != nil {
			t.Fatal(err)
		}
		plain := fill(envelope.SectorSize * rnd.IntN(20))
		want := bytes.Clone(plain)
		for at := 0; at < len(want); at += envelope.SectorSize {
			judge.Encrypt(want[at:at+envelope.SectorSize], want[at:at+envelope.SectorSize], n+uint64(at/envelope.SectorSize))
		}
		got := bytes.Clone(plain)
		if s.Encrypt(got, n); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes from sector %d are encrypted otherwise", len(plain), n)
		}
		if s.Decrypt(got, n); !bytes.Equal(got, plain) {
			t.Fatalf("%d bytes from sector %d do not come back", len(plain), n)
		}
	}
}

func TestSectorsRefuseOtherKeysAndParts(t *testing.T) {
	for _, n := range []int{0, 32, 63, 65, 128} {
		_, err := envelope.NewSectors(secret.NewBytes(make([]byte, n)))
		if code, _ := fault.PublicOf(err); code != "key_size" {
			t.Errorf("a key of %d bytes: %v", n, err)
		}
	}
	s, err := envelope.NewSectors(secret.Random(envelope.SectorsKeySize))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("a part of a sector was encrypted")
		}
	}()
	s.Encrypt(make([]byte, envelope.SectorSize+16), 0)
}
