package seal

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
