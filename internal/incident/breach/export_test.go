package breach

// ComputeIn and WriteIn are Compute and Write with room for fewer subjects.
var (
	ComputeIn = compute
	WriteIn   = write
)
