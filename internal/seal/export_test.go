package seal

import "crypto/hpke"

// Limits, for tests.
const (
	MaxLog    = maxLog
	TryMost   = tryMost
	Gathering = gathering
	TryWindow = tryWindow
)

// ShareIn opens a holder's own share, as only tests look at one.
func (p Private) ShareIn(set string, box []byte) ([]byte, error) {
	return openShare(p, set, box)
}

// SealFor is any share, sealed for a gathering as a holder's own would be.
func SealFor(o Operation, holder string, share []byte) []byte {
	to, err := kem().NewPublicKey(o.Key)
	if err != nil {
		panic(err)
	}
	box, err := hpke.Seal(to, kdf(), aead(), offerInfo(o.Sum(), holder), share)
	if err != nil {
		panic(err)
	}
	return box
}

// Sum is the hash of a line.
func (l Line) Sum() string { return l.sum() }
