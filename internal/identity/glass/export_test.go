package glass

// The text of shares, for tests.
var (
	Write = write
	Read  = read
)
